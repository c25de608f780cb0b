// SPDX-License-Identifier: MIT
/* Which slot is used again. */
#include <math.h>

#include "pager/internal.h"

/* After so many rounds through the layers a use counts half. */
static const double half_life = 16;

/* One more use, now: later ones weigh more instead of earlier ones being halved. */
void count_use(struct pager_layer *l, uint32_t expert)
{
	const double now = (double)l->pager->waves / l->pager->layer_count / half_life;
	double *score = &l->score[expert];

	*score = *score < now - 50 ? now : *score + log2(1 + exp2(now - *score));
}

bool pager_scans(const struct pager_layer *l)
{
	return (uint64_t)l->pager->rows * l->pager->least >= l->source.experts;
}

static struct slot *newest(const struct slot_class *c, bool (*may)(const struct slot *s))
{
	struct slot *s = c->newest;

	if (c->oldest && !c->oldest->layer && may(c->oldest))
		return c->oldest; /* an empty one */
	while (s && !may(s))
		s = s->older;
	return s;
}

static struct slot *oldest(const struct slot_class *c, bool (*may)(const struct slot *s))
{
	struct slot *s = c->oldest;

	while (s && !may(s))
		s = s->newer;
	return s;
}

static struct slot *least_used_of(const struct slot_class *c, bool (*may)(const struct slot *s),
				  bool over_quota)
{
	struct slot *best = NULL;
	double least = INFINITY;

	for (struct slot *s = c->oldest; s; s = s->newer) {
		if (!may(s))
			continue;
		if (!s->layer || s->failed)
			return s;
		if ((!over_quota || s->layer->held > s->layer->quota) &&
		    s->layer->score[s->expert] < least) {
			least = s->layer->score[s->expert];
			best = s;
		}
	}
	return best;
}

/*
 * The slot whose expert was used least, the recent past counting most.  Layers take turns in every
 * token, which is the worst for an LRU list with less room than a token needs.
 */
static struct slot *least_used(const struct slot_class *c, bool (*may)(const struct slot *s))
{
	return least_used_of(c, may, false);
}

/* The same among layers that hold more than their quotas, which favour the first layers. */
static struct slot *beyond_quota(const struct slot_class *c, bool (*may)(const struct slot *s))
{
	struct slot *s = least_used_of(c, may, true);

	return s ? s : least_used_of(c, may, false);
}

static const struct policy policies[] = { { "frequency", least_used },
					  { "lru", oldest },
					  { "quota", beyond_quota } };

const struct policy *pager_policy(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (!name || !strcmp(policies[i].name, name))
			return &policies[i];
	return NULL;
}

bool pager_has_policy(const char *name)
{
	return pager_policy(name) != NULL;
}

struct slot *choose_victim(const struct pager_layer *l, bool (*may)(const struct slot *s))
{
	return pager_scans(l) ? newest(l->class, may) : l->pager->policy->victim(l->class, may);
}
