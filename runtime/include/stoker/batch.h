/* SPDX-License-Identifier: MIT */
/**
 * stoker/batch.h - several sequences of a model whose tokens are computed together.
 *
 * A step takes tokens of any of a batch's sequences through the model: each weight is read once for
 * all of them.  What a sequence gets doesn't depend on what the others hold.
 *
 * Threads: a batch and its sequences belong to one thread at a time; a call that comes while
 * another one is going on gets -EBUSY.  What only tells something (positions, tokens, logits,
 * bytes) is called while no other call is going on.  Several batches and sessions may share a
 * model; calls on the same device take turns.
 *
 * Fork: see stoker/device.h.
 */
#ifndef STOKER_BATCH_H
#define STOKER_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/model.h"
#include "stoker/session.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_batch;
struct stoker_sequence;

/**
 * stoker_batch_create() - room for sequences, and for computing their steps
 * @model: stays in memory for as long as the batch needs it, even when it is freed
 * @params: @context is that of each sequence, @batch the most tokens of a step, @sequences how many
 *	there can be at a time; @progress isn't called; may be NULL
 * @batch: receives it; release it with stoker_batch_free()
 *
 * Of a model with a budget of memory all batches together take no more than it was made for, the
 * session of struct stoker_model_params; in a small one sequences share pages for fewer full
 * contexts than there are of them, as with @params' cache_bytes, one at least.  With
 * STOKER_MEMORY_AUTO the budget is what the device had left beside the model when that was loaded.
 *
 * Return: 0; -EINVAL for parameters the model can't do; -ENOMEM, also where that is too little,
 *with the figures in @err.
 */
STOKER_API int stoker_batch_create(struct stoker_model *model,
				   const struct stoker_session_params *params,
				   struct stoker_batch **batch, struct stoker_error *err);

/**
 * stoker_batch_free() - release a batch and clear the pointer; NULL is fine
 *
 * Its memory goes with the last of its sequences.
 */
STOKER_API void stoker_batch_free(struct stoker_batch **batch);

/**
 * stoker_batch_rows() - the most tokens of a step
 *
 * What struct stoker_session_params' batch says or, where that is 0, the model's budget of memory
 * had room for.
 */
STOKER_API uint32_t stoker_batch_rows(const struct stoker_batch *batch);

/**
 * stoker_batch_bytes() - device memory of all sequences' caches and of the working buffers
 *
 * What they take now: keys and values take memory as sequences grow, and give it back.
 */
STOKER_API void stoker_batch_bytes(const struct stoker_batch *batch, uint64_t *cache,
				   uint64_t *scratch);

/**
 * stoker_sequence_create() - a sequence with an empty context
 * @sequence: receives it; release it with stoker_sequence_free()
 *
 * Return: 0; -ENOSPC when the batch has as many as it can have; -EBUSY; -ENOMEM.
 */
STOKER_API int stoker_sequence_create(struct stoker_batch *batch, struct stoker_sequence **sequence,
				      struct stoker_error *err);

/**
 * stoker_sequence_copy() - another sequence of the same batch with the same context
 * @copy: receives it; release it with stoker_sequence_free()
 *
 * Whichever of the two goes on, the other one stays as it is.  What they have in common is in
 * memory once: 64 positions at a time become a sequence's own when it writes to one of them, which
 * copying leaves to later.  State of recurrent layers is copied at once.
 *
 * Return: as stoker_sequence_create().
 */
STOKER_API int stoker_sequence_copy(struct stoker_sequence *sequence, struct stoker_sequence **copy,
				    struct stoker_error *err);

/**
 * stoker_sequence_free() - release a sequence and clear the pointer; NULL is fine
 *
 * One that a call on another thread is using goes when that returns.
 */
STOKER_API void stoker_sequence_free(struct stoker_sequence **sequence);

/** stoker_sequence_position() - tokens in the context. */
STOKER_API uint32_t stoker_sequence_position(const struct stoker_sequence *sequence);

/**
 * stoker_sequence_tokens() - which tokens are in the context
 * @count: receives their number, stoker_sequence_position(); may be NULL
 *
 * Return: their ids, valid until the next call on the sequence.
 */
STOKER_API const uint32_t *stoker_sequence_tokens(const struct stoker_sequence *sequence,
						  size_t *count);

/**
 * stoker_sequence_truncate() - forget all but the first @position tokens
 *
 * Return: 0, -EINVAL beyond the present position, -EBUSY; -ENOTSUP where what comes before
 * @position isn't known any more, as for stoker_session_truncate().
 */
STOKER_API int stoker_sequence_truncate(struct stoker_sequence *sequence, uint32_t position,
					struct stoker_error *err);

/**
 * stoker_sequence_remove() - take @count positions from @first on out of its context
 * @shift: nonzero: what is behind them moves up by @count, and its keys are rotated back as far;
 *	0: nothing may be behind them
 *
 * What it gives, and -ENOTSUP for what (latent or recurrent layers, windows much smaller than the
 * context, keys in Q5_0 or Q4_0, holes), is as for stoker_session_remove().  Copies, and sequences
 * that began with what this one has, keep all that they have.
 *
 * What is from @first on isn't what others get for these tokens: stoker_sequence_share() leaves it
 * out until the sequence has been cut back to there, which a saved state remembers, too.
 *
 * Return: 0; -EINVAL where there aren't as many positions; -ENOTSUP; -EBUSY; -ENOSPC where there is
 * no room for pages that others have, too, or -ENOMEM, without a change.  When a device fails
 * on the way the context ends at @first.
 */
STOKER_API int stoker_sequence_remove(struct stoker_sequence *sequence, uint32_t first,
				      uint32_t count, int shift, struct stoker_error *err);

/**
 * stoker_sequence_embedding() - of what is in its context, as stoker_session_embedding()
 *
 * A copy has that of its original.  For a mean, and for the first token, stoker_sequence_reuse()
 * finds nothing: all tokens have to be evaluated.
 */
STOKER_API int stoker_sequence_embedding(struct stoker_sequence *sequence, int normalize,
					 float *embedding, struct stoker_error *err);

/** stoker_sequence_reachable() - how far it can go back, see stoker_session_reachable(). */
STOKER_API uint32_t stoker_sequence_reachable(const struct stoker_sequence *sequence,
					      uint32_t position);

/**
 * stoker_sequence_share() - other sequences of the batch may begin with what this one has
 * @salt: who may: those that ask with the same number.  A program that serves several users gives
 *	each its own, as how soon an answer comes tells whether somebody has asked the same before.
 *
 * Keeps the context so far, 64 positions at a time, without what is left over; it may be called
 * again as the sequence grows, and goes on when the sequence is freed.  What hasn't been used for
 * longest gives way when memory for keys and values is short (struct stoker_session_params'
 * cache_bytes).  With recurrent layers others go on where a step with several tokens of this one
 * has ended at a multiple of 64.  With deterministic only chunks of 256 tokens, or as many as a
 *step has, in multiples of 64, are kept, which have to have been evaluated as such from the
 *beginning on.
 *
 * Return: 0, -EBUSY, -ENOMEM.
 */
STOKER_API int stoker_sequence_share(struct stoker_sequence *sequence, uint64_t salt,
				     struct stoker_error *err);

/**
 * stoker_sequence_reuse() - begin an empty sequence with what others have shared
 * @tokens: @count of them that are about to be evaluated
 * @salt: see stoker_sequence_share()
 * @positions: receives how many of them needn't be, as the sequence has them now, 0 if nothing is
 *	known; never all of them; may be NULL
 *
 * Return: 0, -EINVAL for a sequence that isn't empty, -EBUSY, -EIO.
 */
STOKER_API int stoker_sequence_reuse(struct stoker_sequence *sequence, const uint32_t *tokens,
				     size_t count, uint64_t salt, uint32_t *positions,
				     struct stoker_error *err);

/**
 * struct stoker_batch_part - what a sequence brings to a step
 * @sequence: of the batch; no other part of the step is about it
 * @tokens: @count ids below the model's vocabulary, appended to the context
 * @logits: which of them to compute logits for; STOKER_LOGITS_NONE with struct
 *	stoker_session_params' pooling
 * @reserved: 0
 */
struct stoker_batch_part {
	struct stoker_sequence *sequence;
	const uint32_t *tokens;
	size_t count;
	enum stoker_logits logits;
	uint32_t reserved;
};

/**
 * stoker_batch_eval() - one step: append tokens to several sequences
 * @parts: @count of them, together no more tokens than a step has (struct
 *	stoker_session_params' batch)
 * @item_size: sizeof(struct stoker_batch_part)
 *
 * Blocks until done.  Nothing is evaluated unless all of it can be.
 *
 * Rows of a step may be multiplied in another order than fewer rows are, and logits then differ in
 * their last bits; with struct stoker_session_params' deterministic they don't.
 *
 * Return: 0; -ENOSPC when a context is full, or when there is no memory for more keys and values
 * (struct stoker_session_params' cache_bytes); -EINVAL for a bad token, too many tokens, a sequence
 * that comes twice or is of another batch; -EBUSY; -ECANCELED; -ENOMEM; what the drive said when it
 * couldn't read an expert, as -EIO or -ETIMEDOUT.
 *
 * After a failure that isn't the arguments' sequences hold what they held before; with recurrent
 * layers those of the step may have gone back to a position that was kept, and with deterministic
 * some parts may have been evaluated: stoker_sequence_position() tells.
 */
STOKER_API int stoker_batch_eval(struct stoker_batch *batch, const struct stoker_batch_part *parts,
				 size_t item_size, size_t count, struct stoker_error *err);

/**
 * stoker_batch_cancel() - cut the step short that is going on
 *
 * It returns -ECANCELED when its present layer is done, unless it is done itself by then; between
 * steps nothing happens.
 *
 * Thread-safety: any thread, and signal handlers; not once stoker_batch_free() was called.
 */
STOKER_API void stoker_batch_cancel(struct stoker_batch *batch);

/**
 * stoker_batch_logits() - of the last step
 * @row: 0 is the first token that got logits, in the order of the parts and in them of the tokens
 *
 * Return: vocabulary floats, valid until the next step; NULL beyond what the last step asked for,
 * and when it failed.
 */
STOKER_API const float *stoker_batch_logits(const struct stoker_batch *batch, size_t row);

#ifdef __cplusplus
}
#endif

#endif
