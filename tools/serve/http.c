// SPDX-License-Identifier: MIT
/* libmicrohttpd's side: a request comes in piece by piece, and goes to its handler once it is
 * whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "serve/body.h"
#include "serve/exchange.h"
#include "serve/log.h"
#include "serve/metrics.h"
#include "serve/server.h"

enum {
	/* of a connection, for a head and what is on its way; a head may have half of it */
	POOL_BYTES = 32 << 10,
	/* more than ours: libmicrohttpd is late to see that one has ended */
	DAEMON_CONNECTIONS = 2 * (CONNECTIONS_MOST + CONNECTIONS_ENDING),
};
/* what bodies of all connections may take together, their JSON included */
#define HELD_BYTES (512ull << 20)

const char *exchange_method(const struct exchange *x)
{
	return x->method;
}

const char *exchange_path(const struct exchange *x)
{
	return x->path;
}

const char *exchange_rest(const struct exchange *x)
{
	return x->rest;
}

const char *exchange_header(struct exchange *x, const char *name)
{
	return microhttpd.lookup(x->mhd, MHD_HEADER_KIND, name);
}

const char *exchange_query(struct exchange *x, const char *name)
{
	return microhttpd.lookup(x->mhd, MHD_GET_ARGUMENT_KIND, name);
}

struct json_object *exchange_json(struct exchange *x)
{
	return x->json;
}

struct server *exchange_server(struct exchange *x)
{
	return x->server;
}

enum dialect exchange_dialect(const struct exchange *x)
{
	return x->dialect;
}

uint64_t exchange_salt(const struct exchange *x)
{
	return x->salt;
}

void exchange_tokens(struct exchange *x, uint64_t prompt, uint64_t generated)
{
	x->prompt_tokens = prompt;
	x->generated_tokens = generated;
}

bool exchange_gone(struct exchange *x)
{
	return connection_gone(x->connection);
}

void exchange_watch(struct exchange *x, void (*gone)(void *context), void *context)
{
	connection_watch(x->connection, gone, context);
}

static struct exchange *exchange_create(struct server *s, struct MHD_Connection *mhd,
					const char *path, const char *method)
{
	const union MHD_ConnectionInfo *socket =
		microhttpd.connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->server = s;
	x->mhd = mhd;
	x->connection = socket ? socket->socket_context : NULL;
	x->method = strdup(method);
	x->path = strdup(path);
	x->begun = now_seconds();
	if (!x->method || !x->path || !x->connection) {
		free(x->method);
		free(x->path);
		free(x);
		return NULL;
	}
	return x;
}

static void exchange_free(struct exchange *x)
{
	stream_free(x);
	json_object_put(x->json);
	text_free(&x->body);
	text_free(&x->said);
	atomic_fetch_sub(&x->server->held, x->held);
	free(x->method);
	free(x->path);
	free(x);
}

/* Takes part of the memory that all bodies share. */
static bool hold(struct exchange *x, uint64_t bytes)
{
	if (atomic_fetch_add(&x->server->held, bytes) + bytes > HELD_BYTES) {
		atomic_fetch_sub(&x->server->held, bytes);
		return problem_set(&x->problem, 503, NULL, NULL,
				   "too many large requests at a time, try again");
	}
	x->held += bytes;
	return true;
}

static enum MHD_Result begin(struct exchange *x)
{
	if (!connection_asked(x->connection))
		return MHD_NO;
	microhttpd.set_connection_option(x->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	head_check(x);
	if (x->hang_up)
		reply_problem(x, &x->problem);
	return MHD_YES;
}

static enum MHD_Result take(struct exchange *x, const char *data, size_t bytes)
{
	x->body_bytes += bytes;
	if (x->body_bytes > BODY_SKIPPED_BYTES)
		return MHD_NO;
	if (!x->problem.status && x->body_bytes > BODY_BYTES)
		problem_set(&x->problem, 413, NULL, NULL, "the body has more than %d bytes",
			    BODY_BYTES);
	if (!x->problem.status && hold(x, bytes))
		text_add(&x->body, data, bytes);
	if (x->problem.status)
		text_free(&x->body);
	return MHD_YES;
}

static void answer(struct exchange *x)
{
	size_t values;

	connection_replying(x->connection);
	if (!x->route && !x->problem.status) {
		reply_allowed(x);
		return;
	}
	if (!x->problem.status && x->body.failed)
		problem_set(&x->problem, 503, NULL, NULL, "there is no memory for this request");
	if (!x->problem.status && !strcmp(x->route->method, "POST") &&
	    body_check(x->body.data, x->body.bytes, &values, &x->problem) &&
	    hold(x, values * BODY_VALUE_BYTES))
		body_parse(x->body.data, x->body.bytes, &x->json, &x->problem);
	text_free(&x->body);
	if (x->problem.status)
		reply_problem(x, &x->problem);
	else
		x->route->handle(x);
	if (x->answered)
		return;
	problem_set(&x->problem, 500, NULL, NULL, "nothing answers this request");
	reply_problem(x, &x->problem);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *bytes, void **request)
{
	struct exchange *x = *request;

	(void)version;
	if (!x) {
		x = *request = exchange_create(context, mhd, path, method);
		return x ? begin(x) : MHD_NO;
	}
	if (*bytes) {
		const size_t n = *bytes;

		*bytes = 0;
		return take(x, data, n);
	}
	if (!x->answered)
		answer(x);
	/* without a reply the connection is closed */
	return x->answered ? MHD_YES : MHD_NO;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request,
			 enum MHD_RequestTerminationCode how)
{
	struct exchange *x = *request;

	(void)context;
	(void)mhd;
	if (!x)
		return;
	*request = NULL;
	connection_answered(x->connection);
	if (x->server->prompts >= 0 && x->json)
		log_prompt(x, x->server->prompts);
	log_request(x, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	metrics_request(x->server->metrics, x->route ? x->route->path : NULL, x->status,
			now_seconds() - x->begun);
	exchange_free(x);
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *s = context;
	const union MHD_ConnectionInfo *fd =
		microhttpd.connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*socket = connections_started(&s->connections, fd->connect_fd);
	else if (*socket)
		connection_closed(*socket);
}

int http_start(struct server *s, struct stoker_error *err)
{
	const struct MHD_OptionItem options[] = {
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, s },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, DAEMON_CONNECTIONS, NULL },
		{ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	int ret = microhttpd_load(err);

	if (ret)
		return ret;
	ret = connections_create(&s->connections);
	if (!ret) {
		s->daemon = microhttpd.start(
			MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
				MHD_USE_POLL | MHD_USE_ITC | MHD_USE_NO_LISTEN_SOCKET,
			0, NULL, NULL, on_request, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
		ret = s->daemon ? 0 : errno ? -errno : -EIO;
		if (ret)
			connections_destroy(&s->connections);
	}
	if (ret)
		snprintf(err->message, sizeof(err->message), "the server can't be started: %s",
			 strerror(-ret));
	return ret;
}

void http_stop(struct server *s)
{
	microhttpd.stop(s->daemon);
	connections_destroy(&s->connections);
}

void http_add(struct server *s, int fd, const struct sockaddr *address, socklen_t bytes)
{
	microhttpd.add_connection(s->daemon, fd, address, bytes);
}
