// SPDX-License-Identifier: MIT
/* The head of a request: what it is refused for before anybody looks at its body. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serve/body.h"
#include "serve/exchange.h"
#include "serve/server.h"

enum { HEAD_BYTES = 16 << 10 };

static enum MHD_Result add_line(void *context, enum MHD_ValueKind kind, const char *name,
				const char *value)
{
	(void)kind;
	guard_add_line(context, name, value);
	return MHD_YES;
}

static bool check_size(struct exchange *x)
{
	const union MHD_ConnectionInfo *head =
		microhttpd.connection_info(x->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	if (!head || head->header_size <= HEAD_BYTES)
		return true;
	return problem_set(&x->problem, 431, NULL, NULL, "the head has %zu bytes, %d are the most",
			   head->header_size, HEAD_BYTES);
}

static bool check_route(struct exchange *x, const char *allowed)
{
	if (x->route)
		return true;
	if (!allowed)
		return problem_set(&x->problem, 404, NULL, NULL, "there is no %.20s %.200s",
				   x->method, x->path);
	exchange_add_header(x, "Allow", allowed);
	return problem_set(&x->problem, 405, NULL, NULL, "%.200s has %s, not %.20s", x->path,
			   allowed, x->method);
}

static bool check_length(struct exchange *x, const struct guard_head *h)
{
	const uint64_t bytes = h->length ? strtoull(h->length, NULL, 10) : 0;

	if (bytes <= BODY_BYTES)
		return true;
	/* asked before anything was sent, or too much to read for nothing */
	x->hang_up = bytes > BODY_SKIPPED_BYTES || exchange_header(x, "Expect");
	return problem_set(&x->problem, 413, NULL, NULL,
			   "the body has %" PRIu64 " bytes, %d are the most", bytes, BODY_BYTES);
}

void head_check(struct exchange *x)
{
	struct server *s = x->server;
	const struct found_route found = route_find(x->method, x->path);
	const bool local = x->connection->local;
	struct guard_head h = { 0 };

	x->route = found.route;
	x->dialect = found.dialect;
	x->rest = found.rest;
	microhttpd.each_value(x->mhd, MHD_HEADER_KIND, add_line, &h);
	if (!guard_check_framing(&h, &x->problem) || !check_size(x)) {
		x->hang_up = true;
		return;
	}
	if (!guard_check_names(&h, &s->rules, local, &x->problem))
		return;
	if (h.origin && guard_allows_origin(&s->rules, h.origin)) {
		x->origin = h.origin;
		if (!strcmp(x->method, "OPTIONS"))
			return; /* a browser asks on behalf of that page, and has no key */
	}
	if (!(x->route && x->route->flags & ROUTE_NO_KEY) &&
	    !keys_check(&s->keys, &h, &x->salt, &x->problem)) {
		exchange_add_header(x, "WWW-Authenticate", "Bearer");
		return;
	}
	if (check_route(x, found.allowed))
		check_length(x, &h);
}
