// SPDX-License-Identifier: MIT
/* Which tokens a state leads to, whatever is open around it; found once. */
#include "grammar/lazy.h"

void reached_free(struct reached *r)
{
	if (!r)
		return;
	free(r->bits);
	free(r->tokens);
	free(r->exits);
	free(r);
}

/* --- walking over tokens -----------------------------------------------------------------------
 */

/* A node where the rule may end, and how many nodes were left out before. */
struct exit {
	uint32_t node, left_out;
};

struct walk {
	struct lazy *l;
	const struct trie *trie;
	struct exit *exits;
	uint32_t *left_out; /* nodes to which nothing led */
	size_t exit_count, exit_room, left_out_count, left_out_room;
	uint32_t states[MAX_TRIE_TEXT + 1]; /* at each depth of the way to a node */
};

static int add_exit(struct walk *w, uint32_t node)
{
	if (w->exit_count == w->exit_room) {
		const size_t room = 2 * w->exit_room + 256;
		struct exit *more = realloc(w->exits, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		w->exits = more;
		w->exit_room = room;
	}
	w->exits[w->exit_count++] =
		(struct exit){ .node = node, .left_out = (uint32_t)w->left_out_count };
	return 0;
}

static int leave_out(struct walk *w, uint32_t node)
{
	if (w->left_out_count == w->left_out_room) {
		const size_t room = 2 * w->left_out_room + 256;
		uint32_t *more = realloc(w->left_out, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		w->left_out = more;
		w->left_out_room = room;
	}
	w->left_out[w->left_out_count++] = node;
	return 0;
}

/* From @state at @node to all nodes below; marks their tokens by their place in the trie's order.
 */
static int walk_below(struct walk *w, uint32_t node, uint32_t state)
{
	const struct trie_node *nodes = w->trie->nodes;
	const uint32_t end = nodes[node].skip;
	const uint8_t *classes = w->l->a->classes;
	const size_t class_count = w->l->a->class_count;
	uint64_t *ranks = w->l->ranks, looked_at = 0;
	uint32_t at = node + 1;

	w->states[nodes[node].depth] = state;
	while (at < end) {
		const struct trie_node *n = &nodes[at];
		const uint32_t from = w->states[n->depth - 1];
		uint32_t edge = w->l->edges[from * class_count + classes[n->byte]];

		looked_at++;
		if (edge == NOT_YET) {
			const int ret = lazy_step(w->l, from, n->byte, &edge);

			if (ret)
				return ret;
		}
		if (edge == EDGE_TO(DEAD, 0)) {
			if (leave_out(w, at))
				return -ENOMEM;
			at = n->skip;
			continue;
		}
		w->states[n->depth] = edge >> 1;
		for (uint32_t t = n->tokens; t < n[1].tokens; t++)
			ranks[t / 64] |= 1ull << t % 64;
		if (edge & 1 && at + 1 < n->skip && add_exit(w, at))
			return -ENOMEM;
		at++;
	}
	if (looked_at > w->l->left)
		return -E2BIG;
	w->l->left -= looked_at;
	return 0;
}

/* Exits below which nothing was left out are none: all that could follow is reached anyway. */
static void drop_exits(struct walk *w)
{
	size_t left = 0;

	for (size_t i = 0; i < w->exit_count; i++) {
		const struct exit *e = &w->exits[i];

		if (e->left_out < w->left_out_count &&
		    w->left_out[e->left_out] < w->trie->nodes[e->node].skip)
			w->exits[left++] = *e;
	}
	w->exit_count = left;
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

				to >>= 1;
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

static uint32_t count_ranks(const uint64_t *ranks, uint32_t count)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w * 64 < count; w++)
		n += (uint32_t)__builtin_popcountll(ranks[w]);
	return n;
}

static int store(struct lazy *l, const struct walk *w, struct reached *r)
{
	const uint32_t tokens = w->trie->token_count;
	uint32_t n = 0;

	r->count = count_ranks(l->ranks, tokens);
	if (r->count > l->tries->words)
		r->bits = calloc(l->tries->words, sizeof(*r->bits));
	else
		r->tokens = calloc(r->count + 1, sizeof(*r->tokens));
	r->exits = calloc(w->exit_count + 1, sizeof(*r->exits));
	if ((!r->bits && !r->tokens) || !r->exits)
		return -ENOMEM;
	for (; r->exit_count < w->exit_count; r->exit_count++)
		r->exits[r->exit_count] = w->exits[r->exit_count].node;
	for (uint32_t word = 0; word * 64 < tokens; word++) {
		for (uint64_t bits = l->ranks[word]; bits; bits &= bits - 1) {
			const uint32_t token =
				w->trie->order[word * 64 + (uint32_t)__builtin_ctzll(bits)];

			if (r->bits)
				r->bits[token / 32] |= 1u << token % 32;
			else
				r->tokens[n++] = token;
		}
	}
	l->bytes += sizeof(*r) + (r->bits ? l->tries->words : r->count) * sizeof(uint32_t) +
		    r->exit_count * sizeof(uint32_t);
	return 0;
}

/* From these nodes of a level's trie. */
static int find(struct lazy *l, unsigned level, const uint32_t *nodes, uint32_t count,
		uint32_t state, struct reached **reached)
{
	struct walk w = { .l = l, .trie = &l->tries->levels[level] };
	struct reached *r;
	int ret = 0;

	if (l->bytes > l->limit)
		return -EAGAIN;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->level = level;
	r->state = state;
	memset(l->ranks, 0, (w.trie->token_count / 64 + 1) * sizeof(*l->ranks));
	for (uint32_t i = 0; i < count && !ret; i++)
		ret = walk_below(&w, nodes[i], state);
	if (!ret) {
		drop_exits(&w);
		ret = store(l, &w, r);
	}
	free(w.exits);
	free(w.left_out);
	if (ret) {
		reached_free(r);
		return ret;
	}
	r->other = l->all;
	*reached = l->all = r;
	return 0;
}

int reached_from_root(struct lazy *l, uint32_t state, struct reached **reached)
{
	const uint32_t root = 0;
	unsigned level;
	int ret;

	*reached = l->states[state].reached;
	if (*reached)
		return 0;
	ret = find_level(l, state, &level);
	if (!ret)
		ret = find(l, level, &root, 1, state, reached);
	if (!ret)
		l->states[state].reached = *reached;
	return ret;
}

int reached_behind(struct lazy *l, struct reached *before, uint32_t state, struct reached **reached)
{
	int ret;

	for (*reached = before->behind; *reached; *reached = (*reached)->next) {
		if ((*reached)->state == state)
			return 0;
		if (!l->left--) {
			l->left = 0;
			return -E2BIG;
		}
	}
	ret = find(l, before->level, before->exits, before->exit_count, state, reached);
	if (!ret) {
		(*reached)->next = before->behind;
		before->behind = *reached;
	}
	return ret;
}
