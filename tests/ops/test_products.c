// SPDX-License-Identifier: MIT
/* Products of matrices with few and with many rows, in every format. */
#include "ops.h"

#include <math.h>

/* Whether a device takes activations as BF16 where the weights are. */
static bool rounds_to_bfloat(const struct stoker_format *f)
{
	return !strcmp(f->name, "BF16") && strstr(device->description, "with BF16");
}

/* 8-bit activations err by up to half a step of 1/127 of each group's largest value. */
static double product_limit(const struct stoker_format *f, bool exact)
{
	if (exact)
		return 2e-6;
	/* cooperative matrices take half floats */
	if (rounds_to_bfloat(f))
		return 4e-3;
	return f->group ? 0.02 : strstr(device->description, "cooperative") ? 2e-3 : 2e-6;
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
			struct matrix plain_w = plain(&w, values);
			const struct op_matmul op = { .count = 1,
						      .rows = rows,
						      .weight = { &w },
						      .dst = { at(got) },
						      .src = at(x) };

			plain_w.bias = w.bias ? doubles_of(bias, out) : NULL;
			reference_matmul(&op, &plain_w, doubles_of(x, (size_t)rows * in), wanted);
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
			struct matrix plain_w = plain(&w[i], values);

			plain_w.bias = biased ? doubles_of(bias, outs[i]) : NULL;
			reference_matmul(&op, &plain_w, doubles_of(x, (size_t)rows * in),
					 wanted[i]);
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
	const uint32_t out = 52, rows = 29;

	(void)exact;
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		for (uint32_t n = 1; n <= 17; n++) {
			/* the smaller blocks don't make it a multiple of 256 */
			const uint32_t in = f->block_values >= 256 ? 512
								   : 512 + MAX(f->block_values, 32);

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

/* Scales of NVFP4 are right one by one, the smallest ones included. */
static void every_scale(bool exact)
{
	enum { IN = 128, OUT = 128, ROWS = 5 };
	const struct stoker_format *f = stoker_format_by_name("NVFP4");
	const size_t block_bytes = f->block_bytes, row_bytes = stoker_row_bytes(f, IN);

	(void)exact;
	pool_used = 0;
	double *values = doubles(IN * OUT), *wanted = doubles(ROWS * OUT);
	float *x = room(IN * ROWS), *got = room(OUT * ROWS);
	uint8_t *blocks = (uint8_t *)room(row_bytes * OUT + 64);

	for (size_t at = 0; at < row_bytes * OUT; at += block_bytes) {
		memset(blocks + at, (int)(at / row_bytes), 4);
		memset(blocks + at + 4, 0x35, block_bytes - 4);
	}
	for (size_t i = 0; i < IN * ROWS; i++)
		x[i] = 1;
	const struct stoker_weight w = weights_of(f, blocks, IN, OUT, 1, values);
	const struct matrix plain_w = plain(&w, values);
	struct op_matmul op = {
		.count = 1, .weight = { &w }, .dst = { at(got) }, .src = at(x), .rows = ROWS
	};

	reference_matmul(&op, &plain_w, doubles_of(x, IN * ROWS), wanted);
	for (op.rows = 1; op.rows <= ROWS; op.rows++) {
		RUN(matmul, op);
		for (size_t i = 0; i < op.rows * OUT; i++)
			CU_ASSERT_DOUBLE_EQUAL(got[i], wanted[i], 5e-3 * wanted[i]);
	}
}

/* Sums of the largest products, which are all of one sign, fit where kernels add them. */
static void largest(bool exact)
{
	const uint32_t in = 512, out = 16, rows = 9;

	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		for (int bytes = 0; bytes < 256 && f->halves[0] >= 0; bytes += 255) {
			const size_t size = stoker_row_bytes(f, in) * out;

			pool_used = 0;
			double *values = doubles((size_t)in * out);
			double *wanted = doubles((size_t)rows * out);
			float *x = room((size_t)rows * in), *got = room((size_t)rows * out);
			uint8_t *blocks = (uint8_t *)room(size + 64);

			memset(blocks, bytes, size);
			for (size_t b = 0; b < size; b += f->block_bytes)
				for (int h = 0; h < 2 && f->halves[h] >= 0; h++)
					memcpy(blocks + b + f->halves[h], "\x00\x3c", 2);
			for (size_t i = 0; i < (size_t)rows * in; i++)
				x[i] = i / in % 3 == 2 && i % 2 ? -1.0f
				       : i / in % 3 == 1	? -1.0f
								: 1.0f;
			const struct stoker_weight w = weights_of(f, blocks, in, out, 1, values);
			const struct matrix plain_w = plain(&w, values);
			struct op_matmul op = { .count = 1,
						.rows = rows,
						.weight = { &w },
						.dst = { at(got) },
						.src = at(x) };

			reference_matmul(&op, &plain_w, doubles_of(x, (size_t)rows * in), wanted);
			RUN(matmul, op);
			CU_ASSERT(off_by(got, wanted, (size_t)rows * out) <
				  product_limit(f, exact));
			op.rows = 1;
			for (uint32_t r = 0; r < 3; r++) {
				op.src = at(x + (size_t)r * in);
				RUN(matmul, op);
				if (!(off_by(got, wanted + (size_t)r * out, out) < 0.02)) {
					printf("\n    %s, bytes of %d, row %u, %s", f->name, bytes,
					       r, device->description);
					CU_FAIL("the largest products");
				}
			}
		}
}

/* Weights that are floats: rows that fill blocks, stretches and vectors, and rows that don't. */
static void floats(bool exact)
{
	static const char *const formats[] = { "F32", "F16", "BF16" };
	static const uint32_t ins[] = { 7, 300, 576, 640, 2100 };
	static const uint32_t row_counts[] = { 1, 2, 3, 4, 5, 8, 11, 16, 19, 37 };
	const size_t counts = ARRAY_SIZE(row_counts);

	for (size_t i = 0; i < ARRAY_SIZE(formats) * ARRAY_SIZE(ins) * counts; i++) {
		const struct stoker_format *f = stoker_format_by_name(formats[i % 3]);
		const uint32_t in = ins[i / 3 % ARRAY_SIZE(ins)], out = in > 1000 ? 19 : 91;
		const uint32_t rows = row_counts[i / 3 / ARRAY_SIZE(ins)];

		pool_used = 0;
		double *values = doubles((size_t)in * out), *wanted = doubles((size_t)rows * out);
		const struct stoker_weight w = weights(f, in, out, 1, values);
		const struct matrix plain_w = plain(&w, values);
		const float *x = noise((size_t)rows * in);
		float *got = room((size_t)rows * out);
		const struct op_matmul op = {
			.count = 1, .rows = rows, .weight = { &w }, .dst = { at(got) }, .src = at(x)
		};

		reference_matmul(&op, &plain_w, doubles_of(x, (size_t)rows * in), wanted);
		RUN(matmul, op);
		if (!(off_by(got, wanted, (size_t)rows * out) < product_limit(f, exact))) {
			printf("\n    %s, %u rows of %u, %s: off by %.2e", f->name, rows, in,
			       device->description, off_by(got, wanted, (size_t)rows * out));
			CU_FAIL("floats");
		}
	}
}

/* On the CPU, of up to four activation rows each has the product that it has by itself. */
static void floats_alone(bool exact)
{
	static const char *const formats[] = { "F32", "F16", "BF16", "Q4_0" };
	const uint32_t in = 608, out = 38;

	if (strncmp(device->description, "cpu", 3) != 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(formats) * 4; i++) {
		const struct stoker_format *f = stoker_format_by_name(formats[i / 4]);
		const uint32_t rows = (uint32_t)i % 4 + 1;

		if (!exact && (f->group || rounds_to_bfloat(f)))
			continue;
		pool_used = 0;
		struct stoker_weight w = weights(f, in, out, 1, doubles((size_t)in * out));
		const float *x = noise((size_t)rows * in);
		float *all = room((size_t)rows * out), *one = room(out);
		/* an offset in a file that fits no float */
		const size_t bytes = stoker_row_bytes(f, in) * out;
		uint8_t *odd = (uint8_t *)room(bytes / sizeof(float) + 1) + 1;

		struct op_matmul op = {
			.count = 1, .rows = rows, .weight = { &w }, .dst = { at(all) }, .src = at(x)
		};

		memcpy(odd, (const void *)(uintptr_t)w.at, bytes);
		RUN(matmul, op);
		op.rows = 1;
		op.dst[0] = at(one);
		w.at = at(odd);
		for (uint32_t r = 0; r < rows; r++) {
			op.src = at(x + (size_t)r * in);
			RUN(matmul, op);
			CU_ASSERT(!memcmp(one, all + (size_t)r * out, out * sizeof(float)));
		}
	}
}

/* Matrices with a scale beside their blocks, and with both. */
static void matmul_scaled(bool exact)
{
	static const char *const formats[] = { "NVFP4", "Q4_0", "F32" };

	for (size_t i = 0; i < 4 * ARRAY_SIZE(formats); i++) {
		const struct stoker_format *f = stoker_format_by_name(formats[i / 4]);
		const uint32_t rows = i & 1 ? 6 : 1, in = 128, out = 37;

		pool_used = 0;
		double *values = doubles((size_t)in * out), *wanted = doubles((size_t)rows * out);
		struct stoker_weight w = weights(f, in, out, 1, values);
		const float *x = noise((size_t)rows * in), *bias = noise(out), *scale = noise(1);
		float *got = room((size_t)rows * out);
		const struct op_matmul op = {
			.count = 1, .rows = rows, .weight = { &w }, .dst = { at(got) }, .src = at(x)
		};
		struct matrix plain_w = plain(&w, values);

		w.scale = at(scale);
		w.bias = i & 2 ? at(bias) : 0;
		plain_w.scale = doubles_of(scale, 1);
		plain_w.bias = w.bias ? doubles_of(bias, out) : NULL;
		reference_matmul(&op, &plain_w, doubles_of(x, (size_t)rows * in), wanted);
		RUN(matmul, op);
		check("matmul with a scale", got, wanted, (size_t)rows * out,
		      product_limit(f, exact));
	}
}

/* A matrix a head, whose inputs and outputs have gaps in between. */
static void matmul_heads(bool exact)
{
	static const char *const formats[] = { "Q8_0", "Q4_0", "F16", "F32" };

	for (size_t i = 0; i < 3 * ARRAY_SIZE(formats); i++) {
		const struct stoker_format *f = stoker_format_by_name(formats[i / 3]);
		const uint32_t rows = (uint32_t[]){ 1, 3, 13 }[i % 3], heads = 3, in = 64, out = 20;
		const uint32_t src_head = in + 4, src_row = heads * src_head + 8;
		const uint32_t dst_head = out + 4, dst_row = heads * dst_head + 12;

		pool_used = 0;
		double *values = doubles((size_t)in * out * heads);
		const struct stoker_weight w = weights(f, in, out, heads, values);
		const struct matrix plain_w = plain(&w, values);
		const float *x = noise((size_t)rows * src_row);
		float *got = zeros((size_t)rows * dst_row);
		double *wanted = doubles_of(got, (size_t)rows * dst_row);
		const struct op_matmul_heads op = { .weight = &w,
						    .dst = at(got),
						    .src = at(x),
						    .rows = rows,
						    .dst_stride = dst_row,
						    .dst_head_stride = dst_head,
						    .src_stride = src_row,
						    .src_head_stride = src_head };

		reference_matmul_heads(&op, &plain_w, doubles_of(x, (size_t)rows * src_row),
				       wanted);
		RUN(matmul_heads, op);
		check("matmul of heads", got, wanted, (size_t)rows * dst_row,
		      product_limit(f, exact));
	}
}

/* Each activation, with a gate and without. */
static void gated(bool exact)
{
	const struct stoker_format *f = stoker_format_by_name("Q8_0");

	for (int kind = ACTIVATION_SILU; kind <= ACTIVATION_SILU_ONLY; kind++)
		for (uint32_t rows = 1; rows < 8; rows += 6) {
			const uint32_t in = 64, out = 45;

			pool_used = 0;
			double *gate_values = doubles(in * out), *up_values = doubles(in * out);
			double *wanted = doubles(rows * out);
			const bool gateless = kind == ACTIVATION_SILU_ONLY;
			const struct stoker_weight none = { .at = 0 };
			const struct stoker_weight up = weights(f, in, out, 1, up_values);
			const struct stoker_weight gate =
				gateless ? none : weights(f, in, out, 1, gate_values);
			const struct matrix plain_gate = plain(&gate, gate_values);
			const struct matrix plain_up = plain(&up, up_values);
			const float *x = noise((size_t)rows * in);
			float *got = room(rows * out), *scratch = room(rows * out);
			const struct op_gated op = { .gate = &gate,
						     .up = &up,
						     .dst = at(got),
						     .src = at(x),
						     .scratch = at(scratch),
						     .rows = rows,
						     .activation = (enum stoker_activation)kind };

			reference_gated(&op, gateless ? NULL : &plain_gate, &plain_up,
					doubles_of(x, (size_t)rows * in), wanted);
			RUN(gated, op);
			check("gated", got, wanted, rows * out, exact ? 1e-5 : 0.06);
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

		const struct matrix table = plain(&w, values);
		double *wanted = doubles(in);

		for (uint32_t id = 0; id < out; id++) {
			struct op_embed op = {
				.dst = at(got), .ids = at(ids), .table = &w, .rows = 1, .scale = 1
			};

			*ids = id;
			reference_embed(&op, &table, ids, wanted);
			RUN(embed, op);
			check_each(got, wanted, in, 0);
		}
	}
}

/* Several rows at once, in no order, and with a scale. */
static void embed_scaled(bool exact)
{
	const uint32_t in = 256, out = 37, rows = 5;

	(void)exact;
	pool_used = 0;
	double *values = doubles(in * out), *wanted = doubles(rows * in);
	const struct stoker_weight w = weights(stoker_format_by_name("Q8_0"), in, out, 1, values);
	const struct matrix table = plain(&w, values);
	uint32_t *ids = (uint32_t *)(void *)room(rows);
	float *got = room(rows * in);
	const struct op_embed op = {
		.dst = at(got), .ids = at(ids), .table = &w, .rows = rows, .scale = 1.5f
	};

	for (uint32_t r = 0; r < rows; r++)
		ids[r] = (36 + 22 * r) % out;
	reference_embed(&op, &table, ids, wanted);
	RUN(embed, op);
	check("embed with a scale", got, wanted, rows * in, 1e-6);
}

static void test_embed(void)
{
	run_all_sets(embed);
	run_all_sets(embed_scaled);
}

static void test_matmul(void)
{
	run_all_sets(matmul);
	run_all_sets(matmul_together);
	run_all_sets(matmul_scaled);
	run_all_sets(alone);
	run_all_sets(largest);
	run_all_sets(every_scale);
	run_all_sets(floats);
	run_all_sets(floats_alone);
	as_in_files = true;
	run_all_sets(matmul);
	as_in_files = false;
}

static void test_not_finite(void)
{
	run_all_sets(not_finite);
}

static void test_matmul_heads(void)
{
	run_all_sets(matmul_heads);
}

static void test_gated(void)
{
	run_all_sets(gated);
}

void add_products(void)
{
	TEST(test_embed);
	TEST(test_matmul);
	TEST(test_matmul_heads);
	TEST(test_gated);
	TEST(test_not_finite);
}
