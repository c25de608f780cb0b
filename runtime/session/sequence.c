// SPDX-License-Identifier: MIT
/* A sequence: its tokens and what the model remembers of them. */
#include <pthread.h>

#include "session/step.h"

static int clear_states(struct step *s, struct sequence *q, struct stoker_error *err)
{
	static const float zeros[1024];
	struct stoker_device *d = s->model->device;
	stoker_address at = sequence_slot(s, q);
	int ret = 0;

	for (uint64_t left = s->pages.size.slot_bytes, n; left && !ret; left -= n, at += n) {
		n = MIN(left, (uint64_t)sizeof(zeros));
		ret = d->ops->write(d, at, zeros, n, err);
	}
	return ret;
}

int sequence_recover(struct step *s, struct sequence *q, struct stoker_error *err)
{
	const struct checkpoint *c = checkpoint_at(q, q->position);
	int ret;

	if (!q->lost)
		return 0;
	assert(c || q->position == 0);
	ret = c ? pages_copy(s->model->device, sequence_slot(s, q), c->at, s->pages.size.slot_bytes,
			     err)
		: clear_states(s, q, err);
	q->lost = ret;
	return ret;
}

int sequence_create(struct step *s, bool whole, struct sequence *q, struct stoker_error *err)
{
	int ret;

	*q = (struct sequence){ .whole = whole, .tables.number = NO_PAGE };
	q->tokens = malloc(s->context * sizeof(*q->tokens));
	q->pooled.sum = s->pooling ? calloc(s->model->embedding, sizeof(double)) : NULL;
	ret = q->tokens && (q->pooled.sum || !s->pooling)
		      ? pages_add(&s->pages, whole, &q->tables, err)
		      : stoker_fail(err, -ENOMEM, "out of memory");
	q->lost = s->recurrent;
	if (ret)
		sequence_destroy(s, q);
	return ret;
}

void sequence_destroy(struct step *s, struct sequence *q)
{
	device_go_on(s->model->device, NULL);
	pages_remove(&s->pages, &q->tables);
	checkpoints_cut(q, 0);
	free(q->tokens);
	free(q->pooled.sum);
	*q = (struct sequence){ .tables.number = NO_PAGE };
}

/* Whether what the next token at @position sees is still there. */
static bool can_go_on_at(const struct step *s, const struct sequence *q, uint32_t position)
{
	const struct cache_size *size = &s->pages.size;
	const uint32_t first = position + 1 > size->window ? position + 1 - size->window : 0;
	const bool present = position == q->position;

	if (position == 0)
		return true;
	if (s->recurrent && !(present && !q->lost) && !checkpoint_at(q, position))
		return false;
	if (present || !size->ring)
		return true;
	/* of a context that others began a ring has the end only */
	for (uint32_t page = first / KV_PAGE_ROWS; page * KV_PAGE_ROWS < position; page++)
		if (q->tables.of[PAGES_WINDOW].pages[page % size->ring] == NO_PAGE)
			return false;
	return first / KV_PAGE_ROWS + size->ring > q->last_page;
}

uint32_t sequence_reachable(const struct step *s, const struct sequence *q, uint32_t position)
{
	const struct checkpoint *c;

	position = MIN(position, q->position);
	while (!can_go_on_at(s, q, position)) {
		c = checkpoint_before(q, position - 1);
		position = c ? c->position : 0;
	}
	return position;
}

/* To where it can go on. */
static void cut(struct step *s, struct sequence *q, uint32_t position)
{
	embedding_cut(q, position);
	q->position = position;
	q->last_page = position ? q->last_page : 0;
	q->shifted = q->shifted && position > q->shifted_from;
	q->lost = s->recurrent;
	q->same_bits = s->chunk && s->chunk <= position
			       ? MIN(q->same_bits, position / s->chunk * s->chunk)
			       : 0;
	checkpoints_cut(q, position);
	if (!q->whole)
		pages_cut(&s->pages, &q->tables, position);
}

void sequence_lose(struct step *s, struct sequence *q)
{
	q->lost = true;
	cut(s, q, sequence_reachable(s, q, q->position));
}

int sequence_truncate(struct step *s, struct sequence *q, uint32_t position,
		      struct stoker_error *err)
{
	if (position > q->position)
		return stoker_fail(err, -EINVAL, "position %u, the sequence has %u", position,
				   q->position);
	if (!can_go_on_at(s, q, position))
		return stoker_fail(err, -ENOTSUP,
				   "what comes before position %u isn't known any more; the "
				   "sequence can go back to %u",
				   position, sequence_reachable(s, q, position));
	if (position < q->position || position == 0)
		cut(s, q, position);
	return 0;
}

int sequence_copy(struct step *s, const struct sequence *from, struct sequence *q,
		  struct stoker_error *err)
{
	struct stoker_device *d = s->model->device;
	int ret = 0;

	pthread_mutex_lock(&d->exclusive);
	if (s->recurrent && !from->lost)
		ret = pages_copy(d, sequence_slot(s, q), sequence_slot(s, from),
				 s->pages.size.slot_bytes, err);
	pthread_mutex_unlock(&d->exclusive);
	if (ret)
		return ret;
	checkpoints_share(from, q);
	pages_share(&s->pages, &from->tables, &q->tables);
	memcpy(q->tokens, from->tokens, from->position * sizeof(*q->tokens));
	if (s->pooling)
		memcpy(q->pooled.sum, from->pooled.sum, s->model->embedding * sizeof(double));
	q->pooled.rows = from->pooled.rows;
	q->position = from->position;
	q->last_page = from->last_page;
	q->same_bits = from->same_bits;
	q->shifted = from->shifted;
	q->shifted_from = from->shifted_from;
	q->lost = from->lost;
	return 0;
}
