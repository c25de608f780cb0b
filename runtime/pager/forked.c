// SPDX-License-Identifier: MIT
/*
 * The pager in a process that was forked off: its threads and the reads under way are the other
 * process's, and a thread that isn't here may have been changing what the lock guards.  So it
 * begins anew, with empty slots and a store of its own.
 */
#include "pager/internal.h"

bool pager_is_forked(const struct stoker_pager *p)
{
	return p->forks != p->device->forks;
}

static void empty_slots(struct slot_class *c)
{
	c->oldest = c->newest = c->away = NULL;
	for (uint32_t i = 0; i < c->count; i++) {
		struct slot *s = &c->slots[i];

		*s = (struct slot){ .memory = s->memory, .at = s->at };
		make_newest(c, s);
	}
	for (uint32_t i = 0; c->copies && i < c->copy_count; i++)
		c->copies[i].of = NULL;
}

static void empty_layer(struct pager_layer *l)
{
	for (uint32_t e = 0; l->resident && e < l->source.experts; e++)
		l->resident[e] = NULL;
	l->held = l->predicted_count = 0;
}

int pager_go_on(struct stoker_pager *p, struct stoker_error *err)
{
	struct stoker_store *store;
	int ret;

	if (!pager_is_forked(p))
		return 0;
	if (p->store->ops->arena_create)
		return stoker_fail(err, -ENOTSUP,
				   "experts are read by \"%s\" into memory that belongs to the "
				   "process that this one was forked off from",
				   p->store->ops->name);
	ret = stoker_store_open(p->store->ops->name, &store, err);
	if (ret)
		return ret;
	p->store = store; /* the other one is left to the other process */
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	pthread_cond_init(&p->called, NULL);
	p->waiting = p->idle = p->worker_count = 0;
	p->reaping = p->stop = false;
	p->reading = 0;
	p->work = p->last_work = NULL;
	p->last = p->next = NULL;
	p->failure_of = NULL;
	p->profile = NULL;
	p->stats.slots = p->stats.slot_bytes = 0;
	for (uint32_t i = 0; i < p->class_count; i++) {
		empty_slots(&p->classes[i]);
		p->stats.slots += p->classes[i].count;
		p->stats.slot_bytes += p->classes[i].count * p->classes[i].slot_bytes;
	}
	for (uint32_t i = 0; i < p->layer_count; i++)
		empty_layer(&p->layers[i]);
	rest_trial(p);
	p->forks = p->device->forks;
	start_workers(p, p->threads);
	return 0;
}
