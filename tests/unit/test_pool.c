// SPDX-License-Identifier: MIT
/* The thread pool: nothing lost, nobody waited for in vain, in every order of coming and going. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/idle.h"
#include "base/pool.h"
#include "base/sharing.h"
#include "unit.h"

struct counting {
	_Atomic uint64_t sum, broken;
};

static void count(void *context, unsigned thread, size_t begin, size_t end)
{
	struct counting *c = context;

	/* whole chunks only */
	atomic_fetch_add(&c->broken,
			 begin % 7 || (end % 7 && end != 1000 && end != 100) || thread >= 5);
	for (size_t i = begin; i < end; i++)
		atomic_fetch_add(&c->sum, i);
}

static void test_every_item_once(void)
{
	struct stoker_error err;

	for (unsigned threads = 1; threads <= 5; threads++) {
		struct stoker_pool *pool;

		CU_ASSERT_EQUAL_FATAL(stoker_pool_create(threads, &pool, &err), 0);
		CU_ASSERT_EQUAL(stoker_pool_threads(pool), threads);
		for (unsigned run = 0; run < 300; run++) {
			struct counting c = { 0 };

			stoker_pool_run(pool, 1000, 7, 0, count, &c);
			if (c.sum != 499500 || c.broken) {
				CU_FAIL("lost work");
				break;
			}
		}
		stoker_pool_destroy(&pool);
		CU_ASSERT_PTR_NULL(pool);
	}
}

struct holding {
	struct stoker_pool *pool;
	_Atomic size_t done;
};

/* The first call takes as long as all others together. */
static void hold_first(void *context, unsigned thread, size_t begin, size_t end)
{
	struct holding *h = context;

	(void)thread;
	while (begin == 0 && h->done + end < 100)
		sched_yield();
	h->done += end - begin;
}

static void test_shares_what_is_left(void)
{
	for (unsigned threads = 2; threads <= 4; threads++) {
		struct holding h = { 0 };

		CU_ASSERT_EQUAL_FATAL(stoker_pool_create(threads, &h.pool, NULL), 0);
		stoker_pool_run(h.pool, 100, 1, 0, hold_first, &h);
		CU_ASSERT_EQUAL(h.done, 100);
		stoker_pool_destroy(&h.pool);
	}
}

/* Returns NULL if nothing was lost. */
static void *run_many(void *pool)
{
	for (unsigned run = 0; run < 200; run++) {
		struct counting c = { 0 };

		stoker_pool_run(pool, 100, 7, 0, count, &c);
		if (c.sum != 4950)
			return pool;
	}
	return NULL;
}

static void test_callers_take_turns(void)
{
	struct stoker_pool *pool;
	pthread_t other;
	void *lost;

	CU_ASSERT_EQUAL_FATAL(stoker_pool_create(3, &pool, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, run_many, pool), 0);
	CU_ASSERT_PTR_NULL(run_many(pool));
	pthread_join(other, &lost);
	CU_ASSERT_PTR_NULL(lost);
	stoker_pool_destroy(&pool);
	CU_ASSERT(stoker_usable_cpus() >= 1);
	CU_ASSERT_EQUAL(stoker_pool_create(100000, &pool, NULL), -EINVAL);
}

enum { ITEMS = 257 };

struct tally {
	_Atomic unsigned done[ITEMS];
	unsigned run;
};

/* Now and then a thread gives its CPU away in the middle of its stretch. */
static void tally(void *context, unsigned thread, size_t begin, size_t end)
{
	struct tally *t = context;

	(void)thread;
	if ((begin + t->run) % 7 == 0)
		sched_yield();
	for (size_t i = begin; i < end; i++)
		atomic_fetch_add(&t->done[i], 1);
}

/* Each run has a context of its own, which is gone when a worker comes late. */
static void test_late_workers(void)
{
	const unsigned runs = SANITIZED ? 2000 : 20000;
	struct stoker_pool *pool;
	unsigned wrong = 0;

	CU_ASSERT_EQUAL_FATAL(stoker_pool_create(9, &pool, NULL), 0);
	for (unsigned run = 0; run < runs; run++) {
		const size_t count = 2 + run * 31 % (ITEMS - 1);
		struct tally *t = calloc(1, sizeof(*t));

		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		t->run = run;
		stoker_pool_run(pool, count, 1 + run % 3, 0, tally, t);
		for (size_t i = 0; i < ITEMS; i++)
			wrong += t->done[i] != (i < count);
		free(t);
		if (run % 500 == 0) /* they fall asleep */
			usleep(2000);
	}
	stoker_pool_destroy(&pool);
	CU_ASSERT_EQUAL(wrong, 0);
}

/*
 * Far more threads than CPUs: most are put aside at any time, and a run doesn't wait for those.  If
 * it did it would take a time slice or more, 1 ms at least.
 */
static void test_crowd(void)
{
	enum { RUNS = 1000 };
	const unsigned threads = MIN(16 + 4 * stoker_usable_cpus(), 256u);
	struct stoker_pool *pool;
	struct counting c = { 0 };
	uint64_t began;

	CU_ASSERT_EQUAL_FATAL(stoker_pool_create(threads, &pool, NULL), 0);
	began = stoker_now_ns();
	for (unsigned run = 0; run < RUNS; run++)
		stoker_pool_run(pool, 1000, 7, 0, count, &c);
	CU_ASSERT(SANITIZED || stoker_now_ns() - began < RUNS * 500000ull);
	stoker_pool_destroy(&pool);
	CU_ASSERT_EQUAL(c.sum, RUNS * 499500ull);
}

/* Long enough for the pool to try short ones alone and shared, and of more kinds than it remembers.
 */
static void test_short_runs_of_many_kinds(void)
{
	const uint64_t began = stoker_now_ns();
	struct stoker_pool *pool;
	uint64_t runs = 0, wrong = 0;

	CU_ASSERT_EQUAL_FATAL(stoker_pool_create(3, &pool, NULL), 0);
	do {
		struct counting c = { 0 };

		stoker_pool_run(pool, 100, 7, runs % 3 ? (size_t)runs << runs % 60 : 1000, count,
				&c);
		wrong += c.sum != 4950 || c.broken;
		runs++;
	} while (stoker_now_ns() - began < 250000000);
	stoker_pool_destroy(&pool);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(runs > 10);
}

struct nested {
	struct stoker_pool *pool;
	_Atomic uint64_t sum;
	_Atomic unsigned wrong;
	unsigned thread; /* of the outer run; used by one thread at a time */
};

static void inner(void *context, unsigned thread, size_t begin, size_t end)
{
	struct nested *n = context;

	n->wrong += thread != n->thread;
	n->sum += end - begin;
}

static void outer(void *context, unsigned thread, size_t begin, size_t end)
{
	struct nested *n = context;

	for (size_t i = begin; i < end; i++) {
		struct nested own = { .pool = n->pool, .thread = thread };

		stoker_pool_run(n->pool, 50, 1, 0, inner, &own);
		n->sum += own.sum;
		n->wrong += own.wrong;
	}
}

static void test_run_within_a_run(void)
{
	struct nested n = { 0 };

	CU_ASSERT_EQUAL_FATAL(stoker_pool_create(4, &n.pool, NULL), 0);
	for (unsigned run = 0; run < 50; run++)
		stoker_pool_run(n.pool, 40, 1, 0, outer, &n);
	stoker_pool_destroy(&n.pool);
	CU_ASSERT_EQUAL(n.sum, 50 * 40 * 50);
	CU_ASSERT_EQUAL(n.wrong, 0);
}

/* Destroyed while workers are still on their way into or out of a run, or haven't begun. */
static void test_many_pools(void)
{
	for (unsigned i = 0; i < 300; i++) {
		struct stoker_pool *pool;
		struct counting c = { 0 };

		CU_ASSERT_EQUAL_FATAL(stoker_pool_create(2 + i % 5, &pool, NULL), 0);
		for (unsigned run = 0; run < i % 3; run++)
			stoker_pool_run(pool, 100, 7, 0, count, &c);
		stoker_pool_destroy(&pool);
		CU_ASSERT_EQUAL(c.sum, i % 3 * 4950);
	}
}

static void *own_pool(void *argument)
{
	struct stoker_pool *pool;
	void *lost;

	if (stoker_pool_create(3, &pool, NULL))
		return argument;
	lost = run_many(pool);
	stoker_pool_destroy(&pool);
	return lost;
}

static void test_pools_side_by_side(void)
{
	pthread_t threads[6];
	void *lost;

	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, own_pool, threads), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &lost);
		CU_ASSERT_PTR_NULL(lost);
	}
}

/* A process that was forked off has none of the workers. */
static void test_forked(void)
{
	struct stoker_pool *pool;
	struct counting c = { 0 };
	int status = -1;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(stoker_pool_create(4, &pool, NULL), 0);
	stoker_pool_run(pool, 100, 7, 0, count, &c);
	child = fork();
	if (!child) {
		alarm(20);
		for (unsigned run = 0; run < 100; run++)
			stoker_pool_run(pool, 100, 7, 0, count, &c);
		stoker_pool_destroy(&pool);
		_exit(c.sum == 101 * 4950 ? 0 : 1);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(status, 0);
	stoker_pool_run(pool, 100, 7, 0, count, &c);
	CU_ASSERT_EQUAL(c.sum, 2 * 4950);
	stoker_pool_destroy(&pool);
}

enum { RUN_ALONE_NS = 100000 };

/* @runs runs on a clock of its own; returns how many of them were done alone. */
static unsigned runs_alone(struct sharing *s, uint64_t *now, unsigned runs, uint64_t shared_ns,
			   uint64_t waited_ns)
{
	unsigned alone = 0;

	for (unsigned i = 0; i < runs; i++) {
		const bool off = sharing_is_off(s, *now);
		const uint64_t took = off ? RUN_ALONE_NS : shared_ns;

		alone += off;
		*now += took;
		sharing_learn(s, *now, took, off ? 0 : waited_ns, off ? 0 : RUN_ALONE_NS);
	}
	return alone;
}

static uint64_t idle_ns;

static uint64_t read_idle_ns(void)
{
	return idle_ns;
}

/* What has been found slower is left off, and tried again for when it isn't any more. */
static void test_sharing_while_others_compute(void)
{
	struct sharing s = { .state = SHARING, .idle_ns = read_idle_ns };
	uint64_t now = 1;

	/* nobody else, then somebody who costs less than the threads bring */
	CU_ASSERT(runs_alone(&s, &now, 20000, 60000, 0) < 2000);
	CU_ASSERT(runs_alone(&s, &now, 20000, 80000, 20000) < 2000);
	/* more than they bring */
	runs_alone(&s, &now, 10000, 150000, 70000);
	CU_ASSERT(runs_alone(&s, &now, 50000, 150000, 70000) > 48000);
	/* the other program has ended: within a second or two */
	runs_alone(&s, &now, 20000, 60000, 0);
	CU_ASSERT(runs_alone(&s, &now, 20000, 60000, 0) < 2000);
}

/* While no CPU is idle, sharing is tried once in 8 s; when one is, within a second. */
static void test_sharing_on_a_full_machine(void)
{
	struct sharing s = { .state = SHARING, .idle_ns = read_idle_ns };
	uint64_t now = 1;

	idle_ns = 1000;
	runs_alone(&s, &now, 10000, 150000, 70000);
	/* 7 s, of which a trial takes up to 20 ms */
	CU_ASSERT(runs_alone(&s, &now, 70000, 150000, 70000) > 70000 - 2 * 20000 / 150);
	/* the other program has ended */
	for (unsigned i = 0; i < 10; i++) {
		runs_alone(&s, &now, 1000, 60000, 0);
		idle_ns += 50000000;
	}
	CU_ASSERT(runs_alone(&s, &now, 20000, 60000, 0) < 2000);
	/* it was nice all the time: threads may be worth it although no CPU is idle */
	s = (struct sharing){ .state = SHARING, .idle_ns = read_idle_ns };
	runs_alone(&s, &now, 10000, 150000, 70000);
	CU_ASSERT_EQUAL(s.state, ALONE);
	runs_alone(&s, &now, 100000, 60000, 0);
	CU_ASSERT(runs_alone(&s, &now, 20000, 60000, 0) < 2000);
	/* where the system doesn't say, trials go on as if there were idle ones */
	s = (struct sharing){ .state = SHARING, .idle_ns = read_idle_ns };
	idle_ns = STOKER_IDLE_UNKNOWN;
	runs_alone(&s, &now, 10000, 150000, 70000);
	CU_ASSERT_EQUAL(s.state, ALONE);
	runs_alone(&s, &now, 15000, 60000, 0);
	CU_ASSERT(runs_alone(&s, &now, 20000, 60000, 0) < 2000);
}

void suite_pool(void)
{
	TEST(test_every_item_once);
	TEST(test_shares_what_is_left);
	TEST(test_callers_take_turns);
	TEST(test_late_workers);
	TEST(test_crowd);
	TEST(test_short_runs_of_many_kinds);
	TEST(test_run_within_a_run);
	TEST(test_many_pools);
	TEST(test_pools_side_by_side);
	TEST(test_forked);
	TEST(test_sharing_while_others_compute);
	TEST(test_sharing_on_a_full_machine);
}
