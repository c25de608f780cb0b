// SPDX-License-Identifier: MIT
/* Whole models on a device that can only multiply: the CPU behind it does the rest. */
#include "unit.h"

#include "multiply_device.h"

enum { TOKENS = 12, STEPS = 3 };

struct run {
	float *logits; /* of all tokens of the prompt, then of each step */
	size_t vocabulary;
	bool has_product, has_attention; /* in its profile */
};

static void look_at_profile(struct stoker_profile *p, struct run *run)
{
	struct stoker_profile_total *list;
	size_t count;

	CU_ASSERT_EQUAL_FATAL(stoker_profile_totals(p, sizeof(*list), &list, &count), 0);
	for (size_t i = 0; i < count; i++) {
		run->has_product |= !strcmp(list[i].name, "matmul");
		run->has_attention |= !strcmp(list[i].name, "attention");
	}
	free(list);
}

static void add_logits(struct run *run, const struct stoker_session *s, size_t before, size_t rows)
{
	const size_t n = run->vocabulary;

	for (size_t r = 0; r < rows; r++)
		memcpy(run->logits + (before + r) * n, stoker_session_logits(s, r),
		       n * sizeof(float));
}

/* Closes @device. */
static struct run run_model(struct stoker_device *device, const char *path)
{
	static const uint32_t tokens[TOKENS] = {
		1, 39, 37, 232, 145, 172, 175, 207, 8, 141, 43, 117
	};
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 32 };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_profile *profile;
	struct stoker_session *s;
	struct stoker_model *m;
	struct run run = { 0 };

	CU_ASSERT_EQUAL_FATAL(stoker_profile_create(&profile, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_device_profile(device, profile, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, NULL, &m, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(m, &params, &s, NULL), 0);
	stoker_model_info(m, &info);
	run.vocabulary = info.vocabulary;
	run.logits = calloc((TOKENS + STEPS) * run.vocabulary, sizeof(float));
	CU_ASSERT_PTR_NOT_NULL_FATAL(run.logits);
	CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, tokens, TOKENS, STOKER_LOGITS_ALL, NULL), 0);
	add_logits(&run, s, 0, TOKENS);
	for (size_t i = 0; i < STEPS; i++) {
		CU_ASSERT_EQUAL_FATAL(
			stoker_session_eval(s, tokens + i, 1, STOKER_LOGITS_LAST, NULL), 0);
		add_logits(&run, s, TOKENS + i, 1);
	}
	CU_ASSERT_EQUAL(stoker_device_profile(device, NULL, NULL), 0);
	look_at_profile(profile, &run);
	stoker_session_free(&s);
	stoker_model_free(&m);
	stoker_device_close(&device);
	stoker_profile_free(&profile);
	return run;
}

static struct run run_on_cpu(const char *path, bool exact)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 2, .exact = exact };
	struct stoker_device *device;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	return run_model(device, path);
}

static struct run run_on_multiply(const char *path, bool exact, bool lends)
{
	struct stoker_device *device;

	CU_ASSERT_EQUAL_FATAL(multiply_device_open(2, exact, lends, &device, NULL), 0);
	return run_model(device, path);
}

/* With the CPU's own products the logits are the CPU's, whichever device an op is called of. */
static void check_same(const char *path, bool exact)
{
	const struct run wanted = run_on_cpu(path, exact), got = run_on_multiply(path, exact, true);

	CU_ASSERT(!memcmp(got.logits, wanted.logits,
			  (TOKENS + STEPS) * wanted.vocabulary * sizeof(float)));
	free(wanted.logits);
	free(got.logits);
}

/* Products by a plain loop round differently. */
static void check_close(const char *path)
{
	const struct run wanted = run_on_cpu(path, true), got = run_on_multiply(path, true, false);
	const size_t n = (TOKENS + STEPS) * wanted.vocabulary;
	float worst = 0, size = 0;

	for (size_t i = 0; i < n; i++) {
		const float d = fabsf(got.logits[i] - wanted.logits[i]);

		worst = d <= worst ? worst : d; /* a NaN is worst */
		size = fmaxf(size, fabsf(wanted.logits[i]));
	}
	CU_ASSERT(size > 1 && worst < 1e-4f * size);
	CU_ASSERT(got.has_product && got.has_attention);
	free(wanted.logits);
	free(got.logits);
}

static void test_whole_models(void)
{
	static const char *const files[] = { "tests/data/containers/plain.gguf",
					     "tools/demo-model/stoker-demo-Q4_K.gguf" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		check_same(files[i], false);
		check_same(files[i], true);
		check_close(files[i]);
	}
}

/* It supports products alone, without what is to happen to them. */
static void test_what_it_supports(void)
{
	const struct op_add_norm then = { .rows = 1 };
	const struct op_matmul alone = { .count = 1 }, with = { .count = 1, .then = &then };
	const struct op_gather gather = { .rows = 1 };
	struct stoker_device *d;

	CU_ASSERT_EQUAL_FATAL(multiply_device_open(1, true, false, &d, NULL), 0);
	CU_ASSERT(device_supports(d, STOKER_OP_MATMUL, &alone));
	CU_ASSERT(!device_supports(d, STOKER_OP_MATMUL, &with));
	CU_ASSERT(!device_supports(d, STOKER_OP_GATHER, &gather));
	CU_ASSERT(device_supports(d->fallback, STOKER_OP_GATHER, &gather));
	stoker_device_close(&d);
}

void add_fallback(void)
{
	TEST(test_whole_models);
	TEST(test_what_it_supports);
}
