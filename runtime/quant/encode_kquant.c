// SPDX-License-Identifier: MIT
/* Writes K-quants. */
#include "quant/super_block.h"

LANES_INLINE void symmetric_codes(const float *src, const float *importance,
				  const struct scaled_codes *shape, enum regard regard, float bias,
				  int8_t multiples[LANES], uint16_t *d, uint8_t codes[256])
{
	f32s x[16], w[16], multiple, inverse;
	struct subblocks s = { .x = x, .w = w, .n = 16, .lanes = 16, .regard = regard };
	uint16_t bits[LANES];

	load_subblocks(&s, src, importance, 16);
	inverse = lanes_ratio(lanes_all(1), find_scales(&s, shape, &multiple, bits));
	for (int i = 0; i < 16; i++)
		x[i] = shape->nearest(x[i] * inverse) + bias;
	lanes_store_codes(x, 16, codes);
	lanes_store(multiple, (uint8_t *)multiples);
	*d = bits[0];
}

LANES_INLINE f32s nearest_256(f32s v)
{
	return lanes_code(v, -128, 127);
}

LANES_INLINE f32s nearest_64(f32s v)
{
	return lanes_code(v, -32, 31);
}

LANES_INLINE f32s nearest_8(f32s v)
{
	return lanes_code(v, -4, 3);
}

ENCODE(q6_k)
{
	static const float steps[] = { -32, -31.3f, -32.6f, -33.4f, -34.5f, 31.3f };
	static const float unit_steps[] = { -128, -126, -123, -120, -130 };
	static const struct scaled_codes shape = {
		.nearest = nearest_64,
		.steps = steps,
		.count = ARRAY_SIZE(steps),
		.multiples = { .nearest = nearest_256,
			       .spacing = 1,
			       .steps = unit_steps,
			       .count = ARRAY_SIZE(unit_steps) },
	};

	for (size_t b = 0; b < blocks; b++, x += 256, dst += 210) {
		int8_t multiples[LANES];
		uint8_t codes[256];
		uint16_t d;

		symmetric_codes(x, importance ? importance + 256 * b : NULL, &shape, LARGE_MORE, 32,
				multiples, &d, codes);
		for (int half = 0; half < 2; half++)
			for (int i = 0; i < 32; i++) {
				const uint8_t *c = codes + 128 * half + i;

				dst[64 * half + i] = (uint8_t)((c[0] & 15) | c[64] << 4);
				dst[64 * half + 32 + i] = (uint8_t)((c[32] & 15) | c[96] << 4);
				dst[128 + 32 * half + i] =
					(uint8_t)(c[0] >> 4 | c[32] >> 4 << 2 | c[64] >> 4 << 4 |
						  c[96] >> 4 << 6);
			}
		memcpy(dst + 192, multiples, 16);
		store_u16(dst + 208, d);
	}
}

ENCODE(q3_k)
{
	static const float steps[] = { -4, -3.6f, -3.3f, -4.4f, -4.9f, -5.5f, 3, 3.4f };
	static const float unit_steps[] = { -32, -30.5f, -29, -27.5f, -26, -33.5f, 31 };
	static const struct scaled_codes shape = {
		.nearest = nearest_8,
		.steps = steps,
		.count = ARRAY_SIZE(steps),
		.multiples = { .nearest = nearest_64,
			       .spacing = 1,
			       .steps = unit_steps,
			       .count = ARRAY_SIZE(unit_steps) },
	};

	for (size_t b = 0; b < blocks; b++, x += 256, dst += 110) {
		int8_t multiples[LANES];
		uint8_t codes[256];
		uint16_t d;

		symmetric_codes(x, importance ? importance + 256 * b : NULL, &shape, LARGE_MOST, 4,
				multiples, &d, codes);
		memset(dst, 0, 110);
		for (int part = 0; part < 8; part++)
			for (int i = 0; i < 32; i++) {
				const uint8_t c = codes[32 * part + i];

				dst[i] |= (uint8_t)(c >> 2 << part);
				dst[32 + 32 * (part / 4) + i] |=
					(uint8_t)((c & 3) << (2 * (part % 4)));
			}
		for (int g = 0; g < 16; g++) {
			const int m = multiples[g] + 32;

			dst[96 + g % 8] |= (uint8_t)((m & 15) << (4 * (g / 8)));
			dst[96 + 8 + g % 4] |= (uint8_t)(m >> 4 << (2 * (g / 4)));
		}
		store_u16(dst + 108, d);
	}
}

/* --- codes with a minimum: Q2_K, Q4_K, Q5_K --- */

struct affine_shape {
	float most; /* code */
	const float *steps;
	int count;
	struct multiples multiples; /* of scale and of minimum */
	enum regard regard;
};

/* Sums of a sub-block over its codes l; values are s l - m. */
struct affine_sums {
	f32s l1, l2, xl;
};

/* What doesn't depend on codes. */
struct affine_still {
	f32s w, x;
};

LANES_INLINE struct affine_sums affine_try(const struct subblocks *s, f32s inverse, f32s minimum,
					   float most)
{
	struct affine_sums sums = { 0 };
	const f32s shift = minimum * inverse;

	for (int i = 0; i < s->n; i++) {
		const f32s l = lanes_code(s->x[i] * inverse + shift, 0, most);
		const f32s wl = s->w[i] * l;

		sums.l1 += wl;
		sums.l2 += wl * l;
		sums.xl += wl * s->x[i];
	}
	return sums;
}

/* Squared error less that of zeros. */
LANES_INLINE f32s affine_error(const struct affine_sums *a, const struct affine_still *still,
			       f32s scale, f32s minimum)
{
	return scale * (scale * a->l2 - 2 * a->xl - 2 * minimum * a->l1) +
	       minimum * (minimum * still->w + 2 * still->x);
}

struct affine_best {
	f32s error, scale, minimum;
	struct affine_sums sums;
};

LANES_INLINE void affine_keep(struct affine_best *best, f32s error, f32s scale, f32s minimum,
			      const struct affine_sums *sums)
{
	const i32s better = error < best->error;

	best->error = lanes_select(better, error, best->error);
	best->scale = lanes_select(better, scale, best->scale);
	best->minimum = lanes_select(better, minimum, best->minimum);
	best->sums.l1 = lanes_select(better, sums->l1, best->sums.l1);
	best->sums.l2 = lanes_select(better, sums->l2, best->sums.l2);
	best->sums.xl = lanes_select(better, sums->xl, best->sums.xl);
}

/* Codes for a scale and a minimum, and what least squares makes of them. */
static void affine_search(const struct subblocks *s, const struct affine_still *still, f32s inverse,
			  f32s minimum, float most, struct affine_best *best)
{
	const struct affine_sums a = affine_try(s, inverse, minimum, most);
	const f32s plain = lanes_ratio(a.xl, a.l2);
	f32s scale = lanes_ratio(still->w * a.xl - still->x * a.l1, still->w * a.l2 - a.l1 * a.l1);
	f32s m = (scale * a.l1 - still->x) / still->w;
	const i32s none = (m < 0) | (scale <= 0);

	m = (f32s)((i32s)m & ~none);
	scale = lanes_max(lanes_select(none, plain, scale), lanes_all(0));
	affine_keep(best, affine_error(&a, still, scale, m), scale, m, &a);
}

static struct affine_best affine_scales(const struct subblocks *s, const struct affine_still *still,
					const struct affine_shape *shape)
{
	struct affine_best best = { .error = { 0 } };
	f32s low = { 0 }, high = { 0 };

	for (int i = 0; i < s->n; i++) {
		low = lanes_min(low, s->x[i]);
		high = lanes_max(high, s->x[i]);
	}
	const f32s inverse = lanes_ratio(lanes_all(1), high - low);

	/* either end at its value, or both off by as much */
	for (int c = 0; c < shape->count; c++)
		for (int end = 0; end <= 2; end++) {
			const f32s wide = inverse * shape->steps[c];
			const float beyond = 0.5f * (float)end * (shape->most - shape->steps[c]);

			affine_search(s, still, wide,
				      lanes_max(lanes_ratio(lanes_all(beyond), wide) - low,
						lanes_all(0)),
				      shape->most, &best);
		}
	for (int round = 0; round < 2; round++)
		affine_search(s, still, lanes_ratio(lanes_all(1), best.scale), best.minimum,
			      shape->most, &best);
	return best;
}

/* Both half floats by least squares over the super-block, given codes and multiples. */
static void affine_units(const struct subblocks *s, const struct affine_still *still,
			 const struct affine_sums *a, f32s scale, f32s minimum, f32s *d, f32s *dmin)
{
	const f32s ss = lanes_sum_across(scale * scale * a->l2, s->lanes);
	const f32s sm = lanes_sum_across(scale * minimum * a->l1, s->lanes);
	const f32s mm = lanes_sum_across(minimum * minimum * still->w, s->lanes);
	const f32s xs = lanes_sum_across(scale * a->xl, s->lanes);
	const f32s xm = lanes_sum_across(minimum * still->x, s->lanes);
	const f32s determinant = ss * mm - sm * sm;
	const i32s good = determinant > 1e-6f * ss * mm;
	const f32s both_d = lanes_ratio(xs * mm - xm * sm, determinant);
	const f32s both_m = lanes_ratio(xs * sm - xm * ss, determinant);
	const i32s use = good & (both_d > 0) & (both_m >= 0);

	*d = lanes_select(use, both_d, *d);
	*dmin = lanes_select(use, both_m, *dmin);
}

/* What the half floats are multiplied by, and what a decoder will see. */
struct affine_multiples {
	f32s scale, minimum, unit, unit_minimum;
	uint16_t d[LANES], dmin[LANES];
};

LANES_INLINE void affine_round(const struct subblocks *s, struct affine_multiples *m)
{
	m->unit = lanes_f16(m->unit * s->back, m->d) * s->factor;
	m->unit_minimum = lanes_f16(m->unit_minimum * s->back, m->dmin) * s->factor;
}

static void affine_multiples(const struct subblocks *s, const struct affine_still *still,
			     const struct affine_shape *shape, struct affine_multiples *m)
{
	lanes_nearest *const nearest = shape->multiples.nearest;
	struct affine_best best = affine_scales(s, still, shape);

	m->unit = find_unit(best.scale, best.sums.l2, s->lanes, &shape->multiples);
	m->unit_minimum = find_unit(best.minimum, still->w, s->lanes, &shape->multiples);
	affine_round(s, m);
	for (int round = 0; round < 2; round++) {
		struct affine_best chosen = { .error = lanes_all(3e38f) };
		const f32s middle = nearest(lanes_ratio(best.scale, m->unit));

		for (int step = -1; step <= 1; step++) {
			const f32s l = nearest(middle + (float)step), scale = m->unit * l;
			/* the minimum that suits the codes of the search at this scale */
			const f32s ideal = (scale * best.sums.l1 - still->x) / still->w;
			const f32s k = nearest(lanes_ratio(ideal, m->unit_minimum));
			const f32s minimum = m->unit_minimum * k;
			const struct affine_sums a = affine_try(s, lanes_ratio(lanes_all(1), scale),
								minimum, shape->most);

			affine_keep(&chosen, affine_error(&a, still, scale, minimum), l, k, &a);
		}
		m->scale = chosen.scale;
		m->minimum = chosen.minimum;
		affine_units(s, still, &chosen.sums, m->scale, m->minimum, &m->unit,
			     &m->unit_minimum);
		affine_round(s, m);
		best.scale = m->unit * m->scale;
		best.sums = chosen.sums;
	}
}

struct affine_blocks {
	uint8_t scales[LANES], minima[LANES], codes[512];
	uint16_t d[LANES], dmin[LANES];
};

/* One function for all three: they differ in numbers only. */
static void affine_codes(const float *src, const float *importance, size_t groups, int n,
			 const struct affine_shape *shape, struct affine_blocks *out)
{
	f32s x[32], w[32];
	struct subblocks s = { .x = x, .w = w, .n = n, .lanes = 256 / n, .regard = shape->regard };
	struct affine_still still = { 0 };
	struct affine_multiples m;

	load_subblocks(&s, src, importance, groups);
	for (int i = 0; i < n; i++) {
		still.x += w[i] * x[i];
		still.w += w[i];
	}
	affine_multiples(&s, &still, shape, &m);
	const f32s inverse = lanes_ratio(lanes_all(1), m.unit * m.scale);
	const f32s shift = m.unit_minimum * m.minimum * inverse;

	for (int i = 0; i < n; i++)
		x[i] = lanes_code(x[i] * inverse + shift, 0, shape->most);
	lanes_store_codes(x, n, out->codes);
	lanes_store(m.scale, out->scales);
	lanes_store(m.minimum, out->minima);
	memcpy(out->d, m.d, sizeof(m.d));
	memcpy(out->dmin, m.dmin, sizeof(m.dmin));
}

LANES_INLINE f32s nearest_up_to_15(f32s v)
{
	return lanes_code(v, 0, 15);
}

LANES_INLINE f32s nearest_up_to_63(f32s v)
{
	return lanes_code(v, 0, 63);
}

ENCODE(q2_k)
{
	static const float steps[] = { 3, 3.4f, 3.8f, 4.3f, 2.7f, 2.4f };
	static const float unit_steps[] = { 15, 14.2f, 13.4f, 12.6f, 15.8f, 16.6f, 11.5f };
	static const struct affine_shape shape = {
		.most = 3,
		.regard = LARGE_MOST,
		.steps = steps,
		.count = ARRAY_SIZE(steps),
		.multiples = { .nearest = nearest_up_to_15,
			       .spacing = 1,
			       .steps = unit_steps,
			       .count = ARRAY_SIZE(unit_steps) },
	};

	for (size_t b = 0; b < blocks; b++, x += 256, dst += 84) {
		struct affine_blocks coded;

		affine_codes(x, importance ? importance + 256 * b : NULL, 16, 16, &shape, &coded);
		for (int g = 0; g < 16; g++)
			dst[g] = (uint8_t)(coded.scales[g] | coded.minima[g] << 4);
		for (int half = 0; half < 2; half++)
			for (int i = 0; i < 32; i++) {
				const uint8_t *c = coded.codes + 128 * half + i;

				dst[16 + 32 * half + i] =
					(uint8_t)(c[0] | c[32] << 2 | c[64] << 4 | c[96] << 6);
			}
		store_u16(dst + 80, coded.d[0]);
		store_u16(dst + 82, coded.dmin[0]);
	}
}

/* d, dmin and the 12 bytes of 6-bit scales and minima that kquant_scales() reads. */
static inline void pack_scales(const struct affine_blocks *coded, size_t g, uint8_t *block)
{
	const uint8_t *scale = coded->scales + 8 * g, *minimum = coded->minima + 8 * g;
	uint8_t *packed = block + 4;

	store_u16(block, coded->d[8 * g]);
	store_u16(block + 2, coded->dmin[8 * g]);
	for (int j = 0; j < 4; j++) {
		packed[j] = (uint8_t)(scale[j] | scale[j + 4] >> 4 << 6);
		packed[j + 4] = (uint8_t)(minimum[j] | minimum[j + 4] >> 4 << 6);
		packed[j + 8] = (uint8_t)((scale[j + 4] & 15) | (minimum[j + 4] & 15) << 4);
	}
}

static inline void pack_nibbles(const uint8_t *restrict codes, uint8_t *restrict out)
{
	for (int pair = 0; pair < 4; pair++)
		for (int i = 0; i < 32; i++)
			out[32 * pair + i] = (uint8_t)((codes[64 * pair + i] & 15) |
						       codes[64 * pair + 32 + i] << 4);
}

static inline void pack_fifth_bits(const uint8_t *restrict codes, uint8_t *restrict out)
{
	for (int i = 0; i < 32; i++) {
		uint8_t high = 0;

		for (int j = 0; j < 8; j++)
			high |= (uint8_t)(codes[32 * j + i] >> 4 << j);
		out[i] = high;
	}
	pack_nibbles(codes, out + 32);
}

/* Two super-blocks at a time. */
LANES_INLINE void encode_twos(const float *x, const float *importance, size_t blocks, uint8_t *dst,
			      const struct affine_shape *shape, size_t bytes,
			      void (*pack)(const uint8_t *restrict, uint8_t *restrict))
{
	for (size_t both; blocks; blocks -= both) {
		struct affine_blocks coded;

		both = MIN(blocks, 2);
		affine_codes(x, importance, 8 * both, 32, shape, &coded);
		for (size_t g = 0; g < both; g++, dst += bytes) {
			pack_scales(&coded, g, dst);
			pack(coded.codes + 256 * g, dst + 16);
		}
		x += 256 * both;
		importance += importance ? 256 * both : 0;
	}
}

ENCODE(q4_k)
{
	static const float steps[] = { 15, 15.3f, 15.6f, 16, 16.5f, 17, 17.6f, 18.3f, 14.6f };
	static const float unit_steps[] = { 63, 61, 59, 57 };
	static const struct affine_shape shape = {
		.most = 15,
		.steps = steps,
		.count = ARRAY_SIZE(steps),
		.multiples = { .nearest = nearest_up_to_63,
			       .spacing = 1,
			       .steps = unit_steps,
			       .count = ARRAY_SIZE(unit_steps) },
	};

	encode_twos(x, importance, blocks, dst, &shape, 144, pack_nibbles);
}

ENCODE(q5_k)
{
	static const float steps[] = { 31, 31.3f, 31.6f, 32, 32.5f, 33, 33.6f, 34.4f, 30.6f };
	static const float unit_steps[] = { 63, 61, 59, 57 };
	static const struct affine_shape shape = {
		.most = 31,
		.steps = steps,
		.count = ARRAY_SIZE(steps),
		.multiples = { .nearest = nearest_up_to_63,
			       .spacing = 1,
			       .steps = unit_steps,
			       .count = ARRAY_SIZE(unit_steps) },
	};

	encode_twos(x, importance, blocks, dst, &shape, 176, pack_fifth_bits);
}
