// SPDX-License-Identifier: MIT
/* A value that obeys some schemas' keywords: its types. */
#include "grammar/schema.h"

void refuse(struct schema *s, const struct json *at, const char *what)
{
	translation_fail(s->t, -EINVAL, "\"%.80s\" at %s %s", at->key ? at->key : "",
			 json_pointer(s->t, at), what);
}

const struct expression *contradiction(struct schema *s, const struct json *a, const struct json *b)
{
	translation_reason(s->t, "%s and %s contradict each other", json_pointer(s->t, a),
			   json_pointer(s->t, b));
	return expression_never(s->t);
}

const struct json *leaf_least(const struct leaf *leaf, const char *keyword, uint32_t *least)
{
	const struct json *from = NULL;

	*least = 0;
	for (size_t i = 0; i < leaf->count; i++) {
		const struct json *v = json_get(leaf->nodes[i], keyword);

		if (!v || (from && count_of(v) <= *least))
			continue;
		*least = count_of(v);
		from = v;
	}
	if (*least > MOST_COUNTED)
		translation_fail(leaf->s->t, -E2BIG, "\"%s\" at %s is larger than %d", keyword,
				 json_pointer(leaf->s->t, from), MOST_COUNTED);
	return from;
}

const struct json *leaf_most(const struct leaf *leaf, const char *keyword, uint32_t *most)
{
	const struct json *from = NULL;

	*most = WITHOUT_END;
	for (size_t i = 0; i < leaf->count; i++) {
		const struct json *v = json_get(leaf->nodes[i], keyword);

		if (!v || (from && count_of(v) >= *most))
			continue;
		*most = count_of(v);
		from = v;
	}
	if (from)
		*most = MIN(*most, (uint32_t)MOST_COUNTED);
	return from;
}

/* "[" or "{", any number of @items, and what closes it. */
static const struct expression *any_list(struct schema *s, const char *open,
					 const struct expression *item, const char *close)
{
	struct translation *t = s->t;
	struct parts more = { 0 }, items = { 0 }, all = { 0 };

	add_part(t, &more, builtin(t, BUILTIN_COMMA));
	add_part(t, &more, item);
	add_part(t, &items, item);
	add_part(t, &items, expression_repeat(t, expression_sequence(t, &more), 0, WITHOUT_END));
	add_text(t, &all, open);
	add_part(t, &all, expression_optional(t, expression_sequence(t, &items)));
	add_text(t, &all, close);
	return expression_sequence(t, &all);
}

const struct expression *any_array(struct schema *s)
{
	if (!s->any_array) {
		s->any_array = new_production(s->t, "array");
		s->any_array->body = any_list(s, "[", any_value(s), "]");
	}
	return expression_call(s->t, s->any_array);
}

const struct expression *any_object(struct schema *s)
{
	struct translation *t = s->t;
	struct parts member = { 0 };

	if (!s->any_object) {
		s->any_object = new_production(t, "object");
		add_part(t, &member, builtin(t, BUILTIN_STRING));
		add_part(t, &member, builtin(t, BUILTIN_COLON));
		add_part(t, &member, any_value(s));
		s->any_object->body = any_list(s, "{", expression_sequence(t, &member), "}");
	}
	return expression_call(t, s->any_object);
}

const struct expression *any_value(struct schema *s)
{
	struct translation *t = s->t;
	struct parts choice = { 0 };

	if (!s->any) {
		s->any = new_production(t, "any");
		add_part(t, &choice, any_object(s));
		add_part(t, &choice, any_array(s));
		add_part(t, &choice, builtin(t, BUILTIN_STRING));
		add_part(t, &choice, builtin(t, BUILTIN_NUMBER));
		add_part(t, &choice, builtin(t, BUILTIN_BOOLEAN));
		add_part(t, &choice, builtin(t, BUILTIN_NULL));
		s->any->body = expression_choice(t, &choice);
	}
	return expression_call(t, s->any);
}

/* Those that all schemas name; *any: none does. */
static unsigned types_of(const struct leaf *leaf, bool *any)
{
	const struct json *before = NULL;
	unsigned named = TYPE_ANY;

	for (size_t i = 0; i < leaf->count; i++) {
		const struct json *v = json_get(leaf->nodes[i], "type");

		if (!v)
			continue;
		named &= named_types(leaf->nodes[i]);
		if (!named)
			contradiction(leaf->s, before ? before : v, v);
		before = v;
	}
	*any = !before;
	return named;
}

/*
 * Keywords about values of some types, where none is named: these types are meant.  {"properties":
 * ...} is written for objects, though it says nothing about other values.
 */
static unsigned types_meant(const struct leaf *leaf)
{
	unsigned meant = 0;

	for (size_t i = 0; i < leaf->count; i++)
		meant |= keyword_types(leaf->nodes[i]);
	return meant ? meant : TYPE_ANY;
}

const struct expression *leaf_value(const struct leaf *leaf)
{
	struct translation *t = leaf->s->t;
	bool any;
	unsigned types = types_of(leaf, &any);
	const struct expression *values = leaf_values(leaf, types);
	struct parts choice = { 0 };

	if (values)
		return values;
	if (any)
		types = types_meant(leaf);
	if (types & TYPE_OBJECT)
		add_part(t, &choice, leaf_object(leaf));
	if (types & TYPE_ARRAY)
		add_part(t, &choice, leaf_array(leaf));
	if (types & TYPE_STRING)
		add_part(t, &choice, leaf_string(leaf));
	if (types & TYPE_INTEGER)
		add_part(t, &choice, leaf_number(leaf, !(types & TYPE_FRACTION)));
	if (types & TYPE_BOOLEAN)
		add_part(t, &choice, builtin(t, BUILTIN_BOOLEAN));
	if (types & TYPE_NULL)
		add_part(t, &choice, builtin(t, BUILTIN_NULL));
	return expression_choice(t, &choice);
}
