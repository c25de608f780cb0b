// SPDX-License-Identifier: MIT
/* States: sets of places, each stored once, with edges that are found when they are needed. */
#include "grammar/lazy.h"

enum {
	FIRST_STATES = 64,
	/* of all that is kept for a grammar; states of 2,000 counted characters take 2 MB */
	MAX_BYTES = 32 << 20,
	MAX_FRAMES = 1 << 18,
};

static uint64_t hash_places(const struct place *p, size_t count, bool ends)
{
	uint64_t h = count * 2 + ends;

	for (size_t i = 0; i < count; i++) {
		h = (h ^ p[i].state) * 0x9e3779b97f4a7c15u;
		h = (h ^ h >> 29 ^ p[i].node) * 0xbf58476d1ce4e5b9u;
	}
	return h ^ h >> 32;
}

static uint64_t hash_state(const struct lazy *l, uint32_t state)
{
	const struct lazy_state *s = &l->states[state];

	return hash_places(l->places + s->first, s->count, s->ends);
}

static void put(struct lazy *l, uint32_t state)
{
	size_t at = hash_state(l, state) & (l->table_size - 1);

	while (l->table[at])
		at = (at + 1) & (l->table_size - 1);
	l->table[at] = state;
}

static int grow_states(struct lazy *l)
{
	const uint32_t room = 2 * l->state_room;
	const size_t classes = l->a->class_count;
	struct lazy_state *states;
	uint32_t *edges, *table;

	states = realloc(l->states, room * sizeof(*states));
	if (!states)
		return -ENOMEM;
	l->states = states;
	edges = realloc(l->edges, room * classes * sizeof(*edges));
	if (!edges)
		return -ENOMEM;
	l->edges = edges;
	table = calloc(4 * (size_t)room, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(l->table);
	l->table = table;
	l->table_size = 4 * (size_t)room;
	l->state_room = room;
	for (uint32_t s = 1; s < l->state_count; s++)
		put(l, s);
	return 0;
}

static int add_state(struct lazy *l, const struct places *p, uint32_t *state)
{
	const size_t classes = l->a->class_count;

	if (l->bytes > l->limit)
		return -EAGAIN;
	if (l->state_count == l->state_room && grow_states(l))
		return -ENOMEM;
	if (l->place_count + p->count > l->place_room) {
		const size_t room = 2 * l->place_room + p->count + FIRST_STATES;
		struct place *more = realloc(l->places, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->places = more;
		l->place_room = room;
	}
	*state = l->state_count++;
	l->states[*state] = (struct lazy_state){ .first = (uint32_t)l->place_count,
						 .count = (uint32_t)p->count,
						 .ends = p->ends };
	if (p->count)
		memcpy(l->places + l->place_count, p->list, p->count * sizeof(*p->list));
	l->place_count += p->count;
	memset(l->edges + *state * classes, 0xff, classes * sizeof(*l->edges));
	put(l, *state);
	l->bytes += sizeof(*l->states) + classes * sizeof(*l->edges) + p->count * sizeof(*p->list) +
		    4 * sizeof(*l->table);
	return 0;
}

/* The state of what advance.next has. */
static int find_state(struct lazy *l, uint32_t *state)
{
	const struct places *p = &l->advance.next;
	size_t at;

	if (!p->count && !p->ends) {
		*state = DEAD;
		return 0;
	}
	at = hash_places(p->list, p->count, p->ends) & (l->table_size - 1);
	for (uint32_t s; (s = l->table[at]); at = (at + 1) & (l->table_size - 1)) {
		const struct lazy_state *there = &l->states[s];

		if (there->count == p->count && there->ends == p->ends &&
		    (!p->count ||
		     !memcmp(l->places + there->first, p->list, p->count * sizeof(*p->list)))) {
			*state = s;
			return 0;
		}
	}
	return add_state(l, p, state);
}

int lazy_settle(struct lazy *l, uint32_t *state)
{
	const int ret = advance_settle(&l->advance);

	return ret ? ret : find_state(l, state);
}

int lazy_step(struct lazy *l, uint32_t state, uint8_t byte, uint32_t *edge)
{
	const struct automaton *a = l->a;
	const size_t at = state * (size_t)a->class_count + a->classes[byte];
	uint32_t to = DEAD;
	int ret = 0;

	*edge = l->edges[at];
	if (*edge != NOT_YET)
		return 0;
	if (l->opened != state) {
		const struct places p = { .list = l->places + l->states[state].first,
					  .count = l->states[state].count };

		l->opened = DEAD;
		ret = advance_open(&l->advance, &p);
		l->opened = ret ? (uint32_t)DEAD : state;
	}
	if (!ret && l->left < PLACE_WORK * l->advance.all.count)
		return -E2BIG;
	if (!ret) {
		l->left -= PLACE_WORK * l->advance.all.count;
		ret = advance_byte(&l->advance, byte);
	}
	if (!ret)
		ret = find_state(l, &to);
	/* more ways than a matcher would go lead nowhere */
	if (ret == -E2BIG)
		ret = l->stacks.frame_count > l->stacks.limit / 2 ? -EAGAIN : 0;
	if (!ret)
		l->edges[at] = *edge = EDGE_TO(to, l->states[to].ends);
	return ret;
}

static void free_states(struct lazy *l)
{
	for (struct reached *r = l->all, *other; r; r = other) {
		other = r->other;
		reached_free(r);
	}
	l->all = NULL;
	l->state_count = 1;
	l->place_count = l->bytes = 0;
	l->opened = DEAD;
}

int lazy_create(struct lazy *l, const struct automaton *a, const struct tries *t)
{
	*l = (struct lazy){ .a = a,
			    .tries = t,
			    .limit = MAX_BYTES,
			    .state_count = 1,
			    .state_room = FIRST_STATES / 2,
			    .advance = { .a = a, .stacks = &l->stacks } };
	l->ranks = calloc(t->levels[0].token_count / 64 + 2, sizeof(*l->ranks));
	if (!l->ranks || stacks_create(&l->stacks, MAX_FRAMES) || grow_states(l))
		return -ENOMEM;
	l->states[DEAD] = (struct lazy_state){ 0 };
	memset(l->edges, 0, a->class_count * sizeof(*l->edges)); /* DEAD */
	return 0;
}

int lazy_clear(struct lazy *l)
{
	free_states(l);
	memset(l->table, 0, l->table_size * sizeof(*l->table));
	stacks_free(&l->stacks);
	return stacks_create(&l->stacks, MAX_FRAMES);
}

void lazy_free(struct lazy *l)
{
	free_states(l);
	stacks_free(&l->stacks);
	advance_free(&l->advance);
	free(l->states);
	free(l->places);
	free(l->edges);
	free(l->table);
	free(l->ranks);
	*l = (struct lazy){ 0 };
}
