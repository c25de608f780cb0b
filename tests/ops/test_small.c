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

		RUN(glu, op);
		for (uint32_t r = 0; r < rows; r++)
			for (uint32_t i = 0; i < width; i++) {
				const double wanted = act((enum stoker_activation)kind,
							  (double)gate[r * 2 * width + i],
							  (double)up[r * width + i]);

				CU_ASSERT_DOUBLE_EQUAL(got[r * width + i], wanted,
						       1e-5 * fmax(1, fabs(wanted)));
			}
	}
}

static void test_activations(void)
{
	run_all_sets(activations);
}

void add_small(void)
{
	TEST(test_activations);
}
