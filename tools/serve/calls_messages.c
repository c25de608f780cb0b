// SPDX-License-Identifier: MIT
/*
 * A conversation with calls of tools as a template wants it.  Where it has no place for tools,
 * calls or results, they are written as other messages: a system text, an answer, a user's turn.
 */
#include "serve/calls.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/calls_families.h"
#include "serve/calls_tools.h"
#include "serve/calls_write.h"
#include "serve/problem.h"
#include "serve/text.h"

enum { SHORT_ID = 9 };

struct work {
	const struct call_support *s;
	struct json_object *out;
	bool failed; /* no memory */
};

/* --- JSON that isn't there without memory -------------------------------------------------------
 */

static const char *string_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string))
		return NULL;
	return json_object_get_string(v);
}

static struct json_object *list_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_array) ||
	    !json_object_array_length(v))
		return NULL;
	return v;
}

static void set(struct work *w, struct json_object *o, const char *key, struct json_object *value)
{
	if (json_object_object_add(o, key, value)) {
		json_object_put(value);
		w->failed = true;
	}
}

static void set_text(struct work *w, struct json_object *o, const char *key, const char *text,
		     size_t bytes)
{
	struct json_object *value = json_object_new_string_len(text, (int)bytes);

	if (value)
		set(w, o, key, value);
	else
		w->failed = true;
}

static void add(struct work *w, struct json_object *message)
{
	if (!message || json_object_array_add(w->out, message)) {
		json_object_put(message);
		w->failed = true;
	}
}

/* A message of its own, with everything of another; the values are shared. */
static struct json_object *copy(struct work *w, struct json_object *from)
{
	struct json_object *to = json_object_new_object();

	if (!to) {
		w->failed = true;
		return NULL;
	}
	json_object_object_foreach(from, key, value)
	{
		set(w, to, key, json_object_get(value));
	}
	return to;
}

/* What a content says: a string, or the texts of a list of parts. */
static void content_text(struct json_object *message, struct text *out)
{
	struct json_object *content, *parts;
	const char *text = string_of(message, "content");

	if (text) {
		text_puts(out, text);
		return;
	}
	parts = json_object_object_get_ex(message, "content", &content)
			? list_of(message, "content")
			: NULL;
	for (size_t i = 0; parts && i < json_object_array_length(parts); i++) {
		text = string_of(json_object_array_get_idx(parts, i), "text");
		text_puts(out, text ? text : "");
	}
}

/* --- calls --------------------------------------------------------------------------------------
 */

/* Templates that count on it take an id of nine letters and digits. */
static void set_id(struct work *w, struct json_object *o, const char *key)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	const char *id = string_of(o, key);
	uint64_t hash = 0xcbf29ce484222325;
	char out[SHORT_ID];

	if (!id || !w->s->short_ids || strlen(id) == SHORT_ID)
		return;
	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 0x100000001b3;
	for (int i = 0; i < SHORT_ID; i++, hash /= 36)
		out[i] = digits[hash % 36];
	set_text(w, o, key, out, SHORT_ID);
}

/* Of a tool that takes none there may be nothing at all. */
static bool are_none(struct json_object *arguments)
{
	const char *text = json_object_get_string(arguments);

	return !text || !text[strspn(text, " \t\r\n")];
}

/* As an object; what isn't one, as an answer was cut off for instance, is an argument by itself. */
static struct json_object *arguments_object(struct json_object *arguments)
{
	struct json_object *o;

	if (are_none(arguments))
		return json_object_new_object();
	if (!json_object_is_type(arguments, json_type_string))
		return json_object_get(arguments);
	o = json_tokener_parse(json_object_get_string(arguments));
	if (json_object_is_type(o, json_type_object))
		return o;
	json_object_put(o);
	o = json_object_new_object();
	if (o && json_object_object_add(o, "arguments", json_object_get(arguments))) {
		json_object_put(arguments);
		json_object_put(o);
		o = NULL;
	}
	return o;
}

static struct json_object *arguments_text(struct json_object *arguments)
{
	struct text text = { 0 };
	struct json_object *o = NULL;

	if (are_none(arguments))
		return json_object_new_string("{}");
	if (json_object_is_type(arguments, json_type_string))
		return json_object_get(arguments);
	write_json(&text, arguments);
	if (!text.failed)
		o = json_object_new_string_len(text.data, (int)text.bytes);
	text_free(&text);
	return o;
}

static struct json_object *function_of(struct json_object *call)
{
	struct json_object *f = NULL;

	json_object_object_get_ex(call, "function", &f);
	return f;
}

static struct json_object *call_for_template(struct work *w, struct json_object *call)
{
	struct json_object *out = copy(w, call), *function = function_of(call), *arguments = NULL;
	struct json_object *f = function && out ? copy(w, function) : NULL;

	if (!f)
		return out;
	if (json_object_object_get_ex(function, "arguments", &arguments)) {
		arguments = w->s->text_arguments ? arguments_text(arguments)
						 : arguments_object(arguments);
		set(w, f, "arguments", arguments);
		w->failed = w->failed || !arguments;
	}
	set(w, out, "function", f);
	set_id(w, out, "id");
	return out;
}

/* Calls [from, to) of a message. */
static void add_calls(struct work *w, struct json_object *message, struct json_object *calls,
		      size_t from, size_t to)
{
	struct json_object *out = copy(w, message), *list = json_object_new_array();
	struct text content = { 0 };

	if (!out || !list) {
		json_object_put(out);
		json_object_put(list);
		w->failed = true;
		return;
	}
	for (size_t i = from; i < to; i++) {
		struct json_object *call =
			call_for_template(w, json_object_array_get_idx(calls, i));

		if (!call || json_object_array_add(list, call)) {
			json_object_put(call);
			w->failed = true;
		}
	}
	set(w, out, "tool_calls", list);
	content_text(message, &content);
	if (from || !content.bytes)
		set(w, out, "content", w->s->null_content ? NULL : json_object_new_string(""));
	w->failed = w->failed || content.failed;
	text_free(&content);
	add(w, out);
}

/* As an answer, for a template that writes no calls. */
static void add_written_calls(struct work *w, struct json_object *message,
			      struct json_object *calls)
{
	struct json_object *out = copy(w, message);
	struct text text = { 0 };

	content_text(message, &text);
	text_puts(&text, text.bytes ? "\n" : "");
	write_calls(&text, w->s->family, calls);
	if (out && !text.failed) {
		set_text(w, out, "content", text.data, text.bytes);
		json_object_object_del(out, "tool_calls");
	}
	w->failed = w->failed || text.failed;
	text_free(&text);
	add(w, out);
}

/* --- results ------------------------------------------------------------------------------------
 */

/* The name of the tool that a result is of: what was called with that id. */
static const char *called_name(struct json_object *messages, size_t before, const char *id)
{
	for (size_t i = before; id && i-- > 0;) {
		struct json_object *calls =
			list_of(json_object_array_get_idx(messages, i), "tool_calls");

		for (size_t k = 0; calls && k < json_object_array_length(calls); k++) {
			struct json_object *call = json_object_array_get_idx(calls, k);
			const char *its = string_of(call, "id");

			if (its && !strcmp(its, id))
				return string_of(function_of(call), "name");
		}
	}
	return NULL;
}

static void add_result(struct work *w, struct json_object *messages, size_t index)
{
	struct json_object *message = json_object_array_get_idx(messages, index);
	struct json_object *out = copy(w, message);
	const char *name = string_of(message, "name");

	if (!name)
		name = called_name(messages, index, string_of(message, "tool_call_id"));
	if (out && name)
		set_text(w, out, "name", name, strlen(name));
	if (out)
		set_id(w, out, "tool_call_id");
	add(w, out);
}

static bool has_role(struct json_object *message, const char *role)
{
	const char *its = string_of(message, "role");

	return its && !strcmp(its, role);
}

/* Results that follow each other are one turn of the user's. */
static size_t add_written_results(struct work *w, struct json_object *messages, size_t index)
{
	struct json_object *out = json_object_new_object();
	struct text text = { 0 };

	for (; index < json_object_array_length(messages); index++) {
		struct json_object *message = json_object_array_get_idx(messages, index);
		const char *name = string_of(message, "name");

		if (!has_role(message, "tool"))
			break;
		if (!name)
			name = called_name(messages, index, string_of(message, "tool_call_id"));
		text_printf(&text, "%sThe tool %.200s answered:\n", text.bytes ? "\n" : "",
			    name ? name : "");
		content_text(message, &text);
	}
	if (out && !text.failed) {
		set_text(w, out, "role", "user", 4);
		set_text(w, out, "content", text.data, text.bytes);
	}
	w->failed = w->failed || text.failed;
	text_free(&text);
	add(w, out);
	return index;
}

/* --- tools --------------------------------------------------------------------------------------
 */

static void explain(struct text *text, const struct call_family *f, struct json_object *tools)
{
	struct json_object *example = json_tokener_parse(
		"[{\"function\": {\"name\": \"NAME\", \"arguments\": {\"KEY\": \"VALUE\"}}}]");

	text_puts(text, "You can call tools. Each line describes one:\n");
	for (size_t i = 0; i < tool_count(tools); i++) {
		write_json(text, tool_at(tools, i));
		text_puts(text, "\n");
	}
	text_puts(text, "To call some, answer with nothing but text of this form:\n");
	write_calls(text, f, example);
	text_puts(text,
		  "\nWhat they say comes next. Where no tool is needed answer in plain text.");
	text->failed = text->failed || !example;
	json_object_put(example);
}

/* Which message gets the text: the system's, or the first user's where there can be none. */
static void add_explained(struct work *w, struct json_object *message, struct json_object *tools)
{
	struct json_object *out = copy(w, message);
	struct text text = { 0 }, own = { 0 };
	const bool system = !has_role(message, "user");

	content_text(message, &own);
	if (system && own.bytes) {
		text_add(&text, own.data, own.bytes);
		text_puts(&text, "\n\n");
	}
	explain(&text, w->s->family, tools);
	if (!system) {
		text_puts(&text, "\n\n");
		text_add(&text, own.data, own.bytes);
	}
	if (out && !text.failed)
		set_text(w, out, "content", text.data, text.bytes);
	w->failed = w->failed || text.failed || own.failed;
	text_free(&text);
	text_free(&own);
	add(w, out);
}

/* false: the first message is still to be added. */
static bool add_tools(struct work *w, struct json_object *first, struct json_object *tools)
{
	struct json_object *system;
	const bool has_system = has_role(first, "system") || has_role(first, "developer");

	if (has_system || (!w->s->system && has_role(first, "user"))) {
		add_explained(w, first, tools);
		return true;
	}
	system = json_object_new_object();
	if (!system) {
		w->failed = true;
		return false;
	}
	set_text(w, system, "role", "system", 6);
	set_text(w, system, "content", "", 0);
	add_explained(w, system, tools);
	json_object_put(system);
	return false;
}

/* A message and, with a template that takes one call at a time, the results of its calls. */
static size_t add_message(struct work *w, struct json_object *messages, size_t index)
{
	struct json_object *message = json_object_array_get_idx(messages, index);
	struct json_object *calls = list_of(message, "tool_calls");
	const size_t count = calls ? json_object_array_length(calls) : 0;
	const size_t end = json_object_array_length(messages);
	size_t next = index + 1;

	if (has_role(message, "tool") && !w->s->results)
		return add_written_results(w, messages, index);
	if (has_role(message, "tool")) {
		add_result(w, messages, index);
	} else if (calls && !w->s->calls) {
		add_written_calls(w, message, calls);
	} else if (calls && w->s->one_call) {
		for (size_t i = 0; i < count; i++) {
			add_calls(w, message, calls, i, i + 1);
			if (next < end && w->s->results &&
			    has_role(json_object_array_get_idx(messages, next), "tool"))
				add_result(w, messages, next++);
		}
	} else if (calls) {
		add_calls(w, message, calls, 0, count);
	} else {
		add(w, json_object_get(message));
	}
	return next;
}

bool call_messages(const struct call_support *s, struct json_object *messages,
		   struct json_object *tools, struct json_object **out, bool *show_tools,
		   struct problem *p)
{
	struct work w = { .s = s, .out = json_object_new_array() };
	size_t i = 0;

	*show_tools = tool_count(tools) && s->tools;
	if (!w.out)
		return problem_set(p, 500, NULL, NULL, "out of memory");
	if (tool_count(tools) && !s->tools && json_object_array_length(messages) &&
	    add_tools(&w, json_object_array_get_idx(messages, 0), tools))
		i = 1;
	while (i < json_object_array_length(messages))
		i = add_message(&w, messages, i);
	if (w.failed) {
		json_object_put(w.out);
		return problem_set(p, 500, NULL, NULL, "out of memory");
	}
	*out = w.out;
	return true;
}
