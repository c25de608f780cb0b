/* SPDX-License-Identifier: MIT */
/**
 * stoker/format.h - tensor formats: how GGUF stores the values of a row.
 *
 * A row of n values is n / block_values blocks of block_bytes each, little-endian.  Layouts follow
 * the GGUF specification and ggml's block structures.
 *
 * Thread-safety: every function here is pure.
 */
#ifndef STOKER_FORMAT_H
#define STOKER_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_format;

/**
 * stoker_format_by_id() - look a format up by GGUF's tensor type number
 * @id: ggml_type as stored in the tensor table
 *
 * Return: a static object, or NULL when the number is unknown.
 */
STOKER_API const struct stoker_format *stoker_format_by_id(uint32_t id);

/**
 * stoker_format_by_name() - look a format up by its name, "Q4_K" for instance
 * @name: upper or lower case
 *
 * Return: a static object, or NULL.
 */
STOKER_API const struct stoker_format *stoker_format_by_name(const char *name);

/**
 * stoker_format_next() - walk over all formats
 * @previous: NULL for the first
 *
 * Return: the next format in the order of the registry, NULL after the last.
 */
STOKER_API const struct stoker_format *stoker_format_next(const struct stoker_format *previous);

/** stoker_format_name() - the name GGUF tools print. */
STOKER_API const char *stoker_format_name(const struct stoker_format *format);

/** stoker_format_id() - GGUF's tensor type number. */
STOKER_API uint32_t stoker_format_id(const struct stoker_format *format);

/** stoker_format_file_type() - general.file_type of GGUF files whose matrices are mostly in it. */
STOKER_API uint32_t stoker_format_file_type(const struct stoker_format *format);

/** stoker_format_block_values() - values in one block. */
STOKER_API uint32_t stoker_format_block_values(const struct stoker_format *format);

/** stoker_format_can_encode() - nonzero when stoker_format_encode() supports the format. */
STOKER_API int stoker_format_can_encode(const struct stoker_format *format);

/**
 * stoker_format_bytes() - size of a run of values
 * @format: the format
 * @values: a multiple of the block's values
 *
 * Return: bytes.
 */
STOKER_API uint64_t stoker_format_bytes(const struct stoker_format *format, uint64_t values);

/**
 * stoker_format_decode() - expand blocks to float, the scalar reference for every kernel
 * @format: the format
 * @src: values / block_values blocks, any alignment
 * @dst: receives @values floats
 * @values: a multiple of the block's values
 */
STOKER_API void stoker_format_decode(const struct stoker_format *format, const void *src,
				     float *dst, size_t values);

/**
 * stoker_format_encode() - quantize floats
 * @format: a format for which stoker_format_can_encode() holds
 * @src: @values floats, all finite
 * @dst: receives the blocks
 * @values: a multiple of the block's values
 *
 * Return: 0, -ENOTSUP when the format can't be written, -EINVAL when @values is no multiple of the
 * block or a value isn't finite.
 */
STOKER_API int stoker_format_encode(const struct stoker_format *format, const float *src, void *dst,
				    size_t values);

/**
 * stoker_format_encode_rows() - quantize the rows of a matrix
 * @format: a format for which stoker_format_can_encode() holds
 * @values: @rows times @columns floats, all finite
 * @importance: a weight for each column, none negative, that says how much its error counts: the
 *	mean square of the activations that the column is multiplied by, for instance; NULL when all
 *	count alike
 * @rows: rows
 * @columns: a multiple of the block's values
 * @dst: receives the blocks, row after row
 *
 * Return: 0, -ENOTSUP when the format can't be written, -EINVAL when @columns is no multiple of the
 * block, -ERANGE when a value isn't finite, -EDOM when a weight is negative or isn't finite,
 * -ENOMEM.
 */
STOKER_API int stoker_format_encode_rows(const struct stoker_format *format, const float *values,
					 const float *importance, size_t rows, size_t columns,
					 void *dst);

#ifdef __cplusplus
}
#endif

#endif
