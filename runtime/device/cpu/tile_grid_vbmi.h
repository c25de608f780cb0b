/* SPDX-License-Identifier: MIT */
/*
 * Codes of tiles whose codes are entries of a codebook, where an instruction
 * looks up bytes of 128 (AVX512-VBMI): all 16 rows and four entries of each at
 * once, a byte of the entries after another.
 *
 * So codes come in an order of their own, and activations are put in the same.
 */
#ifndef STOKER_CPU_TILE_GRID_VBMI_H
#define STOKER_CPU_TILE_GRID_VBMI_H

#include "device/cpu/tile_grid.h"

#define VBMI __attribute__((target("avx512vbmi")))
#ifdef STOKER_SANITIZED
#define VBMI_INLINE static inline __attribute__((target("avx512vbmi")))
#else
#define VBMI_INLINE static inline __attribute__((always_inline, target("avx512vbmi")))
#endif

/* The same four bytes for each row. */
INLINE __m512i each_row(int a, int b, int c, int d)
{
	return _mm512_set1_epi32(a | b << 8 | c << 16 | (int)((unsigned)d << 24));
}

/* For instructions that shuffle within 128 bits: bytes of each row. */
INLINE __m512i row_bytes(int a, int b, int c, int d)
{
	return _mm512_add_epi8(
		each_row(a, b, c, d),
		_mm512_broadcast_i32x4(_mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0)));
}

/* For those that take bytes from anywhere, of two vectors: the same of each
 * row. */
INLINE __m512i rows_bytes(int a, int b, int c, int d)
{
	return _mm512_add_epi8(each_row(a, b, c, d),
			       _mm512_mullo_epi32(_mm512_set1_epi32(0x04040404),
						  _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7,
								   6, 5, 4, 3, 2, 1, 0)));
}

/* Bits from @step times 0, 1, 2 and 3 on, and @more, of each row's dword as the
 * lowest ones of its bytes. */
VBMI_INLINE __m512i row_bits(__m512i dwords, int step, int more)
{
	const __m512i from = _mm512_add_epi8(each_row(0, step, 2 * step, 3 * step),
					     _mm512_set1_epi64(0x2020202000000000));

	return _mm512_multishift_epi64_epi8(_mm512_add_epi8(from, _mm512_set1_epi8((char)more)),
					    dwords);
}

/* Bytes of a table of @entries, by the low eight bits of the index and @upper
 * ones as masks. */
VBMI_INLINE __m512i table_bytes(const uint8_t *table, int entries, __m512i low,
				const __mmask64 *upper)
{
	__m512i v[16];

	for (int i = 0; i < entries / 128; i++)
		v[i] = _mm512_permutex2var_epi8(_mm512_load_si512(table + 128 * i), low,
						_mm512_load_si512(table + 128 * i + 64));
	for (int n = entries / 128; n > 1; n /= 2, upper++)
		for (int i = 0; i < n / 2; i++)
			v[i] = _mm512_mask_blend_epi8(*upper, v[2 * i], v[2 * i + 1]);
	return v[0];
}

/* Bits 7, 8 and so on of the index as masks; those beyond the eighth are the
 * low ones of @more. */
INLINE void upper_bits(__m512i low, __m512i more, int count, __mmask64 *upper)
{
	upper[0] = _mm512_movepi8_mask(low);
	for (int i = 0; i < count; i++)
		upper[1 + i] = _mm512_test_epi8_mask(more, _mm512_set1_epi8((char)(1 << i)));
}

/* Bytes of a table of 128. */
VBMI_INLINE __m512i of_128(const uint8_t *table, __m512i index)
{
	return _mm512_permutex2var_epi8(_mm512_load_si512(table), index,
					_mm512_load_si512(table + 64));
}

VBMI_INLINE __m512i even_bytes_of(__m512i sevens)
{
	return of_128(cpu_even_bytes, sevens);
}

/* What grid_signs() gives. */
VBMI_INLINE __m512i vbmi_signs(uint32_t id, const uint8_t *b, int part)
{
	if (id == FORMAT_IQ2_XXS)
		return even_bytes_of(row_bits((__m512i)dwords(b + 16 * (6 + 8 * part), 0), 7, 0));
	if (id == FORMAT_IQ3_XXS)
		return even_bytes_of(row_bits((__m512i)dwords(b + 16 * (66 + 4 * part), 0), 7, 0));
	if (id == FORMAT_IQ2_XS) {
		const __m512i sevens = _mm512_permutex2var_epi8(
			_mm512_srli_epi16((__m512i)dwords(b + 16 * (2 + 8 * part), 0), 9),
			rows_bytes(0, 2, 64, 66),
			_mm512_srli_epi16((__m512i)dwords(b + 16 * (6 + 8 * part), 0), 9));

		return even_bytes_of(sevens);
	}
	return (__m512i)grid_signs(id, b, 0, part);
}

/* The two bytes of entries of IQ1, by the low eight bits of the index and the
 * three @more ones. */
VBMI_INLINE void iq1_planes(__m512i low, __m512i more, __m512i planes[2])
{
	const __m512i low_bits = _mm512_set1_epi8(15);
	/* which 16 entries; the eighth bit isn't looked at */
	const __m512i index = _mm512_ternarylogic_epi32(_mm512_srli_epi16(low, 4),
							_mm512_slli_epi16(more, 4), low_bits, 0xe4);
	const __mmask64 later = _mm512_cmpge_epu8_mask(_mm512_and_si512(low, low_bits),
						       of_128(cpu_last_fours_iq1s[2], index));
	__mmask64 upper[4];

	upper_bits(low, more, 3, upper);
	planes[0] = table_bytes(cpu_first_fours_iq1s, 2048, low, upper);
	planes[1] = _mm512_mask_blend_epi8(later, of_128(cpu_last_fours_iq1s[0], index),
					   of_128(cpu_last_fours_iq1s[1], index));
}

/* Four entries' two bytes of codes, two bits each. */
VBMI_INLINE void vbmi_eights(uint32_t id, const uint8_t *b, int part, __m512i planes[2])
{
	__mmask64 upper[4];
	__m512i low, more = _mm512_setzero_si512();

	switch (id) {
	case FORMAT_IQ1_S:
		low = (__m512i)dwords(b + 16 * (2 + 4 * part), 0);
		more = row_bits((__m512i)dwords(b + 16 * (34 + 4 * (part / 2)), 0), 3,
				16 * (part & 1));
		iq1_planes(low, more, planes);
		break;
	case FORMAT_IQ1_M:
		low = (__m512i)dwords(b + 16 * (4 * part), 0);
		more = row_bits((__m512i)dwords(b + 16 * (32 + 4 * (part / 2)), 0), 4,
				16 * (part & 1));
		iq1_planes(low, more, planes);
		break;
	case FORMAT_IQ2_XXS:
		low = (__m512i)dwords(b + 16 * (2 + 8 * part), 0);
		upper_bits(low, more, 0, upper);
		for (int i = 0; i < 2; i++)
			planes[i] = table_bytes(cpu_planes_iq2xxs[i], 256, low, upper);
		break;
	case FORMAT_IQ2_XS: {
		const __m512i first = (__m512i)dwords(b + 16 * (2 + 8 * part), 0);
		const __m512i second = (__m512i)dwords(b + 16 * (6 + 8 * part), 0);

		low = _mm512_permutex2var_epi8(first, rows_bytes(0, 2, 64, 66), second);
		more = _mm512_permutex2var_epi8(first, rows_bytes(1, 3, 65, 67), second);
		upper_bits(low, more, 1, upper);
		for (int i = 0; i < 2; i++)
			planes[i] = table_bytes(cpu_planes_iq2xs[i], 512, low, upper);
		break;
	}
	default: /* FORMAT_IQ2_S */
		low = (__m512i)dwords(b + 16 * (2 + 4 * part), 0);
		more = row_bits((__m512i)dwords(b + 16 * (66 + 4 * (part / 4)), 0), 2,
				8 * (part & 3));
		upper_bits(low, more, 2, upper);
		for (int i = 0; i < 2; i++)
			planes[i] = table_bytes(cpu_planes_iq2s[i], 1024, low, upper);
	}
}

/* Codes of a part whose entries have eight: of rows' first two entries, then of
 * the others. */
VBMI_INLINE void vbmi_eight_codes(uint32_t id, const uint8_t *b, int part, uint8_t *codes)
{
	const bool ternary = is_ternary_grid(id);
	/* [code + 4 if negative]; what is read of an index is its low six bits */
	const __m512i table = _mm512_set1_epi64(ternary ? (long long)0x0010080000120a02
							: (long long)0x0000122300564433);
	const __m512i low_bits = _mm512_set1_epi8(3);
	const __m512i signs = vbmi_signs(id, b, part);
	__m512i planes[2];

	vbmi_eights(id, b, part, planes);
	for (int h = 0; h < 2; h++) {
		const __m512i both = row_bytes(2 * h, 2 * h + 1, 2 * h, 2 * h + 1);
		const __m512i s = _mm512_shuffle_epi8(signs, both);
		const __m512i p[2] = { _mm512_shuffle_epi8(planes[0], both),
				       _mm512_shuffle_epi8(planes[1], both) };

		/* two neighbouring codes of two entries each */
		for (int j = 0; j < 4; j++) {
			const int from = 4 * (j & 1), bit = 2 * j;
			const __m512i two = _mm512_srlv_epi16(
				p[j / 2], _mm512_set1_epi32(from | (from + 2) << 16));
			/* what is added in IQ1 is the same for all codes of an entry */
			const __m512i sign =
				ternary ? s
				: j	? _mm512_srlv_epi16(s, _mm512_set1_epi32((bit - 2) |
										 (bit - 1) << 16))
					: _mm512_sllv_epi16(s, _mm512_set1_epi32(2 | 1 << 16));

			_mm512_store_si512(
				codes + 64 * (4 * h + j),
				_mm512_permutexvar_epi8(_mm512_ternarylogic_epi32(two, sign,
										  low_bits, 0xe4),
							table));
		}
	}
}

/* Of a part whose entries have four: of rows' first four entries, then of the
 * others. */
VBMI_INLINE void vbmi_four_codes(uint32_t id, const uint8_t *b, int part, uint8_t *codes)
{
	const bool xxs = id == FORMAT_IQ3_XXS;
	const __m512i twice = _mm512_set1_epi8(xxs ? 2 * 62 : 2 * 15);
	const __m512i signs = vbmi_signs(id, b, part);

	for (int h = 0; h < 2; h++) {
		const __m512i low = (__m512i)dwords(b + 16 * (2 + 8 * part + 4 * h), 0);
		const __m512i s =
			_mm512_shuffle_epi8(signs, row_bytes(2 * h, 2 * h, 2 * h + 1, 2 * h + 1));
		__mmask64 upper[2];

		if (xxs)
			upper_bits(low, low, 0, upper);
		else
			upper_bits(low,
				   row_bits((__m512i)dwords(b + 16 * (66 + 4 * (part / 4)), 0), 1,
					    8 * (part & 3) + 4 * h),
				   1, upper);
		for (int j = 0; j < 4; j++) {
			const __m512i v = xxs ? table_bytes(cpu_planes_iq3xxs[j], 256, low, upper)
					      : table_bytes(cpu_planes_iq3s[j], 512, low, upper);
			const __mmask64 negative = _mm512_test_epi8_mask(
				s, each_row(1 << j, 16 << j, 1 << j, 16 << j));

			_mm512_store_si512(codes + 64 * (4 * h + j),
					   _mm512_mask_sub_epi8(v, negative, twice, v));
		}
	}
}

VBMI_INLINE void vbmi_codes(uint32_t id, const uint8_t *b, int part, uint8_t *codes)
{
	if (entry_values(id) == 8)
		vbmi_eight_codes(id, b, part, codes);
	else
		vbmi_four_codes(id, b, part, codes);
}

/* Activations' codes in the order of these. */
VBMI_INLINE void vbmi_activations(uint32_t id, const int8_t *x, int8_t *ordered)
{
	const __m256i order = entry_values(id) == 8
				      ? _mm256_set_epi64x(0x1f171e161d151c14, 0x1b131a1219111810,
							  0x0f070e060d050c04, 0x0b030a0209010800)
				      : _mm256_set_epi64x(0x1f1b17131e1a1612, 0x1d1915111c181410,
							  0x0f0b07030e0a0602, 0x0d0905010c080400);

	_mm256_store_si256((__m256i *)(void *)ordered,
			   _mm256_permutexvar_epi8(
				   order, _mm256_loadu_si256((const __m256i *)(const void *)x)));
}

#endif
