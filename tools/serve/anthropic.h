/* SPDX-License-Identifier: MIT */
/* Anthropic's Messages API: pieces of an answer as a message's blocks, and the endpoints. */
#ifndef STOKER_SERVE_ANTHROPIC_H
#define STOKER_SERVE_ANTHROPIC_H

#include <json-c/json.h>

#include "serve/openai.h"
#include "serve/text.h"

struct exchange;

enum anthropic_block { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_TOOL };

/* One message as it is told; begins with @id and @model, other members zero. */
struct anthropic_message {
	char id[ID_BYTES];
	const char *model;
	enum anthropic_block open;
	unsigned blocks; /* that have begun */
	/* of a message that is told as a whole: */
	struct json_object *content; /* NULL: events are written */
	struct json_object *tool;    /* the one that is open */
	struct text text;	     /* of the block that is open */
};

/* Named events of a stream.  message_start is the first; PIECE_END and PIECE_FAILED end it. */
void anthropic_start(struct anthropic_message *m, const struct token_usage *usage,
		     struct text *out);
void anthropic_piece(struct anthropic_message *m, const struct piece *piece, struct text *out);
void anthropic_ping(struct text *out);

/* The same as an object: a message with all that anthropic_piece() got; @end is the last piece. */
struct json_object *anthropic_whole(struct anthropic_message *m, const struct piece *end);
void anthropic_free(struct anthropic_message *m);

/* Handlers of routes. */
void anthropic_messages(struct exchange *x);
void anthropic_count_tokens(struct exchange *x);

#endif
