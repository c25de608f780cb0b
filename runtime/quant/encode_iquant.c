// SPDX-License-Identifier: MIT
/*
 * Writes the IQ formats with codebooks.  For a scale, the entry nearest to four or eight values is
 * found exactly: its error is a sum of two halves', of which there are no more than 81 each, so
 * that an entry costs one comparison.
 */
#include "quant/iq_grids.h"
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

/* How sub-blocks are approximated, as the last try left it. */
struct choice {
	const struct grid *grid;
	i32s word[8];  /* entries */
	i32s lower[4]; /* IQ1: masks of those that are lowered */
};

enum { HALF = 256, QUARTER = 16 };

/* Errors of an entry's first half, with its bits as the lowest ones, and of the other's quarters.
 */
struct costs {
	f32s half[HALF];
	f32s third[QUARTER], fourth[QUARTER];
};

/* Errors of code @c of value @i at a scale. */
LANES_INLINE void code_costs(const struct grid *g, f32s x, f32s w, f32s scale, float delta,
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
			     float delta, f32s cost[QUARTER])
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

static void entry_costs(const struct grid *g, const f32s *x, const f32s *w, f32s scale, float delta,
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

/* The entry with the least error; entries that share their second half follow each other. */
static f32s nearest_entry(const struct grid *g, const struct costs *costs, i32s *word)
{
	const int bits = g->bits == 2 ? 8 : 6, quarter = bits / 2;
	const int mask = (1 << bits) - 1;
	const uint16_t *entry = g->entries, *const end = entry + g->count;
	f32s best = lanes_all(3e38f);

	*word = (i32s){ 0 };
	while (entry < end) {
		const int second = *entry >> bits;
		f32s least = costs->half[*entry & mask], total;
		i32s better;

		while (++entry < end && *entry >> bits == second)
			least = lanes_min(least, costs->half[*entry & mask]);
		total = costs->third[second & ((1 << quarter) - 1)] +
			costs->fourth[second >> quarter] + least;
		better = total < best;
		best = lanes_min(total, best);
		*word = lanes_select_int(better, ((i32s)least & mask) | second << bits, *word);
	}
	return best;
}

LANES_INLINE f32s level(const struct grid *g, i32s word, int i)
{
	const i32s code = word >> (g->bits * i) & ((1 << g->bits) - 1);

	return __builtin_convertvector(code, f32s) * g->step + g->base +
	       (f32s)((code == g->top) & (i32s)lanes_all(g->extra));
}

/* The best entries at a scale. */
static struct lanes_fit try_grid(const struct subblocks *s, const void *codes, f32s scale)
{
	struct choice *choice = (struct choice *)codes;
	const struct grid *g = choice->grid;
	const int values = g->bits == 2 ? 8 : 4;
	struct lanes_fit fit = { 0 };
	struct costs costs;
	f32s error[4], low_error[4], sum = { 0 }, low_sum = { 0 };
	i32s low_word[4];

	for (int k = 0; k < s->n / values; k++) {
		const f32s *w = s->w + values * k;

		entry_costs(g, s->x + values * k, w, scale, g->delta, &costs);
		if (g->delta != 0) {
			sum += error[k] = nearest_entry(g, &costs, &choice->word[k]);
			entry_costs(g, s->x + values * k, w, scale, -g->delta, &costs);
			low_sum += low_error[k] = nearest_entry(g, &costs, &low_word[k]);
		} else {
			nearest_entry(g, &costs, &choice->word[k]);
		}
	}
	for (int k = 0; k < s->n / values; k++) {
		f32s delta = { 0 };

		if (g->delta != 0) {
			const i32s lower = g->delta_each ? low_error[k] < error[k] : low_sum < sum;

			choice->lower[k] = lower;
			choice->word[k] = lanes_select_int(lower, low_word[k], choice->word[k]);
			delta = lanes_select(lower, lanes_all(-g->delta), lanes_all(g->delta));
		}
		for (int i = 0; i < values; i++) {
			const f32s l = level(g, choice->word[k], i) + delta;
			const f32s wl = s->w[values * k + i] * l;

			fit.xl += wl * s->x[values * k + i];
			fit.ll += wl * l;
		}
	}
	return fit;
}

/* Signs of eight values, of which in most formats an even number are negative. */
enum signs { SIGNS_NONE, SIGNS_EVEN, SIGNS_FREE };

/*
 * Of values of the wrong number of signs, the one where it costs least gets the other one: @cost
 * tells how much it does a value, times its magnitude.
 */
LANES_INLINE i32s even_signs(const f32s *magnitude, const f32s *cost, i32s signs)
{
	f32s least = lanes_all(3e38f);
	i32s odd = signs ^ signs >> 4, flip = { 0 };

	odd ^= odd >> 2;
	odd ^= odd >> 1;
	for (int i = 0; i < 8; i++) {
		const f32s c = magnitude[i] * cost[i];
		const i32s better = c < least;

		least = lanes_select(better, c, least);
		flip = lanes_select_int(better, (i32s){ 0 } + (1 << i), flip);
	}
	return signs ^ (flip & -(odd & 1));
}

struct coded {
	struct choice choice;
	i32s signs[4];
	f32s multiple;
	uint16_t d[LANES];
};

/* Leaves magnitudes in x, negative where a value's sign isn't kept. */
static void take_signs(struct subblocks *s, enum signs kind, const struct grid *levels,
		       struct coded *c)
{
	for (int k = 0; k < s->n / 8; k++) {
		f32s *x = s->x + 8 * k, cost[8];
		i32s signs = { 0 };

		for (int i = 0; i < 8; i++) {
			const i32s kept = c->signs[k] >> i << 31;
			const f32s v = (f32s)((i32s)x[i] ^ (kept & INT32_MIN));

			signs |= (v < 0) & (1 << i);
			x[i] = lanes_abs(v);
			cost[i] = s->w[8 * k + i];
			if (levels) {
				const int values = levels->bits == 2 ? 8 : 4;

				cost[i] *= level(levels, c->choice.word[(8 * k + i) / values],
						 i % values);
			}
		}
		c->signs[k] = signs;
		if (kind == SIGNS_EVEN)
			c->signs[k] = even_signs(x, cost, signs);
		for (int i = 0; i < 8; i++)
			x[i] = (f32s)((i32s)x[i] ^ ((c->signs[k] ^ signs) >> i << 31));
	}
}

/* A format: its codebook, and the multiples of its half float. */
struct grid_format {
	struct grid grid;
	enum signs signs;
	int n;	    /* values of a sub-block */
	float unit; /* of the half float; multiples are odd ones of it */
	struct multiples multiples;
	const float *starts; /* scales that are tried, over the largest value */
	int count;
};

static void encode_grid(const struct grid_format *f, const float *src, const float *importance,
			size_t groups, struct coded *c)
{
	f32s x[32], w[32], most;
	struct subblocks s = { .x = x, .w = w, .n = f->n, .lanes = 256 / f->n };
	struct lanes_fit best = { .ll = lanes_all(1) };

	load_subblocks(&s, src, importance, groups);
	/* from here on the half float is what counts in units */
	s.factor *= f->unit;
	s.back *= 1 / f->unit;
	most = lanes_largest(x, f->n);
	memset(c, 0, sizeof(*c));
	c->choice.grid = &f->grid;
	if (f->signs != SIGNS_NONE)
		take_signs(&s, f->signs, NULL, c);
	for (int start = 0; start < f->count; start++) {
		struct lanes_fit at = try_grid(&s, &c->choice, most * f->starts[start]);

		lanes_keep_better(&best, at);
	}
	lanes_keep_better(&best, try_grid(&s, &c->choice, lanes_ratio(best.xl, best.ll)));
	if (f->signs == SIGNS_EVEN) {
		take_signs(&s, f->signs, &f->grid, c);
		best = try_grid(&s, &c->choice, lanes_ratio(best.xl, best.ll));
	}
	const f32s scale = choose_multiples(&s, try_grid, &c->choice, lanes_ratio(best.xl, best.ll),
					    best.ll, &f->multiples, &c->multiple, c->d);

	try_grid(&s, &c->choice, scale);
}

static unsigned entry_index(const struct grid *g, int word)
{
	unsigned low = 0;

	for (unsigned step = (unsigned)g->count / 2; step; step /= 2)
		if (g->entries[low + step] <= word)
			low += step;
	return low;
}

/* Of sub-block @lane: which entries, signs of eight values, and the multiple's place. */
static unsigned index_of(const struct coded *c, int lane, int k)
{
	return entry_index(c->choice.grid, c->choice.word[k][lane]);
}

static unsigned signs_of(const struct coded *c, int lane, int k)
{
	return (unsigned)c->signs[k][lane];
}

static unsigned place_of(const struct coded *c, int lane)
{
	return (unsigned)c->multiple[lane] / 2;
}

LANES_INLINE f32s nearest_odd_16(f32s v)
{
	return 2 * lanes_code((v - 1) * 0.5f, 0, 15) + 1;
}

LANES_INLINE f32s nearest_odd_8(f32s v)
{
	return 2 * lanes_code((v - 1) * 0.5f, 0, 7) + 1;
}

static const float steps_16[] = { 31, 29, 27, 25, 22, 33 };
static const float steps_8[] = { 15, 14, 13, 12, 11, 10, 9, 16 };

#define ODD_16                                                              \
	{                                                                   \
		.nearest = nearest_odd_16, .spacing = 2, .steps = steps_16, \
		.count = ARRAY_SIZE(steps_16)                               \
	}
#define ODD_8                                                             \
	{                                                                 \
		.nearest = nearest_odd_8, .spacing = 2, .steps = steps_8, \
		.count = ARRAY_SIZE(steps_8)                              \
	}
#define ENTRIES(TABLE, BITS) .entries = TABLE, .count = ARRAY_SIZE(TABLE), .bits = BITS
#define IQ2(TABLE)                                                             \
	{                                                                      \
		ENTRIES(TABLE, 2), .base = 8, .step = 17, .extra = 1, .top = 2 \
	}
#define IQ1(EACH)                                                                                 \
	{                                                                                         \
		ENTRIES(iq1s_grid, 2), .base = -1, .step = 1, .delta = 0.125f, .delta_each = EACH \
	}
#define STARTS(LIST) .starts = LIST, .count = ARRAY_SIZE(LIST)

static const float iq2_starts[] = { 1 / 43.0f, 1 / 50.0f, 1 / 60.0f };
static const float iq3_xxs_starts[] = { 1 / 62.0f, 1 / 55.0f, 1 / 70.0f };
static const float iq3_s_starts[] = { 1 / 15.0f, 1 / 13.0f, 1 / 17.0f };
static const float iq1_starts[] = { 0.9f, 0.7f, 0.5f, 0.4f };

static const struct grid_format iq2_xxs = { .grid = IQ2(iq2xxs_grid),
					    .signs = SIGNS_EVEN,
					    .n = 32,
					    .unit = 0.125f,
					    .multiples = ODD_16,
					    STARTS(iq2_starts) };
static const struct grid_format iq2_xs = { .grid = IQ2(iq2xs_grid),
					   .signs = SIGNS_EVEN,
					   .n = 16,
					   .unit = 0.125f,
					   .multiples = ODD_16,
					   STARTS(iq2_starts) };
static const struct grid_format iq2_s = { .grid = IQ2(iq2s_grid),
					  .signs = SIGNS_FREE,
					  .n = 16,
					  .unit = 0.125f,
					  .multiples = ODD_16,
					  STARTS(iq2_starts) };
static const struct grid_format iq3_xxs = { .grid = { ENTRIES(iq3xxs_grid, 3), .base = 4, .step = 8,
						      .extra = 2, .top = 7 },
					    .signs = SIGNS_EVEN,
					    .n = 32,
					    .unit = 0.25f,
					    .multiples = ODD_16,
					    STARTS(iq3_xxs_starts) };
static const struct grid_format iq3_s = { .grid = { ENTRIES(iq3s_grid, 3), .base = 1, .step = 2 },
					  .signs = SIGNS_FREE,
					  .n = 32,
					  .unit = 1,
					  .multiples = ODD_16,
					  STARTS(iq3_s_starts) };
static const struct grid_format iq1_s = {
	.grid = IQ1(false), .n = 32, .unit = 1, .multiples = ODD_8, STARTS(iq1_starts)
};
static const struct grid_format iq1_m = {
	.grid = IQ1(true), .n = 16, .unit = 1, .multiples = ODD_8, STARTS(iq1_starts)
};

/* Super-blocks of as many as the lanes hold; @lane is the first of each. */
#define SUPER_BLOCKS(FORMAT, BYTES, PACK)                                      \
	const int lanes = 256 / FORMAT.n;                                      \
	struct coded coded;                                                    \
                                                                               \
	for (size_t n; blocks; blocks -= n) {                                  \
		n = MIN(blocks, (size_t)(LANES / lanes));                      \
		encode_grid(&FORMAT, x, importance, n *(size_t)lanes, &coded); \
		for (size_t b = 0; b < n; b++, dst += BYTES) {                 \
			memset(dst, 0, BYTES);                                 \
			PACK(&coded, lanes *(int)b, dst);                      \
		}                                                              \
		x += 256 * n;                                                  \
		importance += importance ? 256 * n : 0;                        \
	}

/* Four times seven bits of signs, and the multiple. */
static void pack_signs(const struct coded *c, int lane, uint8_t *out)
{
	uint32_t word = place_of(c, lane) << 28;

	for (int l = 0; l < 4; l++)
		word |= (signs_of(c, lane, l) & 127) << (7 * l);
	memcpy(out, &word, sizeof(word));
}

static void pack_iq2_xxs(const struct coded *c, int lane, uint8_t *block)
{
	store_u16(block, c->d[lane]);
	for (int k = 0; k < 8; k++) {
		for (int l = 0; l < 4; l++)
			block[2 + 8 * k + l] = (uint8_t)index_of(c, lane + k, l);
		pack_signs(c, lane + k, block + 6 + 8 * k);
	}
}

static void pack_iq2_xs(const struct coded *c, int lane, uint8_t *block)
{
	store_u16(block, c->d[lane]);
	for (int n = 0; n < 32; n++) {
		const int g = lane + n / 2;

		store_u16(block + 2 + 2 * n,
			  (uint16_t)(index_of(c, g, n % 2) | (signs_of(c, g, n % 2) & 127) << 9));
	}
	for (int g = 0; g < 16; g++)
		block[66 + g / 2] |= (uint8_t)(place_of(c, lane + g) << (4 * (g & 1)));
}

static void pack_iq2_s(const struct coded *c, int lane, uint8_t *block)
{
	store_u16(block, c->d[lane]);
	for (int n = 0; n < 32; n++) {
		const unsigned index = index_of(c, lane + n / 2, n % 2);

		block[2 + n] = (uint8_t)index;
		block[34 + n] = (uint8_t)signs_of(c, lane + n / 2, n % 2);
		block[66 + n / 4] |= (uint8_t)(index >> 8 << (2 * (n % 4)));
	}
	for (int g = 0; g < 16; g++)
		block[74 + g / 2] |= (uint8_t)(place_of(c, lane + g) << (4 * (g & 1)));
}

static void pack_iq3_xxs(const struct coded *c, int lane, uint8_t *block)
{
	store_u16(block, c->d[lane]);
	for (int k = 0; k < 8; k++) {
		for (int l = 0; l < 8; l++)
			block[2 + 8 * k + l] = (uint8_t)index_of(c, lane + k, l);
		pack_signs(c, lane + k, block + 66 + 4 * k);
	}
}

static void pack_iq3_s(const struct coded *c, int lane, uint8_t *block)
{
	store_u16(block, c->d[lane]);
	for (int k = 0; k < 8; k++) {
		for (int l = 0; l < 8; l++) {
			const unsigned index = index_of(c, lane + k, l);

			block[2 + 8 * k + l] = (uint8_t)index;
			block[66 + k] |= (uint8_t)(index >> 8 << l);
		}
		for (int l = 0; l < 4; l++)
			block[74 + 4 * k + l] = (uint8_t)signs_of(c, lane + k, l);
		block[106 + k / 2] |= (uint8_t)(place_of(c, lane + k) << (4 * (k & 1)));
	}
}

static void pack_iq1_s(const struct coded *c, int lane, uint8_t *block)
{
	store_u16(block, c->d[lane]);
	for (int k = 0; k < 8; k++) {
		unsigned high = place_of(c, lane + k) << 12 |
				(c->choice.lower[0][lane + k] ? 0x8000u : 0);

		for (int l = 0; l < 4; l++) {
			const unsigned index = index_of(c, lane + k, l);

			block[2 + 4 * k + l] = (uint8_t)index;
			high |= index >> 8 << (3 * l);
		}
		store_u16(block + 34 + 2 * k, (uint16_t)high);
	}
}

static void pack_iq1_m(const struct coded *c, int lane, uint8_t *block)
{
	for (int n = 0; n < 32; n++) {
		const int g = lane + n / 2;
		const unsigned index = index_of(c, g, n % 2);
		const unsigned high = index >> 8 | (c->choice.lower[n % 2][g] ? 8 : 0);

		block[n] = (uint8_t)index;
		block[32 + n / 2] |= (uint8_t)(high << (4 * (n & 1)));
	}
	for (int i = 0; i < 4; i++) {
		unsigned word = (unsigned)(c->d[lane] >> (4 * i) & 15) << 12;

		for (int g = 0; g < 4; g++)
			word |= place_of(c, lane + 4 * i + g) << (3 * g);
		store_u16(block + 48 + 2 * i, (uint16_t)word);
	}
}

ENCODE(iq2_xxs){ SUPER_BLOCKS(iq2_xxs, 66, pack_iq2_xxs) }

ENCODE(iq2_xs){ SUPER_BLOCKS(iq2_xs, 74, pack_iq2_xs) }

ENCODE(iq2_s){ SUPER_BLOCKS(iq2_s, 82, pack_iq2_s) }

ENCODE(iq3_xxs){ SUPER_BLOCKS(iq3_xxs, 98, pack_iq3_xxs) }

ENCODE(iq3_s){ SUPER_BLOCKS(iq3_s, 110, pack_iq3_s) }

ENCODE(iq1_s){ SUPER_BLOCKS(iq1_s, 50, pack_iq1_s) }

ENCODE(iq1_m)
{
	SUPER_BLOCKS(iq1_m, 56, pack_iq1_m)
}
