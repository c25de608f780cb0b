// SPDX-License-Identifier: MIT
/* A list of tools in OpenAI's form, asked about names and types. */
#include "serve/calls_tools.h"

#include <json-c/json.h>
#include <string.h>

enum { MAX_REFERENCES = 16, MAX_CHOICES = 64 };

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v))
		return NULL;
	return json_object_is_type(v, type) ? v : NULL;
}

static const char *string_member(struct json_object *o, const char *key)
{
	struct json_object *v = member(o, key, json_type_string);

	return v ? json_object_get_string(v) : NULL;
}

size_t tool_count(struct json_object *tools)
{
	return json_object_is_type(tools, json_type_array) ? json_object_array_length(tools) : 0;
}

struct json_object *tool_at(struct json_object *tools, size_t index)
{
	struct json_object *t = index < tool_count(tools) ? json_object_array_get_idx(tools, index)
							  : NULL;
	struct json_object *f = member(t, "function", json_type_object);

	return f ? f : t;
}

const char *tool_name(struct json_object *tool)
{
	return string_member(tool, "name");
}

struct json_object *tool_named(struct json_object *tools, const char *name)
{
	for (size_t i = 0; i < tool_count(tools); i++) {
		struct json_object *tool = tool_at(tools, i);
		const char *its = tool_name(tool);

		if (its && !strcmp(its, name))
			return tool;
	}
	return NULL;
}

struct json_object *tool_parameters(struct json_object *tool)
{
	return member(tool, "parameters", json_type_object);
}

struct json_object *tool_parameter(struct json_object *tool, const char *key)
{
	struct json_object *all = member(tool_parameters(tool), "properties", json_type_object);

	return member(all, key, json_type_object);
}

/* What "$ref" leads to within the tool's schema. */
static struct json_object *referred(struct json_object *tool, struct json_object *schema)
{
	for (int i = 0; schema && i < MAX_REFERENCES; i++) {
		const char *ref = string_member(schema, "$ref");
		struct json_object *to;

		if (!ref)
			return schema;
		if (ref[0] != '#' || json_pointer_get(tool_parameters(tool), ref + 1, &to))
			return NULL;
		schema = to;
	}
	return NULL;
}

enum { IS_STRING = 1, IS_OTHER = 2 };

static unsigned kinds_of_value(struct json_object *v)
{
	return json_object_is_type(v, json_type_string) ? IS_STRING : IS_OTHER;
}

static unsigned kinds_of_name(struct json_object *type)
{
	return !strcmp(json_object_get_string(type), "string") ? IS_STRING : IS_OTHER;
}

static unsigned kinds_of_list(struct json_object *list, unsigned (*kinds)(struct json_object *))
{
	unsigned found = 0;

	for (size_t i = 0; i < json_object_array_length(list); i++)
		found |= kinds(json_object_array_get_idx(list, i));
	return found;
}

/* Which kinds of values a schema allows, as far as type, enum, const and the like say. */
static unsigned kinds(struct json_object *tool, struct json_object *schema, int depth)
{
	static const char *const choices[] = { "anyOf", "oneOf", "allOf" };
	struct json_object *v;
	unsigned found = 0;

	schema = referred(tool, schema);
	if (!schema || depth == 0)
		return IS_STRING | IS_OTHER;
	if (json_object_object_get_ex(schema, "const", &v))
		return kinds_of_value(v);
	v = member(schema, "enum", json_type_array);
	if (v)
		return kinds_of_list(v, kinds_of_value);
	v = member(schema, "type", json_type_string);
	if (v)
		return kinds_of_name(v);
	v = member(schema, "type", json_type_array);
	if (v)
		return kinds_of_list(v, kinds_of_name);
	for (int i = 0; i < 3; i++) {
		v = member(schema, choices[i], json_type_array);
		for (size_t k = 0; v && k < json_object_array_length(v) && k < MAX_CHOICES; k++)
			found |= kinds(tool, json_object_array_get_idx(v, k), depth - 1);
	}
	return found ? found : IS_STRING | IS_OTHER;
}

enum argument_type argument_type(struct json_object *tool, struct json_object *schema)
{
	const unsigned found = schema ? kinds(tool, schema, 3) : IS_STRING | IS_OTHER;

	if (found == IS_STRING)
		return ARGUMENT_STRING;
	return found == IS_OTHER ? ARGUMENT_VALUE : ARGUMENT_EITHER;
}
