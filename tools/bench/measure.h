/* SPDX-License-Identifier: MIT */
/*
 * Measuring a device and a drive, for "stoker bench" and "stoker plan".  The other files of this
 * folder look inside the library; who includes this one needn't.
 *
 * Calls take about a second each and use the whole device meanwhile.
 */
#ifndef STOKER_TOOL_MEASURE_H
#define STOKER_TOOL_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "stoker/device.h"
#include "stoker/error.h"

/**
 * measure_read_bandwidth() - how fast the device reads its memory
 * @bytes_per_second: median of several passes over measure_footprint()
 *
 * Return: 0 or -ENOMEM.
 */
int measure_read_bandwidth(struct stoker_device *device, double *bytes_per_second,
			   struct stoker_error *err);

/**
 * struct measure_limits - what the device can do at most
 * @read_bytes: a second, from memory
 * @float_operations: multiplications and additions of 32-bit floats a second, in registers
 * @code_operations: likewise of 8-bit codes as the CPU's products do them; 0: not measured
 */
struct measure_limits {
	double read_bytes, float_operations, code_operations;
};

/**
 * measure_limits() - measure them
 *
 * Return: 0 or -ENOMEM.
 */
int measure_limits(struct stoker_device *device, struct measure_limits *limits,
		   struct stoker_error *err);

/* At most so many rows and values a row. */
enum { MEASURE_MOST = 1 << 20 };

/**
 * struct measure_product - a matrix product and what it took
 * @format: of the weights, by name
 * @in: values of an activation row, a multiple of the format's block
 * @out: rows of the matrix
 * @rows: activation rows
 * @cached: multiply with the same matrix again and again; otherwise weights come from memory, since
 *	copies of it, measure_footprint() together, have their turns
 * @seconds: how long to measure, 0: about a second; the call sets it to the median time of one
 *	product
 * @weight_bytes: size of the matrix, set by the call
 * @operations: multiplications and additions, set by the call
 */
struct measure_product {
	const char *format;
	uint32_t in, out, rows;
	bool cached;
	double seconds, weight_bytes, operations;
};

/*
 * Bytes to read before the same is read again: 256 MiB, and where the device uses the processor's
 * caches at least four times the last of them, unless there is too little memory for it.
 */
uint64_t measure_footprint(const struct stoker_device *d);

/**
 * measure_product() - time a matrix product
 *
 * Return: 0, -EINVAL for impossible sizes, -ENOMEM.
 */
int measure_product(struct stoker_device *device, struct measure_product *product,
		    struct stoker_error *err);

/**
 * measure_products() - time products with the same matrix
 * @list: they differ in @rows and @seconds alone
 * @count: how many there are, at least one
 *
 * Return: as measure_product(), when the first one fails.
 */
int measure_products(struct stoker_device *device, struct measure_product *list, size_t count,
		     struct stoker_error *err);

/**
 * struct measure_op - an op that isn't a single matrix product, and what it took
 * @name: "attention", "experts" ...
 * @rows: tokens that it is done for
 * @positions: tokens that attention sees
 * @seconds: median time of one
 * @bytes: that it has to read and write, each once
 * @operations: multiplications and additions where those are what it's about, otherwise 0
 */
struct measure_op {
	const char *name;
	uint32_t rows, positions;
	double seconds, bytes, operations;
};

typedef void measure_op_fn(void *context, const struct measure_op *op);

/**
 * measure_ops() - time every other op, in the sizes of Qwen3-30B-A3B and the like
 * @format: of the experts' weights, by name
 * @fn: called for each op with one row and with 512, as soon as it is measured
 *
 * Takes 200 MB of the device's memory, and for experts what 604 million weights take: 340 MB in
 * Q4_K.
 *
 * Return: 0, -EINVAL for an unknown format, -ENOMEM.
 */
int measure_ops(struct stoker_device *device, const char *format, measure_op_fn *fn, void *context,
		struct stoker_error *err);

/** Called with a number that a driver tells of a shader: @name is its own, "VGPRs"; see the next.
 */
typedef void measure_statistic_fn(void *context, const char *shader, const char *format,
				  const char *name, double value);

/**
 * measure_shaders() - what a Vulkan driver compiles the shaders to
 * @device: as stoker_device_params.name after "vulkan:", empty for the best one
 * @fn: called for each number of each shader, one shader after the other
 *
 * Nothing runs on the device.
 *
 * Return: 0, -ENODEV, -ENOTSUP when the driver doesn't say (VK_KHR_pipeline_executable_properties).
 */
int measure_shaders(const char *device, measure_statistic_fn *fn, void *context,
		    struct stoker_error *err);

/**
 * struct measure_reads - reads of blocks at random places of a file and what they took
 * @store: "uring", "threads", "kmod", or NULL for the first of the former two that
 *	works here; set to its name
 * @registered: of "uring", whether its memory is registered with the kernel
 * @block_bytes: a multiple of 4096
 * @depth: reads under way at a time, 1 to 64
 * @memory_bytes: into which reads go; at least @depth blocks, which is what 0 means
 * @direct: whether the page cache was left out, set by the call like all that follow
 * @bytes_per_second: over about a second
 * @median_seconds: from sending a read to its end
 * @p99_seconds: 99 of 100 took no longer
 * @cpu_seconds_per_gib: processor time of the process, user and system
 * @setup_seconds: to have the memory ready for reads
 * @runs: stretches of adjacent memory that it consists of, 0: it isn't known
 */
struct measure_reads {
	const char *store;
	int registered;
	uint64_t block_bytes;
	uint32_t depth;
	uint64_t memory_bytes;
	int direct;
	double bytes_per_second, median_seconds, p99_seconds, cpu_seconds_per_gib, setup_seconds;
	uint32_t runs;
};

/**
 * measure_reads() - time reads of a file as paging does them
 * @path: a file that is much larger than what a second reads
 *
 * Return: 0, -EINVAL for impossible sizes, -ENOMEM, -ENOTSUP when the store isn't possible here, or
 * -errno of reading.
 */
int measure_reads(const char *path, struct measure_reads *reads, struct stoker_error *err);

#endif
