// SPDX-License-Identifier: MIT
/*
 * What is done with matrices between being read and being used: they are prepared for the device,
 * or copied to its own memory.  Slots with something to do are in a list; any thread takes from it.
 */
#include "pager/internal.h"

void tell_waiting(struct stoker_pager *p)
{
	if (p->waiting)
		pthread_cond_broadcast(&p->changed);
	if (p->idle && workers_help(p))
		pthread_cond_broadcast(&p->called);
}

/* How many steps a matrix takes. */
static uint32_t steps_of(const struct slot *s, int slice)
{
	if (!s->layer->source.slice[slice].bytes)
		return 0;
	if (s->layer->class->copies)
		return s->copy ? 1 : 0;
	return s->layer->source.slice[slice].shape ? PAGER_PARTS : 0;
}

static void queue_work(struct slot *s)
{
	struct stoker_pager *p = s->layer->pager;

	if (!s->todo)
		return;
	if (!s->queued) {
		s->queued = true;
		s->next_work = NULL;
		*(p->work ? &p->last_work->next_work : &p->work) = s;
		p->last_work = s;
	}
	tell_waiting(p);
}

void add_steps(struct slot *s, uint32_t slices)
{
	for (int i = 0; i < PAGER_SLICES; i++)
		if (slices & 1u << i)
			s->todo |= ((1u << steps_of(s, i)) - 1) << (i * PAGER_PARTS);
	queue_work(s);
}

void retry_steps(struct slot *s)
{
	s->todo |= s->undone;
	s->undone = 0;
	queue_work(s);
}

void put_off_steps(struct slot *s)
{
	s->undone |= s->todo;
	s->todo = 0;
	s->steps_began = 0;
}

/* The slot whose step comes next; those without any leave the list. */
static struct slot *next_slot(struct stoker_pager *p, struct slot *wanted)
{
	struct slot *first = NULL, *last = NULL;

	if (wanted && wanted->todo)
		return wanted;
	for (struct slot **at = &p->work; *at;) {
		struct slot *s = *at;

		if (!s->todo) {
			*at = s->next_work;
			s->queued = false;
			continue;
		}
		if ((s->users || !wanted) && (!first || (s->users && !first->users)))
			first = s;
		last = s;
		at = &s->next_work;
	}
	p->last_work = last;
	return first;
}

/* All of an expert's are one event, as a prompt brings in thousands of experts. */
static void profile_steps(struct stoker_pager *p, struct slot *s)
{
	if (s->steps_began && slot_is_settled(s)) {
		profile_add(p->profile, PROFILE_STEPS, s->copy ? "copy" : "layout", NULL,
			    s->steps_began, stoker_now_ns());
		s->steps_began = 0;
	}
}

/* What came of steps with these bits, which another thread may have waited for. */
static void end_steps(struct stoker_pager *p, struct slot *s, uint32_t bits, int ret,
		      const struct stoker_error *err)
{
	s->working--;
	if (ret) {
		s->undone |= bits;
		s->failed_step = ret;
		p->failure = *err;
		p->failure_of = s;
	}
	profile_steps(p, s);
	if (!s->working)
		tell_waiting(p);
}

bool do_matrix(struct stoker_pager *p, struct slot *s)
{
	const uint32_t whole = (1u << PAGER_PARTS) - 1;
	struct stoker_error err = { "" };
	int i = 0, ret;

	while (i < PAGER_SLICES && (s->todo >> i * PAGER_PARTS & whole) != whole)
		i++;
	if (i == PAGER_SLICES || s->copy || !p->steps.prepare_whole)
		return false;
	if (!s->steps_began)
		s->steps_began = profile_now(p->profile);
	s->todo &= ~(whole << i * PAGER_PARTS);
	s->working++;
	pthread_mutex_unlock(&p->lock);
	ret = p->steps.prepare_whole(p->steps.context, s->layer->source.slice[i].shape,
				     s->memory + s->inner[i], &err);
	pthread_mutex_lock(&p->lock);
	end_steps(p, s, whole << i * PAGER_PARTS, ret, &err);
	return true;
}

bool do_step(struct stoker_pager *p, struct slot *wanted)
{
	struct slot *s = next_slot(p, wanted);
	struct stoker_error err = { "" };
	int ret;

	if (!s)
		return false;
	const uint32_t bit = (uint32_t)__builtin_ctz(s->todo);
	const struct pager_slice *slice = &s->layer->source.slice[bit / PAGER_PARTS];
	const uint64_t inner = s->inner[bit / PAGER_PARTS];
	const stoker_address copy = s->copy ? s->copy->at + inner : 0;

	if (!s->steps_began)
		s->steps_began = profile_now(p->profile);
	s->todo &= ~(1u << bit);
	s->working++;
	pthread_mutex_unlock(&p->lock);
	if (copy)
		ret = p->steps.copy(p->steps.context, copy, s->memory + inner, slice->bytes, &err);
	else
		ret = p->steps.prepare(p->steps.context, slice->shape, s->memory + inner,
				       bit % PAGER_PARTS, PAGER_PARTS, &err);
	pthread_mutex_lock(&p->lock);
	end_steps(p, s, 1u << bit, ret, &err);
	return true;
}
