/* SPDX-License-Identifier: MIT */
/**
 * stoker/engine.h - requests of many clients, computed together by a thread of the engine's own.
 *
 * A request is a prompt and how to go on from it.  Requests wait in a queue until there is memory
 * for all they may need; those that run share steps, see stoker/batch.h.  A step takes a token of
 * each request that is generating, and then as much of the prompts of others as fits between two
 * tokens.  What comes of a request is told in events.
 *
 * Threads: all calls but creating and stoker_engine_free() may come from any thread, also several
 * at a time; stoker_engine_free() is the last one.  None but stoker_engine_free() waits for a step.
 *
 * Fork: in a process that was forked off all but stoker_engine_free() gives -ENOTSUP, or nothing;
 * that closes the descriptor there, and leaves the memory, which the thread may have been changing.
 */
#ifndef STOKER_ENGINE_H
#define STOKER_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/model.h"
#include "stoker/sampler.h"
#include "stoker/session.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_engine;

/**
 * struct stoker_engine_params - what an engine is created with; zeros are good defaults
 * @size: STOKER_ENGINE_PARAMS_INIT
 * @session: @context of each request, @sequences that run at a time, @batch: the most tokens of a
 *	step; @progress isn't called.  With @deterministic a request gets the same tokens whatever
 *	others there are: prompts are then cut at multiples of 256 tokens, however long that takes;
 *	NULL: the defaults
 * @queue: requests that may wait beside those that can run, 0: 64
 * @max_gap: seconds between two tokens of a request that reading others' prompts may take; it's at
 *	least what 16 tokens of a prompt take.  0: 0.1.  Where experts are read from the drive
 *	requests may take turns of 16 tokens, and wait for theirs longer than that
 */
struct stoker_engine_params {
	size_t size;
	const struct stoker_session_params *session;
	uint32_t queue;
	double max_gap;
};
#define STOKER_ENGINE_PARAMS_INIT STOKER_SIZE_OF(struct stoker_engine_params)

/**
 * stoker_engine_create() - begin to take requests
 * @model: stays in memory for as long as the engine needs it, even when it is freed
 * @params: may be NULL
 * @engine: receives it; release it with stoker_engine_free()
 *
 * Return: 0; -EINVAL for parameters the model can't do; -ENOMEM; -EAGAIN or -EMFILE when there is
 * no thread or descriptor to be had.
 */
STOKER_API int stoker_engine_create(struct stoker_model *model,
				    const struct stoker_engine_params *params,
				    struct stoker_engine **engine, struct stoker_error *err);

/**
 * stoker_engine_free() - release an engine and clear the pointer; NULL is fine
 *
 * Its requests end without an event.  Waits for the layer that is being computed; in a request's
 * stage, which is in a step, it happens when the step is over.
 */
STOKER_API void stoker_engine_free(struct stoker_engine **engine);

/**
 * stoker_engine_fd() - a descriptor to poll(): readable while an event waits
 *
 * It stays the engine's: don't read from it, don't close it.  It may be readable though another
 * thread, or a call a moment ago, has taken all events.
 *
 * Return: -EINVAL or -ENOTSUP instead.
 */
STOKER_API int stoker_engine_fd(const struct stoker_engine *engine);

/** enum stoker_priority - whose prompt is read first: shares of 2, 4 and 1, more after waiting */
enum stoker_priority {
	STOKER_PRIORITY_NORMAL,
	STOKER_PRIORITY_INTERACTIVE,
	STOKER_PRIORITY_BATCH,
};

/**
 * struct stoker_request - a prompt and how to go on from it
 * @size: STOKER_REQUEST_INIT
 * @tokens: @count ids below the model's vocabulary, one at least
 * @count: of the prompt
 * @max_tokens: to generate at most; 0: as many as the context has room for
 * @priority: one of a lower one that runs may have to make room, and is computed again later
 * @sampling: NULL: the most likely token each time
 * @vocabulary: whose end-of-text tokens end it; may be NULL
 * @ignore_end: nonzero goes on after these
 * @stop: @stop_count ids that end it, too
 * @stop_count: at most 64
 * @log_probabilities: nonzero: events have them, of the raw logits
 * @top_count: of so many likeliest tokens, too; at most STOKER_TOP_MAX
 * @salt: the beginning of a prompt isn't computed again when another request with the same one has
 *	it, too, which can be noticed by the time that takes
 * @stages: @stage_count stages of the program's own, of @stage_size bytes, see
 *	stoker_sampler_add(); if the request isn't taken their free isn't called
 *
 * Nothing of it is needed once stoker_engine_submit() has returned.
 */
struct stoker_request {
	size_t size;
	const uint32_t *tokens;
	size_t count;
	uint32_t max_tokens;
	enum stoker_priority priority;
	const struct stoker_sampler_params *sampling;
	const struct stoker_vocabulary *vocabulary;
	int ignore_end;
	const uint32_t *stop;
	size_t stop_count;
	int log_probabilities;
	uint32_t top_count;
	uint64_t salt;
	const struct stoker_custom_stage *stages;
	size_t stage_size, stage_count;
};
#define STOKER_REQUEST_INIT STOKER_SIZE_OF(struct stoker_request)

/**
 * stoker_engine_submit() - a request takes its place in the queue
 * @id: receives its number, which no other request of the engine ever has
 *
 * Return: 0; -EAGAIN when the queue is full; -ENOSPC when the request can never have the memory it
 * may need, or its prompt fills the context; -EINVAL; -ENOMEM; -ENOTSUP.
 */
STOKER_API int stoker_engine_submit(struct stoker_engine *engine,
				    const struct stoker_request *request, uint64_t *id,
				    struct stoker_error *err);

/**
 * stoker_engine_cancel() - end a request
 *
 * It's ended when the step that it is in has been computed, or at once when nobody else is in that.
 * Its last event says -ECANCELED, unless it had ended before.  Unknown numbers are fine.
 */
STOKER_API void stoker_engine_cancel(struct stoker_engine *engine, uint64_t id);

/** enum stoker_event_type - what an event is about */
enum stoker_event_type {
	STOKER_EVENT_TOKEN = 1, /* a token of the text */
	STOKER_EVENT_DONE,	/* the request's last one */
};

/**
 * struct stoker_request_timings - what a request took
 * @queued: seconds until it began to run
 * @prefill: from then to its first token
 * @decode: from that to the last one
 * @largest_gap: between two of its tokens
 * @prompt: tokens of the prompt
 * @reused: of them, so many were known already
 * @generated: tokens that were told
 * @preempted: how often it made room for others
 */
struct stoker_request_timings {
	double queued, prefill, decode, largest_gap;
	uint32_t prompt, reused, generated, preempted;
};

/**
 * struct stoker_event - what came of a request
 * @size: STOKER_EVENT_INIT
 * @type: which of the members count
 * @id: the request's
 * @token: of a TOKEN; of DONE the one that ended the text, or STOKER_NO_TOKEN
 * @log_probability: of the token, if asked for
 * @top_count: so many of @top are filled in
 * @top: the likeliest tokens, best first
 * @finish: of DONE: LENGTH, CONTEXT, END (an end-of-text token), STOP (one of the request's), or
 *	FAILED
 * @status: of DONE: 0, -ECANCELED, or why it failed
 * @error: the same as a sentence
 * @timings: of DONE
 */
struct stoker_event {
	size_t size;
	enum stoker_event_type type;
	uint64_t id;
	uint32_t token;
	float log_probability;
	uint32_t top_count;
	struct stoker_token_probability top[STOKER_TOP_MAX];
	enum stoker_finish finish;
	int status;
	struct stoker_error error;
	struct stoker_request_timings timings;
};
#define STOKER_EVENT_INIT STOKER_SIZE_OF(struct stoker_event)

/**
 * stoker_engine_event() - take the next event
 * @event: receives it
 *
 * Events of a request come in order; requests take turns.
 *
 * Return: 0; -EAGAIN when none waits; -EINVAL; -ENOTSUP.
 */
STOKER_API int stoker_engine_event(struct stoker_engine *engine, struct stoker_event *event);

/* Steps of 1, of 2, of 3 to 4, of 5 to 8, ... of up to 65536 tokens. */
enum { STOKER_STEP_SIZES = 17 };

/**
 * struct stoker_engine_stats - an engine so far, as of its last step
 * @size: STOKER_ENGINE_STATS_INIT
 * @waiting: requests in the queue
 * @running: requests that have memory
 * @sequences: that can run at most
 * @rows: tokens of the last step
 * @steps: that were computed
 * @prompt_tokens: that were read, again after making room too
 * @generated: tokens
 * @reused: tokens of prompts that were known already
 * @preempted: how often a request made room
 * @largest_gap: seconds between two tokens of any request
 * @pages: of the requests that run, and what is kept of others
 * @step_rows: tokens of all steps
 * @step_sizes: how many of @steps had so many tokens
 */
struct stoker_engine_stats {
	size_t size;
	uint32_t waiting, running, sequences, rows;
	uint64_t steps, prompt_tokens, generated, reused, preempted;
	double largest_gap;
	struct stoker_pages pages;
	uint64_t step_rows, step_sizes[STOKER_STEP_SIZES];
};
#define STOKER_ENGINE_STATS_INIT STOKER_SIZE_OF(struct stoker_engine_stats)

/**
 * stoker_engine_stats() - fill @stats
 *
 * Return: 0; with zeros -EINVAL without an engine and -ENOTSUP in a forked process.
 */
STOKER_API int stoker_engine_stats(struct stoker_engine *engine, struct stoker_engine_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
