// SPDX-License-Identifier: MIT
/* Choosing the next token. */
#include "session/session.h"

#include <math.h>

enum { DEFAULT_REPEAT_LAST = 64, MAX_REPEAT_LAST = 1 << 16 };

struct candidate {
	float logit;
	uint32_t token;
};

struct stoker_sampler {
	struct stoker_sampler_params params;
	uint64_t random;  /* state of the generator */
	uint32_t *recent; /* ring of params.repeat_last tokens */
	uint32_t recent_count, recent_next;
	struct candidate *candidates;
	uint32_t room;
};

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): one 64-bit state, full period. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

int stoker_sampler_create(const struct stoker_sampler_params *params, struct stoker_sampler **out,
			  struct stoker_error *err)
{
	static const struct stoker_sampler_params defaults;
	const struct stoker_sampler_params p = params ? *params : defaults;
	struct stoker_sampler *s;

	*out = NULL;
	if (!(p.temperature >= 0) || !isfinite(p.temperature))
		return stoker_fail(err, -EINVAL, "temperature %g, it has to be 0 or more",
				   (double)p.temperature);
	if (!(p.top_p >= 0 && p.top_p <= 1) || !(p.min_p >= 0 && p.min_p <= 1))
		return stoker_fail(err, -EINVAL, "top-p %g and min-p %g, limits 0 and 1",
				   (double)p.top_p, (double)p.min_p);
	if (!(p.repeat_penalty >= 0) || !isfinite(p.repeat_penalty) ||
	    p.repeat_last > MAX_REPEAT_LAST)
		return stoker_fail(err, -EINVAL,
				   "repeat penalty %g over %u tokens, limits 0 and %d",
				   (double)p.repeat_penalty, p.repeat_last, MAX_REPEAT_LAST);
	s = calloc(1, sizeof(*s));
	if (!s)
		return stoker_fail(err, -ENOMEM, "out of memory");
	s->params = p;
	if (!p.repeat_last)
		s->params.repeat_last = DEFAULT_REPEAT_LAST;
	s->random = p.seed;
	s->recent = calloc(s->params.repeat_last, sizeof(*s->recent));
	if (!s->recent) {
		stoker_sampler_free(&s);
		return stoker_fail(err, -ENOMEM, "out of memory");
	}
	*out = s;
	return 0;
}

void stoker_sampler_free(struct stoker_sampler **sampler)
{
	struct stoker_sampler *s = *sampler;

	*sampler = NULL;
	if (!s)
		return;
	free(s->recent);
	free(s->candidates);
	free(s);
}

void stoker_sampler_accept(struct stoker_sampler *s, uint32_t token)
{
	s->recent[s->recent_next] = token;
	s->recent_next = (s->recent_next + 1) % s->params.repeat_last;
	s->recent_count = MIN(s->recent_count + 1, s->params.repeat_last);
}

static int by_logit(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->logit != y->logit)
		return x->logit < y->logit ? 1 : -1;
	return x->token < y->token ? -1 : x->token > y->token;
}

/* A token that comes up several times is penalised once: its logit has changed by then. */
static void penalize(const struct stoker_sampler *s, struct candidate *c, const float *logits,
		     uint32_t count)
{
	const float penalty = s->params.repeat_penalty;

	if (penalty == 0 || penalty == 1)
		return;
	for (uint32_t i = 0; i < s->recent_count; i++) {
		const uint32_t token = s->recent[i];

		if (token < count && c[token].logit == logits[token])
			c[token].logit = c[token].logit > 0 ? c[token].logit / penalty
							    : c[token].logit * penalty;
	}
}

/*
 * Drops what min-p would drop, and what is too unlikely to be drawn at all, before anything is
 * sorted: of a vocabulary of 150,000 tokens a few hundred are left.
 */
static uint32_t keep_likely(const struct stoker_sampler_params *p, struct candidate *c,
			    uint32_t count, float top)
{
	const float share = fmaxf(p->min_p, 1e-9f), least = top + p->temperature * logf(share);
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		if (c[i].logit >= least)
			c[n++] = c[i];
	return n;
}

/* Candidates are sorted: cuts the list and returns the weights' sum; logits become weights. */
static float cut(const struct stoker_sampler_params *p, struct candidate *c, uint32_t *count)
{
	const float top = c[0].logit;
	float total = 0, kept = 0;
	uint32_t n = p->top_k ? MIN(p->top_k, *count) : *count;

	for (uint32_t i = 0; i < n; i++) {
		c[i].logit = expf((c[i].logit - top) / p->temperature);
		total += c[i].logit;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (i && (c[i].logit < p->min_p ||
			  (p->top_p > 0 && p->top_p < 1 && kept >= p->top_p * total)))
			n = i;
		else
			kept += c[i].logit;
	}
	*count = n;
	return kept;
}

int stoker_sampler_sample(struct stoker_sampler *s, const float *logits, uint32_t count,
			  uint32_t *token)
{
	struct candidate *c = s->candidates;
	uint32_t best = 0;

	if (count > s->room) {
		c = realloc(c, count * sizeof(*c));
		if (!c)
			return -ENOMEM;
		s->candidates = c;
		s->room = count;
	}
	for (uint32_t i = 0; i < count; i++)
		c[i] = (struct candidate){ .logit = isnan(logits[i]) ? -INFINITY : logits[i],
					   .token = i };
	penalize(s, c, logits, count);
	for (uint32_t i = 1; i < count; i++)
		if (c[i].logit > c[best].logit)
			best = i;
	if (!isfinite(c[best].logit))
		return -EDOM;
	*token = best;
	if (s->params.temperature > 0) {
		count = keep_likely(&s->params, c, count, c[best].logit);
		qsort(c, count, sizeof(*c), by_logit);
		float left = cut(&s->params, c, &count) *
			     ((float)(next_random(&s->random) >> 40) * 0x1p-24f);
		uint32_t i = 0;

		while (i + 1 < count && left >= c[i].logit)
			left -= c[i++].logit;
		*token = c[i].token;
	}
	stoker_sampler_accept(s, *token);
	return 0;
}
