// SPDX-License-Identifier: MIT
/* The op that takes rows by number: in any order, several times, with room between rows. */
#include "ops.h"

enum { SRC_ROWS = 9, ROWS = 13 };

static const uint32_t chosen[ROWS] = { 8, 0, 0, 3, 7, 3, 1, 8, 8, 2, 5, 4, 0 };

static void gather_of(uint32_t rows, uint32_t width, uint32_t dst_gap, uint32_t src_gap)
{
	const uint32_t dst_stride = width + dst_gap, src_stride = width + src_gap;
	const size_t size = (size_t)rows * dst_stride;

	pool_used = 0;
	const float *src = noise((size_t)SRC_ROWS * src_stride);
	uint32_t *ids = (uint32_t *)(void *)room(rows);
	float *got = noise(size);
	double *wanted = doubles_of(got, size); /* what is between rows stays */
	const struct op_gather op = { .dst = at(got),
				      .src = at(src),
				      .ids = at(ids),
				      .rows = rows,
				      .width = width,
				      .dst_stride = dst_stride,
				      .src_stride = src_stride,
				      .src_rows = SRC_ROWS };

	memcpy(ids, chosen, rows * sizeof(*ids));
	reference_gather(&op, ids, doubles_of(src, (size_t)SRC_ROWS * src_stride), wanted);
	RUN(gather, op);
	check_each(got, wanted, size, 0);
}

static void gather(bool exact)
{
	static const uint32_t widths[] = { 1, 3, 31, 32, 33, 63, 64, 100, 257, 2051 };

	(void)exact;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		gather_of(1, widths[i], 0, 0);
		gather_of(ROWS, widths[i], 0, 0);
		gather_of(ROWS, widths[i], 5, 0);
		gather_of(ROWS, widths[i], 0, 7);
	}
}

/* Rows that an op before it writes, all but the first: it has to wait for them. */
static void gather_after_copy(bool exact)
{
	const uint32_t width = 100;
	const size_t size = (size_t)ROWS * width;

	(void)exact;
	pool_used = 0;
	const float *src = noise((size_t)SRC_ROWS * width);
	float *moved = zeros((size_t)SRC_ROWS * width), *got = zeros(size);
	double *wanted = doubles(size);
	uint32_t *ids = (uint32_t *)(void *)room(ROWS);
	const struct op_copy copy = { .dst = at(moved + width),
				      .src = at(src + width),
				      .rows = SRC_ROWS - 1,
				      .width = width,
				      .dst_stride = width,
				      .src_stride = width };
	const struct op_gather op = { .dst = at(got),
				      .src = at(moved),
				      .ids = at(ids),
				      .rows = ROWS,
				      .width = width,
				      .dst_stride = width,
				      .src_stride = width,
				      .src_rows = SRC_ROWS };

	memcpy(moved, src, width * sizeof(*src));
	memcpy(ids, chosen, sizeof(chosen));
	reference_gather(&op, ids, doubles_of(src, (size_t)SRC_ROWS * width), wanted);
	carry(to_device);
	CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
	device_copy(device, &copy);
	device_gather(device, &op);
	submit();
	carry(from_device);
	check_each(got, wanted, size, 0);
}

static void test_gather(void)
{
	run_all_sets(gather);
	run_all_sets(gather_after_copy);
}

void add_gather(void)
{
	TEST(test_gather);
}
