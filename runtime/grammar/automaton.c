// SPDX-License-Identifier: MIT
/* The draft without its empty edges, and without what no text goes through. */
#include "grammar/automaton.h"

#include "grammar/draft.h"

#define NO_STATE UINT32_MAX

struct making {
	struct automaton *a;
	const struct draft *d;
	struct stoker_error *err;
	uint32_t *numbers; /* of the draft's states, or NO_STATE */
	uint32_t *origins; /* the other way round */
	uint32_t *seen;	   /* by which state's search the draft's states were seen last, from 1 */
	uint32_t *stack;
	size_t byte_room, call_room, token_room, state_room;
	size_t byte_count, call_count, token_count;
	uint64_t steps;
	bool failed; /* out of memory */
};

static void *grow(struct making *m, void *items, size_t count, size_t *room, size_t size)
{
	void *more;

	if (count < *room || m->failed)
		return items;
	more = realloc(items, (2 * *room + 256) * size);
	m->failed = !more;
	if (!more)
		return items;
	*room = 2 * *room + 256;
	return more;
}

static uint32_t number_of(struct making *m, uint32_t draft_state)
{
	if (m->numbers[draft_state] == NO_STATE) {
		m->numbers[draft_state] = m->a->state_count;
		m->origins[m->a->state_count++] = draft_state;
	}
	return m->numbers[draft_state];
}

static void take_edge(struct making *m, const struct edge *e)
{
	struct automaton *a = m->a;
	uint32_t to;

	if (!m->d->useful[e->to] ||
	    (e->kind == EDGE_CALL && !m->d->useful[m->d->rules[e->symbol].start]))
		return;
	to = number_of(m, e->to);
	switch (e->kind) {
	case EDGE_BYTES:
		a->bytes = grow(m, a->bytes, m->byte_count, &m->byte_room, sizeof(*a->bytes));
		if (!m->failed)
			a->bytes[m->byte_count++] =
				(struct byte_edge){ .low = e->low, .high = e->high, .to = to };
		break;
	case EDGE_CALL:
		number_of(m, m->d->rules[e->symbol].start);
		a->calls = grow(m, a->calls, m->call_count, &m->call_room, sizeof(*a->calls));
		if (!m->failed)
			a->calls[m->call_count++] =
				(struct call_edge){ .rule = e->symbol, .to = to };
		break;
	default:
		a->tokens = grow(m, a->tokens, m->token_count, &m->token_room, sizeof(*a->tokens));
		if (!m->failed)
			a->tokens[m->token_count++] = (struct token_edge){
				.token = e->symbol, .to = to, .negated = e->kind == EDGE_TOKEN_NOT
			};
	}
}

/* What leaves state number @s, by itself and behind empty edges; whether its rule may end. */
static bool take_edges(struct making *m, uint32_t s)
{
	const struct draft *d = m->d;
	uint32_t depth = 0;
	bool ends = false;

	m->stack[depth++] = m->origins[s];
	m->seen[m->origins[s]] = s + 1;
	while (depth) {
		const uint32_t at = m->stack[--depth];

		/* an end has no edges in its own rule, so nothing but an end does */
		ends = ends || (d->nullable[at] && d->leaving[at] == d->leaving[at + 1]);
		m->steps += d->leaving[at + 1] - d->leaving[at] + 1;
		for (uint32_t i = d->leaving[at]; i < d->leaving[at + 1]; i++) {
			const struct edge *e = &d->edges[i];

			if (e->kind != EDGE_EMPTY)
				take_edge(m, e);
			if ((e->kind == EDGE_EMPTY ||
			     (e->kind == EDGE_CALL && d->nullable[d->rules[e->symbol].start])) &&
			    m->seen[e->to] != s + 1) {
				m->seen[e->to] = s + 1;
				m->stack[depth++] = e->to;
			}
		}
	}
	return ends;
}

static int take_states(struct making *m)
{
	struct automaton *a = m->a;
	struct state *last;

	number_of(m, m->d->rules[0].start);
	for (uint32_t s = 0; s < a->state_count && !m->failed; s++) {
		const struct state edges = { .bytes = (uint32_t)m->byte_count,
					     .calls = (uint32_t)m->call_count,
					     .tokens = (uint32_t)m->token_count };

		a->states = grow(m, a->states, s + 1, &m->state_room, sizeof(*a->states));
		if (m->failed)
			break;
		a->states[s] = edges;
		a->states[s].ends = take_edges(m, s);
		a->states[s].leaf = edges.bytes == m->byte_count && edges.calls == m->call_count &&
				    edges.tokens == m->token_count;
		if (a->state_count > MAX_STATES ||
		    m->byte_count + m->call_count + m->token_count > MAX_EDGES ||
		    m->steps > MAX_STEPS)
			return stoker_fail(m->err, -E2BIG,
					   "the grammar is too large: its automaton has more than "
					   "%d states or %d edges",
					   MAX_STATES, MAX_EDGES);
	}
	if (m->failed)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	last = &a->states[a->state_count];
	*last = (struct state){ .bytes = (uint32_t)m->byte_count,
				.calls = (uint32_t)m->call_count,
				.tokens = (uint32_t)m->token_count };
	for (size_t i = 0; i < m->call_count; i++)
		a->calls[i].tail = a->states[a->calls[i].to].leaf;
	return 0;
}

static int blame(const struct making *m, uint32_t rule)
{
	const struct rule *r = &m->d->syntax->rules[m->d->rules[rule].syntax];

	return syntax_fail(m->d->syntax, r->at, m->err, -EINVAL,
			   "rule \"%.*s\" begins with itself (left recursion)",
			   (int)MIN(r->name.length, (size_t)80), r->name.data);
}

/*
 * Numbers rules, those that begin with others first: in reverse, the order in which a search
 * through their first calls leaves them.
 */
static int order_rules(struct making *m, uint32_t *order, uint32_t *stack, uint32_t *next,
		       uint8_t *state)
{
	enum { NEW, OPEN, DONE };
	const struct draft *d = m->d;
	const struct automaton *a = m->a;
	uint32_t left = 0;

	for (uint32_t r = 0; r < d->rule_count; r++) {
		uint32_t depth = 0;

		if (state[r] != NEW || m->numbers[d->rules[r].start] == NO_STATE)
			continue;
		state[r] = OPEN;
		stack[depth++] = r;
		next[r] = a->states[m->numbers[d->rules[r].start]].calls;
		while (depth) {
			const uint32_t at = stack[depth - 1];
			const uint32_t start = m->numbers[d->rules[at].start];

			if (next[at] == a->states[start + 1].calls) {
				state[at] = DONE;
				order[left++] = at;
				depth--;
				continue;
			}
			const uint32_t to = a->calls[next[at]++].rule;

			if (state[to] == OPEN)
				return blame(m, to);
			if (state[to] == DONE)
				continue;
			state[to] = OPEN;
			stack[depth++] = to;
			next[to] = a->states[m->numbers[d->rules[to].start]].calls;
		}
	}
	m->a->rule_count = left;
	return 0;
}

static int number_rules(struct making *m)
{
	struct automaton *a = m->a;
	const uint32_t count = m->d->rule_count;
	AUTO_FREE uint32_t *order = calloc(count, sizeof(*order));
	AUTO_FREE uint32_t *stack = calloc(count, sizeof(*stack));
	AUTO_FREE uint32_t *next = calloc(count, sizeof(*next));
	AUTO_FREE uint8_t *state = calloc(count, sizeof(*state));
	int ret;

	a->starts = calloc(count, sizeof(*a->starts));
	if (!order || !stack || !next || !state || !a->starts)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	ret = order_rules(m, order, stack, next, state);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < a->rule_count; i++) {
		const uint32_t rule = order[a->rule_count - 1 - i];

		a->starts[i] = m->numbers[m->d->rules[rule].start];
		next[rule] = i;
	}
	for (uint32_t i = 0; i < a->states[a->state_count].calls; i++)
		a->calls[i].rule = next[a->calls[i].rule];
	a->root = next[0];
	return 0;
}

static void classify(struct automaton *a)
{
	bool begins[257] = { true };

	for (uint32_t i = 0; i < a->states[a->state_count].bytes; i++) {
		begins[a->bytes[i].low] = true;
		begins[a->bytes[i].high + 1] = true;
	}
	for (unsigned b = 0; b < 256; b++) {
		a->class_count += begins[b];
		a->classes[b] = (uint8_t)(a->class_count - 1);
		a->sample[a->class_count - 1] = (uint8_t)b;
	}
}

static int make(struct making *m)
{
	const size_t states = m->d->state_count;
	int ret;

	m->numbers = calloc(states, sizeof(*m->numbers));
	m->origins = calloc(states, sizeof(*m->origins));
	m->seen = calloc(states, sizeof(*m->seen));
	m->stack = calloc(states, sizeof(*m->stack));
	if (!m->numbers || !m->origins || !m->seen || !m->stack)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	memset(m->numbers, 0xff, states * sizeof(*m->numbers));
	ret = take_states(m);
	if (!ret)
		ret = number_rules(m);
	if (!ret)
		classify(m->a);
	return ret;
}

int automaton_create(struct automaton *a, const struct syntax *s, struct stoker_error *err)
{
	struct draft d;
	struct making m = { .a = a, .d = &d, .err = err };
	int ret = draft_create(&d, s, err);

	*a = (struct automaton){ 0 };
	if (!ret)
		ret = make(&m);
	free(m.numbers);
	free(m.origins);
	free(m.seen);
	free(m.stack);
	draft_free(&d);
	if (ret)
		automaton_free(a);
	return ret;
}

void automaton_free(struct automaton *a)
{
	free(a->states);
	free(a->bytes);
	free(a->calls);
	free(a->tokens);
	free(a->starts);
	*a = (struct automaton){ 0 };
}
