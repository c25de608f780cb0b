// SPDX-License-Identifier: MIT
/* Dot products that unpack in registers, for decoding with AVX-512 VNNI. */
#include "device/cpu/kernels.h"

#if defined(__AVX512VNNI__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#include <immintrin.h>

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

/* Formats of blocks of 32 values: a scale, then their codes. */
enum scale_kind { SCALE_HALF, SCALE_E8M0 };
enum code_kind { CODE_NIBBLES, CODE_TABLE, CODE_BYTES };

struct simple_format {
	int stride; /* bytes of a block */
	enum scale_kind scale;
	enum code_kind code;
	float bias;	      /* that unsigned codes are too large by */
	const uint8_t *table; /* of nibbles, such codes */
};

/* The scales at the start of 16 blocks; the mask leaves blocks out. */
static inline __m512 block_scales(const uint8_t *w, const struct simple_format *f, __mmask16 mask)
{
	const __m512i at = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6,
							       5, 4, 3, 2, 1, 0),
					      _mm512_set1_epi32(f->stride));
	const __m512i words = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, at, w, 1);

	if (f->scale == SCALE_HALF)
		return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
	/* 2^(e - 128), the two least of which are subnormal; 0 where the mask has no block */
	const __m512i e = _mm512_and_si512(words, _mm512_set1_epi32(255));
	const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
	const __m512i least = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);

	return _mm512_maskz_mov_ps(
		mask, _mm512_castsi512_ps(_mm512_mask_mov_epi32(
			      normal, _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2)), least)));
}

static inline __m512i nibbles_of_two(const uint8_t *w, size_t stride)
{
	const __m128i a = _mm_loadu_si128((const void *)w),
		      b = _mm_loadu_si128((const void *)(w + stride));
	const __m256i low = _mm256_set_m128i(_mm_srli_epi16(a, 4), a);
	const __m256i high = _mm256_set_m128i(_mm_srli_epi16(b, 4), b);

	return _mm512_and_si512(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1),
				_mm512_set1_epi8(15));
}

/* The codes of two blocks, unsigned. */
static inline __m512i codes_of_two(const uint8_t *w, const struct simple_format *f, __m512i table)
{
	const size_t stride = (size_t)f->stride;

	if (f->code == CODE_NIBBLES)
		return nibbles_of_two(w, stride);
	if (f->code == CODE_TABLE)
		return _mm512_shuffle_epi8(table, nibbles_of_two(w, stride));
	const __m256i low = _mm256_loadu_si256((const void *)w),
		      high = _mm256_loadu_si256((const void *)(w + stride));

	return _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1),
				_mm512_set1_epi8((char)0x80));
}

static inline int code_of_one(const uint8_t *codes, const struct simple_format *f, size_t j)
{
	const int nibble = j < 16 ? codes[j % 16] & 15 : codes[j % 16] >> 4;

	return f->code == CODE_BYTES ? codes[j] ^ 0x80 : f->table ? f->table[nibble] : nibble;
}

static inline __m512i table_of(const struct simple_format *f)
{
	return f->table ? _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)f->table))
			: _mm512_setzero_si512();
}

static inline __attribute__((always_inline)) float
dot_simple(const uint8_t *w, const struct q8_rows *x, size_t row, const struct simple_format *f)
{
	const size_t blocks = x->k / 32, stride = (size_t)f->stride;
	const size_t header = f->scale == SCALE_HALF ? 2 : 1;
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * blocks, *xs = x->xs32 + row * blocks;
	const __m512i table = table_of(f);
	__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps(), shift = _mm512_setzero_ps();

	for (size_t b = 0; b < blocks; b += 16, w += 16 * stride) {
		const size_t n = MIN(blocks - b, (size_t)16);
		const __mmask16 mask = (__mmask16)((1u << n) - 1);
		const __m512 scale = block_scales(w, f, mask);
		const __m512 both = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(mask, d + b));
		size_t i = 0;

		shift = _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps(mask, xs + b), shift);
		for (; i + 4 <= n; i += 4) {
			const uint8_t *at = w + i * stride + header;

			acc0 = dot_codes(codes_of_two(at, f, table), codes + 32 * (b + i),
					 pair_scale(both, (int)(i / 2)), acc0);
			at += 2 * stride;
			acc1 = dot_codes(codes_of_two(at, f, table), codes + 32 * (b + i + 2),
					 pair_scale(both, (int)(i / 2) + 1), acc1);
		}
		for (; i < n; i++) {
			float s[16];
			int32_t sum = 0;

			_mm512_storeu_ps(s, both);
			for (size_t j = 0; j < 32; j++)
				sum += code_of_one(w + i * stride + header, f, j) *
				       codes[32 * (b + i) + j];
			acc0 = _mm512_add_ps(
				acc0, _mm512_maskz_mov_ps(1, _mm512_set1_ps(s[i] * (float)sum)));
		}
	}
	return _mm512_reduce_add_ps(
		_mm512_fnmadd_ps(_mm512_set1_ps(f->bias), shift, _mm512_add_ps(acc0, acc1)));
}

/* iq4_values of quant/iquant.c and doubled_e2m1 of quant/fp4.c, made unsigned. */
static const uint8_t iq4_table[16] = { 1,   24,	 45,  63,  79,	93,  106, 118,
				       129, 141, 153, 166, 181, 197, 217, 241 };
static const uint8_t e2m1_table[16] = { 12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0 };

static float dot_q4_0(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	return dot_simple(w, x, row, &(const struct simple_format){ .stride = 18, .bias = 8 });
}

static float dot_q8_0(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	return dot_simple(
		w, x, row,
		&(const struct simple_format){ .stride = 34, .code = CODE_BYTES, .bias = 128 });
}

static float dot_iq4_nl(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	return dot_simple(
		w, x, row,
		&(const struct simple_format){
			.stride = 18, .code = CODE_TABLE, .bias = 128, .table = iq4_table });
}

static float dot_mxfp4(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	return dot_simple(w, x, row,
			  &(const struct simple_format){ .stride = 17,
							 .scale = SCALE_E8M0,
							 .code = CODE_TABLE,
							 .bias = 12,
							 .table = e2m1_table });
}

/* IQ4_XS: a half float, 16 high bits and 4 bytes of low nibbles of the 6-bit scales, nibbles. */
static float dot_iq4_xs(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	const __m256i nibble = _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0);
	const __m256i pair = _mm256_set_epi32(14, 12, 10, 8, 6, 4, 2, 0);
	const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)iq4_table));
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * (x->k / 32), *xs = x->xs32 + row * (x->k / 32);
	__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps();
	__m256 shift = _mm256_setzero_ps();

	for (size_t block = 0; block < x->k / 256;
	     block++, w += 136, codes += 256, d += 8, xs += 8) {
		const __m256i low = _mm256_and_si256(
			_mm256_srlv_epi32(_mm256_set1_epi32((int)load_u32(w + 4)), nibble),
			_mm256_set1_epi32(15));
		const __m256i high = _mm256_and_si256(
			_mm256_srlv_epi32(_mm256_set1_epi32(load_u16(w + 2)), pair),
			_mm256_set1_epi32(3));
		const __m256i six = _mm256_sub_epi32(
			_mm256_or_si256(low, _mm256_slli_epi32(high, 4)), _mm256_set1_epi32(32));
		const __m256 scale = _mm256_mul_ps(_mm256_cvtepi32_ps(six),
						   _mm256_set1_ps(f16_to_f32(load_u16(w))));
		const __m512 both =
			_mm512_castps256_ps512(_mm256_mul_ps(scale, _mm256_loadu_ps(d)));

		shift = _mm256_fmadd_ps(scale, _mm256_loadu_ps(xs), shift);
		for (int i = 0; i < 4; i += 2) {
			const uint8_t *at = w + 8 + 32 * i;

			acc0 = dot_codes(_mm512_shuffle_epi8(table, nibbles_of_two(at, 16)),
					 codes + 64 * i, pair_scale(both, i), acc0);
			acc1 = dot_codes(_mm512_shuffle_epi8(table, nibbles_of_two(at + 32, 16)),
					 codes + 64 * i + 64, pair_scale(both, i + 1), acc1);
		}
	}
	return _mm512_reduce_add_ps(_mm512_fnmadd_ps(
		_mm512_set1_ps(128), _mm512_zextps256_ps512(shift), _mm512_add_ps(acc0, acc1)));
}

/* The 6-bit scales and minima of a block, as floats in lanes 0-7 and 8-15. */
static inline __m512 kquant_numbers(const uint8_t *w)
{
	const uint32_t a = load_u32(w + 4), b = load_u32(w + 8), c = load_u32(w + 12);
	const __m128i bytes = _mm_set_epi32(
		(int)((c >> 4 & 0x0f0f0f0f) | (b >> 6 & 0x03030303) << 4), (int)(b & 0x3f3f3f3f),
		(int)((c & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4), (int)(a & 0x3f3f3f3f));

	return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}

/*
 * Q4_K and Q5_K: each 32 bytes hold two sub-blocks, low nibbles first, so 64 bytes give sub-blocks
 * 0 and 2 and then 1 and 3; activations are shuffled to match.  Q5_K has 32 bytes of fifth bits
 * before them, bit k of each for sub-block k.
 */
static inline __attribute__((always_inline)) float
dot_kquant(const uint8_t *w, const struct q8_rows *x, size_t row, bool fifth)
{
	const __m512i sixteen = _mm512_set1_epi8(16);
	const __m512i bits02 = _mm512_inserti64x4(_mm512_set1_epi16(0), _mm256_set1_epi16(2), 1);
	const __m512i low = _mm512_set1_epi8(15);
	const __m512i even = _mm512_set_epi32(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0);
	const int8_t *codes = x->codes + row * x->k;
	const float *d = x->d + row * (x->k / 32), *xs = x->xs32 + row * (x->k / 32);
	__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps();
	__m256 shift = _mm256_setzero_ps();

	for (size_t block = 0; block < x->k / 256;
	     block++, w += fifth ? 176 : 144, codes += 256, d += 8, xs += 8) {
		const __m512i h =
			fifth ? _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)(w + 16)))
			      : _mm512_setzero_si512();
		const __m512 numbers = kquant_numbers(w);
		const __m256 scale = _mm256_mul_ps(_mm512_castps512_ps256(numbers),
						   _mm256_set1_ps(f16_to_f32(load_u16(w))));
		const __m256 minimum = _mm256_mul_ps(_mm512_extractf32x8_ps(numbers, 1),
						     _mm256_set1_ps(f16_to_f32(load_u16(w + 2))));
		const __m512 both =
			_mm512_castps256_ps512(_mm256_mul_ps(scale, _mm256_loadu_ps(d)));

		shift = _mm256_fmadd_ps(minimum, _mm256_loadu_ps(xs), shift);
		for (int half = 0; half < 2; half++) {
			const __m512i q = _mm512_loadu_si512(w + (fifth ? 48 : 16) + 64 * half);
			__m512i q02 = _mm512_and_si512(q, low);
			__m512i q13 = _mm512_and_si512(_mm512_srli_epi16(q, 4), low);
			const __m512i x01 = _mm512_loadu_si512(codes + 128 * half);
			const __m512i x23 = _mm512_loadu_si512(codes + 128 * half + 64);
			const __m512i first = _mm512_add_epi32(even, _mm512_set1_epi32(4 * half));

			if (fifth) { /* the bits go to where 16 is */
				const __m512i at = _mm512_srlv_epi16(
					half ? h : _mm512_slli_epi16(h, 4), bits02);
				const __m512i next = _mm512_srli_epi16(at, 1);

				q02 = _mm512_or_si512(q02, _mm512_and_si512(at, sixteen));
				q13 = _mm512_or_si512(q13, _mm512_and_si512(next, sixteen));
			}
			const __m512i p02 = _mm512_dpbusd_epi32(
				_mm512_setzero_si512(), q02, _mm512_shuffle_i64x2(x01, x23, 0x44));
			const __m512i p13 = _mm512_dpbusd_epi32(
				_mm512_setzero_si512(), q13, _mm512_shuffle_i64x2(x01, x23, 0xee));

			acc0 = _mm512_fmadd_ps(_mm512_cvtepi32_ps(p02),
					       _mm512_permutexvar_ps(first, both), acc0);
			acc1 = _mm512_fmadd_ps(
				_mm512_cvtepi32_ps(p13),
				_mm512_permutexvar_ps(_mm512_add_epi32(first, _mm512_set1_epi32(1)),
						      both),
				acc1);
		}
	}
	return _mm512_reduce_add_ps(
		_mm512_sub_ps(_mm512_add_ps(acc0, acc1), _mm512_zextps256_ps512(shift)));
}

static float dot_q4_k(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	return dot_kquant(w, x, row, false);
}

static float dot_q5_k(const uint8_t *w, const struct q8_rows *x, size_t row)
{
	return dot_kquant(w, x, row, true);
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

row_dot_fn *ISA_NAME(cpu_fused_dot)(const struct stoker_format *format)
{
	switch (format->id) {
	case 2:
		return dot_q4_0;
	case 8:
		return dot_q8_0;
	case 12:
		return dot_q4_k;
	case 13:
		return dot_q5_k;
	case 20:
		return dot_iq4_nl;
	case 23:
		return dot_iq4_xs;
	case 39:
		return dot_mxfp4;
	case 14:
		return dot_q6_k;
	default:
		return NULL;
	}
}

#else

row_dot_fn *ISA_NAME(cpu_fused_dot)(const struct stoker_format *format)
{
	(void)format;
	return NULL;
}

#endif
