/* SPDX-License-Identifier: MIT */
/*
 * The registry of tensor formats.
 *
 * Every quantized format is the same thing seen from a kernel: signed 8-bit codes, and for each
 * group of 16 or 32 codes a float scale and, in affine formats, a float offset:
 *
 *	value = scale * code + offset
 *
 * "unpack" turns blocks into that form; all products in it are exact in float, so decoding rounds
 * once and is bit-exact.  Adding a format is its row in formats.def, one unpack function and its
 * block decoder among the shaders.
 */
#ifndef STOKER_QUANT_FORMAT_H
#define STOKER_QUANT_FORMAT_H

#include "base/base.h"
#include "base/isa.h"
#include "stoker/format.h"

/* Blocks to codes[blocks * block_values], scale and offset[blocks * block_values / group]. */
typedef void stoker_unpack_fn(const uint8_t *src, size_t blocks, int8_t *codes, float *scale,
			      float *offset);
/* Float formats: @n values to float. */
typedef void stoker_widen_fn(const uint8_t *src, size_t n, float *dst);
/* Floats to @blocks blocks of one row; @importance, a weight a value, or NULL. */
typedef void stoker_encode_fn(const float *x, const float *importance, size_t blocks, uint8_t *dst);

/* FORMAT_NAME: GGUF's numbers. */
enum stoker_format_id {
#define FORMAT(NAME, kernel, id, ...) FORMAT_##NAME = id,
#include "quant/formats.def"
	FORMAT_IDS = 64 /* all are below */
};

struct stoker_format {
	const char *name;
	uint32_t id;
	uint32_t file_type; /* of files whose matrices are mostly in it */
	uint16_t block_values, block_bytes;
	int16_t halves[2]; /* where a block has half floats, or -1; for random blocks */
	uint16_t fork_values, fork_bytes; /* of blocks that others write under the same number */
	uint8_t group;	    /* codes that share a scale: 16 or 32; 0 in float formats */
	bool affine;	    /* unpack writes offsets */
	int8_t least, most; /* codes that there are */
	stoker_unpack_fn *unpack[STOKER_ISA_COUNT];
	stoker_widen_fn *widen[STOKER_ISA_COUNT];
	stoker_encode_fn *encode[STOKER_ISA_COUNT];
	const uint16_t *codebook; /* of IQ formats */
	uint32_t codebook_bytes;
};

#define DECLARE_UNPACK(name) \
	ISA_DECLARE(void, unpack_##name, const uint8_t *, size_t, int8_t *, float *, float *)
#define DECLARE_WIDEN(name) ISA_DECLARE(void, widen_##name, const uint8_t *, size_t, float *)
/* How a family file writes such a function. */
#define UNPACK(name)                                                                \
	void ISA_NAME(unpack_##name)(const uint8_t *restrict src, size_t blocks,    \
				     int8_t *restrict codes, float *restrict scale, \
				     float *restrict offset)

#define DECLARE_ENCODE(name) \
	ISA_DECLARE(void, encode_##name, const float *, const float *, size_t, uint8_t *)
#define ENCODE(name)                                                                            \
	void ISA_NAME(encode_##name)(const float *restrict x, const float *restrict importance, \
				     size_t blocks, uint8_t *restrict dst)

#define FLOAT(NAME, kernel, ...) \
	DECLARE_WIDEN(kernel);   \
	DECLARE_ENCODE(kernel);
#define FORMAT(NAME, kernel, ...) \
	DECLARE_UNPACK(kernel);   \
	DECLARE_ENCODE(kernel);
#include "quant/formats.def"

/* Blocks of any format to float with the given instruction set; bit-equal on all of them. */
void stoker_decode(const struct stoker_format *format, enum stoker_isa isa, const void *src,
		   float *dst, size_t values);

/* Bytes of a row of @values, which must be a multiple of block_values. */
static inline uint64_t stoker_row_bytes(const struct stoker_format *format, uint64_t values)
{
	return values / format->block_values * format->block_bytes;
}

#endif
