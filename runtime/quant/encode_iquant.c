// SPDX-License-Identifier: MIT
/* Writes the IQ formats with codebooks. */
#include "quant/grid_search.h"
#include "quant/iq_grids.h"

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

/* The best of the scales that are tried first, and its deltas, which are kept from then on. */
static struct lanes_fit start(const struct grid_format *f, const struct subblocks *s,
			      struct choice *choice)
{
	const f32s most = lanes_largest(s->x, s->n);
	struct lanes_fit best = { .ll = lanes_all(1) };
	f32s delta[4] = { 0 };

	choice->delta_known = f->grid.delta == 0;
	for (int c = 0; c < f->count; c++) {
		const struct lanes_fit fit = try_grid(s, choice, most * f->starts[c]);
		const i32s better = lanes_better(fit, best);

		for (int k = 0; k < 4; k++)
			delta[k] = lanes_select(better, choice->delta[k], delta[k]);
		lanes_keep_better(&best, fit);
	}
	memcpy(choice->delta, delta, sizeof(delta));
	choice->delta_known = true;
	return best;
}

static void encode_grid(const struct grid_format *f, const struct plan *plan, const float *src,
			const float *importance, size_t groups, struct coded *c)
{
	f32s x[32], w[32], scale;
	struct subblocks s = { .x = x, .w = w, .n = f->n, .lanes = 256 / f->n };
	struct lanes_fit best;

	load_subblocks(&s, src, importance, groups);
	/* from here on the half float is what counts in units */
	s.factor *= f->unit;
	s.back *= 1 / f->unit;
	*c = (struct coded){ .choice = { .grid = &f->grid, .plan = plan } };
	if (f->signs != SIGNS_NONE)
		take_signs(&s, f->signs, NULL, c);
	best = start(f, &s, &c->choice);
	lanes_keep_better(&best, try_grid(&s, &c->choice, lanes_ratio(best.xl, best.ll)));
	if (f->signs == SIGNS_EVEN) {
		take_signs(&s, f->signs, &f->grid, c);
		best = try_grid(&s, &c->choice, lanes_ratio(best.xl, best.ll));
	}
	scale = choose_multiples(&s, try_grid, &c->choice, lanes_ratio(best.xl, best.ll), best.ll,
				 &f->multiples, 1, &c->multiple, c->d);
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
static const float iq1_s_starts[] = { 0.5f };
static const float iq1_m_starts[] = { 0.8f, 0.55f, 0.4f };

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
	.grid = IQ1(false), .n = 32, .unit = 1, .multiples = ODD_8, STARTS(iq1_s_starts)
};
static const struct grid_format iq1_m = {
	.grid = IQ1(true), .n = 16, .unit = 1, .multiples = ODD_8, STARTS(iq1_m_starts)
};

/* As many super-blocks at once as the lanes hold; @lane is the first of each. */
static void encode_super_blocks(const struct grid_format *f, size_t bytes,
				void (*pack)(const struct coded *c, int lane, uint8_t *block),
				const float *x, const float *importance, size_t blocks,
				uint8_t *dst)
{
	const int lanes = 256 / f->n;
	struct coded coded;
	struct plan plan;

	make_plan(&f->grid, &plan);
	for (size_t n; blocks; blocks -= n) {
		n = MIN(blocks, (size_t)(LANES / lanes));
		encode_grid(f, &plan, x, importance, n * (size_t)lanes, &coded);
		for (size_t b = 0; b < n; b++, dst += bytes) {
			memset(dst, 0, bytes);
			pack(&coded, lanes * (int)b, dst);
		}
		x += 256 * n;
		importance += importance ? 256 * n : 0;
	}
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
				(c->choice.delta[0][lane + k] < 0 ? 0x8000u : 0);

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
		const unsigned high = index >> 8 | (c->choice.delta[n % 2][g] < 0 ? 8 : 0);

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

ENCODE(iq2_xxs)
{
	encode_super_blocks(&iq2_xxs, 66, pack_iq2_xxs, x, importance, blocks, dst);
}

ENCODE(iq2_xs)
{
	encode_super_blocks(&iq2_xs, 74, pack_iq2_xs, x, importance, blocks, dst);
}

ENCODE(iq2_s)
{
	encode_super_blocks(&iq2_s, 82, pack_iq2_s, x, importance, blocks, dst);
}

ENCODE(iq3_xxs)
{
	encode_super_blocks(&iq3_xxs, 98, pack_iq3_xxs, x, importance, blocks, dst);
}

ENCODE(iq3_s)
{
	encode_super_blocks(&iq3_s, 110, pack_iq3_s, x, importance, blocks, dst);
}

ENCODE(iq1_s)
{
	encode_super_blocks(&iq1_s, 50, pack_iq1_s, x, importance, blocks, dst);
}

ENCODE(iq1_m)
{
	encode_super_blocks(&iq1_m, 56, pack_iq1_m, x, importance, blocks, dst);
}
