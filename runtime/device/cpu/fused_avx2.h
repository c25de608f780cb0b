/* SPDX-License-Identifier: MIT */
/* The products of fused.c with AVX2 or AVX-VNNI. */
#ifndef STOKER_CPU_FUSED_AVX2_H
#define STOKER_CPU_FUSED_AVX2_H

/* Four of 32 products a lane: unsigned codes under 128. */
INLINE __m256i dot_unsigned(__m256i w, const int8_t *x)
{
	const __m256i b = _mm256_loadu_si256((const void *)x);

#if HAVE_VNNI256
	return _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), w, b);
#else
	return _mm256_madd_epi16(_mm256_maddubs_epi16(w, b), _mm256_set1_epi16(1));
#endif
}

/* The same of signed codes: |w| <= 128 and |x| <= 127, so that pairs of products fit 16 bits. */
INLINE __m256i dot_signed(__m256i w, const int8_t *x)
{
	const __m256i b = _mm256_sign_epi8(_mm256_loadu_si256((const void *)x), w);

#if HAVE_VNNI256
	return _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), _mm256_abs_epi8(w), b);
#else
	return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), b), _mm256_set1_epi16(1));
#endif
}

/* acc + p * scale[lane] */
INLINE __m256 add_scaled(__m256 acc, __m256i p, __m256 scale, int lane)
{
	return _mm256_fmadd_ps(_mm256_cvtepi32_ps(p),
			       _mm256_permutevar8x32_ps(scale, _mm256_set1_epi32(lane)), acc);
}

/* 16 bytes: their low nibbles, then their high ones. */
INLINE __m256i nibbles_of(const uint8_t *w)
{
	const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)w));

	return _mm256_and_si256(_mm256_srlv_epi64(twice, _mm256_set_epi64x(4, 4, 0, 0)),
				_mm256_set1_epi8(15));
}

/* --- blocks of 32 values: a scale, then their codes ----------------------------------------------
 */

enum scale_kind { SCALE_HALF, SCALE_E8M0 };
enum code_kind { CODES_NIBBLES, CODES_TABLE, CODES_BYTES };

struct block_format {
	size_t stride; /* bytes of a block */
	enum scale_kind scale;
	enum code_kind codes;
	int bias;	     /* that unsigned codes are too large by; 0: codes are signed */
	const int8_t *table; /* of codes, that nibbles choose from */
};

/* The scales of 8 blocks. */
INLINE __m256 scales_of(const uint8_t *w, const struct block_format *f)
{
	if (f->scale == SCALE_HALF) {
		__m128i h = _mm_cvtsi32_si128(load_u16(w));

		h = _mm_insert_epi16(h, load_u16(w + f->stride), 1);
		h = _mm_insert_epi16(h, load_u16(w + 2 * f->stride), 2);
		h = _mm_insert_epi16(h, load_u16(w + 3 * f->stride), 3);
		h = _mm_insert_epi16(h, load_u16(w + 4 * f->stride), 4);
		h = _mm_insert_epi16(h, load_u16(w + 5 * f->stride), 5);
		h = _mm_insert_epi16(h, load_u16(w + 6 * f->stride), 6);
		h = _mm_insert_epi16(h, load_u16(w + 7 * f->stride), 7);
		return _mm256_cvtph_ps(h);
	}
	/* 2^(e - 128), subnormal below 2 */
	uint64_t bytes = 0;

	for (size_t i = 0; i < 8; i++)
		bytes |= (uint64_t)w[i * f->stride] << 8 * i;
	const __m256i e = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
	const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
	const __m256i least = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);

	return _mm256_castsi256_ps(
		_mm256_blendv_epi8(normal, least, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
}

INLINE __m256i dot_block(const uint8_t *w, const int8_t *x, const struct block_format *f,
			 __m256i table)
{
	const uint8_t *at = w + (f->scale == SCALE_HALF ? 2 : 1);

	if (f->codes == CODES_BYTES)
		return dot_signed(_mm256_loadu_si256((const void *)at), x);
	if (f->codes == CODES_NIBBLES)
		return dot_unsigned(nibbles_of(at), x);
	return dot_signed(_mm256_shuffle_epi8(table, nibbles_of(at)), x);
}

INLINE void gemv_blocks(const uint8_t *w, size_t row_bytes, size_t rows, const struct q8_rows *x,
			size_t row, float *out, const struct block_format *f)
{
	const size_t blocks = x->k / 32, whole = blocks / 8 * 8;
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * blocks, *xs = x->xs32 + row * blocks;
	const __m256i table =
		f->codes == CODES_TABLE
			? _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)f->table))
			: _mm256_setzero_si256();
	const __m256 bias = _mm256_set1_ps((float)f->bias);

	for (size_t r = 0; r < rows; r++, w += row_bytes) {
		__m256 acc[4] = { _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
				  _mm256_setzero_ps() };
		const uint8_t *at = w;

		for (size_t b = 0; b < whole; b += 8, at += 8 * f->stride) {
			const __m256 scale = scales_of(at, f);
			const __m256 both = _mm256_mul_ps(scale, _mm256_loadu_ps(d + b));

			prefetch_ahead(at, 8 * f->stride);
			if (f->bias)
				acc[0] = _mm256_fnmadd_ps(_mm256_mul_ps(scale, bias),
							  _mm256_loadu_ps(xs + b), acc[0]);
#pragma GCC unroll 8
			for (int i = 0; i < 8; i++)
				acc[i % 4] = add_scaled(acc[i % 4],
							dot_block(at + (size_t)i * f->stride,
								  codes + 32 * (b + (size_t)i), f,
								  table),
							both, i);
		}
		if (whole < blocks) {
			uint8_t rest[8 * 34] = { 0 };
			float dd[8] = { 0 }, ss[8] = { 0 };
			const size_t n = blocks - whole;

			memcpy(rest, at, n * f->stride);
			memcpy(dd, d + whole, n * sizeof(float));
			memcpy(ss, xs + whole, n * sizeof(float));
			const __m256 scale = scales_of(rest, f);
			const __m256 both = _mm256_mul_ps(scale, _mm256_loadu_ps(dd));

			acc[0] = _mm256_fnmadd_ps(_mm256_mul_ps(scale, bias), _mm256_loadu_ps(ss),
						  acc[0]);
			for (size_t i = 0; i < n; i++)
				acc[1] = add_scaled(acc[1],
						    dot_block(rest + i * f->stride,
							      codes + 32 * (whole + i), f, table),
						    both, (int)i);
		}
		out[r] = sum_of((vec)_mm256_add_ps(_mm256_add_ps(acc[0], acc[1]),
						   _mm256_add_ps(acc[2], acc[3])));
	}
}

/* iq4_values of quant/iquant.c and doubled_e2m1 of quant/fp4.c. */
static const int8_t iq4_table[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
				      1,    13,	  25,  38,  53,	 69,  89,  113 };
static const int8_t e2m1_table[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

GEMV(q4_0)
{
	(void)scratch;
	gemv_blocks(w, row_bytes, rows, x, row, out,
		    &(const struct block_format){ .stride = 18, .bias = 8 });
}

GEMV(iq4_nl)
{
	(void)scratch;
	gemv_blocks(w, row_bytes, rows, x, row, out,
		    &(const struct block_format){
			    .stride = 18, .codes = CODES_TABLE, .table = iq4_table });
}

GEMV(mxfp4)
{
	(void)scratch;
	gemv_blocks(w, row_bytes, rows, x, row, out,
		    &(const struct block_format){ .stride = 17,
						  .scale = SCALE_E8M0,
						  .codes = CODES_TABLE,
						  .table = e2m1_table });
}

GEMV(q8_0)
{
	(void)scratch;
	gemv_blocks(w, row_bytes, rows, x, row, out,
		    &(const struct block_format){ .stride = 34, .codes = CODES_BYTES });
}

/* --- blocks of 256 values ------------------------------------------------------------------------
 */

/* IQ4_XS: a half float, 16 high bits and 4 bytes of low nibbles of the 6-bit scales, nibbles. */
GEMV(iq4_xs)
{
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * (x->k / 32);
	const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)iq4_table));
	const __m256i nibble = _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0);
	const __m256i pair = _mm256_srli_epi32(nibble, 1);

	(void)scratch;
	for (size_t r = 0; r < rows; r++) {
		const uint8_t *at = w + r * row_bytes;
		__m256 acc[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };

		for (size_t block = 0; block < x->k / 256; block++, at += 136) {
			const __m256i low = _mm256_and_si256(
				_mm256_srlv_epi32(_mm256_set1_epi32((int)load_u32(at + 4)), nibble),
				_mm256_set1_epi32(15));
			const __m256i high = _mm256_and_si256(
				_mm256_srlv_epi32(_mm256_set1_epi32(load_u16(at + 2)), pair),
				_mm256_set1_epi32(3));
			const __m256i six =
				_mm256_sub_epi32(_mm256_or_si256(low, _mm256_slli_epi32(high, 4)),
						 _mm256_set1_epi32(32));
			const __m256 both = _mm256_mul_ps(
				_mm256_mul_ps(_mm256_cvtepi32_ps(six),
					      _mm256_set1_ps(f16_to_f32(load_u16(at)))),
				_mm256_loadu_ps(d + 8 * block));

			prefetch_ahead(at, 136);
#pragma GCC unroll 8
			for (int i = 0; i < 8; i++)
				acc[i % 2] = add_scaled(
					acc[i % 2],
					dot_signed(_mm256_shuffle_epi8(table,
								       nibbles_of(at + 8 + 16 * i)),
						   codes + 256 * block + 32 * i),
					both, i);
		}
		out[r] = sum_of((vec)_mm256_add_ps(acc[0], acc[1]));
	}
}

/*
 * Q4_K and Q5_K: each 32 bytes hold two sub-blocks, low nibbles first.  Q5_K has 32 bytes of fifth
 * bits before them, bit k of each for sub-block k.
 */
INLINE float dot_kquant(const uint8_t *w, const struct q8_rows *x, size_t row, bool fifth)
{
	const __m256i low = _mm256_set1_epi8(15), sixteen = _mm256_set1_epi8(16);
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * (x->k / 32), *xs = x->xs32 + row * (x->k / 32);
	__m256 acc[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
	__m256 shift = _mm256_setzero_ps();

	for (size_t block = 0; block < x->k / 256;
	     block++, w += fifth ? 176 : 144, codes += 256, d += 8, xs += 8) {
		const __m128i bytes = kquant_bytes(w);
		const __m256 scale = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
						   _mm256_set1_ps(f16_to_f32(load_u16(w))));
		const __m256 least = _mm256_mul_ps(
			_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes))),
			_mm256_set1_ps(f16_to_f32(load_u16(w + 2))));
		const __m256 both = _mm256_mul_ps(scale, _mm256_loadu_ps(d));
		__m256i h = fifth ? _mm256_loadu_si256((const void *)(w + 16)) : low;

		prefetch_ahead(w, fifth ? 176 : 144);
		shift = _mm256_fmadd_ps(least, _mm256_loadu_ps(xs), shift);
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			const __m256i q =
				_mm256_loadu_si256((const void *)(w + (fifth ? 48 : 16) + 32 * i));
			__m256i first = _mm256_and_si256(q, low);
			__m256i second = _mm256_and_si256(_mm256_srli_epi16(q, 4), low);

			if (fifth) { /* the bits go to where 16 is */
				first = _mm256_or_si256(
					first, _mm256_and_si256(_mm256_slli_epi16(h, 4), sixteen));
				second = _mm256_or_si256(
					second, _mm256_and_si256(_mm256_slli_epi16(h, 3), sixteen));
				h = _mm256_srli_epi16(h, 2);
			}
			acc[0] = add_scaled(acc[0], dot_unsigned(first, codes + 64 * i), both,
					    2 * i);
			acc[1] = add_scaled(acc[1], dot_unsigned(second, codes + 64 * i + 32), both,
					    2 * i + 1);
		}
	}
	return sum_of((vec)_mm256_sub_ps(_mm256_add_ps(acc[0], acc[1]), shift));
}

GEMV(q4_k)
{
	(void)scratch;
	for (size_t r = 0; r < rows; r++)
		out[r] = dot_kquant(w + r * row_bytes, x, row, false);
}

GEMV(q5_k)
{
	(void)scratch;
	for (size_t r = 0; r < rows; r++)
		out[r] = dot_kquant(w + r * row_bytes, x, row, true);
}

/*
 * Q6_K: in each half of a block 64 bytes hold the low nibbles of codes 0-63 and, above them, of
 * codes 64-127; 32 bytes hold the two high bits of four codes 32 apart.
 */
static float dot_q6_k(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	const __m256i low = _mm256_set1_epi8(15), top = _mm256_set1_epi8(48);
	const __m256i first8 = _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0);
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * (x->k / 32), *xs = x->xs16 + row * (x->k / 16);
	__m256 acc[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
	__m256 shift = _mm256_setzero_ps();

	for (size_t block = 0; block < x->k / 256; block++, w += 210, codes += 256, d += 8) {
		const __m256 whole = _mm256_set1_ps(f16_to_f32(load_u16(w + 208)));

		prefetch_ahead(w, 210);
#pragma GCC unroll 2
		for (int half = 0; half < 2; half++, xs += 8) {
			const __m256 scale = _mm256_mul_ps(
				_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
					_mm_loadl_epi64((const void *)(w + 192 + 8 * half)))),
				whole);
			const __m256 both = _mm256_mul_ps(
				scale, _mm256_permutevar8x32_ps(
					       _mm256_castps128_ps256(_mm_loadu_ps(d + 4 * half)),
					       first8));
			const __m256i h = _mm256_loadu_si256((const void *)(w + 128 + 32 * half));

			shift = _mm256_fmadd_ps(scale, _mm256_loadu_ps(xs), shift);
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++) {
				const __m256i q = _mm256_loadu_si256(
					(const void *)(w + 64 * half + 32 * (i % 2)));
				const __m256i bits =
					_mm256_and_si256(i == 0	  ? _mm256_slli_epi16(h, 4)
							 : i == 1 ? _mm256_slli_epi16(h, 2)
							 : i == 2 ? h
								  : _mm256_srli_epi16(h, 2),
							 top);
				const __m256i nibbles =
					_mm256_and_si256(i < 2 ? q : _mm256_srli_epi16(q, 4), low);
				const __m256i lanes =
					_mm256_add_epi32(_mm256_set_epi32(1, 1, 1, 1, 0, 0, 0, 0),
							 _mm256_set1_epi32(2 * i));
				const __m256i p = dot_unsigned(_mm256_or_si256(nibbles, bits),
							       codes + 128 * half + 32 * i);

				acc[i % 2] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(p),
							     _mm256_permutevar8x32_ps(both, lanes),
							     acc[i % 2]);
			}
		}
	}
	return sum_of(
		(vec)_mm256_fnmadd_ps(_mm256_set1_ps(32), shift, _mm256_add_ps(acc[0], acc[1])));
}

GEMV(q6_k)
{
	(void)scratch;
	for (size_t r = 0; r < rows; r++)
		out[r] = dot_q6_k(w + r * row_bytes, x, row);
}

#endif
