// SPDX-License-Identifier: MIT
/* Layers with a state in place of a cache: short convolutions and the gated delta rule. */
#include "ops.h"

/* A convolution over rows at once equals the same over one row after the other. */
static void convolutions(bool exact)
{
	const uint32_t rows = 7, channels = 147, taps = 4;
	const size_t all = (size_t)rows * channels, past = (size_t)channels * (taps - 1);

	(void)exact;
	pool_used = 0;
	const float *x = noise(all), *w = noise((size_t)channels * taps);
	float *state = zeros(past), *got = room(all), *parts = room(all);
	const double *x_plain = doubles_of(x, all), *w_plain = doubles_of(w, channels * taps);
	double *state_wanted = doubles_of(state, past), *wanted = doubles(all);
	struct op_conv op = { .dst = at(got),
			      .src = at(x),
			      .weight = at(w),
			      .state = at(state),
			      .rows = rows,
			      .channels = channels,
			      .taps = taps,
			      .dst_stride = channels,
			      .src_stride = channels };

	reference_conv(&op, w_plain, x_plain, state_wanted, wanted);
	RUN(conv, op);
	check_each(got, wanted, all, 1e-5);
	check_each(state, state_wanted, past, 0);

	/* the same in two parts, of which the second has the first's state, and as silu */
	memset(state, 0, past * sizeof(*state));
	op.dst = at(parts);
	op.silu = true;
	op.rows = 2;
	RUN(conv, op);
	op.dst = at(parts + 2 * channels);
	op.src = at(x + 2 * channels);
	op.rows = rows - 2;
	RUN(conv, op);
	for (uint32_t i = 0; i < all; i++)
		CU_ASSERT_DOUBLE_EQUAL(parts[i], got[i] / (1 + exp(-(double)got[i])), 1e-5);
	op.rows = rows;
	memset(state_wanted, 0, past * sizeof(*state_wanted));
	reference_conv(&op, w_plain, x_plain, state_wanted, wanted);
	check_each(parts, wanted, all, 1e-5);
	check_each(state, state_wanted, past, 0);
}

/* From an empty state on, and from what that left. */
static void delta_rule(bool grouped)
{
	const uint32_t rows = 7, heads = 4, key_heads = 2, size = 12;
	const uint32_t width = (2 * key_heads + heads) * size;
	const size_t all = (size_t)rows * heads * size, cells = (size_t)heads * size * size;

	pool_used = 0;
	const float *qkv = noise((size_t)rows * width), *alpha = noise((size_t)rows * heads);
	const float *beta = noise((size_t)rows * heads), *dt = noise(heads), *a = noise(heads);
	float *state = zeros(cells), *got = room(all);
	const double *qkv_plain = doubles_of(qkv, (size_t)rows * width);
	double *state_wanted = doubles_of(state, cells), *wanted = doubles(all);
	const struct op_delta_net op = { .dst = at(got),
					 .q = at(qkv),
					 .k = at(qkv + key_heads * size),
					 .v = at(qkv + 2 * key_heads * size),
					 .alpha = at(alpha),
					 .beta = at(beta),
					 .dt = at(dt),
					 .a = at(a),
					 .state = at(state),
					 .rows = rows,
					 .key_heads = key_heads,
					 .value_heads = heads,
					 .size = size,
					 .qkv_stride = width,
					 .dst_stride = heads * size,
					 .grouped = grouped };

	for (int round = 0; round < 2; round++) {
		reference_delta_net(&op, qkv_plain, qkv_plain + key_heads * size,
				    qkv_plain + 2 * key_heads * size,
				    doubles_of(alpha, (size_t)rows * heads),
				    doubles_of(beta, (size_t)rows * heads), doubles_of(dt, heads),
				    doubles_of(a, heads), state_wanted, wanted);
		RUN(delta_net, op);
		if (!round)
			check_each_by_size(got, wanted, all, 1e-4);
		check("delta rule", got, wanted, all, 1e-4);
		check("its state", state, state_wanted, cells, 1e-4);
	}
}

static void recurrence(bool exact)
{
	convolutions(exact);
	delta_rule(false);
	delta_rule(true);
}

static void test_recurrence(void)
{
	run_all_sets(recurrence);
}

void add_recurrence(void)
{
	TEST(test_recurrence);
}
