/* SPDX-License-Identifier: MIT */
/*
 * JSON Schema (2020-12, and what earlier drafts write differently) to expressions.
 *
 * A value has to obey a set of schemas: one to begin with, more where allOf, $ref or two
 * "properties" come together.  schema_sets.c takes such a set apart into alternatives, each of a
 * set of schemas of which only the keywords themselves are left: a leaf.  Sets and leaves have a
 * production each, made once, so that schemas may be recursive and nothing here calls itself as
 * deep as they are.
 *
 * What is made matches nothing that the schema refuses, but for keys that aren't named, which may
 * come twice, and oneOf, which is taken as anyOf.  It doesn't match all that the schema accepts:
 * stoker/grammar.h says what is left out.
 */
#ifndef STOKER_GRAMMAR_SCHEMA_H
#define STOKER_GRAMMAR_SCHEMA_H

#include "grammar/decimal.h"
#include "grammar/json_tree.h"
#include "grammar/recognizer.h"
#include "grammar/regex.h"

enum {
	MOST_COUNTED = 1000000, /* characters, elements: no text is as long */
	MOST_NAME = 1000,	/* bytes of a key beside keys that aren't named */
};

struct schema {
	struct translation *t;
	const struct json *root;
	struct schema_rule **table; /* by the sets' hashes */
	size_t table_size, rules;
	uint32_t mark;			       /* of the set that is tidied */
	struct schema_rule *queue, *queue_end; /* whose productions have no body yet */
	struct production *any, *any_object, *any_array;
};

/* Schemas that all have to be obeyed. */
struct schema_set {
	const struct json **nodes;
	size_t count, room;
};

/* schema_sets.c */
void set_add(struct schema *s, struct schema_set *set, const struct json *node);
/* A value that obeys all of them. */
const struct expression *schema_value(struct schema *s, struct schema_set *set);
/* Gives all productions their bodies. */
void schema_finish(struct schema *s);

/* schema_references.c: what a $ref names. */
const struct json *schema_target(struct schema *s, const struct json *reference);

/* schema_keywords.c */
enum {
	TYPE_NULL = 1,
	TYPE_BOOLEAN = 2,
	TYPE_INTEGER = 4,
	TYPE_FRACTION = 8, /* a number that isn't whole */
	TYPE_NUMBER = TYPE_INTEGER | TYPE_FRACTION,
	TYPE_STRING = 16,
	TYPE_ARRAY = 32,
	TYPE_OBJECT = 64,
	TYPE_ANY = 127,
};

/* Ends the translation unless all keywords are known and their values make sense. */
void check_keywords(struct schema *s, const struct json *node);
/* Whether it has keywords that say something about a value by themselves. */
bool has_own_keywords(const struct json *node);
/* The types that its keywords are about; 0: of none in particular. */
unsigned keyword_types(const struct json *node);
/* Of "type", with "nullable". */
unsigned named_types(const struct json *node);
/* Of minLength and the like. */
uint32_t count_of(const struct json *number);

/* schema_leaf.c: what the keywords of these schemas say about a value. */
struct leaf {
	struct schema *s;
	const struct json *const *nodes;
	size_t count;
};

const struct expression *leaf_value(const struct leaf *leaf);
const struct expression *any_value(struct schema *s);
const struct expression *any_object(struct schema *s);
const struct expression *any_array(struct schema *s);
/* The largest of the leaf's minimal counts, the smallest of its maximal ones; NULL: it has none. */
const struct json *leaf_least(const struct leaf *leaf, const char *keyword, uint32_t *least);
const struct json *leaf_most(const struct leaf *leaf, const char *keyword, uint32_t *most);
/* Nothing matches, as these two contradict each other. */
const struct expression *contradiction(struct schema *s, const struct json *a,
				       const struct json *b);
/* Ends the translation: "@keyword" at its place @what. */
_Noreturn void refuse(struct schema *s, const struct json *at, const char *what);

/* a file each */
const struct expression *leaf_object(const struct leaf *leaf);
const struct expression *leaf_array(const struct leaf *leaf);
const struct expression *leaf_string(const struct leaf *leaf);
const struct expression *leaf_number(const struct leaf *leaf, bool whole);
/* Those of enum and const that the other keywords allow; NULL: there is neither. */
const struct expression *leaf_values(const struct leaf *leaf, unsigned types);
bool number_allowed(const struct leaf *leaf, const struct json *number);
/* The types that a format is about; 0: it isn't known. */
unsigned format_types(const struct json *name);
/* The whole numbers that one has; false: it is about other values, or about all numbers. */
bool format_bounds(const struct json *name, const char **low, const char **high);
/* What patterns and formats say of a string: it obeys if all bits are set; NULL: there are none. */
struct recognizer *leaf_shapes(const struct leaf *leaf, uint64_t *all);
/* Of a keyword's value, or of one of its keys, @at. */
struct regex parse_pattern(struct schema *s, const char *keyword, const struct json *at,
			   const char *text, size_t bytes, enum regex_use use);

/* A key that an object's schemas name. */
struct schema_name {
	const char *text;
	size_t bytes;
	uint32_t order; /* among them */
	bool required;
};

/* schema_names.c: keys that aren't among the @count sorted ones, with their quotes. */
const struct expression *other_keys(struct schema *s, const struct schema_name *names,
				    size_t count);

#endif
