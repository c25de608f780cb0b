// SPDX-License-Identifier: MIT
/* Hostile grammars, and behind a zero byte which tokens are chosen: masks beside tokens one by one.
 */
#include <errno.h>

#include "fuzz.h"

enum { MAX_STEPS = 12 };

/* What a mask has, accepting has, too; the next token is one of these. */
static int step(struct stoker_matcher *m, uint32_t *bits, size_t words, uint32_t count,
		uint8_t choice)
{
	uint32_t found = 0, chosen = 0;
	int ret = stoker_matcher_mask(m, bits, words);

	if (ret && ret != -E2BIG)
		abort();
	if (ret)
		return 1;
	for (uint32_t t = 0; t < count; t++) {
		const int has = bits[t / 32] >> t % 32 & 1, allows = stoker_matcher_allows(m, t);

		if (has < allows)
			abort();
		/* where there are too many ways a mask may have what can't be gone */
		if (has != allows && stoker_matcher_accept(m, t) != -E2BIG)
			abort();
		if (allows > 0 && found++ <= choice)
			chosen = t;
	}
	return !found || stoker_matcher_accept(m, chosen) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stoker_vocabulary *vocabulary;
	static uint32_t bits[64];
	const uint8_t *end = memchr(data, 0, size), *at = end ? end + 1 : data + size;
	struct stoker_grammar *g;
	struct stoker_matcher *m;
	struct stoker_error err;
	uint32_t count;
	int stop = 0;

	if (!vocabulary &&
	    stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, &err))
		abort();
	count = stoker_vocabulary_size(vocabulary);
	if (count > 32 * sizeof(bits) / sizeof(*bits))
		abort();
	if (stoker_grammar_compile(vocabulary, (const char *)data,
				   end ? (size_t)(end - data) : size, &g, &err))
		return 0;
	if (stoker_matcher_create(g, &m, &err))
		abort();
	for (int i = 0; i < MAX_STEPS && at < data + size && !stop; i++, at++)
		stop = step(m, bits, sizeof(bits) / sizeof(*bits), count, *at);
	if (at < data + size)
		stoker_matcher_accept_text(m, (const char *)at, (size_t)(data + size - at), NULL);
	stoker_matcher_free(&m);
	stoker_grammar_free(&g);
	return 0;
}
