/* SPDX-License-Identifier: MIT */
/*
 * One GET by libcurl, under the rules of this program: https only, but for this machine's own
 * addresses; redirects are followed one by one, each checked as the first address was; the token
 * goes to the hub's own host alone.
 */
#ifndef STOKER_TOOL_HTTP_H
#define STOKER_TOOL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/store.h"

struct http {
	char *hub;   /* "https://huggingface.co", without a slash at its end */
	char *token; /* NULL: none */
	void *curl;
	/* asked now and then, nonzero ends the transfer with -ECANCELED; with NULL when idle */
	int (*tick)(void *context);
	void *context;
};

struct http_reply {
	long status;
	char etag[ETAG_MAX];
	char linked_hash[SHA256_HEX + 1]; /* the hub says these before it redirects */
	uint64_t linked_bytes;
	char *next; /* of a list in pages */
	bool has_length, has_range;
	uint64_t length;	     /* of the body */
	uint64_t first, last, total; /* of a range: its first and last byte, bytes of the whole */
	int64_t retry_after;	     /* seconds; 0: nothing said */
};

struct http_request {
	const char *url;
	uint64_t from, end;   /* which bytes; @end 0: to the end */
	const char *if_range; /* the entity tag for which that holds; may be "" */
	/* After the head of a 200 or 206 and before its first byte, then for each piece: 0 goes on,
	 * what else they return is returned, the sentence in @err. */
	int (*begin)(void *context, const struct http_reply *reply, struct stoker_error *err);
	int (*data)(void *context, const char *data, size_t bytes, struct stoker_error *err);
	void *context;
};

/* First of all here: the others, those about addresses too, are libcurl's, which this loads. */
int http_open(struct http *h, struct stoker_error *err);
/* Another one for a thread of its own, with the same hub and token, which stay @h's; close it
 * first. */
int http_open_another(const struct http *h, struct http *another, struct stoker_error *err);
void http_close_another(struct http *another);
void http_close(struct http *h);

/*
 * 0 once there was an answer, whatever its status; -EAGAIN when the network failed, which may pass;
 * -ECANCELED; -EPERM for an address that isn't allowed.  Release @reply in any case.
 */
int http_get(struct http *h, const struct http_request *q, struct http_reply *reply,
	     struct stoker_error *err);
void http_free_reply(struct http_reply *reply);

/* Whether both have the same scheme, host and port. */
bool http_same_origin(const char *a, const char *b);
/* What is allowed: https, or http to this machine; no user and password.  @before, which may be
 * NULL, is the address that redirects there. */
int http_check_url(const char *url, const char *before, struct stoker_error *err);
/* Whether its host is this machine, by the name alone. */
bool http_is_here(const char *url);
/* Its path without the first slash, unescaped, a string of the heap; NULL without one. */
char *http_path(const char *url);
/* The host, a string of the heap; NULL without one. */
char *http_host(const char *url);
/* Escapes what may not stand in a path; slashes stay. */
char *http_escape_path(const char *path);

#endif
