// SPDX-License-Identifier: MIT
/* The registry of tensor formats and the decoding that all of them share. */
#include "quant/encode.h"
#include "quant/iq_grids.h"

#include <strings.h>

enum { DECODE_CHUNK = 256 }; /* the largest block */

static const struct stoker_format formats[] = {
#define ROW(NAME, kernel, ID, FILE_TYPE, ...)                                                 \
	.name = #NAME, .id = ID, .file_type = FILE_TYPE, .encode = ISA_EACH(encode_##kernel), \
	__VA_ARGS__
#define FLOAT(NAME, kernel, ID, FILE_TYPE, shader, tiles, bytes, fields, ...) \
	{ ROW(NAME, kernel, ID, FILE_TYPE, __VA_ARGS__), .widen = ISA_EACH(widen_##kernel) },
#define FORMAT(NAME, kernel, ID, FILE_TYPE, shader, tiles, bytes, fields, ...) \
	{ ROW(NAME, kernel, ID, FILE_TYPE, __VA_ARGS__), .unpack = ISA_EACH(unpack_##kernel) },
#include "quant/formats.def"
#undef ROW
};

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
	for (size_t i = 0; name && i < ARRAY_SIZE(formats); i++)
		if (ascii_same(formats[i].name, name))
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
	return format ? format->name : NULL;
}

uint32_t stoker_format_id(const struct stoker_format *format)
{
	return format ? format->id : UINT32_MAX;
}

uint32_t stoker_format_file_type(const struct stoker_format *format)
{
	return format ? format->file_type : 0;
}

uint32_t stoker_format_block_values(const struct stoker_format *format)
{
	return format ? format->block_values : 0;
}

int stoker_format_can_encode(const struct stoker_format *format)
{
	return format != NULL;
}

uint64_t stoker_format_bytes(const struct stoker_format *format, uint64_t values)
{
	return format ? stoker_row_bytes(format, values) : 0;
}

void stoker_format_decode(const struct stoker_format *format, const void *src, float *dst,
			  size_t values)
{
	if (format && src && dst)
		stoker_decode(format, stoker_isa_detect(), src, dst, values);
}

int stoker_format_encode(const struct stoker_format *format, const float *src, void *dst,
			 size_t values)
{
	const int ret = stoker_format_encode_rows(format, src, NULL, 1, values, dst);

	return ret == -ERANGE ? -EINVAL : ret;
}

int stoker_format_encode_rows(const struct stoker_format *format, const float *values,
			      const float *importance, size_t rows, size_t columns, void *dst)
{
	if (!format || ((!values || !dst) && rows && columns))
		return -EINVAL;
	return quant_encode_rows(format, values, importance, rows, columns, dst);
}
