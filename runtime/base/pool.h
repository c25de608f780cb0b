/* SPDX-License-Identifier: MIT */
/*
 * The thread pool: stoker_pool_run() calls a function once on every thread, the caller's included,
 * and returns when all are done.  Work inside is shared out by the function itself, usually with
 * stoker_share_take().
 */
#ifndef STOKER_POOL_H
#define STOKER_POOL_H

#include "base/base.h"

#include <stdatomic.h>

enum { STOKER_POOL_MAX_THREADS = 512 };

struct stoker_pool;

/* @threads 0: as many as this process may really use, see stoker_usable_cpus(). */
int stoker_pool_create(unsigned threads, struct stoker_pool **pool, struct stoker_error *err);
void stoker_pool_destroy(struct stoker_pool **pool);
unsigned stoker_pool_threads(const struct stoker_pool *pool);

/* One run at a time a pool; callers on several threads take turns. */
void stoker_pool_run(struct stoker_pool *pool, void (*fn)(void *context, unsigned thread),
		     void *context);

/* CPUs of the affinity mask, but no more than the cgroup's CPU quota, at least 1. */
unsigned stoker_usable_cpus(void);

/* A range of items that threads take in chunks. */
struct stoker_share {
	atomic_size_t next;
	size_t count, chunk;
};

static inline bool stoker_share_take(struct stoker_share *share, size_t *begin, size_t *end)
{
	*begin = atomic_fetch_add_explicit(&share->next, share->chunk, memory_order_relaxed);
	if (*begin >= share->count)
		return false;
	*end = MIN(*begin + share->chunk, share->count);
	return true;
}

#endif
