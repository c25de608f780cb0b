/* SPDX-License-Identifier: MIT */
/* Answers as the reply to a request, in a stream or as a whole. */
#ifndef STOKER_SERVE_TELL_H
#define STOKER_SERVE_TELL_H

#include "serve/openai.h"

/* How a dialect writes answers; @context is its own. */
struct teller {
	const char *type; /* of a stream's content */
	/* Before the first piece; may be NULL. */
	void (*begin)(void *context, const struct token_usage *usage, struct text *out);
	/* Of answer number @which; PIECE_END and PIECE_FAILED are its last. */
	void (*piece)(void *context, size_t which, const struct piece *piece,
		      const struct token_usage *usage, struct text *out);
	/* Behind the last piece of a whole reply; may be NULL. */
	void (*finish)(void *context, struct text *out);
	void (*ping)(void *context, struct text *out); /* may be NULL */
	void (*free)(void *context);
};

/*
 * Each takes over what is in @a, and @context, which is freed behind it, and replies.  tell_whole()
 * waits for the end: what was written until then is the reply, of type application/json.
 */
void tell_stream(struct answers *a, const struct teller *t, void *context);
void tell_whole(struct answers *a, const struct teller *t, void *context);

#endif
