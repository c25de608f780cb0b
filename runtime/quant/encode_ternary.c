// SPDX-License-Identifier: MIT
/* Writes TQ1_0 and TQ2_0: values -1, 0, 1 times one half float a block of 256. */
#include "quant/lanes.h"

LANES_INLINE f32s nearest_3(f32s v)
{
	return lanes_code(v, -1, 1);
}

/*
 * Only where magnitudes become 1 matters: tried are multiples of their mean, and of the largest,
 * below which there may be nothing but noise.
 */
LANES_INLINE void ternary(const float *src, const float *importance, size_t groups,
			  uint16_t d[LANES], uint8_t *codes)
{
	static const float borders[] = { 0.35f, 0.5f, 0.62f, 0.74f, 0.88f, 1.1f, 1.5f, 2.5f };
	static const float steps[] = { 0.6f, 1, 2, 4 };
	enum { N = 256 };
	f32s x[N], w[N], back, sum = { 0 }, total = { 0 };
	struct lanes_fit best = { .ll = lanes_all(1) };

	lanes_load(src, groups, N, 0, x);
	lanes_load_weights(importance, groups, N, x, ALIKE, 1, w);
	const f32s factor = lanes_normal(lanes_largest(x, N), &back);

	for (int i = 0; i < N; i++) {
		x[i] *= factor;
		sum += w[i] * lanes_abs(x[i]);
		total += w[i];
	}
	for (size_t c = 0; c < ARRAY_SIZE(borders); c++)
		lanes_keep_better(&best,
				  lanes_try(x, w, N, lanes_ratio(0.5f * total, borders[c] * sum),
					    nearest_3));
	for (size_t c = 0; c < ARRAY_SIZE(steps); c++)
		lanes_keep_better(&best,
				  lanes_try(x, w, N,
					    lanes_ratio(lanes_all(steps[c]), lanes_largest(x, N)),
					    nearest_3));
	for (int round = 0; round < 2; round++)
		lanes_keep_better(&best,
				  lanes_try(x, w, N, lanes_ratio(best.ll, best.xl), nearest_3));
	const f32s scale = lanes_f16(best.xl / best.ll * back, d) * factor;
	const f32s inverse = lanes_ratio(lanes_all(1), scale);

	for (int i = 0; i < N; i++)
		x[i] = nearest_3(x[i] * inverse) + 1;
	lanes_store_codes(x, N, codes);
}

/* Digits of base 3, the first one first, as a fixed-point fraction that is rounded up. */
static uint8_t digits(const uint8_t *code, int stride, int count)
{
	unsigned number = 0;

	for (int n = 0; n < 5; n++)
		number = 3 * number + (n < count ? code[stride * n] : 0);
	return (uint8_t)((256 * number + 242) / 243);
}

static void pack_tq1_0(const uint8_t *codes, uint16_t d, uint8_t *block)
{
	for (int m = 0; m < 32; m++)
		block[m] = digits(codes + m, 32, 5);
	for (int m = 0; m < 16; m++)
		block[32 + m] = digits(codes + 160 + m, 16, 5);
	for (int m = 0; m < 4; m++)
		block[48 + m] = digits(codes + 240 + m, 4, 4);
	store_u16(block + 52, d);
}

static void pack_tq2_0(const uint8_t *codes, uint16_t d, uint8_t *block)
{
	for (int half = 0; half < 2; half++)
		for (int i = 0; i < 32; i++) {
			const uint8_t *c = codes + 128 * half + i;

			block[32 * half + i] =
				(uint8_t)(c[0] | c[32] << 2 | c[64] << 4 | c[96] << 6);
		}
	store_u16(block + 64, d);
}

LANES_INLINE void encode(const float *x, const float *importance, size_t blocks, uint8_t *dst,
			 int bytes, void (*pack)(const uint8_t *, uint16_t, uint8_t *))
{
	for (size_t groups; blocks; blocks -= groups) {
		uint16_t d[LANES];
		uint8_t codes[256 * LANES];

		groups = MIN(blocks, LANES);
		ternary(x, importance, groups, d, codes);
		for (size_t g = 0; g < groups; g++, dst += bytes)
			pack(codes + 256 * g, d[g], dst);
		x += 256 * groups;
		importance += importance ? 256 * groups : 0;
	}
}

ENCODE(tq1_0)
{
	encode(x, importance, blocks, dst, 54, pack_tq1_0);
}

ENCODE(tq2_0)
{
	encode(x, importance, blocks, dst, 66, pack_tq2_0);
}
