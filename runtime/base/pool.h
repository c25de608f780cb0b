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

/*
 * A range of items that @threads take one after the other: most of an equal part of what is left,
 * so that memory is read in long stretches, and at least @chunk, so that all end at the same time
 * even when some are slower.
 */
struct stoker_share {
	atomic_size_t next;
	size_t count, chunk;
	unsigned threads;
};

static inline bool stoker_share_take(struct stoker_share *share, size_t *begin, size_t *end)
{
	size_t at = atomic_load_explicit(&share->next, memory_order_relaxed), take;

	do {
		if (at >= share->count)
			return false;
		take = MAX((share->count - at) * 3 / (4 * (size_t)share->threads), share->chunk);
	} while (!atomic_compare_exchange_weak_explicit(
		&share->next, &at, at + take, memory_order_relaxed, memory_order_relaxed));
	*begin = at;
	*end = MIN(at + take, share->count);
	return true;
}

#endif
