// SPDX-License-Identifier: MIT
/* Sampling at its limits: hostile logits and parameters, and what files say. */
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
		struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT,
						   .temperature = (float)hot };

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
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1e-45f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 3e38f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .top_k = UINT32_MAX },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .top_p = 1e-45f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .min_p = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .typical_p = 1e-45f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .top_n_sigma = 1e-45f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .top_n_sigma = 3e38f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .top_n_sigma = -1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .xtc_probability = 1,
		  .xtc_threshold = 1e-45f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .xtc_probability = 1,
		  .xtc_threshold = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .dynamic_range = 3e38f,
		  .dynamic_exponent = 3e38f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .dynamic_range = 1,
		  .dynamic_exponent = 1e-45f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 3e38f, .dynamic_range = 3e38f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .repeat_penalty = 1e-45f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .repeat_penalty = 3e38f,
		  .repeat_last = UINT32_MAX },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .frequency_penalty = 1000,
		  .presence_penalty = -1000 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .dry_multiplier = 3e38f,
		  .dry_base = 3e38f, .dry_breakers = none },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .dry_multiplier = 1,
		  .dry_allowed_length = UINT32_MAX, .dry_last = 1, .dry_breakers = none },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .mirostat = 1,
		  .mirostat_tau = 3e38f, .mirostat_eta = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .mirostat = 1,
		  .mirostat_tau = 1e-45f, .mirostat_eta = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .mirostat = 2,
		  .mirostat_tau = 3e38f, .mirostat_eta = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1e-45f, .mirostat = 2,
		  .mirostat_tau = 1e-45f, .mirostat_eta = 1 },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .biases = biases, .bias_count = 3 },
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
	static const struct stoker_reasoning_params reasoning = { STOKER_REASONING_PARAMS_INIT,
								  .start = "<a>", .end = "</a>" };
	const struct {
		struct stoker_sampler_params p;
		const char *says;
	} bad[] = {
		{ { STOKER_SAMPLER_PARAMS_INIT, .temperature = -1 }, "temperature is -1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .temperature = NAN }, "temperature is nan" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .temperature = INFINITY }, "temperature is inf" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .top_p = 2 }, "top-p is 2, limits 0 and 1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .top_p = -0.5f }, "top-p is -0.5" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .min_p = 1.5f }, "min-p is 1.5" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .typical_p = NAN }, "typical p is nan" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .top_n_sigma = INFINITY }, "top-n-sigma is inf" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .xtc_probability = 1.01f },
		  "xtc probability is 1.01" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .xtc_threshold = -1 }, "xtc threshold is -1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dynamic_range = -1 },
		  "dynamic temperature is -1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dynamic_exponent = NAN },
		  "dynamic temperature is nan" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .repeat_penalty = -1 }, "repeat penalty is -1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .repeat_penalty = INFINITY },
		  "repeat penalty is inf" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .presence_penalty = 1e9f },
		  "limits -1000 and 1000" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .frequency_penalty = NAN },
		  "frequency penalty is nan" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .repeat_last = 65537 },
		  "65537 tokens, the limit is 65536" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dry_last = 1u << 31 },
		  "2147483648 tokens, the limit is 65536" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dry_multiplier = -1 }, "dry multiplier is -1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dry_multiplier = 1, .dry_base = 0.5f },
		  "dry base is 0.5, limits 1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dry_multiplier = 1 }, "needs the vocabulary" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dry_breakers = many, .dry_breaker_count = 33 },
		  "33 breakers" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dry_breakers = empty, .dry_breaker_count = 2 },
		  "breaker 2 for dry has 0" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .dry_breakers = missing, .dry_breaker_count = 1 },
		  "breaker 1 for dry" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .mirostat = 3 }, "mirostat 3, there are 1 and 2" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .mirostat_tau = -1 }, "tau is -1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .mirostat_eta = 2 }, "eta is 2, limits 0 and 1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .biases = &nan_bias, .bias_count = 1 },
		  "bias nan of token 1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .biases = &inf_bias, .bias_count = 1 },
		  "bias inf of token 1" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .bias_count = 1 }, "1 biases" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .biases = &nan_bias, .bias_count = SIZE_MAX },
		  "the limit is 65536" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .stages = { 1, 200 } }, "stage 200" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .stages = { 4, 5, 4 } },
		  "stage 4 of sampling is listed twice" },
		{ { STOKER_SAMPLER_PARAMS_INIT, .reasoning = &reasoning }, "needs the vocabulary" },
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
	struct stoker_sampler_params p[3] = {
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .top_p = 0.99f },
		{ STOKER_SAMPLER_PARAMS_INIT, .temperature = 1, .typical_p = 0.99f },
		{ STOKER_SAMPLER_PARAMS_INIT },
	};

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
	stoker_gguf_writer_put_string(w, KEY "sequence", "top_k;temperature");
	stoker_gguf_writer_put_f32(w, KEY "temp", 0.6f);
	stoker_gguf_writer_put_u32(w, KEY "top_k", 20);
	stoker_gguf_writer_put_f32(w, KEY "top_p", 0.5f);
	stoker_gguf_writer_put_u32(w, KEY "min_p", 0);
	stoker_gguf_writer_put_u32(w, KEY "mirostat", 2);
	stoker_gguf_writer_put_u32(w, KEY "penalty_last_n", 256);
	stoker_gguf_writer_put_f32(w, KEY "penalty_repeat", 1.5f);
	stoker_gguf_writer_put_string(w, KEY "something_new", "x");
}

static void put_none(struct stoker_gguf_writer *w)
{
	stoker_gguf_writer_put_f32(w, KEY "penalty_repeat", 1.5f);
	stoker_gguf_writer_put_u32(w, KEY "penalty_last_n", 0);
}

#define PUT(name, ...)                                 \
	static void name(struct stoker_gguf_writer *w) \
	{                                              \
		__VA_ARGS__;                           \
	}
PUT(put_text, stoker_gguf_writer_put_string(w, KEY "temp", "0.7"))
PUT(put_bool, stoker_gguf_writer_put_bool(w, KEY "top_p", 1))
PUT(put_array, stoker_gguf_writer_put_f32s(w, KEY "min_p", (float[]){ 0.1f }, 1))
PUT(put_hot, stoker_gguf_writer_put_f32(w, KEY "temp", -1))
PUT(put_nan, stoker_gguf_writer_put_f32(w, KEY "top_p", NAN))
PUT(put_share, stoker_gguf_writer_put_f32(w, KEY "xtc_threshold", 1.5f))
PUT(put_part, stoker_gguf_writer_put_f32(w, KEY "top_k", 40.5f))
PUT(put_many, stoker_gguf_writer_put_u32(w, KEY "top_k", UINT32_MAX))
PUT(put_third, stoker_gguf_writer_put_u32(w, KEY "mirostat", 3))
PUT(put_long, stoker_gguf_writer_put_u32(w, KEY "penalty_last_n", 1u << 31))
PUT(put_context, stoker_gguf_writer_put_u32(w, KEY "penalty_last_n", 131072))
PUT(put_names, stoker_gguf_writer_put_string(w, KEY "sequence", "top_k;best_of"))
PUT(put_number, stoker_gguf_writer_put_u32(w, KEY "sequence", 1))

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
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT };
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
	TEST(test_model_defaults);
}
