// SPDX-License-Identifier: MIT
/* Experts acquired, read, given out and released: see pager.h. */
#include "pager/internal.h"

/* Not among those that are wanted right now. */
static bool is_spare(const struct slot *s)
{
	return slot_is_free(s) && !(s->layer && s->wave == s->layer->pager->waves);
}

/* Not wanted, and with nothing under way but a step. */
static bool is_only_working(const struct slot *s)
{
	return !s->users && !s->pending;
}

static bool is_unused(const struct slot *s)
{
	return !s->users;
}

/* A slot that may hold something else, after waiting for one if need be; NULL: all are in use. */
static struct slot *find_room(struct pager_layer *l)
{
	struct slot *s = choose_victim(l, is_spare);

	if (!s)
		s = choose_victim(l, slot_is_free);
	/* what was begun for others and isn't needed any more becomes free */
	while (!s) {
		struct slot *other = choose_victim(l, is_only_working);

		if (other) {
			wait_for_step(l->pager, other);
			return other;
		}
		other = choose_victim(l, is_unused);
		if (!other)
			return NULL;
		put_off_steps(other);
		help_or_wait(l->pager, other);
		s = choose_victim(l, slot_is_free);
	}
	return s;
}

/* Whether a read failed, and not because nobody wanted it. */
static bool is_broken(const struct slot *s)
{
	return s && s->failed && s->failed != -ECANCELED && !s->users;
}

/* The slot that holds an expert or is going to, without what failed; NULL: there is none. */
static struct slot *find_expert(struct pager_layer *l, uint32_t expert)
{
	struct slot *s = l->resident[expert];

	while (is_broken(s) && s->pending) {
		put_off_steps(s); /* all of it is read again */
		help_or_wait(l->pager, s);
	}
	if (is_broken(s))
		wait_for_step(l->pager, s);
	if (is_broken(s)) {
		forget_slot(s); /* tried again */
		s = NULL;
	}
	return s;
}

/* Has an expert brought into a slot and keeps it; false: there is no room. */
static bool acquire_one(struct pager_layer *l, uint32_t expert, struct store_read **reads,
			uint32_t *read_count)
{
	struct stoker_pager *p = l->pager;
	struct slot *s = find_expert(l, expert);

	if (s && !reserve_copy(l, s))
		return false;
	if (s) {
		p->stats.hits++;
		p->stats.prefetched_used += s->prefetched;
		s->prefetched = false;
		*read_count += read_rest(s, reads + *read_count);
		retry_steps(s);
	} else {
		s = find_room(l);
		if (!s)
			return false;
		forget_slot(s);
		if (!reserve_copy(l, s))
			return false;
		p->stats.misses++;
		*read_count += fill_slot(s, l, expert, reads + *read_count);
	}
	s->users++;
	s->wave = p->waves;
	count_use(l, expert);
	unlink_slot(l->class, s);
	make_newest(l->class, s);
	return true;
}

static int by_place(const void *a, const void *b)
{
	const struct store_read *x = *(struct store_read *const *)a;
	const struct store_read *y = *(struct store_read *const *)b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

uint32_t pager_acquire(struct stoker_pager *p, uint32_t layer, const uint32_t *experts,
		       uint32_t count)
{
	struct pager_layer *l = &p->layers[layer];
	struct store_read *reads[64 * PAGER_SLICES];
	uint32_t read_count = 0, taken = 0;

	pthread_mutex_lock(&p->lock);
	take_completions(p);
	p->waves++;
	p->last = l;
	if (p->next == l)
		p->next = NULL;
	judge_prediction(l, experts, count);
	withdraw_prefetched(p);
	for (uint32_t i = 0; i < count; i++)
		if (l->resident[experts[i]])
			l->resident[experts[i]]->wave = p->waves;
	while (taken < count && read_count + PAGER_SLICES <= ARRAY_SIZE(reads) &&
	       acquire_one(l, experts[taken], reads, &read_count))
		taken++;
	if (read_count) {
		qsort(reads, read_count, sizeof(struct store_read *), by_place);
		send_reads(p, reads, read_count, STORE_DEMAND);
	}
	if (taken == count && p->next)
		read_predicted(p);
	else if (taken == count && pager_scans(l))
		predict_all(l);
	pthread_mutex_unlock(&p->lock);
	return taken;
}

uint32_t pager_room(struct stoker_pager *p, uint32_t layer)
{
	const struct slot_class *c = p->layers[layer].class;

	return c->copies ? MIN(c->count, c->copy_count) : c->count;
}

/* Whether the device can take what is in a slot as it is now. */
static bool is_there(const struct slot *s)
{
	return slot_is_settled(s) && !s->failed && !s->undone &&
	       (!s->layer->class->copies || s->copy);
}

bool pager_has(struct stoker_pager *p, uint32_t layer, uint32_t expert)
{
	const struct slot *s;
	bool has;

	pthread_mutex_lock(&p->lock);
	s = p->layers[layer].resident[expert];
	has = s && is_there(s);
	pthread_mutex_unlock(&p->lock);
	return has;
}

bool pager_ready(struct stoker_pager *p, uint32_t layer, uint32_t expert)
{
	struct slot *s;
	bool ready;

	pthread_mutex_lock(&p->lock);
	take_completions(p);
	s = p->layers[layer].resident[expert];
	if (!workers_help(p)) {
		/* computing is short: pager_get() prepares sooner than another wave begins */
		ready = s->pending == 0;
	} else {
		while (!p->worker_count && s->todo)
			do_step(p, s); /* nobody else does them meanwhile */
		ready = slot_is_settled(s);
	}
	pthread_mutex_unlock(&p->lock);
	return ready;
}

static int step_failed(const struct slot *s, struct stoker_error *err)
{
	const int slice = __builtin_ctz(s->undone) / PAGER_PARTS;
	const struct stoker_pager *p = s->layer->pager;
	/* another expert's may have come after it */
	const char *why = p->failure_of == s ? p->failure.message
					     : stoker_strerror(-s->failed_step);

	return stoker_fail(err, s->failed_step, "%s: expert %u of layer %u: %s",
			   s->layer->source.slice[slice].file->path, s->expert, s->layer->number,
			   why);
}

int pager_get(struct stoker_pager *p, uint32_t layer, uint32_t expert, struct stoker_expert *at,
	      struct stoker_error *err)
{
	struct slot *s;
	int ret = 0;

	pthread_mutex_lock(&p->lock);
	s = p->layers[layer].resident[expert];
	assert(s->users);
	while (!slot_is_settled(s))
		help_or_wait(p, s);
	if (s->failed)
		ret = read_failed(s, err);
	else if (s->undone)
		ret = step_failed(s, err);
	const stoker_address begin = s->copy ? s->copy->at : s->at;

	*at = (struct stoker_expert){
		.gate = begin + s->inner[0],
		.up = begin + s->inner[1],
		.down = begin + s->inner[2],
	};
	pthread_mutex_unlock(&p->lock);
	return ret;
}

void pager_release(struct stoker_pager *p, uint32_t layer, uint32_t expert)
{
	struct pager_layer *l = &p->layers[layer];
	struct slot *s;

	pthread_mutex_lock(&p->lock);
	s = l->resident[expert];
	assert(s->users);
	s->users--;
	s->wave = s->users ? s->wave : 0;
	if (is_broken(s) && slot_is_free(s)) {
		forget_slot(s);
		unlink_slot(l->class, s);
		make_oldest(l->class, s);
	}
	if (p->next && pager_scans(p->next))
		read_predicted(p);
	pthread_mutex_unlock(&p->lock);
}

void pager_predict(struct stoker_pager *p, uint32_t layer, const uint32_t *experts, uint32_t count,
		   bool now)
{
	struct pager_layer *l = &p->layers[layer];

	pthread_mutex_lock(&p->lock);
	l->predicted_count = MIN(count, l->source.experts);
	memcpy(l->predicted, experts, l->predicted_count * sizeof(*experts));
	p->next = l;
	if (now)
		read_predicted(p);
	pthread_mutex_unlock(&p->lock);
}

bool pager_begin(struct stoker_pager *p, uint32_t rows)
{
	bool prefetches;

	pthread_mutex_lock(&p->lock);
	p->profile = p->device->profile;
	p->rows = rows;
	p->next = NULL;
	mind_pressure(p);
	prefetches = begin_trial(p);
	pthread_mutex_unlock(&p->lock);
	return prefetches;
}

void pager_end(struct stoker_pager *p, bool good)
{
	pthread_mutex_lock(&p->lock);
	if (good)
		end_trial(p);
	p->profile = NULL; /* it may go before the next batch */
	pthread_mutex_unlock(&p->lock);
}

struct pager_stats pager_stats(struct stoker_pager *p)
{
	struct pager_stats stats;

	if (pager_is_forked(p))
		return p->stats; /* whoever holds the lock may not be here */
	pthread_mutex_lock(&p->lock);
	stats = p->stats;
	pthread_mutex_unlock(&p->lock);
	return stats;
}
