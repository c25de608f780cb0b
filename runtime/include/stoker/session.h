/* SPDX-License-Identifier: MIT */
/**
 * stoker/session.h - one conversation with a model: its cache, its logits, and generation.
 *
 * Threads: a session belongs to one thread at a time, and so does a sampler; who comes second gets
 * -EBUSY.  stoker_session_cancel() and stoker_session_cancel_run() alone may be called from any.
 * Several sessions may share a model; calls on the same device take turns.
 *
 * Callbacks (of stoker_session_generate(), and struct stoker_session_params' progress) may read
 * from the session they are about: its position, tokens, logits; they may cancel it, and free it,
 * which ends the call early and then happens.  What would change its context gives -EBUSY.  They
 * don't jump out (longjmp(), C++ exceptions).
 *
 * Fork: see stoker/device.h.
 */
#ifndef STOKER_SESSION_H
#define STOKER_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/model.h"
#include "stoker/sampler.h"
#include "stoker/text.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_decoder;
struct stoker_session;

/**
 * stoker_session_create() - start with an empty context
 * @model: stays in memory for as long as the session needs it, even when it is freed
 * @params: may be NULL
 * @session: receives it; release it with stoker_session_free()
 *
 * Return: 0, -EINVAL for parameters the model can't do, -ENOMEM.
 */
STOKER_API int stoker_session_create(struct stoker_model *model,
				     const struct stoker_session_params *params,
				     struct stoker_session **session, struct stoker_error *err);

/**
 * stoker_session_free() - release a session and clear the pointer; NULL is fine
 *
 * A call that uses it, on another thread or because this is one of its callbacks, is cancelled; the
 * session goes when that call returns.
 */
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
 * @logits: which positions to compute logits for; STOKER_LOGITS_NONE with struct
 *	stoker_session_params' pooling
 *
 * Blocks until done; splits long input into batches.
 *
 * Return: 0; -ENOSPC when the context is full; -EINVAL for a bad token; -EBUSY; -ECANCELED;
 * -ENOMEM; what the drive said when it couldn't read an expert, as -EIO (also instead of the three
 * before) or -ETIMEDOUT.
 *
 * After -ECANCELED and the failures behind it the session holds the batches that were finished.
 * Models with recurrent layers go back to a position that they kept, mostly where the unfinished
 * one began: stoker_session_position() tells.  Of these models a single token is finished before a
 * cancellation is looked at, so that cancelling costs no context unless it cuts a longer batch
 * short.
 */
STOKER_API int stoker_session_eval(struct stoker_session *session, const uint32_t *tokens,
				   size_t count, enum stoker_logits logits,
				   struct stoker_error *err);

/**
 * stoker_session_logits() - of the last call
 * @row: 0 is the first position that got logits
 *
 * Return: vocabulary floats, valid until the next call on the session; NULL beyond what the last
 * call asked for, and when stoker_session_truncate() has removed something.
 */
STOKER_API const float *stoker_session_logits(const struct stoker_session *session, size_t row);

/**
 * stoker_session_embedding() - of what is in the context
 * @session: with struct stoker_session_params' pooling
 * @normalize: nonzero: of length 1
 * @embedding: receives struct stoker_model_info's embedding floats
 *
 * The mean of all tokens' hidden states behind the output's norm, or that of the last or the first
 * one: as evaluating has left them, in whichever calls and batches that was.  Nothing is evaluated.
 *
 * Cutting the context takes the hidden states along, and a restored state has none: the last one is
 * there again when something is evaluated, the mean only of a context that has been empty since.
 * The first one stays with its token.
 *
 * Return: 0; -EINVAL without pooling, for an empty context, and where hidden states aren't known as
 * said before; -EDOM where they aren't finite; -EBUSY.
 */
STOKER_API int stoker_session_embedding(struct stoker_session *session, int normalize,
					float *embedding, struct stoker_error *err);

/** stoker_session_position() - tokens in the context. */
STOKER_API uint32_t stoker_session_position(const struct stoker_session *session);

/**
 * stoker_session_tokens() - which tokens are in the context
 * @count: receives their number, stoker_session_position()
 *
 * Those that were evaluated and those that stoker_session_generate() chose, in order: what a next
 * prompt has in common with them needn't be evaluated again.
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
 * struct stoker_pages - device memory of the keys and values of sequences that share it, in bytes
 * @used: what sequences have now
 * @shared: what several have, or is kept beside, counted once
 * @kept: of contexts that have gone, for others that begin alike; it gives way to what is used
 * @limit: that all of it may take
 */
struct stoker_pages {
	uint64_t used, shared, kept, limit;
};

/**
 * stoker_session_truncate() - forget all but the first @position tokens
 *
 * Logits are gone, unless @position is the present one, which changes nothing.
 *
 * Return: 0, -EINVAL beyond the present position, -EBUSY; -ENOTSUP where what comes before
 * @position isn't known any more, see stoker_session_reachable().
 */
STOKER_API int stoker_session_truncate(struct stoker_session *session, uint32_t position,
				       struct stoker_error *err);

/**
 * stoker_session_reachable() - how far a context can go back, for stoker_session_truncate()
 *
 * Most models go back to any position.  Those with windows much smaller than the context go to 0,
 * or a batch, at least 63 tokens, from the furthest that was evaluated or begun.
 *
 * Those with recurrent layers keep what these knew at some positions, as many as memory that was
 * set aside allows: where tokens came that were several, so where messages begin; up to 64 tokens
 * before the end of a long prompt, unless experts stay on the drive; every 256 tokens of what comes
 * one by one.
 *
 * Return: the furthest position up to @position that it can be cut at.
 */
STOKER_API uint32_t stoker_session_reachable(const struct stoker_session *session,
					     uint32_t position);

/**
 * stoker_session_remove() - take @count positions from @first on out of the context
 * @shift: nonzero: what is behind them moves up by @count, and its keys are rotated back as far, so
 *	that attention takes it for what comes next; 0: nothing may be behind them, as for
 *	stoker_session_truncate()
 *
 * For a text that goes on when the context is full: the beginning stays, some of what follows it is
 * taken out, and nothing is evaluated anew.  It isn't what evaluating what is left would give: keys
 * and values from @first on were computed with what is gone, and still know of it.  Where that
 * counts, evaluate anew.  Each time it rounds keys that aren't in F32.  Layers without rotary
 * attention keep keys as they are.  Logits are gone.
 *
 * -ENOTSUP, without a change, where
 *  - @shift is 0, and something is behind the positions: there are no holes;
 *  - a layer isn't plain attention: latent attention has rotated and other parts in common for all
 *    heads, recurrent layers don't know positions apart;
 *  - layers with windows keep the last positions only, which they do where the context is much
 *    longer than the window;
 *  - keys are of a type that isn't rotated anew: Q5_0, Q4_0.  Values may be of any.
 * With @shift and a @count of 0 this alone is told.  Positions at the end are cut off, whatever
 * @shift is, as stoker_session_truncate() does it.
 *
 * Return: 0; -EINVAL where there aren't as many positions; -ENOTSUP; -EBUSY; -ENOSPC or -ENOMEM,
 * without a change.  When a device fails on the way the context ends at @first.
 */
STOKER_API int stoker_session_remove(struct stoker_session *session, uint32_t first, uint32_t count,
				     int shift, struct stoker_error *err);

/**
 * stoker_session_begin() - a new run: what is cancelled from now on, and no longer what was before
 *
 * A run is what is cancelled as a whole: a request, an answer, any number of calls on the session.
 * A cancellation that nothing has noticed yet is dropped.
 *
 * Return: the run's number, for stoker_session_cancel_run(); 0 when the session is in use.
 */
STOKER_API uint32_t stoker_session_begin(struct stoker_session *session);

/**
 * stoker_session_cancel() - cancel the run that is going on, whichever it is
 *
 * The call that is running, or else the next stoker_session_eval() or stoker_session_generate(),
 * returns -ECANCELED, one of them once; unless stoker_session_begin() comes before it.
 *
 * Thread-safety: any thread, and signal handlers; not once stoker_session_free() was called.
 */
STOKER_API void stoker_session_cancel(struct stoker_session *session);

/**
 * stoker_session_cancel_run() - cancel one run
 * @run: its number; nothing happens when another has begun since
 *
 * For who can't know whether the run is over: a late cancellation never meets the next one.
 * Otherwise as stoker_session_cancel().
 */
STOKER_API void stoker_session_cancel_run(struct stoker_session *session, uint32_t run);

/** enum stoker_finish - why generation ended */
enum stoker_finish {
	STOKER_FINISH_LENGTH,  /* max_tokens reached */
	STOKER_FINISH_END,     /* the model ended its text */
	STOKER_FINISH_STOP,    /* a stop string came up */
	STOKER_FINISH_CONTEXT, /* the context has no room for another token */
	STOKER_FINISH_CALLER,  /* the callback asked to stop */
	STOKER_FINISH_FAILED,  /* an error or a cancellation, see the return value */
};

/* The most tokens whose log-probabilities are told beside the chosen one's. */
enum { STOKER_TOP_MAX = 20 };

/** struct stoker_token_probability - natural logarithm of a token's probability */
struct stoker_token_probability {
	uint32_t token;
	float log_probability;
};

/**
 * struct stoker_generated - a token that was sampled; made by the library
 * @token: its id
 * @top_count: so many of @top are there
 * @log_probability: of the raw logits, if asked for
 * @top: the likeliest tokens, best first; live until the callback returns
 */
struct stoker_generated {
	uint32_t token, top_count;
	float log_probability;
	const struct stoker_token_probability *top;
};

/**
 * struct stoker_generate_params - how far to generate
 * @size: STOKER_GENERATE_PARAMS_INIT
 * @max_tokens: 0: until the context is full
 * @stop: strings of 1 to 256 bytes that end the text; they are not passed on
 * @stop_count: number of them
 * @ignore_end: nonzero goes on after end-of-text tokens
 * @text: receives whole characters as they come, what isn't UTF-8 as U+FFFD; nonzero stops
 * @token: told of each token that is sampled before its text, the one that ends the text, too;
 *	nonzero stops
 * @log_probabilities: nonzero: @token is told them
 * @top_count: of so many likeliest tokens, too; at most STOKER_TOP_MAX
 * @user: handed to @text and @token
 * @decoder: keeps text back from one call to the next, of the same vocabulary and with stop strings
 *	of its own in @stop's place; NULL: nothing is kept back when the call returns
 */
struct stoker_generate_params {
	size_t size;
	uint32_t max_tokens;
	const char *const *stop;
	size_t stop_count;
	int ignore_end;
	int (*text)(void *user, const char *utf8, size_t bytes);
	int (*token)(void *user, const struct stoker_generated *token);
	void *user;
	int log_probabilities;
	uint32_t top_count;
	struct stoker_decoder *decoder;
};
#define STOKER_GENERATE_PARAMS_INIT STOKER_SIZE_OF(struct stoker_generate_params)

#define STOKER_NO_TOKEN UINT32_MAX

/**
 * struct stoker_generate_result - what came of it
 * @size: STOKER_GENERATE_RESULT_INIT
 * @tokens: so many were sampled and are in the context now, the last ones of
 *	stoker_session_tokens()
 * @finish: what ended it
 * @bytes: of text, passed on
 * @held: so many tokens at the end of the context have given no text: they begin a stop string that
 *	came up, or the decoder keeps their text back; may be more than @tokens with @decoder
 * @token: the token that was sampled but isn't in the context: it ended the text, completed a stop
 *	string, or couldn't be evaluated; otherwise STOKER_NO_TOKEN
 */
struct stoker_generate_result {
	size_t size;
	uint32_t tokens;
	enum stoker_finish finish;
	uint64_t bytes;
	uint32_t held, token;
};
#define STOKER_GENERATE_RESULT_INIT STOKER_SIZE_OF(struct stoker_generate_result)

/**
 * stoker_session_generate() - sample from the session's present logits until something ends the
 * text
 * @session: after a stoker_session_eval() with logits for the last position
 * @vocabulary: of the session's model; NULL: the one that it keeps, stoker_model_vocabulary()
 * @result: receives how it ended, also on failure; may be NULL
 *
 * Every token whose text was passed on, or a part of it, is in the context on return, with logits
 * for what follows, so that another call goes on where this one ended:
 *
 * - Nothing is sampled that the context has no room for.
 * - The token that ended the text isn't in the context.  Nor is the token that completed a stop
 *   string, unless text before the string came from it; the tokens before it, which spell the
 *   string's beginning, are: stoker_session_truncate() drops them, @result has their number.
 * - When @text or @token asks to stop, the token that the text came from is put into the context
 * first.
 * - A cancellation is looked at between tokens.
 * - What is kept back is passed on at the end, also of a cancelled call, unless @text asked to
 * stop. With @params' decoder only when the text has ended (STOKER_FINISH_END): otherwise it stays
 *   there for the next call, or stoker_decoder_flush().
 * - When computing fails for another reason than a cancellation, text of one token that isn't in
 *   the context may have been passed on.  What the context holds then, stoker_session_eval() says.
 *
 * The token that ended the text counts for the sampler.  Only @vocabulary, @err and @result may be
 * NULL.
 *
 * Return: 0; -EINVAL for a bad stop string, another model's vocabulary, or a session without
 * logits; -EDOM when the model gives no finite logits; what stoker_session_eval() returns.
 */
STOKER_API int stoker_session_generate(struct stoker_session *session,
				       struct stoker_sampler *sampler,
				       const struct stoker_vocabulary *vocabulary,
				       const struct stoker_generate_params *params,
				       struct stoker_generate_result *result,
				       struct stoker_error *err);

#ifdef __cplusplus
}
#endif

#endif
