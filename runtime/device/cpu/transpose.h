/* SPDX-License-Identifier: MIT */
/* Transposing dwords, for files that are compiled once an instruction set. */
#ifndef STOKER_CPU_TRANSPOSE_H
#define STOKER_CPU_TRANSPOSE_H

#include "device/cpu/kernels.h"
#include "device/cpu/vectors.h"

/* TILE_ROWS rows of TRANSPOSED bytes to columns of dwords; adds the bias to all bytes. */
#if HAVE_VNNI512
enum { TRANSPOSED = 64 };

INLINE void transpose_dwords(const int8_t *src, size_t stride, int bias, uint8_t *dst)
{
	const __m512i more = _mm512_set1_epi8((char)bias);
	__m512i a[16], b[16];

	for (int i = 0; i < 16; i++)
		a[i] = _mm512_add_epi8(_mm512_loadu_si512(src + (size_t)i * stride), more);
	for (int i = 0; i < 16; i += 2) {
		b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
		b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
	}
	/* four rows of four dwords in each 128-bit lane: a[4q + j] holds columns 4 lane + j */
	for (int q = 0; q < 16; q += 4) {
		a[q] = _mm512_unpacklo_epi64(b[q], b[q + 2]);
		a[q + 1] = _mm512_unpackhi_epi64(b[q], b[q + 2]);
		a[q + 2] = _mm512_unpacklo_epi64(b[q + 1], b[q + 3]);
		a[q + 3] = _mm512_unpackhi_epi64(b[q + 1], b[q + 3]);
	}
	for (int j = 0; j < 4; j++) {
		const __m512i l = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88);
		const __m512i m = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88);
		const __m512i n = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xdd);
		const __m512i o = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xdd);

		_mm512_store_si512(dst + 64 * j, _mm512_shuffle_i32x4(l, m, 0x88));
		_mm512_store_si512(dst + 64 * (4 + j), _mm512_shuffle_i32x4(n, o, 0x88));
		_mm512_store_si512(dst + 64 * (8 + j), _mm512_shuffle_i32x4(l, m, 0xdd));
		_mm512_store_si512(dst + 64 * (12 + j), _mm512_shuffle_i32x4(n, o, 0xdd));
	}
}
#elif defined(__AVX2__)
enum { TRANSPOSED = 32 };

INLINE void transpose_dwords(const int8_t *src, size_t stride, int bias, uint8_t *dst)
{
	const __m256i more = _mm256_set1_epi8((char)bias);

	for (int half = 0; half < 2; half++, src += 8 * stride, dst += 32) {
		__m256i a[8], b[8];

		for (int i = 0; i < 8; i++)
			a[i] = _mm256_add_epi8(
				_mm256_loadu_si256((const void *)(src + (size_t)i * stride)), more);
		for (int i = 0; i < 8; i += 2) {
			b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
			b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
		}
		/* four rows of four dwords in each 128-bit lane, as above */
		for (int q = 0; q < 8; q += 4) {
			a[q] = _mm256_unpacklo_epi64(b[q], b[q + 2]);
			a[q + 1] = _mm256_unpackhi_epi64(b[q], b[q + 2]);
			a[q + 2] = _mm256_unpacklo_epi64(b[q + 1], b[q + 3]);
			a[q + 3] = _mm256_unpackhi_epi64(b[q + 1], b[q + 3]);
		}
		for (int j = 0; j < 4; j++) {
			_mm256_store_si256((void *)(dst + 64 * j),
					   _mm256_permute2x128_si256(a[j], a[4 + j], 0x20));
			_mm256_store_si256((void *)(dst + 64 * (4 + j)),
					   _mm256_permute2x128_si256(a[j], a[4 + j], 0x31));
		}
	}
}
#else
enum { TRANSPOSED = 4 };

INLINE void transpose_dwords(const int8_t *src, size_t stride, int bias, uint8_t *dst)
{
	for (size_t i = 0; i < 4 * TILE_ROWS; i++)
		dst[i] = (uint8_t)(src[i / 4 * stride + i % 4] + bias);
}
#endif

#endif
