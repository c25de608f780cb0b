/* SPDX-License-Identifier: MIT */
/*
 * Calls of tools, by families of models: how a model writes them, read while the text comes, and
 * the grammar that makes it write them.  Pure functions, no server.  Tools are JSON in OpenAI's
 * form.
 */
#ifndef STOKER_SERVE_CALLS_H
#define STOKER_SERVE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stoker/template.h>
#include <stoker/text.h>

#include "reasoning.h"

struct json_object;
struct problem;

/* How models of one kind write calls; a table's row, which lives forever. */
struct call_family;

/* By the marks in a template's source; NULL or one without any: plain JSON, "generic". */
const struct call_family *call_family_of(const char *template_source);
const char *call_family_name(const struct call_family *f);

/*
 * One answer, read while it comes: reasoning and calls told apart from the text.  (It has the
 * splitter of tools/reasoning.h inside, as some families mark calls by the headers that mark
 * reasoning, too.)
 */
struct call_reader;

/* Each returns 0, or something else that ends reading and is handed back to the caller. */
struct call_sink {
	/* Text of the answer or of the reasoning. */
	int (*text)(void *context, enum part part, const char *text, size_t bytes);
	/* Call number @index, from 0, begins.  @id: as the model wrote it; NULL: it wrote none. */
	int (*call)(void *context, unsigned index, const char *name, const char *id);
	/* More of its arguments, which together are one JSON object; at least "{}" comes. */
	int (*arguments)(void *context, unsigned index, const char *json, size_t bytes);
};

struct call_reader_params {
	const struct call_family *family; /* NULL: calls aren't looked for */
	struct json_object *tools;	  /* those that may be called; borrowed until _free() */
	const char *opening;		  /* how the prompt ends: reasoning may have begun */
	size_t opening_bytes;
	bool split_reasoning; /* false: all of it is PART_ANSWER, tags too */
};

/* NULL without memory.  @sink is copied. */
struct call_reader *call_reader_create(const struct call_reader_params *params,
				       const struct call_sink *sink, void *context);
/* The text of a token that isn't a control token, in pieces of any size. */
int call_reader_text(struct call_reader *r, const char *text, size_t bytes);
/*
 * Whether a token of this name is to be told by call_reader_control() in place of its text;
 * @control: it is a control token, which has no text.
 */
bool call_reader_knows(const struct call_reader *r, const char *name, bool control);
/* Such a token, spelled out; one that means nothing here changes nothing. */
int call_reader_control(struct call_reader *r, const char *name);
/* No more comes: what was held back comes out. */
int call_reader_end(struct call_reader *r);
/* How many calls have begun. */
unsigned call_reader_count(const struct call_reader *r);
void call_reader_free(struct call_reader *r);

enum call_choice { CALL_AUTO, CALL_REQUIRED, CALL_NAMED };

struct call_grammar {
	char *gbnf; /* NUL-terminated */
	/* For CALL_AUTO: what switches the grammar on; none: it is on from the beginning. */
	const char **trigger_texts;
	size_t trigger_text_count;
	uint32_t *trigger_tokens;
	size_t trigger_token_count;
};

/*
 * The texts that are calls of @tools.  @name: of the tool with CALL_NAMED.  @parallel: several
 * calls may come, but of a tool that was named only one.  @vocabulary: which marks are control
 * tokens; NULL: none is.  false: @p says which tool's schema isn't understood, and where (400).
 *
 * What is inside reasoning isn't the grammar's: give the sampler the tags (reasoning_tags()).
 */
bool call_grammar(const struct call_family *f, const struct stoker_vocabulary *vocabulary,
		  struct json_object *tools, enum call_choice choice, const char *name,
		  bool parallel, struct call_grammar *out, struct problem *p);
void call_grammar_free(struct call_grammar *g);

/* What a template makes of tools and calls; looked at once, by rendering small conversations. */
struct call_support {
	const struct call_family *family;
	bool tools;	     /* it shows tools to the model */
	bool calls;	     /* it writes calls that an assistant made */
	bool results;	     /* it has a place for what a tool said */
	bool text_arguments; /* arguments as a JSON string, not as an object */
	bool null_content;   /* beside calls content has to be null, not "" */
	bool short_ids;	     /* ids have to be nine letters and digits */
	bool one_call;	     /* it refuses several in a message */
	bool system;	     /* it takes a system message */
};

void call_support_of(const struct stoker_template *t, const struct stoker_vocabulary *vocabulary,
		     struct call_support *out);

/*
 * A conversation in OpenAI's form as the template wants it: arguments as objects or text, content,
 * ids and names of results; and where it knows no tools, a system text that explains them,
 * calls as answers and results as the user's turns.  *@out is a new list (json_object_put());
 * *@show_tools: whether to hand
 * @tools to the template as well.  @tools NULL: none.  @messages are as chat_messages() leaves
 * them.  false: no memory (500).
 */
bool call_messages(const struct call_support *s, struct json_object *messages,
		   struct json_object *tools, struct json_object **out, bool *show_tools,
		   struct problem *p);

#endif
