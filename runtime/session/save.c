// SPDX-License-Identifier: MIT
/* Saving a sequence, see state.h. */
#include <pthread.h>

#include "base/crc32c.h"
#include "session/state.h"

static int put(struct state_stream *st, const void *data, size_t bytes, struct stoker_error *err)
{
	const int ret = st->write(st->user, data, bytes);

	if (ret)
		return stoker_fail(err, ret < 0 ? ret : -EIO,
				   "the state can't be written after %llu bytes: %s",
				   (unsigned long long)st->done,
				   stoker_strerror(ret < 0 ? -ret : EIO));
	st->crc = stoker_crc32c(st->crc, data, bytes);
	st->done += bytes;
	return 0;
}

static int put_sum(struct state_stream *st, struct stoker_error *err)
{
	const uint32_t crc = st->crc;
	const int ret = put(st, &crc, sizeof(crc), err);

	st->crc = 0;
	return ret;
}

static int put_memory(struct state_stream *st, stoker_address at, uint64_t bytes,
		      struct stoker_error *err)
{
	struct stoker_device *d = st->step->model->device;
	int ret = 0;

	for (uint64_t n; bytes && !ret; at += n, bytes -= n) {
		n = MIN(bytes, (uint64_t)STATE_CHUNK_BYTES);
		ret = device_go_on(d, err); /* a callback may have forked */
		if (ret)
			break;
		pthread_mutex_lock(&d->exclusive);
		ret = d->ops->read(d, st->buffer, at, n, err);
		pthread_mutex_unlock(&d->exclusive);
		if (!ret)
			ret = put(st, st->buffer, n, err);
	}
	return ret;
}

static int put_tokens(struct state_stream *st, const struct sequence *q, struct stoker_error *err)
{
	const uint8_t *at = (const uint8_t *)q->tokens;
	size_t left = q->position * sizeof(*q->tokens);
	int ret = 0;

	for (size_t n; left && !ret; at += n, left -= n) {
		n = MIN(left, (size_t)STATE_CHUNK_BYTES);
		ret = put(st, at, n, err);
	}
	return ret ? ret : put_sum(st, err);
}

static int put_page(struct state_stream *st, const struct sequence *q, const struct state_head *h,
		    uint32_t page, struct stoker_error *err)
{
	const size_t parts = state_list_parts(st, q, h, page);
	int ret = 0;

	for (size_t i = 0; i < parts && !ret; i++)
		ret = put_memory(st, st->parts[i].at, st->parts[i].bytes, err);
	return ret ? ret : put_sum(st, err);
}

/* What recurrent layers know: in the slot, and at the checkpoints. */
static int put_slots(struct state_stream *st, const struct sequence *q, const struct state_head *h,
		     struct stoker_error *err)
{
	int ret;

	if (!h->slot_bytes)
		return 0;
	ret = put_memory(st, sequence_slot(st->step, q), h->slot_bytes, err);
	if (!ret)
		ret = put_sum(st, err);
	for (uint32_t i = 0; i < h->checkpoint_count && !ret; i++) {
		ret = put_memory(st, q->checkpoints.of[i]->at, h->slot_bytes, err);
		if (!ret)
			ret = put_sum(st, err);
	}
	return ret;
}

/* Those before the end, where the slot is. */
static void list_checkpoints(const struct sequence *q, struct state_head *h)
{
	const struct checkpoint_list *l = &q->checkpoints;

	while (h->checkpoint_count < l->count &&
	       l->of[h->checkpoint_count]->position < q->position) {
		h->checkpoints[h->checkpoint_count] = l->of[h->checkpoint_count]->position;
		h->checkpoint_count++;
	}
}

/* The first page that a ring has still, or ever had: a context that others began lacks some. */
static uint32_t first_window_page(const struct step *s, const struct sequence *q)
{
	const uint32_t ring = s->pages.size.ring;
	const uint32_t least = q->last_page + 1 > ring ? q->last_page + 1 - ring : 0;
	uint32_t page = (q->position + KV_PAGE_ROWS - 1) / KV_PAGE_ROWS;

	if (!ring)
		return 0;
	while (page > least && q->tables.of[PAGES_WINDOW].pages[(page - 1) % ring] != NO_PAGE)
		page--;
	return page;
}

static int save(struct state_stream *st, struct sequence *q, struct stoker_error *err)
{
	struct step *s = st->step;
	struct stoker_device *d = s->model->device;
	struct state_head h;
	int ret = state_describe(s, &h, err);

	if (ret)
		return ret;
	pthread_mutex_lock(&d->exclusive);
	ret = sequence_recover(s, q, err);
	pthread_mutex_unlock(&d->exclusive);
	if (ret)
		return ret;
	h.position = q->position;
	h.shifted = q->shifted;
	h.shifted_from = q->shifted ? q->shifted_from : 0;
	list_checkpoints(q, &h);
	h.window_page = first_window_page(s, q);
	h.crc = stoker_crc32c(0, &h, offsetof(struct state_head, crc));
	ret = put(st, &h, sizeof(h), err);
	st->crc = 0;
	if (!ret)
		ret = put_tokens(st, q, err);
	for (uint32_t page = 0; page < state_pages(&h) && !ret; page++)
		ret = put_page(st, q, &h, page, err);
	if (!ret)
		ret = put_slots(st, q, &h, err);
	assert(ret || st->done == state_bytes(&h));
	return ret;
}

int sequence_save(struct step *s, struct sequence *q, stoker_state_write write, void *user,
		  struct stoker_error *err)
{
	struct state_stream st = { .write = write, .user = user };
	int ret;

	if (!write)
		return stoker_fail(err, -EINVAL, "saving needs a function to write with");
	ret = state_begin(&st, s, err);
	if (ret)
		return ret;
	ret = save(&st, q, err);
	state_end(&st);
	return ret;
}
