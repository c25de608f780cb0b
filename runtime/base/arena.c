// SPDX-License-Identifier: MIT
/* See arena.h: chunks of memory, used from the beginning on. */
#include "base/arena.h"

#include "base/base.h"

enum { CHUNK = 64 << 10 };

struct arena_chunk {
	struct arena_chunk *next;
	_Alignas(16) char data[];
};

bool arena_is_full(const struct arena *a, size_t bytes)
{
	return bytes > a->limit || a->used + MAX(bytes, (size_t)CHUNK) > a->limit;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	if (bytes > a->limit)
		return NULL;
	bytes = (size_t)round_up(MAX(bytes, (size_t)1), 16);
	if (bytes > (size_t)(a->end - a->at)) {
		const size_t room = MAX(bytes, (size_t)CHUNK);
		struct arena_chunk *c;

		if (arena_is_full(a, bytes))
			return NULL;
		c = malloc(sizeof(*c) + room);
		if (!c)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
		a->used += room;
		if (bytes >= CHUNK / 2)
			return c->data; /* what is left of the chunk before is used up further */
		a->at = c->data;
		a->end = c->data + room;
	}
	a->at += bytes;
	return a->at - bytes;
}

void arena_free(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
	a->at = a->end = NULL;
	a->used = 0;
}
