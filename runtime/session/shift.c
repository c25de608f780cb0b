// SPDX-License-Identifier: MIT
/*
 * Taking positions out of the middle of a sequence: what is behind them moves up, and its keys are
 * turned back by as many positions.  That isn't what evaluating what is left would give: values,
 * and keys of all layers but the first, still know of what is gone.
 *
 * Pages are moved one after the other, in host memory.
 */
#include <math.h>
#include <pthread.h>

#include "model/calls.h"
#include "session/step.h"

struct shift {
	struct step *step;
	struct sequence *q;
	uint32_t first, count, end; /* positions that go, and where the sequence ends */
	uint32_t held[2];	    /* pages that are in @pages, UINT32_MAX: none */
	uint8_t *pages[2], *out;
	const struct stoker_format *format; /* of keys */
	float *turns; /* of each layer the cosines, then the sines of its pairs */
	float *row;   /* of a head */
};

static int read_memory(struct shift *m, void *dst, stoker_address at, uint64_t bytes,
		       struct stoker_error *err)
{
	struct stoker_device *d = m->step->model->device;
	int ret;

	pthread_mutex_lock(&d->exclusive);
	ret = d->ops->read(d, dst, at, bytes, err);
	pthread_mutex_unlock(&d->exclusive);
	return ret;
}

/* Turns a head's key by what is in @turns; lengths have been scaled already. */
static void turn(const struct rope *rope, const float *turns, float *key)
{
	const uint32_t apart = rope->interleaved ? 1 : rope->pairs;

	for (uint32_t i = 0; i < rope->pairs; i++) {
		float *a = key + (rope->interleaved ? 2 * i : i), *b = a + apart;
		const float x = *a, y = *b, cosine = turns[i], sine = turns[rope->pairs + i];

		*a = x * cosine - y * sine;
		*b = x * sine + y * cosine;
	}
}

/* Angles of so many positions back. */
static int make_turns(struct shift *m, struct stoker_error *err)
{
	const struct stoker_model *model = m->step->model;
	float *at = m->turns;
	int ret = 0;

	for (uint32_t i = 0; i < model->layer_count && !ret; i++) {
		const struct rope *rope = &model->layers[i].rope;

		if (!rope->pairs)
			continue;
		ret = read_memory(m, at, frequency_of(&m->step->forward, rope),
				  rope->pairs * sizeof(*at), err);
		for (uint32_t k = 0; k < rope->pairs && !ret; k++) {
			const double angle = -(double)m->count * (double)at[k];

			at[k] = (float)cos(angle);
			at[rope->pairs + k] = (float)sin(angle);
		}
		at += 2 * (size_t)rope->pairs;
	}
	return ret;
}

/* A page that is to be read from is in one of two places. */
static int hold(struct shift *m, uint32_t page, const uint8_t **at, struct stoker_error *err)
{
	const struct page_table *t = &m->q->tables.of[PAGES_FULL];
	const uint32_t slot = page % 2;
	int ret = 0;

	if (m->held[slot] != page) {
		ret = read_memory(m, m->pages[slot], t->addresses[page], t->page_bytes, err);
		m->held[slot] = ret ? UINT32_MAX : page;
	}
	*at = m->pages[slot];
	return ret;
}

/* Values of a head's key, with those that fill its last block. */
static uint64_t padded(const struct step *s, const struct layer *l)
{
	return s->forward.kv.keys == STOKER_KV_Q8_0 ? round_up(l->key_size, 32) : l->key_size;
}

/* A position's keys and values, from a page to m->out. */
static void move_row(struct shift *m, const uint8_t *src, uint32_t from, uint32_t to)
{
	const struct step *s = m->step;
	const float *turns = m->turns;

	for (uint32_t i = 0; i < s->model->layer_count; i++) {
		const struct layer_state *l = &s->states[i];
		const struct layer *layer = &s->model->layers[i];
		const uint64_t key = l->key_row / l->heads, value = l->value_row / l->heads;
		const uint64_t width = padded(s, layer);

		for (uint32_t h = 0; h < l->heads; h++) {
			const uint64_t keys = l->keys + h * KV_PAGE_ROWS * key;
			const uint64_t values = l->values + h * KV_PAGE_ROWS * value;

			memcpy(m->out + values + to * value, src + values + from * value, value);
			if (!layer->rope.pairs) {
				memcpy(m->out + keys + to * key, src + keys + from * key, key);
				continue;
			}
			stoker_format_decode(m->format, src + keys + from * key, m->row, width);
			turn(&layer->rope, turns, m->row);
			/* what isn't finite can't be turned */
			if (stoker_format_encode(m->format, m->row, m->out + keys + to * key,
						 width))
				memcpy(m->out + keys + to * key, src + keys + from * key, key);
		}
		turns += 2 * (size_t)layer->rope.pairs;
	}
}

static int move_page(struct shift *m, uint32_t page, struct stoker_error *err)
{
	struct stoker_device *d = m->step->model->device;
	const struct page_table *t = &m->q->tables.of[PAGES_FULL];
	const uint32_t first = MAX(m->first, page * KV_PAGE_ROWS);
	const uint32_t end = MIN(m->end - m->count, (page + 1) * KV_PAGE_ROWS);
	const uint8_t *src;
	int ret = 0;

	if (first % KV_PAGE_ROWS) { /* what is before it stays */
		ret = hold(m, page, &src, err);
		if (ret)
			return ret;
		memcpy(m->out, src, t->page_bytes);
	}
	for (uint32_t to = first; to < end; to++) {
		const uint32_t from = to + m->count;

		ret = hold(m, from / KV_PAGE_ROWS, &src, err);
		if (ret)
			return ret;
		move_row(m, src, from % KV_PAGE_ROWS, to % KV_PAGE_ROWS);
	}
	pthread_mutex_lock(&d->exclusive);
	ret = pages_prepare(&m->step->pages, &m->q->tables, first, end, err);
	if (!ret)
		ret = d->ops->write(d, t->addresses[page], m->out, t->page_bytes, err);
	pthread_mutex_unlock(&d->exclusive);
	return ret;
}

static int begin(struct shift *m, struct stoker_error *err)
{
	static const char *const formats[] = {
		[STOKER_KV_F32] = "F32", [STOKER_KV_F16] = "F16", [STOKER_KV_Q8_0] = "Q8_0"
	};
	const struct step *s = m->step;
	const uint64_t bytes = s->pages.size.page_bytes[PAGES_FULL];
	size_t pairs = 0, width = 0;

	for (uint32_t i = 0; i < s->model->layer_count; i++) {
		pairs += s->model->layers[i].rope.pairs;
		width = MAX(width, (size_t)padded(s, &s->model->layers[i]));
	}
	m->format = stoker_format_by_name(formats[s->forward.kv.keys]);
	m->pages[0] = malloc(bytes);
	m->pages[1] = malloc(bytes);
	m->out = calloc(1, bytes);
	m->turns = calloc(2 * pairs + 1, sizeof(*m->turns));
	m->row = malloc(width * sizeof(*m->row));
	if (!m->pages[0] || !m->pages[1] || !m->out || !m->turns || !m->row)
		return stoker_fail(err, -ENOMEM, "out of memory");
	return make_turns(m, err);
}

static void end(struct shift *m)
{
	free(m->pages[0]);
	free(m->pages[1]);
	free(m->out);
	free(m->turns);
	free(m->row);
}

/* Pages that others have, too, are about to be written to: all of them, before anything changes. */
static int reserve(struct shift *m, struct stoker_error *err)
{
	struct sequence from_there = *m->q;
	const struct step_part moved = { .sequence = &from_there,
					 .rows = m->end - m->count - m->first };

	from_there.position = m->first;
	return step_reserve_pages(m->step, &moved, 1, err);
}

static int move(struct shift *m, struct stoker_error *err)
{
	const uint32_t last = (m->end - m->count - 1) / KV_PAGE_ROWS;
	struct sequence *q = m->q;
	int ret = 0;

	for (uint32_t page = m->first / KV_PAGE_ROWS; page <= last && !ret; page++)
		ret = move_page(m, page, err);
	if (!ret) {
		memmove(q->tokens + m->first, q->tokens + m->first + m->count,
			(m->end - m->first - m->count) * sizeof(*q->tokens));
		q->shifted_from = q->shifted ? MIN(q->shifted_from, m->first) : m->first;
		q->shifted = true;
	}
	/* what has been moved in part is worth nothing */
	sequence_truncate(m->step, q, ret ? m->first : m->end - m->count, NULL);
	return ret;
}

static int check_model(const struct step *s, struct stoker_error *err)
{
	for (uint32_t i = 0; i < s->model->layer_count; i++)
		if (s->model->layers[i].mixer != MIXER_ATTENTION)
			return stoker_fail(err, -ENOTSUP,
					   "layer %u remembers positions in a way that they can't "
					   "be taken out of",
					   i);
	if (s->forward.kv.keys > STOKER_KV_Q8_0)
		return stoker_fail(err, -ENOTSUP,
				   "keys in %s can't be turned, those in F32, F16 and Q8_0 can",
				   kv_name(s->forward.kv.keys));
	if (s->pages.size.ring)
		return stoker_fail(err, -ENOTSUP,
				   "layers with windows have the last positions only: none can be "
				   "taken out");
	return 0;
}

int sequence_remove(struct step *s, struct sequence *q, uint32_t first, uint32_t count, bool shift,
		    struct stoker_error *err)
{
	struct shift m = { .step = s,
			   .q = q,
			   .first = first,
			   .count = count,
			   .end = q->position,
			   .held = { UINT32_MAX, UINT32_MAX } };
	int ret;

	if (first > q->position || count > q->position - first)
		return stoker_fail(err, -EINVAL, "%u positions from %u on, the sequence has %u",
				   count, first, q->position);
	if (count && count == q->position - first)
		return sequence_truncate(s, q, first, err);
	if (!count && !shift)
		return 0;
	if (!shift)
		return stoker_fail(err, -ENOTSUP,
				   "positions behind %u would have a hole before them, which "
				   "attention has no way to leave out",
				   first);
	ret = check_model(s, err);
	if (ret || !count)
		return ret;
	ret = begin(&m, err);
	if (!ret)
		ret = reserve(&m, err);
	if (!ret) {
		embedding_cut(q, first);
		ret = move(&m, err);
	}
	end(&m);
	return ret;
}
