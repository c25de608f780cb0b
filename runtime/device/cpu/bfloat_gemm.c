// SPDX-License-Identifier: MIT
/*
 * Products of BF16 weights with activations that are rounded to BF16, too: see kernels.h.
 *
 * An instruction multiplies pairs of them and adds to floats, at twice the rate of floats.  Weights
 * are read as they are; of activation rows so many are rounded at a time that they stay in the
 * second cache.  For the rest this is float_gemm.c's way.
 */
#include "device/cpu/float_dot.h"
#include "device/cpu/kernels.h"

#if HAVE_VNNI512

#define BFLOAT16 __attribute__((target("avx512bf16")))

enum {
	PAIRS = 32,	   /* values of a vector */
	ROUNDED_ROWS = 64, /* at most, a multiple of NX */
	ROUNDED_BYTES = 256 << 10,
	PAD = 32, /* values between rows: neighbours must not meet in the cache */
};

/* Activation rows that fit; scratch memory has at least TILE_ROWS rows of floats. */
static size_t rounded_rows(size_t stride)
{
	const size_t rows = ROUNDED_BYTES / sizeof(uint16_t) / stride / NX * NX;

	return rows < TILE_ROWS ? TILE_ROWS : MIN(rows, (size_t)ROUNDED_ROWS);
}

/* With zeros behind the end. */
BFLOAT16 INLINE void round_row(const float *x, size_t k, uint16_t *to)
{
	size_t c = 0;

	for (; c + PAIRS <= k; c += PAIRS)
		_mm512_storeu_si512(to + c,
				    (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + c + 16),
								 _mm512_loadu_ps(x + c)));
	if (c < k) {
		const uint32_t some = (1U << (k - c)) - 1;

		_mm512_storeu_si512(
			to + c, (__m512i)_mm512_cvtne2ps_pbh(
					_mm512_maskz_loadu_ps((__mmask16)(some >> 16), x + c + 16),
					_mm512_maskz_loadu_ps((__mmask16)some, x + c)));
	}
}

/* acc[j][i] += the PAIRS of w[j] . x[i] from @at on, of which @some are there; 0: all. */
BFLOAT16 INLINE void add_pairs(const uint8_t *const w[NW], const uint16_t *const x[NX], size_t at,
			       __mmask32 some, size_t ahead, vec acc[NW][NX])
{
	__m512bh v[NX];

	for (int i = 0; i < NX; i++)
		v[i] = (__m512bh)_mm512_loadu_si512(x[i] + at);
	for (int j = 0; j < NW; j++) {
		const __m512bh weights =
			(__m512bh)(some ? _mm512_maskz_loadu_epi16(some, w[j] + 2 * at)
					: _mm512_loadu_si512(w[j] + 2 * at));

		if (ahead)
			prefetch_at((uintptr_t)w[j] + 2 * at + ahead, 1);
		for (int i = 0; i < NX; i++)
			acc[j][i] = (vec)_mm512_dpbf16_ps((__m512)acc[j][i], weights, v[i]);
	}
}

/* NX rounded rows with all @rows weight rows. */
BFLOAT16 static void multiply_rounded(const uint8_t *w, size_t row_bytes, size_t rows,
				      const uint16_t *const x[NX], size_t k, size_t ahead,
				      float *const out[NX], int count)
{
	const size_t whole = k / PAIRS * PAIRS;

	for (size_t row = 0; row < rows; row += NW) {
		const unsigned valid = (unsigned)MIN(rows - row, (size_t)NW);
		const uint8_t *from[NW];
		vec acc[NW][NX] = { 0 };
		four_floats y[NX];
		float *to[NX];

		for (unsigned j = 0; j < NW; j++)
			from[j] = w + (row + MIN(j, valid - 1)) * row_bytes;
		if (ahead)
			for (size_t c = 0; c < whole; c += PAIRS)
				add_pairs(from, x, c, 0, ahead, acc);
		else
			for (size_t c = 0; c < whole; c += PAIRS)
				add_pairs(from, x, c, 0, 0, acc);
		if (whole < k)
			add_pairs(from, x, whole, (1U << (k - whole)) - 1, 0, acc);
		fold_sums(acc, NW, y);
		for (int i = 0; i < count; i++)
			to[i] = out[i] + row;
		if (valid == NW)
			store_sums(y, to, count, NW);
		else
			store_sums(y, to, count, valid);
	}
}

BFLOAT16 void ISA_NAME(cpu_gemm_bfloat)(const uint8_t *w, size_t row_bytes, size_t rows,
					const float *x, size_t k, const struct gemm_rows *r,
					void *scratch)
{
	const size_t stride = round_up(k, PAIRS) + PAD, together = rounded_rows(stride);
	const size_t block = MAX(ROUNDED_BYTES / row_bytes / NW * NW, (size_t)NW);
	uint16_t *values = scratch;

	for (size_t first = 0; first < r->count; first += together) {
		const size_t n = MIN(r->count - first, together);

		for (size_t i = 0; i < n; i++)
			round_row(x + row_of(r->src, first + i) * k, k, values + i * stride);
		for (size_t row = 0; row < rows; row += block)
			for (size_t i = 0; i < n; i += NX) {
				const int count = (int)MIN(n - i, (size_t)NX);
				const uint16_t *from[NX];
				float *out[NX];

				for (size_t j = 0; j < NX; j++)
					from[j] = values + MIN(i + j, n - 1) * stride;
				for (int j = 0; j < count; j++)
					out[j] = r->out + row +
						 row_of(r->dst, first + i + (size_t)j) *
							 r->out_stride;
				multiply_rounded(w + row * row_bytes, row_bytes,
						 MIN(rows - row, block), from, k,
						 i ? 0 : NW * row_bytes, out, count);
			}
	}
}

#endif
