/* SPDX-License-Identifier: MIT */
/* GBNF that is put together: marks with control tokens, schemas, texts up to a mark. */
#ifndef STOKER_SERVE_CALLS_RULES_H
#define STOKER_SERVE_CALLS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/text.h"

struct call_family;
struct json_object;
struct stoker_error;
struct stoker_vocabulary;

/* Each writes a part of a rule, with a blank behind it. */

/* These characters. */
void rule_literal(struct text *out, const char *s);
/* A mark, whose control tokens are terminals of their own.  @vocabulary NULL: it has none. */
void rule_mark(struct text *out, const struct stoker_vocabulary *vocabulary, const char *mark);
/* Any text without @mark in it, which comes behind it. */
void rule_until(struct text *out, const struct stoker_vocabulary *vocabulary, const char *mark);

/*
 * What @mark begins with: a control token (true, *@token), or text, of which *@bytes are alike in
 * all texts that begin so.
 */
bool mark_begins_with_token(const struct stoker_vocabulary *vocabulary, const char *mark,
			    uint32_t *token, size_t *bytes);

/*
 * The rules of a schema, all names with @prefix: what it describes is PREFIXroot.  0, or a negative
 * errno with @err.
 */
int rules_of_schema(struct text *out, const char *prefix, struct json_object *schema,
		    struct stoker_error *err);

/* What all tools' schemas may become, so that the grammar is within its limits. */
enum { RULES_BYTES = 160 * 1024, RULES_REPEATED = 60000 };
struct rules_left {
	size_t bytes, repeated; /* @repeated: the sum of {m,n} */
};

/*
 * Tool @number's arguments in the family's syntax are "tNUMBER-root".  A schema that can't be a
 * grammar, or has become too much of one, is any object, unless the tool is strict.  As
 * rules_of_schema().
 */
int rules_of_tool(struct text *out, const struct call_family *f,
		  const struct stoker_vocabulary *vocabulary, struct json_object *tool,
		  size_t number, struct rules_left *left, struct stoker_error *err);
/* What these rely on, once; but for "gap" and "other-key". */
int rules_shared(struct text *out, const struct call_family *f,
		 const struct stoker_vocabulary *vocabulary, struct stoker_error *err);

#endif
