/* SPDX-License-Identifier: MIT */
/*
 * Scales of super-blocks.  Sub-blocks are searched one a lane: sixteen of 16 values are one
 * super-block, sixteen of 32 are two.  First each has the scale (and minimum) that suits it best;
 * then comes the half float for whose multiples the error grows least; last, each sub-block takes
 * the multiple that really is best, and the half float follows by least squares.
 */
#ifndef STOKER_QUANT_SUPER_BLOCK_H
#define STOKER_QUANT_SUPER_BLOCK_H

#include "quant/lanes.h"

/* What is searched: sub-blocks in lanes, and how many lanes are a super-block. */
struct subblocks {
	f32s *x, *w;
	int n; /* values of each */
	int lanes;
	enum regard regard; /* of what no column's importance is known */
	f32s factor, back;  /* what values were multiplied by, and its inverse */
};

/* Which multiples of a half float there are. */
struct multiples {
	lanes_nearest *nearest;
	float spacing;
	const float *steps; /* what the largest may be brought to */
	int count;
};

/* Fills x and w, of which x is near 1 then. */
LANES_INLINE void load_subblocks(struct subblocks *s, const float *src, const float *importance,
				 size_t groups)
{
	lanes_load(src, groups, s->n, 0, s->x);
	s->factor = lanes_normal(lanes_max_across(lanes_largest(s->x, s->n), s->lanes), &s->back);
	for (int i = 0; i < s->n; i++)
		s->x[i] *= s->factor;
	lanes_load_weights(importance, groups, s->n, s->x, s->regard, s->lanes, s->w);
}

/*
 * The unit whose multiples are close to @scale, where an error's square counts as much as @weight
 * says.
 */
LANES_INLINE f32s find_unit(f32s scale, f32s weight, int lanes, const struct multiples *m)
{
	const f32s high = lanes_max_across(scale, lanes), low = -lanes_max_across(-scale, lanes);
	const f32s inverse = lanes_ratio(lanes_all(1), lanes_select(-low > high, low, high));
	struct lanes_fit best = { .ll = lanes_all(1) };

	weight = lanes_ratio(weight, lanes_max_across(weight, lanes));
	for (int c = 0; c < m->count; c++) {
		const f32s l = m->nearest(scale * inverse * m->steps[c]);

		lanes_keep_better(&best, (struct lanes_fit){
						 .xl = lanes_sum_across(weight * l * scale, lanes),
						 .ll = lanes_sum_across(weight * l * l, lanes),
					 });
	}
	return best.xl / best.ll;
}

/* What codes for a scale make of each sub-block. */
typedef struct lanes_fit subblock_try(const struct subblocks *s, const void *codes, f32s scale);

/*
 * Multiples for sub-blocks that want @scale, the half float and what they are together.  @curvature
 * is how fast the error grows with a scale's distance from the wanted one.
 */
LANES_INLINE f32s choose_multiples(const struct subblocks *s, subblock_try *try, const void *codes,
				   f32s scale, f32s curvature, const struct multiples *m,
				   int rounds, f32s *multiple, uint16_t d[LANES])
{
	f32s unit = lanes_f16(find_unit(scale, curvature, s->lanes, m) * s->back, d) * s->factor;
	f32s kept = m->nearest(lanes_ratio(scale, unit));

	for (int round = 0; round < rounds; round++) {
		f32s best = lanes_all(1), middle = kept, xl, ll;
		struct lanes_fit fit = { 0 };

		for (int step = -1; step <= 1; step++) {
			const f32s l = m->nearest(middle + (float)step * m->spacing);
			const f32s at = unit * l;
			const struct lanes_fit f = try(s, codes, at);
			/* less the sum of squares, which all scales share */
			const f32s error = at * (at * f.ll - 2 * f.xl);
			const i32s better = error < best;

			best = lanes_select(better, error, best);
			kept = lanes_select(better, l, kept);
			fit.xl = lanes_select(better, f.xl, fit.xl);
			fit.ll = lanes_select(better, f.ll, fit.ll);
		}
		xl = lanes_sum_across(fit.xl * kept, s->lanes);
		ll = lanes_sum_across(fit.ll * kept * kept, s->lanes);
		unit = lanes_f16(lanes_ratio(xl, ll) * s->back, d) * s->factor;
	}
	*multiple = kept;
	return unit * kept;
}

/* Formats whose codes stand for numbers of one kind. */
struct scaled_codes {
	lanes_nearest *nearest;
	const float *steps; /* what the largest value may be brought to */
	int count;
	struct multiples multiples;
};

LANES_INLINE struct lanes_fit try_codes(const struct subblocks *s, const void *codes, f32s scale)
{
	const struct scaled_codes *c = codes;

	return lanes_try(s->x, s->w, s->n, lanes_ratio(lanes_all(1), scale), c->nearest);
}

/* Scales for such codes, as a decoder will see them. */
LANES_INLINE f32s find_scales(const struct subblocks *s, const struct scaled_codes *codes,
			      f32s *multiple, uint16_t d[LANES])
{
	f32s curvature;
	const f32s scale = lanes_scale(s->x, s->w, s->n, codes->nearest, codes->steps, codes->count,
				       1, &curvature);

	return choose_multiples(s, try_codes, codes, scale, curvature, &codes->multiples, 2,
				multiple, d);
}

#endif
