/* SPDX-License-Identifier: MIT */
/* Codes and scales of tiles whose codes are entries of a codebook: see quant/iquant.c,
 * tile_unpack.h. */
#ifndef STOKER_CPU_TILE_GRID_H
#define STOKER_CPU_TILE_GRID_H

#include "device/cpu/grids.h"
#include "device/cpu/tile_fields.h"

INLINE bool is_grid(uint32_t id)
{
	return id == FORMAT_IQ1_S || id == FORMAT_IQ1_M || id == FORMAT_IQ2_XXS ||
	       id == FORMAT_IQ2_XS || id == FORMAT_IQ2_S || id == FORMAT_IQ3_XXS ||
	       id == FORMAT_IQ3_S;
}

/* Whether something is added to the codes, which have no signs. */
INLINE bool is_ternary_grid(uint32_t id)
{
	return id == FORMAT_IQ1_S || id == FORMAT_IQ1_M;
}

/* Values of an entry. */
INLINE int entry_values(uint32_t id)
{
	return id == FORMAT_IQ3_XXS || id == FORMAT_IQ3_S ? 4 : 8;
}

/* Byte or 16-bit word @i of those at @field, LANES rows from @row on. */
INLINE ivec byte_field(const uint8_t *field, int row, int i)
{
	return dwords(field + 64 * (i / 4), row) >> (8 * (i & 3)) & 255;
}

INLINE ivec word_field(const uint8_t *field, int row, int i)
{
	return dwords(field + 64 * (i / 2), row) >> (16 * (i & 1)) & 0xffff;
}

/* Which entry the @l-th of part @part is. */
INLINE ivec grid_index(uint32_t id, const uint8_t *b, int row, int part, int l)
{
	switch (id) {
	case FORMAT_IQ1_S:
		return byte_field(b + 32, row, 4 * part + l) |
		       (word_field(b + 16 * 34, row, part) >> (3 * l) & 7) << 8;
	case FORMAT_IQ1_M:
		return byte_field(b, row, 4 * part + l) |
		       (word_field(b + 16 * 32, row, part) >> (4 * l) & 7) << 8;
	case FORMAT_IQ2_XXS:
		return byte_field(b + 32, row, 8 * part + l);
	case FORMAT_IQ2_XS:
		return word_field(b + 32, row, 4 * part + l) & 511;
	case FORMAT_IQ2_S:
		return byte_field(b + 32, row, 4 * part + l) |
		       (byte_field(b + 16 * 66, row, part) >> (2 * l) & 3) << 8;
	case FORMAT_IQ3_XXS:
		return byte_field(b + 32, row, 8 * part + l);
	default: /* FORMAT_IQ3_S */
		return byte_field(b + 32, row, 8 * part + l) |
		       (byte_field(b + 16 * 66, row, part) >> l & 1) << 8;
	}
}

/* Four times seven bits as bytes, whose eighth bits make the number of those that are set even. */
INLINE ivec even_bytes(ivec w)
{
	const ivec t = (w & 0x7f) | (w & 0x3f80) << 1 | (w & 0x1fc000) << 2 | (w & 0xfe00000) << 3;
	ivec odd = (t ^ t >> 4) & 0x0f0f0f0f;

	odd ^= odd >> 2 & 0x03030303;
	odd ^= odd >> 1;
	return t | (odd & 0x01010101) << 7;
}

/* Four bytes, of eight values each: the signs, or in IQ1 all ones where what is added is negative.
 */
INLINE ivec grid_signs(uint32_t id, const uint8_t *b, int row, int part)
{
	ivec w;

	switch (id) {
	case FORMAT_IQ1_S:
		return -(word_field(b + 16 * 34, row, part) >> 15);
	case FORMAT_IQ1_M:
		w = word_field(b + 16 * 32, row, part) >> 3;
		w = (w & 1) | (w & 0x10) << 4 | (w & 0x100) << 8 | (w & 0x1000) << 12;
		return (w << 8) - w;
	case FORMAT_IQ2_XXS:
		return even_bytes(dwords(b + 16 * (6 + 8 * part), row));
	case FORMAT_IQ2_XS: {
		const ivec first = dwords(b + 16 * (2 + 8 * part), row);
		const ivec second = dwords(b + 16 * (6 + 8 * part), row);

		return even_bytes((first >> 9 & 0x7f) | (first >> 18 & 0x3f80) |
				  (second << 5 & 0x1fc000) | (second >> 4 & 0xfe00000));
	}
	case FORMAT_IQ2_S:
		return dwords(b + 16 * (34 + 4 * part), row);
	case FORMAT_IQ3_XXS:
		return even_bytes(dwords(b + 16 * (66 + 4 * part), row));
	default: /* FORMAT_IQ3_S */
		return dwords(b + 16 * (74 + 4 * part), row);
	}
}

/* d of IQ1_M, whose bits are the top ones of four words. */
INLINE vec iq1_m_tile_d(const uint8_t *b, int row)
{
	const ivec first = dwords(b + 16 * 48, row), second = dwords(b + 16 * 52, row);
	const ivec d = (first >> 12 & 0xf) | (first >> 24 & 0xf0) | (second >> 4 & 0xf00) |
		       (second >> 16 & 0xf000);
	const lane_words half = __builtin_convertvector(d, lane_words);

	return load_halves((const uint8_t *)&half);
}

/* The scale of half @h of part @part; one for both where the format has groups of 32. */
INLINE vec grid_tile_scale(uint32_t id, const uint8_t *b, int row, int part, int h)
{
	ivec s;

	switch (id) {
	case FORMAT_IQ1_S:
		s = word_field(b + 16 * 34, row, part) >> 12 & 7;
		return halves(b, row) * floats(2 * s + 1) * 0.125f;
	case FORMAT_IQ1_M:
		s = word_field(b + 16 * 48, row, part / 2) >> (6 * (part & 1) + 3 * h) & 7;
		return iq1_m_tile_d(b, row) * floats(2 * s + 1) * 0.125f;
	case FORMAT_IQ2_XXS:
		s = dwords(b + 16 * (6 + 8 * part), row) >> 28 & 15;
		return halves(b, row) * floats(2 * s + 1) * 0.125f;
	case FORMAT_IQ2_XS:
		s = byte_field(b + 16 * 66, row, part) >> (4 * h) & 15;
		return halves(b, row) * floats(2 * s + 1) * 0.125f;
	case FORMAT_IQ2_S:
		s = byte_field(b + 16 * 74, row, part) >> (4 * h) & 15;
		return halves(b, row) * floats(2 * s + 1) * 0.125f;
	case FORMAT_IQ3_XXS:
		s = dwords(b + 16 * (66 + 4 * part), row) >> 28 & 15;
		return halves(b, row) * floats(2 * s + 1) * 0.25f;
	default: /* FORMAT_IQ3_S */
		s = dwords(b + 16 * 106, row) >> (4 * part) & 15;
		return halves(b, row) * floats(2 * s + 1);
	}
}

/* Eight codes of each row: one entry or two, the @l-th of a part. */
INLINE void take_entries(uint32_t id, const uint8_t *b, int part, int l, uint64_t *codes)
{
	const int each = 8 / entry_values(id);
	uint32_t index[2][TILE_ROWS];

	for (int i = 0; i < each; i++)
		for (int row = 0; row < TILE_ROWS; row += LANES)
			*(ivec_unaligned *)(void *)(index[i] + row) =
				grid_index(id, b, row, part, each * l + i);
	for (int r = 0; r < TILE_ROWS; r++) {
		size_t first = index[0][r], second = index[1 - (each == 1)][r];

		/* one after the other: instructions that gather are slow on many machines */
		__asm__("" : "+r"(first), "+r"(second));
		switch (id) {
		case FORMAT_IQ2_XXS:
			codes[r] = cpu_grid_iq2xxs[first];
			break;
		case FORMAT_IQ2_XS:
			codes[r] = cpu_grid_iq2xs[first];
			break;
		case FORMAT_IQ2_S:
			codes[r] = cpu_grid_iq2s[first];
			break;
		case FORMAT_IQ3_XXS:
			codes[r] = cpu_grid_iq3xxs[first] | (uint64_t)cpu_grid_iq3xxs[second] << 32;
			break;
		case FORMAT_IQ3_S:
			codes[r] = cpu_grid_iq3s[first] | (uint64_t)cpu_grid_iq3s[second] << 32;
			break;
		default:
			codes[r] = cpu_grid_iq1s[first];
		}
	}
}

/* Eight codes of each row with their signs, or one more or less each, as two dwords of a tile. */
#if defined(__AVX2__)
INLINE void store_entries(bool ternary, const uint64_t *entries, const uint32_t *signs, int l,
			  int more, uint8_t *codes)
{
	const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
	const __m256i spread = _mm256_add_epi8(
		_mm256_set_epi64x(0x0c0c0c0c0c0c0c0c, 0x0808080808080808, 0x0404040404040404, 0),
		_mm256_set1_epi8((char)l));
	const __m256i apart = _mm256_set_epi32(7, 5, 3, 1, 6, 4, 2, 0);
	const __m256i bias = _mm256_set1_epi8((char)more);

	for (int r = 0; r < TILE_ROWS; r += 4) {
		const __m256i bytes = _mm256_broadcastsi128_si256(
			_mm_load_si128((const __m128i *)(const void *)(signs + r)));
		const __m256i negative = _mm256_cmpeq_epi8(
			_mm256_and_si256(_mm256_shuffle_epi8(bytes, spread), bit), bit);
		__m256i v = _mm256_load_si256((const __m256i *)(const void *)(entries + r));

		v = ternary ? _mm256_add_epi8(v, _mm256_or_si256(negative, _mm256_set1_epi8(1)))
			    : _mm256_sub_epi8(_mm256_xor_si256(v, negative), negative);
		v = _mm256_permutevar8x32_epi32(_mm256_add_epi8(v, bias), apart);
		_mm_store_si128((__m128i *)(void *)(codes + 4 * r), _mm256_castsi256_si128(v));
		_mm_store_si128((__m128i *)(void *)(codes + 64 + 4 * r),
				_mm256_extracti128_si256(v, 1));
	}
}
#else
INLINE void store_entries(bool ternary, const uint64_t *entries, const uint32_t *signs, int l,
			  int more, uint8_t *codes)
{
	for (int r = 0; r < TILE_ROWS; r++)
		for (int i = 0; i < 8; i++) {
			const int code = (int8_t)(entries[r] >> (8 * i));
			const bool negative = signs[r] >> (8 * l + i) & 1;
			const int with = ternary ? code + (negative ? -1 : 1)
						 : (negative ? -code : code);

			codes[64 * (i / 4) + 4 * r + i % 4] = (uint8_t)(with + more);
		}
}
#endif

/* Codes of a part, larger by @bias. */
INLINE void unpack_grid(uint32_t id, const uint8_t *b, int part, int bias, uint8_t *codes)
{
	_Alignas(64) uint64_t entries[4][TILE_ROWS];
	_Alignas(64) uint32_t signs[TILE_ROWS];

	for (int row = 0; row < TILE_ROWS; row += LANES)
		*(ivec_unaligned *)(void *)(signs + row) = grid_signs(id, b, row, part);
	for (int l = 0; l < 4; l++)
		take_entries(id, b, part, l, entries[l]);
	for (int l = 0; l < 4; l++)
		store_entries(is_ternary_grid(id), entries[l], signs, l, bias, codes + 128 * l);
}

/* Once a format, as codes go through memory anyway. */
#define GRID_CODES(ID)                                                                    \
	static __attribute__((noinline)) void grid_codes_##ID(const uint8_t *b, int part, \
							      int bias, uint8_t *codes)   \
	{                                                                                 \
		unpack_grid(FORMAT_##ID, b, part, bias, codes);                           \
	}

GRID_CODES(IQ1_S)
GRID_CODES(IQ1_M)
GRID_CODES(IQ2_XXS)
GRID_CODES(IQ2_XS)
GRID_CODES(IQ2_S)
GRID_CODES(IQ3_XXS)
GRID_CODES(IQ3_S)

INLINE void grid_codes(uint32_t id, const uint8_t *b, int part, int bias, uint8_t *codes)
{
	switch (id) {
#define CASE_CODES(ID)                                 \
	case FORMAT_##ID:                              \
		grid_codes_##ID(b, part, bias, codes); \
		break;
		CASE_CODES(IQ1_S)
		CASE_CODES(IQ1_M)
		CASE_CODES(IQ2_XXS)
		CASE_CODES(IQ2_XS)
		CASE_CODES(IQ2_S)
		CASE_CODES(IQ3_XXS)
		CASE_CODES(IQ3_S)
	}
}

#endif
