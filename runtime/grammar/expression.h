/* SPDX-License-Identifier: MIT */
/*
 * What schemas and regular expressions become on their way to GBNF: expressions over characters,
 * with productions that may call each other.  What matches no text at all is kept while it is
 * built, as whoever builds one part doesn't know of the others, and left out when it is written.
 *
 * A translation owns them all, in one arena; an error leaves it with longjmp().
 */
#ifndef STOKER_GRAMMAR_EXPRESSION_H
#define STOKER_GRAMMAR_EXPRESSION_H

#include <setjmp.h>

#include "base/arena.h"
#include "base/base.h"

enum {
	TRANSLATION_SOURCE = 256 << 10,
	TRANSLATION_OUTPUT = 256 << 10, /* as much as stoker_grammar_compile() takes */
	TRANSLATION_MEMORY = 48 << 20,
	TRANSLATION_STEPS = 2000000,
	TRANSLATION_PRODUCTIONS = 100000,
	TRANSLATION_NESTING = 64,
	TRANSLATION_REPETITIONS = 2000, /* of one repeat; those in it are multiplied */
};

/* Code points from @low to @high, both included. */
struct span {
	uint32_t low, high;
};

enum expression_kind {
	EXPRESSION_TEXT,
	EXPRESSION_CLASS, /* one character of the spans, which are sorted and apart */
	EXPRESSION_SEQUENCE,
	EXPRESSION_CHOICE, /* of no parts: nothing matches */
	EXPRESSION_REPEAT,
	EXPRESSION_CALL,
};

#define WITHOUT_END UINT32_MAX

struct expression {
	enum expression_kind kind;
	uint32_t first, last; /* times of a repeat; WITHOUT_END */
	size_t count;	      /* of bytes, spans, parts */
	union {
		const char *text;
		const struct span *spans;
		const struct expression *const *parts;
		const struct expression *of;
		struct production *called;
	};
};

struct production {
	const char *kind; /* its name's beginning */
	uint32_t number, written;
	const struct expression *body; /* NULL until it is known */
	bool possible;		       /* matches a text: expression_text.c finds out */
	struct user *users;
	struct production *next, *to_write;
};

struct translation {
	struct arena arena;
	struct stoker_error *err;
	int code;
	jmp_buf out;
	uint64_t steps;
	struct production *first, *last;
	uint32_t productions;
	struct production **builtins; /* by enum builtin */
	struct repeated *repeated;
	char *reason; /* why a part matches nothing: the first one */
};

/* Ends the translation with an error. */
_Noreturn void translation_fail(struct translation *t, int code, const char *fmt, ...) PRINTF(3, 4);
void *translation_alloc(struct translation *t, size_t bytes);
/* Work that isn't bounded by what is built. */
void translation_step(struct translation *t, uint64_t steps);
/* Keeps the first reason, for when nothing at all is left. */
void translation_reason(struct translation *t, const char *fmt, ...) PRINTF(2, 3);

/* A list that grows. */
struct parts {
	const struct expression **items;
	size_t count, room;
};

void add_part(struct translation *t, struct parts *parts, const struct expression *e);
/* Constant text, or such that lives as long as the translation. */
void add_text(struct translation *t, struct parts *parts, const char *text);

const struct expression *expression_text(struct translation *t, const char *text, size_t bytes);
const struct expression *expression_class(struct translation *t, const struct span *spans,
					  size_t count);
/* Both take the list over; a sequence leaves out what is an empty text. */
const struct expression *expression_sequence(struct translation *t, struct parts *parts);
const struct expression *expression_choice(struct translation *t, const struct parts *parts);
const struct expression *expression_call(struct translation *t, struct production *p);
/*
 * @of @first to @last times.  Very many are divided, so that none exceeds TRANSLATION_REPETITIONS.
 * Many calls have a production, so that fifty strings of 2000 characters are as large as one.
 */
const struct expression *expression_repeat(struct translation *t, const struct expression *of,
					   uint32_t first, uint32_t last);
const struct expression *expression_empty(struct translation *t);
const struct expression *expression_never(struct translation *t);
const struct expression *expression_optional(struct translation *t, const struct expression *of);

struct production *new_production(struct translation *t, const char *kind);

/*
 * expression_text.c: GBNF of all that @root needs, to be released with free().  Fails with the
 * reason kept when no text matches; @what is the source's kind for messages.
 */
char *write_grammar(struct translation *t, struct production *root, const char *what);

#endif
