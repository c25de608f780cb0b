// SPDX-License-Identifier: MIT
/* All tokens that are allowed: those of lazy states, and behind exits those of what is around. */
#include "grammar/grammar.h"

enum {
	MAX_WORK = 16 << 20, /* nodes of tries that are looked at for one mask */
	REMEMBERED = 64,     /* nodes whose returns are known */
};

/* The exits of what was reached, and what is open around the rule that ends there. */
struct ending {
	struct reached *at;
	uint32_t node;
};

/* Where a node's rules return to: a lazy state, and what is open around that. */
struct returns {
	uint32_t state, node;
};

struct masking {
	struct stoker_matcher *m;
	struct lazy *l;
	uint32_t *bits;
	struct ending *endings; /* each once, the first @ended of which are done with */
	uint32_t *seen;		/* their numbers from 1, open addressing */
	size_t ending_count, ending_room, ended, seen_size;
	struct returns *returns;
	size_t return_count, return_room;
	struct {
		uint32_t node, first, count; /* node: its number and one more; 0: none */
	} known[REMEMBERED];
	struct place *frames;
	size_t frame_room;
};

static int spend(struct masking *k, uint64_t nodes)
{
	if (k->l->left < nodes)
		return -E2BIG;
	k->l->left -= nodes;
	return 0;
}

static size_t slot_of(const struct masking *k, struct ending e)
{
	const uint64_t h =
		((uintptr_t)e.at >> 4 ^ e.node * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	size_t at = (h ^ h >> 32) & (k->seen_size - 1);

	while (k->seen[at] && (k->endings[k->seen[at] - 1].at != e.at ||
			       k->endings[k->seen[at] - 1].node != e.node))
		at = (at + 1) & (k->seen_size - 1);
	return at;
}

static int grow_endings(struct masking *k)
{
	const size_t room = k->ending_room ? 4 * k->ending_room : 16;
	struct ending *more = realloc(k->endings, room * sizeof(*more));
	uint32_t *seen;

	if (!more)
		return -ENOMEM;
	k->endings = more;
	seen = calloc(2 * room, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	free(k->seen);
	k->seen = seen;
	k->seen_size = 2 * room;
	k->ending_room = room;
	for (size_t i = 0; i < k->ending_count; i++)
		k->seen[slot_of(k, k->endings[i])] = (uint32_t)i + 1;
	return 0;
}

/* A text that can be read in many ways comes to the same endings by each of them. */
static int add_ending(struct masking *k, struct reached *r, uint32_t node)
{
	const struct ending e = { r, node };
	size_t at;

	if (k->ending_count == k->ending_room && grow_endings(k))
		return -ENOMEM;
	at = slot_of(k, e);
	if (k->seen[at])
		return 0;
	k->endings[k->ending_count++] = e;
	k->seen[at] = (uint32_t)k->ending_count;
	return 0;
}

/* Takes the tokens; the exits are for later. */
static int take(struct masking *k, struct reached *r, uint32_t node)
{
	for (size_t w = 0; r->bits && w < k->l->tries->words; w++)
		k->bits[w] |= r->bits[w];
	for (uint32_t i = 0; r->tokens && i < r->count; i++)
		k->bits[r->tokens[i] / 32] |= 1u << r->tokens[i] % 32;
	return r->exit_count ? add_ending(k, r, node) : 0;
}

static int add_return(struct masking *k, uint32_t state, uint32_t node)
{
	if (k->return_count == k->return_room) {
		const size_t room = 2 * k->return_room + 16;
		struct returns *more = realloc(k->returns, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		k->returns = more;
		k->return_room = room;
	}
	k->returns[k->return_count++] = (struct returns){ state, node };
	return 0;
}

static int by_node(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->state < y->state ? -1 : x->state > y->state;
}

/* The states of places that have one node, as a lazy state; *@used is how many. */
static int begin_with(struct lazy *l, const struct place *p, size_t count, size_t *used,
		      uint32_t *state)
{
	int ret = 0;

	advance_begin(&l->advance);
	for (*used = 0; *used < count && p[*used].node == p->node && !ret; ++*used)
		ret = advance_add(&l->advance, (struct place){ p[*used].state, BOTTOM });
	return ret ? ret : lazy_settle(l, state);
}

/* Makes known[slot] those of @node. */
static int find_returns(struct masking *k, uint32_t node, size_t slot)
{
	const struct stacks *s = &k->m->stacks;
	const uint32_t first = (uint32_t)k->return_count;
	size_t count = 0, used;
	int ret = spend(k, PLACE_WORK * (s->first[node + 1] - s->first[node]));

	if (!ret && s->first[node + 1] - s->first[node] > k->frame_room) {
		const size_t room = 2 * (s->first[node + 1] - s->first[node]);
		struct place *more = realloc(k->frames, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		k->frames = more;
		k->frame_room = room;
	}
	for (uint32_t f = s->first[node]; f < s->first[node + 1] && !ret; f++)
		if (s->frames[f].state != OUT)
			k->frames[count++] = s->frames[f];
	if (count)
		qsort(k->frames, count, sizeof(*k->frames), by_node);
	for (size_t i = 0; i < count && !ret; i += used) {
		uint32_t state;

		ret = begin_with(k->l, k->frames + i, count - i, &used, &state);
		if (!ret)
			ret = add_return(k, state, k->frames[i].node);
	}
	if (ret)
		return ret;
	k->known[slot].node = node + 1;
	k->known[slot].first = first;
	k->known[slot].count = (uint32_t)k->return_count - first;
	return 0;
}

static int follow(struct masking *k, struct ending e)
{
	const size_t slot = e.node % REMEMBERED;
	uint32_t first, count;
	int ret = spend(k, PLACE_WORK);

	if (!ret && k->known[slot].node != e.node + 1)
		ret = find_returns(k, e.node, slot);
	first = k->known[slot].first;
	count = k->known[slot].count;
	for (uint32_t i = 0; i < count && !ret; i++) {
		const struct returns r = k->returns[first + i];
		struct reached *behind;

		ret = reached_behind(k->l, e.at, r.state, &behind);
		if (!ret)
			ret = spend(k, behind->bits ? k->l->tries->words : behind->count);
		if (!ret)
			ret = take(k, behind, r.node);
		/* the rule that it returned to may end at once */
		if (!ret && k->l->states[r.state].ends)
			ret = add_ending(k, e.at, r.node);
	}
	return ret;
}

int mask_texts(struct stoker_matcher *m, uint32_t *bits)
{
	struct lazy *l = &m->grammar->lazy;
	struct masking k = { .m = m, .l = l, .bits = bits };
	int ret = 0;

	l->left = MAX_WORK;
	for (size_t i = 0, used; i < m->now.count && !ret; i += used) {
		struct reached *r = NULL;
		uint32_t state;

		ret = begin_with(l, m->now.list + i, m->now.count - i, &used, &state);
		if (!ret)
			ret = reached_from_root(l, state, &r);
		for (size_t w = 0; !ret && r->level && w < l->tries->words; w++)
			bits[w] |= l->tries->plain[r->level][w];
		if (!ret)
			ret = take(&k, r, m->now.list[i].node);
		while (k.ended < k.ending_count && !ret)
			ret = follow(&k, k.endings[k.ended++]);
	}
	free(k.endings);
	free(k.seen);
	free(k.returns);
	free(k.frames);
	return ret;
}

int mask_texts_slowly(struct stoker_matcher *m, uint32_t *bits)
{
	const struct trie *t = &m->grammar->lazy.tries->levels[0];
	struct places at[MAX_TRIE_TEXT + 1] = { 0 };
	uint32_t marks[MAX_TRIE_TEXT + 1], node = 1, depth = 0;
	uint64_t work = 0;
	int ret = places_copy(&at[0], &m->now);

	marks[0] = m->stacks.node_count;
	while (node < t->node_count && !ret) {
		const struct trie_node *n = &t->nodes[node];

		depth = n->depth;
		stacks_rewind(&m->stacks, marks[depth - 1]);
		ret = advance_open(&m->advance, &at[depth - 1]);
		work += PLACE_WORK * m->advance.all.count;
		if (work > MAX_WORK) {
			ret = -E2BIG;
			break;
		}
		if (!ret)
			ret = advance_byte(&m->advance, n->byte);
		if (ret == -E2BIG || (!ret && !m->advance.next.count && !m->advance.next.ends)) {
			ret = 0;
			node = n->skip;
			continue;
		}
		if (!ret)
			ret = places_copy(&at[depth], &m->advance.next);
		marks[depth] = m->stacks.node_count;
		for (uint32_t i = n->tokens; i < n[1].tokens && !ret; i++)
			bits[t->order[i] / 32] |= 1u << t->order[i] % 32;
		node++;
	}
	stacks_rewind(&m->stacks, marks[0]);
	for (size_t d = 0; d < ARRAY_SIZE(at); d++)
		free(at[d].list);
	return ret;
}

/* Any token but one, of which there may be several: then any. */
static void mask_others(const struct stoker_grammar *g, uint32_t but, uint32_t *bits)
{
	const uint32_t count = stoker_vocabulary_size(g->vocabulary);

	for (uint32_t w = 0; w < count / 32; w++)
		bits[w] = UINT32_MAX;
	if (count % 32)
		bits[count / 32] |= (1u << count % 32) - 1;
	if (but < count)
		bits[but / 32] &= ~(1u << but % 32);
	for (uint32_t i = 0; i < g->end_count; i++)
		bits[g->ends[i] / 32] &= ~(1u << g->ends[i] % 32);
}

int mask_named(struct stoker_matcher *m, uint32_t *bits)
{
	const struct automaton *a = &m->grammar->automaton;
	const struct places *all = &m->advance.all;
	uint32_t but = UINT32_MAX;
	bool others = false;
	int ret;

	if (!a->states[a->state_count].tokens)
		return 0;
	ret = advance_open(&m->advance, &m->now);
	for (int named = 0; named < 2 && !ret; named++) {
		for (size_t i = 0; i < all->count; i++) {
			const struct state *s = &a->states[all->list[i].state];

			for (uint32_t e = s->tokens; e < s[1].tokens; e++) {
				const struct token_edge *t = &a->tokens[e];

				if (named && !t->negated)
					bits[t->token / 32] |= 1u << t->token % 32;
				if (named || !t->negated)
					continue;
				but = others && but != t->token ? UINT32_MAX : t->token;
				others = true;
			}
		}
		if (others && !named)
			mask_others(m->grammar, but, bits);
	}
	return ret;
}
