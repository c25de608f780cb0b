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
		if (!y->of->users && (!best || score(y->of) < score(best->of)))
			best = y;
	}
	return best;
}

bool reserve_copy(struct slot_class *c, struct slot *s)
{
	struct device_slot *y;

	if (!c->copies || s->copy)
		return true;
	y = find_copy(c);
	if (!y)
		return false;
	if (y->of)
		y->of->copy = NULL;
	y->of = s;
	s->copy = y;
	s->copied = false;
	return true;
}

int bring_copy(struct slot *s, struct stoker_error *err)
{
	struct stoker_device *d = s->layer->pager->device;
	int ret = 0;

	if (!s->copy || s->copied)
		return 0;
	for (int i = 0; i < PAGER_SLICES && !ret; i++)
		if (s->layer->place.slice[i].bytes)
			ret = d->ops->write(d, s->copy->at + s->inner[i], s->memory + s->inner[i],
					    s->layer->place.slice[i].bytes, err);
	s->copied = !ret;
	return ret;
}
