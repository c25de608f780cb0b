// SPDX-License-Identifier: MIT
/*
 * How the memory of a session is laid out: the cache, the states of layers and the working buffers.
 * The same functions place them and say how much they take.
 */
#include "model/forward.h"

enum {
	RING_SAVES = 8,			  /* a ring has at most an eighth of the pages */
	RING_LIKES = 1536 / KV_PAGE_ROWS, /* and, within that, room to go back an answer */
};

/* Where @bytes are behind what is there already. */
static uint64_t place(uint64_t *end, uint64_t bytes)
{
	const uint64_t at = *end;

	*end += round_up(bytes, 64);
	return at;
}

static bool has_window(const struct layer *l)
{
	return l->mixer == MIXER_ATTENTION && l->window;
}

/*
 * The pages of a ring have the positions of a batch and all that the first of them sees, and those
 * of a stop string.  Where they aren't far fewer than those of the context, all positions stay, and
 * a session can go back to any.
 */
static void plan_ring(const struct stoker_model *m, uint32_t batch, struct cache_size *size)
{
	uint64_t window = 0, pages;

	for (uint32_t i = 0; i < m->layer_count; i++)
		if (has_window(&m->layers[i]))
			window = MAX(window, (uint64_t)m->layers[i].window);
	pages = (window + MAX(batch, KV_PAGE_ROWS) - 1 + KV_PAGE_ROWS - 1) / KV_PAGE_ROWS + 1;
	if (!window || pages * RING_SAVES > size->pages)
		return;
	size->ring = (uint32_t)MAX(pages, MIN(size->pages / RING_SAVES, (uint32_t)RING_LIKES));
	size->window = (uint32_t)window;
}

static void place_layer(const struct layer *l, struct kv_formats kv, struct cache_size *size,
			struct layer_state *s)
{
	uint64_t keys = 0, values = 0;
	uint32_t heads = 1;
	uint64_t conv = 0, delta = 0;

	switch (l->mixer) {
	case MIXER_ATTENTION:
		heads = l->kv_heads;
		keys = heads * stoker_kv_row_bytes(kv.keys, l->key_size);
		values = heads * stoker_kv_row_bytes(kv.values, l->value_size);
		break;
	case MIXER_LATENT_ATTENTION:
		if (l->k_b.at) {
			keys = stoker_kv_row_bytes(kv.keys, l->latent + l->rotated);
			break;
		}
		heads = l->heads;
		keys = heads * stoker_kv_row_bytes(kv.keys, l->key_size);
		values = heads * stoker_kv_row_bytes(kv.values, l->value_size);
		break;
	case MIXER_DELTA_NET:
		delta = (uint64_t)l->value_heads * l->state_size * l->state_size * sizeof(float);
		conv = (uint64_t)(l->taps - 1) * l->channels * sizeof(float);
		break;
	case MIXER_SHORT_CONV:
		conv = (uint64_t)(l->taps - 1) * l->channels * sizeof(float);
		break;
	}
	s->heads = heads;
	s->kind = size->ring && has_window(l) ? PAGES_WINDOW : PAGES_FULL;
	s->window = has_window(l);
	s->key_row = keys;
	s->value_row = values;
	s->keys = place(&size->page_bytes[s->kind], KV_PAGE_ROWS * keys);
	s->values = place(&size->page_bytes[s->kind], KV_PAGE_ROWS * values);
	s->conv = place(&size->slot_bytes, conv);
	s->delta = place(&size->slot_bytes, delta);
}

struct cache_size model_cache_size(const struct stoker_model *m, struct kv_formats kv,
				   uint32_t context, uint32_t batch, struct layer_state *states)
{
	struct cache_size size = { .pages = (context + KV_PAGE_ROWS - 1) / KV_PAGE_ROWS };
	struct layer_state unused;

	plan_ring(m, batch, &size);
	for (uint32_t i = 0; i < m->layer_count; i++)
		place_layer(&m->layers[i], kv, &size, states ? &states[i] : &unused);
	/* so that pages that are allocated together take what they take one by one */
	for (int kind = 0; kind < PAGE_KINDS; kind++)
		size.page_bytes[kind] = round_up(size.page_bytes[kind], 4096);
	return size;
}

uint64_t forward_layout(struct forward *f, uint32_t batch, stoker_address base)
{
	const struct stoker_model *m = f->model;
	const uint64_t rows = batch, dim = m->embedding;
	const uint64_t q8 = stoker_q8_bytes(m->device, m->embedding);
	const uint64_t ahead = MAX(f->predicted_layers, m->paged ? 1u : 0);
	uint32_t experts = 1;
	stoker_address at = base;

	for (uint32_t i = 0; i < m->layer_count; i++)
		experts = MAX(experts, m->layers[i].expert_count);
	const struct {
		stoker_address *part;
		uint64_t count;
	} parts[] = {
		{ &f->inputs, forward_input_bytes(batch) / 4 },
		{ &f->x, rows * dim },
		{ &f->h, rows * dim },
		{ &f->a, rows * dim },
		{ &f->h_q8, MIN(rows, m->device->q8_rows) * q8 / 4 },
		{ &f->router, rows * experts },
		{ &f->weights, rows * MAX(m->experts_used, 1u) },
		{ &f->ids, rows * m->experts_used * m->layer_count },
		{ &f->predicted_weights, ahead ? rows * m->experts_used : 0 },
		{ &f->predicted, ahead * rows * m->experts_used * m->layer_count },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		*parts[i].part = at;
		at += round_up(parts[i].count * 4, 64);
	}
	f->ids_stride = (uint32_t)(rows * m->experts_used);
	f->scratch = at;
	f->rows = batch;
	return at + forward_scratch(f) - base;
}

void forward_inputs(struct forward *f, uint32_t kinds, uint32_t rows, uint32_t logit_rows, bool any)
{
	const uint64_t places = rows * sizeof(struct row_place);

	f->rows = rows;
	f->logit_rows = logit_rows;
	f->places[PAGES_FULL] = f->inputs;
	f->places[PAGES_WINDOW] = f->inputs + (kinds - 1) * places;
	f->tokens = f->inputs + kinds * places;
	f->asked = any ? f->tokens + rows * sizeof(uint32_t) : 0;
}
