// SPDX-License-Identifier: MIT
/* Models and sessions through the public API, on the small model in tests/data. */
#include "unit.h"

#include <pthread.h>

#define CONTAINERS "tests/data/containers/"

static const uint32_t prompt[12] = { 1, 39, 37, 232, 145, 172, 175, 207, 8, 141, 43, 117 };
static const uint32_t greedy[16] = { 264, 223, 178, 40,	 122, 123, 228, 37,
				     89,  223, 77,  287, 141, 8,   241, 287 };
enum { VOCABULARY = 292 };

struct loaded {
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *session;
};

static bool load(struct loaded *l, const char *file, bool exact,
		 const struct stoker_session_params *params)
{
	const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT, .threads = 2,
						     .exact = exact };
	struct stoker_error err;
	int ret;

	*l = (struct loaded){ 0 };
	ret = stoker_device_open(&device, &l->device, &err);
	if (!ret)
		ret = stoker_model_load(l->device, file, NULL, &l->model, &err);
	if (!ret)
		ret = stoker_session_create(l->model, params, &l->session, &err);
	if (ret)
		printf("\n    %s", err.message);
	CU_ASSERT_EQUAL(ret, 0);
	return !ret;
}

static void unload(struct loaded *l)
{
	stoker_session_free(&l->session);
	stoker_model_free(&l->model);
	stoker_device_close(&l->device);
}

static float worst_difference(const struct stoker_session *s, const float *wanted, size_t rows)
{
	float worst = 0;

	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < VOCABULARY; i++) {
			const float d =
				fabsf(stoker_session_logits(s, r)[i] - wanted[r * VOCABULARY + i]);

			worst = d <= worst ? worst : d; /* a NaN is worst */
		}
	return worst;
}

/* Every legal form of the container gives the same logits and the same greedy text. */
static void test_containers(void)
{
	static const char *const files[] = { "plain",
					     "version-2",
					     "alignment-64",
					     "extra-keys",
					     "tensors-reversed",
					     "fused-qkv",
					     "split-00001-of-00002" };
	AUTO_FREE float *wanted = NULL;
	size_t bytes;

	wanted = load_file(CONTAINERS "logits.f32", &bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const struct stoker_sampler_params params = { STOKER_SAMPLER_PARAMS_INIT };
		struct stoker_sampler *sampler;
		char path[128];
		struct loaded l;
		uint32_t next;

		snprintf(path, sizeof(path), CONTAINERS "%s.gguf", files[i]);
		if (!load(&l, path, true, NULL))
			continue;
		CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 12, STOKER_LOGITS_ALL, NULL),
				0);
		CU_ASSERT(worst_difference(l.session, wanted, 12) < 0.005346f);
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&params, &sampler, NULL), 0);
		const float *logits = stoker_session_logits(l.session, 11);

		for (int n = 0; n < 16; n++) {
			CU_ASSERT_EQUAL(stoker_sampler_sample(sampler, logits, VOCABULARY, &next),
					0);
			CU_ASSERT_EQUAL(next, greedy[n]);
			stoker_session_eval(l.session, &next, 1, STOKER_LOGITS_LAST, NULL);
			logits = stoker_session_logits(l.session, 0);
		}
		stoker_sampler_free(&sampler);
		unload(&l);
	}
}

static void test_batches_agree(void)
{
	AUTO_FREE float *wanted = NULL;
	size_t bytes;

	wanted = load_file(CONTAINERS "logits.f32", &bytes);
	for (uint32_t batch = 1; wanted && batch <= 12; batch += 2) {
		const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
							      .batch = batch, .context = 16 };
		struct loaded l;

		if (!load(&l, CONTAINERS "plain.gguf", true, &params))
			continue;
		CU_ASSERT_EQUAL(
			stoker_session_eval(l.session, prompt, 12, STOKER_LOGITS_LAST, NULL), 0);
		CU_ASSERT(worst_difference(l.session, wanted + 11 * VOCABULARY, 1) < 0.005346f);
		CU_ASSERT_EQUAL(stoker_session_position(l.session), 12);
		unload(&l);
	}
}

/* Rows that get no logits don't go through all of the last layer; those that do don't notice. */
static void test_rows_without_logits(void)
{
	for (int vulkan = 0; vulkan <= vulkan_is_here(); vulkan++) {
		const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT,
							     .name = vulkan ? "vulkan" : "cpu",
							     .exact = true };
		struct loaded l = { 0 };
		float *logits[3];

		CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &l.device, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_model_load(l.device, CONTAINERS "plain.gguf", NULL,
							&l.model, NULL),
				      0);
		for (int which = STOKER_LOGITS_NONE; which <= STOKER_LOGITS_ALL; which++) {
			const enum stoker_logits of = (enum stoker_logits)which;
			const size_t size = VOCABULARY * sizeof(float);
			float *to = logits[which] = calloc(2, size);

			CU_ASSERT_EQUAL_FATAL(
				stoker_session_create(l.model, NULL, &l.session, NULL), 0);
			CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 11, of, NULL), 0);
			if (of != STOKER_LOGITS_NONE)
				memcpy(to,
				       stoker_session_logits(l.session,
							     of == STOKER_LOGITS_ALL ? 10 : 0),
				       size);
			CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt + 11, 1,
							    STOKER_LOGITS_LAST, NULL),
					0);
			memcpy(to + VOCABULARY, stoker_session_logits(l.session, 0), size);
			stoker_session_free(&l.session);
		}
		for (int i = 0; i < 2 * VOCABULARY; i++) {
			CU_ASSERT(fabsf(logits[1][i] - logits[2][i]) < 1e-4f);
			CU_ASSERT(i < VOCABULARY || logits[0][i] == logits[2][i]);
		}
		for (int i = 0; i < 3; i++)
			free(logits[i]);
		unload(&l);
	}
}

static void test_limits(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 14 },
					   bad = { STOKER_SESSION_PARAMS_INIT,
						   .context = 1u << 31 };
	const uint32_t wrong[2] = { 5, VOCABULARY };
	struct stoker_session *other;
	struct stoker_error err;
	struct loaded l;

	if (!load(&l, CONTAINERS "plain.gguf", false, &params))
		return;
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, wrong, 2, STOKER_LOGITS_LAST, &err),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "292"));
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 0, STOKER_LOGITS_LAST, &err),
			-EINVAL);
	CU_ASSERT_EQUAL(stoker_session_position(l.session), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 12, STOKER_LOGITS_NONE, NULL), 0);
	CU_ASSERT_PTR_NULL(stoker_session_logits(l.session, 0));
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 3, STOKER_LOGITS_LAST, &err),
			-ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "14"));
	CU_ASSERT_EQUAL(stoker_session_truncate(l.session, 13, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_session_truncate(l.session, 5, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt + 5, 7, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_create(l.model, &bad, &other, &err), -EINVAL);
	CU_ASSERT_PTR_NULL(other);
	unload(&l);
	CU_ASSERT_EQUAL(
		stoker_device_open(&(struct stoker_device_params){ STOKER_DEVICE_PARAMS_INIT,
								   .name = "abacus" },
				   &l.device, &err),
		-ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "abacus"));
}

struct talker {
	struct stoker_model *model;
	float logits[VOCABULARY];
	int ret;
};

static void *talk(void *argument)
{
	struct talker *t = argument;
	struct stoker_session *s;

	t->ret = stoker_session_create(t->model, NULL, &s, NULL);
	for (int i = 0; i < 20 && !t->ret; i++) {
		stoker_session_truncate(s, 0, NULL);
		t->ret = stoker_session_eval(s, prompt, 12, STOKER_LOGITS_LAST, NULL);
	}
	if (!t->ret)
		memcpy(t->logits, stoker_session_logits(s, 0), sizeof(t->logits));
	stoker_session_free(&s);
	return NULL;
}

static void test_sessions_share_a_model(void)
{
	struct talker talkers[3];
	pthread_t threads[3];
	struct loaded l;

	if (!load(&l, CONTAINERS "plain.gguf", false, NULL))
		return;
	for (int i = 0; i < 3; i++) {
		talkers[i].model = l.model;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, talk, &talkers[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(talkers[i].ret, 0);
		CU_ASSERT(!memcmp(talkers[i].logits, talkers[0].logits, sizeof(talkers[0].logits)));
	}
	unload(&l);
}

static void test_cancel(void)
{
	struct stoker_error err;
	struct loaded l;

	if (!load(&l, CONTAINERS "plain.gguf", false, NULL))
		return;
	stoker_session_cancel(l.session);
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 12, STOKER_LOGITS_LAST, &err),
			-ECANCELED);
	CU_ASSERT_EQUAL(stoker_session_position(l.session), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 12, STOKER_LOGITS_LAST, &err), 0);
	unload(&l);
}

/* Cache types differ from F32 by no more than their rounding. */
static void test_cache_types(void)
{
	/* heads of 8 values fill no blocks of 32; weights are random and leave little room */
	static const struct {
		enum stoker_kv_type keys, values;
		float limit;
	} types[] = {
		{ STOKER_KV_TYPE_DEFAULT, STOKER_KV_TYPE_DEFAULT, 0.006f },
		{ STOKER_KV_TYPE_F16, STOKER_KV_TYPE_F16, 0.02f },
		{ STOKER_KV_TYPE_Q8_0, STOKER_KV_TYPE_Q8_0, 0.3f },
		{ STOKER_KV_TYPE_Q8_0, STOKER_KV_TYPE_F16, 0.3f },
		{ STOKER_KV_TYPE_F16, STOKER_KV_TYPE_Q8_0, 0.3f },
		{ STOKER_KV_TYPE_Q8_0, STOKER_KV_TYPE_Q4_0, 2.5f },
		{ STOKER_KV_TYPE_Q5_0, STOKER_KV_TYPE_Q5_0, 1 },
		{ STOKER_KV_TYPE_Q4_0, STOKER_KV_TYPE_DEFAULT, 3.5f },
	};
	AUTO_FREE float *wanted = NULL;
	size_t bytes;

	wanted = load_file(CONTAINERS "logits.f32", &bytes);
	for (size_t i = 0; wanted && i < 2 * ARRAY_SIZE(types); i++) {
		const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
							      .kv = STOKER_KV_TYPE_F32,
							      .kv_keys = types[i / 2].keys,
							      .kv_values = types[i / 2].values };
		const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT,
							     .threads = 2, .exact = i % 2 };
		struct stoker_session *s = NULL;
		struct loaded l = { 0 };

		CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device, &l.device, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_model_load(l.device, CONTAINERS "plain.gguf", NULL,
							&l.model, NULL),
				      0);
		CU_ASSERT_EQUAL_FATAL(stoker_session_create(l.model, &params, &s, NULL), 0);
		l.session = s;
		CU_ASSERT_EQUAL(stoker_session_eval(s, prompt, 12, STOKER_LOGITS_ALL, NULL), 0);
		CU_ASSERT(worst_difference(s, wanted, 12) < types[i / 2].limit);
		unload(&l);
	}
}

static void test_sampler(void)
{
	const float logits[5] = { 1, 3, 2, NAN, -1 };
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .temperature = 1,
					   .seed = 7 };
	uint32_t token, first[50], counts[5] = { 0 };
	struct stoker_sampler *s;

	for (int round = 0; round < 2; round++) {
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
		for (int i = 0; i < 50; i++) {
			CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, 5, &token), 0);
			if (round)
				CU_ASSERT_EQUAL(token, first[i]);
			first[i] = token;
		}
		stoker_sampler_free(&s);
	}
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
	for (int i = 0; i < 20000; i++) {
		stoker_sampler_sample(s, logits, 5, &token);
		counts[token]++;
	}
	/* softmax of 1, 3, 2, -1 */
	CU_ASSERT(fabs(counts[1] / 20000.0 - 0.6572) < 0.02);
	CU_ASSERT(fabs(counts[0] / 20000.0 - 0.0889) < 0.02);
	CU_ASSERT_EQUAL(counts[3], 0);
	stoker_sampler_free(&s);
	p.top_k = 2;
	p.min_p = 0.9f;
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
	for (int i = 0; i < 50; i++) {
		stoker_sampler_sample(s, logits, 5, &token);
		CU_ASSERT_EQUAL(token, 1);
	}
	stoker_sampler_free(&s);
	p = (struct stoker_sampler_params){ STOKER_SAMPLER_PARAMS_INIT, .repeat_penalty = 4 };
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
	stoker_sampler_sample(s, logits, 5, &token);
	CU_ASSERT_EQUAL(token, 1);
	stoker_sampler_sample(s, logits, 5, &token);
	CU_ASSERT_EQUAL(token, 2);
	stoker_sampler_free(&s);
	p = (struct stoker_sampler_params){ STOKER_SAMPLER_PARAMS_INIT, .temperature = -1 };
	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, NULL), -EINVAL);
	p = (struct stoker_sampler_params){ STOKER_SAMPLER_PARAMS_INIT, .top_p = 2 };
	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, NULL), -EINVAL);
}

static int count_bytes(void *context, const char *utf8, size_t bytes)
{
	(void)utf8;
	*(size_t *)context += bytes;
	return 0;
}

/* One call for twelve tokens, or twelve calls for one: the same context and logits in the end. */
static void test_generation_goes_on(void)
{
	float logits[2][VOCABULARY] = { { 0 }, { 1 } };
	struct stoker_vocabulary *v;
	struct loaded l;

	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(CONTAINERS "plain.gguf", &v, NULL), 0);
	for (int round = 0; round < 2; round++) {
		size_t bytes = 0;
		const struct stoker_generate_params p = { STOKER_GENERATE_PARAMS_INIT,
							  .max_tokens = round ? 1 : 12,
							  .ignore_end = 1, .text = count_bytes,
							  .user = &bytes };
		struct stoker_generate_result result = { STOKER_GENERATE_RESULT_INIT };
		struct stoker_sampler *sampler;

		if (!load(&l, CONTAINERS "plain.gguf", true, NULL))
			continue;
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &sampler, NULL), 0);
		CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 12,
						    round ? STOKER_LOGITS_LAST : STOKER_LOGITS_ALL,
						    NULL),
				0);
		for (int i = 0; i < (round ? 12 : 1); i++) {
			CU_ASSERT_EQUAL(stoker_session_generate(l.session, sampler, v, &p, &result,
								NULL),
					0);
			CU_ASSERT_EQUAL(result.finish, STOKER_FINISH_LENGTH);
		}
		CU_ASSERT(bytes > 0);
		CU_ASSERT_EQUAL(stoker_session_position(l.session), 24);
		memcpy(logits[round], stoker_session_logits(l.session, 0), sizeof(logits[round]));
		stoker_session_truncate(l.session, 0, NULL);
		CU_ASSERT_EQUAL(stoker_session_generate(l.session, sampler, v, &p, &result, NULL),
				-EINVAL);
		CU_ASSERT_EQUAL(result.finish, STOKER_FINISH_FAILED);
		stoker_sampler_free(&sampler);
		unload(&l);
	}
	CU_ASSERT(!memcmp(logits[0], logits[1], sizeof(logits[0])));
	stoker_vocabulary_free(&v);
}

static bool holds(const struct stoker_session *s, const uint32_t *wanted, size_t n)
{
	size_t count;
	const uint32_t *tokens = stoker_session_tokens(s, &count);

	return count == n && tokens && !memcmp(tokens, wanted, n * sizeof(*wanted));
}

/* What a session says it holds, evaluated anew, gives the same logits. */
static void test_tokens_of_the_context(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .batch = 5,
						      .context = 40 };
	const struct stoker_generate_params p = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 16,
						  .ignore_end = 1 };
	float logits[VOCABULARY];
	struct stoker_sampler *sampler;
	struct stoker_vocabulary *v;
	uint32_t wanted[28];
	struct loaded l;

	if (!load(&l, CONTAINERS "plain.gguf", true, &params))
		return;
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(CONTAINERS "plain.gguf", &v, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &sampler, NULL), 0);
	memcpy(wanted, prompt, sizeof(prompt));
	memcpy(wanted + 12, greedy, sizeof(greedy));
	CU_ASSERT(holds(l.session, wanted, 0));
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, prompt, 12, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT(holds(l.session, wanted, 12));
	CU_ASSERT_EQUAL(stoker_session_generate(l.session, sampler, v, &p, NULL, NULL), 0);
	CU_ASSERT(holds(l.session, wanted, 28));
	memcpy(logits, stoker_session_logits(l.session, 0), sizeof(logits));
	CU_ASSERT_EQUAL(stoker_session_truncate(l.session, 7, NULL), 0);
	CU_ASSERT(holds(l.session, wanted, 7));
	CU_ASSERT_EQUAL(stoker_session_eval(l.session, wanted + 7, 21, STOKER_LOGITS_LAST, NULL),
			0);
	CU_ASSERT(holds(l.session, wanted, 28));
	CU_ASSERT(worst_difference(l.session, logits, 1) < 0.01f);
	stoker_sampler_free(&sampler);
	stoker_vocabulary_free(&v);
	unload(&l);
}

static void test_no_finite_logits(void)
{
	const float nothing[3] = { NAN, -INFINITY, NAN };
	struct stoker_sampler *s;
	uint32_t token;

	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &s, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, nothing, 3, &token), -EDOM);
	stoker_sampler_free(&s);
}

void suite_session(void)
{
	TEST(test_containers);
	TEST(test_batches_agree);
	TEST(test_rows_without_logits);
	TEST(test_limits);
	TEST(test_sessions_share_a_model);
	TEST(test_cancel);
	TEST(test_cache_types);
	TEST(test_sampler);
	TEST(test_generation_goes_on);
	TEST(test_tokens_of_the_context);
	TEST(test_no_finite_logits);
	add_fallback();
}
