/* SPDX-License-Identifier: MIT */
/* Text in which calls of tools may be, read while it comes: what the files share that do it. */
#ifndef STOKER_SERVE_CALLS_PARSE_H
#define STOKER_SERVE_CALLS_PARSE_H

#include "serve/calls.h"
#include "serve/calls_families.h"
#include "serve/calls_tools.h"
#include "serve/calls_value.h"
#include "serve/text.h"

enum {
	CALL_HELD = 65536,   /* bytes of what may become a call */
	CALL_RETRIED = 4096, /* what was none is searched for others if it's no longer */
	CALL_NAME = 256,
	CALL_SPACE = 256, /* white space in a row between marks */
};

enum parse_state {
	PARSE_START, /* of the answer: nothing but white space so far */
	PARSE_TEXT,
	PARSE_OPEN, /* behind begin */
	PARSE_HEAD, /* behind open */
	PARSE_ID,   /* in front of name_open */
	PARSE_NAME,
	PARSE_OBJECT,	 /* a JSON object opens */
	PARSE_MEMBER,	 /* of it */
	PARSE_SKIP,	 /* a value of it that nobody wants */
	PARSE_QUOTED,	 /* arguments as a JSON string */
	PARSE_ARGUMENTS, /* as one value */
	PARSE_TAG,	 /* of an argument, or what ends them */
	PARSE_KEY,
	PARSE_VALUE_OPEN,
	PARSE_VALUE,
	PARSE_AFTER, /* a call */
};

/* What a step came to. */
enum parse_step {
	STEP_ON,
	STEP_WAIT,   /* for more text */
	STEP_BROKEN, /* no call can begin so */
};

/*
 * What is held is [what a call has taken so far | what hasn't been looked at], with @at between.
 * Until the call is known to be one nothing of it is dropped: it may turn out to be text.
 */
struct call_parser {
	const struct call_family *family;
	struct json_object *tools;
	struct call_sink sink;
	void *context;
	int ret; /* not 0: what a callback returned, or -ENOMEM */
	enum parse_state state;
	struct text held;
	size_t at, mark; /* @mark: where the call's first mark begins */
	bool final;	 /* no more text comes */
	unsigned count;

	struct json_object *tool; /* of the call, once its name is known */
	char name[CALL_NAME + 1], id[CALL_NAME + 1];
	bool announced;	      /* the sink knows about the call */
	bool section;	      /* between begin and end */
	bool wrapped;	      /* an object around the list of calls */
	unsigned nested;      /* objects inside the call's own */
	bool comma;	      /* another call has to follow */
	size_t first, behind; /* arguments that came before the name; 0: none did */
	struct value value;
	struct text json, pending, body;

	char key[CALL_NAME + 1];
	enum argument_type kind; /* of the tag's value */
	bool any;		 /* a tag has come */
	bool begun;		 /* the value's first bytes have been looked at */
	bool in_wrap;
};

void parser_init(struct call_parser *p, const struct call_family *family, struct json_object *tools,
		 const struct call_sink *sink, void *context);
int parser_text(struct call_parser *p, const char *text, size_t bytes);
/* What is held comes out; another text may begin. */
int parser_end(struct call_parser *p);
/* The arguments of a tool come, which was named apart; false: there is no such tool. */
bool parser_named(struct call_parser *p, const char *name);
void parser_free(struct call_parser *p);

/* calls_parse.c: the text, and what every style of calls needs */
void parser_commit(struct call_parser *p);
void parser_begin_call(struct call_parser *p);
void parser_announce(struct call_parser *p);
void parser_arguments(struct call_parser *p, struct text *json);
bool parser_space(struct call_parser *p);
/* @mark without its leading white space, next: STEP_ON and passed, STEP_WAIT, or STEP_BROKEN. */
enum parse_step parser_mark(struct call_parser *p, const char *mark);
void parser_done(struct call_parser *p);
/* calls_styles.c: one step inside a call */
enum parse_step call_step(struct call_parser *p);
/* What is between, without white space around it, to a buffer of CALL_NAME + 1; false: too long. */
bool call_take(char *out, const char *from, const char *to);
/* Where @mark begins in what comes next; NULL: nowhere so far. */
const char *call_ahead(const struct call_parser *p, const char *mark);
/* For what can't be longer than @most. */
enum parse_step call_wait(const struct call_parser *p, size_t most);
/* What has become of the arguments is told, as soon as it's certain that they begin well. */
void call_tell(struct call_parser *p, bool done);
/* calls_tags.c: likewise, where each argument has tags */
enum parse_step call_step_tag(struct call_parser *p);
enum parse_step call_step_key(struct call_parser *p);
enum parse_step call_step_value_open(struct call_parser *p);
enum parse_step call_step_value(struct call_parser *p);

/* How many bytes at the end of @text may be the beginning of @mark. */
size_t overlap(const char *text, size_t bytes, const char *mark);

#endif
