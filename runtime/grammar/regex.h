/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions in ECMAScript's syntax, as far as what they match is a regular language and
 * can be said without looking ahead.
 */
#ifndef STOKER_GRAMMAR_REGEX_H
#define STOKER_GRAMMAR_REGEX_H

#include "grammar/expression.h"

enum regex_use {
	REGEX_TEXT,  /* matches a text whole */
	REGEX_JSON,  /* is found in what a JSON string says: a schema's "pattern" */
	REGEX_FOUND, /* the same without JSON's escapes, for a recognizer */
};

struct regex {
	const struct expression *expression; /* without the quotes of a JSON string */
	uint64_t least, most;		     /* characters; most is WITHOUT_END or more: no end */
	const struct flexible *flexible;     /* NULL: its length can't be limited */
};

/* @where: what stands in front of messages, with ": " at its end. */
struct regex regex_parse(struct translation *t, const char *text, size_t bytes, enum regex_use use,
			 const char *where);

/* What of it has from @least to @most characters, or WITHOUT_END; there is some. */
const struct expression *regex_limit(struct translation *t, const struct flexible *f,
				     uint64_t least, uint64_t most);

/* Some that others are made of: a production for each, made when it is first asked for. */
enum builtin {
	BUILTIN_COMMA, /* between values */
	BUILTIN_COLON,
	BUILTIN_STRING,	   /* with quotes and all escapes */
	BUILTIN_CHARACTER, /* one of a string */
	BUILTIN_PLAIN,	   /* one of a string, each written in one way only: see json_character() */
	BUILTIN_ESCAPED,   /* those of them that begin with a backslash */
	BUILTIN_BOOLEAN,
	BUILTIN_NULL,
	BUILTIN_INTEGER,
	BUILTIN_NUMBER,
	BUILTIN_COUNT,
};

const struct expression *builtin(struct translation *t, enum builtin which);

#endif
