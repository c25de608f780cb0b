/* SPDX-License-Identifier: MIT */
/* One request and its reply, for what carries them: http.c, body.c, reply.c. */
#ifndef STOKER_SERVE_EXCHANGE_H
#define STOKER_SERVE_EXCHANGE_H

#include <json-c/json.h>

#include "serve/connections.h"
#include "serve/http.h"
#include "serve/microhttpd.h"
#include "serve/routes.h"

struct header {
	char name[32], value[224];
};
enum { HEADERS_MOST = 8 };

struct stream;

struct exchange {
	struct server *server;
	struct MHD_Connection *mhd;
	struct connection *connection;
	const struct route *route; /* NULL: there is none */
	enum dialect dialect;
	char *method, *path;
	const char *rest;
	uint64_t salt;
	const char *origin; /* of a page that may read the answer */

	struct text body;
	uint64_t body_bytes; /* that came, kept or not */
	uint64_t held;	     /* of the memory that all bodies share */
	struct json_object *json;
	struct problem problem; /* told when the body has been read */
	bool hang_up;		/* after the reply */

	struct header headers[HEADERS_MOST];
	unsigned header_count;
	bool answered;
	unsigned status;
	struct stream *stream;
	struct text said; /* for --log-prompts */

	/* for the log */
	double begun, first_byte;
	uint64_t sent, prompt_tokens, generated_tokens;
};

/* Finds the route, or sets the problem; @hang_up where the body isn't to be read. */
void head_check(struct exchange *x);
/* For a browser that asks whether a page may ask. */
void reply_allowed(struct exchange *x);
/* A stream that was cut off or has ended is let go. */
void stream_free(struct exchange *x);

#endif
