// SPDX-License-Identifier: MIT
/* Which tokens a state allows, whatever is open around it. */
#include "grammar/lazy.h"

void allowed_free(struct allowed *a)
{
	if (!a)
		return;
	free(a->bits);
	free(a->tokens);
	free(a->exits);
	free(a);
}

static int add_exit(struct walk *w, uint32_t node)
{
	if (w->exit_count == w->exit_room) {
		const size_t room = 2 * w->exit_room + 256;
		uint32_t *more = realloc(w->exits, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		w->exits = more;
		w->exit_room = room;
	}
	w->exits[w->exit_count++] = node;
	return 0;
}

int walk_below(struct walk *w, uint32_t node, uint32_t state, uint64_t *ranks, uint32_t *bits)
{
	const struct trie_node *nodes = w->trie->nodes;
	const uint32_t end = nodes[node].skip, *order = w->trie->order;
	const uint8_t *classes = w->l->a->classes;
	const size_t class_count = w->l->a->class_count;
	uint32_t at = node + 1;

	w->states[nodes[node].depth] = state;
	while (at < end) {
		const struct trie_node *n = &nodes[at];
		const uint32_t from = w->states[n->depth - 1];
		uint32_t to = w->l->edges[from * class_count + classes[n->byte]];

		if (!w->left--)
			return -E2BIG;
		if (to == NOT_YET) {
			const int ret = lazy_step(w->l, from, n->byte, &to);

			if (ret)
				return ret;
		}
		if (to == DEAD) {
			at = n->skip;
			continue;
		}
		w->states[n->depth] = to;
		for (uint32_t t = n->tokens; t < n[1].tokens; t++) {
			if (ranks)
				ranks[t / 64] |= 1ull << t % 64;
			else
				bits[order[t] / 32] |= 1u << order[t] % 32;
		}
		at++;
		if (w->l->states[to].ends && at < n->skip && add_exit(w, at - 1))
			return -ENOMEM;
	}
	return 0;
}

/* --- how many plain characters are allowed in a row ------------------------------------------- */

/* What may follow within a plain character: bytes, and where they lead (0: it is complete). */
static const struct {
	uint8_t from, low, high, to;
} plain_bytes[] = {
	{ 0, 0x20, 0x21, 0 }, { 0, 0x23, 0x5b, 0 }, { 0, 0x5d, 0x7e, 0 }, { 0, 0xc2, 0xdf, 1 },
	{ 0, 0xe0, 0xe0, 4 }, { 0, 0xe1, 0xec, 2 }, { 0, 0xed, 0xed, 5 }, { 0, 0xee, 0xef, 2 },
	{ 0, 0xf0, 0xf0, 6 }, { 0, 0xf1, 0xf3, 3 }, { 0, 0xf4, 0xf4, 7 }, { 1, 0x80, 0xbf, 0 },
	{ 2, 0x80, 0xbf, 1 }, { 3, 0x80, 0xbf, 2 }, { 4, 0xa0, 0xbf, 1 }, { 5, 0x80, 0x9f, 1 },
	{ 6, 0x90, 0xbf, 2 }, { 7, 0x80, 0x8f, 2 },
};

/* Beyond so many states behind whole characters nobody looks any further. */
enum { MAX_PLAIN_STATES = 128, MAX_WITHIN = 64 };

struct plain {
	struct lazy *l;
	uint32_t states[MAX_PLAIN_STATES]; /* behind whole characters */
	uint32_t count;
	bool all; /* nothing was left out */
};

static bool add_plain(struct plain *p, uint32_t state)
{
	for (uint32_t i = 0; i < p->count; i++)
		if (p->states[i] == state)
			return true;
	if (p->count == MAX_PLAIN_STATES)
		return false;
	p->states[p->count++] = state;
	return true;
}

/* Adds where all plain characters lead from a state; 1: one isn't allowed, or they are too many. */
static int follow_plain(struct plain *p, uint32_t state)
{
	const uint8_t *classes = p->l->a->classes, *sample = p->l->a->sample;
	struct {
		uint32_t state;
		uint8_t place;
	} within[MAX_WITHIN] = { { state, 0 } };
	uint32_t count = 1;

	for (uint32_t i = 0; i < count; i++) {
		for (size_t b = 0; b < ARRAY_SIZE(plain_bytes); b++) {
			const unsigned last = classes[plain_bytes[b].high];

			if (plain_bytes[b].from != within[i].place)
				continue;
			for (unsigned c = classes[plain_bytes[b].low]; c <= last; c++) {
				const uint8_t place = plain_bytes[b].to;
				uint32_t to, k = 0;
				const int ret = lazy_step(p->l, within[i].state, sample[c], &to);

				if (ret || to == DEAD)
					return ret ? ret : 1;
				if (!place) {
					if (!add_plain(p, to))
						return 1;
					continue;
				}
				while (k < count &&
				       (within[k].state != to || within[k].place != place))
					k++;
				if (k == MAX_WITHIN)
					return 1;
				within[k].state = to;
				within[k].place = place;
				count = MAX(count, k + 1);
			}
		}
	}
	return 0;
}

/* The highest level whose plain tokens are all allowed. */
static int find_level(struct lazy *l, uint32_t state, unsigned *level)
{
	struct plain p = { .l = l, .states = { state }, .count = 1 };
	uint32_t characters = 0, from = 0;
	int ret = 0;

	while (from < p.count && characters < LONGEST_PLAIN + 1) {
		const uint32_t end = p.count;

		for (; from < end && !ret; from++)
			ret = follow_plain(&p, p.states[from]);
		if (ret)
			break;
		characters++;
	}
	if (ret < 0)
		return ret;
	if (!ret && from == p.count)
		characters = UINT32_MAX;
	for (*level = TRIE_LEVELS - 1; tries_plain(*level) > characters;)
		--*level;
	return 0;
}

/* --- what is found, in as little memory as it takes --------------------------------------------
 */

static uint32_t count_ranks(const uint64_t *ranks, uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (; from < to && from % 64; from++)
		n += ranks[from / 64] >> from % 64 & 1;
	for (; to - from >= 64; from += 64)
		n += (uint32_t)__builtin_popcountll(ranks[from / 64]);
	for (; from < to; from++)
		n += ranks[from / 64] >> from % 64 & 1;
	return n;
}

/* Exits below which everything is allowed anyway are none. */
static void drop_exits(struct walk *w, const uint64_t *ranks)
{
	const struct trie_node *nodes = w->trie->nodes;
	size_t left = 0;

	for (size_t i = 0; i < w->exit_count; i++) {
		const uint32_t node = w->exits[i];
		const uint32_t from = nodes[node].tokens, to = nodes[nodes[node].skip].tokens;

		if (count_ranks(ranks, from, to) < to - from)
			w->exits[left++] = node;
	}
	w->exit_count = left;
}

static int store(const struct lazy *l, const struct walk *w, struct allowed *a)
{
	const uint32_t tokens = w->trie->token_count;
	uint32_t n = 0;

	a->count = count_ranks(l->ranks, 0, tokens);
	if (a->count > l->tries->words)
		a->bits = calloc(l->tries->words, sizeof(*a->bits));
	else
		a->tokens = calloc(a->count + 1, sizeof(*a->tokens));
	a->exits = calloc(w->exit_count + 1, sizeof(*a->exits));
	if ((!a->bits && !a->tokens) || !a->exits)
		return -ENOMEM;
	a->exit_count = (uint32_t)w->exit_count;
	if (w->exit_count)
		memcpy(a->exits, w->exits, w->exit_count * sizeof(*a->exits));
	for (uint32_t word = 0; word * 64 < tokens; word++) {
		for (uint64_t bits = l->ranks[word]; bits; bits &= bits - 1) {
			const uint32_t token =
				w->trie->order[word * 64 + (uint32_t)__builtin_ctzll(bits)];

			if (a->bits)
				a->bits[token / 32] |= 1u << token % 32;
			else
				a->tokens[n++] = token;
		}
	}
	return 0;
}

int lazy_allowed(struct lazy *l, uint32_t state, const struct allowed **allowed)
{
	struct walk w = { .l = l, .left = UINT64_MAX };
	struct allowed *a;
	int ret;

	*allowed = l->states[state].allowed;
	if (*allowed)
		return 0;
	if (l->bytes > l->limit)
		return -EAGAIN;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	ret = find_level(l, state, &a->level);
	if (!ret) {
		w.trie = &l->tries->levels[a->level];
		memset(l->ranks, 0, (w.trie->token_count / 64 + 1) * sizeof(*l->ranks));
		ret = walk_below(&w, 0, state, l->ranks, NULL);
	}
	if (!ret) {
		drop_exits(&w, l->ranks);
		ret = store(l, &w, a);
	}
	free(w.exits);
	if (ret) {
		allowed_free(a);
		return ret;
	}
	l->bytes += sizeof(*a) + (a->bits ? l->tries->words : a->count) * sizeof(uint32_t) +
		    a->exit_count * sizeof(uint32_t);
	*allowed = l->states[state].allowed = a;
	return 0;
}
