// SPDX-License-Identifier: MIT
/* Norms, sums with their norms, and rotary positions. */
#include "ops.h"

static void norms_of(uint32_t width, enum norm_kind kind, bool weighted)
{
	const uint32_t rows = 3, groups = 2, stride = groups * width + 5;
	const size_t all = (size_t)rows * stride;

	pool_used = 0;
	const float *x = noise(all), *weight = noise(width);
	float *got = zeros(all);
	double *wanted = doubles_of(got, all); /* nothing is written between rows */
	const struct op_norm op = { .dst = at(got),
				    .src = at(x),
				    .weight = weighted ? at(weight) : 0,
				    .kind = kind,
				    .rows = rows,
				    .groups = groups,
				    .width = width,
				    .dst_stride = stride,
				    .src_stride = stride,
				    .eps = 1e-5f };

	reference_norm(&op, weighted ? doubles_of(weight, width) : NULL, doubles_of(x, all),
		       wanted);
	RUN(norm, op);
	check_each(got, wanted, all, 1e-5);
}

static void ropes_of(uint32_t first, bool interleaved)
{
	const uint32_t rows = 5, heads = 3, size = 14, pairs = 5;
	const size_t all = (size_t)rows * heads * size;

	pool_used = 0;
	float *x = noise(all);
	double *wanted = doubles_of(x, all);
	const float *frequency = noise(pairs);
	const struct op_rope op = { .x = at(x),
				    .frequency = at(frequency),
				    .rows = rows,
				    .heads = heads,
				    .head_stride = size,
				    .stride = heads * size,
				    .pairs = pairs,
				    .places = places_at(first, rows),
				    .interleaved = interleaved,
				    .magnitude = 1.25f };

	reference_rope(&op, doubles_of(frequency, pairs), first, wanted);
	RUN(rope, op);
	check_each(x, wanted, all, 1e-4);
}

static void norms_and_rope(bool exact)
{
	static const uint32_t positions[] = { 0, 1000, 131071, 1 << 20, (1 << 24) - 5 };

	(void)exact;
	for (uint32_t width = 3; width < 200; width += 29) {
		norms_of(width, NORM_RMS, true);
		norms_of(width, NORM_RMS, false);
		norms_of(width, NORM_L2, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(positions); i++) {
		ropes_of(positions[i], false);
		ropes_of(positions[i], true);
	}
}

/* Beside the sum and the norm that it stands for: on the CPU they are the same to the last bit. */
static void add_norms(bool exact)
{
	(void)exact;
	for (uint32_t i = 0; i < 24; i++) {
		const uint32_t rows = 1 + i % 6, width = i % 4 == 3 ? 45 : 64 << i % 3;
		const size_t all = (size_t)rows * width;

		pool_used = 0;
		float *x = noise(all), *x_alone = room(all), *h = room(all), *h_alone = room(all);
		const float *a = noise(all), *weight = noise(width);
		double *x_wanted = doubles_of(x, all), *h_wanted = doubles(all);
		const struct op_add_norm op = { .x = at(x),
						.a = at(a),
						.h = at(h),
						.weight = i & 1 ? at(weight) : 0,
						.rows = rows,
						.width = width,
						.scale = 0.5f,
						.eps = 1e-5f };
		const struct op_binary add = { .dst = at(x_alone),
					       .a = at(x_alone),
					       .b = op.a,
					       .kind = BINARY_ADD,
					       .rows = rows,
					       .width = width,
					       .dst_stride = width,
					       .a_stride = width,
					       .b_stride = width,
					       .scale = op.scale };
		const struct op_norm norm = { .dst = at(h_alone),
					      .src = at(x_alone),
					      .weight = op.weight,
					      .rows = rows,
					      .groups = 1,
					      .width = width,
					      .dst_stride = width,
					      .src_stride = width,
					      .eps = op.eps };

		memcpy(x_alone, x, all * sizeof(*x));
		reference_add_norm(&op, i & 1 ? doubles_of(weight, width) : NULL,
				   doubles_of(a, all), x_wanted, h_wanted);
		carry(to_device);
		CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
		device_add_norm(device, &op);
		device_binary(device, &add);
		device_norm(device, &norm);
		submit();
		carry(from_device);
		CU_ASSERT(off_by(x, x_wanted, all) < 1e-6);
		CU_ASSERT(off_by(h, h_wanted, all) < 1e-5);
		CU_ASSERT(strcmp(ops->name, "cpu") || !memcmp(x, x_alone, all * sizeof(*x)));
		CU_ASSERT(strcmp(ops->name, "cpu") || !memcmp(h, h_alone, all * sizeof(*h)));
	}
}

static void test_norms_and_rope(void)
{
	run_all_sets(norms_and_rope);
}

static void test_add_norm(void)
{
	run_all_sets(add_norms);
}

void add_norms_and_rope(void)
{
	TEST(test_norms_and_rope);
	TEST(test_add_norm);
}
