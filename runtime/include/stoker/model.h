/* SPDX-License-Identifier: MIT */
/**
 * stoker/model.h - loading models.
 *
 * A model is constant once loaded: any number of sessions on any threads may share it.  Models keep
 * their device and sessions their model, whatever is released first.  What holds after a fork is in
 * stoker/device.h.
 */
#ifndef STOKER_MODEL_H
#define STOKER_MODEL_H

#include <stdint.h>

#include "stoker/device.h"
#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_model;
struct stoker_session;
struct stoker_gguf;

/*
 * Everything in memory if it fits into what is left; if not, the experts that don't fit stay on the
 * drive.  What is left is what the machine has available within this process's memory cgroups, or
 * what the driver gives of a GPU's own memory, when the model is loaded; a sixteenth of it is left
 * alone.  Where that isn't known everything is loaded.
 *
 * Loading fails with -ENOMEM when not even that is enough: for the weights of a dense model, or
 * those that every token uses.  It doesn't for a large cache: if experts can't make room for it but
 * the files would fit, everything is loaded, as a cache takes memory only as far as it is filled.
 */
#define STOKER_MEMORY_AUTO 0
#define STOKER_MEMORY_MIN 1	     /* the least with batches of the usual size */
#define STOKER_MEMORY_MAX UINT64_MAX /* everything in memory, whatever is left of it */

enum stoker_kv_type {
	STOKER_KV_TYPE_DEFAULT, /* F32 on an exact device, otherwise F16 */
	STOKER_KV_TYPE_F32,
	STOKER_KV_TYPE_F16,
	STOKER_KV_TYPE_Q8_0,
	STOKER_KV_TYPE_Q5_0, /* these two on the CPU, and where a device shares its memory */
	STOKER_KV_TYPE_Q4_0,
};

/** enum stoker_pooling - what of its tokens' hidden states makes a context's embedding */
enum stoker_pooling {
	STOKER_POOLING_NONE, /* tokens get logits */
	STOKER_POOLING_MEAN, /* that of all of them */
	STOKER_POOLING_LAST,
	STOKER_POOLING_CLS, /* the first */
};

/**
 * struct stoker_session_params - what a session is created with; zeros are good defaults
 * @size: STOKER_SESSION_PARAMS_INIT
 * @context: positions the cache has room for; 0: what the model was trained for, at most 4096
 * @batch: tokens computed at once while reading a prompt; 0: 512, or as many, 16 at least, as the
 *	model's budget of memory has room for
 * @kv: how keys and values are stored
 * @kv_keys: how keys are, if they aren't stored as @kv says; so are the compressed vectors that
 *	multi-head latent attention has in place of both
 * @kv_values: how values are
 * @all_logits: nonzero when STOKER_LOGITS_ALL will be asked for; only a memory budget needs to know
 * @progress: told after each batch that the positions from @first on, @rows of them, are computed;
 *	may be NULL
 * @user: handed to @progress
 * @predicted_layers: for the program itself, 0
 * @sequences: of stoker_batch_create(), at a time, with @context positions each; 0: 1; a session
 *	has one
 * @cache_bytes: of stoker_batch_create(): what keys and values of all sequences may take together,
 *	at least what one takes in full context; they take it as they grow.  0: what all of them
 *	take in full context
 * @deterministic: nonzero: what stoker_batch_eval() gives a sequence has the same bits whatever
 *	others are in the step, and in a session; slower with many sequences
 * @pooling: there are no logits but embeddings (stoker_session_embedding(),
 *	stoker_sequence_embedding()), for which the product with the vocabulary is left out; not for
 *	an engine
 */
struct stoker_session_params {
	size_t size;
	uint32_t context, batch;
	enum stoker_kv_type kv, kv_keys, kv_values;
	int all_logits;
	void (*progress)(void *user, struct stoker_session *session, uint32_t first, uint32_t rows);
	void *user;
	uint32_t predicted_layers;
	uint32_t sequences;
	int deterministic;
	enum stoker_pooling pooling;
	uint64_t cache_bytes;
};
#define STOKER_SESSION_PARAMS_INIT STOKER_SIZE_OF(struct stoker_session_params)

/**
 * struct stoker_model_params - how to load; zeros are good defaults
 * @size: STOKER_MODEL_PARAMS_INIT
 * @progress: told how many bytes of how many are read, from the loading thread; a nonzero return
 *	cancels with -ECANCELED; may be NULL
 * @user: handed to @progress
 * @memory: bytes that the model and one session may take together, with the experts of a mixture
 *	that don't fit staying on the drive; or STOKER_MEMORY_AUTO, _MIN, or _MAX
 * @host_memory: for a device with memory of its own, which @memory is about: bytes of the host's
 *	for experts on their way there; 0: three quarters of what is left of it
 * @session: what that session will be created with; NULL: the defaults
 * @store: how experts are read: "uring", "threads", "kmod" (the kernel module), or
 *	NULL for the best that works here
 * @policy: which expert gives way to another: "frequency", "lru", "quota", or NULL for the first
 * @prefetch: whether experts are read before they're needed: "on", "off", or NULL for what
 *	measuring shows to be faster; results are the same
 */
struct stoker_model_params {
	size_t size;
	int (*progress)(void *user, uint64_t done, uint64_t total);
	void *user;
	uint64_t memory, host_memory;
	const struct stoker_session_params *session;
	const char *store, *policy, *prefetch;
};
#define STOKER_MODEL_PARAMS_INIT STOKER_SIZE_OF(struct stoker_model_params)

/**
 * stoker_model_load() - read a GGUF model into a device's memory
 * @device: where it will compute
 * @path: the file, or the first of a split model
 * @params: may be NULL
 * @model: receives the model; release it with stoker_model_free()
 * @err: may be NULL
 *
 * Blocks until everything is read.  What everything takes is found out before any memory is given
 * to it: -ENOMEM names the figures when @params' budget, or what is left, isn't enough.
 *
 * Return: 0; -ENOTSUP for an architecture or format that isn't known; -EINVAL for a malformed or
 * contradictory file; -ENOMEM; -ECANCELED; -EIO or another -errno of reading.
 */
STOKER_API int stoker_model_load(struct stoker_device *device, const char *path,
				 const struct stoker_model_params *params,
				 struct stoker_model **model, struct stoker_error *err);

/**
 * stoker_model_load_gguf() - the same from a container that is open
 * @device: where it will compute
 * @gguf: shared with the model, which keeps it open for as long as it needs it
 * @params: may be NULL
 * @model: receives the model; release it with stoker_model_free()
 * @err: may be NULL
 *
 * Once this call has returned the caller may close the container at any time, on any thread.  A
 * program that also needs the vocabulary opens the file once, for this and for
 * stoker_vocabulary_load_gguf(), which may run at the same time.
 *
 * Return: what stoker_model_load() returns, but for failures of opening the file.
 */
STOKER_API int stoker_model_load_gguf(struct stoker_device *device, struct stoker_gguf *gguf,
				      const struct stoker_model_params *params,
				      struct stoker_model **model, struct stoker_error *err);

/**
 * stoker_model_load_fd() - the same from a file that the caller has opened
 * @fd: for reading, a regular file; stays the caller's, who may close it once this call has
 * returned
 *
 * For programs that may not open files themselves, or were handed one.  Where experts are read from
 * the drive without /proc they go through the page cache.
 *
 * Return: what stoker_model_load() returns; -EBADF; -ENOTSUP for a file of a split model.
 */
STOKER_API int stoker_model_load_fd(struct stoker_device *device, int fd,
				    const struct stoker_model_params *params,
				    struct stoker_model **model, struct stoker_error *err);

/**
 * stoker_model_gguf() - the container that a model was loaded from
 *
 * For its metadata (stoker_gguf_find()) and its table of tensors.
 *
 * Return: lives as long as the model; don't close it.  NULL without a model.
 */
STOKER_API const struct stoker_gguf *stoker_model_gguf(const struct stoker_model *model);

/**
 * stoker_model_free() - release a model and clear the pointer; NULL is fine
 *
 * Its memory goes with the last session on it.
 */
STOKER_API void stoker_model_free(struct stoker_model **model);

/**
 * struct stoker_model_info - what a model is
 * @size: STOKER_MODEL_INFO_INIT
 * @architecture: GGUF's name, "qwen3moe"
 * @name: of the model, empty when the file has none
 * @layers: that run (draft layers of the file are not counted)
 * @vocabulary: size of a row of logits
 * @context: positions it was trained for
 * @experts: of a layer, 0 for dense models
 * @experts_used: of them for each token
 * @bytes: of weights in device memory
 * @expert_bytes: of the largest expert
 * @parameters: number of weights
 * @embedding: size of a token's hidden state, and so of an embedding
 */
struct stoker_model_info {
	size_t size;
	const char *architecture, *name;
	uint32_t layers, vocabulary, context, experts, experts_used, embedding;
	uint64_t bytes, expert_bytes, parameters;
};
#define STOKER_MODEL_INFO_INIT STOKER_SIZE_OF(struct stoker_model_info)

/**
 * struct stoker_model_paging - a model whose experts are on the drive, so far
 * @size: STOKER_MODEL_PAGING_INIT
 * @store: how they are read
 * @memory: the budget
 * @dense: of it, weights that every token uses
 * @cache: of it, keys and values of the session that the model was loaded for
 * @buffers: of it, working buffers
 * @least: slots take at least this much
 * @slots: experts that fit into memory at a time, of @experts in all
 * @slot_bytes: memory of the slots
 * @hits: experts that were needed and had a slot
 * @misses: those that had none yet
 * @bytes_read: in all
 * @prefetched: experts that were read before they were needed
 * @prefetched_used: of these, those that then were
 * @prefetched_bytes: of @bytes_read
 * @predicted: experts needed in layers whose choice was guessed before
 * @predicted_right: of these, those that were guessed
 * @stall_seconds: spent waiting for the drive
 * @store_seconds: spent sending reads off and taking them in
 * @reading_seconds: reads were under way
 */
struct stoker_model_paging {
	size_t size;
	const char *store;
	uint64_t memory, dense, cache, buffers, least;
	uint64_t slots, experts, slot_bytes;
	uint64_t hits, misses, bytes_read;
	uint64_t prefetched, prefetched_used, prefetched_bytes, predicted, predicted_right;
	double stall_seconds, store_seconds, reading_seconds;
};
#define STOKER_MODEL_PAGING_INIT STOKER_SIZE_OF(struct stoker_model_paging)

/**
 * struct stoker_model_outlook - what loading a model would come to
 * @size: STOKER_MODEL_OUTLOOK_INIT
 * @whole: bytes for everything in memory, the session included
 * @least: the smallest budget it can be loaded with: experts on the drive, and where the session
 *	doesn't say how many tokens are computed at once, few; 0: no experts can stay there
 * @memory_min: bytes that STOKER_MEMORY_MIN takes: likewise, with batches of the usual size
 * @left: bytes that the device's memory has left; 0: it isn't known
 * @weights: of @whole
 * @cache: of @whole, keys and values
 * @buffers: of @whole, what is computed in, and the files' metadata
 * @context: positions of the cache
 * @trained_context: positions the model was trained for
 * @layers: that run
 * @experts: of a layer, 0 for dense models
 * @experts_used: of them for each token
 * @parameters: number of weights
 * @fits: whether it would be loaded
 * @paged: whether experts would stay on the drive
 */
struct stoker_model_outlook {
	size_t size;
	uint64_t whole, least, memory_min, left, weights, cache, buffers;
	uint32_t context, trained_context, layers, experts, experts_used;
	uint64_t parameters;
	int fits, paged;
};
#define STOKER_MODEL_OUTLOOK_INIT STOKER_SIZE_OF(struct stoker_model_outlook)

/**
 * stoker_model_foresee() - what stoker_model_load_gguf() would come to
 * @device: where it would compute
 * @gguf: the container
 * @params: may be NULL
 * @outlook: receives the figures
 * @err: may be NULL
 *
 * Reads no weights and takes no memory for them.
 *
 * Return: 0; -ENOMEM with @outlook filled in when the memory isn't enough; otherwise what
 * stoker_model_load_gguf() would return, with an empty @outlook.
 */
STOKER_API int stoker_model_foresee(struct stoker_device *device, struct stoker_gguf *gguf,
				    const struct stoker_model_params *params,
				    struct stoker_model_outlook *outlook, struct stoker_error *err);

/** stoker_model_paging() - fill @info; -ENOENT for a model that is all in memory. */
STOKER_API int stoker_model_paging(const struct stoker_model *model,
				   struct stoker_model_paging *info);

/** stoker_model_info() - fill @info; strings live as long as the model. Return: 0 or -EINVAL. */
STOKER_API int stoker_model_info(const struct stoker_model *model, struct stoker_model_info *info);

#ifdef __cplusplus
}
#endif

#endif
