// SPDX-License-Identifier: MIT
/* The keywords of JSON Schema: those that are known, and what their values have to be. */
#include "grammar/schema.h"

enum {
	SCHEMA = JSON_TRUE | JSON_FALSE | JSON_OBJECT,
	BOOLEAN = JSON_TRUE | JSON_FALSE,
	ANYTHING = 127,
};

enum role {
	ROLE_IGNORED, /* says nothing about a value */
	ROLE_APPLIES, /* other schemas: schema_sets.c */
	ROLE_OWN,
};

static const struct keyword {
	const char *name;
	unsigned kinds;	   /* of its value */
	unsigned elements; /* of what is in that; 0: anything */
	enum role role;
	unsigned types; /* of the values that it is about */
	bool is_count;
} keywords[] = {
	{ "$comment", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "$defs", JSON_OBJECT, SCHEMA, ROLE_IGNORED, 0, false },
	{ "$id", JSON_STRING, 0, ROLE_IGNORED, 0, false },
	{ "$ref", JSON_STRING, 0, ROLE_APPLIES, 0, false },
	{ "$schema", JSON_STRING, 0, ROLE_IGNORED, 0, false },
	{ "additionalItems", SCHEMA, 0, ROLE_OWN, TYPE_ARRAY, false },
	{ "additionalProperties", SCHEMA, 0, ROLE_OWN, TYPE_OBJECT, false },
	{ "allOf", JSON_ARRAY, SCHEMA, ROLE_APPLIES, 0, false },
	{ "anyOf", JSON_ARRAY, SCHEMA, ROLE_APPLIES, 0, false },
	{ "const", ANYTHING, 0, ROLE_OWN, 0, false },
	{ "contentEncoding", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "contentMediaType", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "default", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "definitions", JSON_OBJECT, SCHEMA, ROLE_IGNORED, 0, false },
	{ "deprecated", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "description", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "enum", JSON_ARRAY, 0, ROLE_OWN, 0, false },
	{ "example", ANYTHING, 0, ROLE_IGNORED, 0, false }, /* OpenAPI's */
	{ "examples", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "exclusiveMaximum", JSON_NUMBER | BOOLEAN, 0, ROLE_OWN, TYPE_NUMBER, false },
	{ "exclusiveMinimum", JSON_NUMBER | BOOLEAN, 0, ROLE_OWN, TYPE_NUMBER, false },
	{ "externalDocs", ANYTHING, 0, ROLE_IGNORED, 0, false }, /* likewise */
	{ "format", JSON_STRING, 0, ROLE_OWN, TYPE_STRING, false },
	{ "id", JSON_STRING, 0, ROLE_IGNORED, 0, false }, /* in drafts up to 4 */
	{ "items", SCHEMA | JSON_ARRAY, 0, ROLE_OWN, TYPE_ARRAY, false },
	{ "maxItems", JSON_NUMBER, 0, ROLE_OWN, TYPE_ARRAY, true },
	{ "maxLength", JSON_NUMBER, 0, ROLE_OWN, TYPE_STRING, true },
	{ "maxProperties", JSON_NUMBER, 0, ROLE_OWN, TYPE_OBJECT, true },
	{ "maximum", JSON_NUMBER, 0, ROLE_OWN, TYPE_NUMBER, false },
	{ "minItems", JSON_NUMBER, 0, ROLE_OWN, TYPE_ARRAY, true },
	{ "minLength", JSON_NUMBER, 0, ROLE_OWN, TYPE_STRING, true },
	{ "minProperties", JSON_NUMBER, 0, ROLE_OWN, TYPE_OBJECT, true },
	{ "minimum", JSON_NUMBER, 0, ROLE_OWN, TYPE_NUMBER, false },
	{ "nullable", BOOLEAN, 0, ROLE_IGNORED, 0, false }, /* by "type", which it belongs to */
	{ "oneOf", JSON_ARRAY, SCHEMA, ROLE_APPLIES, 0, false },
	{ "pattern", JSON_STRING, 0, ROLE_OWN, TYPE_STRING, false },
	{ "patternProperties", JSON_OBJECT, SCHEMA, ROLE_OWN, TYPE_OBJECT, false },
	{ "prefixItems", JSON_ARRAY, SCHEMA, ROLE_OWN, TYPE_ARRAY, false },
	{ "properties", JSON_OBJECT, SCHEMA, ROLE_OWN, TYPE_OBJECT, false },
	{ "readOnly", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "required", JSON_ARRAY, JSON_STRING, ROLE_OWN, TYPE_OBJECT, false },
	{ "title", ANYTHING, 0, ROLE_IGNORED, 0, false },
	{ "type", JSON_STRING | JSON_ARRAY, JSON_STRING, ROLE_OWN, 0, false },
	{ "writeOnly", ANYTHING, 0, ROLE_IGNORED, 0, false },
};

static const struct {
	const char *name;
	unsigned types;
} types[] = {
	{ "null", TYPE_NULL },	   { "boolean", TYPE_BOOLEAN }, { "integer", TYPE_INTEGER },
	{ "number", TYPE_NUMBER }, { "string", TYPE_STRING },	{ "array", TYPE_ARRAY },
	{ "object", TYPE_OBJECT },
};

static bool is_text(const struct json *v, const char *text)
{
	return v->bytes == strlen(text) && !memcmp(v->text, text, v->bytes);
}

/* "x-order" and the like are for other programs. */
static const struct keyword extension = { "x-", ANYTHING, 0, ROLE_IGNORED, 0, false };

static const struct keyword *find(const struct json *member)
{
	size_t low = 0, high = ARRAY_SIZE(keywords);

	if (!strncmp(member->key, "x-", 2))
		return &extension;
	while (low < high) {
		const size_t middle = (low + high) / 2;
		const int order = strcmp(member->key, keywords[middle].name);

		if (!order)
			return member->key_bytes == strlen(member->key) ? &keywords[middle] : NULL;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static unsigned type_of_name(const struct json *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (is_text(name, types[i].name))
			return types[i].types;
	return 0;
}

/* "minLength": 3.0 is 3. */
static bool is_count(const struct json *v)
{
	return v->text[0] != '-' && decimal_is_whole(v);
}

uint32_t count_of(const struct json *number)
{
	const struct decimal d = decimal_of(number);
	uint32_t value = 0;

	for (int i = 0; i < d.whole; i++)
		value = MIN(value * 10 + (uint32_t)(i < d.digits ? d.digit[i] - '0' : 0),
			    10000000u);
	return d.huge ? 10000000 : value;
}

static const char *name_of_kinds(unsigned kinds)
{
	switch (kinds) {
	case JSON_STRING:
		return "a string";
	case JSON_NUMBER:
		return "a number";
	case JSON_ARRAY:
		return "an array";
	case JSON_OBJECT:
		return "an object";
	case BOOLEAN:
		return "true or false";
	case SCHEMA:
		return "a schema: an object, true or false";
	case SCHEMA | JSON_ARRAY:
		return "a schema or an array of them";
	case JSON_STRING | JSON_ARRAY:
		return "a string or an array of strings";
	}
	return "a number or a boolean";
}

static _Noreturn void wrong(struct schema *s, const struct json *v, const char *wanted)
{
	translation_fail(s->t, -EINVAL, "%s has to be %s", json_pointer(s->t, v), wanted);
}

static void check_value(struct schema *s, const struct keyword *k, const struct json *v)
{
	const bool items = !strcmp(k->name, "items");

	if (!(v->kind & k->kinds))
		wrong(s, v, name_of_kinds(k->kinds));
	if (k->is_count && !is_count(v))
		wrong(s, v, "a whole number that isn't negative");
	if (k->elements || (items && v->kind == JSON_ARRAY))
		for (const struct json *e = v->first; e; e = e->next)
			if (!(e->kind & (items ? SCHEMA : k->elements)))
				wrong(s, e, name_of_kinds(items ? SCHEMA : k->elements));
	if ((k->role == ROLE_APPLIES || !strcmp(k->name, "enum")) && v->kind == JSON_ARRAY &&
	    !v->count)
		wrong(s, v, "an array that isn't empty");
	if (!strcmp(k->name, "format") && !format_types(v))
		translation_fail(s->t, -EINVAL, "the format \"%.80s\" at %s isn't supported",
				 v->text, json_pointer(s->t, v));
	if (strcmp(k->name, "type") != 0)
		return;
	if (v->kind == JSON_STRING && !type_of_name(v))
		wrong(s, v, "the name of a type");
	for (const struct json *e = v->first; e; e = e->next)
		if (!type_of_name(e))
			wrong(s, e, "the name of a type");
}

void check_keywords(struct schema *s, const struct json *node)
{
	if (node->checked)
		return;
	for (const struct json *m = node->first; m; m = m->next) {
		const struct keyword *k = find(m);

		if (k)
			check_value(s, k, m);
		else if (strcmp(m->key, "uniqueItems") != 0 || m->kind != JSON_FALSE)
			translation_fail(s->t, -EINVAL,
					 "the keyword \"%.80s\" at %s isn't supported", m->key,
					 json_pointer(s->t, m));
	}
	((struct json *)node)->checked = true;
}

bool has_own_keywords(const struct json *node)
{
	for (const struct json *m = node->first; m; m = m->next) {
		const struct keyword *k = find(m);

		if (k && k->role == ROLE_OWN)
			return true;
	}
	return false;
}

unsigned keyword_types(const struct json *node)
{
	unsigned all = 0;

	for (const struct json *m = node->first; m; m = m->next) {
		const struct keyword *k = find(m);

		if (k && !strcmp(k->name, "format"))
			all |= format_types(m);
		else
			all |= k ? k->types : 0;
	}
	return all;
}

unsigned named_types(const struct json *node)
{
	const struct json *v = json_get(node, "type"), *nullable = json_get(node, "nullable");
	unsigned all = 0;

	if (!v)
		return TYPE_ANY;
	if (v->kind == JSON_STRING)
		all = type_of_name(v);
	for (const struct json *e = v->first; e; e = e->next)
		all |= type_of_name(e);
	return all | (nullable && nullable->kind == JSON_TRUE ? TYPE_NULL : 0);
}
