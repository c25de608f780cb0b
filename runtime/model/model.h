/* SPDX-License-Identifier: MIT */
/*
 * A loaded model: hyperparameters, weights by layer, and the forward pass.
 *
 * Architectures differ less than their names suggest.  Each file of one (llama.c, qwen.c, ...)
 * fills struct stoker_model from metadata and tensor names; forward.c runs it.
 */
#ifndef STOKER_MODEL_INTERNAL_H
#define STOKER_MODEL_INTERNAL_H

#include "base/base.h"
#include <stdatomic.h>

#include "device/device.h"
#include "gguf/gguf.h"
#include "stoker/model.h"

enum {
	STOKER_MAX_LAYERS = 1024,
	STOKER_MAX_EXPERTS = 4096,
	STOKER_MAX_WIDTH = 1 << 20,
	STOKER_MAX_STATE = 1 << 10, /* of a delta net, squared a head */
	STOKER_MAX_NAME = 160,	    /* of a tensor or a key that architectures ask for */
};

/* Rotation of the first 2 * pairs values of a head. */
struct rope {
	stoker_address frequency;      /* float[pairs], all scaling included */
	stoker_address long_frequency; /* for contexts over @short_context, 0: the same */
	uint32_t short_context;
	uint32_t pairs; /* 0: none */
	bool interleaved;
	float magnitude;
};

enum mixer {
	MIXER_ATTENTION,
	MIXER_LATENT_ATTENTION, /* deepseek2.c */
	MIXER_SHORT_CONV,	/* lfm2.c */
	MIXER_DELTA_NET,	/* qwen35.c */
};

enum { LAYER_WEIGHTS = 26, LAYER_VECTORS = 14 };

struct layer {
	enum mixer mixer;

	/*
	 * What the layer computes with; members that its kind has no use for are 0.  By name for
	 * those who compute, as lists for weight_memory.c, which gives all of them their addresses.
	 */
	union {
		struct {
			/* attention */
			struct stoker_weight q, k, v, o;
			/* latent attention */
			struct stoker_weight q_a, q_b, kv_a, k_b, v_b, kv_b;
			/* short convolution and delta net */
			struct stoker_weight conv_in, conv_out, gate, alpha, beta;
			/* feed-forward: dense, or experts when expert_count > 0 */
			struct stoker_weight ffn_gate, ffn_up, ffn_down;
			struct stoker_weight router, gate_exps, up_exps, down_exps;
			struct stoker_weight shared_gate_inp, shared_gate, shared_up, shared_down;
		};
		struct stoker_weight weights[LAYER_WEIGHTS];
	};
	union {
		struct {
			/* the posts may be 0 */
			stoker_address attn_norm, ffn_norm, post_attn_norm, post_ffn_norm;
			stoker_address q_norm, k_norm, sinks, q_a_norm, kv_a_norm;
			stoker_address conv, dt, a, ssm_norm;
			stoker_address router_bias; /* counts for the choice only */
		};
		stoker_address vectors[LAYER_VECTORS];
	};

	/* attention */
	bool norm_whole;  /* q and k are normed before the split into heads */
	bool output_gate; /* q has a gate behind each head's query */
	uint32_t heads, kv_heads, key_size, value_size, window;
	float attn_scale;
	struct rope rope;
	uint32_t latent, rotated; /* latent attention: keys and values are compressed to @latent
				     values and @rotated ones */
	uint32_t taps, channels, key_heads, value_heads, state_size;
	bool grouped_heads; /* value heads of a key head are neighbours */

	uint32_t expert_count;
	bool paged;	   /* experts are on the drive */
	bool router_first; /* reads the layer's input */
};
/* a member that the lists leave out would keep the place that it was described by */
static_assert(offsetof(struct layer, shared_down) ==
		      offsetof(struct layer, weights[LAYER_WEIGHTS - 1]),
	      "LAYER_WEIGHTS counts the weights");
static_assert(offsetof(struct layer, router_bias) ==
		      offsetof(struct layer, vectors[LAYER_VECTORS - 1]),
	      "LAYER_VECTORS counts the vectors");

/* A stretch of a file in device memory: see weight_memory.c. */
struct weight_block {
	struct stoker_memory memory;
	uint32_t file;
	uint64_t first, bytes; /* where in the file memory.at is */
};

/* A vector of floats that no file holds as such: computed, or converted from @tensor. */
struct made_vector {
	const struct stoker_gguf_tensor *tensor; /* NULL: @values */
	float *values;
	uint64_t offset, count; /* among the made vectors, in bytes; of floats */
};

/* Experts that lie anywhere in the files, and together in memory: see scattered.c. */
struct scattered {
	stoker_address place;
	const struct stoker_gguf_tensor **tensors; /* one an expert, all of a size */
	uint32_t count;
	struct stoker_memory memory; /* unless they stay on the drive */
};

/* Bytes that a model takes beside slots, one session included, and those of the fewest slots. */
struct model_needs {
	uint64_t dense, cache, buffers, least;
};

struct stoker_vocabulary;

struct stoker_model {
	_Atomic unsigned others; /* who keep it, beside its owner: sessions */
	struct stoker_device *device;
	struct stoker_gguf *gguf;
	/* read when first asked for, by text/, which says how it is released */
	struct stoker_vocabulary *_Atomic own_vocabulary;
	void (*_Atomic release_vocabulary)(struct stoker_vocabulary **);
	const struct architecture *architecture;
	char *name;

	uint32_t embedding, layer_count, vocabulary, context, experts_used;
	uint32_t drafts; /* layers behind the last that predict further tokens, which aren't run */
	float norm_eps, embedding_scale, residual_scale, logit_scale, logit_softcap;
	enum stoker_activation activation;
	enum stoker_gating gating;
	bool normalize_weights;
	float weights_scale;
	uint32_t groups, groups_used;

	struct stoker_weight token_embd, output;
	stoker_address output_norm;
	struct layer *layers;

	struct weight_block *blocks;
	size_t block_count;
	struct scattered *scattered; /* in order of places */
	size_t scattered_count;
	struct stoker_memory made_memory; /* of all made vectors */
	uint64_t made_bytes;
	uint64_t memory; /* the budget, 0: everything is in memory without one */
	uint32_t batch;	 /* of sessions that don't say it, as the budget has it; 0: the usual */
	uint64_t cache_limit; /* of pages of several sequences, as the budget has it; 0: none */
	uint64_t left; /* without a budget, beside weights when it was loaded; 0: isn't known */
	struct model_needs needs;
	_Atomic uint64_t taken; /* of what @needs has for sequences: by batches */
	uint64_t slot_bytes;	/* what the experts get */
	bool paged;		/* experts stay on the drive */
	struct model_pager *pager;
	struct model_fetch *fetch;
	uint64_t parameters;
	/* of the file's tokenizer, 0: it has none; gguf_fingerprint() of its tokens */
	uint32_t tokens;
	uint64_t tokens_fingerprint;

	/* while loading */
	uint64_t *file_places; /* where files begin, and the end of the last: weight_memory.c */
	const struct stoker_gguf_tensor **by_place; /* all tensors */
	uint8_t *tensor_use;			    /* enum use, by its number in the file */
	bool *key_use;				    /* asked for, likewise */
	struct made_vector *made;
	size_t made_count;
	struct stoker_weight *tiled; /* that the device lays out; once placed, in order of places */
	size_t tiled_count;
	struct stoker_weight largest[FORMAT_IDS]; /* of each format, by its id */
	struct stoker_error *err;
	int failed;
};

struct architecture {
	const char *name; /* general.architecture */
	void (*load)(struct stoker_model *m);
};

extern const struct architecture stoker_architectures[];
extern const size_t stoker_architecture_count;

/*
 * For architecture files.  The first failure sticks in m->failed; what is called afterwards does
 * nothing.
 */
void model_fail(struct stoker_model *m, int code, const char *fmt, ...) PRINTF(3, 4);

/* Metadata "{architecture}.{key}". */
bool model_has(const struct stoker_model *m, const char *key);
uint32_t model_u32(struct stoker_model *m, const char *key); /* required */
uint32_t model_u32_or(struct stoker_model *m, const char *key, uint32_t fallback);
/* The same for every layer, or an array with an entry a layer. */
uint32_t model_layer_u32_or(struct stoker_model *m, const char *key, uint32_t layer,
			    uint32_t fallback);
float model_f32(struct stoker_model *m, const char *key);
float model_f32_or(struct stoker_model *m, const char *key, float fallback);
bool model_bool_or(struct stoker_model *m, const char *key, bool fallback);
bool model_layer_bool_or(struct stoker_model *m, const char *key, uint32_t layer, bool fallback);
bool model_string_is(struct stoker_model *m, const char *key, const char *value);
/*
 * Whether a layer has a window by attention.sliding_window_pattern: a list with an entry a layer,
 * or a number: so many layers to one without, which is the first of them or the last.
 */
bool model_layer_has_window(struct stoker_model *m, uint32_t layer, uint32_t period,
			    bool whole_first);
/* expert_gating_func, or @fallback where it isn't said. */
enum stoker_gating model_gating(struct stoker_model *m, enum stoker_gating fallback);

/*
 * "NAME.weight" of shape [in, out, count] with "NAME.bias" and "NAME.scale" where they exist.
 * False and w->at 0 when there is no such tensor, which is a failure if @presence is REQUIRED.
 */
enum presence { REQUIRED, OPTIONAL };
bool model_weight(struct stoker_model *m, struct stoker_weight *w, enum presence presence,
		  uint32_t in, uint32_t out, uint32_t count, const char *fmt, ...) PRINTF(7, 8);
/* The same for several matrices one below another: weight_rows() takes multiples of @cut rows. */
bool model_fused_weight(struct stoker_model *m, struct stoker_weight *w, enum presence presence,
			uint32_t in, uint32_t out, uint32_t cut, uint32_t count, const char *fmt,
			...) PRINTF(8, 9);
/* A vector of @count floats; @fmt is the tensor's whole name. */
stoker_address model_vector(struct stoker_model *m, enum presence presence, uint64_t count,
			    const char *fmt, ...) PRINTF(4, 5);
/*
 * Describing: where a tensor is until memory is given, see weight_memory.c; a vector of @count
 * floats that has to be made, from @values, which are copied, or from a tensor.
 */
int model_begin_description(struct stoker_model *m);
stoker_address model_place_of(const struct stoker_model *m, const struct stoker_gguf_tensor *t);
stoker_address model_constant(struct stoker_model *m, const float *values, uint64_t count);
stoker_address model_converted(struct stoker_model *m, const struct stoker_gguf_tensor *t,
			       uint64_t count);
/*
 * Notes that a tensor is understood, and with PLACED that it gets memory; what nobody asked for is
 * no part of the model, or it isn't run: see understood.c.
 */
enum use { UNDERSTOOD = 1, PLACED = 2 };
void model_use(struct stoker_model *m, const struct stoker_gguf_tensor *t, unsigned use);
bool model_is_placed(const struct stoker_model *m, const struct stoker_gguf_tensor *t);
/* Refuses what the architecture has no use for but may change the result. */
void model_check_understood(struct stoker_model *m);

/* What is at a place, NULL: nothing that a file holds. */
const struct stoker_gguf_tensor *model_tensor_at(const struct stoker_model *m,
						 stoker_address place);
uint32_t model_file_at(const struct stoker_model *m, stoker_address place, uint64_t *offset);

/*
 * scattered.c: a place for @count tensors, whose list becomes the model's; what is at one, NULL:
 * something else; memory for them unless they are paged, and what they hold.
 */
stoker_address model_scatter(struct stoker_model *m, const struct stoker_gguf_tensor **tensors,
			     uint32_t count);
const struct scattered *model_scattered_at(const struct stoker_model *m, stoker_address place);
uint64_t model_scattered_bytes(const struct stoker_model *m);
int model_place_scattered(struct stoker_model *m);
int model_read_scattered(struct stoker_model *m, const struct scattered *s, uint32_t expert);
void model_free_scattered(struct stoker_model *m);

/* Placing: how files will be cut into blocks of memory; memory for them; what they hold. */
int model_plan_blocks(struct stoker_model *m);
int model_place(struct stoker_model *m);
int model_read(struct stoker_model *m, const struct stoker_model_params *params);
void model_free_memory(struct stoker_model *m);

/* stoker_model_load_gguf() with /proc and /sys in @root, see stoker_memory_available(). */
int model_load(struct stoker_device *device, struct stoker_gguf *gguf,
	       const struct stoker_model_params *params, const char *root,
	       struct stoker_model **model, struct stoker_error *err);

/* Decides what memory is given to, or fails with all figures: see budget.c. */
int model_plan(struct stoker_model *m, const struct stoker_model_params *params, const char *root);
/* The figures of every way to load it; m->needs and what goes with them change. */
int model_foresee(struct stoker_model *m, const struct stoker_session_params *session,
		  const char *root, struct stoker_model_outlook *outlook);
/*
 * Of what a budget has for sequences a batch takes its part; -ENOMEM with figures where others or
 * it take too much.  @bytes is what model_give() is to give back.
 */
int model_take(struct stoker_model *m, const struct stoker_session_params *session, uint64_t *bytes,
	       struct stoker_error *err);
void model_give(struct stoker_model *m, uint64_t bytes);
/* Has the device take what it works in for batches of @batch rows, as the budget counted it. */
int model_reserve(const struct stoker_model *m, uint32_t batch, struct stoker_error *err);

/* Experts that stay on the drive: see paging.c. */
bool model_can_page(const struct stoker_gguf_tensor *t);
static inline bool model_is_paged(const struct stoker_model *m, const struct stoker_gguf_tensor *t)
{
	return m->paged && model_can_page(t);
}
/* Memory of the fewest slots that a token needs. */
int model_least_slots(struct stoker_model *m, uint64_t *bytes);
/* Whether what is said about paging can be done, paged or not. */
int model_check_paging(const struct stoker_model_params *params, struct stoker_error *err);
int model_create_pager(struct stoker_model *m, const struct stoker_model_params *params,
		       const char *root);
void model_free_pager(struct stoker_model *m);
/* Whether a tensor is a matrix of one expert, as "stoker pack" writes them. */
bool model_is_packed(const struct stoker_gguf_tensor *t, uint32_t *layer);

/* experts.c: has a layer's experts fetched by a pager, which stays the caller's */
struct stoker_pager;
int model_create_fetch(struct stoker_model *m, struct stoker_pager *pager);
void model_free_fetch(struct stoker_model *m);
/* Around a batch: whether routers of next layers are asked in it; and whether it went well. */
/* In a process that was forked off, before a batch: see pager_go_on(). */
int model_go_on(const struct stoker_model *m, struct stoker_error *err);
bool model_begin_fetch(const struct stoker_model *m, uint32_t rows);
void model_end_fetch(const struct stoker_model *m, bool good);

/* @value, which is a failure unless it is from 1 to STOKER_MAX_WIDTH; @key is for the message. */
uint32_t model_width(struct stoker_model *m, const char *key, uint32_t value);
/* @rows rows of @w from @first on, as a matrix of their own. */
struct stoker_weight weight_rows(const struct stoker_weight *w, uint32_t first, uint32_t rows);

/* How rope.scaling.* stretches positions, see rope.c. */
struct rope_scaling {
	double factor;	   /* by which positions are divided, 1: not scaled */
	double ramp;	   /* YaRN's share of that, 0: all dimensions are divided */
	double fast, slow; /* rotations within the context that the ramp is between */
	float magnitude;   /* of what is rotated */
	float attention;   /* a factor of it and, in latent attention, of the logits */
	float log_multiplier;
};
struct rope_scaling model_rope_scaling(struct stoker_model *m);

/*
 * Frequencies from rope.* metadata with @base; the tensor called @factors_name, NULL for none,
 * divides them.
 */
struct rope model_rope(struct stoker_model *m, uint32_t dimensions, bool interleaved, float base,
		       const char *factors_name, bool scaled);

/* The parts most architectures share; @il is the layer. */
void load_common(struct stoker_model *m);
void load_attention(struct stoker_model *m, uint32_t il, bool interleaved);
void load_dense_ffn(struct stoker_model *m, uint32_t il, uint32_t width);
/* @width of an expert; @shared of the shared expert, 0 for none. */
void load_experts(struct stoker_model *m, uint32_t il, uint32_t width, uint32_t shared);

void load_llama(struct stoker_model *m);
void load_qwen(struct stoker_model *m);
void load_olmoe(struct stoker_model *m);
void load_deepseek2(struct stoker_model *m);
void load_gpt_oss(struct stoker_model *m);
void load_glm4moe(struct stoker_model *m);
void load_lfm2(struct stoker_model *m);
void load_qwen35(struct stoker_model *m);
void load_smallthinker(struct stoker_model *m);
void load_granite(struct stoker_model *m);
void load_gemma3(struct stoker_model *m);
void load_phi3(struct stoker_model *m);

#endif
