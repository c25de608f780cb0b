// SPDX-License-Identifier: MIT
/* Arrays: items, prefixItems, minItems, maxItems. */
#include "grammar/schema.h"

/* The first elements each have schemas, then all others have the same ones. */
struct shape {
	const struct leaf *leaf;
	uint32_t prefix; /* how many are first ones */
	uint32_t least, most;
	const struct json *least_from, *most_from;
	bool open; /* something says what the others are */
};

/* Up to draft 2019-09 "items" could be what now is "prefixItems", and others were additional. */
static const struct json *prefix_of(const struct json *node)
{
	const struct json *items = json_get(node, "items");

	return items && items->kind == JSON_ARRAY ? items : json_get(node, "prefixItems");
}

static const struct json *others_of(const struct json *node)
{
	const struct json *items = json_get(node, "items");

	return items && items->kind == JSON_ARRAY ? json_get(node, "additionalItems") : items;
}

static struct shape shape_of(const struct leaf *leaf)
{
	struct shape a = { .leaf = leaf };

	a.least_from = leaf_least(leaf, "minItems", &a.least);
	a.most_from = leaf_most(leaf, "maxItems", &a.most);
	for (size_t i = 0; i < leaf->count; i++) {
		const struct json *prefix = prefix_of(leaf->nodes[i]);
		const struct json *others = others_of(leaf->nodes[i]);
		const uint32_t count = prefix ? prefix->count : 0;

		a.prefix = MAX(a.prefix, count);
		a.open = a.open || others;
		if (others && others->kind == JSON_FALSE && count < a.most) {
			a.most = count;
			a.most_from = others;
		}
	}
	/* what nothing is said about isn't written, unless it has to be there */
	if (a.prefix && !a.open && a.least <= a.prefix)
		a.most = MIN(a.most, a.prefix);
	a.prefix = MIN(a.prefix, a.most);
	return a;
}

/* What element number @index has to be. */
static const struct expression *element(const struct shape *a, uint32_t index)
{
	struct schema_set set = { 0 };

	translation_step(a->leaf->s->t, a->leaf->count);
	for (size_t i = 0; i < a->leaf->count; i++) {
		const struct json *prefix = prefix_of(a->leaf->nodes[i]);
		const struct json *e = prefix ? prefix->first : NULL;

		translation_step(a->leaf->s->t, prefix ? MIN(index, prefix->count) / 8 : 0);
		for (uint32_t k = 0; e && k < index; k++)
			e = e->next;
		e = e ? e : others_of(a->leaf->nodes[i]);
		if (e)
			set_add(a->leaf->s, &set, e);
	}
	return schema_value(a->leaf->s, &set);
}

static void add_element(const struct shape *a, struct parts *parts, uint32_t index)
{
	struct translation *t = a->leaf->s->t;

	if (index)
		add_part(t, parts, builtin(t, BUILTIN_COMMA));
	add_part(t, parts, element(a, index));
}

/* From the first one on that isn't among the first ones. */
static const struct expression *others(const struct shape *a)
{
	struct translation *t = a->leaf->s->t;
	const uint32_t least = a->least > a->prefix ? a->least - a->prefix : 0;
	const uint32_t most = a->most == WITHOUT_END ? WITHOUT_END : a->most - a->prefix;
	const struct expression *one, *rest;
	struct parts more = { 0 }, all = { 0 };

	if (!most)
		return expression_empty(t);
	one = element(a, a->prefix);
	add_part(t, &more, builtin(t, BUILTIN_COMMA));
	add_part(t, &more, one);
	if (a->prefix)
		return expression_repeat(t, expression_sequence(t, &more), least, most);
	rest = expression_repeat(t, expression_sequence(t, &more), least ? least - 1 : 0,
				 most == WITHOUT_END ? WITHOUT_END : most - 1);
	add_part(t, &all, one);
	add_part(t, &all, rest);
	return least ? expression_sequence(t, &all)
		     : expression_optional(t, expression_sequence(t, &all));
}

const struct expression *leaf_array(const struct leaf *leaf)
{
	struct translation *t = leaf->s->t;
	const struct shape a = shape_of(leaf);
	const struct expression *rest;
	struct parts all = { 0 };

	if (!a.prefix && !a.open && !a.least_from && !a.most_from)
		return any_array(leaf->s);
	if (a.least > a.most)
		return contradiction(leaf->s, a.least_from, a.most_from);
	rest = others(&a);
	for (uint32_t i = a.prefix; i > a.least; i--) { /* the array may end before each of these */
		struct production *p = new_production(t, "items");
		struct parts one = { 0 };

		add_element(&a, &one, i - 1);
		add_part(t, &one, rest);
		p->body = expression_optional(t, expression_sequence(t, &one));
		rest = expression_call(t, p);
	}
	add_text(t, &all, "[");
	for (uint32_t i = 0; i < MIN(a.least, a.prefix); i++)
		add_element(&a, &all, i);
	add_part(t, &all, rest);
	add_text(t, &all, "]");
	return expression_sequence(t, &all);
}
