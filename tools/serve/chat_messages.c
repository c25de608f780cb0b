// SPDX-License-Identifier: MIT
/* Messages and tools of a request in OpenAI's form, checked. */
#include "serve/chat.h"

#include <stdio.h>
#include <string.h>

#include "serve/text.h"

enum { NAME_MAX_BYTES = 256 };

/* Where a value stands, for messages: "messages[3].content[1]". */
struct place {
	char name[96];
	struct problem *p;
};

static void place_at(struct place *at, struct problem *p, const char *list, size_t i)
{
	at->p = p;
	snprintf(at->name, sizeof(at->name), "%.60s[%zu]", list, i);
}

static struct place inside(const struct place *at, const char *what)
{
	struct place in = { .p = at->p };

	snprintf(in.name, sizeof(in.name), "%.60s.%s", at->name, what);
	return in;
}

static bool refuse(const struct place *at, const char *param, const char *why)
{
	return problem_set(at->p, 400, param, NULL, "%s %s", at->name, why);
}

static bool no_memory(const struct place *at)
{
	return problem_set(at->p, 500, NULL, NULL, "out of memory");
}

/* A string of @o that may be missing or null. */
static bool get_text(const struct place *at, struct json_object *o, const char *key,
		     const char **text)
{
	const struct place in = inside(at, key);
	struct json_object *value = field_of(o, key);

	*text = NULL;
	if (!value)
		return true;
	if (!json_object_is_type(value, json_type_string))
		return problem_set(at->p, 400, "messages", NULL, "%s is %s, it has to be a string",
				   in.name, field_type(value));
	if (strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return refuse(&in, "messages", "has a NUL in it");
	*text = json_object_get_string(value);
	return true;
}

static bool add_text(struct json_object *o, const char *key, const char *text)
{
	struct json_object *value = json_object_new_string(text);

	return value && !json_object_object_add(o, key, value);
}

/* An empty object at the end of a list; NULL without memory. */
static struct json_object *add_object(struct json_object *list)
{
	struct json_object *o = json_object_new_object();

	if (o && !json_object_array_add(list, o))
		return o;
	json_object_put(o);
	return NULL;
}

/* --- contents -----------------------------------------------------------------------------------
 */

/* Parts of text, those of other APIs too; what a model would have to see or hear is refused. */
static bool part_text(const struct place *at, struct json_object *part, const char **text)
{
	static const char *const texts[] = { "text", "input_text", "output_text" };
	const char *type, *key = NULL;

	if (!json_object_is_type(part, json_type_object))
		return refuse(at, "messages", "has to be an object");
	if (!get_text(at, part, "type", &type))
		return false;
	for (size_t i = 0; type && i < sizeof(texts) / sizeof(*texts); i++)
		if (!strcmp(type, texts[i]))
			key = "text";
	if (type && !strcmp(type, "refusal"))
		key = "refusal";
	if (!type)
		return refuse(at, "messages", "has no type");
	if (!key)
		return problem_set(at->p, 400, "messages", NULL,
				   "%s is of type %.32s: this model takes text alone", at->name,
				   type);
	if (!get_text(at, part, key, text))
		return false;
	return *text || refuse(at, "messages", "has no text");
}

/* Parts are joined by newlines, as other servers do it. */
static bool join_parts(const struct place *at, struct json_object *list, struct json_object *out)
{
	const size_t count = json_object_array_length(list);
	struct text joined = { .data = NULL };
	bool ok = true;

	for (size_t i = 0; i < count && ok; i++) {
		const char *piece = "";
		struct place in;

		place_at(&in, at->p, at->name, i);
		ok = part_text(&in, json_object_array_get_idx(list, i), &piece);
		if (ok && i)
			text_puts(&joined, "\n");
		if (ok)
			text_puts(&joined, piece);
	}
	if (ok && (joined.failed || !add_text(out, "content", joined.data ? joined.data : "")))
		ok = no_memory(at);
	text_free(&joined);
	return ok;
}

/* *@has: there is one that isn't null. */
static bool take_content(const struct place *at, struct json_object *message,
			 struct json_object *out, bool *has)
{
	const struct place in = inside(at, "content");
	struct json_object *content = field_of(message, "content");
	const char *text;

	*has = content != NULL;
	if (!content)
		return !json_object_object_add(out, "content", NULL) || no_memory(at);
	if (json_object_is_type(content, json_type_array))
		return join_parts(&in, content, out);
	if (!json_object_is_type(content, json_type_string))
		return problem_set(at->p, 400, "messages", NULL,
				   "%s is %s, it has to be a string or a list of parts", in.name,
				   field_type(content));
	return get_text(at, message, "content", &text) &&
	       (add_text(out, "content", text) || no_memory(at));
}

/* --- calls of tools -----------------------------------------------------------------------------
 */

/* {id, type, function: {name, arguments}}; arguments as a string of JSON, or as the object. */
static bool take_call(const struct place *at, struct json_object *call, struct json_object *list)
{
	const char *id, *type, *name;
	struct json_object *function, *arguments, *out, *f;

	if (!json_object_is_type(call, json_type_object))
		return refuse(at, "messages", "has to be an object");
	function = field_of(call, "function");
	if (!json_object_is_type(function, json_type_object))
		return refuse(at, "messages", "has no function");
	if (!get_text(at, call, "id", &id) || !get_text(at, call, "type", &type) ||
	    !get_text(at, function, "name", &name))
		return false;
	if (type && strcmp(type, "function") != 0)
		return refuse(at, "messages", "isn't of type function");
	if (!name || !*name)
		return refuse(at, "messages", "doesn't name its function");
	arguments = field_of(function, "arguments");
	if (arguments && !json_object_is_type(arguments, json_type_string) &&
	    !json_object_is_type(arguments, json_type_object))
		return problem_set(at->p, 400, "messages", NULL,
				   "%s.function.arguments is %s, it has to be a string", at->name,
				   field_type(arguments));
	out = add_object(list);
	f = json_object_new_object();
	if (!out || !f || json_object_object_add(out, "function", f)) {
		json_object_put(f);
		return no_memory(at);
	}
	arguments = arguments ? json_object_get(arguments) : json_object_new_string("{}");
	return ((!id || add_text(out, "id", id)) && add_text(out, "type", "function") &&
		add_text(f, "name", name) && !json_object_object_add(f, "arguments", arguments)) ||
	       no_memory(at);
}

static bool take_calls(const struct place *at, struct json_object *message, struct json_object *out,
		       bool *has)
{
	const struct place in = inside(at, "tool_calls");
	struct json_object *calls = field_of(message, "tool_calls"), *list;
	bool ok = true;

	*has = false;
	if (!calls)
		return true;
	if (!json_object_is_type(calls, json_type_array))
		return refuse(&in, "messages", "has to be a list");
	if (!json_object_array_length(calls))
		return true;
	*has = true;
	list = json_object_new_array();
	if (!list || json_object_object_add(out, "tool_calls", list))
		return no_memory(at);
	for (size_t i = 0; i < json_object_array_length(calls) && ok; i++) {
		struct place call;

		place_at(&call, at->p, in.name, i);
		ok = take_call(&call, json_object_array_get_idx(calls, i), list);
	}
	return ok;
}

/* --- messages -----------------------------------------------------------------------------------
 */

/* What a message has beside role and content; clients call the reasoning by two names. */
static bool take_texts(const struct place *at, struct json_object *message, const char *role,
		       struct json_object *out)
{
	const char *id, *name, *reasoning = NULL, *other = NULL;

	if (!get_text(at, message, "tool_call_id", &id) || !get_text(at, message, "name", &name))
		return false;
	if (!strcmp(role, "assistant") &&
	    (!get_text(at, message, "reasoning_content", &reasoning) ||
	     !get_text(at, message, "reasoning", &other)))
		return false;
	reasoning = reasoning ? reasoning : other;
	if (name && strlen(name) > NAME_MAX_BYTES)
		return refuse(at, "messages", "has too long a name");
	return ((!id || add_text(out, "tool_call_id", id)) &&
		(!name || add_text(out, "name", name)) &&
		(!reasoning || !*reasoning || add_text(out, "reasoning_content", reasoning))) ||
	       no_memory(at);
}

static bool take_message(const struct place *at, struct json_object *message,
			 struct json_object *out)
{
	static const char *const roles[] = { "system", "developer", "user", "assistant", "tool" };
	const char *role, *known = NULL;
	bool content, calls = false;

	if (!json_object_is_type(message, json_type_object))
		return refuse(at, "messages", "has to be an object");
	if (!get_text(at, message, "role", &role))
		return false;
	for (size_t i = 0; role && i < sizeof(roles) / sizeof(*roles); i++)
		if (!strcmp(role, roles[i]))
			known = roles[i];
	if (!role)
		return refuse(at, "messages", "has no role");
	if (!known)
		return problem_set(at->p, 400, "messages", NULL,
				   "%s has the role \"%.32s\"; there are system, developer, user, "
				   "assistant and tool",
				   at->name, role);
	if (!add_text(out, "role", known))
		return no_memory(at);
	if (!take_content(at, message, out, &content))
		return false;
	if (!strcmp(role, "assistant") && !take_calls(at, message, out, &calls))
		return false;
	if (!content && !calls)
		return refuse(at, "messages", "has no content");
	return take_texts(at, message, known, out);
}

bool chat_messages(struct json_object *list, struct json_object **out, struct problem *p)
{
	struct json_object *messages;
	struct place at = { .name = "messages", .p = p };
	bool ok = true;

	if (!json_object_is_type(list, json_type_array))
		return problem_set(p, 400, "messages", NULL,
				   list ? "messages has to be a list" : "messages is missing");
	if (!json_object_array_length(list))
		return problem_set(p, 400, "messages", NULL, "messages is empty");
	messages = json_object_new_array();
	if (!messages)
		return no_memory(&at);
	for (size_t i = 0; i < json_object_array_length(list) && ok; i++) {
		struct json_object *message = add_object(messages);

		place_at(&at, p, "messages", i);
		ok = message ? take_message(&at, json_object_array_get_idx(list, i), message)
			     : no_memory(&at);
	}
	if (ok)
		*out = messages;
	else
		json_object_put(messages);
	return ok;
}

/* --- tools --------------------------------------------------------------------------------------
 */

static bool check_tool(const struct place *at, struct json_object *tool)
{
	struct json_object *function = NULL, *type, *name, *parameters;

	if (!json_object_is_type(tool, json_type_object))
		return refuse(at, "tools", "has to be an object");
	type = field_of(tool, "type");
	if (!json_object_is_type(type, json_type_string) ||
	    strcmp(json_object_get_string(type), "function") != 0)
		return refuse(at, "tools", "has to be of type function: there are no others here");
	function = field_of(tool, "function");
	if (!json_object_is_type(function, json_type_object))
		return refuse(at, "tools", "has no function");
	name = field_of(function, "name");
	if (!json_object_is_type(name, json_type_string) || !json_object_get_string_len(name) ||
	    json_object_get_string_len(name) > NAME_MAX_BYTES ||
	    strlen(json_object_get_string(name)) != (size_t)json_object_get_string_len(name))
		return refuse(at, "tools", "doesn't name its function");
	parameters = field_of(function, "parameters");
	if (parameters && !json_object_is_type(parameters, json_type_object))
		return refuse(at, "tools", "has parameters that aren't an object");
	return true;
}

bool chat_tools(struct json_object *list, struct json_object **out, struct problem *p)
{
	struct place at;

	if (!json_object_is_type(list, json_type_array))
		return problem_set(p, 400, "tools", NULL, "tools is %s, it has to be a list",
				   field_type(list));
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		place_at(&at, p, "tools", i);
		if (!check_tool(&at, json_object_array_get_idx(list, i)))
			return false;
	}
	*out = json_object_array_length(list) ? json_object_get(list) : NULL;
	return true;
}
