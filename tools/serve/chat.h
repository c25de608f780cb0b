/* SPDX-License-Identifier: MIT */
/*
 * A conversation in one form for all dialects: OpenAI's messages and tools, and what else a request
 * says, from there to the prompt and to generations.
 */
#ifndef STOKER_SERVE_CHAT_H
#define STOKER_SERVE_CHAT_H

#include <json-c/json.h>
#include <stoker/stoker.h>

#include "serve/fields.h"
#include "serve/problem.h"

struct exchange;
struct generation;
struct served;

enum chat_choice { CHOICE_AUTO, CHOICE_NONE, CHOICE_REQUIRED, CHOICE_NAMED };
enum chat_switch { SWITCH_UNSET, SWITCH_ON, SWITCH_OFF };
enum chat_form { FORMAT_TEXT, FORMAT_JSON, FORMAT_SCHEMA, FORMAT_GRAMMAR, FORMAT_REGEX };

/*
 * Objects are owned (json_object_get() what you borrow); texts lie in objects that have to stay:
 * the body of the exchange, or @keep.
 */
struct chat_request {
	struct json_object *messages;  /* a list as chat_messages() makes it */
	struct json_object *tools;     /* a list in OpenAI's form, see chat_tools(); NULL: none */
	struct json_object *variables; /* of the template, an object; NULL: none */
	struct json_object *schema;    /* with FORMAT_SCHEMA */
	struct json_object *keep;      /* whatever texts lie in; may be NULL */
	enum chat_choice choice;
	const char *tool_name; /* with CHOICE_NAMED */
	bool one_call;	       /* no parallel calls */
	enum chat_switch think;
	const char *reasoning_effort; /* "low", "high", ...; "none" is SWITCH_OFF; NULL: unsaid */
	bool keep_tags;		      /* reasoning stays in the text, with its tags */
	enum chat_switch go_on;	      /* with the last message, an assistant's; unset: if it is one
				       * without calls */
	enum chat_form format;
	const char *source; /* with FORMAT_GRAMMAR and FORMAT_REGEX */
	struct chosen chosen;
};

/* What holds when nothing is said, of file and command line; chat_free() it in any case. */
void chat_begin(struct chat_request *c, const struct served *m);
/* The body of /v1/chat/completions, and of llama-server's endpoints that take messages: on top of
 * chat_begin(). */
bool chat_read(struct json_object *body, struct chat_request *c, struct problem *p);
void chat_free(struct chat_request *c);

/*
 * Messages in OpenAI's form, checked: a new list in *@out, contents as one text each.  For dialects
 * that translate theirs to this form first, too.  false: 400 says which one is wrong, and why.
 */
bool chat_messages(struct json_object *list, struct json_object **out, struct problem *p);
/* Likewise tools: the list itself, with a reference more; NULL when there are none in it. */
bool chat_tools(struct json_object *list, struct json_object **out, struct problem *p);
/* "auto", "none", "required", or an object that names a tool. */
bool chat_tool_choice(struct json_object *value, struct chat_request *c, struct problem *p);
/* What OpenAI calls response_format, here the field @name. */
bool chat_response_format(struct json_object *o, const char *name, struct chat_request *c,
			  struct problem *p);
/* All fields that say what form an answer has: that one, json_schema, grammar, guided_json, ... */
bool chat_format(struct json_object *body, struct chat_request *c, struct problem *p);
/* "none", "low", ...: what it says of thinking, too. */
void chat_set_effort(struct chat_request *c, const char *effort);
/* The same of a field, which may be missing; false: 400. */
bool chat_effort(struct json_object *o, const char *key, struct chat_request *c, struct problem *p);

/* The prompt as the template writes it, and its tokens. */
struct chat_prompt {
	char *text;
	size_t bytes;
	/* Where the template begins the answer; nothing where an answer is gone on with. */
	size_t opening, opening_bytes;
	uint32_t *tokens;
	size_t count;
};
/* For /apply-template and for counting tokens; false: 400 or 500. */
bool chat_render(const struct served *m, const struct chat_request *c, struct chat_prompt *out,
		 struct problem *p);
void chat_prompt_free(struct chat_prompt *prompt);

/*
 * As many generations as c->chosen.n says, in @g[0...]; each is generation_free()d by the caller.
 * Of @c nothing but its tools is needed once it has returned, these until then.  false: @p, and
 * none has begun.
 */
bool chat_start(struct exchange *x, struct served *m, const struct chat_request *c,
		struct generation **g, struct problem *p);
/* The same from a prompt of the caller's, without text where no template made it: @c has no
 * messages then. */
bool chat_start_prompt(struct exchange *x, struct served *m, const struct chat_request *c,
		       const struct chat_prompt *prompt, struct generation **g, struct problem *p);

#endif
