// SPDX-License-Identifier: MIT
/* Formulas that a file's keys choose: windows, gating, YaRN. */
#include "tiny.h"

#include <unistd.h>

#include "model/model.h"

static void test_window_patterns(void)
{
	const struct tiny t = { .architecture = "gemma3", .layers = 6 };
	const struct tiny_key window = TINY_NUMBER("attention.sliding_window", 4);
	const struct tiny_key list[] = { window, TINY_NUMBERS("attention.sliding_window_pattern", 6,
							      1, 1, 1, 1, 1, 0) };
	const struct tiny_key number[] = { window,
					   TINY_NUMBER("attention.sliding_window_pattern", 6) };
	const struct tiny_key usual[] = { window };
	const struct tiny_key three[] = { window,
					  TINY_NUMBER("attention.sliding_window_pattern", 3) };
	const struct tiny_key as_list[] = { window, TINY_NUMBERS("attention.sliding_window_pattern",
								 6, 1, 1, 0, 1, 1, 0) };
	const struct tiny_key other[] = { window, TINY_NUMBERS("attention.sliding_window_pattern",
							       6, 0, 1, 1, 1, 1, 1) };
	const struct tiny_key none[] = { TINY_NUMBER("attention.sliding_window", 0) };
	const struct tiny_key wrong[] = {
		TINY_NUMBERS("attention.sliding_window_pattern", 6, 1, 7, 1, 1, 1, 0), window
	};
	const struct tiny_key few[] = {
		TINY_NUMBERS("attention.sliding_window_pattern", 5, 1, 1, 1, 1, 1), window
	};
	struct tiny bad = t;

	CU_ASSERT(tiny_alike(t, list, 2, t, number, 2, 20));
	CU_ASSERT(tiny_alike(t, list, 2, t, usual, 1, 20));
	CU_ASSERT(tiny_alike(t, three, 2, t, as_list, 2, 20));
	CU_ASSERT_FALSE(tiny_alike(t, list, 2, t, as_list, 2, 20));
	CU_ASSERT_FALSE(tiny_alike(t, list, 2, t, other, 2, 20));
	CU_ASSERT_FALSE(tiny_alike(t, list, 2, t, none, 1, 20));
	bad.keys = wrong;
	bad.key_count = 2;
	tiny_expect(&bad, -EINVAL, "sliding_window_pattern: neither true nor false (entry 1)");
	bad.keys = few;
	tiny_expect(&bad, -EINVAL, "has 5 entries, layer 5 needs one");
}

/* Names that another converter gives the bases of both kinds of layers. */
static void test_other_names(void)
{
	const struct tiny t = { .architecture = "gemma3", .layers = 2 };
	const struct tiny_key window = TINY_NUMBER("attention.sliding_window", 4);
	const struct tiny_key ours[] = { window, TINY_REAL("rope.freq_base", 1000000),
					 TINY_REAL("rope.freq_base_swa", 500) };
	const struct tiny_key theirs[] = { window, TINY_REAL("rope.global.freq_base", 1000000),
					   TINY_REAL("rope.local.freq_base", 500) };
	const struct tiny_key pattern = TINY_NUMBER("attention.sliding_window_pattern", 2);
	const struct tiny_key none[] = { window, pattern };
	const struct tiny_key a[] = { ours[0], ours[1], ours[2], pattern };
	const struct tiny_key b[] = { theirs[0], theirs[1], theirs[2], pattern };

	CU_ASSERT(tiny_alike(t, a, 4, t, b, 4, 20));
	CU_ASSERT_FALSE(tiny_alike(t, a, 4, t, none, 2, 20));
}

/* What deepseek2's files choose experts by that don't say it. */
static void test_gating_that_is_not_said(void)
{
	const struct tiny t = {
		.architecture = "deepseek2", .layers = 47, .experts = 4, .latent = true
	};
	struct tiny fewer = t;
	const struct tiny_key words = TINY_NUMBER("vocab_size", 154880);
	const struct tiny_key silent[] = { words }, other[] = { TINY_NUMBER("vocab_size", 102400) };
	const struct tiny_key sigmoid[] = { words, TINY_NUMBER("expert_gating_func", 2) };
	const struct tiny_key softmax[] = { words, TINY_NUMBER("expert_gating_func", 1) };
	const struct tiny_key unknown[] = { TINY_NUMBER("expert_gating_func", 4) };

	CU_ASSERT(tiny_alike(t, silent, 1, t, sigmoid, 2, 3));
	CU_ASSERT_FALSE(tiny_alike(t, silent, 1, t, softmax, 2, 3));
	CU_ASSERT(tiny_alike(t, other, 1, t, softmax, 2, 3));
	fewer.layers = 3;
	CU_ASSERT(tiny_alike(fewer, silent, 1, fewer, softmax, 2, 3));
	fewer.keys = unknown;
	fewer.key_count = 1;
	tiny_expect(&fewer, -ENOTSUP, "key deepseek2.expert_gating_func is 4");
}

/* The frequencies and the magnitude that the paper and the reference give, in double. */
struct yarn {
	double factor, original, base, fast, slow, ramp, own, attention, multiplier;
};

static double plain_frequency(const struct yarn *y, uint32_t i, uint32_t dimensions)
{
	const double f = pow(y->base, -2.0 * i / dimensions);
	const double wide = log(y->original / (2 * M_PI * y->fast)) * dimensions / 2 / log(y->base);
	const double narrow =
		log(y->original / (2 * M_PI * y->slow)) * dimensions / 2 / log(y->base);
	const double low = fmax(floor(wide), 0), high = fmin(ceil(narrow), dimensions - 1);
	double keep = 1 - (i - low) / fmax(high - low, 0.001);

	keep = fmin(fmax(keep, 0), 1) * y->ramp;
	return f * keep + f / y->factor * (1 - keep);
}

static double ln_scale(const struct yarn *y, double multiplier)
{
	return y->factor <= 1 ? 1 : 1 + 0.1 * multiplier * log(y->factor);
}

static void check_yarn(const struct yarn *y, bool latent)
{
	const struct tiny_key keys[] = {
		TINY_STRING("rope.scaling.type", "yarn"),
		TINY_REAL("rope.scaling.factor", y->factor),
		TINY_NUMBER("rope.scaling.original_context_length", y->original),
		TINY_REAL("rope.freq_base", y->base),
		TINY_REAL("rope.scaling.yarn_beta_fast", y->fast),
		TINY_REAL("rope.scaling.yarn_beta_slow", y->slow),
		TINY_REAL("rope.scaling.yarn_ext_factor", y->ramp),
		TINY_REAL("rope.scaling.yarn_attn_factor", y->own),
		TINY_REAL("rope.scaling.attn_factor", y->attention),
		TINY_REAL("rope.scaling.yarn_log_multiplier", y->multiplier * (latent ? 0.1 : 1)),
	};
	const struct tiny t = { .architecture = latent ? "deepseek2" : "qwen2",
				.layers = 2,
				.latent = latent,
				.keys = keys,
				.key_count = ARRAY_SIZE(keys) };
	const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT, .threads = 1 };
	const uint32_t dimensions = latent ? 8 : 16;
	double magnitude, logits;
	struct stoker_device *d;
	struct stoker_model *m;
	struct stoker_error err = { .message = "" };

	tiny_write(tiny_path(), &t);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device, &d, NULL), 0);
	if (stoker_model_load(d, tiny_path(), NULL, &m, &err))
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	if (y->ramp == 0)
		magnitude = y->own;
	else if (y->multiplier == 0)
		magnitude = ln_scale(y, 1);
	else
		magnitude = latent ? 1 : ln_scale(y, 1) / ln_scale(y, y->multiplier);
	magnitude *= y->attention;
	for (uint32_t l = 0; l < 2; l++) {
		const struct rope *r = &m->layers[l].rope;
		const float *frequency = (const float *)(uintptr_t)r->frequency;

		CU_ASSERT_EQUAL(r->pairs, dimensions / 2);
		CU_ASSERT_DOUBLE_EQUAL(r->magnitude, magnitude, 1e-6 * magnitude);
		for (uint32_t i = 0; i < r->pairs; i++) {
			const double wanted = plain_frequency(y, i, dimensions);

			CU_ASSERT_DOUBLE_EQUAL(frequency[i], wanted, 1e-6 * wanted);
		}
		/* what the logits are scaled by: without YaRN the root of a head's size */
		logits = 1;
		if (latent) {
			logits = y->attention * (y->ramp == 0 ? y->own : 1);
			if (y->factor > 1 && (y->ramp == 0 || y->multiplier == 0))
				logits *= ln_scale(y, 1);
			logits *= ln_scale(y, y->multiplier);
		}
		logits = logits * logits / sqrt(TINY_HEAD);
		CU_ASSERT_DOUBLE_EQUAL(m->layers[l].attn_scale, logits, 2e-6 * logits);
	}
	stoker_model_free(&m);
	stoker_device_close(&d);
	unlink(tiny_path());
}

static void test_yarn(void)
{
	static const struct yarn cases[] = {
		/* factor, original, base, fast, slow, ramp, own, attention, multiplier */
		{ 4, 64, 10000, 32, 1, 1, 1, 1, 0 },
		{ 4, 4096, 10000, 32, 1, 1, 1, 1, 0 },
		{ 4, 4096, 10000, 64, 2, 1, 1, 1, 0 },
		{ 40, 4096, 500000, 16, 0.5, 1, 1, 1, 0 },
		{ 8, 512, 10000, 32, 1, 0.5, 1, 1, 0 },
		{ 8, 512, 10000, 32, 1, 0, 1, 1, 0 },
		{ 8, 512, 10000, 32, 1, 0, 1.25, 1, 0 },
		{ 8, 512, 10000, 32, 1, 1, 1.25, 1, 0 }, /* the reference drops its own here */
		{ 8, 512, 10000, 32, 1, 1, 1, 0.75, 0 },
		{ 40, 4096, 10000, 32, 1, 1, 1, 1, 1 },
		{ 40, 4096, 10000, 32, 1, 1, 1, 1, 0.707 },
		{ 40, 4096, 10000, 32, 1, 1, 1, 0.75, 0.5 },
		{ 1, 4096, 10000, 32, 1, 1, 1, 1, 0 },
		{ 1, 4096, 10000, 32, 1, 1, 1, 1, 0.707 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		check_yarn(&cases[i], false);
		check_yarn(&cases[i], true);
	}
	/* names that other converters have */
	const struct tiny_key ours[] = { TINY_STRING("rope.scaling.type", "yarn"),
					 TINY_REAL("rope.scaling.factor", 8),
					 TINY_REAL("rope.scaling.yarn_beta_fast", 64),
					 TINY_REAL("rope.scaling.yarn_beta_slow", 2),
					 TINY_REAL("rope.scaling.yarn_ext_factor", 0.5) };
	const struct tiny_key theirs[] = { ours[0], ours[1],
					   TINY_REAL("rope.scaling.beta_fast", 64),
					   TINY_REAL("rope.scaling.beta_slow", 2),
					   TINY_REAL("rope.scaling.extrapolation_factor", 0.5) };
	const struct tiny named = { .architecture = "qwen2", .layers = 2 };

	CU_ASSERT(tiny_alike(named, ours, 5, named, theirs, 5, 40));
	CU_ASSERT(!tiny_alike(named, ours, 5, named, theirs, 2, 40));
	const struct tiny_key slow[] = { TINY_REAL("rope.scaling.yarn_beta_slow", 0),
					 TINY_STRING("rope.scaling.type", "yarn") };
	const struct tiny t = {
		.architecture = "qwen2", .layers = 1, .keys = slow, .key_count = 2
	};

	tiny_expect(&t, -EINVAL, "yarn_beta_fast 32 and _slow 0");
}

void suite_formulas(void)
{
	TEST(test_window_patterns);
	TEST(test_other_names);
	TEST(test_gating_that_is_not_said);
	TEST(test_yarn);
}
