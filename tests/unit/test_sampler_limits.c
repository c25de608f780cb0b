// SPDX-License-Identifier: MIT
/* Sampling at its limits: hostile logits and parameters, what files say, reasoning budgets. */
#include "unit.h"

#include <unistd.h>

static void test_logits_that_are_no_numbers(void)
{
	const float infinite[5] = { 1, NAN, INFINITY, INFINITY, 2 };
	const float nothing[3] = { NAN, -INFINITY, NAN };
	const struct stoker_logit_bias ban[] = { { 2, -INFINITY }, { 2, 5 }, { 3, -INFINITY } };
	struct stoker_sampler *s;
	uint32_t token = 12345;

	stoker_sampler_accept(NULL, 1);
	stoker_sampler_begin(NULL, NULL, 0);
	stoker_sampler_reset(NULL);
	stoker_sampler_free(NULL);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(NULL), STOKER_REASONING_IDLE);
	for (int hot = 0; hot < 2; hot++) {
		struct stoker_sampler_params p = { .temperature = (float)hot };

		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
		CU_ASSERT_EQUAL(stoker_sampler_sample(s, infinite, 0, &token), -EINVAL);
		CU_ASSERT_EQUAL(stoker_sampler_sample(s, NULL, 5, &token), -EINVAL);
		CU_ASSERT_EQUAL(stoker_sampler_sample(NULL, infinite, 5, &token), -EINVAL);
		CU_ASSERT_EQUAL(stoker_sampler_sample(s, nothing, 3, &token), -EDOM);
		CU_ASSERT_EQUAL(token, 12345);
		for (int i = 0; i < 20; i++) {
			CU_ASSERT_EQUAL(stoker_sampler_sample(s, infinite, 5, &token), 0);
			CU_ASSERT_EQUAL(token, 2); /* the first of those */
		}
		token = 12345;
		stoker_sampler_free(&s);
		p.biases = ban;
		p.bias_count = 3;
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
		for (int i = 0; i < 20; i++) {
			CU_ASSERT_EQUAL(stoker_sampler_sample(s, infinite, 5, &token), 0);
			CU_ASSERT(token == 0 || token == 4);
		}
		CU_ASSERT_EQUAL(stoker_sampler_sample(s, infinite + 2, 1, &token), 0);
		stoker_sampler_free(&s);
		token = 12345;
	}
}

/* Possible, if odd: whatever comes has a logit and isn't banned. */
static void test_extremes(void)
{
	static const char *const none[1];
	const struct stoker_logit_bias biases[] = { { 1, 3.4e38f },
						    { 2, -3.4e38f },
						    { 5, -INFINITY } };
	const struct stoker_sampler_params odd[] = {
		{ .temperature = 1e-45f },
		{ .temperature = 3e38f },
		{ .temperature = 1, .top_k = UINT32_MAX },
		{ .temperature = 1, .top_p = 1e-45f },
		{ .temperature = 1, .min_p = 1 },
		{ .temperature = 1, .typical_p = 1e-45f },
		{ .temperature = 1, .top_n_sigma = 1e-45f },
		{ .temperature = 1, .top_n_sigma = 3e38f },
		{ .temperature = 1, .top_n_sigma = -1 },
		{ .temperature = 1, .xtc_probability = 1, .xtc_threshold = 1e-45f },
		{ .temperature = 1, .xtc_probability = 1, .xtc_threshold = 1 },
		{ .temperature = 1, .dynamic_range = 3e38f, .dynamic_exponent = 3e38f },
		{ .temperature = 1, .dynamic_range = 1, .dynamic_exponent = 1e-45f },
		{ .temperature = 3e38f, .dynamic_range = 3e38f },
		{ .temperature = 1, .repeat_penalty = 1e-45f },
		{ .temperature = 1, .repeat_penalty = 3e38f, .repeat_last = UINT32_MAX },
		{ .temperature = 1, .frequency_penalty = 1000, .presence_penalty = -1000 },
		{ .temperature = 1,
		  .dry_multiplier = 3e38f,
		  .dry_base = 3e38f,
		  .dry_breakers = none },
		{ .temperature = 1,
		  .dry_multiplier = 1,
		  .dry_allowed_length = UINT32_MAX,
		  .dry_last = 1,
		  .dry_breakers = none },
		{ .temperature = 1, .mirostat = 1, .mirostat_tau = 3e38f, .mirostat_eta = 1 },
		{ .temperature = 1, .mirostat = 1, .mirostat_tau = 1e-45f, .mirostat_eta = 1 },
		{ .temperature = 1, .mirostat = 2, .mirostat_tau = 3e38f, .mirostat_eta = 1 },
		{ .temperature = 1e-45f, .mirostat = 2, .mirostat_tau = 1e-45f, .mirostat_eta = 1 },
		{ .temperature = 1, .biases = biases, .bias_count = 3 },
	};
	static const float values[] = { 0,	-0.0f,	   1,	-1,  3.4e38f, -3.4e38f,
					1e-45f, -INFINITY, NAN, 100, 88.7f,   -104 };
	float logits[300];

	random_seed(21);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct stoker_sampler *s;
		uint32_t token;

		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&odd[i], &s, NULL), 0);
		for (int round = 0; round < 300; round++) {
			const uint32_t n = 1 + random_u32() % 300;
			const bool wild = random_u32() % 2;

			for (uint32_t k = 0; k < n; k++)
				logits[k] = wild ? values[random_u32() % ARRAY_SIZE(values)]
						 : 5 * random_float();
			logits[0] = 0;
			token = n;
			CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, n, &token), 0);
			CU_ASSERT_FATAL(token < n);
			CU_ASSERT(isfinite(logits[token]));
			CU_ASSERT(!odd[i].biases || token != 5);
		}
		stoker_sampler_accept(s, UINT32_MAX);
		stoker_sampler_accept(s, UINT32_MAX - 1);
		CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, 1, &token), 0);
		stoker_sampler_free(&s);
	}
}

static void test_impossible_parameters(void)
{
	static const char *const many[33] = { "a" }, *const empty[] = { "a", "" },
				 *const missing[] = { NULL };
	static const struct stoker_logit_bias nan_bias = { 1, NAN }, inf_bias = { 1, INFINITY };
	static const struct stoker_reasoning_params reasoning = { .start = "<a>", .end = "</a>" };
	const struct {
		struct stoker_sampler_params p;
		const char *says;
	} bad[] = {
		{ { .temperature = -1 }, "temperature is -1" },
		{ { .temperature = NAN }, "temperature is nan" },
		{ { .temperature = INFINITY }, "temperature is inf" },
		{ { .top_p = 2 }, "top-p is 2, limits 0 and 1" },
		{ { .top_p = -0.5f }, "top-p is -0.5" },
		{ { .min_p = 1.5f }, "min-p is 1.5" },
		{ { .typical_p = NAN }, "typical p is nan" },
		{ { .top_n_sigma = INFINITY }, "top-n-sigma is inf" },
		{ { .xtc_probability = 1.01f }, "xtc probability is 1.01" },
		{ { .xtc_threshold = -1 }, "xtc threshold is -1" },
		{ { .dynamic_range = -1 }, "dynamic temperature is -1" },
		{ { .dynamic_exponent = NAN }, "dynamic temperature is nan" },
		{ { .repeat_penalty = -1 }, "repeat penalty is -1" },
		{ { .repeat_penalty = INFINITY }, "repeat penalty is inf" },
		{ { .presence_penalty = 1e9f }, "limits -1000 and 1000" },
		{ { .frequency_penalty = NAN }, "frequency penalty is nan" },
		{ { .repeat_last = 65537 }, "65537 tokens, the limit is 65536" },
		{ { .dry_last = 1u << 31 }, "2147483648 tokens, the limit is 65536" },
		{ { .dry_multiplier = -1 }, "dry multiplier is -1" },
		{ { .dry_multiplier = 1, .dry_base = 0.5f }, "dry base is 0.5, limits 1" },
		{ { .dry_multiplier = 1 }, "needs the vocabulary" },
		{ { .dry_breakers = many, .dry_breaker_count = 33 }, "33 breakers" },
		{ { .dry_breakers = empty, .dry_breaker_count = 2 }, "breaker 2 for dry has 0" },
		{ { .dry_breakers = missing, .dry_breaker_count = 1 }, "breaker 1 for dry" },
		{ { .mirostat = 3 }, "mirostat 3, there are 1 and 2" },
		{ { .mirostat_tau = -1 }, "tau is -1" },
		{ { .mirostat_eta = 2 }, "eta is 2, limits 0 and 1" },
		{ { .biases = &nan_bias, .bias_count = 1 }, "bias nan of token 1" },
		{ { .biases = &inf_bias, .bias_count = 1 }, "bias inf of token 1" },
		{ { .bias_count = 1 }, "1 biases" },
		{ { .biases = &nan_bias, .bias_count = SIZE_MAX }, "the limit is 65536" },
		{ { .stages = { 1, 200 } }, "stage 200" },
		{ { .stages = { 4, 5, 4 } }, "stage 4 of sampling is listed twice" },
		{ { .reasoning = &reasoning }, "needs the vocabulary" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct stoker_sampler *s = (void *)1;
		struct stoker_error err = { "" };

		CU_ASSERT_EQUAL(stoker_sampler_create(&bad[i].p, &s, &err), -EINVAL);
		CU_ASSERT_PTR_NULL(s);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, bad[i].says));
		if (!strstr(err.message, bad[i].says))
			printf("\n    \"%s\" isn't in \"%s\"", bad[i].says, err.message);
	}
}

/* Large vocabularies in orders that trip sorting; a quadratic step would take minutes. */
static void test_large_vocabularies(void)
{
	enum { TOKENS = 262144 };
	AUTO_FREE float *logits = malloc(TOKENS * sizeof(*logits));
	const uint64_t began = stoker_now_ns();
	struct stoker_sampler_params p[3] = { { .temperature = 1, .top_p = 0.99f },
					      { .temperature = 1, .typical_p = 0.99f } };

	CU_ASSERT_PTR_NOT_NULL_FATAL(logits);
	stoker_sampler_defaults(&p[2]);
	for (int shape = 0; shape < 4; shape++)
		for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
			struct stoker_sampler *s;
			uint32_t token = TOKENS;

			for (uint32_t k = 0; k < TOKENS; k++)
				logits[k] = shape == 0	 ? 1
					    : shape == 1 ? (float)k * 1e-5f
					    : shape == 2 ? (float)(TOKENS - k) * 1e-5f
							 : (float)(k % 2);
			CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p[i], &s, NULL), 0);
			CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, TOKENS, &token), 0);
			CU_ASSERT(token < TOKENS);
			stoker_sampler_free(&s);
		}
	CU_ASSERT(stoker_now_ns() - began < 20000000000u);
}

/* A vocabulary with tags as tokens of their own, letters, and all bytes. */
enum { THINK = 259, END_THINK, LETTER_A, TWO_LINES = LETTER_A + 26, VOCABULARY };

static struct stoker_vocabulary *vocabulary(void)
{
	static char spelled[256][8], letters[26][2];
	char path[] = "/tmp/stoker-sampler-XXXXXX";
	struct stoker_string texts[VOCABULARY];
	struct stoker_vocabulary *v = NULL;
	float scores[VOCABULARY] = { 0 };
	int32_t types[VOCABULARY];
	struct stoker_gguf_writer *w;
	struct stoker_error err;
	const int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	for (uint32_t i = 0; i < VOCABULARY; i++) {
		static const char *const named[] = { "<unk>", "<s>", "</s>" };
		const char *text = "<think>";

		types[i] = i == 0 ? 2 : i < 3 ? 3 : i < THINK ? 6 : i < LETTER_A ? 3 : 1;
		if (i < 3) {
			text = named[i];
		} else if (i < THINK) {
			snprintf(spelled[i - 3], 8, "<0x%02X>", i - 3);
			text = spelled[i - 3];
		} else if (i == END_THINK) {
			text = "</think>";
		} else if (i == TWO_LINES) {
			text = ":\n";
		} else if (i >= LETTER_A) {
			letters[i - LETTER_A][0] = (char)('a' + i - LETTER_A);
			text = letters[i - LETTER_A];
		}
		texts[i] = (struct stoker_string){ text, strlen(text) };
	}
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, &err), 0);
	stoker_gguf_put_string(w, "general.architecture", "llama");
	stoker_gguf_put_string(w, "tokenizer.ggml.model", "llama");
	stoker_gguf_put_strings(w, "tokenizer.ggml.tokens", texts, VOCABULARY);
	stoker_gguf_put_f32s(w, "tokenizer.ggml.scores", scores, VOCABULARY);
	stoker_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, VOCABULARY);
	stoker_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, &err), 0);
	if (stoker_vocabulary_load(path, &v, &err))
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	unlink(path);
	return v;
}

static uint32_t byte(unsigned b)
{
	return 3 + b;
}

/* Samples greedily where @wish is the most likely token. */
static uint32_t next(struct stoker_sampler *s, uint32_t wish)
{
	float logits[VOCABULARY + 8];
	uint32_t token = UINT32_MAX;

	for (uint32_t i = 0; i < VOCABULARY + 8; i++)
		logits[i] = i < VOCABULARY ? 0 : 100;
	logits[wish] = 10;
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, VOCABULARY + 8, &token), 0);
	return token;
}

static void say(struct stoker_sampler *s, const char *text)
{
	for (; *text; text++)
		CU_ASSERT_EQUAL(next(s, byte((uint8_t)*text)), byte((uint8_t)*text));
}

static struct stoker_sampler *thinker(const struct stoker_vocabulary *v, const char *start,
				      int32_t budget, const char *message)
{
	const struct stoker_reasoning_params r = {
		.budget = budget, .start = start, .end = "</think>", .message = message
	};
	const struct stoker_sampler_params p = { .vocabulary = v, .reasoning = &r };
	struct stoker_sampler *s = NULL;
	struct stoker_error err;

	if (stoker_sampler_create(&p, &s, &err))
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static void test_reasoning_budget(void)
{
	struct stoker_vocabulary *v = vocabulary();
	struct stoker_sampler *s = thinker(v, "<think>", 3, "ok"), *copy;
	const uint32_t x = LETTER_A + 23;

	stoker_vocabulary_free(&v); /* samplers keep it */
	/* rows beyond the vocabulary are never chosen, though their logits are the highest */
	CU_ASSERT_EQUAL(next(s, x), x);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	CU_ASSERT_EQUAL(next(s, THINK), THINK);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_COUNTING);
	CU_ASSERT_EQUAL(next(s, x), x);
	CU_ASSERT_EQUAL(next(s, x), x);
	/* the third token begins a character of four bytes */
	CU_ASSERT_EQUAL(next(s, byte(0xf0)), byte(0xf0));
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_FINISHING);
	CU_ASSERT_EQUAL(next(s, byte(0x9f)), byte(0x9f));
	CU_ASSERT_EQUAL(next(s, byte(0x98)), byte(0x98));
	CU_ASSERT_EQUAL(next(s, byte(0x80)), byte(0x80));
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_FORCING);
	CU_ASSERT_EQUAL(next(s, x), LETTER_A + 14);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_clone(s, &copy, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct stoker_sampler *which = i ? copy : s;

		CU_ASSERT_EQUAL(next(which, x), LETTER_A + 10);
		CU_ASSERT_EQUAL(next(which, x), END_THINK);
		CU_ASSERT_EQUAL(stoker_sampler_reasoning(which), STOKER_REASONING_DONE);
		CU_ASSERT_EQUAL(next(which, x), x);
	}
	/* another start has a budget of its own, and an end in time isn't touched */
	CU_ASSERT_EQUAL(next(s, THINK), THINK);
	CU_ASSERT_EQUAL(next(s, x), x);
	CU_ASSERT_EQUAL(next(s, END_THINK), END_THINK);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_DONE);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(next(s, x), x);
	stoker_sampler_reset(s);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	stoker_sampler_free(&s);
	stoker_sampler_free(&copy);
}

/* Tags as the model likes to cut them: letter by letter, with other text in the same token. */
static void test_reasoning_tags_in_pieces(void)
{
	struct stoker_vocabulary *v = vocabulary();
	const uint32_t prompt[] = { 1, THINK, byte('\n'), byte(' ') },
		       question[] = { 1, THINK, byte('?'), byte('\n') };
	struct stoker_sampler *s = thinker(v, "[[go]]", 0, NULL);

	say(s, "[[go]");
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	say(s, "[[[go]]");
	CU_ASSERT_EQUAL(next(s, LETTER_A), END_THINK);
	CU_ASSERT_EQUAL(next(s, LETTER_A), LETTER_A);
	stoker_sampler_free(&s);
	/* a tag that is a token isn't meant when it is spelled out */
	s = thinker(v, "<think>", 0, NULL);
	say(s, "write <think> and </think> around it");
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	/* a prompt that ends with the tag has begun; one that asks about it hasn't */
	stoker_sampler_begin(s, prompt, 4);
	CU_ASSERT_EQUAL(next(s, LETTER_A), END_THINK);
	stoker_sampler_begin(s, question, 4);
	CU_ASSERT_EQUAL(next(s, LETTER_A), LETTER_A);
	stoker_sampler_free(&s);

	s = thinker(v, "<think>", -1, NULL);
	stoker_sampler_begin(s, prompt, 2);
	for (int i = 0; i < 300; i++)
		CU_ASSERT_EQUAL(next(s, LETTER_A), LETTER_A);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_COUNTING);
	say(s, "</t</think>");
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_DONE);
	stoker_sampler_free(&s);

	/* a character that never ends is waited for no longer than a character can be */
	s = thinker(v, "<think>", 1, NULL);
	CU_ASSERT_EQUAL(next(s, THINK), THINK);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(next(s, byte(0xf0)), byte(0xf0));
	CU_ASSERT_EQUAL(next(s, byte(0xf0)), END_THINK);
	stoker_sampler_free(&s);
	stoker_vocabulary_free(&v);
}

static void test_reasoning_by_ids(void)
{
	struct stoker_vocabulary *v = vocabulary();
	const uint32_t start[] = { LETTER_A, LETTER_A, LETTER_A + 1 }, end[] = { 5, 6 },
		       beyond[] = { VOCABULARY };
	struct stoker_reasoning_params r = {
		.start_ids = start, .start_count = 3, .end_ids = end, .end_count = 2
	};
	const struct stoker_sampler_params p = { .vocabulary = v, .reasoning = &r };
	struct stoker_sampler *s;
	struct stoker_error err;
	float few[6] = { 1 };
	uint32_t token;

	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
	for (int i = 0; i < 3; i++)
		next(s, LETTER_A); /* "aaab" holds "aab" */
	next(s, LETTER_A + 1);
	CU_ASSERT_EQUAL(next(s, LETTER_A), 5);
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, few, 6, &token), -EINVAL);
	CU_ASSERT_EQUAL(next(s, LETTER_A), 6);
	CU_ASSERT_EQUAL(next(s, LETTER_A), LETTER_A);
	stoker_sampler_free(&s);
	r.end_ids = beyond;
	r.end_count = 1;
	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "the vocabulary has 288"));
	r = (struct stoker_reasoning_params){ .start = "", .end = "x" };
	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, &err), -EINVAL);
	r = (struct stoker_reasoning_params){ .start = "x", .end = NULL };
	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "the end of reasoning has 0"));
	stoker_vocabulary_free(&v);
}

/* "ab ab" goes on with what followed "ab", unless a breaker stands between. */
static void test_dry_breakers(void)
{
	static const char *const lines[] = { ":\n" };
	struct stoker_vocabulary *v = vocabulary();
	const uint32_t a = LETTER_A, b = a + 1, c = a + 2;

	for (int way = 0; way < 4; way++) {
		const struct stoker_sampler_params p = { .vocabulary = v,
							 .dry_multiplier = 50,
							 .dry_breakers = way == 3 ? lines : NULL,
							 .dry_breaker_count = way == 3 };
		const uint32_t text[] = { a, b, c, way == 1 ? byte('*') : a, a, b };
		const uint32_t pieces[] = { a, b, c, byte(':'), byte('\n'), a, b };
		const uint32_t told[] = { a, b, TWO_LINES, c, a, b };
		struct stoker_sampler *s;

		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
		if (way == 2) /* a breaker may come again */
			stoker_sampler_begin(s, told, 6);
		else if (way == 3)
			stoker_sampler_begin(s, pieces, 7);
		else
			stoker_sampler_begin(s, text, 6);
		if (way == 0)
			CU_ASSERT_NOT_EQUAL(next(s, c), c);
		if (way == 1)
			CU_ASSERT_NOT_EQUAL(next(s, c), c); /* "ab" comes after the breaker */
		if (way == 2)
			CU_ASSERT_EQUAL(next(s, TWO_LINES), TWO_LINES);
		if (way == 3)
			CU_ASSERT_NOT_EQUAL(next(s, c), c);
		stoker_sampler_begin(s, way == 3 ? pieces : text, way == 3 ? 5 : 4);
		if (way == 3) { /* nothing reaches over the two tokens that make the breaker */
			stoker_sampler_accept(s, b);
			CU_ASSERT_EQUAL(next(s, c), c);
		}
		stoker_sampler_free(&s);
	}
	stoker_vocabulary_free(&v);
}

static int model_defaults(void (*put)(struct stoker_gguf_writer *w),
			  struct stoker_sampler_params *p, struct stoker_error *err)
{
	char path[] = "/tmp/stoker-sampler-XXXXXX";
	struct stoker_gguf_writer *w;
	struct stoker_gguf *gguf;
	const int fd = mkstemp(path);
	int ret;

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	put(w);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(path, &gguf, NULL), 0);
	stoker_sampler_defaults(p);
	ret = stoker_sampler_model_defaults(gguf, p, err);
	stoker_gguf_close(&gguf);
	unlink(path);
	return ret;
}

#define KEY "general.sampling."

static void put_good(struct stoker_gguf_writer *w)
{
	stoker_gguf_put_string(w, KEY "sequence", "top_k;temperature");
	stoker_gguf_put_f32(w, KEY "temp", 0.6f);
	stoker_gguf_put_u32(w, KEY "top_k", 20);
	stoker_gguf_put_f32(w, KEY "top_p", 0.5f);
	stoker_gguf_put_u32(w, KEY "min_p", 0);
	stoker_gguf_put_u32(w, KEY "mirostat", 2);
	stoker_gguf_put_u32(w, KEY "penalty_last_n", 256);
	stoker_gguf_put_f32(w, KEY "penalty_repeat", 1.5f);
	stoker_gguf_put_string(w, KEY "something_new", "x");
}

static void put_none(struct stoker_gguf_writer *w)
{
	stoker_gguf_put_f32(w, KEY "penalty_repeat", 1.5f);
	stoker_gguf_put_u32(w, KEY "penalty_last_n", 0);
}

#define PUT(name, ...)                                 \
	static void name(struct stoker_gguf_writer *w) \
	{                                              \
		__VA_ARGS__;                           \
	}
PUT(put_text, stoker_gguf_put_string(w, KEY "temp", "0.7"))
PUT(put_bool, stoker_gguf_put_bool(w, KEY "top_p", 1))
PUT(put_array, stoker_gguf_put_f32s(w, KEY "min_p", (float[]){ 0.1f }, 1))
PUT(put_hot, stoker_gguf_put_f32(w, KEY "temp", -1))
PUT(put_nan, stoker_gguf_put_f32(w, KEY "top_p", NAN))
PUT(put_share, stoker_gguf_put_f32(w, KEY "xtc_threshold", 1.5f))
PUT(put_part, stoker_gguf_put_f32(w, KEY "top_k", 40.5f))
PUT(put_many, stoker_gguf_put_u32(w, KEY "top_k", UINT32_MAX))
PUT(put_third, stoker_gguf_put_u32(w, KEY "mirostat", 3))
PUT(put_long, stoker_gguf_put_u32(w, KEY "penalty_last_n", 1u << 31))
PUT(put_context, stoker_gguf_put_u32(w, KEY "penalty_last_n", 131072))
PUT(put_names, stoker_gguf_put_string(w, KEY "sequence", "top_k;best_of"))
PUT(put_number, stoker_gguf_put_u32(w, KEY "sequence", 1))

static void test_model_defaults(void)
{
	static const struct {
		void (*put)(struct stoker_gguf_writer *w);
		const char *says;
	} wrong[] = {
		{ put_text, KEY "temp is no number" },
		{ put_bool, KEY "top_p is no number" },
		{ put_array, KEY "min_p is no number" },
		{ put_hot, KEY "temp is -1, limits 0" },
		{ put_nan, KEY "top_p is nan, limits 0 and 1" },
		{ put_share, KEY "xtc_threshold is 1.5, limits 0 and 1" },
		{ put_part, KEY "top_k is no whole number" },
		{ put_many, KEY "top_k is 4294967295, limits -1 and" },
		{ put_third, KEY "mirostat is 3, limits 0 and 2" },
		{ put_long, KEY "penalty_last_n is 2147483648, limits -1 and" },
		{ put_names, KEY "sequence: no sampler is called \"best_of\"" },
		{ put_number, KEY "sequence is no text" },
	};
	struct stoker_sampler_params p;
	struct stoker_error err;

	CU_ASSERT_EQUAL(model_defaults(put_good, &p, &err), 0);
	CU_ASSERT_EQUAL(p.stages[0], STOKER_STAGE_TOP_K);
	CU_ASSERT_EQUAL(p.stages[1], STOKER_STAGE_TEMPERATURE);
	CU_ASSERT_EQUAL(p.stages[2], STOKER_STAGE_NONE);
	CU_ASSERT(p.temperature == 0.6f && p.top_k == 20 && p.top_p == 0.5f && p.min_p == 0);
	CU_ASSERT(p.mirostat == 2 && p.mirostat_tau == 5 && p.repeat_last == 256);
	CU_ASSERT(p.repeat_penalty == 1.5f && p.xtc_threshold == 0.1f);
	CU_ASSERT_EQUAL(model_defaults(put_none, &p, &err), 0);
	CU_ASSERT(p.repeat_penalty == 1 && p.repeat_last == 64);
	CU_ASSERT_EQUAL(model_defaults(put_context, &p, &err), 0);
	CU_ASSERT_EQUAL(p.repeat_last, UINT32_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CU_ASSERT_EQUAL(model_defaults(wrong[i].put, &p, &err), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, wrong[i].says));
		if (!strstr(err.message, wrong[i].says))
			printf("\n    %s", err.message);
	}
}

void add_sampler_limits(void)
{
	TEST(test_logits_that_are_no_numbers);
	TEST(test_extremes);
	TEST(test_impossible_parameters);
	TEST(test_large_vocabularies);
	TEST(test_reasoning_budget);
	TEST(test_reasoning_tags_in_pieces);
	TEST(test_reasoning_by_ids);
	TEST(test_dry_breakers);
	TEST(test_model_defaults);
}
