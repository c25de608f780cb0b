/* SPDX-License-Identifier: MIT */
/* Reading a regular expression, and what of it names characters. */
#ifndef STOKER_GRAMMAR_REGEX_CLASS_H
#define STOKER_GRAMMAR_REGEX_CLASS_H

#include "grammar/regex.h"
#include "grammar/span_set.h"

struct regex_reader {
	struct translation *t;
	const char *text, *where;
	size_t bytes, at;
	enum regex_use use;
	unsigned nesting;
};

/* Ends the translation with the column of the byte @at. */
_Noreturn void regex_fail(const struct regex_reader *r, size_t at, int code, const char *fmt, ...)
	PRINTF(4, 5);

/* The byte @ahead, 0 behind the end. */
static inline char regex_peek(const struct regex_reader *r, size_t ahead)
{
	return r->at + ahead < r->bytes ? r->text[r->at + ahead] : 0;
}

/* The character that stands here. */
uint32_t regex_character(struct regex_reader *r);
/* A backslash stands here: adds what it means. Whether that is a whole class. */
bool regex_escape(struct regex_reader *r, bool in_class, struct span_set *set);
/* "[" stands here. */
struct span_set regex_class(struct regex_reader *r);
/* What "." means. */
struct span_set regex_any(struct regex_reader *r);

#endif
