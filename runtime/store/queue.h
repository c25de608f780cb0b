/* SPDX-License-Identifier: MIT */
/* Reads in the order of their arrival. */
#ifndef STOKER_STORE_QUEUE_H
#define STOKER_STORE_QUEUE_H

#include "store/store.h"

struct store_queue {
	struct store_read *first, *last;
};

static inline void store_push(struct store_queue *q, struct store_read *r)
{
	r->next = NULL;
	*(q->first ? &q->last->next : &q->first) = r;
	q->last = r;
}

/* The first, or NULL. */
static inline struct store_read *store_pop(struct store_queue *q)
{
	struct store_read *r = q->first;

	if (r)
		q->first = r->next;
	return r;
}

/* Reads all of it in the calling thread; 0 or -errno. */
int store_read_now(struct store_read *r);

/* New reads, as a store begins with them. */
static inline void store_push_new(struct store_queue *q, struct store_read **reads, size_t count,
				  enum store_priority priority)
{
	for (size_t i = 0; i < count; i++) {
		reads[i]->done = 0;
		reads[i]->result = 0;
		reads[i]->priority = priority;
		store_push(q, reads[i]);
	}
}

/* Up to @max of them; their number. */
static inline size_t store_pop_some(struct store_queue *q, struct store_read **out, size_t max)
{
	size_t count = 0;

	while (count < max && q->first)
		out[count++] = store_pop(q);
	return count;
}

#endif
