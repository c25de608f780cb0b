// SPDX-License-Identifier: MIT
/*
 * The thread pool.  A run waits only for workers that came: each has a gate, which the caller opens
 * when there is work and closes when nothing is left.  A worker that the scheduler has put aside
 * before it came is not missed; one that is put aside in the middle of a stretch is waited for, and
 * when that costs more than it has been of use it's left alone for a while.  Whether runs are
 * shared at all beside other programs is decided in sharing.c.
 */
#include "base/pool.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/idle.h"
#include "base/process.h"
#include "base/run_times.h"
#include "base/sharing.h"
#include "base/thread.h"

enum {
	SPIN_NS = 50000, /* before the caller sleeps */
	GAP_NS = 200000, /* before a worker does: longer than the gap between two ops */
	PAUSES = 16,	 /* between two looks at the clock, 0.4 to 1 us */
	/* How a worker's use is accounted for; a time slice of the scheduler is 1 to 8 ms. */
	CREDIT_NS = 10000000,
	TRIAL_NS = 200000, /* credit of a worker that comes back */
	RUN_NS = 1000,	   /* what sharing a run costs, */
	WAKE_NS = 50000,   /* and waking a worker, which may then spin in vain */
	ASIDE_MAX_NS = 400000000,
};

/* What a gate says; the worker sleeps on it, or the caller that waits for the worker. */
enum gate {
	CLOSED,
	ASLEEP, /* closed, and the worker has to be woken */
	OPEN,
	INSIDE,
	AWAITED, /* inside, and the caller has to be woken */
	STOP,
};

struct job {
	size_t count, chunk;
	stoker_range_fn *fn;
	void *context;
};

/*
 * What a thread is told and what it has left to do: in one cache line, so that a run starts by
 * handing over one line to each worker.  The job is the worker's while it is inside.
 */
struct share {
	_Alignas(64) struct job job;
	_Atomic uint64_t left; /* chunks: the end in the upper half, the first in the lower */
	_Atomic uint32_t gate; /* a futex */
	uint32_t done;	       /* chunks, in the worker's last run */
};

/* What the caller knows of a worker. */
struct worker {
	struct stoker_pool *pool;
	struct stoker_thread thread;
	int64_t credit;	   /* time it has saved less time that it cost */
	uint64_t waited;   /* for it at the end of this run */
	uint64_t aside;	   /* for how long it was or will be left alone */
	uint64_t back;	   /* when it is asked again */
	bool asked, woken; /* in this run */
};

struct stoker_pool {
	unsigned threads;
	struct share *shares;	/* [threads], of which the first is the caller's */
	struct worker *workers; /* [threads], of which the first is unused */
	pthread_mutex_t turn;
	struct run_times times;
	struct sharing sharing;
	uint64_t now;		     /* as of the last look at the clock */
	_Atomic uintptr_t caller;    /* the thread whose turn it is */
	_Atomic bool alone;	     /* runs aren't shared at present */
	struct process_mark process; /* one that was forked off has no workers */
};

/* What happened in a run. */
struct outcome {
	unsigned asked;	 /* workers */
	bool woken;	 /* some of them had to be */
	uint64_t waited; /* for those that came */
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static uint64_t part_of(uint64_t first, uint64_t end)
{
	return end << 32 | first;
}

static uint32_t chunks_of(uint64_t part)
{
	return (uint32_t)(part >> 32) - (uint32_t)part;
}

/* The next chunks of the thread's own part: fewer and fewer, so that the rest can be stolen. */
static bool take(struct share *own, size_t *first, size_t *count)
{
	uint64_t left = atomic_load_explicit(&own->left, memory_order_relaxed);

	do {
		if (!chunks_of(left))
			return false;
		*first = (uint32_t)left;
		*count = (chunks_of(left) + 1) / 2;
	} while (!atomic_compare_exchange_weak_explicit(
		&own->left, &left, left + *count, memory_order_relaxed, memory_order_relaxed));
	return true;
}

/* The second half of the part of which most is left becomes the thread's own. */
static bool steal(struct stoker_pool *p, struct share *own)
{
	for (;;) {
		struct share *from = NULL;
		uint64_t most = 0;

		for (unsigned i = 0; i < p->threads; i++) {
			const uint64_t left =
				atomic_load_explicit(&p->shares[i].left, memory_order_relaxed);

			if (chunks_of(left) > chunks_of(most)) {
				from = &p->shares[i];
				most = left;
			}
		}
		if (!from)
			return false;
		const uint64_t end = most >> 32, half = end - (chunks_of(most) + 1) / 2;

		if (!atomic_compare_exchange_strong_explicit(
			    &from->left, &most, part_of((uint32_t)most, half), memory_order_relaxed,
			    memory_order_relaxed))
			continue;
		atomic_store_explicit(&own->left, part_of(half, end), memory_order_relaxed);
		return true;
	}
}

/* Returns when nothing is left that no thread has taken, with how many chunks it has done. */
static uint32_t do_share(struct stoker_pool *p, unsigned thread)
{
	struct share *own = &p->shares[thread];
	const struct job *j = &own->job;
	size_t first, count;
	uint32_t done = 0;

	do
		while (take(own, &first, &count)) {
			j->fn(j->context, thread, first * j->chunk,
			      MIN((first + count) * j->chunk, j->count));
			done += (uint32_t)count;
		}
	while (steal(p, own));
	return done;
}

/* Until the gate isn't closed. */
static void wait_at_gate(_Atomic uint32_t *gate)
{
	const uint64_t began = stoker_now_ns();
	uint32_t closed = CLOSED;

	do
		for (unsigned i = 0; i < PAUSES; i++) {
			if (atomic_load_explicit(gate, memory_order_relaxed) != CLOSED)
				return;
			relax();
		}
	while (stoker_now_ns() - began < GAP_NS);
	if (!atomic_compare_exchange_strong(gate, &closed, ASLEEP))
		return;
	while (atomic_load_explicit(gate, memory_order_relaxed) == ASLEEP)
		futex_wait(gate, ASLEEP);
}

static void *work(void *argument)
{
	const struct worker *self = argument;
	struct stoker_pool *p = self->pool;
	const unsigned index = (unsigned)(self - p->workers);
	struct share *own = &p->shares[index];
	_Atomic uint32_t *gate = &own->gate;

	for (;;) {
		uint32_t open = OPEN;

		wait_at_gate(gate);
		if (atomic_compare_exchange_strong_explicit(
			    gate, &open, INSIDE, memory_order_acquire, memory_order_relaxed)) {
			own->done = do_share(p, index);
			if (atomic_exchange_explicit(gate, CLOSED, memory_order_release) == AWAITED)
				futex_wake(gate);
		} else if (open == STOP) {
			return NULL;
		}
	}
}

static bool inside(uint32_t gate)
{
	return gate == INSIDE || gate == AWAITED;
}

static bool spin_for(_Atomic uint32_t *gate)
{
	for (unsigned i = 0; i < PAUSES; i++) {
		if (!inside(atomic_load_explicit(gate, memory_order_acquire)))
			return true;
		relax();
	}
	return false;
}

/* Until the worker isn't inside.  Returns for how long; 0 where it wasn't worth a look at the
 * clock. */
static uint64_t wait_for(_Atomic uint32_t *gate)
{
	uint32_t now = INSIDE;

	if (spin_for(gate))
		return 0;

	const uint64_t began = stoker_now_ns();

	do
		if (spin_for(gate))
			return stoker_now_ns() - began;
	while (stoker_now_ns() - began < SPIN_NS);
	/* its CPU may be another's for a while: it can have this one */
	atomic_compare_exchange_strong(gate, &now, AWAITED);
	while (inside(atomic_load_explicit(gate, memory_order_acquire)))
		futex_wait(gate, AWAITED);
	return stoker_now_ns() - began;
}

/*
 * A worker has to be worth waiting for.  What it saved is credited, up to a few time slices, less
 * what it cost and was waited for; when nothing remains it's left alone, the longer the sooner it
 * happens again.
 */
static void account(struct worker *w, int64_t gained, uint64_t now)
{
	if (gained > 0)
		w->aside -= MIN(w->aside, (uint64_t)gained / 2);
	w->credit = MIN(w->credit + gained, (int64_t)CREDIT_NS);
	if (w->credit >= 0)
		return;
	w->aside = MIN(2 * w->aside + 4 * (uint64_t)-w->credit, (uint64_t)ASIDE_MAX_NS);
	w->back = now + w->aside;
	w->credit = TRIAL_NS;
}

/* Which workers are asked in a run that begins now. */
static unsigned ask(struct stoker_pool *p, uint64_t now)
{
	unsigned asked = 0;

	for (unsigned i = 1; i < p->threads; i++) {
		p->workers[i].asked = p->workers[i].back <= now;
		asked += p->workers[i].asked;
	}
	return asked;
}

/* True: some had to be woken. */
static bool open_gates(struct stoker_pool *p, const struct job *job, unsigned threads)
{
	const uint64_t chunks = (job->count + job->chunk - 1) / job->chunk;
	unsigned at = 0;
	bool woken = false;

	for (unsigned i = 0; i < p->threads; i++) {
		struct share *s = &p->shares[i];

		if (i && !p->workers[i].asked)
			continue;
		s->job = *job;
		atomic_store_explicit(&s->left,
				      part_of(chunks * at / threads, chunks * (at + 1) / threads),
				      memory_order_relaxed);
		at++;
	}
	for (unsigned i = 1; i < p->threads; i++) {
		struct worker *w = &p->workers[i];

		if (!w->asked)
			continue;
		w->woken = atomic_exchange(&p->shares[i].gate, OPEN) == ASLEEP;
		if (w->woken)
			futex_wake(&p->shares[i].gate);
		woken |= w->woken;
	}
	return woken;
}

/* False: it hasn't come, and can't any more. */
static bool came(_Atomic uint32_t *gate)
{
	uint32_t now = atomic_load_explicit(gate, memory_order_acquire);

	if (now == OPEN)
		return !atomic_compare_exchange_strong(gate, &now, CLOSED);
	return true;
}

/* Nothing is left: whoever hasn't come isn't waited for.  Returns for how long the others were. */
static uint64_t close_gates(struct stoker_pool *p)
{
	uint64_t waited = 0;

	for (unsigned i = 1; i < p->threads; i++) {
		struct worker *w = &p->workers[i];
		struct share *s = &p->shares[i];

		if (!w->asked)
			continue;
		if (came(&s->gate))
			w->waited = wait_for(&s->gate);
		else
			w->waited = s->done = 0;
		waited += w->waited;
	}
	return waited;
}

/*
 * Of @weight runs like one that has just ended, in which the caller was busy for @share.  Returns
 * for how long it waited for workers that had been put aside.
 */
static uint64_t account_all(struct stoker_pool *p, unsigned asked, uint64_t share, unsigned weight)
{
	uint64_t put_aside = 0, done = p->shares[0].done;

	for (unsigned i = 1; i < p->threads; i++)
		done += p->workers[i].asked ? p->shares[i].done : 0;
	for (unsigned i = 1; i < p->threads; i++) {
		struct worker *w = &p->workers[i];
		int64_t cost = RUN_NS + (w->woken ? WAKE_NS : 0), late = 0;
		double saved;

		if (!w->asked)
			continue;
		/* somebody has to be the last; only who is very late is to blame for that */
		if (w->waited < SPIN_NS)
			cost += (int64_t)w->waited;
		else
			late = (int64_t)w->waited;
		put_aside += (uint64_t)late;
		/* in which its part of the work would have been the caller's */
		saved = (double)share * (asked + 1) * p->shares[i].done / (double)done;
		cost -= MIN((int64_t)share, (int64_t)saved);
		account(w, -cost * (int64_t)weight / (int64_t)asked - late, p->now);
	}
	return put_aside;
}

static uintptr_t own_id(void)
{
	return (uintptr_t)pthread_self();
}

/* The thread's number in a run of this pool that it is part of; -1: in none. */
static int number_of_self(const struct stoker_pool *p)
{
	if (atomic_load_explicit(&p->caller, memory_order_relaxed) == own_id())
		return 0;
	for (unsigned i = 1; i < p->threads; i++)
		if (pthread_equal(p->workers[i].thread.id, pthread_self()))
			return (int)i;
	return -1;
}

/* False: the thread has its turn already, and is thread @number of that run. */
static bool wait_for_turn(struct stoker_pool *p, int *number)
{
	if (pthread_mutex_trylock(&p->turn)) {
		*number = number_of_self(p);
		if (*number >= 0)
			return false;
		pthread_mutex_lock(&p->turn);
	}
	atomic_store_explicit(&p->caller, own_id(), memory_order_relaxed);
	return true;
}

static void end_turn(struct stoker_pool *p)
{
	atomic_store_explicit(&p->caller, 0, memory_order_relaxed);
	pthread_mutex_unlock(&p->turn);
}

/* What there is to learn from a run; @began: 0 when it wasn't timed. */
static void learn_from(struct stoker_pool *p, struct run_kind *kind, uint64_t began,
		       unsigned weight, const struct outcome *o)
{
	uint64_t took, share, put_aside = 0;

	p->now = stoker_now_ns();
	took = began ? p->now - began : kind->ns[!!o->asked] + o->waited;
	if (began && !o->woken)
		run_learn(kind, o->asked, took);
	/* for a while of which it may have been put aside itself */
	share = took - o->waited;
	if (kind->ns[!!o->asked])
		share = MIN(share, 2 * kind->ns[!!o->asked]);
	if (o->asked)
		put_aside = account_all(p, o->asked, share, weight);
	if (weight > 1)
		took = weight * (share + o->waited);
	sharing_learn(&p->sharing, p->now, took, put_aside,
		      o->asked ? weight * kind->ns[false] : 0);
}

/* When it's the caller's turn. */
static void run_in_turn(struct stoker_pool *p, const struct job *job, size_t work)
{
	struct run_kind *kind = run_times_find(&p->times, work, job->count);
	struct outcome o = { .asked = 0 };
	const bool off = sharing_is_off(&p->sharing, p->now);
	unsigned weight;
	const bool timed = run_is_sampled(kind, off && p->sharing.state == ALONE, &weight);
	uint64_t began = 0;

	atomic_store_explicit(&p->alone, off, memory_order_relaxed);
	if (timed)
		p->now = began = stoker_now_ns();
	if (!off && !run_is_better_alone(kind, p->now))
		o.asked = ask(p, p->now);
	if (o.asked) {
		o.woken = open_gates(p, job, o.asked + 1);
		p->shares[0].done = do_share(p, 0);
		o.waited = close_gates(p);
	} else {
		job->fn(job->context, 0, 0, job->count);
	}
	if (o.woken || o.waited >= SPIN_NS)
		learn_from(p, kind, began, 1, &o);
	else if (timed)
		learn_from(p, kind, began, weight, &o);
}

void stoker_pool_run(struct stoker_pool *p, size_t count, size_t chunk, size_t work,
		     stoker_range_fn *fn, void *context)
{
	/* they are counted in 32 bits */
	const struct job job = { .count = count,
				 .chunk = MAX(chunk, count / UINT32_MAX + 1),
				 .fn = fn,
				 .context = context };
	int number = 0;

	if (p->threads == 1 || count <= chunk || !process_mark_is_here(&p->process) ||
	    !wait_for_turn(p, &number)) {
		fn(context, (unsigned)number, 0, count);
		return;
	}
	run_in_turn(p, &job, work);
	end_turn(p);
}

/* Frees all but the threads. */
static void free_pool(struct stoker_pool *p)
{
	process_mark_free(&p->process);
	free(p->workers);
	free(p->shares);
	free(p);
}

static struct stoker_pool *allocate(unsigned threads)
{
	struct stoker_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->workers = calloc(threads, sizeof(*p->workers));
	p->shares = aligned_alloc(sizeof(*p->shares), threads * sizeof(*p->shares));
	if (!p->workers || !p->shares || !process_mark_make(&p->process)) {
		free_pool(p);
		return NULL;
	}
	memset(p->shares, 0, threads * sizeof(*p->shares));
	return p;
}

int stoker_pool_create(unsigned threads, struct stoker_pool **out, struct stoker_error *err)
{
	const bool any = !threads;
	struct stoker_pool *p;
	int ret;

	*out = NULL;
	if (any)
		threads = MIN(stoker_usable_cpus(), (unsigned)STOKER_POOL_MAX_THREADS);
	if (threads > STOKER_POOL_MAX_THREADS)
		return stoker_fail(err, -EINVAL, "%u threads asked for, limit %d", threads,
				   STOKER_POOL_MAX_THREADS);
	p = allocate(threads);
	if (!p)
		return stoker_fail(err, -ENOMEM, "no memory for %u threads", threads);
	p->sharing.idle_ns = stoker_idle_ns;
	pthread_mutex_init(&p->turn, NULL);
	p->threads = 1;
	for (unsigned i = 1; i < threads; i++) {
		struct worker *w = &p->workers[i];

		w->pool = p;
		w->credit = TRIAL_NS;
		ret = stoker_thread_create(&w->thread, work, w);
		if (ret == EAGAIN && any)
			break; /* as many as a limit on threads allows */
		if (ret) {
			stoker_pool_destroy(&p);
			return stoker_fail(err, -ret, "can't start thread %u of %u: %s", i + 1,
					   threads, stoker_strerror(ret));
		}
		stoker_thread_place(&w->thread, i, threads);
		p->threads++;
	}
	*out = p;
	return 0;
}

void stoker_pool_destroy(struct stoker_pool **pool)
{
	struct stoker_pool *p = *pool;

	if (!p)
		return;
	*pool = NULL;
	if (process_mark_is_here(&p->process)) {
		for (unsigned i = 1; i < p->threads; i++)
			if (atomic_exchange(&p->shares[i].gate, STOP) == ASLEEP)
				futex_wake(&p->shares[i].gate);
		for (unsigned i = 1; i < p->threads; i++)
			stoker_thread_join(&p->workers[i].thread);
		pthread_mutex_destroy(&p->turn);
	}
	free_pool(p);
}

unsigned stoker_pool_threads(const struct stoker_pool *pool)
{
	return pool->threads;
}

unsigned stoker_pool_sharers(const struct stoker_pool *pool)
{
	return atomic_load_explicit(&pool->alone, memory_order_relaxed) ? 1 : pool->threads;
}
