// SPDX-License-Identifier: MIT
/*
 * Hostile schemas and regular expressions, told apart by the first byte.  What comes out of them is
 * a grammar: nothing is wrong with it, at most it is too large.
 */
#include "fuzz.h"

#include <errno.h>

#include "stoker/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct stoker_grammar *g;
	struct stoker_error err;
	char *gbnf;
	int ret;

	if (!size)
		return 0;
	if (data[0] == 'r')
		ret = stoker_grammar_from_regex(text, size - 1, &gbnf, &err);
	else
		ret = stoker_grammar_from_schema(text, size - 1, &gbnf, &err);
	if (ret) {
		if (gbnf || !err.message[0])
			abort();
		return 0;
	}
	ret = stoker_grammar_compile(NULL, gbnf, strlen(gbnf), &g, &err);
	if (!ret)
		stoker_grammar_free(&g);
	else if (ret != -E2BIG)
		abort();
	free(gbnf);
	return 0;
}
