// SPDX-License-Identifier: MIT
/*
 * Grammars along texts: beside a matcher that tries everything, on grammars made at random, and
 * masks beside each token tried by itself.
 */
#include <pthread.h>

#include "failing.h"
#include "grammar/grammar.h"
#include "random_grammar.h"
#include "unit.h"

/* All texts of three letters up to a length: a text may end where it matches, and may go on where a
 * longer one matches. */
static unsigned check_texts(struct stoker_matcher *m, char *text, unsigned length, unsigned longest)
{
	struct stoker_matcher *next;
	unsigned found = random_grammar_matches(text, length);

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
				CU_ASSERT(!random_grammar_matches(text, length + 1 + more / 9));
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
		char text[RANDOM_LONGEST + 8] = "";

		const char *gbnf = random_grammar();

		if (stoker_grammar_compile(NULL, gbnf, strlen(gbnf), &g, &err)) {
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
		check_walk(random_grammar(), steps);
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

/* A text that can be read in ever more ways comes to the same places by most of them. */
static void test_ambiguous(void)
{
	static const char gbnf[] = "root ::= s \"!\"\ns ::= [a-z ] s s | [a-z ] s | [a-z ]";
	const char *folder = vectors_folder("masks of texts that can be read in many ways");
	struct stoker_grammar *g;
	struct stoker_matcher *m;
	char path[512];

	snprintf(path, sizeof(path), "%s/tokenizer/ggml-vocab-gpt-2.gguf", folder ? folder : "");
	if (!folder || stoker_vocabulary_load(path, &vocabulary, NULL))
		return;
	words = (stoker_vocabulary_size(vocabulary) + 31) / 32;
	bits = calloc(words, sizeof(*bits));
	CU_ASSERT_EQUAL_FATAL(stoker_grammar_compile(vocabulary, gbnf, strlen(gbnf), &g, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
	for (unsigned i = 0; i < 40; i++) {
		CU_ASSERT_EQUAL(stoker_matcher_mask(m, bits, words), 0);
		CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, "a", 1, NULL), 0);
	}
	stoker_matcher_free(&m);
	stoker_grammar_free(&g);
	free(bits);
	stoker_vocabulary_free(&vocabulary);
}

/* Too many ways to go on are a failure, and not a mask without tokens. */
static void test_too_many_ways(void)
{
	enum { RULES = 1000 };
	char *gbnf = malloc(64 * RULES), *at = gbnf;
	struct stoker_grammar *g;
	struct stoker_matcher *m;
	int ret = 0;

	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, NULL), 0);
	words = (stoker_vocabulary_size(vocabulary) + 31) / 32;
	bits = calloc(words, sizeof(*bits));
	at += sprintf(at, "root ::= a0");
	for (unsigned i = 1; i < RULES; i++)
		at += sprintf(at, "|a%u", i);
	for (unsigned i = 0; i < RULES; i++)
		at += sprintf(at, "\na%u ::= [a-z] [a-z] (a%u|a%u|a%u) [a-%c]? | [a-z]", i,
			      2 * i % RULES, (2 * i + 1) % RULES, (3 * i + 7) % RULES,
			      'b' + i % 24);
	CU_ASSERT_EQUAL_FATAL(
		stoker_grammar_compile(vocabulary, gbnf, (size_t)(at - gbnf), &g, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
	for (unsigned i = 0; i < 10 && !ret; i++) {
		unsigned allowed = 0;

		ret = stoker_matcher_mask(m, bits, words);
		for (size_t w = 0; w < words; w++)
			allowed |= bits[w];
		CU_ASSERT(ret == -E2BIG || allowed);
		if (!ret)
			stoker_matcher_accept_text(m, "a", 1, NULL);
	}
	CU_ASSERT_EQUAL(ret, -E2BIG);
	stoker_matcher_free(&m);
	stoker_grammar_free(&g);
	free(gbnf);
	free(bits);
	stoker_vocabulary_free(&vocabulary);
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
	stoker_matcher_free(&m);
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

/* States are forgotten when they take too much, again and again, and masks stay what they are. */
static void test_small_memory(void)
{
	static const size_t limits[] = { 0, 3000, 20000 };
	struct stoker_grammar *g;
	struct stoker_matcher *m;
	uint32_t token;

	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, NULL), 0);
	words = (stoker_vocabulary_size(vocabulary) + 31) / 32;
	bits = calloc(words, sizeof(*bits));
	others = calloc(words, sizeof(*others));
	for (size_t l = 0; l < ARRAY_SIZE(limits); l++) {
		CU_ASSERT_EQUAL_FATAL(
			stoker_grammar_compile(vocabulary, json, strlen(json), &g, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
		g->lazy.limit = limits[l];
		for (unsigned s = 0; s < 60; s++) {
			check_mask(m);
			CU_ASSERT(g->lazy.bytes < limits[l] + 20000);
			if (!random_token(&token))
				break;
			CU_ASSERT_EQUAL(stoker_matcher_accept(m, token), 0);
		}
		stoker_matcher_free(&m);
		stoker_grammar_free(&g);
	}
	free(bits);
	free(others);
	stoker_vocabulary_free(&vocabulary);
}

enum { THREADS = 4 };

struct user {
	pthread_t thread;
	struct stoker_grammar *grammar;
	uint32_t seed;
	uint64_t sum; /* of all masks */
};

static void *walk(void *arg)
{
	struct user *u = arg;
	struct stoker_matcher *m;
	uint32_t mask[64], seed = u->seed;

	if (stoker_matcher_create(u->grammar, &m, NULL))
		return NULL;
	for (unsigned s = 0; s < 200; s++) {
		uint32_t t;

		if (stoker_matcher_mask(m, mask, words))
			break;
		for (size_t w = 0; w < words; w++)
			u->sum = u->sum * 31 + mask[w];
		for (t = 0; t < 10000; t++) {
			seed = seed * 1664525 + 1013904223;
			if (!stoker_matcher_accept(m, (seed >> 8) % (32 * (uint32_t)words)))
				break;
		}
		if (t == 10000)
			stoker_matcher_reset(m);
	}
	stoker_matcher_free(&m);
	return NULL;
}

/* Threads share a grammar and what is found out about it. */
static void test_threads(void)
{
	struct user users[THREADS] = { 0 }, alone = { 0 };
	struct stoker_grammar *g;

	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, NULL), 0);
	words = (stoker_vocabulary_size(vocabulary) + 31) / 32;
	CU_ASSERT_FATAL(words <= 64);
	CU_ASSERT_EQUAL_FATAL(stoker_grammar_compile(vocabulary, json, strlen(json), &g, NULL), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		users[i].grammar = g;
		users[i].seed = i;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&users[i].thread, NULL, walk, &users[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(users[i].thread, NULL);
	stoker_grammar_free(&g);
	for (uint32_t i = 0; i < THREADS; i++) {
		CU_ASSERT_EQUAL_FATAL(
			stoker_grammar_compile(vocabulary, json, strlen(json), &g, NULL), 0);
		alone = (struct user){ .grammar = g, .seed = i };
		walk(&alone);
		CU_ASSERT(alone.sum == users[i].sum && alone.sum);
		stoker_grammar_free(&g);
	}
	stoker_vocabulary_free(&vocabulary);
}

/* llama.cpp's own grammars are taken, and their masks right. */
static void test_peer_grammars(void)
{
	static const char *const names[] = { "arithmetic", "c",	   "chess",    "english",
					     "japanese",   "json", "json_arr", "list" };
	const char *folder = getenv("PEER_GRAMMARS");

	if (!folder) {
		skip("grammars of llama.cpp", "no $PEER_GRAMMARS, its folder grammars/");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, NULL), 0);
	words = (stoker_vocabulary_size(vocabulary) + 31) / 32;
	bits = calloc(words, sizeof(*bits));
	others = calloc(words, sizeof(*others));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct stoker_error err;
		struct stoker_grammar *g;
		char path[512], *text;
		size_t bytes;

		snprintf(path, sizeof(path), "%s/%s.gbnf", folder, names[i]);
		text = load_file(path, &bytes);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		if (stoker_grammar_compile(vocabulary, text, bytes, &g, &err)) {
			printf("\n    %s: %s", names[i], err.message);
			CU_FAIL("refused");
		}
		stoker_grammar_free(&g);
		random_seed(i);
		check_walk(text, 100);
		free(text);
	}
	free(bits);
	free(others);
	stoker_vocabulary_free(&vocabulary);
}

void add_grammar_tokens(void)
{
	TEST(test_small_memory);
	TEST(test_threads);
	TEST(test_peer_grammars);
	TEST(test_calls);
	TEST(test_long_texts);
	TEST(test_failing_memory);
	TEST(test_texts);
	TEST(test_masks);
	TEST(test_masks_of_models);
	TEST(test_ambiguous);
	TEST(test_too_many_ways);
}
