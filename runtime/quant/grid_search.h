/* SPDX-License-Identifier: MIT */
/*
 * Search in the codebooks of IQ formats.  For a scale, the entry nearest to four or eight values is
 * found exactly: its error is a sum of two halves', of which there are no more than 81 each, so
 * that an entry costs one comparison.
 */
#ifndef STOKER_QUANT_GRID_SEARCH_H
#define STOKER_QUANT_GRID_SEARCH_H

#include "quant/super_block.h"

/* A codebook; code c of an entry stands for base + step c, and for extra more if it's the top. */
struct grid {
	const uint16_t *entries; /* in ascending order */
	int count;
	int bits; /* of a code: 2, eight of them an entry, or 3, four of them */
	float base, step, extra;
	int top;
	float delta;	 /* IQ1: entries are this much higher or lower: */
	bool delta_each; /* each of them, or all of a sub-block */
};

enum { MOST_ENTRIES = 2048, MOST_RUNS = 128 };

/* Entries by their second halves: which first halves each goes with. */
struct plan {
	uint8_t first[MOST_ENTRIES];
	struct run {
		uint16_t entries;
		uint8_t second;
	} run[MOST_RUNS];
	int runs;
};

/* How sub-blocks are approximated, as the last try left it. */
struct choice {
	const struct grid *grid;
	const struct plan *plan;
	i32s word[8]; /* entries */
	f32s delta[4];
	bool delta_known;
};

enum { HALF = 256, QUARTER = 16 };

/* Errors of an entry's first half, with its bits as the lowest ones, and of the other's quarters.
 */
struct costs {
	f32s half[HALF];
	f32s third[QUARTER], fourth[QUARTER];
};

/* Errors of code @c of value @i at a scale. */
LANES_INLINE void code_costs(const struct grid *g, f32s x, f32s w, f32s scale, f32s delta,
			     f32s cost[8])
{
	for (int c = 0; c < (g->bits == 2 ? 3 : 8); c++) {
		const f32s off = scale * (g->base + delta + g->step * (float)c +
					  (c == g->top ? g->extra : 0)) -
				 x;

		cost[c] = w * off * off;
	}
}

/* Sums of two values' errors; eight codes an entry. */
LANES_INLINE void pair_costs(const struct grid *g, const f32s *x, const f32s *w, f32s scale,
			     f32s delta, f32s cost[QUARTER])
{
	f32s first[8], second[8];

	code_costs(g, x[0], w[0], scale, delta, first);
	code_costs(g, x[1], w[1], scale, delta, second);
	for (int b = 0; b < 3; b++)
		for (int a = 0; a < 3; a++)
			cost[4 * b + a] = first[a] + second[b];
}

LANES_INLINE f32s tagged(f32s cost, int tag, int bits)
{
	/* never a subnormal, which would be slow */
	return (f32s)(((i32s)(cost + 1e-30f) & (int)(~0u << bits)) | tag);
}

static void entry_costs(const struct grid *g, const f32s *x, const f32s *w, f32s scale, f32s delta,
			struct costs *costs)
{
	if (g->bits == 2) {
		f32s first[QUARTER], second[QUARTER];

		pair_costs(g, x, w, scale, delta, first);
		pair_costs(g, x + 2, w + 2, scale, delta, second);
		pair_costs(g, x + 4, w + 4, scale, delta, costs->third);
		pair_costs(g, x + 6, w + 6, scale, delta, costs->fourth);
		for (int b = 0; b < 11; b++)
			for (int a = 0; a < 11; a++)
				if (a % 4 < 3 && b % 4 < 3)
					costs->half[16 * b + a] =
						tagged(first[a] + second[b], 16 * b + a, 8);
	} else {
		f32s first[8], second[8];

		code_costs(g, x[0], w[0], scale, delta, first);
		code_costs(g, x[1], w[1], scale, delta, second);
		code_costs(g, x[2], w[2], scale, delta, costs->third);
		code_costs(g, x[3], w[3], scale, delta, costs->fourth);
		for (int b = 0; b < 8; b++)
			for (int a = 0; a < 8; a++)
				costs->half[8 * b + a] = tagged(first[a] + second[b], 8 * b + a, 6);
	}
}

static void make_plan(const struct grid *g, struct plan *plan)
{
	const int bits = g->bits == 2 ? 8 : 6;
	int last = -1;

	plan->runs = 0;
	for (int e = 0; e < g->count; e++) {
		const int second = g->entries[e] >> bits;

		plan->first[e] = (uint8_t)(g->entries[e] & ((1 << bits) - 1));
		if (second != last)
			plan->run[plan->runs++] = (struct run){ .second = (uint8_t)second };
		plan->run[plan->runs - 1].entries++;
		last = second;
	}
}

/* The entry with the least error. */
static f32s nearest_entry(const struct grid *g, const struct plan *plan, const struct costs *costs,
			  i32s *word)
{
	const int bits = g->bits == 2 ? 8 : 6, quarter = bits / 2;
	const uint8_t *first = plan->first;
	f32s best = lanes_all(3e38f);

	*word = (i32s){ 0 };
	for (const struct run *run = plan->run; run < plan->run + plan->runs; run++) {
		const int second = run->second;
		f32s least = costs->half[first[0]], other = least, total;
		i32s better;
		int i = 1;

		for (; i + 2 <= run->entries; i += 2) {
			least = lanes_min(least, costs->half[first[i]]);
			other = lanes_min(other, costs->half[first[i + 1]]);
		}
		if (i < run->entries)
			other = lanes_min(other, costs->half[first[i]]);
		first += run->entries;
		least = lanes_min(least, other);
		total = costs->third[second & ((1 << quarter) - 1)] +
			costs->fourth[second >> quarter] + least;
		better = total < best;
		best = lanes_min(total, best);
		*word = lanes_select_int(better, ((i32s)least & ((1 << bits) - 1)) | second << bits,
					 *word);
	}
	return best;
}

LANES_INLINE f32s level(const struct grid *g, i32s word, int i)
{
	const i32s code = word >> (g->bits * i) & ((1 << g->bits) - 1);

	return __builtin_convertvector(code, f32s) * g->step + g->base +
	       (f32s)((code == g->top) & (i32s)lanes_all(g->extra));
}

/* The best entries at a scale for a delta of each; returns their error. */
static f32s find_entries(const struct subblocks *s, const struct choice *choice, f32s scale,
			 const f32s delta[4], f32s error[8], i32s word[8])
{
	const struct grid *g = choice->grid;
	const int values = g->bits == 2 ? 8 : 4;
	struct costs costs;
	f32s sum = { 0 };

	for (int k = 0; k < s->n / values; k++) {
		entry_costs(g, s->x + values * k, s->w + values * k, scale,
			    values == 8 ? delta[k] : lanes_all(0), &costs);
		error[k] = nearest_entry(g, choice->plan, &costs, &word[k]);
		sum += error[k];
	}
	return sum;
}

/* Looks for the better of both deltas. */
static void find_deltas(const struct subblocks *s, struct choice *choice, f32s scale)
{
	const f32s high = lanes_all(choice->grid->delta);
	const f32s deltas[2][4] = { { high, high, high, high }, { -high, -high, -high, -high } };
	f32s error[2][8], sum[2];
	i32s word[2][8];

	for (int d = 0; d < 2; d++)
		sum[d] = find_entries(s, choice, scale, deltas[d], error[d], word[d]);
	for (int k = 0; k < s->n / 8; k++) {
		const i32s lower = choice->grid->delta_each ? error[1][k] < error[0][k]
							    : sum[1] < sum[0];

		choice->word[k] = lanes_select_int(lower, word[1][k], word[0][k]);
		choice->delta[k] = lanes_select(lower, -high, high);
	}
}

static struct lanes_fit try_grid(const struct subblocks *s, const void *codes, f32s scale)
{
	struct choice *choice = (struct choice *)codes;
	const struct grid *g = choice->grid;
	const int values = g->bits == 2 ? 8 : 4;
	struct lanes_fit fit = { 0 };
	f32s error[8];

	if (g->delta != 0 && !choice->delta_known)
		find_deltas(s, choice, scale);
	else
		find_entries(s, choice, scale, choice->delta, error, choice->word);
	for (int i = 0; i < s->n; i++) {
		f32s l = level(g, choice->word[i / values], i % values);
		f32s wl;

		if (values == 8)
			l += choice->delta[i / 8];
		wl = s->w[i] * l;
		fit.xl += wl * s->x[i];
		fit.ll += wl * l;
	}
	return fit;
}

#endif
