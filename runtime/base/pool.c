// SPDX-License-Identifier: MIT
/* The thread pool: threads spin briefly for the next run, then sleep on a futex. */
#include "base/pool.h"

#include <linux/futex.h>
#include <numa.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 4000 }; /* some tens of microseconds: longer than the gap between two ops */

struct stoker_pool {
	unsigned threads;
	pthread_t *workers; /* threads - 1 of them */
	pthread_mutex_t turn;
	_Atomic uint32_t generation; /* of the current run; a futex */
	_Atomic uint32_t sleepers;
	_Atomic uint32_t busy; /* workers still in the run; a futex for the caller */
	_Atomic bool stop;
	void (*fn)(void *, unsigned);
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
		p->fn(p->context, index);
		if (atomic_fetch_sub_explicit(&p->busy, 1, memory_order_acq_rel) == 1)
			futex_wake(&p->busy, 1);
	}
}

void stoker_pool_run(struct stoker_pool *p, void (*fn)(void *, unsigned), void *context)
{
	uint32_t busy;

	if (p->threads == 1) {
		fn(context, 0);
		return;
	}
	pthread_mutex_lock(&p->turn);
	p->fn = fn;
	p->context = context;
	atomic_store_explicit(&p->busy, p->threads - 1, memory_order_relaxed);
	atomic_fetch_add(&p->generation, 1);
	if (atomic_load(&p->sleepers))
		futex_wake(&p->generation, INT32_MAX);
	fn(context, 0);
	for (unsigned i = 0; i < SPINS && atomic_load_explicit(&p->busy, memory_order_acquire); i++)
		relax();
	while ((busy = atomic_load_explicit(&p->busy, memory_order_acquire)))
		futex_wait(&p->busy, busy);
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
	sigset_t all, before;
	int ret;

	*out = NULL;
	if (!threads)
		threads = MIN(stoker_usable_cpus(), (unsigned)STOKER_POOL_MAX_THREADS);
	if (threads > STOKER_POOL_MAX_THREADS) {
		free(p);
		return stoker_fail(err, -EINVAL, "%u threads asked for, limit %d", threads,
				   STOKER_POOL_MAX_THREADS);
	}
	if (p)
		p->workers = calloc(threads, sizeof(*p->workers));
	if (!p || !p->workers) {
		free(p);
		return stoker_fail(err, -ENOMEM, "no memory for %u threads", threads);
	}
	pthread_mutex_init(&p->turn, NULL);
	p->threads = 1;
	/* the program's signals are its own threads' business */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 1; i < threads; i++) {
		struct worker *w = malloc(sizeof(*w));

		ret = ENOMEM;
		if (w) {
			*w = (struct worker){ .pool = p, .index = i };
			ret = pthread_create(&p->workers[i - 1], NULL, work, w);
		}
		if (ret) {
			pthread_sigmask(SIG_SETMASK, &before, NULL);
			free(w);
			stoker_pool_destroy(&p);
			return stoker_fail(err, -ret, "can't start thread %u of %u: %s", i + 1,
					   threads, strerror(ret));
		}
		place(p->workers[i - 1], i, threads);
		p->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
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
	free(p);
}

unsigned stoker_pool_threads(const struct stoker_pool *pool)
{
	return pool->threads;
}
