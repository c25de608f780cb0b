/* SPDX-License-Identifier: MIT */
/* Floats to blocks: what quantizers and those that call them share. */
#ifndef STOKER_QUANT_ENCODE_H
#define STOKER_QUANT_ENCODE_H

#include "quant/format.h"

/*
 * @rows of @columns values to the blocks of @format, one row after the other in @out.  @importance
 * has a weight a column, the mean square of what the column is multiplied by, or is NULL: all
 * columns matter alike.  May be called by several threads at once.
 *
 * Return: 0, -ENOTSUP when the format can't be written, -EINVAL when @columns is no multiple of the
 * block, -ERANGE when a value isn't finite, -EDOM when a weight is negative or isn't finite,
 * -ENOMEM.
 */
int quant_encode_rows(const struct stoker_format *format, const float *values,
		      const float *importance, size_t rows, size_t columns, void *out);

#endif
