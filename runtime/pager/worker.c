// SPDX-License-Identifier: MIT
/*
 * Who takes in reads and does steps: the pager's user where it has to wait anyway, and a thread of
 * the pager's own while the device computes.
 */
#include <signal.h>

#include "pager/internal.h"

static void wait_for_change(struct stoker_pager *p)
{
	p->waiting++;
	pthread_cond_wait(&p->changed, &p->lock);
	p->waiting--;
}

void help_or_wait(struct stoker_pager *p, struct slot *wanted)
{
	if (do_step(p, wanted, !wanted))
		return;
	const uint64_t began = stoker_now_ns();

	if (!wait_for_reads(p))
		wait_for_change(p);
	p->stats.stall_ns += stoker_now_ns() - began;
}

static void *work(void *argument)
{
	struct stoker_pager *p = argument;

	pthread_mutex_lock(&p->lock);
	while (!p->stop)
		if (!do_step(p, NULL, true) && !(p->store->ops->concurrent && wait_for_reads(p)))
			wait_for_change(p);
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

void start_worker(struct stoker_pager *p)
{
	sigset_t all, before;

	if (!has_steps(p))
		return;
	/* the program's signals are its own threads' business */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	p->has_worker = !pthread_create(&p->worker, NULL, work, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void stop_worker(struct stoker_pager *p)
{
	if (!p->has_worker)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	tell_waiting(p);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->worker, NULL);
	p->has_worker = false;
}
