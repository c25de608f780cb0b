// SPDX-License-Identifier: MIT
/* Norms, sums with their norms, and rotary positions. */
#include "ops.h"

static void norms_and_rope(bool exact)
{
	(void)exact;
	for (uint32_t width = 3; width < 200; width += 29) {
		const uint32_t rows = 3, groups = 2, stride = groups * width + 5;

		pool_used = 0;
		const float *x = noise((size_t)rows * stride), *weight = noise(width);
		float *got = room((size_t)rows * stride);
		const struct op_norm op = { .dst = at(got),
					    .src = at(x),
					    .weight = at(weight),
					    .rows = rows,
					    .groups = groups,
					    .width = width,
					    .dst_stride = stride,
					    .src_stride = stride,
					    .eps = 1e-5f };

		RUN(norm, op);
		for (uint32_t r = 0; r < rows; r++)
			for (uint32_t g = 0; g < groups; g++) {
				const size_t base = (size_t)r * stride + g * width;
				double square = 0;

				for (uint32_t i = 0; i < width; i++)
					square += (double)x[base + i] * (double)x[base + i];
				for (uint32_t i = 0; i < width; i++)
					CU_ASSERT_DOUBLE_EQUAL(got[base + i],
							       (double)x[base + i] *
								       (double)weight[i] /
								       sqrt(square / width + 1e-5),
							       1e-5);
			}
	}
	static const uint32_t positions[] = { 0, 1000, 131071, 1 << 20, (1 << 24) - 5 };

	for (size_t round = 0; round < 2 * ARRAY_SIZE(positions); round++) {
		const uint32_t rows = 5, heads = 3, size = 14, pairs = 5,
			       first = positions[round / 2];
		const bool interleaved = round % 2;

		pool_used = 0;
		float *x = noise((size_t)rows * heads * size),
		      *before = room((size_t)rows * heads * size);
		const float *frequency = noise(pairs);

		memcpy(before, x, (size_t)rows * heads * size * sizeof(float));
		const struct op_rope op = { .x = at(x),
					    .frequency = at(frequency),
					    .rows = rows,
					    .heads = heads,
					    .head_stride = size,
					    .stride = heads * size,
					    .pairs = pairs,
					    .position = at(number(first)),
					    .interleaved = interleaved,
					    .magnitude = 1.25f };

		RUN(rope, op);
		for (uint32_t r = 0; r < rows; r++)
			for (uint32_t h = 0; h < heads; h++)
				for (uint32_t i = 0; i < size; i++) {
					const size_t base = ((size_t)r * heads + h) * size;
					const uint32_t pair = interleaved ? i / 2 : i % pairs;
					const bool second = interleaved ? i % 2 : i >= pairs;
					const uint32_t a = interleaved ? 2 * pair : pair;
					const uint32_t b = interleaved ? 2 * pair + 1
								       : pair + pairs;
					const double angle =
						(double)((float)(first + r) * frequency[pair]);

					double y = (double)before[base + i];

					if (i < 2 * pairs) {
						const double u = 1.25 * (double)before[base + a];
						const double w = 1.25 * (double)before[base + b];

						y = second ? u * sin(angle) + w * cos(angle)
							   : u * cos(angle) - w * sin(angle);
					}
					CU_ASSERT_DOUBLE_EQUAL(x[base + i], y, 1e-4);
				}
	}
}

static void test_norms_and_rope(void)
{
	run_all_sets(norms_and_rope);
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
		add_and_norm(rows, width, x_wanted, doubles_of(a, all), i & 1 ? weight : NULL,
			     h_wanted);
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

static void test_add_norm(void)
{
	run_all_sets(add_norms);
}

void add_norms_and_rope(void)
{
	TEST(test_norms_and_rope);
	TEST(test_add_norm);
}
