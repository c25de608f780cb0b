/* SPDX-License-Identifier: MIT */
/*
 * A JSON text as it is written: numbers with all digits, members in their order, and nothing that
 * two readers could take for different things: no key twice, no half of a surrogate pair, no NUL
 * that would end a key.  json-c keeps none of these.
 */
#ifndef STOKER_GRAMMAR_JSON_TREE_H
#define STOKER_GRAMMAR_JSON_TREE_H

#include "grammar/expression.h"

enum json_kind {
	JSON_NULL = 1,
	JSON_FALSE = 2,
	JSON_TRUE = 4,
	JSON_NUMBER = 8,
	JSON_STRING = 16,
	JSON_ARRAY = 32,
	JSON_OBJECT = 64,
};

struct json {
	enum json_kind kind;
	uint32_t id;	  /* from 0 in the order of the text */
	const char *text; /* a string's characters, a number as it is written */
	size_t bytes;
	const char *key; /* of an object's member */
	size_t key_bytes;
	const struct json *parent, *next;
	const struct json *first;   /* of its elements or members */
	const struct json **sorted; /* members by their keys */
	uint32_t count, index;
	bool checked;  /* schema_keywords.c has looked at it */
	uint32_t mark; /* schema_sets.c has seen it */
};

/* Ends the translation with line and column when @text isn't JSON. */
struct json *json_parse(struct translation *t, const char *text, size_t bytes);
/* NULL: there is none; @object may be anything. */
const struct json *json_member(const struct json *object, const char *key, size_t bytes);
const struct json *json_get(const struct json *object, const char *key);
/* Where it is, "#/properties/a": memory of the translation. */
const char *json_pointer(struct translation *t, const struct json *at);
/* As JSON Schema compares: 1 is 1.0, members in any order. */
bool json_equal(struct translation *t, const struct json *a, const struct json *b);

#endif
