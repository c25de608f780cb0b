// SPDX-License-Identifier: MIT
/*
 * Who takes in reads and does steps: the pager's user where it has to wait anyway, and threads of
 * the pager's own while the device computes.
 */
#include "base/thread.h"
#include "pager/internal.h"

static void wait_for_change(struct stoker_pager *p)
{
	p->waiting++;
	pthread_cond_wait(&p->changed, &p->lock);
	p->waiting--;
}

/* Until another thread has got further, or with @reads until one has been read. */
static void stall(struct stoker_pager *p, bool reads)
{
	const uint64_t began = stoker_now_ns();

	if (!reads || !wait_for_reads(p))
		wait_for_change(p);
	const uint64_t end = stoker_now_ns();

	p->stats.stall_ns += end - began;
	profile_add(p->profile, PROFILE_PAGER, "wait", NULL, began, end);
}

void help_or_wait(struct stoker_pager *p, struct slot *wanted)
{
	/* a read that has nothing to do with it may take long */
	if (!(wanted && do_matrix(p, wanted)) && !do_step(p, wanted))
		stall(p, wanted->pending > 0);
}

void wait_for_step(struct stoker_pager *p, struct slot *s)
{
	put_off_steps(s);
	while (s->working) {
		stall(p, false);
		put_off_steps(s);
	}
}

static void *work(void *argument)
{
	struct stoker_pager *p = argument;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		if (workers_help(p) &&
		    (do_step(p, NULL) || (p->store->ops->concurrent && wait_for_reads(p))))
			continue;
		p->idle++;
		pthread_cond_wait(&p->called, &p->lock);
		p->idle--;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Whether anything is ever to be done with what was read. */
static bool has_steps(const struct stoker_pager *p)
{
	bool any = !p->device->shares_memory;

	for (uint32_t i = 0; i < p->layer_count; i++)
		for (int k = 0; k < PAGER_SLICES; k++)
			any = any || p->layers[i].source.slice[k].shape;
	return any;
}

void start_workers(struct stoker_pager *p, uint32_t count)
{
	count = has_steps(p) ? MIN(count, (uint32_t)PAGER_THREADS) : 0;
	while (p->worker_count < count &&
	       !stoker_thread_create(&p->workers[p->worker_count], work, p))
		p->worker_count++;
}

void stop_workers(struct stoker_pager *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	tell_waiting(p);
	pthread_mutex_unlock(&p->lock);
	while (p->worker_count)
		stoker_thread_join(&p->workers[--p->worker_count]);
}
