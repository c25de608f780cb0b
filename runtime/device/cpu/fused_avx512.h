/* SPDX-License-Identifier: MIT */
/* The products of fused.c with AVX-512 VNNI. */
#ifndef STOKER_CPU_FUSED_AVX512_H
#define STOKER_CPU_FUSED_AVX512_H

/* Lanes of 8 for each of two groups: picks floats 2 * pair and 2 * pair + 1 of a table. */
static inline __m512 pair_scale(__m512 table, int pair)
{
	const __m512i lanes = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);

	return _mm512_permutexvar_ps(_mm512_add_epi32(lanes, _mm512_set1_epi32(2 * pair)), table);
}

static inline __m512 dot_codes(__m512i unsigned_codes, const int8_t *x, __m512 scale, __m512 acc)
{
	const __m512i p =
		_mm512_dpbusd_epi32(_mm512_setzero_si512(), unsigned_codes, _mm512_loadu_si512(x));

	return _mm512_fmadd_ps(_mm512_cvtepi32_ps(p), scale, acc);
}

/* The half floats at the start of 16 blocks of 34 bytes; the mask leaves blocks out. */
static inline __m512 halves_of_blocks(const uint8_t *w, __mmask16 mask)
{
	const __m512i at = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6,
							       5, 4, 3, 2, 1, 0),
					      _mm512_set1_epi32(34));

	return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(
		_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, at, w, 1)));
}

/* The codes of two such blocks, made unsigned. */
static inline __m512i codes_of_two(const uint8_t *w)
{
	const __m256i low = _mm256_loadu_si256((const void *)(w + 2)),
		      high = _mm256_loadu_si256((const void *)(w + 36));

	return _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1),
				_mm512_set1_epi8((char)0x80));
}

/*
 * An activation row as the products want it, made once for many weight rows: [k / 128] vectors of
 * each, of which codes has two.
 */
struct arranged {
	int8_t *codes;
	float *d;
	int32_t *start; /* what sums begin with, to make up for unsigned weight codes */
};

static struct arranged carve_arranged(void *scratch, size_t vectors)
{
	uint8_t *at = scratch;

	return (struct arranged){ .codes = (int8_t *)at,
				  .d = (float *)(void *)(at + 128 * vectors),
				  .start = (int32_t *)(void *)(at + 192 * vectors) };
}

/*
 * For blocks of 32 values with nibbles j and j + 16 in byte j: the first halves of four blocks,
 * then their second halves; four lanes a block.  Weight codes are too large by @bias.
 */
static struct arranged arrange_halves(const struct q8_rows *x, size_t row, int bias, void *scratch)
{
	const size_t blocks = x->k / 32, vectors = (blocks + 3) / 4;
	const __m512i lanes = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
	const struct arranged a = carve_arranged(scratch, vectors);

	for (size_t v = 0; v < vectors; v++) {
		const size_t n = MIN(blocks - 4 * v, (size_t)4), at = row * blocks + 4 * v;
		const __mmask8 mask = (__mmask8)((1u << n) - 1);
		const __mmask64 bytes = n < 2 ? 0xffffffff : ~0ull;
		const int8_t *codes = x->codes + row * x->k + 128 * v;
		const __m512i first = _mm512_maskz_loadu_epi8(bytes, codes);
		const __m512i second =
			_mm512_maskz_loadu_epi8(n > 2 ? n > 3 ? ~0ull : 0xffffffff : 0, codes + 64);
		const __m512 d = _mm512_castps128_ps512(_mm_maskz_loadu_ps(mask, x->d + at));
		const __m128i sums = _mm_srai_epi32(_mm_maskz_loadu_epi32(mask, x->corr32 + at), 7);

		_mm512_store_si512(a.codes + 128 * v, _mm512_shuffle_i32x4(first, second, 0x88));
		_mm512_store_si512(a.codes + 128 * v + 64,
				   _mm512_shuffle_i32x4(first, second, 0xdd));
		_mm512_store_ps(a.d + 16 * v, _mm512_permutexvar_ps(lanes, d));
		_mm512_store_si512(a.start + 16 * v,
				   _mm512_maskz_expand_epi32(0x1111,
							     _mm512_castsi128_si512(_mm_mullo_epi32(
								     sums, _mm_set1_epi32(bias)))));
	}
	return a;
}

/* The sums of four blocks of nibbles, four lanes each; both nibbles through @table if there is one.
 */
static inline __m512 dot_nibbles(__m512i nibbles, const __m512i *table, const struct arranged *x,
				 size_t vector)
{
	const __m512i low = _mm512_set1_epi8(15);
	__m512i first = _mm512_and_si512(nibbles, low);
	__m512i second = _mm512_and_si512(_mm512_srli_epi16(nibbles, 4), low);

	if (table) {
		first = _mm512_shuffle_epi8(*table, first);
		second = _mm512_shuffle_epi8(*table, second);
	}
	const __m512i half = _mm512_dpbusd_epi32(_mm512_load_si512(x->start + 16 * vector), first,
						 _mm512_load_si512(x->codes + 128 * vector));

	return _mm512_cvtepi32_ps(
		_mm512_dpbusd_epi32(half, second, _mm512_load_si512(x->codes + 128 * vector + 64)));
}

/* Formats of blocks of 32 values: a scale, then their nibbles. */
enum scale_kind { SCALE_HALF, SCALE_E8M0 };

struct nibble_format {
	int stride; /* bytes of a block */
	enum scale_kind scale;
	int bias;	      /* that unsigned codes are too large by */
	const uint8_t *table; /* of codes; NULL: nibbles are codes */
};

/* The scales of four blocks, four lanes each. */
static inline __m512 scales_of_four(const uint8_t *w, enum scale_kind kind)
{
	const __m512i bytes = _mm512_loadu_si512(w);

	if (kind == SCALE_HALF) {
		const __m256i at =
			_mm256_set_epi16(27, 27, 27, 27, 18, 18, 18, 18, 9, 9, 9, 9, 0, 0, 0, 0);

		return _mm512_cvtph_ps(_mm512_castsi512_si256(
			_mm512_permutexvar_epi16(_mm512_castsi256_si512(at), bytes)));
	}
	const __m512i dwords = _mm512_set_epi32(12, 12, 12, 12, 8, 8, 8, 8, 4, 4, 4, 4, 0, 0, 0, 0);
	/* blocks of 17 bytes: scale i is byte i of dword 4 i; 2^(e - 128), subnormal below 2 */
	const __m512i shift = _mm512_slli_epi32(dwords, 1);
	const __m512i e =
		_mm512_and_si512(_mm512_srlv_epi32(_mm512_permutexvar_epi32(dwords, bytes), shift),
				 _mm512_set1_epi32(255));
	const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
	const __m512i least = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);

	return _mm512_castsi512_ps(_mm512_mask_mov_epi32(
		normal, _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2)), least));
}

INLINE __m512 four_blocks(const uint8_t *w, const struct nibble_format *f, const __m512i *table,
			  const struct arranged *x, size_t vector, __m512 acc)
{
	const size_t stride = (size_t)f->stride;
	const uint8_t *at = w + (f->scale == SCALE_HALF ? 2 : 1);
	__m512i q = _mm512_castsi128_si512(_mm_loadu_si128((const void *)at));

	q = _mm512_inserti32x4(q, _mm_loadu_si128((const void *)(at + stride)), 1);
	q = _mm512_inserti32x4(q, _mm_loadu_si128((const void *)(at + 2 * stride)), 2);
	q = _mm512_inserti32x4(q, _mm_loadu_si128((const void *)(at + 3 * stride)), 3);
	return _mm512_fmadd_ps(dot_nibbles(q, table, x, vector),
			       _mm512_mul_ps(scales_of_four(w, f->scale),
					     _mm512_load_ps(x->d + 16 * vector)),
			       acc);
}

INLINE void gemv_nibbles(const uint8_t *w, size_t row_bytes, size_t rows, const struct q8_rows *x,
			 size_t row, float *out, void *scratch, const struct nibble_format *f)
{
	const struct arranged a = arrange_halves(x, row, f->bias, scratch);
	const size_t stride = (size_t)f->stride, vectors = x->k / 128;
	const size_t rest = x->k / 32 % 4 * stride;
	const __m512i table =
		f->table ? _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)f->table))
			 : _mm512_setzero_si512();
	const __m512i *used = f->table ? &table : NULL;

	for (size_t r = 0; r < rows; r++, w += row_bytes) {
		__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps();
		const uint8_t *at = w;
		size_t v = 0;

		for (; v + 2 <= vectors; v += 2, at += 8 * stride) {
			prefetch_ahead(at, 8 * stride);
			acc0 = four_blocks(at, f, used, &a, v, acc0);
			acc1 = four_blocks(at + 4 * stride, f, used, &a, v + 1, acc1);
		}
		if (v < vectors) {
			acc0 = four_blocks(at, f, used, &a, v, acc0);
			at += 4 * stride;
		}
		if (rest) {
			uint8_t last[4 * 18] = { 0 };

			memcpy(last, at, rest);
			acc1 = four_blocks(last, f, used, &a, vectors, acc1);
		}
		out[r] = _mm512_reduce_add_ps(_mm512_add_ps(acc0, acc1));
	}
}

/* iq4_values of quant/iquant.c and doubled_e2m1 of quant/fp4.c, made unsigned. */
static const uint8_t iq4_table[16] = { 1,   24,	 45,  63,  79,	93,  106, 118,
				       129, 141, 153, 166, 181, 197, 217, 241 };
static const uint8_t e2m1_table[16] = { 12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0 };

GEMV(q4_0)
{
	gemv_nibbles(w, row_bytes, rows, x, row, out, scratch,
		     &(const struct nibble_format){ .stride = 18, .bias = 8 });
}

GEMV(iq4_nl)
{
	gemv_nibbles(
		w, row_bytes, rows, x, row, out, scratch,
		&(const struct nibble_format){ .stride = 18, .bias = 128, .table = iq4_table });
}

GEMV(mxfp4)
{
	gemv_nibbles(w, row_bytes, rows, x, row, out, scratch,
		     &(const struct nibble_format){
			     .stride = 17, .scale = SCALE_E8M0, .bias = 12, .table = e2m1_table });
}

/* IQ4_XS: a half float, 16 high bits and 4 bytes of low nibbles of the 6-bit scales, nibbles. */
GEMV(iq4_xs)
{
	const struct arranged a = arrange_halves(x, row, 128, scratch);
	const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)iq4_table));
	const __m512i nibble = _mm512_set_epi32(12, 12, 12, 12, 8, 8, 8, 8, 4, 4, 4, 4, 0, 0, 0, 0);
	const __m512i pair = _mm512_srli_epi32(nibble, 1);

	for (size_t r = 0; r < rows; r++) {
		const uint8_t *at = w + r * row_bytes;
		__m512 acc[2] = { _mm512_setzero_ps(), _mm512_setzero_ps() };

		for (size_t block = 0; block < x->k / 256; block++, at += 136) {
			const __m512 d = _mm512_set1_ps(f16_to_f32(load_u16(at)));

			prefetch_ahead(at, 136);
			for (size_t h = 0; h < 2; h++) {
				const __m512i low = _mm512_and_si512(
					_mm512_srlv_epi32(
						_mm512_set1_epi32(load_u16(at + 4 + 2 * h)),
						nibble),
					_mm512_set1_epi32(15));
				const __m512i high = _mm512_and_si512(
					_mm512_srlv_epi32(_mm512_set1_epi32(at[2 + h]), pair),
					_mm512_set1_epi32(3));
				const __m512i six = _mm512_sub_epi32(
					_mm512_or_si512(low, _mm512_slli_epi32(high, 4)),
					_mm512_set1_epi32(32));
				const __m512 scale =
					_mm512_mul_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(six), d),
						      _mm512_load_ps(a.d + 32 * block + 16 * h));

				acc[h] = _mm512_fmadd_ps(
					dot_nibbles(_mm512_loadu_si512(at + 8 + 64 * h), &table, &a,
						    2 * block + h),
					scale, acc[h]);
			}
		}
		out[r] = _mm512_reduce_add_ps(_mm512_add_ps(acc[0], acc[1]));
	}
}

/* Q8_0: a half float and 32 codes. */
static float dot_q8_0(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	const size_t blocks = x->k / 32;
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * blocks, *xs = x->xs32 + row * blocks;
	__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps(), shift = _mm512_setzero_ps();

	for (size_t b = 0; b < blocks; b += 16, w += 16 * 34) {
		const size_t n = MIN(blocks - b, (size_t)16);
		const __mmask16 mask = (__mmask16)((1u << n) - 1);
		const __m512 scale = halves_of_blocks(w, mask);
		const __m512 both = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(mask, d + b));
		size_t i = 0;

		prefetch_ahead(w, 16 * 34);
		shift = _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps(mask, xs + b), shift);
		for (; i + 4 <= n; i += 4) {
			acc0 = dot_codes(codes_of_two(w + 34 * i), codes + 32 * (b + i),
					 pair_scale(both, (int)(i / 2)), acc0);
			acc1 = dot_codes(codes_of_two(w + 34 * i + 68), codes + 32 * (b + i + 2),
					 pair_scale(both, (int)(i / 2) + 1), acc1);
		}
		for (; i < n; i++) {
			float s[16];
			int32_t sum = 0;

			_mm512_storeu_ps(s, both);
			for (size_t j = 0; j < 32; j++)
				sum += (w[34 * i + 2 + j] ^ 0x80) * codes[32 * (b + i) + j];
			acc0 = _mm512_add_ps(
				acc0, _mm512_maskz_mov_ps(1, _mm512_set1_ps(s[i] * (float)sum)));
		}
	}
	return _mm512_reduce_add_ps(
		_mm512_fnmadd_ps(_mm512_set1_ps(128), shift, _mm512_add_ps(acc0, acc1)));
}

/*
 * For the K-quants: sub-blocks 0, 2, 1, 3 of each half of a block, to go with weights as they lie;
 * in a block's d, 8 scales and 8 negative sums.
 */
static struct arranged arrange_kquant(const struct q8_rows *x, size_t row, void *scratch)
{
	const size_t blocks = x->k / 256;
	const struct arranged a = carve_arranged(scratch, 2 * blocks);
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * (x->k / 32), *xs = x->xs32 + row * (x->k / 32);

	for (size_t v = 0; v < 2 * blocks; v++) {
		const __m512i x01 = _mm512_loadu_si512(codes + 128 * v);
		const __m512i x23 = _mm512_loadu_si512(codes + 128 * v + 64);

		_mm512_store_si512(a.codes + 128 * v, _mm512_shuffle_i64x2(x01, x23, 0x44));
		_mm512_store_si512(a.codes + 128 * v + 64, _mm512_shuffle_i64x2(x01, x23, 0xee));
	}
	for (size_t b = 0; b < blocks; b++) {
		_mm256_store_ps(a.d + 16 * b, _mm256_loadu_ps(d + 8 * b));
		_mm256_store_ps(a.d + 16 * b + 8,
				_mm256_sub_ps(_mm256_setzero_ps(), _mm256_loadu_ps(xs + 8 * b)));
	}
	return a;
}

/* The 6-bit scales and minima of a block, as floats in lanes 0-7 and 8-15, times d and dmin. */
static inline __m512 kquant_numbers(const uint8_t *w)
{
	const __m128i bytes = kquant_bytes(w);
	const __m256i halves = _mm256_shuffle_epi8(
		_mm256_set1_epi32((int)load_u32(w)),
		_mm256_inserti128_si256(_mm256_set1_epi16(0x0100), _mm_set1_epi16(0x0302), 1));

	return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)),
			     _mm512_cvtph_ps(halves));
}

/*
 * Q4_K and Q5_K: each 32 bytes hold two sub-blocks, low nibbles first, so 64 bytes give sub-blocks
 * 0 and 2 and then 1 and 3.  Q5_K has 32 bytes of fifth bits before them, bit k of each for
 * sub-block k.
 */
INLINE float dot_kquant(const uint8_t *w, const struct arranged *x, size_t blocks, bool fifth)
{
	const __m512i sixteen = _mm512_set1_epi8(16);
	const __m512i bits02 = _mm512_inserti64x4(_mm512_set1_epi16(0), _mm256_set1_epi16(2), 1);
	const __m512i low = _mm512_set1_epi8(15);
	const __m512i even = _mm512_set_epi32(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0);
	const int8_t *codes = x->codes;
	__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps(), shift = _mm512_setzero_ps();

	for (size_t block = 0; block < blocks; block++, w += fifth ? 176 : 144, codes += 256) {
		const __m512i h =
			fifth ? _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)(w + 16)))
			      : _mm512_setzero_si512();
		const __m512 both =
			_mm512_mul_ps(kquant_numbers(w), _mm512_load_ps(x->d + 16 * block));

		prefetch_ahead(w, fifth ? 176 : 144);
		shift = _mm512_mask_add_ps(shift, 0xff00, shift, both);
		for (int half = 0; half < 2; half++) {
			const __m512i q = _mm512_loadu_si512(w + (fifth ? 48 : 16) + 64 * half);
			__m512i q02 = _mm512_and_si512(q, low);
			__m512i q13 = _mm512_and_si512(_mm512_srli_epi16(q, 4), low);
			const __m512i first = _mm512_add_epi32(even, _mm512_set1_epi32(4 * half));

			if (fifth) { /* the bits go to where 16 is */
				const __m512i at = _mm512_srlv_epi16(
					half ? h : _mm512_slli_epi16(h, 4), bits02);
				const __m512i next = _mm512_srli_epi16(at, 1);

				q02 = _mm512_or_si512(q02, _mm512_and_si512(at, sixteen));
				q13 = _mm512_or_si512(q13, _mm512_and_si512(next, sixteen));
			}
			acc0 = dot_codes(q02, codes + 128 * half,
					 _mm512_permutexvar_ps(first, both), acc0);
			acc1 = dot_codes(
				q13, codes + 128 * half + 64,
				_mm512_permutexvar_ps(_mm512_add_epi32(first, _mm512_set1_epi32(1)),
						      both),
				acc1);
		}
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(acc0, acc1), shift));
}

GEMV(q4_k)
{
	const struct arranged a = arrange_kquant(x, row, scratch);

	for (size_t r = 0; r < rows; r++)
		out[r] = dot_kquant(w + r * row_bytes, &a, x->k / 256, false);
}

GEMV(q5_k)
{
	const struct arranged a = arrange_kquant(x, row, scratch);

	for (size_t r = 0; r < rows; r++)
		out[r] = dot_kquant(w + r * row_bytes, &a, x->k / 256, true);
}

/*
 * Q6_K: in each half of a block 64 bytes hold the low nibbles of codes 0-63 and, above them, of
 * codes 64-127; 32 bytes hold the two high bits of four codes 32 apart.
 */
static float dot_q6_k(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	const __m512i low = _mm512_set1_epi8(15), two = _mm512_set1_epi8(3);
	const __m512i shift01 = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(2), 1);
	const __m512i shift23 = _mm512_add_epi16(shift01, _mm512_set1_epi16(4));
	const __m512i quads = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
	const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * (x->k / 32), *xs = x->xs16 + row * (x->k / 16);
	__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps(), shift = _mm512_setzero_ps();

	for (size_t block = 0; block < x->k / 256;
	     block++, w += 210, codes += 256, d += 8, xs += 16) {
		prefetch_ahead(w, 210);
		const __m512 scale =
			_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
					      _mm_loadu_si128((const void *)(w + 192)))),
				      _mm512_set1_ps(f16_to_f32(load_u16(w + 208))));
		const __m512 both = _mm512_mul_ps(
			scale,
			_mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(d))));

		shift = _mm512_fmadd_ps(scale, _mm512_loadu_ps(xs), shift);
		for (int half = 0; half < 2; half++) {
			const __m512i q = _mm512_loadu_si512(w + 64 * half);
			const __m512i h = _mm512_broadcast_i64x4(
				_mm256_loadu_si256((const void *)(w + 128 + 32 * half)));
			const __m512i h01 = _mm512_and_si512(_mm512_srlv_epi16(h, shift01), two);
			const __m512i h23 = _mm512_and_si512(_mm512_srlv_epi16(h, shift23), two);
			const __m512i first = _mm512_or_si512(_mm512_and_si512(q, low),
							      _mm512_slli_epi16(h01, 4));
			const __m512i second =
				_mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(q, 4), low),
						_mm512_slli_epi16(h23, 4));
			const __m512i lanes = _mm512_add_epi32(quads, _mm512_set1_epi32(8 * half));

			acc0 = dot_codes(first, codes + 128 * half,
					 _mm512_permutexvar_ps(lanes, both), acc0);
			acc1 = dot_codes(
				second, codes + 128 * half + 64,
				_mm512_permutexvar_ps(_mm512_add_epi32(lanes, _mm512_set1_epi32(4)),
						      both),
				acc1);
		}
	}
	return _mm512_reduce_add_ps(
		_mm512_fnmadd_ps(_mm512_set1_ps(32), shift, _mm512_add_ps(acc0, acc1)));
}

GEMV(q6_k)
{
	(void)scratch;
	for (size_t r = 0; r < rows; r++)
		out[r] = dot_q6_k(w + r * row_bytes, x, row);
}

GEMV(q8_0)
{
	(void)scratch;
	for (size_t r = 0; r < rows; r++)
		out[r] = dot_q8_0(w + r * row_bytes, x, row);
}

#endif
