/* SPDX-License-Identifier: MIT */
/*
 * One request to a model's engine, and what comes of it as pieces of text.
 *
 * Nobody carries tokens about: whoever waits for a piece polls the engine's descriptor, one of all
 * that wait, and hands on what others wait for.  So a token wakes its client's thread and no other.
 */
#ifndef STOKER_SERVE_GENERATION_H
#define STOKER_SERVE_GENERATION_H

#include <stoker/stoker.h>

#include "serve/models.h"
#include "serve/problem.h"

struct call_family;
struct json_object;

enum { STOPS_MOST = 16, STOP_MOST_BYTES = 256, GENERATIONS_MOST = 128 };

/* Nothing of it is needed once generation_start() has returned. */
struct generation_params {
	struct served *model; /* gets one reference more */
	const uint32_t *tokens;
	size_t count;
	uint32_t max_tokens; /* 0: as many as the context has room for */
	const struct stoker_sampler_params *sampling;
	/* Texts that end the answer and don't belong to it, at most STOPS_MOST of 1 to
	 * STOP_MOST_BYTES bytes.  Reasoning that is split off and calls aren't looked at. */
	const char *const *stop;
	size_t stop_count;
	bool log_probabilities; /* pieces have tokens; */
	unsigned top;		/* with so many likelier ones, at most STOKER_TOP_MAX */
	bool ignore_end;
	enum stoker_priority priority;
	uint64_t salt;
	const char *opening; /* how the prompt ends, as the template wrote it; NULL: no template */
	size_t opening_bytes;
	bool split_reasoning;		 /* else tags stay in the text */
	const struct call_family *calls; /* NULL: calls of tools aren't looked for; */
	struct json_object *tools;	 /* these may be called */
};

enum piece_kind {
	PIECE_NONE, /* time is up */
	PIECE_TEXT,
	PIECE_REASONING,
	PIECE_CALL,	 /* a call begins: @index, @name, @id */
	PIECE_ARGUMENTS, /* more of the JSON of call @index */
	PIECE_END,	 /* @finish, @stop, @usage, @timings; comes again if asked again */
	PIECE_FAILED,	 /* likewise, with @problem in place of @finish */
};

enum finish {
	FINISH_STOP, /* the model ended its text, or a stop string came up */
	FINISH_LENGTH,
	FINISH_CALLS,
	FINISH_CANCELED,
};

/* A token of a piece; token_text() says what it spells. */
struct token_info {
	uint32_t token;
	float log_probability;
	unsigned top_count;
	struct stoker_token_probability top[STOKER_TOP_MAX];
};

struct token_usage {
	uint32_t prompt, cached, generated; /* @cached: of the prompt, known already */
	uint32_t reasoning;		    /* of those generated, before the answer began */
};

struct piece {
	enum piece_kind kind;
	const char *text; /* @bytes of UTF-8, whole characters; NUL-terminated */
	size_t bytes;
	unsigned index;
	const char *name, *id; /* @id: as the model wrote it, or NULL */
	/* If asked for: tokens whose text this is, and that were held back before it, also those
	 * without text. */
	const struct token_info *tokens;
	size_t token_count;
	enum finish finish;
	const char *stop; /* the text that ended it, or NULL */
	struct token_usage usage;
	struct stoker_request_timings timings;
	struct problem problem;
};

struct generation;

/*
 * false: 400 context_length_exceeded with both figures, 400 for what sampling can't do, 429 when
 * the queue is full, 500, 503.
 */
bool generation_start(const struct generation_params *params, struct generation **g,
		      struct problem *p);
/* The next piece, or PIECE_NONE after @wait_ms; its texts live until the next call.  One thread at
 * a time. */
void generation_next(struct generation *g, int wait_ms, struct piece *piece);
/* The same of several at once, up to GENERATIONS_MOST of one model: @which has said it.  Those that
 * have ended are left out; when all have, PIECE_NONE comes at once and @which is @count. */
void generation_next_of(struct generation *const *g, size_t count, int wait_ms, size_t *which,
			struct piece *piece);
/* Any thread, at once: who waits for a piece gets the end. */
void generation_cancel(struct generation *g);
/* Cancels if it hasn't ended.  Nobody may be in generation_cancel(). */
void generation_free(struct generation **g);

/* What was told so far; for those that don't wait for the end. */
void generation_usage(const struct generation *g, struct token_usage *usage);

struct text;
/* What a token spells, control tokens too: bytes, maybe a part of a character. */
void token_text(const struct served *m, uint32_t token, struct text *out);

#endif
