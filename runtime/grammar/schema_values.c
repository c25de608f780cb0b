// SPDX-License-Identifier: MIT
/* Values that are listed: enum and const. */
#include "grammar/schema.h"

#include "grammar/span_set.h"

static unsigned type_of(const struct json *v)
{
	switch (v->kind) {
	case JSON_NULL:
		return TYPE_NULL;
	case JSON_TRUE:
	case JSON_FALSE:
		return TYPE_BOOLEAN;
	case JSON_NUMBER:
		return decimal_is_whole(v) ? TYPE_INTEGER : TYPE_FRACTION;
	case JSON_STRING:
		return TYPE_STRING;
	case JSON_ARRAY:
		return TYPE_ARRAY;
	case JSON_OBJECT:
		return TYPE_OBJECT;
	}
	return 0;
}

/* Whether a schema's "enum" and "const" list it, which may be where it is from. */
static bool is_listed(struct schema *s, const struct json *node, const struct json *v)
{
	const struct json *only = json_get(node, "const"), *list = json_get(node, "enum");
	bool listed = !list || v->parent == list;

	if (only && v != only && !json_equal(s->t, v, only))
		return false;
	for (const struct json *e = list ? list->first : NULL; e && !listed; e = e->next)
		listed = json_equal(s->t, v, e);
	return listed;
}

static uint32_t characters(const struct json *string)
{
	uint32_t count = 0;

	for (size_t i = 0; i < string->bytes; i++)
		count += (string->text[i] & 0xc0) != 0x80;
	return count;
}

/* What would have to be matched here already. */
static void refuse_beside(const struct leaf *leaf, const struct json *v)
{
	static const char *const of_none[] = { NULL };
	static const char *const of_array[] = { "items",    "prefixItems", "additionalItems",
						"minItems", "maxItems",	   NULL };
	static const char *const of_object[] = {
		"patternProperties", "properties",    "required", "additionalProperties",
		"minProperties",     "maxProperties", NULL
	};
	const char *const *keywords = v->kind == JSON_ARRAY    ? of_array
				      : v->kind == JSON_OBJECT ? of_object
							       : of_none;

	for (size_t i = 0; i < leaf->count; i++)
		for (size_t k = 0; keywords[k]; k++) {
			const struct json *found = json_get(leaf->nodes[i], keywords[k]);

			if (found)
				refuse(leaf->s, found,
				       "beside values in enum or const isn't supported");
		}
}

/* What the leaf says beside its lists. */
struct filter {
	const struct leaf *leaf;
	unsigned types;
	const struct recognizer *shapes; /* see leaf_shapes() */
	uint64_t all;
};

static bool is_allowed(const struct filter *filter, const struct json *v)
{
	const struct leaf *leaf = filter->leaf;
	uint32_t least, most;

	translation_step(leaf->s->t, 1 + leaf->count);
	if (!(type_of(v) & filter->types))
		return false;
	for (size_t i = 0; i < leaf->count; i++)
		if (!is_listed(leaf->s, leaf->nodes[i], v))
			return false;
	if (v->kind == JSON_NUMBER)
		return number_allowed(leaf, v);
	refuse_beside(leaf, v);
	if (v->kind != JSON_STRING)
		return true;
	leaf_least(leaf, "minLength", &least);
	leaf_most(leaf, "maxLength", &most);
	if (characters(v) < least || characters(v) > most)
		return false;
	return !filter->shapes ||
	       recognizer_match(filter->shapes, v->text, v->bytes) == filter->all;
}

static void add_value(struct translation *t, struct parts *parts, const struct json *v)
{
	if (v->kind == JSON_STRING) {
		add_text(t, parts, "\"");
		add_part(t, parts, json_text(t, v->text, v->bytes));
		add_text(t, parts, "\"");
	} else if (v->kind == JSON_NUMBER) {
		add_part(t, parts, expression_text(t, v->text, v->bytes));
	} else if (v->kind != JSON_ARRAY && v->kind != JSON_OBJECT) {
		add_text(t, parts,
			 v->kind == JSON_NULL	? "null"
			 : v->kind == JSON_TRUE ? "true"
						: "false");
	} else {
		add_text(t, parts, v->kind == JSON_ARRAY ? "[" : "{");
		for (const struct json *e = v->first; e; e = e->next) {
			if (e != v->first)
				add_part(t, parts, builtin(t, BUILTIN_COMMA));
			if (v->kind == JSON_OBJECT) {
				add_text(t, parts, "\"");
				add_part(t, parts, json_text(t, e->key, e->key_bytes));
				add_text(t, parts, "\"");
				add_part(t, parts, builtin(t, BUILTIN_COLON));
			}
			add_value(t, parts, e);
		}
		add_text(t, parts, v->kind == JSON_ARRAY ? "]" : "}");
	}
}

const struct expression *leaf_values(const struct leaf *leaf, unsigned types)
{
	struct translation *t = leaf->s->t;
	const struct json *only = NULL, *list = NULL;
	struct filter filter = { .leaf = leaf, .types = types };
	struct parts choice = { 0 };

	for (size_t i = 0; i < leaf->count && !only; i++) {
		only = json_get(leaf->nodes[i], "const");
		list = list ? list : json_get(leaf->nodes[i], "enum");
	}
	if (!only && !list)
		return NULL;
	filter.shapes = leaf_shapes(leaf, &filter.all);
	for (const struct json *v = only ? only : list->first; v; v = only ? NULL : v->next) {
		struct parts parts = { 0 };

		if (!is_allowed(&filter, v))
			continue;
		add_value(t, &parts, v);
		add_part(t, &choice, expression_sequence(t, &parts));
	}
	if (!choice.count)
		translation_reason(t, "no value of %s is allowed by what stands beside it",
				   json_pointer(t, only ? only : list));
	return expression_choice(t, &choice);
}
