/* SPDX-License-Identifier: MIT */
/*
 * The forward pass: what it works on, and the blocks that it is made of.
 *
 * A block is two functions.  One records its ops: it reads the normed input h, leaves its output in
 * a, and says what is to follow, @then, or NULL, to its last product.  The other says where its
 * scratch ends.
 */
#ifndef STOKER_MODEL_FORWARD_H
#define STOKER_MODEL_FORWARD_H

#include "model/model.h"

/*
 * Pages of which there are as many as the context needs, and a few that are used in turn, a ring:
 * layers have those whose window is far smaller than the context.
 */
enum page_kind { PAGES_FULL, PAGES_WINDOW, PAGE_KINDS };

/* Where a layer's memory of earlier tokens is; which members are used depends on its mixer. */
struct layer_state {
	enum page_kind kind;
	bool window;
	uint64_t keys, values;	     /* in pages of that kind: cache rows */
	uint32_t heads;		     /* whose rows follow one another, */
	uint64_t key_row, value_row; /* of so many bytes for all of them */
	uint64_t conv;		     /* in slots: the last taps - 1 inputs of each channel, */
	uint64_t delta;		     /* and [value_heads][state_size][state_size] */
};

/* The memory of earlier tokens of a sequence. */
struct cache_size {
	uint64_t page_bytes[PAGE_KINDS], slot_bytes; /* 0: there are none */
	uint32_t pages;				     /* that all positions take */
	uint32_t ring, window; /* pages of the ring, and the largest window of its layers */
};

/* Steps of up to so many rows, all of which get logits, are recorded. */
enum { STEP_ROWS = 16 };

/* Of a cache. */
struct kv_formats {
	enum stoker_kv_format keys, values;
};

struct forward {
	const struct stoker_model *model;
	struct layer_state *states;
	stoker_address slots; /* of recurrent state */
	uint64_t slot_bytes;
	struct kv_formats kv;
	uint32_t rows;
	uint32_t logit_rows;		/* so many of them get logits: see @asked */
	uint32_t context;		/* positions the states have room for */
	const _Atomic uint32_t *cancel; /* its lowest bit; NULL: may not be cut short */
	struct stoker_recording *steps[STEP_ROWS + 1]; /* of so many rows, once they have run */
	/* device memory */
	stoker_address inputs;		   /* what follows, one behind the other */
	stoker_address places[PAGE_KINDS]; /* struct row_place[rows] */
	stoker_address tokens;		   /* uint32_t[rows] */
	stoker_address asked; /* uint32_t[logit_rows], rows that get logits; 0: the last ones */
	stoker_address logits, x, h, a, scratch, router, weights, ids;
	stoker_address h_q8; /* of q8_rows rows */
	uint32_t ids_stride; /* ids of one layer: rows * used, layers this far apart */
	/* what routers of so many later layers say; the pager is told of one */
	uint32_t predicted_layers;
	bool prefetches;
	bool hidden_only; /* in place of logits: at the beginning of @h, as floats */
	stoker_address predicted, predicted_weights;
};

/* Where the experts are that the router of @layer chose @distance layers before it. */
stoker_address predicted_ids(const struct forward *f, uint32_t layer, uint32_t distance);
/* Whether the layer's router can be asked on the input of a layer before. */
static inline bool model_predicts(const struct stoker_model *m, uint32_t layer)
{
	return layer < m->layer_count && m->layers[layer].expert_count &&
	       !m->layers[layer].router_first;
}

/* The experts op of a layer whose experts are on the drive: its ids are recorded. */
int model_fetch_experts(const struct forward *f, const struct op_experts *op, uint32_t layer,
			struct stoker_error *err);
/* Where ids are there long before their turn: the pager may read at once. */
int model_fetch_early(const struct forward *f, uint32_t layer, stoker_address ids,
		      struct stoker_error *err);

/* Records and runs the model on @f->rows tokens. */
int stoker_forward(struct forward *f, struct stoker_error *err);

/*
 * Places the working buffers of batches up to @batch rows; returns the bytes that they take, which
 * is what it's good for with @base 0.  Needs @f->model and @f->predicted_layers.
 */
uint64_t forward_layout(struct forward *f, uint32_t batch, stoker_address base);
/*
 * The next step has @rows rows, @logit_rows of which get logits: the last ones, or with @any those
 * whose numbers are at @f->asked.  Its inputs are written to @f->inputs together, without gaps:
 * places of @kinds kinds of pages, tokens, numbers.
 */
void forward_inputs(struct forward *f, uint32_t kinds, uint32_t rows, uint32_t logit_rows,
		    bool any);
/* What these take for any step of @rows rows. */
static inline uint64_t forward_input_bytes(uint32_t rows)
{
	return rows * (PAGE_KINDS * sizeof(struct row_place) + 2 * sizeof(uint32_t));
}

/* Bytes of scratch that blocks take for @f->rows rows. */
uint64_t forward_scratch(const struct forward *f);
/* How many pages of a kind there are. */
static inline uint32_t cache_pages(const struct cache_size *size, enum page_kind kind)
{
	return !size->page_bytes[kind] ? 0 : kind == PAGES_FULL ? size->pages : size->ring;
}

/* Bytes of a table of the addresses of a kind's pages, for all positions. */
static inline uint64_t cache_table_bytes(const struct cache_size *size, enum page_kind kind)
{
	return size->page_bytes[kind] ? round_up(size->pages * sizeof(stoker_address), 64) : 0;
}

/* Of everything that isn't pages, of all pages, and of both. */
static inline uint64_t cache_rest_bytes(const struct cache_size *size)
{
	return cache_table_bytes(size, PAGES_FULL) + cache_table_bytes(size, PAGES_WINDOW) +
	       size->slot_bytes;
}

static inline uint64_t cache_page_bytes(const struct cache_size *size)
{
	return cache_pages(size, PAGES_FULL) * size->page_bytes[PAGES_FULL] +
	       cache_pages(size, PAGES_WINDOW) * size->page_bytes[PAGES_WINDOW];
}

static inline uint64_t cache_bytes(const struct cache_size *size)
{
	return cache_page_bytes(size) + cache_rest_bytes(size);
}

/*
 * Copies of recurrent state that a sequence keeps to go back to: at most so many, and of all
 * sequences together what fits into so many bytes, but one each at least.
 */
enum { CHECKPOINTS_EACH = 16, CHECKPOINT_BYTES = 256 << 20 };

/* How many there are for @sequences sequences. */
static inline uint32_t cache_checkpoints(const struct cache_size *size, uint32_t sequences)
{
	const uint64_t bytes = sequences * size->slot_bytes;

	if (!bytes)
		return 0;
	return sequences * (uint32_t)MAX(MIN(CHECKPOINT_BYTES / bytes, (uint64_t)CHECKPOINTS_EACH),
					 (uint64_t)1);
}

/*
 * What @context positions take that come in batches of up to @batch; @states, if it isn't NULL,
 * gets where in it each layer's are.
 */
struct cache_size model_cache_size(const struct stoker_model *m, struct kv_formats kv,
				   uint32_t context, uint32_t batch, struct layer_state *states);

/* What pages of all sequences may take together: what is asked for, or the budget has room for. */
uint64_t model_cache_bound(const struct stoker_model *m, const struct stoker_session_params *s,
			   const struct cache_size *size);

/* Mixers. */
void model_attention(const struct forward *f, const struct layer *l, const struct layer_state *s,
		     const struct op_add_norm *then);
stoker_address model_attention_scratch(const struct forward *f, const struct layer *l);
void model_latent_attention(const struct forward *f, const struct layer *l,
			    const struct layer_state *s, const struct op_add_norm *then);
stoker_address model_latent_scratch(const struct forward *f, const struct layer *l);
void model_short_conv(const struct forward *f, const struct layer *l, const struct layer_state *s,
		      const struct op_add_norm *then);
stoker_address model_short_conv_scratch(const struct forward *f);
void model_delta_net(const struct forward *f, const struct layer *l, const struct layer_state *s,
		     const struct op_add_norm *then);
stoker_address model_delta_net_scratch(const struct forward *f, const struct layer *l);

/* Layer @il's feed-forward block; @ids is where the choice of its experts is, or is put. */
int model_feed_forward(const struct forward *f, uint32_t il, stoker_address ids,
		       const struct op_add_norm *then, struct stoker_error *err);
stoker_address model_feed_forward_scratch(const struct forward *f, const struct layer *l);
/* Chooses the experts of a layer by its router's reading of @input. */
void model_route(const struct forward *f, const struct layer *l, stoker_address ids,
		 stoker_address input, stoker_address input_q8);

#endif
