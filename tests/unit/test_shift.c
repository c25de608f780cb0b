// SPDX-License-Identifier: MIT
/* Positions that are taken out of the middle of a context. */
#include <unistd.h>

#include "device/device.h"
#include "state_memory.h"
#include "tiny.h"

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"

enum { CONTEXT = 400, PROMPT = 300 };

static struct stoker_device *device;
static struct stoker_model *model;
static uint32_t vocabulary, tokens[CONTEXT];

static void open_model(const char *name, const char *path)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						     .threads = 2 };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, NULL, &model, NULL), 0);
	stoker_model_info(model, &info);
	vocabulary = info.vocabulary;
	random_seed(4);
	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = random_u32() % MIN(vocabulary, 200u);
}

static void close_model(void)
{
	stoker_model_free(&model);
	stoker_device_close(&device);
}

static struct stoker_session *session_with(enum stoker_kv_type keys, enum stoker_kv_type values)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .kv_keys = keys,
						      .kv_values = values };
	struct stoker_session *s;

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &s, NULL), 0);
	return s;
}

static struct stoker_session *session_of(uint32_t context, enum stoker_kv_type kv)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = context, .kv = kv };
	struct stoker_session *s;

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &s, NULL), 0);
	return s;
}

static const float *eval(struct stoker_session *s, const uint32_t *list, size_t count)
{
	CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, list, count, STOKER_LOGITS_LAST, NULL), 0);
	return stoker_session_logits(s, 0);
}

/* How far apart logits are, by the largest of @a. */
static float distance(const float *a, const float *b)
{
	float most = 0, large = 1e-6f;

	for (uint32_t i = 0; i < vocabulary; i++) {
		most = fmaxf(most, a[i] == a[i] && b[i] == b[i] ? fabsf(a[i] - b[i]) : INFINITY);
		large = fmaxf(large, fabsf(a[i]));
	}
	return most / large;
}

/* With one layer keys and values depend on a token and its position alone: nothing else is left. */
static void check_shift(enum stoker_kv_type kv, uint32_t first, uint32_t count, float limit)
{
	struct stoker_session *a = session_of(CONTEXT, kv), *b = session_of(CONTEXT, kv);
	uint32_t left[CONTEXT];
	const uint32_t *held;
	float off;
	size_t n;

	memcpy(left, tokens, first * sizeof(*left));
	memcpy(left + first, tokens + first + count, (PROMPT - first - count) * sizeof(*left));
	eval(a, tokens, PROMPT);
	CU_ASSERT_EQUAL(stoker_session_remove(a, first, count, 1, NULL), 0);
	CU_ASSERT_PTR_NULL(stoker_session_logits(a, 0));
	held = stoker_session_tokens(a, &n);
	CU_ASSERT_EQUAL_FATAL(n, PROMPT - count);
	CU_ASSERT(!memcmp(held, left, n * sizeof(*left)));
	eval(b, left, n);
	for (uint32_t i = 0; i < 3; i++) {
		off = distance(eval(b, tokens + PROMPT + i, 1), eval(a, tokens + PROMPT + i, 1));
		if (!(off <= limit))
			printf("\n    %u from %u on: %g off", count, first, off);
		CU_ASSERT(off <= limit);
	}
	stoker_session_free(&a);
	stoker_session_free(&b);
}

static void test_recomputation(void)
{
	static const struct tiny_key some[] = { TINY_NUMBER("rope.dimension_count", 8) };
	static const struct tiny models[] = {
		{ .architecture = "llama", .layers = 1 }, /* pairs beside each other */
		{ .architecture = "qwen2", .layers = 1 }, /* and half a head apart */
		{ .architecture = "qwen2", .layers = 1, .keys = some, .key_count = 1 },
	};

	for (int vulkan = 0; vulkan < 2; vulkan++)
		for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
			if (vulkan && !vulkan_is_here())
				continue;
			tiny_write(tiny_path(), &models[i]);
			open_model(vulkan ? "vulkan" : "cpu", tiny_path());
			unlink(tiny_path());
			check_shift(STOKER_KV_TYPE_F32, 70, 33, 1e-3f);
			check_shift(STOKER_KV_TYPE_F32, 0, 128, 1e-3f);
			check_shift(STOKER_KV_TYPE_F32, 64, 150, 1e-3f);
			check_shift(STOKER_KV_TYPE_F32, 1, 298, 1e-3f);
			check_shift(STOKER_KV_TYPE_F16, 10, 100, 1e-2f);
			close_model();
		}
}

/* All types of a cache, beside each other. */
static void test_types(void)
{
	static const struct {
		enum stoker_kv_type keys, values;
		float limit;
	} types[] = { { STOKER_KV_TYPE_F16, STOKER_KV_TYPE_F16, 0.05f },
		      { STOKER_KV_TYPE_Q8_0, STOKER_KV_TYPE_Q8_0, 0.05f },
		      { STOKER_KV_TYPE_Q8_0, STOKER_KV_TYPE_F32, 0.05f },
		      { STOKER_KV_TYPE_F32, STOKER_KV_TYPE_Q8_0, 0.05f },
		      { STOKER_KV_TYPE_F16, STOKER_KV_TYPE_Q4_0, 0.3f } };
	static const enum stoker_kv_type refused[] = { STOKER_KV_TYPE_Q5_0, STOKER_KV_TYPE_Q4_0 };
	struct stoker_error err;
	struct stoker_session *s;
	float *exact, off;

	open_model("cpu", DEMO);
	exact = malloc(vocabulary * sizeof(*exact));
	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	s = session_of(CONTEXT, STOKER_KV_TYPE_F32);
	eval(s, tokens, PROMPT);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 65, 101, 1, NULL), 0);
	memcpy(exact, eval(s, tokens + PROMPT, 1), vocabulary * sizeof(*exact));
	stoker_session_free(&s);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		s = session_with(types[i].keys, types[i].values);
		eval(s, tokens, PROMPT);
		CU_ASSERT_EQUAL(stoker_session_remove(s, 65, 101, 1, NULL), 0);
		off = distance(exact, eval(s, tokens + PROMPT, 1));
		if (off > types[i].limit)
			printf("\n    types %zu: %g off", i, off);
		CU_ASSERT(off <= types[i].limit);
		stoker_session_free(&s);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		s = session_with(refused[i], STOKER_KV_TYPE_F16);
		eval(s, tokens, PROMPT);
		CU_ASSERT_EQUAL(stoker_session_remove(s, 65, 101, 1, &err), -ENOTSUP);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, i ? "keys in Q4_0" : "keys in Q5_0"));
		CU_ASSERT_EQUAL(stoker_session_position(s), PROMPT);
		stoker_session_free(&s);
	}
	free(exact);
	close_model();
}

static struct stoker_sequence *sequence_of(struct stoker_batch *batch)
{
	struct stoker_sequence *q;

	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(batch, &q, NULL), 0);
	return q;
}

static const float *step(struct stoker_batch *b, struct stoker_sequence *q, uint32_t first,
			 uint32_t count)
{
	const struct stoker_batch_part part = { q, tokens + first, count, STOKER_LOGITS_LAST };

	CU_ASSERT_EQUAL_FATAL(stoker_batch_eval(b, &part, sizeof(part), 1, NULL), 0);
	return stoker_batch_logits(b, 0);
}

/* How much of what a sequence has others get. */
static uint32_t shared_by(struct stoker_batch *b, struct stoker_sequence *q, uint64_t salt)
{
	struct stoker_sequence *other = sequence_of(b);
	uint32_t positions = 0;
	size_t count;
	const uint32_t *list = stoker_sequence_tokens(q, &count);

	CU_ASSERT_EQUAL(stoker_sequence_share(q, salt, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_reuse(other, list, count, salt, &positions, NULL), 0);
	stoker_sequence_free(&other);
	return positions;
}

/* Copies keep what one of them loses, and nobody gets what was shifted for what it isn't. */
static void test_sharing(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = CONTEXT,
						      .sequences = 3 };
	struct stoker_sequence *q, *copy, *again;
	struct state_memory saved = state_memory_make();
	struct stoker_batch *b;
	float *wanted;

	open_model("cpu", DEMO);
	wanted = malloc(vocabulary * sizeof(*wanted));
	CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
	q = sequence_of(b);
	step(b, q, 0, PROMPT);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_copy(q, &copy, NULL), 0);
	memcpy(wanted, step(b, q, PROMPT, 1), vocabulary * sizeof(*wanted));
	CU_ASSERT_EQUAL(stoker_sequence_remove(q, 130, 40, 1, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_position(q), PROMPT + 1 - 40);
	CU_ASSERT(!memcmp(step(b, copy, PROMPT, 1), wanted, vocabulary * sizeof(*wanted)));
	CU_ASSERT_EQUAL(shared_by(b, q, 1), 128);
	/* nor by way of a file, or of a copy; what is evaluated anew is everybody's */
	CU_ASSERT_EQUAL(stoker_sequence_save(q, state_memory_write, &saved, NULL), 0);
	stoker_sequence_free(&copy);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_copy(q, &copy, NULL), 0);
	CU_ASSERT_EQUAL(shared_by(b, copy, 2), 128);
	CU_ASSERT_EQUAL(stoker_sequence_truncate(copy, 100, NULL), 0);
	step(b, copy, 100, 150);
	CU_ASSERT_EQUAL(shared_by(b, copy, 3), 192);
	stoker_sequence_free(&copy);
	again = sequence_of(b);
	CU_ASSERT_EQUAL(
		stoker_sequence_restore(again, state_memory_read, &saved, saved.bytes, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_position(again), PROMPT + 1 - 40);
	memcpy(wanted, step(b, q, 0, 1), vocabulary * sizeof(*wanted));
	CU_ASSERT(!memcmp(step(b, again, 0, 1), wanted, vocabulary * sizeof(*wanted)));
	CU_ASSERT_EQUAL(shared_by(b, again, 4), 128);
	stoker_sequence_free(&again);
	stoker_sequence_free(&q);
	stoker_batch_free(&b);
	free(saved.data);
	free(wanted);
	close_model();
}

static void test_refusals(void)
{
	struct stoker_session *s;

	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	open_model("cpu", tiny_path());
	s = session_of(CONTEXT, STOKER_KV_TYPE_DEFAULT);
	eval(s, tokens, 100);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 10, 20, 0, NULL), -ENOTSUP);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 10, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 101, 0, 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 101, 0, 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 90, 11, 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 90, UINT32_MAX, 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_session_remove(NULL, 0, 1, 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 5, 0, 1, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_position(s), 100);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 90, 10, 0, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_position(s), 90);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 0, 90, 1, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_position(s), 0);
	stoker_session_free(&s);
	close_model();
	for (int i = TINY_WINDOW; i <= TINY_LATENT; i++) {
		tiny_write(tiny_path(), &tiny_caches[i]);
		open_model("cpu", tiny_path());
		s = session_of(i == TINY_WINDOW ? 8 * CONTEXT * 4 : CONTEXT,
			       STOKER_KV_TYPE_DEFAULT);
		eval(s, tokens, 100);
		CU_ASSERT_EQUAL(stoker_session_remove(s, 10, 20, 1, NULL), -ENOTSUP);
		CU_ASSERT_EQUAL(stoker_session_position(s), 100);
		stoker_session_free(&s);
		close_model();
	}
	unlink(tiny_path());
}

void add_shift(void)
{
	TEST(test_recomputation);
	TEST(test_types);
	TEST(test_sharing);
	TEST(test_refusals);
}
