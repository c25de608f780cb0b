// SPDX-License-Identifier: MIT
/* Rules to states and edges, some of which take nothing. */
#include "grammar/draft.h"

enum { MAX_DRAFT = 5 * MAX_STATES };

static int too_large(struct draft *d)
{
	return stoker_fail(d->err, -E2BIG,
			   "the grammar is too large: it needs more than %d states or %d edges",
			   MAX_STATES, MAX_EDGES);
}

uint32_t draft_state(struct draft *d)
{
	return d->state_count++;
}

static void add_edge(struct draft *d, struct edge e)
{
	if (d->edge_count == d->edge_room) {
		const uint32_t room = d->edge_room * 2 + 256;
		struct edge *more;

		if (d->edge_count >= MAX_EDGES) { /* draft_check() says so */
			d->steps = UINT64_MAX / 2;
			return;
		}
		more = realloc(d->edges, room * sizeof(*more));
		if (!more) {
			d->steps = UINT64_MAX;
			return;
		}
		d->edges = more;
		d->edge_room = room;
	}
	d->edges[d->edge_count++] = e;
}

void draft_bytes(struct draft *d, uint32_t from, uint32_t to, uint8_t low, uint8_t high)
{
	add_edge(d, (struct edge){
			    .kind = EDGE_BYTES, .from = from, .to = to, .low = low, .high = high });
}

static void add_empty(struct draft *d, uint32_t from, uint32_t to)
{
	add_edge(d, (struct edge){ .kind = EDGE_EMPTY, .from = from, .to = to });
}

/* The rule's number here; it is built later. */
static uint32_t need_rule(struct draft *d, uint32_t syntax)
{
	if (d->numbers[syntax] == NO_RULE) {
		d->numbers[syntax] = d->rule_count;
		d->rules[d->rule_count++] = (struct draft_rule){ .syntax = syntax,
								 .start = draft_state(d),
								 .end = draft_state(d) };
	}
	return d->numbers[syntax];
}

static int count_steps(struct draft *d, uint64_t steps)
{
	if (d->steps == UINT64_MAX)
		return stoker_fail(d->err, -ENOMEM, "out of memory");
	d->steps += steps;
	return d->steps > MAX_STEPS || d->state_count > MAX_DRAFT ? too_large(d) : 0;
}

static int build(struct draft *d, int32_t node, uint32_t from, uint32_t *to);

static int build_choice(struct draft *d, const struct node *n, uint32_t from, uint32_t end)
{
	int ret = 0;

	for (int32_t c = n->child; c != NO_NODE && !ret; c = d->syntax->nodes[c].next) {
		uint32_t to;

		ret = build(d, c, from, &to);
		if (!ret)
			add_empty(d, to, end);
	}
	return ret;
}

/* What may be left out goes to the end at once, so that there are as many edges as states. */
static int build_repeat(struct draft *d, const struct node *n, uint32_t from, uint32_t end)
{
	const bool ever = n->last == FOR_EVER;
	const uint32_t times = ever ? MAX(n->first, 1u) : n->last;
	uint32_t at = from;
	int ret = 0;

	for (uint32_t i = 0; i < times && !ret; i++) {
		uint32_t start = draft_state(d), to;

		add_empty(d, at, start);
		if (i >= n->first)
			add_empty(d, start, end);
		ret = build(d, n->child, start, &to);
		if (!ret && ever && i + 1 == times)
			add_empty(d, to, start);
		at = to;
	}
	if (!ret)
		add_empty(d, at, end);
	return ret;
}

/* Between @from and a state of its own, which it gives. */
static int build(struct draft *d, int32_t node, uint32_t from, uint32_t *to)
{
	const struct node *n = &d->syntax->nodes[node];
	int ret = count_steps(
		d, 1 + (n->kind == NODE_CLASS || n->kind == NODE_LITERAL ? (uint64_t)n->last : 0));

	if (ret)
		return ret;
	if (n->kind == NODE_SEQUENCE || (n->kind == NODE_LITERAL && !n->last)) {
		for (int32_t c = n->child; c != NO_NODE && !ret; c = d->syntax->nodes[c].next)
			ret = build(d, c, from, &from);
		*to = from;
		return ret;
	}
	*to = draft_state(d);
	switch (n->kind) {
	case NODE_CHOICE:
		return build_choice(d, n, from, *to);
	case NODE_REPEAT:
		return build_repeat(d, n, from, *to);
	case NODE_LITERAL:
		draft_literal(d, n, from, *to);
		return 0;
	case NODE_CLASS:
		return draft_class(d, n, from, *to) ? stoker_fail(d->err, -ENOMEM, "out of memory")
						    : 0;
	case NODE_RULE:
		add_edge(d, (struct edge){ .kind = EDGE_CALL,
					   .from = from,
					   .to = *to,
					   .symbol = need_rule(d, n->first) });
		return 0;
	default:
		add_edge(d, (struct edge){ .kind = n->negated ? EDGE_TOKEN_NOT : EDGE_TOKEN,
					   .from = from,
					   .to = *to,
					   .symbol = n->first });
		return 0;
	}
}

/* Counting sort by where edges are from. */
static int sort_edges(struct draft *d)
{
	struct edge *sorted = calloc(d->edge_count + 1, sizeof(*sorted));

	d->leaving = calloc(d->state_count + 2, sizeof(*d->leaving));
	if (!sorted || !d->leaving) {
		free(sorted);
		return stoker_fail(d->err, -ENOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < d->edge_count; i++)
		d->leaving[d->edges[i].from + 2]++;
	for (uint32_t s = 2; s < d->state_count + 2; s++)
		d->leaving[s] += d->leaving[s - 1];
	for (uint32_t i = 0; i < d->edge_count; i++)
		sorted[d->leaving[d->edges[i].from + 1]++] = d->edges[i];
	free(d->edges);
	d->edges = sorted;
	return 0;
}

int draft_create(struct draft *d, const struct syntax *s, struct stoker_error *err)
{
	int ret = 0;

	*d = (struct draft){ .syntax = s, .err = err };
	d->numbers = calloc(s->rule_count, sizeof(*d->numbers));
	d->rules = calloc(s->rule_count, sizeof(*d->rules));
	if (!d->numbers || !d->rules)
		return stoker_fail(err, -ENOMEM, "out of memory");
	memset(d->numbers, 0xff, s->rule_count * sizeof(*d->numbers));
	need_rule(d, s->root);
	for (uint32_t i = 0; i < d->rule_count && !ret; i++) {
		const struct draft_rule r = d->rules[i];
		uint32_t to;

		ret = build(d, s->rules[r.syntax].body, r.start, &to);
		if (!ret)
			add_empty(d, to, r.end);
	}
	if (!ret)
		ret = count_steps(d, 0);
	if (!ret)
		ret = sort_edges(d);
	return ret ? ret : draft_find_ends(d);
}

void draft_free(struct draft *d)
{
	free(d->edges);
	free(d->leaving);
	free(d->rules);
	free(d->numbers);
	free(d->starting);
	free(d->nullable);
	free(d->useful);
	*d = (struct draft){ 0 };
}
