// SPDX-License-Identifier: MIT
/* Sampling under a grammar: beside sampling of logits that were masked before, and its switches. */
#include <unistd.h>

#include "answers.h"
#include "failing.h"

/* Bytes, a few longer tokens, and tags that are control tokens. */
enum { END = 2, FIRST_BYTE = 3, THINK = 259, END_THINK, CALL, FIRST_TEXT };

static const char *const texts[] = {
	"{\"",	 "\": ", "\"}",	 "\", \"", "ab",  "abc",   "true",     "tru",	       "123",
	" ",	 "{}",	 "name", "call",   "ll{", "}ca",   "äö",       "\xc3",	       "\"a\"",
	"call}", "",	 "",	 "ab",	   "ab",  "\xa4z", "\xff\xfe", "z\xf0\x9f\x98"
};
enum { VOCABULARY = FIRST_TEXT + ARRAY_SIZE(texts) };

static const char json[] =
	"root ::= object\nvalue ::= object | string | [0-9]+ | \"true\"\n"
	"object ::= \"{\" (pair (\", \" pair)*)? \"}\"\npair ::= string \": \" value\n"
	"string ::= \"\\\"\" [^\"\\\\\\x00-\\x1f]* \"\\\"\"";

static struct stoker_vocabulary *vocabulary;

static void make_vocabulary(void)
{
	static char spelled[256][8];
	static const char *const named[] = { "<unk>", "<s>", "</s>" };
	static const char *const tags[] = { "<think>", "</think>", "<call>" };
	char path[] = "/tmp/stoker-grammar-XXXXXX";
	struct stoker_string tokens[VOCABULARY];
	float scores[VOCABULARY] = { 0 };
	int32_t types[VOCABULARY];
	struct stoker_gguf_writer *w;
	struct stoker_error err = { "" };

	close(mkstemp(path));
	for (uint32_t i = 0; i < VOCABULARY; i++) {
		const char *text = i < 3 ? named[i] : i >= FIRST_TEXT ? texts[i - FIRST_TEXT] : "";

		if (i >= THINK && i < FIRST_TEXT)
			text = tags[i - THINK];
		if (i >= FIRST_BYTE && i < THINK) {
			snprintf(spelled[i - 3], 8, "<0x%02X>", i - 3);
			text = spelled[i - 3];
		}
		types[i] = i == 0 ? 2 : i < 3 ? 3 : i < THINK ? 6 : i < FIRST_TEXT ? 3 : 1;
		tokens[i] = (struct stoker_string){ text, strlen(text) };
	}
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, &err), 0);
	stoker_gguf_writer_put_string(w, "general.architecture", "llama");
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "llama");
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", tokens, VOCABULARY);
	stoker_gguf_writer_put_f32s(w, "tokenizer.ggml.scores", scores, VOCABULARY);
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, VOCABULARY);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, &err), 0);
	if (stoker_vocabulary_load(path, &vocabulary, &err))
		printf("\n    %s", err.message);
	unlink(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(vocabulary);
}

static struct stoker_grammar *compile(const char *gbnf)
{
	struct stoker_grammar *g;
	struct stoker_error err;

	if (stoker_grammar_compile(vocabulary, gbnf, strlen(gbnf), &g, &err))
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	return g;
}

static struct stoker_sampler *sampler_of(const struct stoker_sampler_params *p)
{
	struct stoker_sampler *s;
	struct stoker_error err = { "" };

	if (stoker_sampler_create(p, &s, &err))
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

/* @grammar may be NULL: the caller has freed it. */
static void check_choices(struct stoker_sampler_params p, const struct stoker_grammar *grammar,
			  unsigned steps)
{
	struct stoker_sampler *one, *other, *copy;
	struct stoker_matcher *m;
	uint32_t bits[VOCABULARY / 32 + 1];

	p.vocabulary = vocabulary;
	other = sampler_of(&p);
	p.grammar = grammar;
	one = sampler_of(&p);
	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(grammar, &m, NULL), 0);
	for (unsigned s = 0; s < steps; s++) {
		float logits[VOCABULARY + 8], masked[VOCABULARY + 8];
		uint32_t token = 0, expected = 1;

		for (uint32_t t = 0; t < VOCABULARY + 8; t++)
			logits[t] = 4 * random_float() + (t == END ? -2 : 0);
		CU_ASSERT_EQUAL(stoker_matcher_mask(m, bits, ARRAY_SIZE(bits)), 0);
		for (uint32_t t = 0; t < VOCABULARY + 8; t++)
			masked[t] = t < VOCABULARY && bits[t / 32] >> t % 32 & 1 ? logits[t]
										 : -INFINITY;
		CU_ASSERT_EQUAL(stoker_sampler_sample(one, logits, VOCABULARY + 8, &token), 0);
		CU_ASSERT_EQUAL(stoker_sampler_sample(other, masked, VOCABULARY + 8, &expected), 0);
		CU_ASSERT_EQUAL_FATAL(token, expected);
		CU_ASSERT_EQUAL(stoker_matcher_accept(m, token), 0);
		if (s % 16 != 7)
			continue;
		/* goes on in the same way */
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_clone(one, &copy, NULL), 0);
		stoker_sampler_free(&one);
		one = copy;
	}
	stoker_matcher_free(&m);
	stoker_sampler_free(&one);
	stoker_sampler_free(&other);
}

static void test_choices(void)
{
	static const struct stoker_sampler_params all[] = {
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 0 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 0, .repeat_penalty = 1.3f,
		  .dry_multiplier = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 0.8f, .top_k = 5, .top_p = 0.9f,
		  .min_p = 0.1f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .top_n_sigma = 1,
		  .typical_p = 0.7f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .xtc_probability = 0.5f,
		  .xtc_threshold = 0.1f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .mirostat = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .mirostat = 2,
		  .presence_penalty = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 2, .dynamic_range = 1 },
	};
	struct stoker_grammar *g;

	make_vocabulary();
	g = compile(json);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct stoker_sampler_params p = all[i];

		random_seed(i);
		p.seed = i;
		check_choices(p, g, 300);
	}
	stoker_grammar_free(&g);
	stoker_vocabulary_free(&vocabulary);
}

/* Samples greedily where @wish is the most likely token, and @second behind it. */
static uint32_t next(struct stoker_sampler *s, uint32_t wish, uint32_t second)
{
	float logits[VOCABULARY];
	uint32_t token = UINT32_MAX;

	for (uint32_t i = 0; i < VOCABULARY; i++)
		logits[i] = -1;
	logits[second] = 1;
	logits[wish] = 2;
	if (stoker_sampler_sample(s, logits, VOCABULARY, &token))
		return UINT32_MAX;
	return token;
}

static uint32_t byte(char b)
{
	return FIRST_BYTE + (uint8_t)b;
}

static uint32_t text(const char *wanted)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(texts[i], wanted))
			return FIRST_TEXT + i;
	return UINT32_MAX;
}

static void test_reasoning(void)
{
	const struct stoker_reasoning_params reasoning = { STOKER_REASONING_PARAMS_INIT,
							   .budget = 3, .start = "<think>",
							   .end = "</think>" };
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .reasoning = &reasoning };
	struct stoker_grammar *g;
	struct stoker_sampler *s;

	make_vocabulary();
	g = compile("root ::= \"ab\" .*");
	p.grammar = g;
	p.vocabulary = vocabulary;
	s = sampler_of(&p);
	stoker_grammar_free(&g);
	for (unsigned round = 0; round < 2; round++) {
		/* the tag may come first; what stands between tags is free */
		CU_ASSERT_EQUAL(next(s, byte('x'), THINK), THINK);
		CU_ASSERT_EQUAL(next(s, byte('x'), 0), byte('x'));
		CU_ASSERT_EQUAL(next(s, CALL, 0), CALL);
		CU_ASSERT_EQUAL(next(s, byte('}'), 0), byte('}'));
		CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_FORCING);
		CU_ASSERT_EQUAL(next(s, byte('x'), 0), END_THINK);
		CU_ASSERT_EQUAL(next(s, byte('x'), byte('a')), byte('a'));
		CU_ASSERT_EQUAL(next(s, THINK, byte('b')), byte('b'));
		CU_ASSERT_EQUAL(next(s, THINK, END), END);
		if (round)
			stoker_sampler_reset(s);
		else
			stoker_sampler_begin(s, &(uint32_t){ byte('y') }, 1);
	}
	/* a prompt may have opened it */
	stoker_sampler_begin(s, &(uint32_t){ THINK }, 1);
	CU_ASSERT_EQUAL(next(s, byte('x'), byte('a')), byte('x'));
	stoker_sampler_begin(s, NULL, 0);
	CU_ASSERT_EQUAL(next(s, byte('x'), byte('a')), byte('a'));
	stoker_sampler_free(&s);
	/* a grammar may have the tags itself, and text that spells them is no reasoning */
	g = compile("root ::= <think> [a-b<>hikn-t]+ </think> \"x\"");
	p.grammar = g;
	s = sampler_of(&p);
	CU_ASSERT_EQUAL(next(s, byte('x'), THINK), THINK);
	for (const char *c = "<think>abababab"; *c; c++)
		CU_ASSERT_EQUAL(next(s, byte('x'), byte(*c)), byte(*c));
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	CU_ASSERT_EQUAL(next(s, byte('x'), END_THINK), END_THINK);
	CU_ASSERT_EQUAL(next(s, byte('x'), byte('a')), byte('x'));
	stoker_sampler_free(&s);
	stoker_grammar_free(&g);
	stoker_vocabulary_free(&vocabulary);
}

static void test_triggers(void)
{
	static const char *const words[] = { "call{", "none" };
	static const uint32_t tokens[] = { CALL };
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .trigger_texts = words,
					   .trigger_text_count = 2 };
	struct stoker_grammar *g;
	struct stoker_sampler *s, *copy;

	make_vocabulary();
	g = compile("root ::= (\"call{\" | \"none\") \"true\" \"}\"?");
	p.grammar = g;
	s = sampler_of(&p);
	stoker_grammar_free(&g);
	for (unsigned round = 0; round < 3; round++) {
		/* anything goes until the trigger, in the middle of a token, is complete */
		CU_ASSERT_EQUAL(next(s, byte('x'), 0), byte('x'));
		CU_ASSERT_EQUAL(next(s, END_THINK, 0), END_THINK);
		CU_ASSERT_EQUAL(next(s, text("}ca"), 0), text("}ca"));
		CU_ASSERT_EQUAL(stoker_sampler_clone(s, &copy, NULL), 0);
		CU_ASSERT_EQUAL(next(s, text("ll{"), 0), text("ll{"));
		CU_ASSERT_EQUAL(next(s, byte('x'), text("true")), text("true"));
		CU_ASSERT_EQUAL(next(s, byte('x'), END), END);
		CU_ASSERT_EQUAL(next(s, byte('x'), byte('}')), byte('}'));
		CU_ASSERT_EQUAL(next(s, byte('x'), END), END);
		stoker_sampler_free(&s);
		s = copy;
		CU_ASSERT_EQUAL(next(s, text("ll{"), 0), text("ll{"));
		CU_ASSERT_EQUAL(next(s, byte('x'), byte('t')), byte('t'));
		if (round)
			stoker_sampler_reset(s);
		else
			stoker_sampler_begin(s, NULL, 0);
	}
	stoker_sampler_free(&s);
	/* a trigger with something behind it that isn't allowed is none of the choices */
	g = compile("root ::= \"call\" \"{\" | <call> [a-c]+");
	p = (struct stoker_sampler_params){ STOKER_SAMPLER_PARAMS_INIT,
					    .grammar = g,
					    .trigger_texts = (const char *const[]){ "call" },
					    .trigger_text_count = 1,
					    .trigger_tokens = tokens,
					    .trigger_token_count = 1 };
	s = sampler_of(&p);
	CU_ASSERT_EQUAL(next(s, text("call}"), byte('c')), byte('c'));
	CU_ASSERT_EQUAL(next(s, text("call}"), text("call")), text("call"));
	CU_ASSERT_EQUAL(next(s, byte('x'), byte('{')), byte('{'));
	stoker_sampler_reset(s);
	CU_ASSERT_EQUAL(next(s, CALL, 0), CALL);
	CU_ASSERT_EQUAL(next(s, byte('x'), byte('b')), byte('b'));
	CU_ASSERT_EQUAL(next(s, byte('x'), END), END);
	stoker_sampler_free(&s);
	stoker_grammar_free(&g);
	stoker_vocabulary_free(&vocabulary);
}

static void check_refused(const struct stoker_sampler_params *p, const char *message)
{
	struct stoker_sampler *s;
	struct stoker_error err = { "" };

	CU_ASSERT_EQUAL(stoker_sampler_create(p, &s, &err), -EINVAL);
	CU_ASSERT_PTR_NULL(s);
	if (!strstr(err.message, message)) {
		printf("\n    %s", err.message);
		CU_FAIL("another message");
	}
}

static void test_refused(void)
{
	static const char *const words[] = { "call", "" };
	static const uint32_t tokens[] = { CALL, VOCABULARY };
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .trigger_token_count = 1,
					   .trigger_tokens = tokens };
	struct stoker_vocabulary *other;
	struct stoker_grammar *g;
	struct stoker_sampler *s;
	float logits[VOCABULARY];
	uint32_t token;

	make_vocabulary();
	check_refused(&p, "triggers without a grammar");
	CU_ASSERT_EQUAL_FATAL(stoker_grammar_compile(NULL, "root ::= .", 10, &g, NULL), 0);
	p = (struct stoker_sampler_params){ STOKER_SAMPLER_PARAMS_INIT, .grammar = g };
	check_refused(&p, "without a vocabulary");
	stoker_grammar_free(&g);
	g = compile("root ::= \"ca\" [m]");
	p = (struct stoker_sampler_params){ STOKER_SAMPLER_PARAMS_INIT, .grammar = g,
					    .trigger_texts = words };
	p.trigger_text_count = 1;
	check_refused(&p, "begins with the trigger \"call\"");
	p.trigger_texts = words + 1;
	check_refused(&p, "trigger 1 of the grammar has 0 bytes");
	p.trigger_text_count = 65;
	check_refused(&p, "65 triggers");
	p.trigger_text_count = 0;
	p.trigger_tokens = tokens;
	p.trigger_token_count = 1;
	check_refused(&p, "trigger \"token 261\"");
	p.trigger_token_count = 0;
	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_load("tests/data/containers/plain.gguf", &other, NULL), 0);
	p.vocabulary = other;
	check_refused(&p, "for another vocabulary");
	stoker_vocabulary_free(&other);
	/* nothing that is allowed has a chance */
	p.vocabulary = NULL;
	s = sampler_of(&p);
	for (uint32_t t = 0; t < VOCABULARY; t++)
		logits[t] = t == byte('c') || (t >= FIRST_TEXT && texts[t - FIRST_TEXT][0] == 'c')
				    ? -INFINITY
				    : 1;
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, VOCABULARY, &token), -EDOM);
	CU_ASSERT_EQUAL(next(s, byte('x'), byte('c')), byte('c'));
	stoker_sampler_free(&s);
	stoker_grammar_free(&g);
	stoker_vocabulary_free(&vocabulary);
}

/* Each allocation fails once; a failure leaves the sampler as it was. */
static void test_memory(void)
{
	static const char *const words[] = { "{\"" };
	struct stoker_grammar *g;
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .temperature = 1,
					   .trigger_texts = words, .trigger_text_count = 1 };
	bool failed = true;

	make_vocabulary();
	for (unsigned n = 0; failed; n++) {
		struct stoker_sampler *s = NULL, *copy = NULL;
		int ret;

		g = compile(json);
		p.grammar = g;
		failing_after(n);
		ret = stoker_sampler_create(&p, &s, NULL);
		for (unsigned t = 0; t < 6 && !ret; t++) {
			static const uint32_t wishes[] = { 100, FIRST_TEXT, 200, 200, 3, 150 };
			float logits[VOCABULARY] = { 0 };
			uint32_t token;

			logits[wishes[t]] = 100;
			ret = stoker_sampler_sample(s, logits, VOCABULARY, &token);
		}
		if (!ret)
			ret = stoker_sampler_clone(s, &copy, NULL);
		failed = failing_end();
		CU_ASSERT(ret == (failed ? -ENOMEM : 0));
		if (s)
			CU_ASSERT(next(s, byte('a'), byte('b')) != UINT32_MAX);
		stoker_sampler_free(&copy);
		stoker_sampler_free(&s);
		stoker_grammar_free(&g);
	}
	stoker_vocabulary_free(&vocabulary);
}

/* Tokens without a text, with the same one, and such that end or begin within a character. */
static void test_odd_tokens(void)
{
	static const char *const gbnf[] = {
		"root ::= .*", "root ::= [a-bä]* \"x\"?", "root ::= <call>+ | !<call> \"b\"",
		"root ::= \"z\" \"\\U0001F600\" | [ä-ü] z\nz ::= \"z\" z?", "root ::= \"\""
	};
	uint32_t bits[VOCABULARY / 32 + 1];

	make_vocabulary();
	random_seed(4);
	for (size_t i = 0; i < ARRAY_SIZE(gbnf); i++) {
		struct stoker_grammar *g = compile(gbnf[i]);
		struct stoker_matcher *m;

		CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
		for (unsigned s = 0; s < 50; s++) {
			uint32_t token = random_u32() % VOCABULARY;

			CU_ASSERT_EQUAL(stoker_matcher_mask(m, bits, ARRAY_SIZE(bits)), 0);
			for (uint32_t t = 0; t < VOCABULARY; t++)
				CU_ASSERT_EQUAL(stoker_matcher_allows(m, t),
						bits[t / 32] >> t % 32 & 1);
			for (unsigned n = 0; n < VOCABULARY && stoker_matcher_accept(m, token); n++)
				token = (token + 1) % VOCABULARY;
		}
		stoker_matcher_free(&m);
		stoker_grammar_free(&g);
	}
	stoker_vocabulary_free(&vocabulary);
}

/* A request that makes room for another goes on in its grammar where it was. */
static void test_preempted(void)
{
	static const char gbnf[] = "root ::= ([a-m] [0-9]){400,600} \"x\"";
	static struct answer alone[2], a[2];
	struct stoker_grammar *g;
	struct stoker_engine *e;
	struct stoker_matcher *m;
	unsigned preempted = 0;

	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, NULL), 0);
	engine_load("tests/data/containers/plain.gguf");
	e = engine_open(1, 0, true);
	g = compile(gbnf);
	for (int i = 0; i < 2; i++) {
		answer_make(&alone[i], 17, i ? 5 : 200);
		alone[i].sampling.grammar = g;
		alone[i].sampling.temperature = 1;
		alone[i].priority = i ? STOKER_PRIORITY_INTERACTIVE : STOKER_PRIORITY_BATCH;
		CU_ASSERT_EQUAL(answer_submit(e, &alone[i], NULL), 0);
		answers_finish(e, &alone[i], 1);
	}
	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
	/* it may be done before the other comes */
	for (unsigned n = 0; n < 50 && !preempted; n++) {
		memcpy(a, alone, sizeof(a));
		CU_ASSERT_EQUAL(answer_submit(e, &a[0], NULL), 0);
		while (a[0].told < 4 && answer_take(e, a, 1))
			;
		CU_ASSERT_EQUAL(answer_submit(e, &a[1], NULL), 0);
		answers_finish(e, a, 2);
		preempted = a[0].done.timings.preempted;
		for (int i = 0; i < 2; i++)
			answer_check_alike(&alone[i], &a[i]);
	}
	CU_ASSERT(preempted);
	CU_ASSERT_EQUAL(a[0].told, 200);
	for (uint32_t n = 0; n < a[0].told; n++)
		CU_ASSERT_EQUAL(stoker_matcher_accept(m, a[0].tokens[n]), 0);
	stoker_matcher_free(&m);
	stoker_grammar_free(&g);
	stoker_engine_free(&e);
	engine_unload();
	stoker_vocabulary_free(&vocabulary);
}

/* Requests of the engine, each with a grammar, in the same steps. */
static void test_engine(void)
{
	static const char *const gbnf[] = { "root ::= [a-m]{4,9} \"!\"",
					    "root ::= (\"x\" | \"yz\"){3}",
					    "root ::= [0-9]{2} \"-\" [0-9]{2}" };
	static struct answer a[4];
	struct stoker_grammar *g;
	struct stoker_engine *e;
	struct stoker_error err;

	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_load("tests/data/containers/plain.gguf", &vocabulary, &err), 0);
	engine_load("tests/data/containers/plain.gguf");
	e = engine_open(4, 0, false);
	for (size_t i = 0; i < 3; i++) {
		g = compile(gbnf[i]);
		answer_make(&a[i], 5, 30);
		a[i].sampling.grammar = g;
		a[i].sampling.temperature = 1;
		CU_ASSERT_EQUAL(answer_submit(e, &a[i], NULL), 0);
		stoker_grammar_free(&g);
	}
	/* a token that is needed and forbidden */
	g = compile("root ::= \"a\" <[1]>");
	answer_make(&a[3], 5, 30);
	a[3].sampling = (struct stoker_sampler_params){
		STOKER_SAMPLER_PARAMS_INIT, .grammar = g,
		.biases = &(struct stoker_logit_bias){ .token = 1, .bias = -INFINITY },
		.bias_count = 1
	};
	CU_ASSERT_EQUAL(answer_submit(e, &a[3], NULL), 0);
	stoker_grammar_free(&g);
	answers_finish(e, a, 4);
	CU_ASSERT_EQUAL(a[3].done.finish, STOKER_FINISH_FAILED);
	CU_ASSERT_EQUAL(a[3].done.status, -EDOM);
	CU_ASSERT_PTR_NOT_NULL(strstr(a[3].done.error.message, "that the grammar allows"));
	for (size_t i = 0; i < 3; i++) {
		struct stoker_matcher *m;
		uint32_t n = 0;

		g = compile(gbnf[i]);
		CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
		for (; n < a[i].told && !stoker_vocabulary_is_end(vocabulary, a[i].tokens[n]); n++)
			CU_ASSERT_EQUAL(stoker_matcher_accept(m, a[i].tokens[n]), 0);
		CU_ASSERT(stoker_matcher_may_end(m) && n);
		stoker_matcher_free(&m);
		stoker_grammar_free(&g);
	}
	stoker_engine_free(&e);
	engine_unload();
	stoker_vocabulary_free(&vocabulary);
}

void add_grammar_sampler(void)
{
	TEST(test_choices);
	TEST(test_reasoning);
	TEST(test_triggers);
	TEST(test_refused);
	TEST(test_memory);
	TEST(test_engine);
	TEST(test_odd_tokens);
	TEST(test_preempted);
}
