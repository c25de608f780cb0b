// SPDX-License-Identifier: MIT
/* From where a rule's end is reached: without any input, and at all. */
#include "grammar/draft.h"

/* The edges that come into states, and the calls of rules: each one's are numbers of edges. */
struct backwards {
	uint32_t *into, *into_first, *calls, *calls_first, *queue;
	uint32_t queued;
};

static void backwards_free(struct backwards *b)
{
	free(b->into);
	free(b->into_first);
	free(b->calls);
	free(b->calls_first);
	free(b->queue);
}

/* Numbers of edges by a key below @keys; UINT32_MAX leaves one out. */
static void sort_by(const struct draft *d, uint32_t keys, uint32_t *first, uint32_t *sorted,
		    uint32_t (*key)(const struct edge *))
{
	for (uint32_t i = 0; i < d->edge_count; i++)
		if (key(&d->edges[i]) != UINT32_MAX)
			first[key(&d->edges[i]) + 2]++;
	for (uint32_t k = 2; k < keys + 2; k++)
		first[k] += first[k - 1];
	for (uint32_t i = 0; i < d->edge_count; i++)
		if (key(&d->edges[i]) != UINT32_MAX)
			sorted[first[key(&d->edges[i]) + 1]++] = i;
}

static uint32_t key_to(const struct edge *e)
{
	return e->to;
}

static uint32_t key_rule(const struct edge *e)
{
	return e->kind == EDGE_CALL ? e->symbol : UINT32_MAX;
}

static int backwards_create(struct backwards *b, const struct draft *d)
{
	*b = (struct backwards){ 0 };
	b->into = calloc(d->edge_count + 1, sizeof(*b->into));
	b->into_first = calloc(d->state_count + 2, sizeof(*b->into_first));
	b->calls = calloc(d->edge_count + 1, sizeof(*b->calls));
	b->calls_first = calloc(d->rule_count + 2, sizeof(*b->calls_first));
	b->queue = calloc(d->state_count, sizeof(*b->queue));
	if (!b->into || !b->into_first || !b->calls || !b->calls_first || !b->queue)
		return -ENOMEM;
	sort_by(d, d->state_count, b->into_first, b->into, key_to);
	sort_by(d, d->rule_count, b->calls_first, b->calls, key_rule);
	return 0;
}

static void mark(struct backwards *b, bool *marks, uint32_t state)
{
	if (!marks[state])
		b->queue[b->queued++] = state;
	marks[state] = true;
}

static bool passes(const struct draft *d, const struct edge *e, const bool *marks, bool input)
{
	if (e->kind == EDGE_CALL)
		return marks[d->rules[e->symbol].start];
	return input || e->kind == EDGE_EMPTY;
}

/* Backwards from all ends; each edge is looked at when its target is marked, a call also when its
 * rule is. */
static void spread(const struct draft *d, struct backwards *b, bool *marks, bool input)
{
	b->queued = 0;
	for (uint32_t r = 0; r < d->rule_count; r++)
		mark(b, marks, d->rules[r].end);
	for (uint32_t i = 0; i < b->queued; i++) {
		const uint32_t state = b->queue[i], rule = d->starting[state];

		for (uint32_t k = b->into_first[state]; k < b->into_first[state + 1]; k++) {
			const struct edge *e = &d->edges[b->into[k]];

			if (passes(d, e, marks, input))
				mark(b, marks, e->from);
		}
		if (rule == NO_RULE)
			continue;
		for (uint32_t k = b->calls_first[rule]; k < b->calls_first[rule + 1]; k++) {
			const struct edge *e = &d->edges[b->calls[k]];

			if (marks[e->to])
				mark(b, marks, e->from);
		}
	}
}

int draft_find_ends(struct draft *d)
{
	struct backwards b;
	int ret = backwards_create(&b, d);

	d->nullable = calloc(d->state_count, sizeof(*d->nullable));
	d->useful = calloc(d->state_count, sizeof(*d->useful));
	d->starting = calloc(d->state_count, sizeof(*d->starting));
	if (ret || !d->nullable || !d->useful || !d->starting) {
		backwards_free(&b);
		return stoker_fail(d->err, -ENOMEM, "out of memory");
	}
	memset(d->starting, 0xff, d->state_count * sizeof(*d->starting));
	for (uint32_t r = 0; r < d->rule_count; r++)
		d->starting[d->rules[r].start] = r;
	spread(d, &b, d->nullable, false);
	spread(d, &b, d->useful, true);
	backwards_free(&b);
	if (d->useful[d->rules[0].start])
		return 0;
	return stoker_fail(d->err, -EINVAL, "rule \"root\" never ends: no text is described by it");
}
