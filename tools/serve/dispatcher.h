/* SPDX-License-Identifier: MIT */
/*
 * The events of a model's engine, for the threads that wait for them.
 *
 * There is no thread for that: one of those that wait, the leader, polls the engine's descriptor
 * and puts all events into the inboxes that they are for.  When it has something itself it goes,
 * and another one that waits leads on.  So a token wakes the one thread that it is for.
 */
#ifndef STOKER_SERVE_DISPATCHER_H
#define STOKER_SERVE_DISPATCHER_H

#include "serve/generation.h"

struct dispatcher;
struct metrics;
struct waiter;

/* What came of a request and wasn't taken yet.  All under the dispatcher's lock. */
struct inbox {
	struct inbox *next; /* of the same bucket */
	uint64_t id;
	size_t item;	      /* bytes kept of each struct token_info: from the front */
	unsigned char *items; /* from @head to @count */
	size_t head, count, room;
	uint64_t began, last;  /* ns: submitted, last token */
	uint32_t prompt, told; /* tokens of the prompt; that have come */
	bool done, cancelled, no_memory;
	struct stoker_event end;
	struct waiter *waiter; /* who waits for it */
};

/* The engine stays the caller's. */
int dispatcher_create(struct stoker_engine *engine, struct dispatcher **d,
		      struct stoker_error *err);
/* From now on the times of tokens are told there.  Nobody waits yet. */
void dispatcher_measure(struct dispatcher *d, struct metrics *metrics);
void dispatcher_free(struct dispatcher **d);

/* As stoker_engine_submit(); @box, which is all zeroes, gets the events. */
int dispatcher_submit(struct dispatcher *d, const struct stoker_request *request, struct inbox *box,
		      struct stoker_error *err);
/* No events come any more; cancels the request if it hasn't ended. */
void dispatcher_leave(struct dispatcher *d, struct inbox *box);
/* From any thread. */
void dispatcher_cancel(struct dispatcher *d, struct inbox *box);

/* Waits until one of them has something, or @wait_ms; SIZE_MAX: none has. */
size_t dispatcher_wait(struct dispatcher *d, struct inbox *const *boxes, size_t count, int wait_ms);
enum inbox_news { INBOX_EMPTY, INBOX_TOKEN, INBOX_END, INBOX_CANCELLED, INBOX_NO_MEMORY };
/* The next of what an inbox has: a @token, or @end.  Being cancelled comes before all else. */
enum inbox_news dispatcher_take(struct dispatcher *d, struct inbox *box, struct token_info *token,
				struct stoker_event *end);

/* Requests that haven't ended, for GET /slots; @each makes no calls here. */
void dispatcher_each(struct dispatcher *d, void (*each)(void *context, const struct inbox *box),
		     void *context);

#endif
