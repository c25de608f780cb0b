// SPDX-License-Identifier: MIT
/*
 * Reading experts before they are wanted, while the drive has nothing else to do: those that the
 * next layer's router would choose now, and in a prompt, which needs nearly all, the next layer's.
 * What the former gains is measured, and it's left when that is nothing.
 */
#include "pager/internal.h"

enum {
	TURN = 4,    /* steps with or without prefetch in a row, the first of which doesn't count */
	LOOK = 16,   /* steps between two looks at how a trial goes */
	STEPS = 96,  /* of a trial */
	WARM = 16,   /* steps before the first trial */
	KEEP = 1024, /* steps that a trial's outcome is kept */
};

/* What may give way to something that perhaps nobody wants. */
static bool is_useless(const struct slot *s)
{
	return slot_is_free(s) && !s->prefetched &&
	       !(s->layer && s->wave == s->layer->pager->waves);
}

void read_predicted(struct stoker_pager *p)
{
	struct pager_layer *l = p->next;
	struct store_read *reads[64 * PAGER_SLICES];
	uint32_t i = 0, count;
	bool room = l != NULL;

	p->next = NULL;
	while (room && i < l->predicted_count) {
		for (count = 0; i < l->predicted_count && count + PAGER_SLICES <= ARRAY_SIZE(reads);
		     i++) {
			struct slot *s;

			if (l->resident[l->predicted[i]])
				continue;
			s = choose_victim(l, is_useless);
			/* in a scan only the layer before makes room, not the next round's */
			if (!s || (pager_scans(l) && s->layer && s->layer != p->last)) {
				room = false;
				break;
			}
			forget_slot(s);
			count += fill_slot(s, l, l->predicted[i], reads + count);
			s->prefetched = true;
			unlink_slot(l->class, s);
			make_newest(l->class, s);
			p->stats.prefetched++;
		}
		send_reads(p, reads, count, STORE_PREFETCH);
	}
	if (l && !room && pager_scans(l))
		p->next = l; /* goes on when slots are released */
}

void judge_prediction(struct pager_layer *l, const uint32_t *wanted, uint32_t count)
{
	struct pager_stats *stats = &l->pager->stats;

	if (!l->predicted_count)
		return;
	/* a scan's are no router's choice */
	stats->judged += pager_scans(l) ? 0 : count;
	for (uint32_t i = 0; i < count && !pager_scans(l); i++)
		for (uint32_t k = 0; k < l->predicted_count; k++)
			stats->right += l->predicted[k] == wanted[i];
	l->predicted_count = 0;
}

void predict_all(struct pager_layer *before)
{
	struct stoker_pager *p = before->pager;
	uint32_t next = before->number + 1;
	struct pager_layer *l;

	while (next < p->layer_count && !p->layers[next].source.experts)
		next++;
	if (next == p->layer_count)
		return;
	l = &p->layers[next];
	for (uint32_t e = 0; e < l->source.experts; e++)
		l->predicted[e] = e;
	l->predicted_count = l->source.experts;
	p->next = l;
	read_predicted(p);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *of, uint32_t count)
{
	qsort(of, count, sizeof(*of), by_size);
	return count ? of[count / 2] : 0;
}

/*
 * Prefetch stays if steps take at least 4 % less time with it; when it seems to cost some, that's
 * found out early.  Drives are so noisy that small differences mean nothing.
 */
static void decide(struct stoker_pager *p)
{
	struct trial *t = &p->trial;
	const uint64_t without = median(t->took[0], t->count[0]);
	const uint64_t with = median(t->took[1], t->count[1]);

	if (t->step < STEPS && (t->step < 2 * LOOK || 100 * with <= 102 * without))
		return;
	p->pays = t->count[0] && t->count[1] && 100 * with <= 96 * without;
	*t = (struct trial){ .rest = KEEP };
}

bool begin_trial(struct stoker_pager *p)
{
	struct trial *t = &p->trial;
	bool now = p->pays;

	t->began = 0;
	if (p->rows > 1 || p->prefetch != PAGER_PREFETCH_AUTO) {
		p->prefetches = p->rows == 1 && p->prefetch == PAGER_PREFETCH_ON;
		return p->prefetches;
	}
	if (t->rest) {
		t->rest--;
	} else {
		now = t->step / TURN % 2;
		if (t->step % TURN)
			t->began = stoker_now_ns();
	}
	if (now != p->prefetches) /* what was planned for this step was planned otherwise */
		t->began = 0;
	p->prefetches = now;
	t->stalled = p->stats.stall_ns;
	return now;
}

void end_trial(struct stoker_pager *p)
{
	struct trial *t = &p->trial;
	const bool with = p->prefetches;

	if (p->prefetch != PAGER_PREFETCH_AUTO || t->rest || p->rows > 1)
		return;
	if (t->began && t->count[with] < ARRAY_SIZE(t->took[0])) {
		const uint64_t took = stoker_now_ns() - t->began;

		t->took[with][t->count[with]++] = took;
		/* a drive that is hardly ever waited for */
		if (!with && t->step < TURN && 50 * (p->stats.stall_ns - t->stalled) < took) {
			p->pays = false;
			*t = (struct trial){ .rest = KEEP / 16 };
			return;
		}
	}
	if (++t->step % LOOK == 0)
		decide(p);
}

void rest_trial(struct stoker_pager *p)
{
	p->trial.rest = WARM;
}
