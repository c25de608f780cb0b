// SPDX-License-Identifier: MIT
/* Quantizers: how much they lose, what weights change, instruction sets, values that are hostile.
 */
#include "unit.h"

#include "quant/encode.h"

enum { COLUMNS = 1024, ROWS = 4, VALUES = ROWS * COLUMNS };

static float x[VALUES], y[VALUES], z[VALUES], importance[COLUMNS];
static uint8_t blocks[VALUES * 4], others[VALUES * 4];

/* Like a normal distribution; a few columns matter a lot. */
static void fill(uint32_t seed)
{
	random_seed(seed);
	for (size_t i = 0; i < VALUES; i++)
		x[i] = 0.02f * (random_float() + random_float() + random_float() + random_float());
	for (size_t i = 0; i < COLUMNS; i++)
		importance[i] = expf(2 * random_float());
}

static double squared_error(const float *a, const float *b, const float *weights)
{
	double sum = 0;

	for (size_t i = 0; i < VALUES; i++)
		sum += (weights ? (double)weights[i % COLUMNS] : 1) * (double)(a[i] - b[i]) *
		       (double)(a[i] - b[i]);
	return sum;
}

static void encode(const struct stoker_format *f, const float *values, const float *weights)
{
	CU_ASSERT_EQUAL(stoker_format_encode_rows(f, values, weights, ROWS, COLUMNS, blocks), 0);
}

/* Of what the quantizer makes of x. */
static double relative_error(const struct stoker_format *f, const float *weights)
{
	encode(f, x, weights);
	stoker_format_decode(f, blocks, y, VALUES);
	memset(z, 0, sizeof(z));
	return sqrt(squared_error(x, y, NULL) / squared_error(x, z, NULL));
}

/* Relative rms error that each quantizer keeps on normal-like values, weighted alike or not at all.
 */
static void test_error(void)
{
	static const struct {
		const char *name;
		double limit;
	} limits[] = {
		{ "F32", 0 },	       { "F16", 4e-4 },	     { "BF16", 3e-3 },
		{ "Q8_0", 0.0060 },    { "Q6_K", 0.0170 },   { "Q5_K", 0.0350 },
		{ "Q4_K", 0.0710 },    { "Q3_K", 0.1600 },   { "Q2_K", 0.2800 },
		{ "Q5_1", 0.0340 },    { "Q5_0", 0.0410 },   { "Q4_1", 0.0700 },
		{ "Q4_0", 0.0850 },    { "Q2_0", 0.4000 },   { "Q1_0", 0.6100 },
		{ "IQ4_XS", 0.0790 },  { "IQ4_NL", 0.0780 }, { "IQ3_S", 0.1500 },
		{ "IQ3_XXS", 0.1900 }, { "IQ2_S", 0.2700 },  { "IQ2_XS", 0.3000 },
		{ "IQ2_XXS", 0.3400 }, { "IQ1_M", 0.4300 },  { "IQ1_S", 0.4600 },
		{ "TQ1_0", 0.4400 },   { "TQ2_0", 0.4400 },  { "MXFP4", 0.1130 },
		{ "NVFP4", 0.0900 },
	};

	fill(3);
	for (size_t i = 0; i < COLUMNS; i++)
		importance[i] = 1;
	CU_ASSERT_EQUAL(ARRAY_SIZE(limits), 28);
	for (size_t l = 0; l < ARRAY_SIZE(limits); l++) {
		const struct stoker_format *f = stoker_format_by_name(limits[l].name);

		for (int known = 0; known < 2; known++) {
			const double error = relative_error(f, known ? importance : NULL);

			if (error <= limits[l].limit)
				continue;
			printf("\n    %s: relative rms error %.4f, limit %.4f", f->name, error,
			       limits[l].limit);
			CU_FAIL("quantizer too coarse");
		}
	}
}

/* What has been written once is written again with much less loss. */
static void test_again(void)
{
	fill(4);
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		double first, second;

		encode(f, x, NULL);
		stoker_format_decode(f, blocks, y, VALUES);
		encode(f, y, NULL);
		stoker_format_decode(f, blocks, z, VALUES);
		first = squared_error(x, y, NULL);
		second = squared_error(y, z, NULL);
		if (second > 0.4 * first) {
			printf("\n    %s: the second time %.2f of the first loss", f->name,
			       second / first);
			CU_FAIL("what was quantized isn't kept");
		}
		if (!f->group)
			CU_ASSERT_EQUAL(second, 0);
	}
}

/* Columns that matter are met better, and which they are is all that weights tell. */
static void test_importance(void)
{
	static float scaled[COLUMNS];

	fill(5);
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		double plain, weighted;

		encode(f, x, NULL);
		stoker_format_decode(f, blocks, y, VALUES);
		plain = squared_error(x, y, importance);
		encode(f, x, importance);
		stoker_format_decode(f, blocks, y, VALUES);
		weighted = squared_error(x, y, importance);
		if (f->group && f->id != FORMAT_Q8_0 && weighted > 0.995 * plain) {
			printf("\n    %s: %.3f of the error without", f->name, weighted / plain);
			CU_FAIL("weights don't help");
		}
		memcpy(others, blocks, sizeof(others));
		for (int power = -100; power <= 100; power += 200) {
			for (size_t i = 0; i < COLUMNS; i++)
				scaled[i] = ldexpf(importance[i], power);
			encode(f, x, scaled);
			CU_ASSERT_EQUAL(
				memcmp(blocks, others, ROWS * stoker_format_bytes(f, COLUMNS)), 0);
		}
		memset(scaled, 0, sizeof(scaled));
		encode(f, x, NULL);
		memcpy(others, blocks, sizeof(others));
		encode(f, x, scaled);
		CU_ASSERT_EQUAL(memcmp(blocks, others, ROWS * stoker_format_bytes(f, COLUMNS)), 0);
	}
}

/* Where no column is known to matter, formats of few bits are closer to what is large. */
static void test_large_values(void)
{
	static const char *const names[] = { "Q4_0", "Q3_K", "Q2_K" };
	static float squares[VALUES];

	fill(10);
	for (size_t i = 0; i < COLUMNS; i++)
		importance[i] = 1;
	for (size_t i = 0; i < VALUES; i++)
		squares[i] = x[i] * x[i];
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		const struct stoker_format *f = stoker_format_by_name(names[n]);
		double error[2] = { 0 };

		for (int known = 0; known < 2; known++) {
			encode(f, x, known ? importance : NULL);
			stoker_format_decode(f, blocks, y, VALUES);
			for (size_t i = 0; i < VALUES; i++)
				error[known] += (double)squares[i] * (double)(x[i] - y[i]) *
						(double)(x[i] - y[i]);
		}
		if (error[0] > 0.97 * error[1]) {
			printf("\n    %s: %.3f of the error with weights that are alike", f->name,
			       error[0] / error[1]);
			CU_FAIL("large values don't count for more");
		}
	}
}

static void test_instruction_sets(void)
{
	fill(6);
	for (size_t i = 0; i < COLUMNS; i += 17)
		x[i] *= 30;
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		for (int isa = 1; isa < STOKER_ISA_COUNT; isa++)
			for (int weighted = 0; weighted < 2; weighted++) {
				const float *w = weighted ? importance : NULL;
				const size_t bytes = stoker_format_bytes(f, COLUMNS);

				if (!stoker_isa_supported((enum stoker_isa)isa))
					continue;
				f->encode[STOKER_ISA_SCALAR](x, w, COLUMNS / f->block_values,
							     blocks);
				f->encode[isa](x, w, COLUMNS / f->block_values, others);
				if (memcmp(blocks, others, bytes)) {
					printf("\n    %s, %s", f->name,
					       stoker_isa_name((enum stoker_isa)isa));
					CU_FAIL("instruction sets disagree");
				}
			}
}

/* Blocks don't depend on those they're encoded with. */
static void test_any_number_of_blocks(void)
{
	fill(7);
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		const unsigned count = MIN(VALUES / f->block_values, 37);
		const size_t values = (size_t)count * f->block_values;

		x[3] = 5;
		CU_ASSERT_EQUAL(stoker_format_encode(f, x, blocks, values), 0);
		for (unsigned b = 0; b < count; b++) {
			stoker_format_encode(f, x + b * f->block_values, others, f->block_values);
			CU_ASSERT_EQUAL(memcmp(others, blocks + b * f->block_bytes, f->block_bytes),
					0);
		}
	}
}

/* Whatever finite values come, finite ones are written, of the same sign or zero. */
static void test_hostile_values(void)
{
	static const float numbers[] = { 0,	-0.0f, 1e-45f, -1e-40f, 1e-30f, 6e-8f,	      1e-5f,
					 65504, 7e4f,  -1e9f,  1e20f,	-3e38f, 3.4028235e38f };

	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		for (size_t n = 0; n < ARRAY_SIZE(numbers); n++)
			for (int kind = 0; kind < 4; kind++) {
				fill(8);
				for (size_t i = 0; i < VALUES; i++)
					if (kind == 0 || (kind == 1 && i % 251 == 0))
						x[i] = numbers[n];
					else if (kind == 2)
						x[i] = i % 3 ? numbers[n] : -numbers[n];
					else if (kind == 3)
						x[i] *= numbers[n];
				encode(f, x, n % 2 ? importance : NULL);
				stoker_format_decode(f, blocks, y, VALUES);
				for (size_t i = 0; i < VALUES; i++)
					if (!isfinite(y[i])) {
						printf("\n    %s, %g, kind %d", f->name,
						       (double)numbers[n], kind);
						CU_FAIL("not finite");
						break;
					}
				if (kind == 0 && numbers[n] == 0)
					for (size_t i = 0; i < VALUES; i++)
						CU_ASSERT_EQUAL(y[i], 0);
			}
}

/* A value beyond half floats doesn't become infinite, and one alone doesn't wipe out other blocks.
 */
static void test_outlier(void)
{
	fill(9);
	x[0] = 1e6f;
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		double kept = 0, all = 0;

		encode(f, x, NULL);
		stoker_format_decode(f, blocks, y, VALUES);
		CU_ASSERT(y[0] > 1e3f);
		for (size_t i = 256; i < VALUES; i++) {
			kept += (double)((x[i] - y[i]) * (x[i] - y[i]));
			all += (double)(x[i] * x[i]);
		}
		CU_ASSERT(kept < 0.45 * all);
	}
}

void suite_encoders(void)
{
	TEST(test_error);
	TEST(test_again);
	TEST(test_importance);
	TEST(test_large_values);
	TEST(test_instruction_sets);
	TEST(test_any_number_of_blocks);
	TEST(test_hostile_values);
	TEST(test_outlier);
}
