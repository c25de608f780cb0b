// SPDX-License-Identifier: MIT
/* Hostile templates, messages and variables, divided by zero bytes; what comes out is tokenized. */
#include "fuzz.h"

static const char *next(const char **at, const char *end)
{
	const char *text = *at, *stop = memchr(text, 0, (size_t)(end - text));

	*at = stop ? stop + 1 : end;
	return text;
}

/* Marks lie in order, apart, and between characters of valid UTF-8. */
static void check(const struct stoker_prompt *p)
{
	size_t last = 0;

	for (size_t i = 0; i < p->span_count; i++) {
		const struct stoker_span *s = &p->spans[i];

		if (s->begin >= s->end || s->end > p->bytes || (i && s->begin <= last) ||
		    (p->text[s->begin] & 0xc0) == 0x80 ||
		    (s->end < p->bytes && (p->text[s->end] & 0xc0) == 0x80))
			abort();
		last = s->end;
	}
	if (p->text[p->bytes])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stoker_vocabulary *vocabulary;
	struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT, .answer = 1, .now = 1 };
	struct stoker_template *t;
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	struct stoker_error err;
	uint32_t *tokens;
	size_t count;
	char *copy = malloc(size + 1);
	const char *at = copy, *end = copy + size, *source;

	if (!vocabulary &&
	    stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, &err))
		abort();
	memcpy(copy, data, size);
	copy[size] = 0;
	source = next(&at, end);
	if (at < end)
		input.messages_json = next(&at, end);
	if (at < end)
		input.variables = next(&at, end);
	if (at < end)
		input.tools = next(&at, end);
	if (!stoker_template_parse(source, strlen(source), "fuzz", &t, &err)) {
		if (!stoker_template_render(t, vocabulary, &input, &prompt, &err)) {
			check(&prompt);
			if (prompt.bytes < 10000 &&
			    !stoker_prompt_tokenize(vocabulary, &prompt, &tokens, &count, &err))
				free(tokens);
			stoker_prompt_free(&prompt);
		}
		stoker_template_free(&t);
	}
	free(copy);
	return 0;
}
