// SPDX-License-Identifier: MIT
/* Replies: whole ones, and streams that their connection's thread pulls from a source. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "serve/body.h"
#include "serve/exchange.h"
#include "serve/server.h"

enum {
	/* libmicrohttpd asks for this much at most at a time */
	BLOCK_BYTES = 16 << 10,
	/* one whose client takes nothing for so long is cut off */
	STALLED_SECONDS = 60,
};

struct stream {
	struct source source;
	struct text text; /* to be sent, from @sent on */
	size_t sent;
	double spoken; /* when something was last said */
	bool ended;
};

void exchange_add_header(struct exchange *x, const char *name, const char *value)
{
	struct header *h = &x->headers[x->header_count];

	if (x->header_count == HEADERS_MOST)
		return;
	x->header_count++;
	snprintf(h->name, sizeof(h->name), "%s", name);
	snprintf(h->value, sizeof(h->value), "%s", value);
}

static void send_response(struct exchange *x, unsigned status, const char *type,
			  struct MHD_Response *response)
{
	if (!response)
		return;
	microhttpd.add_header(response, "Content-Type", type);
	microhttpd.add_header(response, "X-Content-Type-Options", "nosniff");
	for (unsigned i = 0; i < x->header_count; i++)
		microhttpd.add_header(response, x->headers[i].name, x->headers[i].value);
	if (x->origin) {
		microhttpd.add_header(response, "Access-Control-Allow-Origin", x->origin);
		microhttpd.add_header(response, "Vary", "Origin");
	}
	if (x->hang_up || connections_draining(&x->server->connections))
		microhttpd.add_header(response, "Connection", "close");
	microhttpd.set_connection_option(x->mhd, MHD_CONNECTION_OPTION_TIMEOUT,
					 (unsigned)STALLED_SECONDS);
	x->answered = microhttpd.queue(x->mhd, status, response) == MHD_YES;
	x->status = status;
	microhttpd.destroy_response(response);
}

/* For --log-prompts, as far as a request may be long. */
static void remember(struct exchange *x, const char *data, size_t bytes)
{
	if (x->server->prompts >= 0 && x->json && x->said.bytes + bytes <= BODY_BYTES)
		text_add(&x->said, data, bytes);
}

void reply_text(struct exchange *x, unsigned status, const char *type, const char *data,
		size_t bytes)
{
	struct MHD_Response *response;

	if (x->answered)
		return;
	/* libmicrohttpd copies it, and doesn't write to it */
	response = microhttpd.response_from_buffer(bytes, (void *)(uintptr_t)(data ? data : ""),
						   MHD_RESPMEM_MUST_COPY);
	x->sent = bytes;
	remember(x, data, bytes);
	send_response(x, status, type, response);
}

void reply_allowed(struct exchange *x)
{
	exchange_add_header(x, "Access-Control-Allow-Methods", "GET, POST");
	exchange_add_header(x, "Access-Control-Allow-Headers",
			    "Authorization, Content-Type, X-Api-Key, *");
	exchange_add_header(x, "Access-Control-Max-Age", "600");
	reply_text(x, 204, "text/plain", NULL, 0);
}

void reply_json(struct exchange *x, unsigned status, struct json_object *object)
{
	size_t bytes;
	const char *text = json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);

	if (text)
		reply_text(x, status, "application/json", text, bytes);
	json_object_put(object);
}

void reply_problem(struct exchange *x, const struct problem *p)
{
	struct text t = { 0 };
	char seconds[16];

	problem_write(p, x->dialect, &t);
	if (p->retry_after) {
		snprintf(seconds, sizeof(seconds), "%u", p->retry_after);
		exchange_add_header(x, "Retry-After", seconds);
	}
	if (!t.failed)
		reply_text(x, p->status, "application/json", t.data, t.bytes);
	text_free(&t);
}

/* libmicrohttpd counts the time that a source took as the client's: from now on again. */
static void restart_timeout(struct exchange *x)
{
	microhttpd.set_connection_option(x->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	microhttpd.set_connection_option(x->mhd, MHD_CONNECTION_OPTION_TIMEOUT,
					 (unsigned)STALLED_SECONDS);
}

/* Waits for the source until there is something to send, or it has ended. */
static bool fill(struct exchange *x, struct stream *s)
{
	const double begun = now_seconds();

	text_clear(&s->text);
	s->sent = 0;
	while (!s->text.bytes && !s->ended) {
		const double silent = now_seconds() - s->spoken;
		const int left = (int)((PING_SECONDS - silent) * 1e3);
		enum source_state state;

		if (exchange_gone(x))
			return false;
		state = s->source.next(s->source.context, &s->text, left > 0 ? left : 0);
		if (state == SOURCE_BROKEN)
			return false;
		s->ended = state == SOURCE_END;
		if (s->text.bytes || s->ended || now_seconds() - s->spoken < PING_SECONDS)
			continue;
		if (s->source.ping)
			s->source.ping(s->source.context, &s->text);
		s->spoken = now_seconds();
	}
	if (s->text.bytes)
		s->spoken = now_seconds();
	if (now_seconds() - begun > 1)
		restart_timeout(x);
	return !s->text.failed;
}

static ssize_t pull(void *context, uint64_t position, char *out, size_t most)
{
	struct exchange *x = context;
	struct stream *s = x->stream;
	size_t bytes;

	(void)position;
	if (s->sent == s->text.bytes) {
		if (!s->ended && !fill(x, s))
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (s->sent == s->text.bytes)
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	bytes = s->text.bytes - s->sent;
	if (bytes > most)
		bytes = most;
	memcpy(out, s->text.data + s->sent, bytes);
	remember(x, out, bytes);
	s->sent += bytes;
	if (!x->sent)
		x->first_byte = now_seconds();
	x->sent += bytes;
	return (ssize_t)bytes;
}

void reply_stream(struct exchange *x, const char *type, const struct source *s)
{
	struct MHD_Response *response;

	x->stream = calloc(1, sizeof(*x->stream));
	if (!x->stream) {
		s->free(s->context);
		return;
	}
	x->stream->source = *s;
	x->stream->spoken = now_seconds();
	exchange_add_header(x, "Cache-Control", "no-cache");
	exchange_add_header(x, "X-Accel-Buffering", "no");
	response = microhttpd.response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, pull, x, NULL);
	send_response(x, 200, type, response);
	if (x->answered)
		exchange_watch(x, s->gone, s->context);
}

void stream_free(struct exchange *x)
{
	struct stream *s = x->stream;

	if (!s)
		return;
	exchange_watch(x, NULL, NULL);
	s->source.free(s->source.context);
	text_free(&s->text);
	free(s);
	x->stream = NULL;
}
