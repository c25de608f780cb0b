// SPDX-License-Identifier: MIT
/* What "stoker bench" measures ops with. */
#include "bench/measure.h"

#include <errno.h>

#include "stoker/format.h"
#include "unit.h"

static void count_op(void *context, const struct measure_op *op)
{
	CU_ASSERT(op->seconds > 0 && op->bytes > 0 && op->operations >= 0);
	CU_ASSERT(op->rows && op->positions >= op->rows && *op->name);
	++*(unsigned *)context;
}

static void test_bench_ops(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 2 };
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

static void test_bench_products(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 1 };
	struct measure_product list[2];
	struct stoker_error err = { "" };
	struct stoker_device *cpu;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &cpu, NULL), 0);
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		for (int cached = 0; cached < 2; cached++) {
			const uint32_t block = stoker_format_block_values(f);
			const uint32_t in = block > 32 ? 3 * block : 576;

			if (!cached && (SANITIZED || stoker_format_id(f) % 7))
				continue; /* takes memory */
			for (uint32_t i = 0; i < 2; i++)
				list[i] = (struct measure_product){ .format = stoker_format_name(f),
								    .in = in,
								    .out = 40,
								    .rows = 1 + 4 * i,
								    .cached = cached,
								    .seconds = 1e-3 };
			CU_ASSERT_EQUAL_FATAL(measure_products(cpu, list, 2, &err), 0);
			CU_ASSERT_EQUAL(list[0].weight_bytes,
					40 * (double)stoker_format_bytes(f, in));
			CU_ASSERT_EQUAL(list[1].weight_bytes, list[0].weight_bytes);
			CU_ASSERT_EQUAL(list[0].operations, 80.0 * in);
			CU_ASSERT_EQUAL(list[1].operations, 400.0 * in);
			/* of one product, not of all that were measured */
			CU_ASSERT(list[0].seconds > 0 && list[0].seconds < 0.1);
		}
	list[0].in = 577;
	list[0].format = "Q4_0";
	CU_ASSERT_EQUAL(measure_products(cpu, list, 1, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.message, "Q4_0: no product of 40 x 577 with 1 rows");
	list[0] = (struct measure_product){
		.format = "F32", .in = MEASURE_MOST, .out = MEASURE_MOST, .rows = 1, .cached = true
	};
	CU_ASSERT_EQUAL(measure_products(cpu, list, 1, &err), -ENOMEM);
	CU_ASSERT(strstr(err.message, "F32: 1048576 x 1048576 with 1 rows takes 4398") != NULL);
	stoker_device_close(&cpu);
}

void suite_bench(void)
{
	TEST(test_bench_products);
	TEST(test_bench_ops);
	add_bench_serve();
}
