// SPDX-License-Identifier: MIT
/*
 * What the tests against Python programs ask the library many times: a JSON object a line on
 * standard input, one a line on standard output, in the same order.
 *
 *   batch tokens MODEL        {"text": T, "special": false} -> {"ids": [...]}
 *   batch templates [MODEL]   {"template": T, "messages": M, "tools": O, "variables": V,
 *                             "answer": true, "now": N} -> {"text": T, "spans": [[begin, end],
 * ...]} and "ids" with a model's vocabulary.  M, O and V are texts in JSON.
 *
 *   batch grammars MODEL      {"schema": T} or {"regex": T}, "texts": [T, ...], "walks": N, "seed":
 * N
 *                             -> {"matches": [true, ...], "walks": [T, ...]}: which of the texts
 * the grammar describes, and some that it does, of tokens drawn at random
 *
 * Whatever the library refuses is {"error": MESSAGE}.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/grammar.h>
#include <stoker/stoker.h>
#include <stoker/template.h>

static struct json_object *failure(const struct stoker_error *err)
{
	struct json_object *out = json_object_new_object();

	json_object_object_add(out, "error", json_object_new_string(err->message));
	return out;
}

static struct json_object *id_list(const uint32_t *ids, size_t count)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(list, json_object_new_int64(ids[i]));
	return list;
}

static bool flag(struct json_object *in, const char *name)
{
	return json_object_get_boolean(json_object_object_get(in, name));
}

static const char *string(struct json_object *in, const char *name)
{
	return json_object_get_string(json_object_object_get(in, name));
}

static struct json_object *tokens(const struct stoker_vocabulary *v, struct json_object *in)
{
	struct json_object *text = json_object_object_get(in, "text"), *out;
	const unsigned flags = flag(in, "special") ? STOKER_TOKENIZE_SPECIAL : 0;
	struct stoker_error err;
	uint32_t *ids;
	size_t count;

	if (stoker_vocabulary_tokenize(v, json_object_get_string(text),
				       (size_t)json_object_get_string_len(text), flags, &ids,
				       &count, &err))
		return failure(&err);
	out = json_object_new_object();
	json_object_object_add(out, "ids", id_list(ids, count));
	free(ids);
	return out;
}

static struct json_object *spans(const struct stoker_prompt *prompt)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < prompt->span_count; i++) {
		struct json_object *span = json_object_new_array();

		json_object_array_add(span, json_object_new_int64((int64_t)prompt->spans[i].begin));
		json_object_array_add(span, json_object_new_int64((int64_t)prompt->spans[i].end));
		json_object_array_add(list, span);
	}
	return list;
}

static struct json_object *rendered(const struct stoker_vocabulary *v,
				    const struct stoker_template *t, struct json_object *in)
{
	const struct stoker_template_input input = {
		STOKER_TEMPLATE_INPUT_INIT,
		.messages_json = string(in, "messages"),
		.tools = string(in, "tools"),
		.variables = string(in, "variables"),
		.answer = flag(in, "answer"),
		.now = json_object_get_int64(json_object_object_get(in, "now")),
	};
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	struct json_object *out;
	struct stoker_error err;
	uint32_t *ids = NULL;
	size_t count;

	if (stoker_template_render(t, v, &input, &prompt, &err))
		return failure(&err);
	if (v && stoker_prompt_tokenize(v, &prompt, &ids, &count, &err)) {
		stoker_prompt_free(&prompt);
		return failure(&err);
	}
	out = json_object_new_object();
	json_object_object_add(out, "text",
			       json_object_new_string_len(prompt.text, (int)prompt.bytes));
	json_object_object_add(out, "spans", spans(&prompt));
	if (v)
		json_object_object_add(out, "ids", id_list(ids, count));
	free(ids);
	stoker_prompt_free(&prompt);
	return out;
}

/* A template that stays the same from line to line is parsed once. */
static struct json_object *templates(const struct stoker_vocabulary *v, struct json_object *in,
				     struct stoker_template **t)
{
	struct json_object *text = json_object_object_get(in, "template");
	const size_t bytes = (size_t)json_object_get_string_len(text);
	const char *source = json_object_get_string(text);
	struct stoker_error err;

	if (!*t || strcmp(stoker_template_source(*t), source)) {
		stoker_template_free(t);
		if (stoker_template_parse(source, bytes, "template", t, &err))
			return failure(&err);
	}
	return rendered(v, *t, in);
}

static bool matches(const struct stoker_grammar *g, struct json_object *text)
{
	struct stoker_matcher *m = NULL;
	size_t matched;
	bool good = false;

	if (!stoker_matcher_create(g, &m, NULL))
		good = !stoker_matcher_accept_text(m, json_object_get_string(text),
						   (size_t)json_object_get_string_len(text),
						   &matched) &&
		       stoker_matcher_may_end(m);
	stoker_matcher_free(&m);
	return good;
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

/* Of the tokens that the grammar allows; @closing: what is open is closed where that can be. */
static bool draw(struct stoker_matcher *m, const struct stoker_vocabulary *v, uint64_t *seed,
		 bool closing, uint32_t *token)
{
	static const char *const closers[] = { "\"", "}", "]" };
	const uint32_t size = stoker_vocabulary_size(v), words = (size + 31) / 32;
	uint32_t *bits = calloc(words, sizeof(*bits)), allowed = 0, wanted;
	size_t count = 0;

	for (size_t i = 0; closing && i < sizeof(closers) / sizeof(closers[0]); i++) {
		uint32_t *ids;
		bool good = false;

		if (stoker_vocabulary_tokenize(v, closers[i], 1, 0, &ids, &count, NULL))
			continue;
		good = count && stoker_matcher_allows(m, ids[count - 1]) > 0;
		*token = count ? ids[count - 1] : 0;
		free(ids);
		if (good) {
			free(bits);
			return true;
		}
	}
	if (!bits || stoker_matcher_mask(m, bits, words)) {
		free(bits);
		return false;
	}
	for (uint32_t i = 0; i < words; i++)
		allowed += (uint32_t)__builtin_popcount(bits[i]);
	wanted = allowed ? next_random(seed) % allowed : 0;
	for (*token = 0; allowed && *token < size; ++*token)
		if (bits[*token / 32] >> *token % 32 & 1 && !wanted--)
			break;
	free(bits);
	return allowed && *token < size;
}

/* A text of tokens that the grammar allows; null: it came to no end. */
static struct json_object *walk(const struct stoker_grammar *g, const struct stoker_vocabulary *v,
				uint64_t *seed)
{
	enum { LONG_ENOUGH = 60, LONGEST = 3000 };
	char piece[1024];
	struct json_object *out = NULL;
	struct stoker_matcher *m = NULL;
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);
	uint32_t token = 0;
	int i;

	if (!f || stoker_matcher_create(g, &m, NULL))
		exit(1);
	for (i = 0; i < LONGEST; i++) {
		const bool closing = i > LONG_ENOUGH;
		size_t n;

		if (stoker_matcher_may_end(m) && (closing || !(next_random(seed) % 4)))
			break;
		if (!draw(m, v, seed, closing && next_random(seed) % 8, &token))
			break;
		if (stoker_vocabulary_is_end(v, token))
			break;
		if (stoker_matcher_accept(m, token)) {
			fprintf(stderr, "a token that the mask allows isn't accepted\n");
			exit(1);
		}
		n = stoker_vocabulary_text(v, token, 0, piece, sizeof(piece));
		if (n > sizeof(piece) || fwrite(piece, 1, n, f) != n)
			exit(1);
	}
	fclose(f);
	if (stoker_matcher_may_end(m))
		out = json_object_new_string_len(text, (int)bytes);
	stoker_matcher_free(&m);
	free(text);
	return out;
}

static struct json_object *grammars(const struct stoker_vocabulary *v, struct json_object *in)
{
	struct json_object *out, *list = json_object_object_get(in, "texts"), *found;
	struct json_object *source = json_object_object_get(in, "schema");
	uint64_t seed = (uint64_t)json_object_get_int64(json_object_object_get(in, "seed"));
	struct stoker_grammar *g = NULL;
	struct stoker_error err;
	char *gbnf = NULL;
	int ret;

	if (source)
		ret = stoker_grammar_from_schema(json_object_get_string(source),
						 (size_t)json_object_get_string_len(source), &gbnf,
						 &err);
	else
		ret = stoker_grammar_from_regex(string(in, "regex"), strlen(string(in, "regex")),
						&gbnf, &err);
	if (!ret)
		ret = stoker_grammar_compile(v, gbnf, strlen(gbnf), &g, &err);
	free(gbnf);
	if (ret)
		return failure(&err);
	out = json_object_new_object();
	found = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(list); i++)
		json_object_array_add(found, json_object_new_boolean(matches(
						     g, json_object_array_get_idx(list, i))));
	json_object_object_add(out, "matches", found);
	found = json_object_new_array();
	for (int64_t n = json_object_get_int64(json_object_object_get(in, "walks")); n > 0; n--)
		json_object_array_add(found, walk(g, v, &seed));
	json_object_object_add(out, "walks", found);
	stoker_grammar_free(&g);
	return out;
}

int main(int argc, char **argv)
{
	const bool render = argc > 1 && !strcmp(argv[1], "templates");
	const bool match = argc == 3 && !strcmp(argv[1], "grammars");
	struct stoker_vocabulary *v = NULL;
	struct stoker_template *t = NULL;
	struct stoker_error err;
	char *line = NULL;
	size_t room = 0;
	int status = 0;

	if (!(render && argc <= 3) && !match && !(argc == 3 && !strcmp(argv[1], "tokens"))) {
		fprintf(stderr, "usage: %s tokens|grammars MODEL, or %s templates [MODEL]\n",
			argv[0], argv[0]);
		return 2;
	}
	if (argc > 2 && stoker_vocabulary_load(argv[2], &v, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	while (!status && getline(&line, &room, stdin) > 0) {
		struct json_object *in = json_tokener_parse(line), *out;

		out = render ? templates(v, in, &t) : match ? grammars(v, in) : tokens(v, in);
		status = puts(json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN)) < 0 ||
			 fflush(stdout);
		json_object_put(out);
		json_object_put(in);
	}
	free(line);
	stoker_template_free(&t);
	stoker_vocabulary_free(&v);
	return status;
}
