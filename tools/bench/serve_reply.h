/* SPDX-License-Identifier: MIT */
/*
 * A server's reply as it arrives: HTTP/1.1, and in its body the events of OpenAI's streams, of
 * which no more is read than what is measured.
 */
#ifndef STOKER_TOOL_BENCH_SERVE_REPLY_H
#define STOKER_TOOL_BENCH_SERVE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/serve_figures.h"

struct reply_bytes {
	char *data;
	size_t bytes, room;
};

struct reply {
	unsigned status; /* 0: its head hasn't come */
	bool whole;	 /* all of it is there */
	bool keeps;	 /* the connection takes another request */
	bool finished;	 /* the stream said that it ended, not just stopped */
	uint64_t pieces; /* of text; usually one a token */
	double first, last;
	uint64_t prompt, cached, generated; /* tokens, as the server counts them */
	char error[200];
	/* set by who reads: where times between pieces go, and whether text is kept */
	struct samples *gaps;
	bool keep_text;
	struct reply_bytes text; /* of the pieces, or of a body without events */
	/* how far it is */
	int state;
	bool chunked, sized;
	uint64_t left;
	char head[1024];
	size_t head_bytes;
	struct reply_bytes line;
};

/* For the next reply; what was set by who reads stays, memory too. */
void reply_begin(struct reply *r);
/*
 * The next bytes, that came at @now (seconds).  Returns how many belong to this reply, fewer than
 * @bytes when it is whole before them; -EPROTO for what isn't HTTP, -ENOMEM.
 */
long reply_take(struct reply *r, const char *data, size_t bytes, double now);
/* The other side closed.  Whether that was all of the reply. */
bool reply_closed(struct reply *r, double now);
void reply_free(struct reply *r);

#endif
