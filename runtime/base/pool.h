/* SPDX-License-Identifier: MIT */
/* The thread pool: stoker_pool_run() shares a range of items out to its threads. */
#ifndef STOKER_POOL_H
#define STOKER_POOL_H

#include "base/base.h"

enum { STOKER_POOL_MAX_THREADS = 512 };

struct stoker_pool;

/*
 * @threads 0: as many as this process may really use, see base/cpus.h, or fewer where a limit on
 * threads stands in the way.
 */
int stoker_pool_create(unsigned threads, struct stoker_pool **pool, struct stoker_error *err);
void stoker_pool_destroy(struct stoker_pool **pool);
unsigned stoker_pool_threads(const struct stoker_pool *pool);

/* Threads that share runs at present: 1 while other programs take the CPUs, else all. */
unsigned stoker_pool_sharers(const struct stoker_pool *pool);

/*
 * Calls fn(context, thread, begin, end) for all of [0, count) in stretches of whole chunks.  Each
 * thread goes through an equal part from its front, half of the rest at a time, so that memory is
 * read in long stretches, which processors are good at; who is done takes half of what another has
 * left.  A thread that the scheduler doesn't let run isn't waited for unless it has begun.
 *
 * Runs of the same @work and @count are expected to take about as long.  Of short ones it is
 * measured whether they take less time alone: handing work to another core takes 1 to 3 us.
 *
 * One run at a time a pool; callers on several threads take turns.  A run from within a run, and
 * one in a process that was forked off, is done by the calling thread alone.
 */
typedef void stoker_range_fn(void *context, unsigned thread, size_t begin, size_t end);
void stoker_pool_run(struct stoker_pool *pool, size_t count, size_t chunk, size_t work,
		     stoker_range_fn *fn, void *context);

#endif
