/* SPDX-License-Identifier: MIT */
/* Ollama's API: pieces of an answer as lines of JSON, and the endpoints. */
#ifndef STOKER_SERVE_OLLAMA_H
#define STOKER_SERVE_OLLAMA_H

#include <json-c/json.h>

#include "serve/generation.h"
#include "serve/text.h"

struct exchange;

/* One answer as it is told. */
struct ollama_answer {
	const char *model;   /* as the client wrote it */
	bool chat;	     /* a message; otherwise "response" */
	bool whole;	     /* one object at the end; otherwise a line for each piece */
	double load_seconds; /* that getting the model took */
	struct json_object *calls, *call; /* complete ones; the one that is being told */
	struct text arguments;		  /* of @call */
	struct text content, thinking;	  /* of a whole answer */
	struct json_object *context;	  /* tokens, for "context" of the last line; may be NULL */
	const struct served *served;	  /* that spells tokens whose probabilities are told */
	struct text told;		  /* of a whole answer */
};

/* Appends what there is to be said for it: lines, the last one for PIECE_END or PIECE_FAILED. */
void ollama_piece(struct ollama_answer *a, const struct piece *piece, struct text *out);
/* What a request without a prompt gets. */
void ollama_loaded(const struct ollama_answer *a, struct text *out);
void ollama_free(struct ollama_answer *a);

/* Now, as RFC 3339 has it, in UTC. */
enum { TIME_BYTES = 40 };
void ollama_time(char text[TIME_BYTES]);

/* Handlers of routes. */
void ollama_chat(struct exchange *x);
void ollama_generate(struct exchange *x);
void ollama_embed(struct exchange *x);
void ollama_embeddings(struct exchange *x);
void ollama_refused(struct exchange *x);

#endif
