// SPDX-License-Identifier: MIT
/* From the places of a text to those one byte or token further. */
#include "grammar/stacks.h"

void advance_free(struct advance *w)
{
	free(w->all.list);
	free(w->next.list);
	free(w->heap);
	free(w->frames);
	free(w->seen);
	*w = (struct advance){ 0 };
}

static int append(struct places *p, struct place place)
{
	if (p->count == p->room) {
		const size_t room = 2 * p->room + 16;
		struct place *more = realloc(p->list, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->list = more;
		p->room = room;
	}
	p->list[p->count++] = place;
	return 0;
}

/* --- calls: rules in their order, each with all of the places that called it ------------------ */

static bool is_before(const struct pending *a, const struct pending *b)
{
	if (a->rule != b->rule)
		return a->rule < b->rule;
	if (a->frame.state != b->frame.state)
		return a->frame.state < b->frame.state;
	return a->frame.node < b->frame.node;
}

static int push(struct advance *w, uint32_t rule, struct place frame)
{
	const struct pending p = { rule, frame };
	size_t at = w->heap_count;

	if (w->heap_count == w->heap_room) {
		const size_t room = 2 * w->heap_room + 16;
		struct pending *more;

		if (w->heap_count == MAX_PENDING)
			return -E2BIG;
		more = realloc(w->heap, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		w->heap = more;
		w->heap_room = room;
	}
	w->heap_count++;
	for (; at && is_before(&p, &w->heap[(at - 1) / 2]); at = (at - 1) / 2)
		w->heap[at] = w->heap[(at - 1) / 2];
	w->heap[at] = p;
	return 0;
}

static struct pending pop(struct advance *w)
{
	const struct pending first = w->heap[0], last = w->heap[--w->heap_count];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= w->heap_count)
			break;
		if (child + 1 < w->heap_count && is_before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!is_before(&w->heap[child], &last))
			break;
		w->heap[at] = w->heap[child];
		at = child;
	}
	w->heap[at] = last;
	return first;
}

/*
 * A call with nothing behind it returns to where its own rule does, so that a rule that ends with
 * itself doesn't open ever more.  That is many places only where a text can be read in many ways;
 * copying them again and again would be the square of its length.
 */
static int push_calls(struct advance *w, struct place p)
{
	enum { MANY = 8 };
	const struct state *s = &w->a->states[p.state];
	const bool many = w->stacks->first[p.node + 1] - w->stacks->first[p.node] > MANY;
	int ret = 0;

	for (uint32_t i = s->calls; i < s[1].calls && !ret; i++) {
		const struct call_edge *e = &w->a->calls[i];

		if (!e->tail || many) {
			ret = push(w, e->rule, (struct place){ e->to, p.node });
			continue;
		}
		for (uint32_t f = w->stacks->first[p.node];
		     f < w->stacks->first[p.node + 1] && !ret; f++)
			ret = push(w, e->rule, w->stacks->frames[f]);
	}
	return ret;
}

/* All that called the rule at the heap's top, sorted and once each, as a node. */
static int pop_rule(struct advance *w, uint32_t *rule, uint32_t *node)
{
	size_t count = 0;

	*rule = w->heap[0].rule;
	while (w->heap_count && w->heap[0].rule == *rule) {
		const struct place frame = pop(w).frame;

		if (count && w->frames[count - 1].state == frame.state &&
		    w->frames[count - 1].node == frame.node)
			continue;
		if (count == w->frame_room) {
			const size_t room = 2 * w->frame_room + 16;
			struct place *more = realloc(w->frames, room * sizeof(*more));

			if (!more)
				return -ENOMEM;
			w->frames = more;
			w->frame_room = room;
		}
		w->frames[count++] = frame;
	}
	return stacks_node(w->stacks, w->frames, count, node);
}

int advance_open(struct advance *w, const struct places *p)
{
	int ret = places_copy(&w->all, p);

	w->heap_count = 0;
	for (size_t i = 0; i < p->count && !ret; i++)
		ret = push_calls(w, p->list[i]);
	while (w->heap_count && !ret) {
		struct place start;
		uint32_t rule;

		ret = pop_rule(w, &rule, &start.node);
		start.state = w->a->starts[rule];
		if (!ret)
			ret = append(&w->all, start);
		if (!ret)
			ret = push_calls(w, start);
	}
	return ret;
}

/* --- returns ---------------------------------------------------------------------------------- */

static size_t slot_of(const struct advance *w, struct place p)
{
	const uint64_t h = (p.state * 0x9e3779b97f4a7c15u ^ p.node) * 0xbf58476d1ce4e5b9u;
	size_t at = (h ^ h >> 32) & (w->seen_size - 1);

	while (w->seen[at] && (w->next.list[w->seen[at] - 1].state != p.state ||
			       w->next.list[w->seen[at] - 1].node != p.node))
		at = (at + 1) & (w->seen_size - 1);
	return at;
}

static int grow_seen(struct advance *w)
{
	uint32_t *more = calloc(4 * w->seen_size + 32, sizeof(*more));

	if (!more)
		return -ENOMEM;
	free(w->seen);
	w->seen = more;
	w->seen_size = 4 * w->seen_size + 32;
	/* a power of two: 32 times those of four, rounded */
	while (w->seen_size & (w->seen_size - 1))
		w->seen_size &= w->seen_size - 1;
	for (size_t i = 0; i < w->next.count; i++)
		w->seen[slot_of(w, w->next.list[i])] = (uint32_t)i + 1;
	return 0;
}

void advance_begin(struct advance *w)
{
	w->next.count = 0;
	w->next.ends = false;
	if (w->seen_size)
		memset(w->seen, 0, w->seen_size * sizeof(*w->seen));
}

int advance_add(struct advance *w, struct place p)
{
	size_t at;
	int ret;

	if (2 * w->next.count >= w->seen_size && grow_seen(w))
		return -ENOMEM;
	at = slot_of(w, p);
	if (w->seen[at])
		return 0;
	if (w->next.count == MAX_WAYS)
		return -E2BIG;
	ret = append(&w->next, p);
	w->seen[at] = (uint32_t)w->next.count;
	return ret;
}

static int by_node(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->state < y->state ? -1 : x->state > y->state;
}

int advance_settle(struct advance *w)
{
	struct places *next = &w->next;
	size_t left = 0;
	int ret = 0;

	for (size_t i = 0; i < next->count && !ret; i++) {
		const struct place p = next->list[i];

		if (!w->a->states[p.state].ends)
			continue;
		for (uint32_t f = w->stacks->first[p.node];
		     f < w->stacks->first[p.node + 1] && !ret; f++) {
			if (w->stacks->frames[f].state == OUT)
				next->ends = true;
			else
				ret = advance_add(w, w->stacks->frames[f]);
		}
	}
	for (size_t i = 0; i < next->count; i++)
		if (!w->a->states[next->list[i].state].leaf)
			next->list[left++] = next->list[i];
	next->count = left;
	if (left > 1)
		qsort(next->list, left, sizeof(*next->list), by_node);
	return ret;
}

int advance_byte(struct advance *w, uint8_t byte)
{
	const struct automaton *a = w->a;
	int ret = 0;

	advance_begin(w);
	for (size_t i = 0; i < w->all.count && !ret; i++) {
		const struct place p = w->all.list[i];
		const struct state *s = &a->states[p.state];

		for (uint32_t e = s->bytes; e < s[1].bytes && !ret; e++)
			if (byte >= a->bytes[e].low && byte <= a->bytes[e].high)
				ret = advance_add(w, (struct place){ a->bytes[e].to, p.node });
	}
	return ret ? ret : advance_settle(w);
}

int advance_token(struct advance *w, uint32_t token, bool ends_text)
{
	const struct automaton *a = w->a;
	int ret = 0;

	advance_begin(w);
	for (size_t i = 0; i < w->all.count && !ret; i++) {
		const struct place p = w->all.list[i];
		const struct state *s = &a->states[p.state];

		for (uint32_t e = s->tokens; e < s[1].tokens && !ret; e++) {
			const struct token_edge *t = &a->tokens[e];

			if (t->negated ? t->token != token && !ends_text : t->token == token)
				ret = advance_add(w, (struct place){ t->to, p.node });
		}
	}
	return ret ? ret : advance_settle(w);
}
