/* SPDX-License-Identifier: MIT */
/* A list of tools in OpenAI's form, asked about names and types. */
#ifndef STOKER_SERVE_CALLS_TOOLS_H
#define STOKER_SERVE_CALLS_TOOLS_H

#include <stddef.h>

struct json_object;

/* What a value that isn't in quotes may be. */
enum argument_type {
	ARGUMENT_STRING, /* whatever it looks like */
	ARGUMENT_VALUE,	 /* JSON */
	ARGUMENT_EITHER, /* JSON if it is some, else a string */
};

/* The "function" of number @index, or the tool itself where it isn't wrapped; NULL: none. */
struct json_object *tool_at(struct json_object *tools, size_t index);
size_t tool_count(struct json_object *tools);
/* By its name; NULL: there is none. */
struct json_object *tool_named(struct json_object *tools, const char *name);
const char *tool_name(struct json_object *tool);
/* Its JSON Schema, NULL where it has none. */
struct json_object *tool_parameters(struct json_object *tool);
/* The schema of one, or NULL. */
struct json_object *tool_parameter(struct json_object *tool, const char *key);
/* NULL: nothing is known. */
enum argument_type argument_type(struct json_object *tool, struct json_object *schema);

#endif
