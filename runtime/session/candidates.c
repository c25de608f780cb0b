// SPDX-License-Identifier: MIT
/*
 * The tokens that may be chosen.  Nothing here takes more than a few passes over them: the best are
 * found by counting leading digits of their logits, and only what is asked for is sorted.
 */
#include "session/sampling.h"

#include <math.h>

enum { BLOCK = 64, LANES = 4, DIGITS = 1 << 11, BYTES = 1 << 8 };

/* All machines have vectors of this size. */
typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t integers __attribute__((vector_size(LANES * sizeof(int32_t))));

/* Lane by lane @a where @mask is set, else @b. */
static floats pick(integers mask, floats a, floats b)
{
	return (floats)(((integers)a & mask) | ((integers)b & ~mask));
}

static floats load(const float *from)
{
	floats v;

	memcpy(&v, from, sizeof(v));
	return v;
}

static void store(float *to, floats v)
{
	memcpy(to, &v, sizeof(v));
}

/* Integers in the order of the floats; both zeros are one. */
static uint32_t key_of(float f)
{
	const uint32_t bits = bits_of_float(f + 0.0f);

	return bits >> 31 ? ~bits : bits | 1u << 31;
}

static uint32_t blocks_of(uint32_t count)
{
	return count / BLOCK + (count % BLOCK != 0);
}

static float top_of_block(const float *logits)
{
	floats even = load(logits), odd = load(logits + LANES);
	float top;

	for (uint32_t i = 2 * LANES; i < BLOCK; i += 2 * LANES) {
		const floats a = load(logits + i), b = load(logits + i + LANES);

		even = pick(a > even, a, even);
		odd = pick(b > odd, b, odd);
	}
	even = pick(even > odd, even, odd);
	top = even[0];
	for (uint32_t l = 1; l < LANES; l++)
		top = even[l] > top ? even[l] : top;
	return top;
}

static float top_of(const float *logits, uint32_t count)
{
	float top = -INFINITY;

	for (; count >= BLOCK; logits += BLOCK, count -= BLOCK)
		top = fmaxf(top, top_of_block(logits));
	for (uint32_t i = 0; i < count; i++)
		top = logits[i] > top ? logits[i] : top;
	return top;
}

static void copy_block(float *to, const float *from)
{
	const floats none = (floats){ 0 } - INFINITY;

	for (uint32_t i = 0; i < BLOCK; i += LANES) {
		const floats v = load(from + i);

		store(to + i, pick(v >= -FLT_MAX, v, none));
	}
}

int candidates_begin(struct candidates *c, const float *logits, uint32_t count)
{
	uint32_t at = 0;

	if (count > c->logit_room) {
		float *more = realloc(c->logits, count * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->logits = more;
		more = realloc(c->tops, blocks_of(count) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->tops = more;
		c->logit_room = count;
	}
	c->vocabulary = count;
	c->listed = false;
	for (; count - at >= BLOCK; at += BLOCK) {
		copy_block(c->logits + at, logits + at);
		c->tops[at / BLOCK] = top_of_block(c->logits + at);
	}
	for (uint32_t i = at; i < count; i++)
		c->logits[i] = logits[i] >= -FLT_MAX ? logits[i] : -INFINITY;
	if (at < count)
		c->tops[at / BLOCK] = top_of(c->logits + at, count - at);
	return 0;
}

/* Of 32 logits, or fewer at the end. */
static void mask_word(float *logits, uint32_t count, uint32_t word)
{
	uint32_t gone = ~word & (count < 32 ? (1u << count) - 1 : UINT32_MAX);

	if (!word)
		for (uint32_t i = 0; i < count; i++)
			logits[i] = -INFINITY;
	else
		for (; gone; gone &= gone - 1)
			logits[__builtin_ctz(gone)] = -INFINITY;
}

void candidates_mask(struct candidates *c, const uint32_t *bits)
{
	for (uint32_t b = 0; b < blocks_of(c->vocabulary); b++) {
		const uint32_t at = b * BLOCK, count = MIN(BLOCK, c->vocabulary - at);
		const uint32_t first = bits[at / 32], second = count > 32 ? bits[at / 32 + 1] : 0;
		float *logits = c->logits + at;

		if (first == UINT32_MAX && (count <= 32 || second == UINT32_MAX))
			continue;
		mask_word(logits, MIN(count, 32u), first);
		if (count > 32)
			mask_word(logits + 32, count - 32, second);
		c->tops[b] = first || second ? top_of(logits, count) : -INFINITY;
	}
}

void candidates_free(struct candidates *c)
{
	free(c->logits);
	free(c->tops);
	free(c->list);
	free(c->spare);
}

void candidates_change(struct candidates *c, uint32_t token, float logit)
{
	const uint32_t block = token / BLOCK, at = block * BLOCK;

	c->logits[token] = logit;
	c->tops[block] = top_of(c->logits + at, MIN(BLOCK, c->vocabulary - at));
}

uint32_t candidates_best(const struct candidates *c, float *logit)
{
	const float top = top_of(c->tops, blocks_of(c->vocabulary));
	uint32_t block = 0, token;

	while (c->tops[block] < top)
		block++;
	token = block * BLOCK;
	while (c->logits[token] < top)
		token++;
	*logit = top;
	return token;
}

float candidates_top(const struct candidates *c)
{
	float top;

	if (!c->listed)
		return top_of(c->tops, blocks_of(c->vocabulary));
	top = c->list[0].logit;
	for (uint32_t i = 1; i < c->count; i++)
		top = c->list[i].logit > top ? c->list[i].logit : top;
	return top;
}

static int reserve(struct candidate **list, uint32_t *room, uint32_t count)
{
	struct candidate *more;

	if (count <= *room)
		return 0;
	more = realloc(*list, count * sizeof(*more));
	if (!more)
		return -ENOMEM;
	*list = more;
	*room = count;
	return 0;
}

static int list_above(struct candidates *c, float least)
{
	const uint32_t blocks = blocks_of(c->vocabulary);
	uint32_t wanted = 0, n = 0;

	for (uint32_t b = 0; b < blocks; b++)
		wanted += c->tops[b] >= least ? MIN(BLOCK, c->vocabulary - b * BLOCK) : 0;
	if (reserve(&c->list, &c->room, wanted))
		return -ENOMEM;
	for (uint32_t b = 0; b < blocks; b++) {
		const uint32_t end = MIN((b + 1) * BLOCK, c->vocabulary);

		if (!(c->tops[b] >= least))
			continue;
		for (uint32_t i = b * BLOCK; i < end; i++)
			if (c->logits[i] >= least && c->logits[i] >= -FLT_MAX)
				c->list[n++] =
					(struct candidate){ .logit = c->logits[i], .token = i };
	}
	c->count = n;
	c->listed = true;
	return 0;
}

int candidates_above(struct candidates *c, float least)
{
	uint32_t n = 0;

	if (!c->listed)
		return list_above(c, least);
	for (uint32_t i = 0; i < c->count; i++)
		if (c->list[i].logit >= least)
			c->list[n++] = c->list[i];
	c->count = n;
	return 0;
}

/*
 * The key of the @k-th largest of @count floats that lie @stride apart; *@greater receives how many
 * keys are larger.
 */
static uint32_t kth_key(const float *values, size_t stride, uint32_t count, uint32_t k,
			uint32_t *greater)
{
	static const struct {
		unsigned shift, bits;
	} passes[] = { { 21, 11 }, { 10, 11 }, { 0, 10 } };
	uint32_t found = 0, mask = 0;

	*greater = 0;
	for (size_t p = 0; p < ARRAY_SIZE(passes); p++) {
		const uint32_t digits = (1u << passes[p].bits) - 1;
		uint32_t counts[DIGITS] = { 0 }, digit = digits;

		for (uint32_t i = 0; i < count; i++) {
			const uint32_t key = key_of(values[i * stride]);

			if ((key & mask) == found)
				counts[key >> passes[p].shift & digits]++;
		}
		while (*greater + counts[digit] < k)
			*greater += counts[digit--];
		found |= digit << passes[p].shift;
		mask |= digits << passes[p].shift;
	}
	return found;
}

static uint32_t kth_of_list(const struct candidates *c, uint32_t k, uint32_t *greater)
{
	return kth_key(&c->list[0].logit, sizeof(*c->list) / sizeof(float), c->count, k, greater);
}

/* Of the best @k the worst lies in one of the @k blocks with the highest tops. */
static int list_best(struct candidates *c, uint32_t k)
{
	const uint32_t blocks = blocks_of(c->vocabulary);
	uint32_t greater, key;

	if (k >= blocks)
		return list_above(c, -INFINITY);
	key = kth_key(c->tops, 1, blocks, k, &greater);
	return list_above(c, float_of_bits(key >> 31 ? key & ~(1u << 31) : ~key));
}

int candidates_keep(struct candidates *c, uint32_t k)
{
	uint32_t n = 0, greater, key, equal;

	if (!c->listed && k >= c->vocabulary)
		return 0;
	if (!c->listed && list_best(c, k))
		return -ENOMEM;
	if (k >= c->count)
		return 0;
	key = kth_of_list(c, k, &greater);
	equal = k - greater;
	for (uint32_t i = 0; i < c->count; i++) {
		const uint32_t other = key_of(c->list[i].logit);

		if (other > key || (other == key && equal)) {
			equal -= other == key;
			c->list[n++] = c->list[i];
		}
	}
	c->count = n;
	return 0;
}

/* The first @n of the list by key, the smallest first. */
static int sort_keys(struct candidates *c, uint32_t n)
{
	struct candidate *from = c->list, *to;

	if (reserve(&c->spare, &c->spare_room, n))
		return -ENOMEM;
	to = c->spare;
	for (unsigned shift = 0; shift < 32; shift += 8) {
		uint32_t places[BYTES] = { 0 }, sum = 0;
		struct candidate *const other = from;

		for (uint32_t i = 0; i < n; i++)
			places[from[i].key >> shift & (BYTES - 1)]++;
		for (uint32_t d = 0; d < BYTES; d++) {
			const uint32_t here = places[d];

			places[d] = sum;
			sum += here;
		}
		for (uint32_t i = 0; i < n; i++)
			to[places[from[i].key >> shift & (BYTES - 1)]++] = from[i];
		from = to;
		to = other;
	}
	return 0; /* after an even number of passes all are back in the list */
}

int candidates_sort_keys(struct candidates *c)
{
	return sort_keys(c, c->count);
}

int candidates_sort(struct candidates *c, uint32_t n)
{
	if (!c->listed && list_above(c, -INFINITY))
		return -ENOMEM;
	if (n < c->count) {
		uint32_t greater, front = 0, rest = 0;
		const uint32_t key = kth_of_list(c, n, &greater);
		uint32_t equal = n - greater;

		if (reserve(&c->spare, &c->spare_room, c->count))
			return -ENOMEM;
		for (uint32_t i = 0; i < c->count; i++) {
			const uint32_t other = key_of(c->list[i].logit);
			const bool best = other > key || (other == key && equal);

			equal -= best && other == key;
			if (best)
				c->list[front++] = c->list[i];
			else
				c->spare[rest++] = c->list[i];
		}
		memcpy(c->list + front, c->spare, rest * sizeof(*c->list));
	} else {
		n = c->count;
	}
	for (uint32_t i = 0; i < n; i++)
		c->list[i].key = ~key_of(c->list[i].logit);
	return sort_keys(c, n);
}

/*
 * exp(logit - top), 0 from exp(-87) on.  As in Cephes' expf (Moshier): 2^n times a polynomial for
 * the rest, which is at most half a power of two.
 */
static floats weigh_lanes(floats logits, float top)
{
	const floats least = (floats){ 0 } - 87,
		     x = pick(logits - top < least, least, logits - top);
	const integers n = __builtin_convertvector(x * 1.44269504f - 0.5f, integers);
	const floats whole = __builtin_convertvector(n, floats);
	const floats r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
	floats e = r * 1.9875691500e-4f + 1.3981999507e-3f;

	e = e * r + 8.3334519073e-3f;
	e = e * r + 4.1665795894e-2f;
	e = e * r + 1.6666665459e-1f;
	e = e * r + 5.0000001201e-1f;
	e = e * r * r + r + 1;
	return pick(x > least, e * (floats)((n + 127) << 23), (floats){ 0 });
}

/* Weights of one block of the vocabulary; returns their sum. */
static double block_weights(const struct candidates *c, uint32_t block, float top,
			    float weights[BLOCK])
{
	const uint32_t n = MIN(BLOCK, c->vocabulary - block * BLOCK);
	const float *logits = c->logits + block * BLOCK;
	floats sums = { 0 };
	float part[BLOCK];

	if (n < BLOCK) {
		for (uint32_t i = 0; i < BLOCK; i++)
			part[i] = i < n ? logits[i] : -INFINITY;
		logits = part;
	}
	for (uint32_t i = 0; i < BLOCK; i += LANES) {
		const floats w = weigh_lanes(load(logits + i), top);

		store(weights + i, w);
		sums += w;
	}
	return (double)sums[0] + (double)sums[1] + (double)sums[2] + (double)sums[3];
}

static double weigh_list(struct candidates *c, float top)
{
	double total = 0;

	for (uint32_t at = 0; at < c->count; at += LANES) {
		const uint32_t n = MIN(LANES, c->count - at);
		float values[LANES];

		for (uint32_t i = 0; i < LANES; i++)
			values[i] = i < n ? c->list[at + i].logit : -INFINITY;
		store(values, weigh_lanes(load(values), top));
		for (uint32_t i = 0; i < n; i++) {
			c->list[at + i].weight = values[i];
			total += (double)values[i];
		}
	}
	return total;
}

double candidates_weigh(struct candidates *c)
{
	const float top = candidates_top(c);
	float weights[BLOCK];
	double total = 0;

	if (c->listed)
		return weigh_list(c, top);
	for (uint32_t b = 0; b < blocks_of(c->vocabulary); b++)
		total += block_weights(c, b, top, weights);
	return total;
}

static uint32_t pick_listed(const struct candidates *c, double left, double *weight)
{
	uint32_t chosen = 0;

	for (uint32_t i = 0; i < c->count; i++) {
		if (!(c->list[i].weight > 0))
			continue;
		chosen = i;
		if (left < (double)c->list[i].weight)
			break;
		left -= (double)c->list[i].weight;
	}
	*weight = (double)c->list[chosen].weight;
	return c->list[chosen].token;
}

uint32_t candidates_pick(const struct candidates *c, double left, double *weight)
{
	const float top = candidates_top(c);
	float weights[BLOCK];
	uint32_t block = 0, chosen = 0;

	if (c->listed)
		return pick_listed(c, left, weight);
	for (uint32_t b = 0; b < blocks_of(c->vocabulary); b++) {
		const double sum = block_weights(c, b, top, weights);

		block = sum > 0 ? b : block;
		if (left < sum)
			break;
		left -= sum;
	}
	block_weights(c, block, top, weights);
	for (uint32_t i = 0; i < BLOCK; i++) {
		if (!(weights[i] > 0))
			continue;
		chosen = i;
		if (left < (double)weights[i])
			break;
		left -= (double)weights[i];
	}
	*weight = (double)weights[chosen];
	return block * BLOCK + chosen;
}

void candidates_divide(struct candidates *c, double divisor)
{
	for (uint32_t i = 0; c->listed && i < c->count; i++)
		c->list[i].logit = clamp_logit((double)c->list[i].logit / divisor);
	for (uint32_t i = 0; !c->listed && i < c->vocabulary; i++)
		if (c->logits[i] >= -FLT_MAX)
			c->logits[i] = clamp_logit((double)c->logits[i] / divisor);
	for (uint32_t b = 0; !c->listed && b < blocks_of(c->vocabulary); b++)
		c->tops[b] = top_of(c->logits + b * BLOCK, MIN(BLOCK, c->vocabulary - b * BLOCK));
}
