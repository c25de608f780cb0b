/* SPDX-License-Identifier: MIT */
/**
 * stoker/unstable/observe.h - what matrices are multiplied with.
 *
 * For the stoker program, which is built together with the library: neither installed nor exported,
 * and different whenever it has to be.
 */
#ifndef STOKER_UNSTABLE_OBSERVE_H
#define STOKER_UNSTABLE_OBSERVE_H

#include "stoker/device.h"

/**
 * struct stoker_product - rows that a matrix is about to be multiplied with
 * @tensor: the tensor's name in the file; of experts that are tensors of their own, the first one's
 * @matrix: its number among the tensor's @matrices: of an expert, or a head
 * @x: @rows rows of @columns values, @stride values apart
 */
struct stoker_product {
	const char *tensor;
	uint32_t matrix, matrices, columns, rows;
	size_t stride;
	const float *x;
};

/**
 * struct stoker_observer - who is told of products
 * @product: called in the middle of an evaluation, on its thread or another one, one call at a
 *	time; @product and the rows live until it returns
 * @user: for it
 */
struct stoker_observer {
	void (*product)(void *user, const struct stoker_product *product);
	void *user;
};

/**
 * stoker_device_observe() - see what matrices are multiplied with, from the next evaluation on
 * @observer: copied; NULL ends it
 * @err: may be NULL
 *
 * Matrices with a name in the file are told of, each once an evaluation and row: those that one
 * tensor holds together are one matrix.
 *
 * Return: 0; -EINVAL without a device; -ENOTSUP for any but the CPU; -ENOMEM.
 */
int stoker_device_observe(struct stoker_device *device, const struct stoker_observer *observer,
			  struct stoker_error *err);

#endif
