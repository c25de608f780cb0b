// SPDX-License-Identifier: MIT
/*
 * Writes the floats and the simple formats, whose blocks have one half-float scale and, in the _1
 * forms, a minimum.
 */
#include "quant/lanes.h"

#include <math.h>

ENCODE(f32)
{
	(void)importance;
	memcpy(dst, x, blocks * sizeof(*x));
}

/* What is beyond the largest number becomes it: an infinite weight would spoil all it's added to.
 */
ENCODE(f16)
{
	(void)importance;
	for (size_t i = 0; i < blocks; i++)
		store_u16(dst + 2 * i, f32_to_f16(fmaxf(fminf(x[i], 65504), -65504)));
}

ENCODE(bf16)
{
	(void)importance;
	for (size_t i = 0; i < blocks; i++)
		store_u16(dst + 2 * i, f32_to_bf16(fmaxf(fminf(x[i], 0x1.fep127f), -0x1.fep127f)));
}

ENCODE(q8_0)
{
	typedef int8_t i8x16 __attribute__((vector_size(16)));

	(void)importance;
	for (size_t b = 0; b < blocks; b++, x += 32, dst += 34) {
		const f32s first = *(const f32s_unaligned *)x;
		const f32s second = *(const f32s_unaligned *)(x + 16);
		const f32s most =
			lanes_max_across(lanes_max(lanes_abs(first), lanes_abs(second)), 16);
		const f32s d = lanes_min(most / 127, lanes_all(65504));
		const f32s low = lanes_code(lanes_ratio(first, d), -127, 127);
		const f32s high = lanes_code(lanes_ratio(second, d), -127, 127);
		const i8x16 codes[2] = { __builtin_convertvector(low, i8x16),
					 __builtin_convertvector(high, i8x16) };

		store_u16(dst, f32_to_f16(d[0]));
		memcpy(dst + 2, codes, sizeof(codes));
	}
}

/* A batch of up to 16 blocks of a format with one scale; returns the values of their scale. */
LANES_INLINE void symmetric(const float *src, const float *importance, size_t groups, int n,
			    lanes_nearest *nearest, float bias, const float *steps, int count,
			    enum regard regard, uint16_t d[LANES], uint8_t *codes)
{
	f32s x[n], w[n], back;

	lanes_load(src, groups, n, 0, x);
	const f32s factor = lanes_normal(lanes_largest(x, n), &back);

	for (int i = 0; i < n; i++)
		x[i] *= factor;
	lanes_load_weights(importance, groups, n, x, regard, 1, w);
	const f32s s = lanes_scale(x, w, n, nearest, steps, count, 2, NULL);
	const f32s inverse = lanes_ratio(lanes_all(1), lanes_f16(s * back, d) * factor);

	for (int i = 0; i < n; i++)
		x[i] = nearest(x[i] * inverse) + bias;
	lanes_store_codes(x, n, codes);
}

static inline void pack_nibbles(const uint8_t *restrict codes, uint8_t *restrict out)
{
	for (int i = 0; i < 16; i++)
		out[i] = (uint8_t)((codes[i] & 15) | codes[i + 16] << 4);
}

static inline void pack_fifth_bits(const uint8_t *restrict codes, uint8_t *restrict out)
{
	uint32_t high = 0;

	for (int i = 0; i < 32; i++)
		high |= (uint32_t)(codes[i] >> 4) << i;
	memcpy(out, &high, sizeof(high));
	pack_nibbles(codes, out + 4);
}

static inline void pack_twos(const uint8_t *restrict codes, uint8_t *restrict out)
{
	for (int i = 0; i < 16; i++, codes += 4)
		out[i] = (uint8_t)(codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6);
}

typedef void pack_codes(const uint8_t *restrict codes, uint8_t *restrict out);

/* Blocks of @n values that begin with one half float. */
LANES_INLINE void encode_symmetric(const float *x, const float *importance, size_t blocks,
				   uint8_t *dst, int n, lanes_nearest *nearest, float bias,
				   const float *steps, int count, enum regard regard, size_t bytes,
				   pack_codes *pack)
{
	for (size_t groups; blocks; blocks -= groups) {
		uint16_t d[LANES];
		uint8_t codes[n * LANES];

		groups = MIN(blocks, LANES);
		symmetric(x, importance, groups, n, nearest, bias, steps, count, regard, d, codes);
		for (size_t g = 0; g < groups; g++, dst += bytes) {
			store_u16(dst, d[g]);
			pack(codes + (size_t)n * g, dst + 2);
		}
		x += (size_t)n * groups;
		importance += importance ? (size_t)n * groups : 0;
	}
}

LANES_INLINE f32s nearest_16(f32s v)
{
	return lanes_code(v, -8, 7);
}

ENCODE(q4_0)
{
	static const float steps[] = { -8, -7.5f, -7.1f, -8.6f, -9.4f, 7, 6.5f };

	encode_symmetric(x, importance, blocks, dst, 32, nearest_16, 8, steps, ARRAY_SIZE(steps),
			 LARGE_MORE, 18, pack_nibbles);
}

LANES_INLINE f32s nearest_32(f32s v)
{
	return lanes_code(v, -16, 15);
}

ENCODE(q5_0)
{
	static const float steps[] = { -16, -15.6f, -15.2f, -16.4f, -16.9f, -17.5f, 15.2f };

	encode_symmetric(x, importance, blocks, dst, 32, nearest_32, 16, steps, ARRAY_SIZE(steps),
			 ALIKE, 22, pack_fifth_bits);
}

LANES_INLINE f32s nearest_4(f32s v)
{
	return lanes_code(v, -1, 2);
}

/* The code of the largest magnitude is 2 or, with the other sign, -1. */
ENCODE(q2_0)
{
	static const float steps[] = { 2, 1.6f, 1.8f, 2.3f, 2.7f, 3.2f, -1, -1.4f, -2, -2.6f };

	encode_symmetric(x, importance, blocks, dst, 64, nearest_4, 1, steps, ARRAY_SIZE(steps),
			 ALIKE, 18, pack_twos);
}

/* The best scale of signs is the mean magnitude. */
ENCODE(q1_0)
{
	for (size_t b = 0; b < blocks; b++, x += 128, dst += 18) {
		f32s sum = { 0 }, total = { 0 };

		for (int i = 0; i < 128; i += LANES) {
			const f32s v = *(const f32s_unaligned *)(x + i);
			const f32s w = importance ? *(const f32s_unaligned *)(importance + i)
						  : lanes_all(1);
			uint32_t bits = 0;

			/* a sum of 128 of the largest numbers is finite, too */
			sum += lanes_abs(v) * 0x1p-8f * w;
			total += w;
			for (int lane = 0; lane < LANES; lane++)
				bits |= (uint32_t)(x[i + lane] >= 0) << lane;
			store_u16(dst + 2 + i / 8, (uint16_t)bits);
		}
		sum = lanes_sum_across(sum, 16) / lanes_sum_across(total, 16);
		store_u16(dst, f32_to_f16(fminf(sum[0], 255) * 256));
		importance += importance ? 128 : 0;
	}
}

/* The sums that don't depend on codes. */
struct moments {
	f32s w, x;
};

/* The best scale and minimum for the codes that @inverse and @base make. */
LANES_INLINE void try_affine(const f32s *x, const f32s *w, int n, const struct moments *sum,
			     f32s inverse, f32s base, float most, f32s *gain, f32s *scale,
			     f32s *minimum)
{
	f32s l1 = { 0 }, l2 = { 0 }, xl = { 0 };

	for (int i = 0; i < n; i++) {
		const f32s l = lanes_code((x[i] - base) * inverse, 0, most);
		const f32s wl = w[i] * l;

		l1 += wl;
		l2 += wl * l;
		xl += wl * x[i];
	}
	const f32s s = lanes_ratio(sum->w * xl - sum->x * l1, sum->w * l2 - l1 * l1);
	const f32s m = (sum->x - s * l1) / sum->w;
	const f32s g = s * xl + m * sum->x;
	const i32s better = g > *gain;

	*gain = lanes_select(better, g, *gain);
	*scale = lanes_select(better, s, *scale);
	*minimum = lanes_select(better, m, *minimum);
}

/* A scale that is tried: how far it brings the range of the values beyond that of the codes. */
struct spread {
	float beyond, low; /* the share of that which is below 0 */
};

#define EITHER_END(beyond)               \
	{ beyond, 0 }, { beyond, 0.5f }, \
	{                                \
		beyond, 1                \
	}

struct affine_search {
	const struct spread *tries;
	int count, rounds; /* of what follows from the best one */
};

/* Where it is known which columns matter, they are worth a longer search. */
static const struct spread few[] = { { 0, 0 }, EITHER_END(0.8f), EITHER_END(1.8f) };
static const struct spread many[] = {
	{ 0, 0 },      EITHER_END(0.3f), EITHER_END(0.6f), EITHER_END(1),     EITHER_END(1.5f),
	EITHER_END(2), EITHER_END(2.6f), EITHER_END(3.3f), EITHER_END(-0.3f), EITHER_END(-0.6f),
};
static const struct affine_search quick = { few, ARRAY_SIZE(few), 1 },
				  thorough = { many, ARRAY_SIZE(many), 3 };

LANES_INLINE void affine(const float *src, const float *importance, size_t groups, int most,
			 const struct affine_search *search, uint16_t d[LANES], uint16_t m[LANES],
			 uint8_t *codes)
{
	enum { N = 32 };
	f32s x[N], w[N], back, low, high, gain = lanes_all(-1), scale = { 0 }, minimum;
	struct moments sum = { 0 };

	lanes_load(src, groups, N, 0, x);
	lanes_load_weights(importance, groups, N, x, ALIKE, 1, w);
	const f32s factor = lanes_normal(lanes_largest(x, N), &back);

	low = high = x[0] * factor;
	for (int i = 0; i < N; i++) {
		x[i] *= factor;
		low = lanes_min(low, x[i]);
		high = lanes_max(high, x[i]);
		sum.x += w[i] * x[i];
		sum.w += w[i];
	}
	const f32s inverse = lanes_ratio(lanes_all(1), high - low);

	minimum = low;
	for (int c = 0; c < search->count; c++) {
		const struct spread t = search->tries[c];
		const f32s wide = inverse * ((float)most + t.beyond);

		try_affine(x, w, N, &sum, wide,
			   low + lanes_ratio(lanes_all(t.low * t.beyond), wide), (float)most, &gain,
			   &scale, &minimum);
	}
	for (int round = 0; round < search->rounds; round++)
		try_affine(x, w, N, &sum, lanes_ratio(lanes_all(1), scale), minimum, (float)most,
			   &gain, &scale, &minimum);
	const f32s s = lanes_ratio(lanes_all(1), lanes_f16(scale * back, d) * factor);
	const f32s base = lanes_f16(minimum * back, m) * factor;

	for (int i = 0; i < N; i++)
		x[i] = lanes_code((x[i] - base) * s, 0, (float)most);
	lanes_store_codes(x, N, codes);
}

/* Blocks of 32 values that begin with two half floats. */
LANES_INLINE void encode_affine(const float *x, const float *importance, size_t blocks,
				uint8_t *dst, int most, size_t bytes, pack_codes *pack)
{
	for (size_t groups; blocks; blocks -= groups) {
		uint16_t d[LANES], m[LANES];
		uint8_t codes[32 * LANES];

		groups = MIN(blocks, LANES);
		if (importance)
			affine(x, importance, groups, most, &thorough, d, m, codes);
		else
			affine(x, NULL, groups, most, &quick, d, m, codes);
		for (size_t g = 0; g < groups; g++, dst += bytes) {
			store_u16(dst, d[g]);
			store_u16(dst + 2, m[g]);
			pack(codes + 32 * g, dst + 4);
		}
		x += 32 * groups;
		importance += importance ? 32 * groups : 0;
	}
}

ENCODE(q4_1)
{
	encode_affine(x, importance, blocks, dst, 15, 20, pack_nibbles);
}

ENCODE(q5_1)
{
	encode_affine(x, importance, blocks, dst, 31, 24, pack_fifth_bits);
}
