/* SPDX-License-Identifier: MIT */
/**
 * stoker/session.h - one conversation with a model: its cache, its logits, sampling and generation.
 *
 * A session belongs to one thread at a time; stoker_session_cancel() alone may be called from any.
 * Several sessions may share a model; calls on the same device take turns.
 */
#ifndef STOKER_SESSION_H
#define STOKER_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/model.h"
#include "stoker/text.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_session;

/**
 * stoker_session_create() - start with an empty context
 * @model: has to outlive the session
 * @params: may be NULL
 * @session: receives it; release it with stoker_session_free()
 *
 * Return: 0, -EINVAL for parameters the model can't do, -ENOMEM.
 */
STOKER_API int stoker_session_create(struct stoker_model *model,
				     const struct stoker_session_params *params,
				     struct stoker_session **session, struct stoker_error *err);

/** stoker_session_free() - release a session and clear the pointer; NULL is fine. */
STOKER_API void stoker_session_free(struct stoker_session **session);

/** enum stoker_logits - which positions of a call get logits */
enum stoker_logits {
	STOKER_LOGITS_NONE,
	STOKER_LOGITS_LAST,
	STOKER_LOGITS_ALL, /* @count may not exceed the batch size */
};

/**
 * stoker_session_eval() - append tokens to the context
 * @tokens: @count ids below the model's vocabulary
 * @logits: which positions to compute logits for
 *
 * Blocks until done; splits long input into batches.
 *
 * Return: 0; -ENOSPC when the context is full; -EINVAL for a bad token; -ECANCELED, after which the
 * session holds the batches that were finished, or nothing for models with recurrent layers, as
 * after any failure while computing; -ENOMEM; what the drive said when it couldn't read an expert,
 * as -EIO (also instead of the three before) or -ETIMEDOUT.
 */
STOKER_API int stoker_session_eval(struct stoker_session *session, const uint32_t *tokens,
				   size_t count, enum stoker_logits logits,
				   struct stoker_error *err);

/**
 * stoker_session_logits() - of the last call
 * @row: 0 is the first position that got logits
 *
 * Return: vocabulary floats, valid until the next call on the session; NULL beyond what the last
 * call asked for, and after stoker_session_truncate().
 */
STOKER_API const float *stoker_session_logits(const struct stoker_session *session, size_t row);

/** stoker_session_position() - tokens in the context. */
STOKER_API uint32_t stoker_session_position(const struct stoker_session *session);

/**
 * stoker_session_tokens() - which tokens are in the context
 * @count: receives their number, stoker_session_position()
 *
 * Those that were evaluated and those that stoker_generate() chose, in order: what a next prompt
 * has in common with them needn't be evaluated again.
 *
 * Return: their ids, valid until the next call on the session.
 */
STOKER_API const uint32_t *stoker_session_tokens(const struct stoker_session *session,
						 size_t *count);

/** stoker_session_context() - tokens the context has room for. */
STOKER_API uint32_t stoker_session_context(const struct stoker_session *session);

/** stoker_session_bytes() - device memory of the cache and of the working buffers. */
STOKER_API void stoker_session_bytes(const struct stoker_session *session, uint64_t *cache,
				     uint64_t *scratch);

/**
 * stoker_session_truncate() - forget all but the first @position tokens
 *
 * Return: 0, -EINVAL beyond the present position, -ENOTSUP for models with recurrent layers unless
 * @position is 0.
 */
STOKER_API int stoker_session_truncate(struct stoker_session *session, uint32_t position);

/**
 * stoker_session_experts() - which experts the last batch of the last call used
 * @layer: of the model
 * @row: token of the batch
 * @ids: room for struct stoker_model_info's experts_used ids, receives them best first
 *
 * Return: number of ids, 0 for a dense layer or a row that wasn't in the batch.
 */
STOKER_API uint32_t stoker_session_experts(const struct stoker_session *session, uint32_t layer,
					   uint32_t row, uint32_t *ids);

/**
 * stoker_session_predicted() - what the router of a layer said earlier, on the input of another
 * @layer: whose router it is
 * @distance: layers before it was asked, 1 to struct stoker_session_params' predicted_layers
 *
 * Otherwise as stoker_session_experts().
 */
STOKER_API uint32_t stoker_session_predicted(const struct stoker_session *session, uint32_t layer,
					     uint32_t distance, uint32_t row, uint32_t *ids);

/**
 * stoker_session_cancel() - make the running call, or else the next one, fail with -ECANCELED
 *
 * Thread-safety: any thread, and signal handlers.
 */
STOKER_API void stoker_session_cancel(struct stoker_session *session);

/**
 * struct stoker_sampler_params - how the next token is chosen; all zero is greedy
 * @temperature: 0 takes the most likely token and ignores what follows except the penalty
 * @top_k: keep the k most likely, 0: all
 * @top_p: keep the most likely that together reach this probability, 0 or 1: all
 * @min_p: keep those at least this share of the most likely one's probability
 * @repeat_penalty: divide positive logits of recent tokens by it and multiply negative ones, 0 or
 *	1: off (arXiv:1909.05858)
 * @repeat_last: how many tokens are recent, 0: 64
 * @seed: the same seed gives the same choices
 */
struct stoker_sampler_params {
	float temperature, top_p, min_p, repeat_penalty;
	uint32_t top_k, repeat_last;
	uint64_t seed;
};

struct stoker_sampler;

/** stoker_sampler_create() - Return: 0, -EINVAL for impossible values, -ENOMEM. */
STOKER_API int stoker_sampler_create(const struct stoker_sampler_params *params,
				     struct stoker_sampler **sampler, struct stoker_error *err);
/** stoker_sampler_free() - release and clear; NULL is fine. */
STOKER_API void stoker_sampler_free(struct stoker_sampler **sampler);

/** stoker_sampler_accept() - tell the repeat penalty about a token that wasn't sampled. */
STOKER_API void stoker_sampler_accept(struct stoker_sampler *sampler, uint32_t token);

/**
 * stoker_sampler_sample() - choose a token and remember it
 * @logits: @count floats
 * @token: receives the choice
 *
 * Return: 0, -EDOM when no logit is a finite number, -ENOMEM.
 */
STOKER_API int stoker_sampler_sample(struct stoker_sampler *sampler, const float *logits,
				     uint32_t count, uint32_t *token);

/** enum stoker_finish - why generation ended */
enum stoker_finish {
	STOKER_FINISH_LENGTH,  /* max_tokens reached */
	STOKER_FINISH_END,     /* the model ended its text */
	STOKER_FINISH_STOP,    /* a stop string came up */
	STOKER_FINISH_CONTEXT, /* the context is full */
	STOKER_FINISH_CALLER,  /* the callback asked to stop */
	STOKER_FINISH_FAILED,  /* an error or a cancellation, see the return value */
};

/**
 * struct stoker_generate_params - how far to generate
 * @max_tokens: 0: until the context is full
 * @stop: strings that end the text; they are not passed on
 * @stop_count: number of them
 * @ignore_end: nonzero goes on after end-of-text tokens
 * @text: receives whole characters as they come, what isn't UTF-8 as U+FFFD; nonzero stops
 * @context: handed to @text
 */
struct stoker_generate_params {
	uint32_t max_tokens;
	const char *const *stop;
	size_t stop_count;
	int ignore_end;
	int (*text)(void *context, const char *utf8, size_t bytes);
	void *context;
};

/** struct stoker_generate_result - what came of it */
struct stoker_generate_result {
	uint32_t tokens;
	enum stoker_finish finish;
};

/**
 * stoker_generate() - sample from the session's present logits until something ends the text
 * @session: after a stoker_session_eval() with logits for the last position
 * @vocabulary: of the session's model
 * @result: receives how it ended, also on failure; may be NULL
 *
 * Every token whose text was passed on is in the context on return, with logits for what follows,
 * so that another call goes on where this one ended; the token that ended the text and the one that
 * completed a stop string are not.  Only @err and @result may be NULL.
 *
 * Return: 0; -EINVAL for a bad stop string or a session without logits; -EDOM when the model gives
 * no finite logits; what stoker_session_eval() returns.
 */
STOKER_API int stoker_generate(struct stoker_session *session, struct stoker_sampler *sampler,
			       const struct stoker_vocabulary *vocabulary,
			       const struct stoker_generate_params *params,
			       struct stoker_generate_result *result, struct stoker_error *err);

#ifdef __cplusplus
}
#endif

#endif
