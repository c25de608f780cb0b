// SPDX-License-Identifier: MIT
/* The thread pool: threads spin briefly for the next run, then sleep on a futex. */
#include "base/pool.h"

#include <linux/futex.h>
#include <numa.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/thread.h"

enum { SPINS = 4000 }; /* 0.1 to 0.3 ms: longer than the gap between two ops */

/* Chunks that a thread has left: the end in the upper half, the first in the lower one. */
struct part {
	_Alignas(64) _Atomic uint64_t left;
};

struct stoker_pool {
	unsigned threads;
	pthread_t *workers; /* threads - 1 of them */
	struct part *parts; /* [threads] */
	pthread_mutex_t turn;
	_Atomic uint32_t generation; /* of the current run; a futex */
	_Atomic uint32_t sleepers;
	_Atomic uint32_t busy; /* workers still in the run; a futex for the caller, */
	_Atomic bool waiting;  /* which sleeps */
	_Atomic bool stop;
	size_t count, chunk;
	stoker_range_fn *fn;
	void *context;
};

struct worker {
	struct stoker_pool *pool;
	unsigned index;
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

static void futex_wake(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static uint32_t wait_for_run(struct stoker_pool *p, uint32_t seen)
{
	for (unsigned i = 0; i < SPINS; i++) {
		const uint32_t now = atomic_load_explicit(&p->generation, memory_order_acquire);

		if (now != seen)
			return now;
		relax();
	}
	atomic_fetch_add(&p->sleepers, 1);
	while (atomic_load(&p->generation) == seen)
		futex_wait(&p->generation, seen);
	atomic_fetch_sub(&p->sleepers, 1);
	return atomic_load(&p->generation);
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
static bool take(struct part *own, size_t *first, size_t *count)
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
static bool steal(struct stoker_pool *p, struct part *own)
{
	for (;;) {
		struct part *from = NULL;
		uint64_t most = 0;

		for (unsigned i = 0; i < p->threads; i++) {
			const uint64_t left =
				atomic_load_explicit(&p->parts[i].left, memory_order_relaxed);

			if (chunks_of(left) > chunks_of(most)) {
				from = &p->parts[i];
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

static void do_share(struct stoker_pool *p, unsigned thread)
{
	struct part *own = &p->parts[thread];
	size_t first, count;

	do
		while (take(own, &first, &count))
			p->fn(p->context, thread, first * p->chunk,
			      MIN((first + count) * p->chunk, p->count));
	while (steal(p, own));
}

static void *work(void *argument)
{
	struct worker *self = argument;
	struct stoker_pool *p = self->pool;
	const unsigned index = self->index;
	uint32_t seen = 0;

	free(self);
	for (;;) {
		seen = wait_for_run(p, seen);
		if (atomic_load(&p->stop))
			return NULL;
		do_share(p, index);
		if (atomic_fetch_sub(&p->busy, 1) == 1 && atomic_load(&p->waiting))
			futex_wake(&p->busy, 1);
	}
}

void stoker_pool_run(struct stoker_pool *p, size_t count, size_t chunk, stoker_range_fn *fn,
		     void *context)
{
	uint32_t busy;

	if (p->threads == 1 || count <= chunk) {
		fn(context, 0, 0, count);
		return;
	}
	chunk = MAX(chunk, count / UINT32_MAX + 1); /* they are counted in 32 bits */
	const uint64_t chunks = (count + chunk - 1) / chunk;

	pthread_mutex_lock(&p->turn);
	p->count = count;
	p->chunk = chunk;
	p->fn = fn;
	p->context = context;
	for (unsigned i = 0; i < p->threads; i++)
		atomic_store_explicit(&p->parts[i].left,
				      part_of(chunks * i / p->threads,
					      chunks * (i + 1) / p->threads),
				      memory_order_relaxed);
	atomic_store_explicit(&p->busy, p->threads - 1, memory_order_relaxed);
	atomic_fetch_add(&p->generation, 1);
	if (atomic_load(&p->sleepers))
		futex_wake(&p->generation, INT32_MAX);
	do_share(p, 0);
	for (unsigned i = 0; i < SPINS && atomic_load_explicit(&p->busy, memory_order_acquire); i++)
		relax();
	if (atomic_load_explicit(&p->busy, memory_order_acquire)) {
		atomic_store(&p->waiting, true);
		while ((busy = atomic_load(&p->busy)))
			futex_wait(&p->busy, busy);
		atomic_store(&p->waiting, false);
	}
	pthread_mutex_unlock(&p->turn);
}

/* "max 100000" or "200000 100000": quota and period in microseconds. */
static unsigned quota_of(const char *path)
{
	long quota, period;
	unsigned cpus = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (fscanf(f, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0)
		cpus = (unsigned)((quota + period - 1) / period);
	fclose(f);
	return cpus;
}

unsigned stoker_usable_cpus(void)
{
	char line[512], path[600];
	unsigned cpus = 1, quota;
	cpu_set_t set;
	FILE *f;

	if (!sched_getaffinity(0, sizeof(set), &set))
		cpus = (unsigned)CPU_COUNT(&set);
	quota = quota_of("/sys/fs/cgroup/cpu.max"); /* inside a container's own namespace */
	if (quota)
		cpus = MIN(cpus, quota);
	f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::/", 4))
			continue;
		line[strcspn(line, "\n")] = 0;
		/* every ancestor may carry a limit */
		for (char *end = line + strlen(line); end > line + 3; end = strrchr(line, '/')) {
			*end = 0;
			snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", line + 3);
			quota = quota_of(path);
			if (quota)
				cpus = MIN(cpus, quota);
		}
	}
	if (f)
		fclose(f);
	return MAX(cpus, 1u);
}

/*
 * Workers go to different CPUs of the caller's mask when there is one for each; the scheduler does
 * better than we could otherwise.  On several NUMA nodes they are spread evenly.
 */
static void place(pthread_t thread, unsigned index, unsigned threads)
{
	cpu_set_t allowed, one;
	int node_count, wanted;

	if (numa_available() < 0 || (node_count = numa_num_configured_nodes()) < 2)
		return;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) ||
	    (unsigned)CPU_COUNT(&allowed) < threads)
		return;
	wanted = (int)(index % (unsigned)node_count);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && numa_node_of_cpu(cpu) == wanted)
			CPU_SET(cpu, &one);
	if (CPU_COUNT(&one))
		pthread_setaffinity_np(thread, sizeof(one), &one);
}

int stoker_pool_create(unsigned threads, struct stoker_pool **out, struct stoker_error *err)
{
	struct stoker_pool *p = calloc(1, sizeof(*p));
	int ret;

	*out = NULL;
	if (!threads)
		threads = MIN(stoker_usable_cpus(), (unsigned)STOKER_POOL_MAX_THREADS);
	if (threads > STOKER_POOL_MAX_THREADS) {
		free(p);
		return stoker_fail(err, -EINVAL, "%u threads asked for, limit %d", threads,
				   STOKER_POOL_MAX_THREADS);
	}
	if (p) {
		p->workers = calloc(threads, sizeof(*p->workers));
		p->parts = aligned_alloc(sizeof(*p->parts), threads * sizeof(*p->parts));
	}
	if (!p || !p->workers || !p->parts) {
		if (p) {
			free(p->workers);
			free(p->parts);
		}
		free(p);
		return stoker_fail(err, -ENOMEM, "no memory for %u threads", threads);
	}
	pthread_mutex_init(&p->turn, NULL);
	p->threads = 1;
	for (unsigned i = 1; i < threads; i++) {
		struct worker *w = malloc(sizeof(*w));

		ret = ENOMEM;
		if (w) {
			*w = (struct worker){ .pool = p, .index = i };
			ret = stoker_thread_create(&p->workers[i - 1], work, w);
		}
		if (ret) {
			free(w);
			stoker_pool_destroy(&p);
			return stoker_fail(err, -ret, "can't start thread %u of %u: %s", i + 1,
					   threads, strerror(ret));
		}
		place(p->workers[i - 1], i, threads);
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
	atomic_store(&p->stop, true);
	atomic_fetch_add(&p->generation, 1);
	futex_wake(&p->generation, INT32_MAX);
	for (unsigned i = 0; i + 1 < p->threads; i++)
		pthread_join(p->workers[i], NULL);
	pthread_mutex_destroy(&p->turn);
	free(p->workers);
	free(p->parts);
	free(p);
}

unsigned stoker_pool_threads(const struct stoker_pool *pool)
{
	return pool->threads;
}
