// SPDX-License-Identifier: MIT
/* Ops on one value after the other. */
#include "ops.h"

static void activations(bool exact)
{
	(void)exact;
	for (int kind = ACTIVATION_SILU; kind <= ACTIVATION_SILU_ONLY; kind++) {
		const uint32_t width = 61, rows = 2;

		pool_used = 0;
		float *gate = noise(2 * width * rows), *up = noise(width * rows),
		      *got = room(width * rows);
		double *wanted = doubles(width * rows);

		for (uint32_t i = 0; i < width; i++) {
			gate[i] *= 20; /* beyond what exp() can take, too */
			up[i] *= i % 3 ? 1 : 200;
		}
		const struct op_glu op = { .dst = at(got),
					   .gate = at(gate),
					   .up = at(up),
					   .rows = rows,
					   .width = width,
					   .gate_stride = 2 * width,
					   .up_stride = width,
					   .activation = (enum stoker_activation)kind };

		reference_glu(&op, doubles_of(gate, 2 * width * rows), doubles_of(up, width * rows),
			      wanted);
		RUN(glu, op);
		check_each_by_size(got, wanted, width * rows, 1e-5);
	}
}

/* Each kind, with gaps between rows: of another array, and of the first operand in its place. */
static void binaries(bool exact)
{
	(void)exact;
	for (int i = 0; i < 2 * (BINARY_ADD_GATED + 1); i++) {
		const uint32_t rows = 3, width = 77, stride = width + 4;
		const size_t all = (size_t)rows * stride;

		pool_used = 0;
		float *a = noise(all);
		const float *b = noise(all), *gate = noise(rows);
		float *got = i % 2 ? a : zeros(all);
		double *wanted = doubles_of(got, all);
		const struct op_binary op = { .dst = at(got),
					      .a = at(a),
					      .b = at(b),
					      .gate = i / 2 == BINARY_ADD_GATED ? at(gate) : 0,
					      .kind = (enum binary_kind)(i / 2),
					      .rows = rows,
					      .width = width,
					      .dst_stride = stride,
					      .a_stride = stride,
					      .b_stride = stride,
					      .scale = 0.75f };

		reference_binary(&op, doubles_of(a, all), doubles_of(b, all),
				 doubles_of(gate, rows), wanted);
		RUN(binary, op);
		check_each(got, wanted, all, 1e-6);
	}
}

static void scales(bool exact)
{
	(void)exact;
	for (int capped = 0; capped < 2; capped++) {
		const size_t n = 1001;

		pool_used = 0;
		float *x = noise(n);

		for (size_t i = 0; i < n; i++)
			x[i] *= i % 7 ? 5 : 500;
		double *wanted = doubles_of(x, n);
		const struct op_scale op = {
			.x = at(x), .count = n, .scale = 1.5f, .cap = capped ? 30 : 0
		};

		reference_scale(&op, wanted);
		RUN(scale, op);
		check_each_by_size(x, wanted, n, 1e-5);
	}
}

static void copies(bool exact)
{
	const uint32_t rows = 4, width = 50, to = width + 3, from = width + 7;

	(void)exact;
	pool_used = 0;
	const float *src = noise((size_t)rows * from);
	float *got = zeros((size_t)rows * to);
	double *wanted = doubles_of(got, (size_t)rows * to);
	const struct op_copy op = { .dst = at(got),
				    .src = at(src),
				    .rows = rows,
				    .width = width,
				    .dst_stride = to,
				    .src_stride = from };

	reference_copy(&op, doubles_of(src, (size_t)rows * from), wanted);
	RUN(copy, op);
	check_each(got, wanted, (size_t)rows * to, 0);
}

static void test_activations(void)
{
	run_all_sets(activations);
}

static void test_small_ops(void)
{
	run_all_sets(binaries);
	run_all_sets(scales);
	run_all_sets(copies);
}

void add_small(void)
{
	TEST(test_activations);
	TEST(test_small_ops);
}
