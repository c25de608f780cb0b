// SPDX-License-Identifier: MIT
/* Restoring a sequence, see state.h: what comes in is checked before it counts. */
#include <pthread.h>

#include "base/crc32c.h"
#include "session/state.h"

static int get(struct state_stream *st, void *data, size_t bytes, struct stoker_error *err)
{
	const int ret = st->read(st->user, data, bytes);

	if (ret == -ENODATA)
		return stoker_fail(err, -EINVAL, "the state is damaged: it ends before byte %llu",
				   (unsigned long long)(st->done + bytes));
	if (ret)
		return stoker_fail(err, ret < 0 ? ret : -EIO,
				   "the state can't be read after %llu bytes: %s",
				   (unsigned long long)st->done,
				   stoker_strerror(ret < 0 ? -ret : EIO));
	st->crc = stoker_crc32c(st->crc, data, bytes);
	st->done += bytes;
	return 0;
}

static int check_sum(struct state_stream *st, struct stoker_error *err)
{
	const uint32_t wanted = st->crc;
	const uint64_t at = st->done;
	uint32_t crc;
	const int ret = get(st, &crc, sizeof(crc), err);

	st->crc = 0;
	if (ret || crc == wanted)
		return ret;
	return stoker_fail(err, -EINVAL,
			   "the state is damaged: the checksum before byte %llu is wrong",
			   (unsigned long long)at);
}

/* @at 0: to nowhere. */
static int get_memory(struct state_stream *st, stoker_address at, uint64_t bytes,
		      struct stoker_error *err)
{
	struct stoker_device *d = st->step->model->device;
	int ret = 0;

	for (uint64_t n; bytes && !ret; at += at ? n : 0, bytes -= n) {
		n = MIN(bytes, (uint64_t)STATE_CHUNK_BYTES);
		ret = get(st, st->buffer, n, err);
		if (!ret)
			ret = device_go_on(d, err); /* a callback may have forked */
		if (ret || !at)
			continue;
		pthread_mutex_lock(&d->exclusive);
		ret = d->ops->write(d, at, st->buffer, n, err);
		pthread_mutex_unlock(&d->exclusive);
	}
	return ret;
}

/* Whether it is a state that this library reads. */
static int check_kind(const struct state_head *h, struct stoker_error *err)
{
	if (memcmp(h->magic, STATE_MAGIC, sizeof(h->magic)) != 0)
		return stoker_fail(err, -EINVAL, "this isn't a state of a session");
	if (h->byte_order != STATE_BYTE_ORDER)
		return stoker_fail(err, -ENOTSUP,
				   "the state comes from a machine with another byte order");
	if (h->version != STATE_VERSION)
		return stoker_fail(err, -ENOTSUP, "the state has version %u, this library reads %d",
				   h->version, STATE_VERSION);
	if (h->crc != stoker_crc32c(0, h, offsetof(struct state_head, crc)))
		return stoker_fail(err, -EINVAL,
				   "the state is damaged: its head's checksum is wrong");
	return 0;
}

/* Whether it is one of this model and this type of cache; @own is what it would be here. */
static int check_model(const struct state_head *h, const struct state_head *own,
		       struct stoker_error *err)
{
	if (memcmp(h->model, own->model, sizeof(h->model)) != 0)
		return stoker_fail(err, -EINVAL,
				   "the state is of another model (%016llx, this one is %016llx)",
				   (unsigned long long)h->model[0],
				   (unsigned long long)own->model[0]);
	if (h->keys != own->keys || h->values != own->values)
		return stoker_fail(err, -ENOTSUP,
				   "the state has keys in %s and values in %s, the session %s and "
				   "%s",
				   kv_name(h->keys), kv_name(h->values), kv_name(own->keys),
				   kv_name(own->values));
	if (h->rotation != own->rotation)
		return stoker_fail(
			err, -ENOTSUP,
			"the state's positions are scaled for a context of another size");
	if (h->page_rows != own->page_rows || h->layers != own->layers ||
	    h->row_bytes != own->row_bytes || h->window_row_bytes != own->window_row_bytes ||
	    h->slot_bytes != own->slot_bytes)
		return stoker_fail(err, -ENOTSUP,
				   "the state has %llu and %llu bytes for a position and %llu of "
				   "recurrent layers, the session %llu, %llu and %llu",
				   (unsigned long long)h->row_bytes,
				   (unsigned long long)h->window_row_bytes,
				   (unsigned long long)h->slot_bytes,
				   (unsigned long long)own->row_bytes,
				   (unsigned long long)own->window_row_bytes,
				   (unsigned long long)own->slot_bytes);
	return 0;
}

static int check_checkpoints(const struct state_head *h, struct stoker_error *err)
{
	uint32_t before = 0;

	if (h->checkpoint_count > (h->slot_bytes ? CHECKPOINTS_EACH : 0))
		return stoker_fail(err, -EINVAL, "the state is damaged: %u checkpoints",
				   h->checkpoint_count);
	for (uint32_t i = 0; i < CHECKPOINTS_EACH; i++) {
		const uint32_t position = h->checkpoints[i];

		if (i < h->checkpoint_count ? position <= before || position >= h->position
					    : position > 0)
			return stoker_fail(err, -EINVAL,
					   "the state is damaged: checkpoint %u is at %u of %u "
					   "tokens, the one before at %u",
					   i, position, h->position, before);
		before = position;
	}
	return 0;
}

/* Whether it holds together, and fits into the context. */
static int check_counts(const struct step *s, const struct state_head *h, uint64_t bytes,
			struct stoker_error *err)
{
	uint32_t window = 0, first;

	if (h->position > s->context)
		return stoker_fail(err, -ENOSPC,
				   "the state has %u tokens, the context has room for %u",
				   h->position, s->context);
	for (uint32_t i = 0; i < s->model->layer_count; i++)
		if (s->states[i].window)
			window = MAX(window, s->model->layers[i].window);
	first = h->position + 1 > window ? (h->position + 1 - window) / KV_PAGE_ROWS : 0;
	if (h->window_page && (!window || h->window_page > first))
		return stoker_fail(err, -EINVAL,
				   "the state is damaged: windows begin at page %u of %u",
				   h->window_page, state_pages(h));
	if (h->shifted > 1 || h->shifted_from >= (h->shifted ? h->position : 1))
		return stoker_fail(
			err, -EINVAL,
			"the state is damaged: keys turned from %u on (%u), of %u tokens",
			h->shifted_from, h->shifted, h->position);
	if (bytes != UINT64_MAX && bytes != state_bytes(h))
		return stoker_fail(err, -EINVAL,
				   "the state is damaged: it has %llu bytes, %u tokens make %llu",
				   (unsigned long long)bytes, h->position,
				   (unsigned long long)state_bytes(h));
	if (h->window_page && !s->pages.size.ring)
		return stoker_fail(err, -ENOTSUP,
				   "the state has what layers with windows see of its %u tokens, "
				   "this session keeps all of it; one with a larger context "
				   "doesn't",
				   h->position);
	return 0;
}

static int get_tokens(struct state_stream *st, struct sequence *q, const struct state_head *h,
		      struct stoker_error *err)
{
	uint8_t *at = (uint8_t *)q->tokens;
	size_t left = h->position * sizeof(*q->tokens);
	int ret = 0;

	for (size_t n; left && !ret; at += n, left -= n) {
		n = MIN(left, (size_t)STATE_CHUNK_BYTES);
		ret = get(st, at, n, err);
	}
	if (!ret)
		ret = check_sum(st, err);
	for (uint32_t i = 0; i < h->position && !ret; i++)
		if (q->tokens[i] >= st->step->model->vocabulary)
			ret = stoker_fail(err, -EINVAL,
					  "the state is damaged: token %u at %u, the vocabulary "
					  "has %u",
					  q->tokens[i], i, st->step->model->vocabulary);
	return ret;
}

/* Memory for all positions, as a step of them would take it. */
static int prepare(struct step *s, struct sequence *q, uint32_t position, struct stoker_error *err)
{
	const struct step_part all = { .sequence = q, .rows = position };
	struct stoker_device *d = s->model->device;
	int ret;

	if (!position)
		return 0;
	ret = step_reserve_pages(s, &all, 1, err);
	if (ret)
		return ret;
	pthread_mutex_lock(&d->exclusive);
	ret = pages_prepare(&s->pages, &q->tables, 0, position, err);
	pthread_mutex_unlock(&d->exclusive);
	return ret;
}

static int get_page(struct state_stream *st, const struct sequence *q, const struct state_head *h,
		    uint32_t page, struct stoker_error *err)
{
	const size_t parts = state_list_parts(st, q, h, page);
	int ret = 0;

	for (size_t i = 0; i < parts && !ret; i++)
		ret = get_memory(st, st->parts[i].at, st->parts[i].bytes, err);
	return ret ? ret : check_sum(st, err);
}

static int get_slots(struct state_stream *st, struct sequence *q, const struct state_head *h,
		     struct stoker_error *err)
{
	int ret;

	if (!h->slot_bytes)
		return 0;
	ret = get_memory(st, sequence_slot(st->step, q), h->slot_bytes, err);
	if (!ret)
		ret = check_sum(st, err);
	for (uint32_t i = 0; i < h->checkpoint_count && !ret; i++) {
		/* NULL: others have all there are */
		const struct checkpoint *c = checkpoint_add(st->step, q, h->checkpoints[i]);

		ret = get_memory(st, c ? c->at : 0, h->slot_bytes, err);
		if (!ret)
			ret = check_sum(st, err);
	}
	return ret;
}

static int restore(struct state_stream *st, struct sequence *q, uint64_t bytes,
		   struct stoker_error *err)
{
	struct step *s = st->step;
	const uint32_t ring = s->pages.size.ring;
	struct state_head h, own;
	int ret = get(st, &h, sizeof(h), err);

	st->crc = 0;
	if (!ret)
		ret = check_kind(&h, err);
	if (!ret)
		ret = state_describe(s, &own, err);
	if (!ret)
		ret = check_model(&h, &own, err);
	if (!ret)
		ret = check_checkpoints(&h, err);
	if (!ret)
		ret = check_counts(s, &h, bytes, err);
	if (!ret)
		ret = get_tokens(st, q, &h, err);
	if (!ret)
		ret = prepare(s, q, h.position, err);
	for (uint32_t page = 0; page < state_pages(&h) && !ret; page++)
		ret = get_page(st, q, &h, page, err);
	if (!ret)
		ret = get_slots(st, q, &h, err);
	if (ret)
		return ret;
	q->position = h.position;
	q->last_page = h.position ? (h.position - 1) / KV_PAGE_ROWS : 0;
	/* a larger ring doesn't have what the state had lost */
	if (ring && h.window_page)
		q->last_page = MAX(q->last_page, h.window_page + ring - 1);
	q->lost = false;
	q->shifted = h.shifted;
	q->shifted_from = h.shifted_from;
	return 0;
}

int sequence_restore(struct step *s, struct sequence *q, stoker_state_read read, void *user,
		     uint64_t bytes, struct stoker_error *err)
{
	struct state_stream st = { .read = read, .user = user };
	int ret;

	if (!read)
		return stoker_fail(err, -EINVAL, "restoring needs a function to read with");
	if (q->position)
		return stoker_fail(err, -EINVAL,
				   "a state replaces an empty context, this one has %u tokens",
				   q->position);
	ret = state_begin(&st, s, err);
	if (ret)
		return ret;
	ret = restore(&st, q, bytes, err);
	state_end(&st);
	if (ret)
		sequence_truncate(s, q, 0, NULL);
	return ret;
}
