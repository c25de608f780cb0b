/* SPDX-License-Identifier: MIT */
/**
 * stoker/device.h - where a model computes.
 *
 * A device outlives the models loaded on it.  One device runs one session's work at a time;
 * sessions on several threads take turns.
 */
#ifndef STOKER_DEVICE_H
#define STOKER_DEVICE_H

#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_device;

/**
 * struct stoker_device_params - how to open a device; all zero is a good default
 * @name: "cpu"; NULL chooses the best one present
 * @threads: of the CPU, 0 for as many as the process may use (affinity and cgroup)
 * @exact: nonzero computes with 32-bit float activations throughout, for verification; slower
 */
struct stoker_device_params {
	const char *name;
	unsigned threads;
	int exact;
};

/**
 * stoker_device_open() - open a device
 * @params: may be NULL
 * @device: receives it; release it with stoker_device_close()
 * @err: may be NULL
 *
 * Return: 0, -ENODEV when there is no device of that name, -EINVAL, -ENOMEM.
 */
STOKER_API int stoker_device_open(const struct stoker_device_params *params,
				  struct stoker_device **device, struct stoker_error *err);

/** stoker_device_close() - release a device with no models on it and clear the pointer. */
STOKER_API void stoker_device_close(struct stoker_device **device);

/** stoker_device_description() - one line: "cpu: 2 threads, avx512". */
STOKER_API const char *stoker_device_description(const struct stoker_device *device);

#ifdef __cplusplus
}
#endif

#endif
