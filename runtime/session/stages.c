// SPDX-License-Identifier: MIT
/* The stages that take candidates away, temperature, mirostat, and drawing one. */
#include "session/sampling.h"

#include <math.h>

/* Sorted first when candidates are added up from the best; mostly that is enough. */
enum { SORTED_FIRST = 256, SORTED_MORE = 8 };

/* Mirostat estimates Zipf's exponent from so many (arXiv:2007.14966, algorithm 1). */
enum { MIROSTAT_TOKENS = 100 };

double random_share(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Makes the list of all that have a logit. */
static int list(struct candidates *c)
{
	return c->listed ? 0 : candidates_above(c, -INFINITY);
}

/* Keeps those of at least this logit, which needn't be a float. */
static int keep_above(struct candidates *c, double least)
{
	float rounded = clamp_logit(least);

	if ((double)rounded < least)
		rounded = nextafterf(rounded, INFINITY);
	return candidates_above(c, rounded);
}

int cut_top_n_sigma(const struct stoker_sampler_params *p, struct candidates *c)
{
	double sum = 0, squares = 0, mean;

	if (p->top_n_sigma <= 0)
		return 0;
	if (list(c))
		return -ENOMEM;
	for (uint32_t i = 0; i < c->count; i++)
		sum += (double)c->list[i].logit;
	mean = sum / c->count;
	for (uint32_t i = 0; i < c->count; i++) {
		const double d = (double)c->list[i].logit - mean;

		squares += d * d;
	}
	return keep_above(c, (double)candidates_top(c) -
				     (double)p->top_n_sigma * sqrt(squares / c->count));
}

/* Weighs the list.  What is returned less a token's logit is its surprise in nats. */
static double weigh(struct candidates *c, double *total)
{
	*total = candidates_weigh(c);
	return (double)candidates_top(c) + log(*total);
}

/* The expected surprise, in nats. */
static double entropy_of(const struct candidates *c, double total, double zero)
{
	double entropy = 0;

	for (uint32_t i = 0; i < c->count; i++)
		entropy += (double)c->list[i].weight * (zero - (double)c->list[i].logit);
	return entropy / total;
}

int cut_typical(const struct stoker_sampler_params *p, struct candidates *c)
{
	double total, zero, entropy, sum = 0;
	uint32_t n = 0;

	if (p->typical_p >= 1)
		return 0;
	if (list(c))
		return -ENOMEM;
	zero = weigh(c, &total);
	entropy = entropy_of(c, total, zero);
	for (uint32_t i = 0; i < c->count; i++)
		c->list[i].key =
			bits_of_float(clamp_logit(fabs(zero - (double)c->list[i].logit - entropy)));
	if (candidates_sort_keys(c))
		return -ENOMEM;
	while (n < c->count && sum <= (double)p->typical_p * total)
		sum += (double)c->list[n++].weight;
	c->count = n;
	return 0;
}

/* Sorts the @known best, which have weights, and keeps those that reach @enough, if they do. */
static int reach(struct candidates *c, uint32_t known, double enough, bool *reached)
{
	double sum = 0;
	uint32_t n = 0;

	if (candidates_sort(c, known))
		return -ENOMEM;
	while (n < known && n < c->count && sum < enough)
		sum += (double)c->list[n++].weight;
	*reached = sum >= enough || n == c->count;
	if (*reached)
		c->count = MAX(n, 1u);
	return 0;
}

int cut_top_p(const struct stoker_sampler_params *p, struct candidates *c)
{
	uint64_t sorted = SORTED_FIRST;
	bool reached = false;
	double enough;

	if (p->top_p >= 1)
		return 0;
	enough = (double)p->top_p * candidates_weigh(c);
	/* mostly a few tokens are enough, and the others needn't be listed */
	for (; !c->listed && sorted < c->vocabulary / 64; sorted *= SORTED_MORE) {
		if (candidates_keep(c, (uint32_t)sorted))
			return -ENOMEM;
		candidates_weigh(c);
		if (reach(c, (uint32_t)sorted, enough, &reached))
			return -ENOMEM;
		if (reached && c->count < sorted)
			return 0;
		c->listed = false; /* the vocabulary is still there */
	}
	if (!c->listed) {
		if (list(c))
			return -ENOMEM;
		candidates_weigh(c);
	}
	for (reached = false; !reached; sorted *= SORTED_MORE)
		if (reach(c, (uint32_t)MIN(sorted, (uint64_t)c->count), enough, &reached))
			return -ENOMEM;
	return 0;
}

int cut_min_p(const struct stoker_sampler_params *p, struct candidates *c)
{
	if (p->min_p <= 0)
		return 0;
	return keep_above(c, (double)candidates_top(c) + log((double)p->min_p));
}

int cut_xtc(const struct stoker_sampler_params *p, struct candidates *c, uint64_t *random)
{
	uint32_t likely = 0, least = 0, n = 0;
	double total;

	if (p->xtc_probability <= 0 || random_share(random) >= (double)p->xtc_probability)
		return 0;
	if (list(c))
		return -ENOMEM;
	total = candidates_weigh(c) * (double)p->xtc_threshold;
	for (uint32_t i = 0; i < c->count; i++) {
		if ((double)c->list[i].weight < total)
			continue;
		if (!likely++ || c->list[i].logit <= c->list[least].logit)
			least = i;
	}
	if (likely < 2)
		return 0;
	for (uint32_t i = 0; i < c->count; i++)
		if ((double)c->list[i].weight < total || i == least)
			c->list[n++] = c->list[i];
	c->count = n;
	return 0;
}

int even_out(const struct stoker_sampler_params *p, struct candidates *c)
{
	double temperature = (double)p->temperature;
	const double range = (double)p->dynamic_range;

	if (range > 0 && list(c))
		return -ENOMEM;
	if (range > 0 && c->count > 1) {
		const double least = fmax(0, temperature - range);
		double total, zero = weigh(c, &total), share;

		share = entropy_of(c, total, zero) / log(c->count);
		temperature = least + (temperature + range - least) *
					      pow(fmax(share, 0), (double)p->dynamic_exponent);
	}
	/* so cold that quotients leave the range of floats: what is left of them is the best */
	if (temperature <= 0 || fabs((double)candidates_top(c)) > temperature * (double)FLT_MAX)
		return candidates_keep(c, 1);
	candidates_divide(c, temperature);
	return 0;
}

/* How many tokens have a surprise below @mu bits, if they are as in Zipf's law. */
static uint32_t zipf_count(const struct candidates *c, double mu)
{
	double products = 0, squares = 0, s, k, epsilon;

	for (uint32_t i = 0; i + 1 < MIROSTAT_TOKENS && i + 1 < c->count; i++) {
		const double t = log((i + 2.0) / (i + 1.0));

		products += t * ((double)c->list[i].logit - (double)c->list[i + 1].logit);
		squares += t * t;
	}
	s = products / squares;
	epsilon = s - 1;
	k = fabs(epsilon) < 1e-9 ? 1 / log(c->vocabulary)
				 : epsilon / (1 - pow(c->vocabulary, -epsilon));
	k = pow(k * exp2(mu), 1 / s);
	return !(k < c->count) ? c->count : k < 1 ? 1 : (uint32_t)k;
}

int cut_mirostat(const struct stoker_sampler_params *p, struct candidates *c, double mu)
{
	double total, zero;

	if (p->mirostat == 1) {
		if (candidates_sort(c, MIROSTAT_TOKENS))
			return -ENOMEM;
		return candidates_keep(c, zipf_count(c, mu));
	}
	zero = weigh(c, &total);
	return keep_above(c, fmin((double)candidates_top(c), zero - mu * M_LN2));
}

void draw(struct candidates *c, uint64_t *random, uint32_t *token, double *surprise)
{
	const double total = candidates_weigh(c);
	double weight;

	*token = candidates_pick(c, total * random_share(random), &weight);
	*surprise = log2(total / weight);
}
