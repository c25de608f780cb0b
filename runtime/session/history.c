// SPDX-License-Identifier: MIT
/* The text so far, and what is taken off logits for repeating it. */
#include "session/sampling.h"

#include <math.h>

/* Of a token only so many bytes are looked through for a breaker. */
enum { MAX_TOKEN_TEXT = 4096 };

#define NONE UINT32_MAX

static int pattern_create(struct pattern *p, size_t length)
{
	*p = (struct pattern){ .length = (uint32_t)length };
	p->symbols = calloc(length + 1, sizeof(*p->symbols));
	p->back = calloc(length + 1, sizeof(*p->back));
	if (p->symbols && p->back)
		return 0;
	pattern_free(p);
	return -ENOMEM;
}

static void pattern_settle(struct pattern *p)
{
	uint32_t k = 0;

	for (uint32_t i = 1; i < p->length; i++) {
		while (k && p->symbols[i] != p->symbols[k])
			k = p->back[k];
		k += p->symbols[i] == p->symbols[k];
		p->back[i + 1] = k;
	}
}

int pattern_of_bytes(struct pattern *p, const char *text, size_t bytes)
{
	if (pattern_create(p, bytes))
		return -ENOMEM;
	for (size_t i = 0; i < bytes; i++)
		p->symbols[i] = (uint8_t)text[i];
	pattern_settle(p);
	return 0;
}

int pattern_of_ids(struct pattern *p, const uint32_t *ids, size_t count)
{
	if (pattern_create(p, count))
		return -ENOMEM;
	memcpy(p->symbols, ids, count * sizeof(*ids));
	pattern_settle(p);
	return 0;
}

void pattern_free(struct pattern *p)
{
	free(p->symbols);
	free(p->back);
	*p = (struct pattern){ 0 };
}

int pattern_clone(struct pattern *to, const struct pattern *from)
{
	if (!from->symbols) {
		*to = *from;
		return 0;
	}
	if (pattern_of_ids(to, from->symbols, from->length))
		return -ENOMEM;
	to->matched = from->matched;
	return 0;
}

bool pattern_step(const struct pattern *p, uint32_t *matched, uint32_t symbol)
{
	while (*matched && (*matched == p->length || p->symbols[*matched] != symbol))
		*matched = p->back[*matched];
	*matched += p->symbols[*matched] == symbol;
	return *matched == p->length;
}

int history_create(struct history *h, const struct stoker_sampler_params *p)
{
	const uint32_t tallied = MAX(p->repeat_last, p->dry_last);

	*h = (struct history){ .room = tallied, .tally_room = 4, .vocabulary = p->vocabulary };
	while (h->tally_room < 2 * tallied)
		h->tally_room *= 2;
	h->ring = calloc(h->room, sizeof(*h->ring));
	h->tally = calloc(h->tally_room, sizeof(*h->tally));
	h->reversed = calloc(h->room, sizeof(*h->reversed));
	h->matches = calloc(h->room, sizeof(*h->matches));
	if (!h->ring || !h->tally || !h->reversed || !h->matches)
		return -ENOMEM;
	if (p->dry_multiplier <= 0)
		return 0;
	for (; h->breaker_count < p->dry_breaker_count; h->breaker_count++) {
		const char *text = p->dry_breakers[h->breaker_count];

		if (pattern_of_bytes(&h->breakers[h->breaker_count], text, strlen(text)))
			return -ENOMEM;
	}
	return 0;
}

int history_clone(struct history *to, const struct history *from)
{
	const uint32_t breakers = from->breaker_count;

	*to = *from;
	to->breaker_count = 0;
	to->ring = calloc(to->room, sizeof(*to->ring));
	to->tally = calloc(to->tally_room, sizeof(*to->tally));
	to->reversed = calloc(to->room, sizeof(*to->reversed));
	to->matches = calloc(to->room, sizeof(*to->matches));
	if (!to->ring || !to->tally || !to->reversed || !to->matches)
		return -ENOMEM;
	memcpy(to->ring, from->ring, to->room * sizeof(*to->ring));
	for (; to->breaker_count < breakers; to->breaker_count++)
		if (pattern_clone(&to->breakers[to->breaker_count],
				  &from->breakers[to->breaker_count]))
			return -ENOMEM;
	return 0;
}

void history_free(struct history *h)
{
	free(h->ring);
	free(h->tally);
	free(h->reversed);
	free(h->matches);
	for (uint32_t i = 0; i < h->breaker_count; i++)
		pattern_free(&h->breakers[i]);
}

void history_reset(struct history *h)
{
	h->count = h->next = 0;
	for (uint32_t i = 0; i < h->breaker_count; i++)
		h->breakers[i].matched = 0;
}

/* Whether @matched, one for each breaker, comes to an end within the token's text. */
static bool breaks(const struct history *h, uint32_t token, uint32_t matched[MAX_BREAKERS])
{
	char text[MAX_TOKEN_TEXT];
	bool found = false;
	size_t length;

	if (!h->breaker_count)
		return false;
	length = MIN(stoker_vocabulary_text(h->vocabulary, token, 1, text, sizeof(text)),
		     sizeof(text));
	for (uint32_t b = 0; b < h->breaker_count; b++)
		for (size_t i = 0; i < length; i++)
			if (pattern_step(&h->breakers[b], &matched[b], (uint8_t)text[i]))
				found = true;
	return found;
}

void history_add(struct history *h, uint32_t token)
{
	uint32_t matched[MAX_BREAKERS];
	struct said *said = &h->ring[h->next];

	if (token == NONE)
		return;
	for (uint32_t i = 0; i < h->breaker_count; i++)
		matched[i] = h->breakers[i].matched;
	*said = (struct said){ .token = token, .breaks = breaks(h, token, matched) };
	for (uint32_t i = 0; i < h->breaker_count; i++)
		h->breakers[i].matched = matched[i];
	h->next = (h->next + 1) % h->room;
	h->count = MIN(h->count + 1, h->room);
}

/* @back 0 is the last one. */
static const struct said *said(const struct history *h, uint32_t back)
{
	return &h->ring[(h->next + h->room - 1 - back) % h->room];
}

/* The place of a token, or the empty one where it would go. */
static struct tally *tally_of(struct history *h, uint32_t token)
{
	uint32_t at = token * 0x9e3779b1u;

	for (at ^= at >> 15;; at++) {
		struct tally *t = &h->tally[at & (h->tally_room - 1)];

		if (t->token == token || t->token == NONE)
			return t;
	}
}

static void tally_clear(struct history *h)
{
	for (uint32_t i = 0; i < h->tally_room; i++)
		h->tally[i] = (struct tally){ .token = NONE };
}

/* Changes the logits of all that were tallied. */
static void change(struct history *h, struct candidates *c,
		   float (*changed)(const struct stoker_sampler_params *p, float logit,
				    uint32_t number),
		   const struct stoker_sampler_params *p)
{
	for (uint32_t i = 0; !c->listed && i < h->tally_room; i++) {
		const struct tally *t = &h->tally[i];

		if (t->number && t->token < c->vocabulary && c->logits[t->token] >= -FLT_MAX)
			candidates_change(c, t->token, changed(p, c->logits[t->token], t->number));
	}
	for (uint32_t i = 0; c->listed && i < c->count; i++) {
		const struct tally *t = tally_of(h, c->list[i].token);

		if (t->number)
			c->list[i].logit = changed(p, c->list[i].logit, t->number);
	}
}

static float penalized(const struct stoker_sampler_params *p, float logit, uint32_t times)
{
	const double l = (double)logit, penalty = (double)p->repeat_penalty;

	return clamp_logit((l > 0 ? l / penalty : l * penalty) -
			   times * (double)p->frequency_penalty - (double)p->presence_penalty);
}

void take_penalties(struct history *h, const struct stoker_sampler_params *p, struct candidates *c)
{
	const uint32_t n = MIN(h->count, p->repeat_last);

	if (p->repeat_penalty == 1 && p->presence_penalty == 0 && p->frequency_penalty == 0)
		return;
	tally_clear(h);
	for (uint32_t i = 0; i < n; i++) {
		struct tally *t = tally_of(h, said(h, i)->token);

		t->token = said(h, i)->token;
		t->number++;
	}
	change(h, c, penalized, p);
}

/* How far the text matches itself @k tokens earlier, for each @k (Gusfield's Z, backwards). */
static void match(const uint32_t *text, uint32_t *matches, uint32_t n)
{
	uint32_t left = 0, right = 0;

	for (uint32_t k = 1; k < n; k++) {
		uint32_t m = k < right ? MIN(matches[k - left], right - k) : 0;

		while (k + m < n && text[m] == text[k + m])
			m++;
		matches[k] = m;
		if (k + m > right) {
			left = k;
			right = k + m;
		}
	}
}

static float dried(const struct stoker_sampler_params *p, float logit, uint32_t length)
{
	return clamp_logit((double)logit - (double)p->dry_multiplier *
						   pow((double)p->dry_base,
						       (double)(length - p->dry_allowed_length)));
}

void take_dry(struct history *h, const struct stoker_sampler_params *p, struct candidates *c)
{
	const uint32_t n = MIN(h->count, p->dry_last);
	uint32_t longest = 0;

	if (p->dry_multiplier <= 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		h->reversed[i] = said(h, i)->token;
	while (longest < n && !said(h, longest)->breaks)
		longest++;
	if (longest < p->dry_allowed_length)
		return;
	match(h->reversed, h->matches, n);
	tally_clear(h);
	for (uint32_t k = 1; k < n; k++) {
		const uint32_t length = MIN(h->matches[k], longest), follows = h->reversed[k - 1];
		struct tally *t;

		if (length < p->dry_allowed_length)
			continue;
		t = tally_of(h, follows);
		t->token = follows;
		t->number = MAX(t->number, length);
	}
	/* what breaks repetitions is free to come again */
	for (uint32_t i = 0; h->breaker_count && i < h->tally_room; i++) {
		uint32_t matched[MAX_BREAKERS] = { 0 };

		if (h->tally[i].number && breaks(h, h->tally[i].token, matched))
			h->tally[i].number = 0;
	}
	change(h, c, dried, p);
}
