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
 * once and is bit-exact.  Adding a format is one unpack function, its row in format.c and its block
 * decoder among the shaders.
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
/* One block from its block_values floats. */
typedef void stoker_encode_fn(const float *x, uint8_t *block);

enum { FORMAT_IDS = 64 }; /* all are below */

struct stoker_format {
	const char *name;
	uint32_t id;
	uint16_t block_values, block_bytes;
	uint8_t group;	    /* codes that share a scale: 16 or 32; 0 in float formats */
	bool affine;	    /* unpack writes offsets */
	int8_t least, most; /* codes that there are */
	stoker_unpack_fn *unpack[STOKER_ISA_COUNT];
	stoker_widen_fn *widen[STOKER_ISA_COUNT];
	stoker_encode_fn *encode;
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

DECLARE_WIDEN(f32);
DECLARE_WIDEN(f16);
DECLARE_WIDEN(bf16);
DECLARE_UNPACK(q4_0);
DECLARE_UNPACK(q4_1);
DECLARE_UNPACK(q5_0);
DECLARE_UNPACK(q5_1);
DECLARE_UNPACK(q8_0);
DECLARE_UNPACK(q2_k);
DECLARE_UNPACK(q3_k);
DECLARE_UNPACK(q4_k);
DECLARE_UNPACK(q5_k);
DECLARE_UNPACK(q6_k);
DECLARE_UNPACK(iq1_s);
DECLARE_UNPACK(iq1_m);
DECLARE_UNPACK(iq2_xxs);
DECLARE_UNPACK(iq2_xs);
DECLARE_UNPACK(iq2_s);
DECLARE_UNPACK(iq3_xxs);
DECLARE_UNPACK(iq3_s);
DECLARE_UNPACK(iq4_nl);
DECLARE_UNPACK(iq4_xs);
DECLARE_UNPACK(tq1_0);
DECLARE_UNPACK(tq2_0);
DECLARE_UNPACK(mxfp4);
DECLARE_UNPACK(nvfp4);

stoker_encode_fn encode_f32, encode_f16, encode_bf16, encode_q4_0, encode_q8_0, encode_q4_k,
	encode_q5_k, encode_q6_k, encode_mxfp4;

/* Blocks of any format to float with the given instruction set; bit-equal on all of them. */
void stoker_decode(const struct stoker_format *format, enum stoker_isa isa, const void *src,
		   float *dst, size_t values);

/* Bytes of a row of @values, which must be a multiple of block_values. */
static inline uint64_t stoker_row_bytes(const struct stoker_format *format, uint64_t values)
{
	return values / format->block_values * format->block_bytes;
}

#endif
