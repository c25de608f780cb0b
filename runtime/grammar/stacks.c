// SPDX-License-Identifier: MIT
/* Nodes: sets of places that rules return to, each stored once. */
#include "grammar/stacks.h"

enum { FIRST_TABLE = 64 };

static uint64_t hash_frames(const struct place *frames, size_t count)
{
	uint64_t h = count;

	for (size_t i = 0; i < count; i++) {
		h = (h ^ frames[i].state) * 0x9e3779b97f4a7c15u;
		h = (h ^ h >> 29 ^ frames[i].node) * 0xbf58476d1ce4e5b9u;
	}
	return h ^ h >> 32;
}

static uint64_t hash_node(const struct stacks *s, uint32_t node)
{
	return hash_frames(s->frames + s->first[node], s->first[node + 1] - s->first[node]);
}

static void put(struct stacks *s, uint32_t node)
{
	size_t at = hash_node(s, node) & (s->table_size - 1);

	while (s->table[at])
		at = (at + 1) & (s->table_size - 1);
	s->table[at] = node;
}

static int grow_table(struct stacks *s)
{
	uint32_t *table;

	if (2 * (size_t)s->node_count < s->table_size)
		return 0;
	table = calloc(2 * s->table_size, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(s->table);
	s->table = table;
	s->table_size *= 2;
	for (uint32_t n = 1; n < s->node_count; n++)
		put(s, n);
	return 0;
}

static int reserve(struct stacks *s, size_t frames)
{
	if (s->frame_count + frames > s->frame_room) {
		const size_t room = 2 * s->frame_room + frames;
		struct place *more = realloc(s->frames, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->frames = more;
		s->frame_room = room;
	}
	if (s->node_count + 2u > s->node_room) {
		const size_t room = 2 * s->node_room;
		uint32_t *more = realloc(s->first, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->first = more;
		s->node_room = room;
	}
	return grow_table(s);
}

int stacks_create(struct stacks *s, size_t limit)
{
	*s = (struct stacks){ .node_room = FIRST_TABLE,
			      .frame_room = FIRST_TABLE,
			      .table_size = FIRST_TABLE,
			      .node_count = 1,
			      .frame_count = 1,
			      .limit = limit };
	s->first = calloc(s->node_room, sizeof(*s->first));
	s->frames = calloc(s->frame_room, sizeof(*s->frames));
	s->table = calloc(s->table_size, sizeof(*s->table));
	if (!s->first || !s->frames || !s->table)
		return -ENOMEM;
	s->frames[0] = (struct place){ OUT, BOTTOM };
	s->first[1] = 1;
	return 0;
}

void stacks_free(struct stacks *s)
{
	free(s->frames);
	free(s->first);
	free(s->table);
	*s = (struct stacks){ 0 };
}

int stacks_clone(struct stacks *to, const struct stacks *from)
{
	*to = *from;
	to->first = calloc(from->node_room, sizeof(*to->first));
	to->frames = calloc(from->frame_room, sizeof(*to->frames));
	to->table = calloc(from->table_size, sizeof(*to->table));
	if (!to->first || !to->frames || !to->table)
		return -ENOMEM;
	memcpy(to->first, from->first, (from->node_count + 1) * sizeof(*to->first));
	memcpy(to->frames, from->frames, from->frame_count * sizeof(*to->frames));
	memcpy(to->table, from->table, from->table_size * sizeof(*to->table));
	return 0;
}

int stacks_node(struct stacks *s, const struct place *frames, size_t count, uint32_t *node)
{
	size_t at;

	if (count == 1 && frames[0].state == OUT) {
		*node = BOTTOM;
		return 0;
	}
	at = hash_frames(frames, count) & (s->table_size - 1);
	for (uint32_t n; (n = s->table[at]); at = (at + 1) & (s->table_size - 1)) {
		if (s->first[n + 1] - s->first[n] == count &&
		    !memcmp(s->frames + s->first[n], frames, count * sizeof(*frames))) {
			*node = n;
			return 0;
		}
	}
	if (s->frame_count + count > s->limit)
		return -E2BIG;
	if (reserve(s, count))
		return -ENOMEM;
	memcpy(s->frames + s->frame_count, frames, count * sizeof(*frames));
	s->frame_count += count;
	*node = s->node_count++;
	s->first[s->node_count] = (uint32_t)s->frame_count;
	put(s, *node);
	return 0;
}

/* The last that came is the last of its chain in the table. */
void stacks_rewind(struct stacks *s, uint32_t count)
{
	while (s->node_count > count) {
		const uint32_t node = s->node_count - 1;
		size_t at = hash_node(s, node) & (s->table_size - 1);

		while (s->table[at] != node)
			at = (at + 1) & (s->table_size - 1);
		s->table[at] = 0;
		s->node_count--;
		s->frame_count = s->first[node];
	}
}

int places_copy(struct places *to, const struct places *from)
{
	if (from->count > to->room) {
		struct place *more = realloc(to->list, from->count * sizeof(*more));

		if (!more)
			return -ENOMEM;
		to->list = more;
		to->room = from->count;
	}
	if (from->count)
		memcpy(to->list, from->list, from->count * sizeof(*from->list));
	to->count = from->count;
	to->ends = from->ends;
	return 0;
}

/* Nodes that stay keep their order, so that frames stay sorted. */
static int keep(struct stacks *to, const struct stacks *from, uint32_t *numbers)
{
	for (uint32_t n = 1; n < from->node_count; n++) {
		struct place *frames = from->frames + from->first[n];
		const size_t count = from->first[n + 1] - from->first[n];

		if (!numbers[n])
			continue;
		for (size_t i = 0; i < count; i++)
			frames[i].node = numbers[frames[i].node];
		if (stacks_node(to, frames, count, &numbers[n]))
			return -ENOMEM;
	}
	return 0;
}

int stacks_keep(struct stacks *s, struct places *p)
{
	AUTO_FREE uint32_t *numbers = calloc(s->node_count, sizeof(*numbers));
	struct stacks kept = { 0 }, copy = { 0 };
	int ret = numbers ? stacks_create(&kept, s->limit) : -ENOMEM;

	if (!ret)
		ret = stacks_clone(&copy, s);
	for (size_t i = 0; i < p->count && !ret; i++)
		numbers[p->list[i].node] = 1;
	for (uint32_t n = s->node_count - 1; n > 0 && !ret; n--)
		for (uint32_t i = s->first[n]; numbers[n] && i < s->first[n + 1]; i++)
			numbers[s->frames[i].node] = 1;
	if (!ret) {
		numbers[BOTTOM] = BOTTOM;
		ret = keep(&kept, &copy, numbers);
	}
	stacks_free(&copy);
	if (ret) {
		stacks_free(&kept);
		return ret;
	}
	for (size_t i = 0; i < p->count; i++)
		p->list[i].node = numbers[p->list[i].node];
	stacks_free(s);
	*s = kept;
	return 0;
}
