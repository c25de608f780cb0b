// SPDX-License-Identifier: MIT
/* Regular expressions to grammars: what they match, what is refused and where. */
#include "matching.h"

static const struct {
	const char *regex;
	const char *good[8], *bad[8];
} cases[] = {
	{ "abc", { "abc" }, { "ab", "abcd", "" } },
	{ "", { "" }, { "a" } },
	{ "^a|b$", { "a", "b" }, { "ab", "^a" } },
	{ "a*b+c?", { "b", "aabbc" }, { "a", "bcc" } },
	{ "a*?b+?c??", { "b", "aabbc" }, { "a" } },
	{ "a{2}b{1,}c{0,2}", { "aab", "aabbcc" }, { "ab", "aabccc" } },
	{ "a{0}b", { "b" }, { "ab" } },
	{ "(?:ab|c)*d", { "d", "abcabd" }, { "ad" } },
	{ "(a|b|)(?<name>c)", { "c", "ac" }, { "abc" } },
	{ "((^a$)|(^(b|c)$))", { "a", "b" }, { "ab" } },
	{ "[a-c\\-x]", { "a", "-", "x" }, { "d", "" } },
	{ "[-a]|[b-]", { "-", "a", "b" }, { "c" } },
	{ "[^a-c]", { "d", "\n", "\xf0\x9f\x98\x80" }, { "a", "dd" } },
	{ "[\\d_]+", { "12_" }, { "a" } },
	{ "\\d\\D", { "1a", "1\xc3\xa9" }, { "11", "aa" } },
	{ "\\w\\W", { "_-", "a " }, { "aa", "--" } },
	{ "\\s\\S", { " a", "\xc2\xa0x", "\t\x01" }, { "aa", "  " } },
	{ "[^\\s\\d]", { "a" }, { " ", "1" } },
	{ ".", { "a", "\xe2\x82\xac", "\t" }, { "\n", "\r", "\xe2\x80\xa8", "" } },
	{ "[^]", { "\n" }, { "" } },
	{ "a[]|b", { "b" }, { "a" } },
	{ "\\.\\*\\/\\[\\]\\{\\}\\(\\)\\^\\$\\|\\\\\\?\\+\\-", { ".*/[]{}()^$|\\?+-" }, { "" } },
	{ "\\t\\n\\v\\f\\r\\cA", { "\t\n\v\f\r\x01" }, { "" } },
	{ "\\x41\\u0042\\u{1F600}\\ud83d\\ude00",
	  { "AB\xf0\x9f\x98\x80\xf0\x9f\x98\x80" },
	  { "AB" } },
	{ "[\\u{1F600}-\\u{1F602}]", { "\xf0\x9f\x98\x81" }, { "\xf0\x9f\x98\x83" } },
	{ "[\xc3\xa0-\xc3\xa5\xe2\x82\xac]", { "\xc3\xa1", "\xe2\x82\xac" }, { "\xc3\xa6" } },
	{ "\"]}", { "\"]}" }, { "" } },
	{ "[\"\\\\\\]^]+", { "\"\\]^" }, { "a" } },
	{ "[\\b]", { "\b" }, { "b" } },
	{ "((((((((((((((((((((((((((((((((((((((((a|b)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)"
	  "*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)"
	  "*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?)*c?e",
	  { "e", "abcbcce" },
	  { "ab", "abd" } },
	{ "(a{1000}b?){2}", { NULL }, { "ab" } },
};

static void test_matches(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t k = 0; k < 8 && cases[i].good[k]; k++)
			expect_match(stoker_grammar_from_regex, cases[i].regex, cases[i].good[k],
				     true);
		for (size_t k = 0; k < 8 && cases[i].bad[k]; k++)
			expect_match(stoker_grammar_from_regex, cases[i].regex, cases[i].bad[k],
				     false);
	}
}

static const struct {
	const char *regex, *part;
} refusals[] = {
	{ "a\\1", "column 2: back references aren't supported (\\1)" },
	{ "(?<a>x)\\k<a>", "column 8: back references" },
	{ "\xc3\xa9\\b", "column 2: boundaries of words" },
	{ "\\B", "boundaries of words" },
	{ "\\p{L}", "properties of Unicode" },
	{ "\\A", "anchors other than ^ and $" },
	{ "\\q", "the escape \\q isn't supported" },
	{ "\\_", "the escape \\_ isn't supported" },
	{ "a\\", "column 2: nothing follows the backslash" },
	{ "\\00", "isn't supported" },
	{ "(?=a)", "column 1: looking ahead isn't supported ((?=)" },
	{ "a(?!b)", "column 2: looking ahead" },
	{ "(?<=a)b", "looking behind" },
	{ "(?<!a)b", "looking behind" },
	{ "(?>a)", "groups that begin with (?> aren't supported" },
	{ "(?i)a", "groups that begin with (?i" },
	{ "(?P<n>a)", "groups that begin with (?P" },
	{ "(?", "groups that begin with (?" },
	{ "(a", "column 1: the group that begins here isn't closed" },
	{ "a)", "column 2: ) closes nothing" },
	{ "[a", "column 1: the class that begins here isn't closed" },
	{ "[a\\", "nothing follows" },
	{ "[b-a]", "column 2: a range that ends before it begins" },
	{ "[\\d-x]", "column 2: a range whose end is a class" },
	{ "[a-\\w]", "a range whose end is a class" },
	{ "*a", "column 1: * repeats nothing" },
	{ "a|+", "column 3: + repeats nothing" },
	{ "a**", "column 3: a repetition of a repetition" },
	{ "a++", "column 3: repetitions that don't give back" },
	{ "a{2}{3}", "a repetition of a repetition" },
	{ "a{,3}", "column 2: a repetition is written" },
	{ "a{3,2}", "most is below its least" },
	{ "a{x", "a repetition is written" },
	{ "{2}", "{ repeats nothing" },
	{ "a^b", "column 2: ^ inside the expression" },
	{ "a$b", "column 2: $ inside the expression" },
	{ "(a$)b", "column 3: $ inside" },
	{ "^*", "* repeats nothing" },
	{ "\\u12", "\\u has four hexadecimal digits" },
	{ "\\u{110000}", "no character of Unicode" },
	{ "\\u{}", "\\u has four" },
	{ "\\ud800", "no character of Unicode" },
	{ "\\xg0", "\\x has two" },
	{ "\xff", "column 1: a byte that isn't UTF-8" },
	{ "a[]", "no text matches the regular expression" },
};

static void test_refused(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		expect_refusal(stoker_grammar_from_regex, refusals[i].regex,
			       strlen(refusals[i].regex), -EINVAL, refusals[i].part);
	expect_refusal(stoker_grammar_from_regex, "a\0b", 3, -EINVAL, "column 2: a NUL byte");
	expect_refusal(stoker_grammar_from_regex, NULL, 0, -EINVAL, "no regular expression");
}

static void test_limits(void)
{
	static char deep[60001], large[(256 << 10) + 1];

	memset(deep, '(', sizeof(deep) - 1);
	memset(large, 'a', sizeof(large) - 1);
	expect_refusal(stoker_grammar_from_regex, deep, strlen(deep), -E2BIG,
		       "column 65: groups are nested deeper than 64");
	expect_refusal(stoker_grammar_from_regex, large, sizeof(large), -E2BIG,
		       "the limit is 262144");
	expect_refusal(stoker_grammar_from_regex, large, sizeof(large) - 1, -E2BIG,
		       "more than 256 KiB");
	expect_refusal(stoker_grammar_from_regex, "a{1000000000}", 13, -E2BIG,
		       "column 2: 1000000000 repetitions of 1, the limit is 2000");
	expect_refusal(stoker_grammar_from_regex, "((a{10}){20}){11}", 17, -E2BIG,
		       "column 14: 11 repetitions of 200");
	expect_no_memory(stoker_grammar_from_regex, "(a|[b-d]{2,7})*\\s.x?");
}

void suite_regex(void)
{
	TEST(test_matches);
	TEST(test_refused);
	TEST(test_limits);
}
