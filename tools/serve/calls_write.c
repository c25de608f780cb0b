// SPDX-License-Identifier: MIT
/* Calls as a family of models writes them, where its template doesn't do it. */
#include "serve/calls_write.h"

#include <json-c/json.h>
#include <string.h>

#include "serve/calls_families.h"
#include "serve/text.h"

static void puts_mark(struct text *out, const char *mark)
{
	if (mark)
		text_puts(out, mark);
}

void write_json(struct text *out, struct json_object *o)
{
	const char *s = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
								  JSON_C_TO_STRING_NOSLASHESCAPE);
	bool string = false;

	for (; *s; s++) {
		text_add(out, s, 1);
		if (*s == '"')
			string = !string;
		else if (string && *s == '\\')
			text_add(out, ++s, 1);
		else if (!string && (*s == ',' || *s == ':'))
			text_puts(out, " ");
	}
}

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? v : NULL;
}

/* An object, whatever the arguments are. */
static struct json_object *arguments_of(struct json_object *function)
{
	struct json_object *v = member(function, "arguments");

	if (json_object_is_type(v, json_type_object))
		return json_object_get(v);
	v = json_object_is_type(v, json_type_string) ? json_tokener_parse(json_object_get_string(v))
						     : NULL;
	if (json_object_is_type(v, json_type_object))
		return v;
	json_object_put(v);
	return json_object_new_object();
}

/* Strings of JSON are Python's as well. */
static void write_python(struct text *out, const char *name, struct json_object *arguments)
{
	bool some = false;

	text_printf(out, "%s(", name);
	json_object_object_foreach(arguments, key, value)
	{
		text_printf(out, "%s%s=", some ? ", " : "", key);
		if (json_object_is_type(value, json_type_boolean))
			text_puts(out, json_object_get_boolean(value) ? "True" : "False");
		else if (value)
			write_json(out, value);
		else
			text_puts(out, "None");
		some = true;
	}
	text_puts(out, ")");
}

static void write_tags(struct text *out, const struct call_family *f, struct json_object *arguments)
{
	puts_mark(out, f->gap);
	json_object_object_foreach(arguments, key, value)
	{
		const bool string = json_object_is_type(value, json_type_string);

		puts_mark(out, f->key_open);
		text_puts(out, key);
		puts_mark(out, f->key_close);
		if (f->key_tail)
			puts_mark(out, string ? f->string_key : f->other_key);
		puts_mark(out, f->key_tail);
		puts_mark(out, f->value_open ? f->gap : NULL);
		puts_mark(out, f->value_open);
		puts_mark(out, f->lines ? "\n" : NULL);
		if (string)
			text_puts(out, json_object_get_string(value));
		else
			write_json(out, value);
		puts_mark(out, f->lines ? "\n" : NULL);
		puts_mark(out, f->value_close);
		puts_mark(out, f->gap);
	}
}

static void write_object(struct text *out, const struct call_family *f, const char *name,
			 struct json_object *arguments)
{
	text_puts(out, f->style == STYLE_KEYED ? "{" : "{\"");
	if (f->style == STYLE_OBJECT)
		text_printf(out, "%s\": ", f->name_key);
	text_json(out, name, strlen(name));
	if (f->style == STYLE_OBJECT)
		text_printf(out, ", \"%s\"", f->args_key);
	text_puts(out, ": ");
	write_json(out, arguments);
	text_puts(out, "}");
}

static void write_call(struct text *out, const struct call_family *f, const char *name,
		       struct json_object *arguments)
{
	puts_mark(out, f->open);
	puts_mark(out, f->open ? f->gap : NULL);
	if (f->style == STYLE_OBJECT || f->style == STYLE_KEYED) {
		write_object(out, f, name, arguments);
	} else if (f->style == STYLE_PYTHON) {
		write_python(out, name, arguments);
	} else {
		puts_mark(out, f->name_open);
		puts_mark(out, f->name_prefix);
		text_puts(out, name);
		if (f->style != STYLE_LOOSE)
			puts_mark(out, f->name_close);
		if (f->style == STYLE_TAGS)
			write_tags(out, f, arguments);
		else
			write_json(out, arguments);
		puts_mark(out, f->args_close);
	}
	puts_mark(out, f->close ? f->gap : NULL);
	puts_mark(out, f->close);
}

void write_calls(struct text *out, const struct call_family *f, struct json_object *calls)
{
	puts_mark(out, f->begin[0]);
	puts_mark(out, f->begin[0] ? f->gap : NULL);
	puts_mark(out, f->list ? f->begin[0] && f->at_start ? " [" : "[" : NULL);
	for (size_t i = 0; i < json_object_array_length(calls); i++) {
		struct json_object *function =
			member(json_object_array_get_idx(calls, i), "function");
		struct json_object *name = member(function, "name");
		struct json_object *arguments = arguments_of(function);

		puts_mark(out, i ? f->list ? ", " : f->between : NULL);
		write_call(out, f, name ? json_object_get_string(name) : "", arguments);
		json_object_put(arguments);
	}
	puts_mark(out, f->list ? "]" : NULL);
	puts_mark(out, f->end[0] ? f->gap : NULL);
	puts_mark(out, f->end[0]);
}
