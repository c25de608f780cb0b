// SPDX-License-Identifier: MIT
/*
 * Grammars along texts: beside a matcher that tries everything, on grammars made at random, and
 * masks beside each token tried by itself.
 */
#include "failing.h"
#include "unit.h"

#include "grammar/grammar.h"

/* --- random grammars, and a plain way to match them --------------------------------------------
 */

enum { RULES = 4, ITEMS = 400, LONGEST = 8 };

struct item {
	enum { LITERAL, CLASS, CALL, SEQUENCE, CHOICE, REPEAT } kind;
	char text[8];
	unsigned a, b; /* a repetition's counts, a class's range, a rule, children */
	unsigned child[4], children;
};

static struct {
	struct item items[ITEMS];
	unsigned count, roots[RULES];
	char text[1 << 16], *at;
	/* ends of rules by where they begin, a bit each; known by its top bit */
	uint32_t memo[RULES][LONGEST + 1];
	const char *input;
	unsigned length;
} random_grammar;

#define G random_grammar

static unsigned random_item(unsigned depth)
{
	const unsigned n = G.count++, kind = random_u32() % (depth > 3 || G.count > 60 ? 3 : 7);
	struct item *i = &G.items[n];

	*i = (struct item){ .kind = kind > REPEAT ? SEQUENCE : kind };
	switch (i->kind) {
	case LITERAL:
		for (unsigned k = random_u32() % 3; k < 2; k++)
			i->text[strlen(i->text)] = (char)('a' + random_u32() % 3);
		G.at += sprintf(G.at, "\"%s\" ", i->text);
		break;
	case CLASS:
		i->a = 'a' + random_u32() % 3;
		i->b = i->a + random_u32() % (unsigned)('d' - i->a);
		G.at += sprintf(G.at, "[%c-%c] ", i->a, i->b);
		break;
	case CALL:
		i->a = random_u32() % RULES;
		G.at += i->a ? sprintf(G.at, "r%u ", i->a) : sprintf(G.at, "root ");
		break;
	case SEQUENCE:
	case CHOICE:
		G.at += sprintf(G.at, "( ");
		for (i->children = 0; i->children < 2 + random_u32() % 2; i->children++) {
			if (i->kind == CHOICE && i->children)
				G.at += sprintf(G.at, "| ");
			i->child[i->children] = random_item(depth + 1);
		}
		G.at += sprintf(G.at, ") ");
		break;
	case REPEAT:
		i->child[0] = random_item(depth + 1);
		i->a = random_u32() % 3;
		i->b = random_u32() % 3 ? i->a + random_u32() % 3 : 1000;
		G.at += i->b == 1000 ? sprintf(G.at, "{%u,} ", i->a)
				     : sprintf(G.at, "{%u,%u} ", i->a, i->b);
	}
	return n;
}

static void make_random(void)
{
	G.count = 0;
	G.at = G.text;
	for (unsigned r = 0; r < RULES; r++) {
		G.at += r ? sprintf(G.at, "\nr%u ::= ", r) : sprintf(G.at, "root ::= ");
		G.roots[r] = random_item(0);
	}
}

/* Where it may end, a bit each, when it begins at one of @starts. */
static uint32_t ends_of(unsigned item, uint32_t starts)
{
	const struct item *i = &G.items[item];
	uint32_t ends = 0, all;
	const size_t length = strlen(i->text);

	switch (i->kind) {
	case LITERAL:
		for (unsigned p = 0; p + length <= G.length; p++)
			if (starts >> p & 1 && !memcmp(G.input + p, i->text, length))
				ends |= 1u << (p + length);
		return ends;
	case CLASS:
		for (unsigned p = 0; p < G.length; p++)
			if (starts >> p & 1 && G.input[p] >= (char)i->a && G.input[p] <= (char)i->b)
				ends |= 2u << p;
		return ends;
	case CALL:
		for (unsigned p = 0; p <= G.length; p++) {
			if (!(starts >> p & 1))
				continue;
			/* what begins with itself here is part of no text, or it would be refused
			 */
			if (!G.memo[i->a][p]) {
				G.memo[i->a][p] = 1u << 31;
				G.memo[i->a][p] |= ends_of(G.roots[i->a], 1u << p);
			}
			ends |= G.memo[i->a][p] & ~(1u << 31);
		}
		return ends;
	case SEQUENCE:
		for (unsigned c = 0; c < i->children; c++)
			starts = ends_of(i->child[c], starts);
		return starts;
	case CHOICE:
		for (unsigned c = 0; c < i->children; c++)
			ends |= ends_of(i->child[c], starts);
		return ends;
	default:
		for (unsigned c = 0; c < i->a; c++)
			starts = ends_of(i->child[0], starts);
		all = starts;
		for (unsigned c = i->a; c < i->b && starts; c++) {
			starts = ends_of(i->child[0], starts) & ~(i->b == 1000 ? all : 0);
			all |= starts;
		}
		return all;
	}
}

static bool matches(const char *text, unsigned length)
{
	G.input = text;
	G.length = length;
	memset(G.memo, 0, sizeof(G.memo));
	return ends_of(G.roots[0], 1) >> length & 1;
}

/* All texts of three letters up to a length: a text may end where it matches, and may go on where a
 * longer one matches. */
static unsigned check_texts(struct stoker_matcher *m, char *text, unsigned length, unsigned longest)
{
	struct stoker_matcher *next;
	unsigned found = matches(text, length);

	CU_ASSERT_EQUAL(stoker_matcher_may_end(m) != 0, found);
	for (char c = 'a'; length < longest && c <= 'c'; c++) {
		int ret;

		text[length] = c;
		CU_ASSERT_EQUAL_FATAL(stoker_matcher_clone(m, &next, NULL), 0);
		ret = stoker_matcher_accept_text(next, &c, 1, NULL);
		if (!ret) {
			found += check_texts(next, text, length + 1, longest);
		} else {
			CU_ASSERT_EQUAL(ret, -EINVAL);
			for (unsigned more = 0; more < 27 && length + 3 < longest; more++) {
				text[length + 1] = (char)('a' + more % 3);
				text[length + 2] = (char)('a' + more / 3 % 3);
				CU_ASSERT(!matches(text, length + 1 + more / 9));
			}
		}
		stoker_matcher_free(&next);
	}
	return found;
}

static void test_texts(void)
{
	unsigned grammars = 0, texts = 0;

	random_seed(1);
	for (unsigned n = 0; n < 400; n++) {
		struct stoker_grammar *g;
		struct stoker_matcher *m;
		struct stoker_error err;
		char text[LONGEST + 8] = "";

		make_random();
		if (stoker_grammar_compile(NULL, G.text, strlen(G.text), &g, &err)) {
			CU_ASSERT(strstr(err.message, "begins with itself") ||
				  strstr(err.message, "never ends"));
			continue;
		}
		grammars++;
		CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
		stoker_grammar_free(&g);
		texts += check_texts(m, text, 0, 6);
		stoker_matcher_free(&m);
	}
	printf("\n    %u grammars, %u texts", grammars, texts);
	CU_ASSERT(grammars > 100 && texts > 1000);
}

/* --- masks ---------------------------------------------------------------------------------------
 */

static struct stoker_vocabulary *vocabulary;
static uint32_t *bits, *others;
static size_t words;

static bool has(uint32_t token)
{
	return bits[token / 32] >> token % 32 & 1;
}

/* The mask beside every token, and beside the slow way to make it, which nothing is kept for. */
static void check_mask(struct stoker_matcher *m)
{
	const uint32_t count = stoker_vocabulary_size(vocabulary);
	unsigned wrong = 0;

	CU_ASSERT_EQUAL_FATAL(stoker_matcher_mask(m, bits, words), 0);
	for (uint32_t t = 0; t < count; t++) {
		const int allows = stoker_matcher_allows(m, t);

		wrong += allows != has(t);
		if (allows != has(t) && wrong == 1)
			printf("\n    token %u: allowed %d, mask %d", t, allows, has(t));
	}
	for (uint32_t t = count; t < words * 32; t++)
		wrong += has(t);
	CU_ASSERT_EQUAL(wrong, 0);
	memset(others, 0, words * sizeof(*others));
	CU_ASSERT_EQUAL(mask_named(m, others), 0);
	CU_ASSERT_EQUAL(mask_texts_slowly(m, others), 0);
	for (uint32_t t = 0; t < count; t++)
		if (stoker_vocabulary_is_end(vocabulary, t) && has(t))
			others[t / 32] |= 1u << t % 32;
	CU_ASSERT(!memcmp(bits, others, words * sizeof(*bits)));
}

/* Any token that is allowed; false: none. */
static bool random_token(uint32_t *token)
{
	const uint32_t count = stoker_vocabulary_size(vocabulary), first = random_u32() % count;

	for (uint32_t i = 0; i < count; i++) {
		*token = (first + i) % count;
		if (has(*token) && !stoker_vocabulary_is_end(vocabulary, *token))
			return true;
	}
	return false;
}

static void check_walk(const char *gbnf, unsigned steps)
{
	struct stoker_grammar *g;
	struct stoker_matcher *m;
	struct stoker_error err;
	uint32_t token;

	if (stoker_grammar_compile(vocabulary, gbnf, strlen(gbnf), &g, &err)) {
		CU_ASSERT(strstr(err.message, "begins with itself") ||
			  strstr(err.message, "never ends"));
		return;
	}
	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
	for (unsigned s = 0; s < steps; s++) {
		check_mask(m);
		if (!random_token(&token))
			break;
		CU_ASSERT_EQUAL(stoker_matcher_accept(m, token), 0);
	}
	stoker_matcher_free(&m);
	stoker_grammar_free(&g);
}

static const char json[] =
	"root ::= object\n"
	"value ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
	"object ::= \"{\" ws ( string \":\" ws value (\",\" ws string \":\" ws value)* )? \"}\" "
	"ws\n"
	"array ::= \"[\" ws ( value (\",\" ws value)* )? \"]\" ws\n"
	"string ::= \"\\\"\" ( [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" "
	"[0-9a-fA-F]{4}) )* "
	"\"\\\"\" ws\n"
	"number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] "
	"[1-9]{0,15})? ws\n"
	"ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";

static const char *const grammars[] = {
	json,
	"root ::= \"{\\\"name\\\": \\\"\" [^\"\\\\]{1,30} \"\\\", \\\"age\\\": \" [0-9]{1,3} \"}\"",
	"root ::= (expr \"=\" term \"\\n\")+\nexpr ::= term ([-+*/] term)*\n"
	"term ::= ident | num | \"(\" [ ]* expr \")\" [ ]*\nident ::= [a-z] [a-z0-9_]* [ ]*\nnum "
	"::= [0-9]+ [ ]*",
	"root ::= [^\\n]+ \"\\n\" root?",
	"root ::= .*",
	"root ::= word (\" \" word)*\nword ::= [a-z]+ | [A-Z] [a-z]* | [ぁ-ゟ一-鿿]+",
	"root ::= s \"!\"\ns ::= \"a\" s \"b\"? | (\"a\" | [^b])",
	"root ::= ([^a] | root2)* \"a\"\nroot2 ::= \"a\" [b-\\U0010ffff]",
	"root ::= <[7]> \"x\"* !<[9]>* | !<[9]> [ -~]+ !<[7]>",
	"root ::= list\nlist ::= \"[\" (list (\",\" list)*)? \"]\"",
};

static void check_vocabulary(const char *path, unsigned steps, unsigned random)
{
	if (stoker_vocabulary_load(path, &vocabulary, NULL)) {
		skip("masks", path);
		return;
	}
	words = (stoker_vocabulary_size(vocabulary) + 31) / 32 + 1;
	bits = calloc(words, sizeof(*bits));
	others = calloc(words, sizeof(*others));
	for (size_t i = 0; i < ARRAY_SIZE(grammars); i++)
		check_walk(grammars[i], steps);
	for (unsigned i = 0; i < random; i++) {
		make_random();
		check_walk(G.text, steps);
	}
	free(bits);
	free(others);
	stoker_vocabulary_free(&vocabulary);
}

static void test_masks(void)
{
	random_seed(2);
	check_vocabulary("tests/data/containers/plain.gguf", 200, 200);
}

static void test_masks_of_models(void)
{
	const char *folder = vectors_folder("masks over real vocabularies");
	static const char *const names[] = { "gpt-2", "deepseek-llm" };
	char path[512];

	for (size_t i = 0; folder && i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/tokenizer/ggml-vocab-%s.gguf", folder, names[i]);
		random_seed(3 + i);
		check_vocabulary(path, 4, 5);
	}
}

/* A matcher's calls, each a few times, whatever fails; what failed has changed nothing. */
static int use_all(struct stoker_grammar *g)
{
	static const char text[] = "{\"a\": [1, 2";
	struct stoker_matcher *m = NULL, *copy = NULL;
	int ret = stoker_matcher_create(g, &m, NULL);
	size_t matched = 0;

	if (!ret)
		ret = stoker_matcher_accept_text(m, text, strlen(text), &matched);
	if (!ret)
		ret = stoker_matcher_mask(m, bits, words);
	if (!ret)
		ret = stoker_matcher_clone(m, &copy, NULL);
	if (!ret)
		ret = stoker_matcher_accept_text(copy, "]}", 2, &matched);
	if (!ret)
		CU_ASSERT(stoker_matcher_may_end(copy) && !stoker_matcher_may_end(m));
	for (uint32_t t = 0; t < 200 && ret >= 0; t++)
		ret = stoker_matcher_allows(m, t);
	if (ret > 0)
		ret = 0;
	stoker_matcher_reset(m);
	if (m && !ret)
		CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, text, 1, NULL), 0);
	stoker_matcher_free(&m);
	stoker_matcher_free(&copy);
	return ret;
}

static void test_failing_memory(void)
{
	struct stoker_grammar *g;
	unsigned n = 0;
	int ret;

	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, NULL), 0);
	words = (stoker_vocabulary_size(vocabulary) + 31) / 32;
	bits = calloc(words, sizeof(*bits));
	do {
		g = NULL;
		failing_after(n++);
		ret = stoker_grammar_compile(vocabulary, json, strlen(json), &g, NULL);
		if (!ret)
			ret = use_all(g);
		failing_end();
		if (g && ret) {
			/* what failed for want of memory is there once there is some */
			CU_ASSERT_EQUAL(ret, -ENOMEM);
			CU_ASSERT_EQUAL(use_all(g), 0);
		}
		stoker_grammar_free(&g);
	} while (ret);
	CU_ASSERT(n > 50);
	free(bits);
	stoker_vocabulary_free(&vocabulary);
}

static struct stoker_matcher *begin(const char *gbnf)
{
	struct stoker_grammar *g;
	struct stoker_matcher *m;
	struct stoker_error err = { "" };

	if (stoker_grammar_compile(NULL, gbnf, strlen(gbnf), &g, &err))
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
	stoker_grammar_free(&g);
	return m;
}

static void test_calls(void)
{
	struct stoker_matcher *m = begin("root ::= \"äb\" [c-d]{2}");
	size_t matched = 9;

	CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, "\xc3", 1, &matched), 0);
	CU_ASSERT_EQUAL(matched, 1);
	CU_ASSERT_EQUAL(stoker_matcher_accept_text(m,
						   "\xa4"
						   "bcx",
						   4, &matched),
			-EINVAL);
	CU_ASSERT_EQUAL(matched, 3);
	CU_ASSERT_EQUAL(stoker_matcher_accept_text(m,
						   "\xa4"
						   "bcd",
						   4, &matched),
			0);
	CU_ASSERT(stoker_matcher_may_end(m));
	CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, "d", 1, &matched), -EINVAL);
	CU_ASSERT_EQUAL(matched, 0);
	CU_ASSERT_EQUAL(stoker_matcher_accept(m, 0), -EINVAL);
	CU_ASSERT_EQUAL(stoker_matcher_allows(m, 0), -EINVAL);
	CU_ASSERT_EQUAL(stoker_matcher_mask(m, &(uint32_t){ 0 }, 1), -EINVAL);
	stoker_matcher_reset(m);
	CU_ASSERT(!stoker_matcher_may_end(m));
	CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, "äbcd", 5, NULL), 0);
	CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, NULL, 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_matcher_accept_text(NULL, "", 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_matcher_create(NULL, &m, NULL), -EINVAL);
	CU_ASSERT_PTR_NULL(m);
}

/* Long texts of much nesting, and of forms that can be read in ever more ways. */
static void test_long_texts(void)
{
	struct stoker_matcher *m = begin("root ::= \"(\" root \")\" | \"x\"");
	int ret = 0;

	for (unsigned i = 0; i < 100000; i++)
		CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, "(", 1, NULL), 0);
	CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, "x", 1, NULL), 0);
	for (unsigned i = 0; i < 100000; i++)
		CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, ")", 1, NULL), 0);
	CU_ASSERT(stoker_matcher_may_end(m));
	stoker_matcher_reset(m);
	for (unsigned i = 0; i < 300000 && !ret; i++)
		ret = stoker_matcher_accept_text(m, "(", 1, NULL);
	CU_ASSERT_EQUAL(ret, -E2BIG);
	stoker_matcher_free(&m);
	m = begin("root ::= (\"a\" root \"b\" | \"a\" root \"c\" | \"a\" root)?");
	for (unsigned i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, "a", 1, NULL), 0);
	for (unsigned i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, &"bc"[i % 2], 1, NULL), 0);
	stoker_matcher_free(&m);
	m = begin("root ::= \"a\" root | b\nb ::= [a-z]*");
	for (unsigned i = 0; i < 100000; i++)
		CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, "a", 1, NULL), 0);
	stoker_matcher_free(&m);
	m = begin("root ::= (\"a\" root \"a\" | \"a\")");
	for (ret = 0; !ret;)
		ret = stoker_matcher_accept_text(m, "a", 1, NULL);
	CU_ASSERT_EQUAL(ret, -E2BIG);
	stoker_matcher_free(&m);
}

void add_grammar_tokens(void)
{
	TEST(test_calls);
	TEST(test_long_texts);
	TEST(test_failing_memory);
	TEST(test_texts);
	TEST(test_masks);
	TEST(test_masks_of_models);
}
