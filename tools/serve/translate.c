// SPDX-License-Identifier: MIT
/* What translations to OpenAI's form have in common. */
#include "serve/translate.h"

#include <string.h>

#include <json-c/json.h>

#include "serve/chat.h"
#include "serve/problem.h"

bool wrong_field(struct problem *p, const char *place, const char *key, const char *wanted)
{
	return problem_set(p, 400, NULL, NULL, "%s%s%s: not %s", place, *place && key ? "." : "",
			   key ? key : "", wanted);
}

bool string_field(struct json_object *o, const char *place, const char *key,
		  struct json_object **value, struct problem *p)
{
	*value = field_of(o, key);
	return !*value || json_object_is_type(*value, json_type_string) ||
	       wrong_field(p, place, key, "a string");
}

void add_effort(struct json_object *to, struct json_object *effort)
{
	const bool most = !strcmp(json_object_get_string(effort), "max");

	json_object_object_add(to, "reasoning_effort",
			       most ? json_object_new_string("xhigh") : json_object_get(effort));
}

struct json_object *add_message(struct json_object *list, const char *role)
{
	struct json_object *message = json_object_new_object();

	json_object_object_add(message, "role", json_object_new_string(role));
	json_object_array_add(list, message);
	return message;
}

static bool is_one_of(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

struct json_object *fields_without(struct json_object *from, const char *const *without)
{
	struct json_object *copy = json_object_new_object();

	json_object_object_foreach(from, key, value) if (!is_one_of(without, key))
		json_object_object_add(copy, key, json_object_get(value));
	return copy;
}

bool translated_thinking(struct json_object *body, struct chat_request *c, struct problem *p)
{
	bool think = false;

	if (!field_bool(body, "think", &think, p))
		return false;
	if (field_of(body, "think"))
		c->think = think ? SWITCH_ON : SWITCH_OFF;
	return true;
}
