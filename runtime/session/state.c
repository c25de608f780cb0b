// SPDX-License-Identifier: MIT
/* What saving and restoring have in common: what a state says of its model, and its order. */
#include "session/state.h"

#include <pthread.h>

#include "gguf/gguf.h"
#include "model/calls.h"

int state_begin(struct state_stream *st, struct step *s, struct stoker_error *err)
{
	size_t parts = 0;

	for (uint32_t i = 0; i < s->model->layer_count; i++)
		parts += 2 * (size_t)s->states[i].heads;
	st->step = s;
	st->buffer = malloc(STATE_CHUNK_BYTES);
	st->parts = calloc(parts, sizeof(*st->parts));
	if (st->buffer && st->parts)
		return 0;
	state_end(st);
	return stoker_fail(err, -ENOMEM, "out of memory");
}

void state_end(struct state_stream *st)
{
	free(st->buffer);
	free(st->parts);
	st->buffer = NULL;
	st->parts = NULL;
}

static void mix(uint64_t *hash, uint64_t value)
{
	*hash = (*hash ^ value) * 0x9e3779b97f4a7c15u;
	*hash ^= *hash >> 32;
}

/* A hash of all layers' frequencies: those that this session's context has. */
static int add_rotation(struct step *s, uint64_t *hash, struct stoker_error *err)
{
	struct stoker_device *d = s->model->device;
	stoker_address last = 0;
	float *list = NULL;
	int ret = 0;

	for (uint32_t i = 0; i < s->model->layer_count && !ret; i++) {
		const struct rope *r = &s->model->layers[i].rope;
		const stoker_address at = frequency_of(&s->forward, r);

		mix(hash, r->pairs | (uint64_t)r->interleaved << 32);
		mix(hash, bits_of_float(r->magnitude));
		if (!r->pairs || at == last)
			continue;
		free(list);
		list = malloc(r->pairs * sizeof(*list));
		if (!list)
			return stoker_fail(err, -ENOMEM, "out of memory");
		last = at;
		pthread_mutex_lock(&d->exclusive);
		ret = d->ops->read(d, list, at, r->pairs * sizeof(*list), err);
		pthread_mutex_unlock(&d->exclusive);
		for (uint32_t k = 0; k < r->pairs && !ret; k++)
			mix(hash, bits_of_float(list[k]));
	}
	free(list);
	return ret;
}

int state_describe(struct step *s, struct state_head *h, struct stoker_error *err)
{
	int ret;

	*h = (struct state_head){ .version = STATE_VERSION,
				  .byte_order = STATE_BYTE_ORDER,
				  .keys = s->forward.kv.keys,
				  .values = s->forward.kv.values,
				  .page_rows = KV_PAGE_ROWS,
				  .layers = s->model->layer_count,
				  .slot_bytes = s->pages.size.slot_bytes };
	memcpy(h->magic, STATE_MAGIC, sizeof(h->magic));
	for (uint32_t i = 0; i < s->model->layer_count; i++) {
		const struct layer_state *l = &s->states[i];

		*(l->window ? &h->window_row_bytes : &h->row_bytes) += l->key_row + l->value_row;
	}
	ret = gguf_identity(s->model->gguf, h->model, err);
	return ret ? ret : add_rotation(s, &h->rotation, err);
}

uint32_t state_pages(const struct state_head *h)
{
	return h->position / KV_PAGE_ROWS + (h->position % KV_PAGE_ROWS != 0);
}

uint64_t state_bytes(const struct state_head *h)
{
	const uint64_t copies = h->slot_bytes ? 1 + h->checkpoint_count : 0;
	const uint64_t in_windows = h->position - MIN(h->position, h->window_page * KV_PAGE_ROWS);
	const uint64_t blocks = 1 + state_pages(h) + copies; /* with a sum behind them */

	return sizeof(*h) + h->position * (sizeof(uint32_t) + h->row_bytes) +
	       in_windows * h->window_row_bytes + copies * h->slot_bytes +
	       blocks * sizeof(uint32_t);
}

/* @bytes at @at, with @joins together with what is before them where nothing is between. */
static size_t add_part(struct state_part *parts, size_t n, bool joins, stoker_address at,
		       uint64_t bytes)
{
	if (n && joins && parts[n - 1].at + parts[n - 1].bytes == at) {
		parts[n - 1].bytes += bytes;
		return n;
	}
	parts[n] = (struct state_part){ .at = at, .bytes = bytes };
	return n + 1;
}

size_t state_list_parts(struct state_stream *st, const struct sequence *q,
			const struct state_head *h, uint32_t page)
{
	const uint32_t rows = MIN(h->position - page * KV_PAGE_ROWS, (uint32_t)KV_PAGE_ROWS);
	enum page_kind last = PAGE_KINDS; /* pages that are neighbours are of two memories */
	size_t n = 0;

	for (uint32_t i = 0; i < h->layers; i++) {
		const struct layer_state *l = &st->step->states[i];
		const uint64_t offsets[] = { l->keys, l->values };
		const uint64_t bytes[] = { l->key_row / l->heads, l->value_row / l->heads };

		if (l->window && page < h->window_page)
			continue;
		for (size_t k = 0; k < 2 * l->heads; k++) {
			const uint64_t row = bytes[k / l->heads];
			const stoker_address at = q->tables.of[l->kind].addresses[page] +
						  offsets[k / l->heads] +
						  k % l->heads * KV_PAGE_ROWS * row;

			if (!row)
				continue;
			n = add_part(st->parts, n, l->kind == last, at, rows * row);
			last = l->kind;
		}
	}
	return n;
}
