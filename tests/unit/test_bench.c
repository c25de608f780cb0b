// SPDX-License-Identifier: MIT
/* What "stoker bench" measures ops with. */
#include "bench/measure.h"

#include <errno.h>

#include "unit.h"

static void count_op(void *context, const struct measure_op *op)
{
	CU_ASSERT(op->seconds > 0 && op->bytes > 0 && op->operations >= 0);
	CU_ASSERT(op->rows && op->positions >= op->rows && *op->name);
	++*(unsigned *)context;
}

static void test_bench_ops(void)
{
	const struct stoker_device_params params = { .name = "cpu", .threads = 2 };
	struct stoker_error err = { "" };
	struct stoker_device *cpu;
	unsigned count = 0;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &cpu, NULL), 0);
	CU_ASSERT_EQUAL(measure_ops(cpu, "Q9_9", count_op, &count, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.message, "Q9_9: no format of weights");
	CU_ASSERT_EQUAL(count, 0);
	if (SANITIZED)
		skip("bench ops", "slow under a sanitizer");
	else
		CU_ASSERT_EQUAL(measure_ops(cpu, "MXFP4", count_op, &count, &err), 0);
	CU_ASSERT(SANITIZED || count == 27);
	stoker_device_close(&cpu);
}

void suite_bench(void)
{
	TEST(test_bench_ops);
}
