// SPDX-License-Identifier: MIT
/* See matching.h. */
#include "matching.h"

#include "failing.h"

struct stoker_grammar *grammar_of(to_grammar *translate, const char *source)
{
	struct stoker_error err = { "" };
	struct stoker_grammar *g = NULL;
	AUTO_FREE char *gbnf = NULL;

	if (translate(source, strlen(source), &gbnf, &err) ||
	    stoker_grammar_compile(NULL, gbnf, strlen(gbnf), &g, &err)) {
		printf("\n    %s: %s\n%s", source, err.message, gbnf ? gbnf : "");
		CU_FAIL("no grammar");
	}
	return g;
}

bool grammar_matches(const struct stoker_grammar *g, const char *text, size_t bytes)
{
	struct stoker_matcher *m;
	size_t matched;
	bool good;

	CU_ASSERT_FATAL(!stoker_matcher_create(g, &m, NULL));
	good = !stoker_matcher_accept_text(m, text, bytes, &matched) && matched == bytes &&
	       stoker_matcher_may_end(m);
	stoker_matcher_free(&m);
	return good;
}

void expect_match(to_grammar *translate, const char *source, const char *text, bool wanted)
{
	struct stoker_grammar *g = grammar_of(translate, source);

	if (!g)
		return;
	if (grammar_matches(g, text, strlen(text)) != wanted) {
		printf("\n    %s %s %s", source, wanted ? "doesn't match" : "matches", text);
		CU_FAIL("a text that matches against expectation, or doesn't");
	}
	stoker_grammar_free(&g);
}

void expect_refusal(to_grammar *translate, const char *source, size_t bytes, int code,
		    const char *part)
{
	struct stoker_error err = { "" };
	char *gbnf = (char *)source;
	const int ret = translate(source, bytes, &gbnf, &err);

	if (ret != code || !strstr(err.message, part))
		printf("\n    %.300s\n    gives    %d %s\n    expected %d %s", source, ret,
		       err.message, code, part);
	CU_ASSERT(ret == code && strstr(err.message, part) != NULL);
	CU_ASSERT(!ret || !gbnf);
	if (!ret)
		free(gbnf);
	gbnf = NULL;
	CU_ASSERT_EQUAL(translate(source, bytes, &gbnf, NULL), ret);
	free(gbnf);
}

void expect_no_memory(to_grammar *translate, const char *source)
{
	AUTO_FREE char *whole = NULL;
	bool failed = true;

	CU_ASSERT_FATAL(!translate(source, strlen(source), &whole, NULL));
	for (unsigned n = 0; failed && n < 1000; n++) {
		struct stoker_error err = { "" };
		AUTO_FREE char *gbnf = NULL;
		int ret;

		failing_after(n);
		ret = translate(source, strlen(source), &gbnf, &err);
		failed = failing_end();
		/* sorting does without memory where it has to */
		CU_ASSERT(ret ? failed && ret == -ENOMEM && !gbnf : !strcmp(gbnf, whole));
	}
	CU_ASSERT_FALSE(failed);
}
