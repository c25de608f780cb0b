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
			      .places = places_at(0, rows),
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
					 .places = places_at(0, rows),
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

/* Rows of three sequences, whose states are in slots: [begin, begin + rows) is in @slot. */
static const struct part {
	uint32_t begin, rows, slot;
} parts_of[] = { { 0, 2, 2 }, { 2, 4, 0 }, { 6, 1, 3 } };
enum { ALL_ROWS = 7, SLOTS = 4 };

static stoker_address slots(const struct part *part, size_t count)
{
	uint32_t rows = 0;

	for (size_t i = 0; i < count; i++)
		rows += part[i].rows;
	struct row_place *p = (struct row_place *)(void *)room(rows * sizeof(*p) / sizeof(float));
	struct row_place *to = p;

	for (size_t i = 0; i < count; i++)
		for (uint32_t r = 0; r < part[i].rows; r++)
			*to++ = (struct row_place){ .position = r, .state = part[i].slot };
	return at(p);
}

/* Convolutions of several sequences in one op are those of each by itself, to the bit. */
static void convolve_together(uint32_t taps)
{
	const uint32_t channels = 147, past = channels * (taps - 1), stride = past + 5;
	const size_t all = (size_t)ALL_ROWS * channels;

	pool_used = 0;
	const float *x = noise(all), *w = noise((size_t)channels * taps);
	const float *before = noise(SLOTS * stride);
	float *together = memcpy(room(SLOTS * stride), before, SLOTS * stride * sizeof(float));
	float *alone = memcpy(room(SLOTS * stride), before, SLOTS * stride * sizeof(float));
	float *got = room(all), *wanted = room(all);
	struct op_conv op = { .dst = at(got),
			      .src = at(x),
			      .weight = at(w),
			      .state = at(together),
			      .places = slots(parts_of, ARRAY_SIZE(parts_of)),
			      .state_stride = stride * sizeof(float),
			      .rows = ALL_ROWS,
			      .channels = channels,
			      .taps = taps,
			      .dst_stride = channels,
			      .src_stride = channels };

	RUN(conv, op);
	for (size_t i = 0; i < ARRAY_SIZE(parts_of); i++) {
		const struct part *p = &parts_of[i];

		op.dst = at(wanted + p->begin * channels);
		op.src = at(x + p->begin * channels);
		op.state = at(alone);
		op.places = slots(p, 1);
		op.rows = p->rows;
		RUN(conv, op);
	}
	CU_ASSERT(!memcmp(got, wanted, all * sizeof(*got)));
	CU_ASSERT(!memcmp(together, alone, SLOTS * stride * sizeof(float)));
	CU_ASSERT(!memcmp(together + stride, before + stride, stride * sizeof(float)));
}

static void delta_rule_together(void)
{
	const uint32_t heads = 4, key_heads = 2, size = 12, width = (2 * key_heads + heads) * size;
	const uint32_t cells = heads * size * size, stride = cells + 16;
	const size_t all = (size_t)ALL_ROWS * heads * size;

	pool_used = 0;
	const float *qkv = noise(ALL_ROWS * width), *gates = noise(2 * ALL_ROWS * heads);
	const float *dt = noise(heads), *a = noise(heads), *before = noise(SLOTS * stride);
	float *together = memcpy(room(SLOTS * stride), before, SLOTS * stride * sizeof(float));
	float *alone = memcpy(room(SLOTS * stride), before, SLOTS * stride * sizeof(float));
	float *got = room(all), *wanted = room(all);

	for (size_t i = 0; i <= ARRAY_SIZE(parts_of); i++) {
		const bool whole = i == ARRAY_SIZE(parts_of);
		const struct part *p = whole ? parts_of : &parts_of[i];
		const float *in = qkv + p->begin * width, *alpha = gates + p->begin * heads;
		const struct op_delta_net op = {
			.dst = at((whole ? got : wanted) + p->begin * heads * size),
			.q = at(in),
			.k = at(in + key_heads * size),
			.v = at(in + 2 * key_heads * size),
			.alpha = at(alpha),
			.beta = at(alpha + ALL_ROWS * heads),
			.dt = at(dt),
			.a = at(a),
			.state = at(whole ? together : alone),
			.places = slots(p, whole ? ARRAY_SIZE(parts_of) : 1),
			.state_stride = stride * sizeof(float),
			.rows = whole ? ALL_ROWS : p->rows,
			.key_heads = key_heads,
			.value_heads = heads,
			.size = size,
			.qkv_stride = width,
			.dst_stride = heads * size
		};

		RUN(delta_net, op);
	}
	CU_ASSERT(!memcmp(got, wanted, all * sizeof(*got)));
	CU_ASSERT(!memcmp(together, alone, SLOTS * stride * sizeof(float)));
	CU_ASSERT(!memcmp(together + stride, before + stride, stride * sizeof(float)));
}

static void recurrence(bool exact)
{
	for (uint32_t taps = 2; taps < 6; taps++)
		convolve_together(taps);
	delta_rule_together();
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
