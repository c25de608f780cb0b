// SPDX-License-Identifier: MIT
/* Products of matrices with few and with many rows, in every format. */
#include "ops.h"

#include <math.h>

/* 8-bit activations err by up to half a step of 1/127 of each group's largest value. */
static double product_limit(const struct stoker_format *f, bool exact)
{
	if (exact)
		return 2e-6;
	/* cooperative matrices take half floats */
	return f->group ? 0.02 : strstr(device->description, "cooperative") ? 2e-3 : 2e-6;
}

/* wanted[rows][out] = W x + bias, of a matrix's values. */
static void multiply(const double *values, uint32_t in, uint32_t out, const float *x, uint32_t rows,
		     const float *bias, double *wanted)
{
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t o = 0; o < out; o++) {
			double sum = bias ? (double)bias[o] : 0;

			for (uint32_t i = 0; i < in; i++)
				sum += values[(size_t)o * in + i] * (double)x[(size_t)r * in + i];
			wanted[(size_t)r * out + o] = sum;
		}
}

static void matmul(bool exact)
{
	static const uint32_t row_counts[] = { 1, 3, 5, 13 };

	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		for (size_t c = 0; c < ARRAY_SIZE(row_counts); c++) {
			const uint32_t rows = row_counts[c], out = 37;
			const uint32_t in = f->block_values >= 128 ? 2 * f->block_values
					    : f->block_values > 1  ? 96 * 2
								   : 75;

			pool_used = 0;
			double *values = doubles((size_t)in * out),
			       *wanted = doubles((size_t)rows * out);
			struct stoker_weight w = weights(f, in, out, 1, values);
			const float *x = noise((size_t)rows * in), *bias = noise(out);
			float *got = room((size_t)rows * out);

			w.bias = c % 2 ? at(bias) : 0;
			multiply(values, in, out, x, rows, w.bias ? bias : NULL, wanted);
			const struct op_matmul op = { .count = 1,
						      .rows = rows,
						      .weight = { &w },
						      .dst = { at(got) },
						      .src = at(x) };

			RUN(matmul, op);
			if (!(off_by(got, wanted, (size_t)rows * out) < product_limit(f, exact))) {
				printf("\n    %s, %u rows, %s: off by %.2e", f->name, rows,
				       device->description,
				       off_by(got, wanted, (size_t)rows * out));
				CU_FAIL("matmul");
			}
		}
}

/* Several matrices with the same input: of one format and of several, with biases and without. */
static void matmul_together(bool exact)
{
	static const char *formats[][STOKER_MATMUL_MAX] = {
		{ "Q4_0", "Q4_0", "Q4_0", "Q4_0" },
		{ "Q6_K", "Q6_K", "Q6_K", "Q6_K" },
		{ "Q4_K", "Q4_K", "Q6_K", "F32" },
	};
	static const uint32_t outs[] = { 300, 37, 70, 5 }, row_counts[] = { 1, 3, 6 };
	const uint32_t in = 256;

	for (size_t n = 0; n < ARRAY_SIZE(formats) * ARRAY_SIZE(row_counts) * 8; n++) {
		const char *const *names = formats[n / 8 / ARRAY_SIZE(row_counts)];
		const uint32_t rows = row_counts[n / 8 % ARRAY_SIZE(row_counts)];
		const uint32_t count = n % 4 + 1;
		struct stoker_weight w[STOKER_MATMUL_MAX];
		double *wanted[STOKER_MATMUL_MAX];
		float *got[STOKER_MATMUL_MAX];

		pool_used = 0;
		const float *x = noise((size_t)rows * in), *bias = noise(outs[1]);
		struct op_matmul op = { .count = count, .rows = rows, .src = at(x) };

		for (uint32_t i = 0; i < count; i++) {
			const bool biased = i == 1 && n / 4 % 2;
			double *values = doubles((size_t)in * outs[i]);

			w[i] = weights(stoker_format_by_name(names[i]), in, outs[i], 1, values);
			w[i].bias = biased ? at(bias) : 0;
			wanted[i] = doubles((size_t)rows * outs[i]);
			multiply(values, in, outs[i], x, rows, biased ? bias : NULL, wanted[i]);
			got[i] = room((size_t)rows * outs[i]);
			op.weight[i] = &w[i];
			op.dst[i] = at(got[i]);
		}
		RUN(matmul, op);
		for (uint32_t i = 0; i < count; i++)
			if (!(off_by(got[i], wanted[i], (size_t)rows * outs[i]) <
			      product_limit(w[i].format, exact))) {
				printf("\n    %s, matrix %u of %u, %u rows, %s", names[i], i + 1,
				       count, rows, device->description);
				CU_FAIL("matmul_together");
			}
	}
}

/* A value that isn't finite spoils the whole product instead of becoming some number. */
static void not_finite(bool exact)
{
	static const float values[] = { NAN, INFINITY, -INFINITY };
	const struct stoker_format *f = stoker_format_by_name("Q8_0");

	(void)exact;
	for (uint32_t rows = 1; rows < 8; rows += 5)
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			pool_used = 0;
			double *unused = doubles(64 * 20);
			const struct stoker_weight w = weights(f, 64, 20, 1, unused);
			float *x = noise(64 * rows), *got = room(20 * rows);
			const struct op_matmul op = { .count = 1,
						      .rows = rows,
						      .weight = { &w },
						      .dst = { at(got) },
						      .src = at(x) };

			x[37] = values[i];
			RUN(matmul, op);
			for (int o = 0; o < 20; o++)
				CU_ASSERT(!isfinite(got[o]));
			for (uint32_t o = 20; o < 20 * rows; o++)
				CU_ASSERT(isfinite(got[o]));
		}
}

/* Of weights in tiles a row's product is the same bit for bit, however many rows come with it. */
static void alone(bool exact)
{
	const uint32_t in = 512, out = 52, rows = 13;

	(void)exact;
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		for (uint32_t n = 1; n <= 4; n++) {
			pool_used = 0;
			const struct stoker_weight w =
				weights(f, in, out, 1, doubles((size_t)in * out));
			const float *x = noise((size_t)rows * in);
			float *all = room((size_t)rows * out), *some = room((size_t)n * out);
			struct op_matmul op = { .count = 1,
						.rows = rows,
						.weight = { &w },
						.dst = { at(all) },
						.src = at(x) };

			if (!w.tiled)
				continue;
			RUN(matmul, op);
			op.rows = n;
			op.dst[0] = at(some);
			op.src = at(x + 5 * in);
			RUN(matmul, op);
			for (uint32_t r = 0; r < n; r++)
				CU_ASSERT(!memcmp(some + (size_t)r * out, all + (5 + r) * out,
						  out / 16 * 16 * sizeof(float)));
		}
}

/* Rows of a table, also of one that is laid out for products. */
static void embed(bool exact)
{
	const uint32_t in = 512, out = 37;

	(void)exact;
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		pool_used = 0;
		double *values = doubles((size_t)in * out);
		const struct stoker_weight w = weights(f, in, out, 1, values);
		uint32_t *ids = number(0);
		float *got = room(in);

		for (uint32_t id = 0; id < out; id++) {
			const struct op_embed op = {
				.dst = at(got), .ids = at(ids), .table = &w, .rows = 1, .scale = 1
			};
			bool same = true;

			*ids = id;
			RUN(embed, op);
			for (uint32_t i = 0; i < in; i++)
				same = same && (double)got[i] == values[(size_t)id * in + i];
			CU_ASSERT(same);
		}
	}
}

static void test_embed(void)
{
	run_all_sets(embed);
}

static void test_matmul(void)
{
	run_all_sets(matmul);
	run_all_sets(matmul_together);
	run_all_sets(alone);
	as_in_files = true;
	run_all_sets(matmul);
	as_in_files = false;
}

static void test_not_finite(void)
{
	run_all_sets(not_finite);
}

void add_products(void)
{
	TEST(test_embed);
	TEST(test_matmul);
	TEST(test_not_finite);
}
