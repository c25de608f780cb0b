// SPDX-License-Identifier: MIT
/* The registry of tensor formats and the decoding that all of them share. */
#include "quant/format.h"

#include "quant/iq_grids.h"

#include <math.h>
#include <strings.h>

enum { DECODE_CHUNK = 256 }; /* the largest block */

/* clang-format off */
#define FLOAT(NAME, ID, BYTES, WIDEN, ENCODE)                                                      \
	{ .name = NAME, .id = ID, .block_values = 1, .block_bytes = BYTES,                         \
	  .widen = ISA_EACH(widen_##WIDEN), .encode = ENCODE }
#define CODES(NAME, ID, VALUES, BYTES, GROUP, AFFINE, LEAST, MOST, UNPACKER, ENCODE)               \
	{ .name = NAME, .id = ID, .block_values = VALUES, .block_bytes = BYTES, .group = GROUP,    \
	  .affine = AFFINE, .least = LEAST, .most = MOST, .unpack = ISA_EACH(unpack_##UNPACKER),   \
	  .encode = ENCODE }
#define GRID(NAME, ID, BYTES, GROUP, MOST, UNPACKER, CODEBOOK)                                     \
	{ .name = NAME, .id = ID, .block_values = 256, .block_bytes = BYTES, .group = GROUP,       \
	  .least = -MOST, .most = MOST, .unpack = ISA_EACH(unpack_##UNPACKER),           \
	  .codebook = CODEBOOK,                                                                    \
	  .codebook_bytes = sizeof(CODEBOOK) }

static const struct stoker_format formats[] = {
	/*    name     id values bytes group affine codes */
	FLOAT("F32",     0,         4,            f32,     encode_f32),
	FLOAT("F16",     1,         2,            f16,     encode_f16),
	FLOAT("BF16",   30,         2,            bf16,    encode_bf16),
	CODES("Q4_0",    2,  32,   18, 32, false,   -8,   7, q4_0,    encode_q4_0),
	CODES("Q4_1",    3,  32,   20, 32, true,     0,  15, q4_1,    NULL),
	CODES("Q5_0",    6,  32,   22, 32, false,  -16,  15, q5_0,    NULL),
	CODES("Q5_1",    7,  32,   24, 32, true,     0,  31, q5_1,    NULL),
	CODES("Q8_0",    8,  32,   34, 32, false, -128, 127, q8_0,    encode_q8_0),
	CODES("Q2_K",   10, 256,   84, 16, true,     0,   3, q2_k,    NULL),
	CODES("Q3_K",   11, 256,  110, 16, false,   -4,   3, q3_k,    NULL),
	CODES("Q4_K",   12, 256,  144, 32, true,     0,  15, q4_k,    encode_q4_k),
	CODES("Q5_K",   13, 256,  176, 32, true,     0,  31, q5_k,    encode_q5_k),
	CODES("Q6_K",   14, 256,  210, 16, false,  -32,  31, q6_k,    encode_q6_k),
	GRID("IQ1_S",   19,      50, 32,                  9, iq1_s,    iq1s_grid),
	GRID("IQ1_M",   29,      56, 16,                  9, iq1_m,    iq1s_grid),
	GRID("IQ2_XXS", 16,      66, 32,                 43, iq2_xxs,  iq2xxs_grid),
	GRID("IQ2_XS",  17,      74, 16,                 43, iq2_xs,   iq2xs_grid),
	GRID("IQ2_S",   22,      82, 16,                 43, iq2_s,    iq2s_grid),
	GRID("IQ3_XXS", 18,      98, 32,                 62, iq3_xxs,  iq3xxs_grid),
	GRID("IQ3_S",   21,     110, 32,                 15, iq3_s,    iq3s_grid),
	CODES("IQ4_NL", 20,  32,   18, 32, false, -127, 113, iq4_nl,  NULL),
	CODES("IQ4_XS", 23, 256,  136, 32, false, -127, 113, iq4_xs,  NULL),
	CODES("TQ1_0",  34, 256,   54, 32, false,   -1,   1, tq1_0,   NULL),
	CODES("TQ2_0",  35, 256,   66, 32, false,   -1,   2, tq2_0,   NULL),
	CODES("MXFP4",  39,  32,   17, 32, false,  -12,  12, mxfp4,   encode_mxfp4),
	CODES("NVFP4",  40,  64,   36, 16, false,  -12,  12, nvfp4,   NULL),
};
/* clang-format on */

void stoker_decode(const struct stoker_format *format, enum stoker_isa isa, const void *src,
		   float *dst, size_t values)
{
	const uint8_t *block = src;
	int8_t codes[DECODE_CHUNK];
	float scale[DECODE_CHUNK / 16], offset[DECODE_CHUNK / 16];

	if (!format->group) {
		format->widen[isa](block, values, dst);
		return;
	}
	for (size_t n = 0; n < values; n += format->block_values, block += format->block_bytes) {
		format->unpack[isa](block, 1, codes, scale, offset);
		for (unsigned i = 0; i < format->block_values; i++) {
			const unsigned g = i / format->group;

			dst[n + i] = scale[g] * codes[i];
			if (format->affine)
				dst[n + i] += offset[g];
		}
	}
}

const struct stoker_format *stoker_format_by_id(uint32_t id)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].id == id)
			return &formats[i];
	return NULL;
}

const struct stoker_format *stoker_format_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcasecmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}

const struct stoker_format *stoker_format_next(const struct stoker_format *previous)
{
	const struct stoker_format *next = previous ? previous + 1 : formats;

	return next < formats + ARRAY_SIZE(formats) ? next : NULL;
}

const char *stoker_format_name(const struct stoker_format *format)
{
	return format->name;
}

uint32_t stoker_format_id(const struct stoker_format *format)
{
	return format->id;
}

uint32_t stoker_format_block_values(const struct stoker_format *format)
{
	return format->block_values;
}

int stoker_format_can_encode(const struct stoker_format *format)
{
	return format->encode != NULL;
}

uint64_t stoker_format_bytes(const struct stoker_format *format, uint64_t values)
{
	return stoker_row_bytes(format, values);
}

void stoker_format_decode(const struct stoker_format *format, const void *src, float *dst,
			  size_t values)
{
	stoker_decode(format, STOKER_ISA_SCALAR, src, dst, values);
}

int stoker_format_encode(const struct stoker_format *format, const float *src, void *dst,
			 size_t values)
{
	uint8_t *block = dst;

	if (!format->encode)
		return -ENOTSUP;
	if (values % format->block_values)
		return -EINVAL;
	for (size_t i = 0; i < values; i++)
		if (!isfinite(src[i]))
			return -EINVAL;
	for (size_t n = 0; n < values; n += format->block_values, block += format->block_bytes)
		format->encode(src + n, block);
	return 0;
}
