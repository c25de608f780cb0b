/* SPDX-License-Identifier: MIT */
/* A grammar as it is written: rules that are trees of what stands in them. */
#ifndef STOKER_GRAMMAR_SYNTAX_H
#define STOKER_GRAMMAR_SYNTAX_H

#include "base/base.h"
#include "stoker/gguf.h"
#include "stoker/grammar.h"

enum {
	MAX_SOURCE = 256 << 10,
	MAX_NESTING = 64,
	MAX_SUFFIXES = 8,	/* of one thing: a*?{2} */
	MAX_REPETITIONS = 2000, /* nested ones are multiplied */
	MAX_RULES = 100000,
	NO_NODE = -1,
};

#define FOR_EVER UINT32_MAX /* repetitions without an end */

enum node_kind {
	NODE_SEQUENCE, /* of children; none: the empty text */
	NODE_CHOICE,   /* one of the children */
	NODE_REPEAT,   /* the child, @first to @last times */
	NODE_LITERAL,  /* @last characters from number @first of the ranges, which are single */
	NODE_CLASS,    /* one character of @last ranges from number @first */
	NODE_RULE,     /* number @first */
	NODE_TOKEN,    /* number @first */
};

struct node {
	uint8_t kind; /* enum node_kind */
	bool negated; /* of a class or a token */
	int32_t child, next;
	uint32_t first, last;
	uint32_t at; /* where it stands in the source */
};

/* Code points from @low to @high, both included. */
struct code_range {
	uint32_t low, high;
};

struct rule {
	struct stoker_string name;
	int32_t body;
	uint32_t at;
};

struct syntax {
	const char *source; /* the caller's; names lie in it */
	size_t bytes;
	struct node *nodes;
	struct code_range *ranges;
	struct rule *rules;
	size_t node_count, node_room, range_count, range_room, rule_count, rule_room;
	uint32_t root;
};

/* Return: 0, -EINVAL or -E2BIG with line and column, -ENOMEM; syntax_free() in any case. */
int syntax_parse(struct syntax *s, const struct stoker_vocabulary *v, const char *gbnf,
		 size_t bytes, struct stoker_error *err);
void syntax_free(struct syntax *s);

/* stoker_fail() with line and column of the source's byte @at in front of @what. */
int syntax_fail(const struct syntax *s, size_t at, struct stoker_error *err, int code,
		const char *what, ...) PRINTF(5, 6);

#endif
