// SPDX-License-Identifier: MIT
/* Writes the formats whose 4-bit codes index a table: IQ4_NL, IQ4_XS, MXFP4, NVFP4. */
#include "quant/super_block.h"
#include "quant/tables.h"

/* The number of a table in ascending order that is nearest, or which of them that is. */
LANES_INLINE f32s look_up(f32s v, const int8_t *values, int count, bool which)
{
	f32s found = lanes_all(which ? 0 : values[0]);

	for (int k = 1; k < count; k++) {
		const float border = 0.5f * (float)(values[k - 1] + values[k]);
		const float step = which ? 1 : (float)(values[k] - values[k - 1]);

		found += (f32s)((v > border) & (i32s)lanes_all(step));
	}
	return found;
}

LANES_INLINE f32s nearest_iq4(f32s v)
{
	return look_up(v, iq4_values, 16, false);
}

/* Both signs have the same magnitudes. */
LANES_INLINE f32s nearest_e2m1(f32s v)
{
	const i32s sign = (i32s)v & INT32_MIN;

	return (f32s)((i32s)look_up(lanes_abs(v), doubled_e2m1, 8, false) | sign);
}

/* Codes of nothing have no sign. */
LANES_INLINE f32s code_e2m1(f32s v)
{
	const f32s code = look_up(lanes_abs(v), doubled_e2m1, 8, true);

	return code + (f32s)((i32s)lanes_all(8) & (v < 0) & (code > 0));
}

static inline void pack_nibbles(const uint8_t *restrict codes, int half, uint8_t *restrict out)
{
	for (int i = 0; i < half; i++)
		out[i] = (uint8_t)(codes[i] | codes[i + half] << 4);
}

/* Scales that bring the largest magnitude to these. */
static const float iq4_steps[] = {
	-127, -121, -115, -109, -133, -140, -150, 113, 107, 101, 119, 127
};

LANES_INLINE void iq4_nl(const float *src, const float *importance, size_t groups,
			 uint16_t d[LANES], uint8_t *codes)
{
	f32s x[32], w[32], back;

	lanes_load(src, groups, 32, 0, x);
	lanes_load_weights(importance, groups, 32, x, ALIKE, 1, w);
	const f32s factor = lanes_normal(lanes_largest(x, 32), &back);

	for (int i = 0; i < 32; i++)
		x[i] *= factor;
	const f32s s =
		lanes_scale(x, w, 32, nearest_iq4, iq4_steps, ARRAY_SIZE(iq4_steps), 2, NULL);
	const f32s inverse = lanes_ratio(lanes_all(1), lanes_f16(s * back, d) * factor);

	for (int i = 0; i < 32; i++)
		x[i] = look_up(x[i] * inverse, iq4_values, 16, true);
	lanes_store_codes(x, 32, codes);
}

ENCODE(iq4_nl)
{
	for (size_t groups; blocks; blocks -= groups) {
		uint16_t d[LANES];
		uint8_t codes[32 * LANES];

		groups = MIN(blocks, LANES);
		iq4_nl(x, importance, groups, d, codes);
		for (size_t g = 0; g < groups; g++, dst += 18) {
			store_u16(dst, d[g]);
			pack_nibbles(codes + 32 * g, 16, dst + 2);
		}
		x += 32 * groups;
		importance += importance ? 32 * groups : 0;
	}
}

LANES_INLINE f32s nearest_64(f32s v)
{
	return lanes_code(v, -32, 31);
}

LANES_INLINE void iq4_xs(const float *src, const float *importance, size_t groups,
			 int8_t multiples[LANES], uint16_t d[LANES], uint8_t *codes)
{
	static const float unit_steps[] = { -32, -31.3f, -30.5f, -29.5f, -28.5f, 31 };
	static const struct scaled_codes shape = {
		.nearest = nearest_iq4,
		.steps = iq4_steps,
		.count = ARRAY_SIZE(iq4_steps),
		.multiples = { .nearest = nearest_64,
			       .spacing = 1,
			       .steps = unit_steps,
			       .count = ARRAY_SIZE(unit_steps) },
	};
	f32s x[32], w[32], multiple;
	struct subblocks s = { .x = x, .w = w, .n = 32, .lanes = 8 };

	load_subblocks(&s, src, importance, groups);
	const f32s inverse = lanes_ratio(lanes_all(1), find_scales(&s, &shape, &multiple, d));

	for (int i = 0; i < 32; i++)
		x[i] = look_up(x[i] * inverse, iq4_values, 16, true);
	lanes_store_codes(x, 32, codes);
	lanes_store(multiple, (uint8_t *)multiples);
}

ENCODE(iq4_xs)
{
	for (size_t both; blocks; blocks -= both) {
		uint16_t d[LANES];
		int8_t multiples[LANES];
		uint8_t codes[32 * LANES];

		both = MIN(blocks, 2);
		iq4_xs(x, importance, 8 * both, multiples, d, codes);
		for (size_t g = 0; g < both; g++, dst += 136) {
			unsigned high = 0;

			memset(dst + 4, 0, 4);
			for (int k = 0; k < 8; k++) {
				const unsigned m = (unsigned)(multiples[8 * g + k] + 32);

				high |= m >> 4 << (2 * k);
				dst[4 + k / 2] |= (uint8_t)((m & 15) << (4 * (k & 1)));
				pack_nibbles(codes + 256 * g + 32 * k, 16, dst + 8 + 16 * k);
			}
			store_u16(dst, d[8 * g]);
			store_u16(dst + 2, (uint16_t)high);
		}
		x += 256 * both;
		importance += importance ? 256 * both : 0;
	}
}

/* Squared error of a scale, less that of zeros. */
LANES_INLINE f32s e2m1_error(const f32s *x, const f32s *w, int n, f32s scale)
{
	const struct lanes_fit fit =
		lanes_try(x, w, n, lanes_ratio(lanes_all(1), scale), nearest_e2m1);

	return scale * (scale * fit.ll - 2 * fit.xl);
}

/* Scales are powers of two: that which brings the largest value below 8, or one of its neighbours.
 */
LANES_INLINE void mxfp4(const float *src, const float *importance, size_t groups,
			uint8_t exponents[LANES], uint8_t *codes)
{
	f32s x[32], w[32], back, best = { 0 }, power = { 0 }, inverse = { 0 };

	lanes_load(src, groups, 32, 0, x);
	lanes_load_weights(importance, groups, 32, x, ALIKE, 1, w);
	const f32s factor = lanes_normal(lanes_largest(x, 32), &back);

	for (int i = 0; i < 32; i++)
		x[i] *= factor;
	for (int step = -1; step <= 1; step++) {
		const f32s e = e2m1_error(x, w, 32,
					  lanes_all(step < 0 ? 0.0625f
						    : step   ? 0.25f
							     : 0.125f));
		const i32s better = e < best;

		best = lanes_select(better, e, best);
		power = lanes_select(better, lanes_all((float)step), power);
	}
	for (int lane = 0; lane < LANES; lane++) {
		const int e = (int)(bits_of_float(back[lane]) >> 23) - 2 + (int)power[lane];

		exponents[lane] = (uint8_t)(best[lane] < 0 ? MIN(MAX(e, 0), 254) : 0);
		inverse[lane] = half_e8m0(exponents[lane]) * factor[lane];
	}
	inverse = lanes_ratio(lanes_all(1), inverse);
	for (int i = 0; i < 32; i++)
		x[i] = code_e2m1(x[i] * inverse);
	lanes_store_codes(x, 32, codes);
}

ENCODE(mxfp4)
{
	for (size_t groups; blocks; blocks -= groups) {
		uint8_t exponents[LANES], codes[32 * LANES];

		groups = MIN(blocks, LANES);
		mxfp4(x, importance, groups, exponents, codes);
		for (size_t g = 0; g < groups; g++, dst += 17) {
			dst[0] = exponents[g];
			pack_nibbles(codes + 32 * g, 16, dst + 1);
		}
		x += 32 * groups;
		importance += importance ? 32 * groups : 0;
	}
}

/* The largest E4M3 number that isn't above @v, at most 448. */
static inline int below_ue4m3(float v)
{
	if (v >= 448)
		return 0x7e;
	if (v < 0x1p-6f)
		return (int)(v * 0x1p9f);
	return (int)(bits_of_float(v) >> 20) - ((127 - 7) << 3);
}

/* Scales have three bits after the first: those around the one that keeps the largest value. */
LANES_INLINE void nvfp4(const float *src, const float *importance, size_t groups,
			uint8_t scales[LANES], uint8_t *codes)
{
	f32s x[16], w[16], back, best = { 0 }, kept = { 0 };
	i32s number = { 0 };

	lanes_load(src, groups, 16, 0, x);
	lanes_load_weights(importance, groups, 16, x, ALIKE, 1, w);
	const f32s most = lanes_largest(x, 16), factor = lanes_normal(most, &back);

	for (int i = 0; i < 16; i++)
		x[i] *= factor;
	for (int step = -3; step <= 3; step++) {
		f32s scale = { 0 }, e;
		i32s at = { 0 }, better;

		for (int lane = 0; lane < LANES; lane++) {
			at[lane] = MIN(MAX(below_ue4m3(most[lane] / 6) + step, 0), 0x7e);
			scale[lane] = half_ue4m3((uint8_t)at[lane]);
		}
		scale *= factor;
		e = e2m1_error(x, w, 16, scale);
		better = e < best;
		best = lanes_select(better, e, best);
		kept = lanes_select(better, scale, kept);
		number = lanes_select_int(better, at, number);
	}
	kept = lanes_ratio(lanes_all(1), kept);
	for (int i = 0; i < 16; i++)
		x[i] = code_e2m1(x[i] * kept);
	lanes_store_codes(x, 16, codes);
	for (int lane = 0; lane < LANES; lane++)
		scales[lane] = (uint8_t)number[lane];
}

ENCODE(nvfp4)
{
	for (size_t groups; blocks; blocks -= groups) {
		uint8_t scales[LANES], codes[16 * LANES];

		groups = MIN(blocks, 4);
		nvfp4(x, importance, 4 * groups, scales, codes);
		for (size_t g = 0; g < groups; g++, dst += 36)
			for (int s = 0; s < 4; s++) {
				dst[s] = scales[4 * g + s];
				pack_nibbles(codes + 64 * g + 16 * s, 8, dst + 4 + 8 * s);
			}
		x += 64 * groups;
		importance += importance ? 64 * groups : 0;
	}
}
