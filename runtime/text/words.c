// SPDX-License-Identifier: MIT
/* Cutting text into words by the expressions of a pre-tokenizer, with PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "text/pretokenizers.h"
#include "text/vocabulary.h"

struct words {
	pcre2_code *expressions[MAX_PRETOKENIZER_EXPRESSIONS];
	size_t count;
};

bool pretokenizer_ignores_merges(const struct pretokenizer *p)
{
	return p->ignore_merges;
}

bool pretokenizer_adds_bos(const struct pretokenizer *p)
{
	return p->add_bos;
}

int words_create(const char *name, struct words **out, const struct pretokenizer **found,
		 struct stoker_error *err)
{
	const struct pretokenizer *p = NULL;
	struct words *w;
	PCRE2_SIZE at;
	int code;

	*out = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(pretokenizers) && !p; i++)
		if (!strcmp(pretokenizers[i].name, name))
			p = &pretokenizers[i];
	if (!p)
		return stoker_fail(err, -ENOTSUP, "pre-tokenizer \"%.60s\" isn't supported", name);
	w = calloc(1, sizeof(*w));
	if (!w)
		return stoker_fail(err, -ENOMEM, "out of memory");
	for (; p->expressions[w->count]; w->count++) {
		pcre2_code *c = pcre2_compile((PCRE2_SPTR)p->expressions[w->count],
					      PCRE2_ZERO_TERMINATED,
					      PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code,
					      &at, NULL);

		if (!c) {
			words_destroy(&w);
			return stoker_fail(err, -EINVAL,
					   "pre-tokenizer %s: expression doesn't compile at %zu",
					   p->name, (size_t)at);
		}
		pcre2_jit_compile(c, PCRE2_JIT_COMPLETE); /* where it can't, matching interprets */
		w->expressions[w->count] = c;
	}
	*out = w;
	*found = p;
	return 0;
}

void words_destroy(struct words **words)
{
	struct words *w = *words;

	if (!w)
		return;
	*words = NULL;
	for (size_t i = 0; i < w->count; i++)
		pcre2_code_free(w->expressions[i]);
	free(w);
}

struct lengths {
	size_t *data, count, room;
};

static bool add_length(struct lengths *l, size_t length)
{
	if (length == 0)
		return true;
	if (l->count == l->room) {
		const size_t room = 2 * l->room + 64;
		size_t *more = realloc(l->data, room * sizeof(*more));

		if (!more)
			return false;
		l->data = more;
		l->room = room;
	}
	l->data[l->count++] = length;
	return true;
}

/* Cuts one chunk at the matches of one expression; what lies between matches is a chunk too. */
static int split_chunk(const pcre2_code *expression, pcre2_match_data *match, const char *text,
		       size_t bytes, struct lengths *out)
{
	size_t at = 0, from = 0;

	while (at < bytes) {
		const int n = pcre2_match(expression, (PCRE2_SPTR)text, bytes, from,
					  PCRE2_NO_UTF_CHECK, match, NULL);
		const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match);

		if (n == PCRE2_ERROR_NOMATCH)
			break;
		if (n < 0)
			return n;
		if (range[1] ==
		    range[0]) { /* nothing matched here: look behind the next character */
			uint32_t c;
			const size_t step = utf8_decode(text + range[0], bytes - range[0], &c);

			from = range[0] + MAX(step, (size_t)1);
			if (from >= bytes)
				break;
			continue;
		}
		if (!add_length(out, range[0] - at) || !add_length(out, range[1] - range[0]))
			return PCRE2_ERROR_NOMEMORY;
		at = from = range[1];
	}
	return add_length(out, bytes - at) ? 0 : PCRE2_ERROR_NOMEMORY;
}

int words_split(const struct words *words, const char *text, size_t bytes, size_t **lengths,
		size_t *count, struct stoker_error *err)
{
	struct lengths now = { 0 }, next = { 0 };
	int code = add_length(&now, bytes) ? 0 : PCRE2_ERROR_NOMEMORY;

	for (size_t e = 0; e < words->count && !code; e++) {
		const struct lengths done = now;
		pcre2_match_data *match =
			pcre2_match_data_create_from_pattern(words->expressions[e], NULL);
		size_t at = 0;

		if (!match) {
			code = PCRE2_ERROR_NOMEMORY;
			break;
		}
		next.count = 0;
		for (size_t i = 0; i < now.count && !code; at += now.data[i++])
			code = split_chunk(words->expressions[e], match, text + at, now.data[i],
					   &next);
		pcre2_match_data_free(match);
		now = next;
		next = done;
	}
	free(next.data);
	*lengths = now.data;
	*count = now.count;
	if (!code)
		return 0;
	free(now.data);
	*lengths = NULL;
	if (code == PCRE2_ERROR_NOMEMORY)
		return stoker_fail(err, -ENOMEM, "out of memory");
	return stoker_fail(err, -EINVAL,
			   "text of %zu bytes is too much for the pre-tokenizer (PCRE2 error %d)",
			   bytes, code);
}
