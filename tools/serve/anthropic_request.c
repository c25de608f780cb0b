// SPDX-License-Identifier: MIT
/* Requests of Anthropic's Messages API in OpenAI's form. */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "serve/field.h"
#include "serve/problem.h"
#include "serve/text.h"
#include "serve/translate.h"

enum { PLACE_MAX = 128 };

/*
 * One turn on its way.  What it says, thought and calls is one message; each tool's result is a
 * message by itself, and what was said before it comes before it.
 */
struct turn {
	struct json_object *messages, *calls;
	const char *role, *place;
	struct text content, reasoning;
	bool anything;
	struct problem *p;
};

static void add_text(struct json_object *message, const char *key, struct text *t)
{
	json_object_object_add(message, key,
			       json_object_new_string_len(t->bytes ? t->data : "", (int)t->bytes));
	text_clear(t);
}

static void finish_message(struct turn *t)
{
	struct json_object *message;

	if (!t->anything)
		return;
	message = add_message(t->messages, t->role);
	add_text(message, "content", &t->content);
	if (t->reasoning.bytes)
		add_text(message, "reasoning_content", &t->reasoning);
	if (t->calls)
		json_object_object_add(message, "tool_calls", t->calls);
	t->calls = NULL;
	t->anything = false;
}

/* The text of a string of @block that has to be there. */
static bool append(struct turn *t, struct text *to, struct json_object *block, const char *place,
		   const char *key)
{
	struct json_object *value = field_of(block, key);

	if (!json_object_is_type(value, json_type_string))
		return wrong_field(t->p, place, key, "a string");
	text_add(to, json_object_get_string(value), (size_t)json_object_get_string_len(value));
	return true;
}

/* Texts of a user are apart; a model's own are one that was cut, by citations for instance. */
static bool add_said(struct turn *t, struct json_object *block, const char *place)
{
	t->anything = true;
	if (t->content.bytes && strcmp(t->role, "assistant") != 0)
		text_puts(&t->content, "\n");
	return append(t, &t->content, block, place, "text");
}

static bool add_thought(struct turn *t, struct json_object *block, const char *place)
{
	t->anything = true;
	return append(t, &t->reasoning, block, place, "thinking");
}

/* Nobody can read it, and nothing is lost: it isn't ours. */
static bool skip_redacted(struct turn *t, struct json_object *block, const char *place)
{
	(void)t, (void)block, (void)place;
	return true;
}

static bool add_document(struct turn *t, struct json_object *block, const char *place)
{
	struct json_object *source = field_of(block, "source"), *type = field_of(source, "type");

	if (!json_object_is_type(type, json_type_string) ||
	    strcmp(json_object_get_string(type), "text"))
		return problem_set(t->p, 400, NULL, NULL,
				   "%s.source: only documents of plain text can be read", place);
	t->anything = true;
	if (t->content.bytes)
		text_puts(&t->content, "\n");
	return append(t, &t->content, source, place, "data");
}

static bool add_call(struct turn *t, struct json_object *block, const char *place)
{
	struct json_object *id, *name, *input = field_of(block, "input"), *call, *function;

	if (!string_field(block, place, "id", &id, t->p) ||
	    !string_field(block, place, "name", &name, t->p))
		return false;
	if (!id || !name)
		return wrong_field(t->p, place, id ? "name" : "id", "a string");
	if (input && !json_object_is_type(input, json_type_object))
		return wrong_field(t->p, place, "input", "an object");
	call = json_object_new_object();
	function = json_object_new_object();
	json_object_object_add(call, "id", json_object_get(id));
	json_object_object_add(call, "type", json_object_new_string("function"));
	json_object_object_add(function, "name", json_object_get(name));
	json_object_object_add(
		function, "arguments",
		json_object_new_string(
			input ? json_object_to_json_string_ext(
					input,
					JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
			      : "{}"));
	json_object_object_add(call, "function", function);
	if (!t->calls)
		t->calls = json_object_new_array();
	json_object_array_add(t->calls, call);
	t->anything = true;
	return true;
}

/* A text, or a list of blocks of which those of text are all that can be. */
static bool join(struct turn *t, struct text *out, struct json_object *content, const char *place)
{
	char inner[PLACE_MAX];

	if (json_object_is_type(content, json_type_string)) {
		text_add(out, json_object_get_string(content),
			 (size_t)json_object_get_string_len(content));
		return true;
	}
	if (!json_object_is_type(content, json_type_array))
		return wrong_field(t->p, place, NULL, "a string or a list of blocks");
	for (size_t i = 0; i < json_object_array_length(content); i++) {
		struct json_object *block = json_object_array_get_idx(content, i);
		struct json_object *type = field_of(block, "type");

		snprintf(inner, sizeof(inner), "%.80s.%zu", place, i);
		if (!json_object_is_type(type, json_type_string))
			return wrong_field(t->p, inner, "type", "a string");
		if (strcmp(json_object_get_string(type), "text"))
			return problem_set(t->p, 400, NULL, NULL,
					   "%s.type: \"%.40s\" can't be read here, only text",
					   inner, json_object_get_string(type));
		text_puts(out, i ? "\n" : "");
		if (!append(t, out, block, inner, "text"))
			return false;
	}
	return true;
}

static bool add_result(struct turn *t, struct json_object *block, const char *place)
{
	struct json_object *id, *content = field_of(block, "content"), *message;
	char inner[PLACE_MAX];

	if (!string_field(block, place, "tool_use_id", &id, t->p))
		return false;
	if (!id)
		return wrong_field(t->p, place, "tool_use_id", "a string");
	finish_message(t);
	snprintf(inner, sizeof(inner), "%.80s.content", place);
	if (content && !join(t, &t->content, content, inner))
		return false;
	message = add_message(t->messages, "tool");
	json_object_object_add(message, "tool_call_id", json_object_get(id));
	add_text(message, "content", &t->content);
	return true;
}

static const struct {
	const char *type, *role; /* NULL: anybody's */
	bool (*add)(struct turn *t, struct json_object *block, const char *place);
} blocks[] = {
	{ "text", NULL, add_said },
	{ "thinking", "assistant", add_thought },
	{ "redacted_thinking", "assistant", skip_redacted },
	{ "tool_use", "assistant", add_call },
	{ "tool_result", "user", add_result },
	{ "document", "user", add_document },
};

static bool add_block(struct turn *t, struct json_object *block, const char *place)
{
	struct json_object *type = field_of(block, "type");
	const char *name;

	if (!json_object_is_type(type, json_type_string))
		return wrong_field(t->p, place, "type", "a string");
	name = json_object_get_string(type);
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++)
		if (!strcmp(blocks[i].type, name) &&
		    (!blocks[i].role || !strcmp(blocks[i].role, t->role)))
			return blocks[i].add(t, block, place);
	if (!strcmp(name, "image"))
		return problem_set(t->p, 400, NULL, NULL, "%s: images can't be read", place);
	return problem_set(t->p, 400, NULL, NULL,
			   "%s.type: \"%.40s\" can't be read in a turn of %s", place, name,
			   t->role);
}

static bool add_turn(struct turn *t, struct json_object *message, const char *place)
{
	struct json_object *role = field_of(message, "role"),
			   *content = field_of(message, "content");
	char inner[PLACE_MAX];
	bool ok = true;

	if (!json_object_is_type(message, json_type_object))
		return wrong_field(t->p, place, NULL, "an object");
	t->role = json_object_is_type(role, json_type_string) ? json_object_get_string(role) : "";
	if (strcmp(t->role, "user") && strcmp(t->role, "assistant") && strcmp(t->role, "system"))
		return wrong_field(t->p, place, "role", "\"user\" or \"assistant\"");
	if (json_object_is_type(content, json_type_string)) {
		json_object_object_add(add_message(t->messages, t->role), "content",
				       json_object_get(content));
		return true;
	}
	if (!json_object_is_type(content, json_type_array))
		return wrong_field(t->p, place, "content", "a string or a list of blocks");
	for (size_t i = 0; ok && i < json_object_array_length(content); i++) {
		snprintf(inner, sizeof(inner), "%.80s.content.%zu", place, i);
		ok = add_block(t, json_object_array_get_idx(content, i), inner);
	}
	if (ok)
		finish_message(t);
	return ok;
}

static bool add_messages(struct json_object *to, struct json_object *body, struct problem *p)
{
	struct json_object *list = field_of(body, "messages"), *system = field_of(body, "system");
	struct turn t = { .messages = json_object_new_array(), .p = p };
	char place[PLACE_MAX];
	bool ok = true;

	json_object_object_add(to, "messages", t.messages);
	if (system) {
		ok = join(&t, &t.content, system, "system");
		if (ok && t.content.bytes)
			add_text(add_message(t.messages, "system"), "content", &t.content);
	}
	if (ok && !json_object_is_type(list, json_type_array))
		ok = wrong_field(p, "messages", NULL, "a list");
	if (ok && !json_object_array_length(list))
		ok = problem_set(p, 400, "messages", NULL, "messages: at least one is needed");
	for (size_t i = 0; ok && i < json_object_array_length(list); i++) {
		snprintf(place, sizeof(place), "messages.%zu", i);
		ok = add_turn(&t, json_object_array_get_idx(list, i), place);
	}
	if (ok && (t.content.failed || t.reasoning.failed))
		ok = problem_set(p, 500, NULL, NULL, "out of memory");
	text_free(&t.content);
	text_free(&t.reasoning);
	json_object_put(t.calls);
	return ok;
}

static bool add_tool(struct json_object *list, struct json_object *tool, const char *place,
		     struct problem *p)
{
	struct json_object *type, *name, *description, *schema, *entry, *function;

	if (!json_object_is_type(tool, json_type_object))
		return wrong_field(p, place, NULL, "an object");
	if (!string_field(tool, place, "type", &type, p) ||
	    !string_field(tool, place, "name", &name, p) ||
	    !string_field(tool, place, "description", &description, p))
		return false;
	if (type && strcmp(json_object_get_string(type), "custom"))
		return problem_set(
			p, 400, NULL, NULL,
			"%s.type: \"%.60s\" is a tool of its maker's server; there are those "
			"with an input_schema",
			place, json_object_get_string(type));
	schema = field_of(tool, "input_schema");
	if (!name)
		return wrong_field(p, place, "name", "a string");
	if (!json_object_is_type(schema, json_type_object))
		return wrong_field(p, place, "input_schema", "an object");
	entry = json_object_new_object();
	function = json_object_new_object();
	json_object_object_add(entry, "type", json_object_new_string("function"));
	json_object_object_add(function, "name", json_object_get(name));
	if (description)
		json_object_object_add(function, "description", json_object_get(description));
	json_object_object_add(function, "parameters", json_object_get(schema));
	json_object_object_add(entry, "function", function);
	json_object_array_add(list, entry);
	return true;
}

static bool add_tools(struct json_object *to, struct json_object *tools, struct problem *p)
{
	struct json_object *list;
	char place[PLACE_MAX];

	if (!tools)
		return true;
	if (!json_object_is_type(tools, json_type_array))
		return wrong_field(p, "tools", NULL, "a list");
	list = json_object_new_array();
	json_object_object_add(to, "tools", list);
	for (size_t i = 0; i < json_object_array_length(tools); i++) {
		snprintf(place, sizeof(place), "tools.%zu", i);
		if (!add_tool(list, json_object_array_get_idx(tools, i), place, p))
			return false;
	}
	return true;
}

static bool add_choice(struct json_object *to, struct json_object *choice, struct problem *p)
{
	static const char *const names[][2] = { { "auto", "auto" },
						{ "any", "required" },
						{ "none", "none" } };
	struct json_object *type, *name, *alone, *named, *function;
	const char *wanted = NULL;

	if (!choice)
		return true;
	if (!json_object_is_type(choice, json_type_object))
		return wrong_field(p, "tool_choice", NULL, "an object");
	alone = field_of(choice, "disable_parallel_tool_use");
	if (alone && !json_object_is_type(alone, json_type_boolean))
		return wrong_field(p, "tool_choice", "disable_parallel_tool_use", "true or false");
	if (alone)
		json_object_object_add(to, "parallel_tool_calls",
				       json_object_new_boolean(!json_object_get_boolean(alone)));
	if (!string_field(choice, "tool_choice", "type", &type, p) ||
	    !string_field(choice, "tool_choice", "name", &name, p))
		return false;
	for (size_t i = 0; type && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(json_object_get_string(type), names[i][0]))
			wanted = names[i][1];
	if (wanted) {
		json_object_object_add(to, "tool_choice", json_object_new_string(wanted));
		return true;
	}
	if (!type || strcmp(json_object_get_string(type), "tool"))
		return wrong_field(p, "tool_choice", "type", "auto, any, tool or none");
	if (!name)
		return wrong_field(p, "tool_choice", "name", "a string");
	named = json_object_new_object();
	function = json_object_new_object();
	json_object_object_add(function, "name", json_object_get(name));
	json_object_object_add(named, "type", json_object_new_string("function"));
	json_object_object_add(named, "function", function);
	json_object_object_add(to, "tool_choice", named);
	return true;
}

/* Whoever doesn't ask for thinking wants an answer at once: "content" begins with it then. */
static bool add_thinking(struct json_object *to, struct json_object *thinking, bool effort,
			 struct problem *p)
{
	struct json_object *type, *budget;
	bool think;

	if (!thinking && effort)
		return true;
	if (thinking && !json_object_is_type(thinking, json_type_object))
		return wrong_field(p, "thinking", NULL, "an object");
	if (thinking && !string_field(thinking, "thinking", "type", &type, p))
		return false;
	if (thinking && !type)
		return wrong_field(p, "thinking", "type", "enabled, disabled or adaptive");
	think = thinking && !strcmp(json_object_get_string(type), "enabled");
	if (thinking && !think && strcmp(json_object_get_string(type), "disabled"))
		return true; /* the model decides */
	json_object_object_add(to, "think", json_object_new_boolean(think));
	budget = think ? field_of(thinking, "budget_tokens") : NULL;
	if (budget)
		json_object_object_add(to, "thinking_budget_tokens", json_object_get(budget));
	return true;
}

static bool add_format(struct json_object *to, struct json_object *config, struct problem *p)
{
	struct json_object *format, *schema, *type, *out, *inner, *effort;

	if (!config)
		return true;
	if (!json_object_is_type(config, json_type_object))
		return wrong_field(p, "output_config", NULL, "an object");
	if (!string_field(config, "output_config", "effort", &effort, p))
		return false;
	if (effort)
		add_effort(to, effort);
	format = field_of(config, "format");
	if (!format)
		return true;
	type = field_of(format, "type");
	schema = field_of(format, "schema");
	if (!json_object_is_type(type, json_type_string) ||
	    strcmp(json_object_get_string(type), "json_schema"))
		return wrong_field(p, "output_config.format", "type", "json_schema");
	if (!json_object_is_type(schema, json_type_object))
		return wrong_field(p, "output_config.format", "schema", "an object");
	out = json_object_new_object();
	inner = json_object_new_object();
	json_object_object_add(inner, "schema", json_object_get(schema));
	json_object_object_add(out, "type", json_object_new_string("json_schema"));
	json_object_object_add(out, "json_schema", inner);
	json_object_object_add(to, "response_format", out);
	return true;
}

struct json_object *anthropic_to_openai(struct json_object *body, struct problem *p)
{
	static const char *const translated[] = { "messages",	 "system",	   "tools",
						  "tool_choice", "thinking",	   "output_config",
						  "metadata",	 "stop_sequences", NULL };
	struct json_object *to = fields_without(body, translated);
	struct json_object *stop = field_of(body, "stop_sequences");

	if (stop)
		json_object_object_add(to, "stop", json_object_get(stop));
	if (add_messages(to, body, p) && add_tools(to, field_of(body, "tools"), p) &&
	    add_choice(to, field_of(body, "tool_choice"), p) &&
	    add_format(to, field_of(body, "output_config"), p) &&
	    add_thinking(to, field_of(body, "thinking"), field_of(to, "reasoning_effort") != NULL,
			 p))
		return to;
	json_object_put(to);
	return NULL;
}
