// SPDX-License-Identifier: MIT
/* Grammars: what is GBNF and what isn't, what is said about it, and limits. */
#include <time.h>

#include "failing.h"
#include "unit.h"

static struct stoker_vocabulary *vocabulary;

static int compile(const char *gbnf, struct stoker_error *err)
{
	struct stoker_grammar *g;
	const int ret = stoker_grammar_compile(vocabulary, gbnf, strlen(gbnf), &g, err);

	CU_ASSERT((g != NULL) == !ret);
	stoker_grammar_free(&g);
	return ret;
}

static void check_fine(const char *gbnf)
{
	struct stoker_error err = { "" };

	if (compile(gbnf, &err)) {
		printf("\n    %.60s: %s", gbnf, err.message);
		CU_FAIL("refused");
	}
}

static void check_refused(const char *gbnf, int code, const char *message)
{
	struct stoker_error err = { "" };

	CU_ASSERT_EQUAL(compile(gbnf, &err), code);
	if (!strstr(err.message, message)) {
		printf("\n    %.60s: %s", gbnf, err.message);
		CU_FAIL("another message");
	}
}

static void test_fine(void)
{
	check_fine("root ::= \"a\"");
	check_fine("root::=\"a\"\r\nb::=root");
	check_fine("# nothing\nroot ::= \"a\" | # b\n  \"c\" |\n\n  \"d\"\n\n");
	check_fine("root ::= (\n \"a\" # in here\n b\n)\nb ::= \"b\"");
	check_fine("root ::= [a-zA-Z_\\n\\t\\r\\\\\\\"\\[\\]\\-\\x41\\u00e4\\U0001F600-]* . [^x] "
		   "[^]\n");
	check_fine("root ::= \"\" | \"a\"? | [b]+ | [c]{2} | [d]{2,} | [e]{2,3} | [f]{,3} | [g]{ 0 "
		   ", 1 }");
	check_fine("root ::=\n  a-b_C9\na-b_C9 ::= \"x\" root?");
	check_fine("root ::= \nunused ::= root root");
	check_fine("root ::= ws* \"x\" ws\nws ::= [ ]*");
	check_fine("root ::= \"ä\" [à-ü]");
	check_fine("root ::= \"{\" ( root ( \",\" root )* )? \"}\"");
	check_fine("root ::= \"a\" | never\nnever ::= \"b\" never");
}

static void test_refused(void)
{
	static const struct {
		const char *gbnf, *message;
	} cases[] = {
		{ "", "no rule \"root\"" },
		{ "a ::= \"b\"", "no rule \"root\"" },
		{ "root ::= \"a\nb", "line 1, column 10: the text that begins here isn't closed" },
		{ "root ::= \"ä\" [a", "line 1, column 14: the class" },
		{ "root ::= (\"a\"", "line 1, column 10: the group" },
		{ "root ::= \"a\")", "line 1, column 13: something that can't stand in a rule" },
		{ "root ::= nobody", "line 1, column 10: there is no rule \"nobody\"" },
		{ "root ::= \"a\"\n\nroot ::= \"b\"", "line 3, column 1: rule \"root\" is there" },
		{ "root = \"a\"", "line 1, column 6: \"::=\" is expected" },
		{ "root ::= \"a\"\n= b", "line 2, column 1: a rule's name" },
		{ "root ::= *", "line 1, column 10: a repetition of nothing" },
		{ "root ::= \"a\"{3,2}", "line 1, column 13: a repetition whose most" },
		{ "root ::= \"a\"{,}", "column 13: a repetition is written" },
		{ "root ::= \"a\"{x}", "column 13: a repetition is written" },
		{ "root ::= \"a\"{2", "column 13: a repetition is written" },
		{ "root ::= \"\\q\"", "column 11: an unknown escape" },
		{ "root ::= \"\\u12\"", "column 11: an escape of two" },
		{ "root ::= \"\\ud800\"", "column 11: an escape that is no character" },
		{ "root ::= \"\\U00110000\"", "column 11: an escape that is no character" },
		{ "root ::= [z-a]", "column 11: a range of characters" },
		{ "root ::= \"\xff\"", "column 11: a byte that isn't UTF-8" },
		{ "root ::= ![a]", "column 11: a token is expected" },
		{ "root ::= <nope nope>", "column 10: <nope nope> isn't a token" },
		{ "root ::= <[1", "column 10: a token's number is written" },
		{ "root ::= <[]>", "column 10: a token's number is written" },
		{ "root ::= <[99999999999]>", "column 10: token 4294967294, the vocabulary has" },
		{ "root ::= <a\n>", "column 10: the token that begins here" },
		{ "root ::= root \"a\" | \"b\"", "rule \"root\" begins with itself" },
		{ "root ::= \"x\" e\ne ::= t\nt ::= w e | \"y\"\nw ::= [ ]*",
		  "line 2, column 1: rule \"e\"" },
		{ "root ::= \"a\" root", "rule \"root\" never ends" },
		{ "root ::= []", "rule \"root\" never ends" },
		{ "root ::= a ::= \"b\"", "can't stand in a rule" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_refused(cases[i].gbnf, -EINVAL, cases[i].message);
}

/* @count times the same, between what begins and ends it. */
static char *repeat(const char *begin, const char *what, size_t count, const char *end)
{
	const size_t length = strlen(what);
	char *text = malloc(strlen(begin) + count * length + strlen(end) + 1), *at;

	at = stpcpy(text, begin);
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, what);
	strcpy(at, end);
	return text;
}

static void check_limit(char *gbnf, const char *message)
{
	const clock_t start = clock();

	check_refused(gbnf, -E2BIG, message);
	CU_ASSERT(SANITIZED || clock() - start < 2 * CLOCKS_PER_SEC);
	free(gbnf);
}

static void test_limits(void)
{
	check_limit(repeat("root ::= ", "(", 60000, ""), "nested deeper than 64");
	check_limit(repeat("root ::= ", "(", 65, "\"a\""), "nested deeper than 64");
	check_limit(repeat("root ::= \"a\"", "?", 60000, ""), "too many repetitions of one");
	check_limit(strdup("root ::= \"a\"{1000000000}"), "1000000000 repetitions");
	check_limit(strdup("root ::= \"a\"{99999999999999999999,}"), "4294967294 repetitions");
	check_limit(strdup("root ::= \"a\"{,2001}"), "2001 repetitions of 1");
	check_limit(strdup("root ::= ((\"a\"{50}){2} \"b\"){21}"), "21 repetitions of 100");
	check_limit(repeat("root ::= ", " ", MAX(0, 256 << 10), "\"a\""), "the limit is 262144");
	check_limit(repeat("root ::= (\"", "long", 1000, "\"){2000}"), "too large");
	check_limit(repeat("root ::= ", "\"a\"?", 60000, ""), "too large");
	check_limit(repeat("root ::= ", "\"\"{2000}", 30000, ""), "too large");
	check_limit(repeat("root ::= [", "ab-cä-ü", 2000, "]{2000}"), "too large");
	check_fine("root ::= \"a\"{2000} [^x]{0,2000}");
}

/* Rules by the ten thousand, in an order that makes every pass over all of them one too many. */
static void test_many_rules(void)
{
	AUTO_FREE char *text = malloc(256 << 10);
	const clock_t start = clock();
	char *at = text + sprintf(text, "root ::= r0\n");
	unsigned n = 0;

	while (at - text < (255 << 10)) {
		at += sprintf(at, "r%u ::= r%u\n", n, n + 1);
		n++;
	}
	sprintf(at, "r%u ::= \"a\"?", n);
	check_fine(text);
	CU_ASSERT(SANITIZED || clock() - start < 2 * CLOCKS_PER_SEC);
}

static void test_memory(void)
{
	const char *gbnf = "root ::= \"a\" ([b-ü] | root)* <[5]>{2,3} # more\n"
			   "other ::= root | \"x\"";
	struct stoker_grammar *g;
	struct stoker_error err;
	unsigned n = 0;
	int ret;

	do {
		failing_after(n++);
		ret = stoker_grammar_compile(vocabulary, gbnf, strlen(gbnf), &g, &err);
		CU_ASSERT(failing_end() == (ret == -ENOMEM));
	} while (ret == -ENOMEM);
	CU_ASSERT_EQUAL(ret, 0);
	stoker_grammar_free(&g);
}

static void test_misuse(void)
{
	struct stoker_grammar *g = NULL;

	CU_ASSERT_EQUAL(stoker_grammar_compile(NULL, "root ::= .", 10, NULL, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_grammar_compile(NULL, NULL, 10, &g, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_grammar_compile(NULL, "root ::= <a>", 12, &g, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_grammar_compile(NULL, "root ::= .", 10, &g, NULL), 0);
	stoker_grammar_free(&g);
	stoker_grammar_free(&g);
	stoker_grammar_free(NULL);
}

static void test_end(void)
{
	stoker_vocabulary_free(&vocabulary);
}

void suite_grammar(void)
{
	struct stoker_error err;

	if (stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, &err))
		printf("\n    %s", err.message);
	TEST(test_fine);
	TEST(test_refused);
	TEST(test_limits);
	TEST(test_many_rules);
	TEST(test_memory);
	TEST(test_misuse);
	TEST(test_end);
	add_grammar_tokens();
	add_grammar_sampler();
}
