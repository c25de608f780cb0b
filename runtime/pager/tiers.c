// SPDX-License-Identifier: MIT
/* A device with memory of its own computes from copies of what the host's slots hold. */
#include <math.h>

#include "pager/internal.h"

static double score(const struct slot *s)
{
	return s->layer ? s->layer->score[s->expert] : -INFINITY;
}

/* An unused copy, or of those whose slots nobody uses now the one whose expert was used least. */
static struct device_slot *find_copy(const struct slot_class *c)
{
	struct device_slot *best = NULL;

	for (uint32_t i = 0; i < c->copy_count; i++) {
		struct device_slot *y = &c->copies[i];

		if (!y->of)
			return y;
		if (!y->of->users && !y->of->working && (!best || score(y->of) < score(best->of)))
			best = y;
	}
	return best;
}

/* A slot of which a copy is being made that nobody wants any more. */
static struct slot *copied_in_vain(const struct slot_class *c)
{
	for (uint32_t i = 0; i < c->copy_count; i++)
		if (c->copies[i].of && !c->copies[i].of->users && c->copies[i].of->working)
			return c->copies[i].of;
	return NULL;
}

bool reserve_copy(struct pager_layer *l, struct slot *s)
{
	struct slot_class *c = l->class;
	struct device_slot *y;
	struct slot *other;

	if (!c->copies || s->copy)
		return true;
	while (!(y = find_copy(c)) && (other = copied_in_vain(c)))
		wait_for_step(l->pager, other);
	if (!y)
		return false;
	if (y->of) {
		y->of->copy = NULL;
		y->of->todo = y->of->undone = 0;
	}
	y->of = s;
	s->copy = y;
	if (s->complete)
		add_steps(s, s->complete);
	return true;
}
