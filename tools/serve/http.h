/* SPDX-License-Identifier: MIT */
/*
 * A request and its reply, as handlers see them.  A handler runs in the thread of its connection,
 * may block there for as long as it likes, and calls one of the functions reply_...().
 */
#ifndef STOKER_SERVE_HTTP_H
#define STOKER_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/problem.h"
#include "serve/text.h"

struct exchange;
struct json_object;
struct server;

/* Strings live as long as the exchange. */
const char *exchange_method(const struct exchange *x);
const char *exchange_path(const struct exchange *x);
/* What is behind the path of a route that ends with "/"; "" for others. */
const char *exchange_rest(const struct exchange *x);
/* NULL: the request has none. */
const char *exchange_header(struct exchange *x, const char *name);
const char *exchange_query(struct exchange *x, const char *name);
/* The body of a POST, which is an object: others were refused.  The exchange owns it. */
struct json_object *exchange_json(struct exchange *x);
struct server *exchange_server(struct exchange *x);
enum dialect exchange_dialect(const struct exchange *x);
/* Of its API key, for the prefix cache: what begins alike is shared among requests with the same.
 */
uint64_t exchange_salt(const struct exchange *x);
/* For the line of the log: how many tokens were read and written. */
void exchange_tokens(struct exchange *x, uint64_t prompt, uint64_t generated);
/* The client has hung up, or the server ends. */
bool exchange_gone(struct exchange *x);
/*
 * While a reply that isn't streamed is made: @gone is called once by another thread when the client
 * hangs up, at once if it has already.  NULL ends that, and waits for a call that is going on; the
 * end of the exchange does, too.
 */
void exchange_watch(struct exchange *x, void (*gone)(void *context), void *context);

/* Another line of the reply's head, before the reply; both are copied. */
void exchange_add_header(struct exchange *x, const char *name, const char *value);

/* Copies @data. */
void reply_text(struct exchange *x, unsigned status, const char *type, const char *data,
		size_t bytes);
/* Drops the reference to @object. */
void reply_json(struct exchange *x, unsigned status, struct json_object *object);
/* In the dialect of the route. */
void reply_problem(struct exchange *x, const struct problem *p);

enum source_state {
	SOURCE_MORE,
	SOURCE_END,    /* what it appended is the last */
	SOURCE_BROKEN, /* the connection is closed, so that nobody takes it for the end */
};

/* Where a streamed reply comes from. */
struct source {
	/* Appends what there is to say, and waits for it no longer than @wait_ms. */
	enum source_state (*next)(void *context, struct text *out, int wait_ms);
	/* Appends something without a meaning after PING_SECONDS of silence; may be NULL. */
	void (*ping)(void *context, struct text *out);
	/* The client hung up, or the server ends: called once by another thread, at any time until
	 * free().  next() returns soon then.  May be NULL. */
	void (*gone)(void *context);
	void (*free)(void *context);
	void *context;
};
enum { PING_SECONDS = 15 };

/* Sends the head at once.  Takes @s->context over: free() is called in the connection's thread, at
 * the end or when there is no way to send anything. */
void reply_stream(struct exchange *x, const char *type, const struct source *s);

#endif
