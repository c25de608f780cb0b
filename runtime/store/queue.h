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

#endif
