/* SPDX-License-Identifier: MIT */
/**
 * stoker/bench.h - measuring a device.
 *
 * Calls take about a second each and use the whole device meanwhile.
 */
#ifndef STOKER_BENCH_H
#define STOKER_BENCH_H

#include <stdint.h>

#include "stoker/device.h"
#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * stoker_bench_read_bandwidth() - how fast the device reads its memory
 * @bytes_per_second: best of several passes over 256 MiB
 *
 * Return: 0 or -ENOMEM.
 */
STOKER_API int stoker_bench_read_bandwidth(struct stoker_device *device, double *bytes_per_second,
					   struct stoker_error *err);

/**
 * struct stoker_bench_product - a matrix product and what it took
 * @format: of the weights, by name
 * @in: values of an activation row, a multiple of the format's block
 * @out: rows of the matrix
 * @rows: activation rows
 * @seconds: median time of one product, set by the call
 * @weight_bytes: size of the matrix, set by the call
 * @operations: multiplications and additions, set by the call
 */
struct stoker_bench_product {
	const char *format;
	uint32_t in, out, rows;
	double seconds, weight_bytes, operations;
};

/**
 * stoker_bench_product() - time a matrix product
 *
 * Weights are read from memory, not from caches: there are as many copies of the matrix as make
 * 256 MiB.
 *
 * Return: 0, -EINVAL for impossible sizes, -ENOMEM.
 */
STOKER_API int stoker_bench_product(struct stoker_device *device,
				    struct stoker_bench_product *product, struct stoker_error *err);

#ifdef __cplusplus
}
#endif

#endif
