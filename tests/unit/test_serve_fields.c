// SPDX-License-Identifier: MIT
/* What requests say: every field at its limits, beyond them, and of each wrong type. */
#include "unit.h"

#include <float.h>

#include "serve/fields.h"

static struct chosen chosen;
static struct problem problem;
static struct json_object *body;

static bool take(const char *json)
{
	struct stoker_sampler_params defaults = { STOKER_SAMPLER_PARAMS_INIT };

	stoker_sampler_defaults(&defaults);
	fields_free(&chosen);
	json_object_put(body);
	body = json_tokener_parse(json);
	problem = (struct problem){ .status = 0 };
	fields_begin(&chosen, NULL, &defaults);
	return body && fields_take(body, &chosen, &problem);
}

static void release(void)
{
	fields_free(&chosen);
	json_object_put(body);
	body = NULL;
}

/* @json is refused, with these words. */
static void expect_refused(const char *json, const char *param, const char *why)
{
	const bool ok = take(json);

	if (ok || !problem.param || !strstr(problem.message, why))
		printf("\n    %s: \"%s\" lacks \"%s\"", json, problem.message, why);
	CU_ASSERT_FALSE(ok);
	CU_ASSERT_EQUAL(problem.status, 400);
	CU_ASSERT_STRING_EQUAL(problem.type, "invalid_request_error");
	CU_ASSERT_STRING_EQUAL(problem.param ? problem.param : "", param);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.message, why));
}

/* Numbers, by all their names, and the limits of each. */
static const struct {
	const char *name;
	double least, most;
	bool whole;
} limits[] = {
	{ "temperature", 0, 100 },
	{ "dynatemp_range", 0, 100 },
	{ "dynatemp_exponent", 0, 100 },
	{ "top_k", -1, INT32_MAX, true },
	{ "top_p", 0, 1 },
	{ "min_p", 0, 1 },
	{ "typ_p", 0, 1 },
	{ "typical_p", 0, 1 },
	{ "top_n_sigma", -1, 1000 },
	{ "xtc_probability", 0, 1 },
	{ "xtc_threshold", 0, 1 },
	{ "repeat_penalty", 0, 1000 },
	{ "repetition_penalty", 0, 1000 },
	{ "repeat_last_n", -1, 65536, true },
	{ "presence_penalty", -1000, 1000 },
	{ "frequency_penalty", -1000, 1000 },
	{ "dry_multiplier", 0, 1000 },
	{ "dry_base", 1, 1000 },
	{ "dry_allowed_length", 0, 65536, true },
	{ "dry_penalty_last_n", -1, 65536, true },
	{ "mirostat", 0, 2, true },
	{ "mirostat_tau", 0, 1000 },
	{ "mirostat_eta", 0, 1 },
	{ "num_predict", -2, INT32_MAX, true },
	{ "n_predict", -2, INT32_MAX, true },
	{ "max_tokens", -2, INT32_MAX, true },
	{ "max_completion_tokens", -2, INT32_MAX, true },
	{ "max_output_tokens", -2, INT32_MAX, true },
	{ "n", 1, CHOICES_MAX, true },
	{ "n_probs", 0, STOKER_TOP_MAX, true },
	{ "logprobs", 0, STOKER_TOP_MAX, true },
	{ "top_logprobs", 0, STOKER_TOP_MAX, true },
	{ "priority", INT32_MIN, INT32_MAX, true },
	{ "reasoning_budget", -1, INT32_MAX, true },
	{ "thinking_budget_tokens", -1, INT32_MAX, true },
};

static void test_limits(void)
{
	char json[128], why[64];

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		const char *name = limits[i].name;
		static const char *const absurd[] = { "1e300",
						      "-1e300",
						      "NaN",
						      "Infinity",
						      "-Infinity",
						      "99999999999999999999999",
						      "-99999999999999999999999" };
		static const char *const wrong[] = { "\"1\"", "[1]", "{\"a\":1}", "\"\"" };

		for (int most = 0; most < 2; most++) {
			const double at = most ? limits[i].most : limits[i].least;

			snprintf(json, sizeof(json), "{\"%s\": %.0f}", name, at);
			CU_ASSERT_TRUE(take(json));
			snprintf(json, sizeof(json), "{\"%s\": %.6f}", name,
				 most ? at + 1 : at - 1);
			snprintf(why, sizeof(why), "limits %.10g and %.10g", limits[i].least,
				 limits[i].most);
			expect_refused(json, name, why);
		}
		for (size_t k = 0; k < ARRAY_SIZE(absurd); k++) {
			snprintf(json, sizeof(json), "{\"%s\": %s}", name, absurd[k]);
			expect_refused(json, name, name);
		}
		for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
			snprintf(json, sizeof(json), "{\"%s\": %s}", name, wrong[k]);
			expect_refused(json, name, "has to be");
		}
		if (limits[i].whole) {
			snprintf(json, sizeof(json), "{\"%s\": 1.5}", name);
			expect_refused(json, name, "whole number");
			snprintf(json, sizeof(json), "{\"%s\": 1.0}", name);
			CU_ASSERT_TRUE(take(json));
		}
		snprintf(json, sizeof(json), "{\"%s\": null}", name);
		CU_ASSERT_TRUE(take(json));
	}
	release();
}

static void test_unsaid(void)
{
	CU_ASSERT_TRUE(take("{\"messages\": 5, \"nobody_knows_this\": [], \"top_p\": null}"));
	CU_ASSERT_EQUAL(chosen.sampling.temperature, 0.8f);
	CU_ASSERT_EQUAL(chosen.sampling.top_p, 0.95f);
	CU_ASSERT_EQUAL(chosen.sampling.top_k, 40);
	CU_ASSERT_EQUAL(chosen.n, 1);
	CU_ASSERT_FALSE(chosen.limited || chosen.seeded || chosen.stream || chosen.ignore_end);
	CU_ASSERT_EQUAL(chosen.reasoning_budget, -1);
	CU_ASSERT_EQUAL(chosen.stop_count, 0);
	release();
}

static void test_said(void)
{
	CU_ASSERT_TRUE(take("{\"temperature\": 0, \"top_k\": -1, \"top_p\": 0, \"min_p\": 0.1,"
			    "\"max_tokens\": 5, \"max_completion_tokens\": 7, \"n\": 3,"
			    "\"seed\": 18446744073709551615, \"stream\": true,"
			    "\"stream_options\": {\"include_usage\": true, \"include_other\": 1},"
			    "\"logprobs\": true, \"top_logprobs\": 4, \"ignore_eos\": true,"
			    "\"priority\": -1, \"user\": \"u\"}"));
	CU_ASSERT_EQUAL(chosen.sampling.temperature, 0);
	CU_ASSERT_EQUAL(chosen.sampling.top_k, 0);
	CU_ASSERT_EQUAL(chosen.sampling.top_p, FLT_MIN); /* one token, not all */
	CU_ASSERT_EQUAL(chosen.sampling.min_p, 0.1f);
	CU_ASSERT_TRUE(chosen.limited && chosen.max_tokens == 7);
	CU_ASSERT_EQUAL(chosen.n, 3);
	CU_ASSERT_TRUE(chosen.seeded && chosen.sampling.seed == UINT64_MAX);
	CU_ASSERT_TRUE(chosen.stream && chosen.stream_said && chosen.include_usage);
	CU_ASSERT_TRUE(chosen.log_probabilities && chosen.top == 4 && chosen.ignore_end);
	CU_ASSERT_EQUAL(chosen.priority, STOKER_PRIORITY_INTERACTIVE);
	CU_ASSERT_TRUE(take("{\"seed\": -1, \"num_predict\": -2, \"service_tier\": \"flex\"}"));
	CU_ASSERT_FALSE(chosen.seeded || chosen.limited);
	CU_ASSERT_EQUAL(chosen.priority, STOKER_PRIORITY_BATCH);
	CU_ASSERT_TRUE(take("{\"max_tokens\": 0, \"stream\": false}"));
	CU_ASSERT_TRUE(chosen.limited && !chosen.max_tokens && chosen.stream_said);
	release();
}

/* 0 tokens are none, which the library would take for 64. */
static void test_no_history(void)
{
	CU_ASSERT_TRUE(take("{\"repeat_penalty\": 1.3, \"presence_penalty\": 1,"
			    "\"repeat_last_n\": 0, \"dry_multiplier\": 1,"
			    "\"dry_penalty_last_n\": 0, \"dry_allowed_length\": 0}"));
	CU_ASSERT_EQUAL(chosen.sampling.repeat_penalty, 1);
	CU_ASSERT_EQUAL(chosen.sampling.presence_penalty, 0);
	CU_ASSERT_EQUAL(chosen.sampling.dry_multiplier, 0);
	CU_ASSERT_EQUAL(chosen.sampling.dry_allowed_length, 1);
	CU_ASSERT_TRUE(take("{\"repeat_last_n\": -1, \"dry_penalty_last_n\": -1}"));
	CU_ASSERT_EQUAL(chosen.sampling.repeat_last, UINT32_MAX);
	CU_ASSERT_EQUAL(chosen.sampling.dry_last, UINT32_MAX);
	CU_ASSERT_EQUAL(chosen.sampling.dry_allowed_length, 2);
	release();
}

/* A second object comes on top, as Ollama's options do. */
static void test_twice(void)
{
	struct json_object *options = json_tokener_parse("{\"temperature\": 0.5, \"stop\": []}");

	CU_ASSERT_TRUE(take("{\"temperature\": 1, \"top_k\": 3, \"stop\": \"x\"}"));
	CU_ASSERT_TRUE(fields_take(options, &chosen, &problem));
	CU_ASSERT_EQUAL(chosen.sampling.temperature, 0.5f);
	CU_ASSERT_EQUAL(chosen.sampling.top_k, 3);
	CU_ASSERT_EQUAL(chosen.stop_count, 0);
	json_object_put(options);
	release();
}

static void test_types(void)
{
	expect_refused("{\"stream\": 1}", "stream", "stream is a number, it has to be true");
	expect_refused("{\"stream\": \"true\"}", "stream", "is a string");
	expect_refused("{\"stream_options\": []}", "stream_options", "is a list");
	expect_refused("{\"stream_options\": {\"include_usage\": 1}}", "include_usage", "true or");
	expect_refused("{\"ignore_eos\": 0}", "ignore_eos", "true or false");
	expect_refused("{\"temperature\": true}", "temperature", "is a boolean");
	expect_refused("{\"n\": true}", "n", "is a boolean");
	expect_refused("{\"user\": 5}", "user", "has to be a string");
	expect_refused("{\"user\": \"a\\u0000b\"}", "user", "NUL");
	expect_refused("{\"service_tier\": 1}", "service_tier", "a string");
	expect_refused("{\"seed\": 1.5}", "seed", "whole");
	expect_refused("{\"seed\": \"1\"}", "seed", "is a string");
	release();
}

static void test_stop(void)
{
	char json[1024] = "{\"stop\": [";

	CU_ASSERT_TRUE(take("{\"stop\": \"END\"}"));
	CU_ASSERT_EQUAL(chosen.stop_count, 1);
	CU_ASSERT_STRING_EQUAL(chosen.stop[0], "END");
	CU_ASSERT_TRUE(take("{\"stop\": [\"a\", \"\", \"b\"]}"));
	CU_ASSERT_EQUAL(chosen.stop_count, 2);
	CU_ASSERT_STRING_EQUAL(chosen.stop[1], "b");
	CU_ASSERT_TRUE(take("{\"stop_sequences\": [\"a\"]}"));
	CU_ASSERT_EQUAL(chosen.stop_count, 1);
	expect_refused("{\"stop\": 5}", "stop", "a string or a list");
	expect_refused("{\"stop\": [5]}", "stop", "has to be a string");
	expect_refused("{\"stop\": [null]}", "stop", "is null");
	expect_refused("{\"stop\": \"a\\u0000\"}", "stop", "NUL");
	for (int i = 0; i <= STOPS_MAX; i++)
		strcat(json, i ? ",\"x\"" : "\"x\"");
	strcat(json, "]}");
	expect_refused(json, "stop", "17 strings, limit 16");
	snprintf(json, sizeof(json), "{\"stop\": \"%0257d\"}", 0);
	expect_refused(json, "stop", "257 bytes, limit 256");
	release();
}

static void test_lists(void)
{
	CU_ASSERT_TRUE(take("{\"dry_sequence_breakers\": [\"\\n\", \"x\"]}"));
	CU_ASSERT_EQUAL(chosen.sampling.dry_breaker_count, 2);
	CU_ASSERT_STRING_EQUAL(chosen.sampling.dry_breakers[1], "x");
	CU_ASSERT_TRUE(take("{\"dry_sequence_breakers\": []}"));
	CU_ASSERT_PTR_NOT_NULL(chosen.sampling.dry_breakers);
	CU_ASSERT_EQUAL(chosen.sampling.dry_breaker_count, 0);
	expect_refused("{\"dry_sequence_breakers\": \"x\"}", "dry_sequence_breakers", "a list");
	expect_refused("{\"dry_sequence_breakers\": [\"\"]}", "dry_sequence_breakers", "0 bytes");
	CU_ASSERT_TRUE(take("{\"samplers\": [\"top_k\", \"temperature\"]}"));
	CU_ASSERT_EQUAL(chosen.sampling.stages[0], STOKER_STAGE_TOP_K);
	CU_ASSERT_EQUAL(chosen.sampling.stages[1], STOKER_STAGE_TEMPERATURE);
	CU_ASSERT_TRUE(take("{\"samplers\": \"min_p;xtc\"}"));
	CU_ASSERT_EQUAL(chosen.sampling.stages[1], STOKER_STAGE_XTC);
	expect_refused("{\"samplers\": [\"top_k\", \"top_k\"]}", "samplers", "twice");
	expect_refused("{\"samplers\": [\"bogus\"]}", "samplers", "no sampler");
	expect_refused("{\"samplers\": []}", "samplers", "none");
	expect_refused("{\"samplers\": [1]}", "samplers", "a string");
	expect_refused("{\"samplers\": 1}", "samplers", "names");
	release();
}

static void expect_bias(size_t i, uint32_t token, float bias)
{
	CU_ASSERT_TRUE_FATAL(i < chosen.sampling.bias_count);
	CU_ASSERT_EQUAL(chosen.sampling.biases[i].token, token);
	CU_ASSERT_EQUAL(chosen.sampling.biases[i].bias, bias);
}

static void test_biases(void)
{
	CU_ASSERT_TRUE(take("{\"logit_bias\": {\"5\": -100, \"6\": 1.5, \"7\": \"-inf\"}}"));
	CU_ASSERT_EQUAL(chosen.sampling.bias_count, 3);
	expect_bias(0, 5, -100);
	expect_bias(1, 6, 1.5f);
	expect_bias(2, 7, -INFINITY);
	CU_ASSERT_TRUE(take("{\"logit_bias\": [[5, false], [6, 2]]}"));
	CU_ASSERT_EQUAL(chosen.sampling.bias_count, 2);
	expect_bias(0, 5, -INFINITY);
	CU_ASSERT_TRUE(take("{\"logit_bias\": {}}"));
	CU_ASSERT_EQUAL(chosen.sampling.bias_count, 0);
	expect_refused("{\"logit_bias\": {\"5\": true}}", "logit_bias", "a boolean");
	expect_refused("{\"logit_bias\": {\"5\": \"inf\"}}", "logit_bias", "a string");
	expect_refused("{\"logit_bias\": {\"5\": 1e30}}", "logit_bias", "limits");
	expect_refused("{\"logit_bias\": {\"5\": NaN}}", "logit_bias", "limits");
	expect_refused("{\"logit_bias\": {\"99999999999999999999\": 1}}", "logit_bias", "token");
	expect_refused("{\"logit_bias\": {\"4294967296\": 1}}", "logit_bias", "token");
	expect_refused("{\"logit_bias\": {\"-1\": 1}}", "logit_bias", "a text");
	expect_refused("{\"logit_bias\": [[-1, 1]]}", "logit_bias", "limits 0");
	expect_refused("{\"logit_bias\": [[1]]}", "logit_bias", "pair");
	expect_refused("{\"logit_bias\": [[1.5, 1]]}", "logit_bias", "whole");
	expect_refused("{\"logit_bias\": [5]}", "logit_bias", "pair");
	expect_refused("{\"logit_bias\": \"5\"}", "logit_bias", "an object or a list");
	release();
}

/* Texts are biased by all of their tokens, and numbers are compared with the vocabulary. */
static void test_bias_texts(void)
{
	struct stoker_sampler_params defaults = { STOKER_SAMPLER_PARAMS_INIT };
	struct stoker_vocabulary *v;
	struct stoker_error err;
	uint32_t *tokens;
	size_t count;

	if (stoker_vocabulary_load("tools/demo-model/stoker-demo-Q4_K.gguf", &v, &err)) {
		CU_FAIL(err.message);
		return;
	}
	stoker_vocabulary_tokenize(v, "Moses", 5, 0, &tokens, &count, &err);
	body = json_tokener_parse("{\"logit_bias\": [[\"Moses\", -3]]}");
	fields_begin(&chosen, v, &defaults);
	CU_ASSERT_TRUE(fields_take(body, &chosen, &problem));
	CU_ASSERT_EQUAL(chosen.sampling.bias_count, count);
	for (size_t i = 0; i < count; i++)
		expect_bias(i, tokens[i], -3);
	release();
	body = json_tokener_parse("{\"logit_bias\": {\"Moses\": 1, \"4000000\": 1}}");
	fields_begin(&chosen, v, &defaults);
	CU_ASSERT_FALSE(fields_take(body, &chosen, &problem));
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.message, "token 4000000, the vocabulary has"));
	release();
	stoker_free(tokens);
	stoker_vocabulary_free(&v);
}

void suite_serve_fields(void)
{
	TEST(test_limits);
	TEST(test_unsaid);
	TEST(test_said);
	TEST(test_no_history);
	TEST(test_twice);
	TEST(test_types);
	TEST(test_stop);
	TEST(test_lists);
	TEST(test_biases);
	TEST(test_bias_texts);
}
