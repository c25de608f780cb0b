// SPDX-License-Identifier: MIT
/* Requests of Ollama's /api/chat and /api/generate in OpenAI's form. */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "serve/field.h"
#include "serve/problem.h"
#include "serve/translate.h"

enum { PLACE_MAX = 128 };

/* A list of messages on its way; Ollama's calls and results have no ids, so that order pairs them.
 */
struct conversation {
	struct json_object *messages;
	struct json_object *open; /* the last calls; null for one that has its result */
	unsigned calls;
	struct problem *p;
};

static bool add_call(struct conversation *c, struct json_object *list, struct json_object *call,
		     const char *place)
{
	struct json_object *from = field_of(call, "function"), *id, *name, *arguments, *to,
			   *function;
	char fresh[16];

	if (!json_object_is_type(from, json_type_object))
		return wrong_field(c->p, place, "function", "an object");
	if (!string_field(call, place, "id", &id, c->p) ||
	    !string_field(from, place, "name", &name, c->p))
		return false;
	arguments = field_of(from, "arguments");
	if (!name)
		return wrong_field(c->p, place, "function.name", "a string");
	if (arguments && !json_object_is_type(arguments, json_type_object))
		return wrong_field(c->p, place, "function.arguments", "an object");
	/* nine letters and digits, which Mistral's templates insist on */
	snprintf(fresh, sizeof(fresh), "call%05u", c->calls++ % 100000);
	to = json_object_new_object();
	function = json_object_new_object();
	json_object_object_add(to, "id", id ? json_object_get(id) : json_object_new_string(fresh));
	json_object_object_add(to, "type", json_object_new_string("function"));
	json_object_object_add(function, "name", json_object_get(name));
	json_object_object_add(
		function, "arguments",
		json_object_new_string(
			arguments ? json_object_to_json_string_ext(
					    arguments,
					    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
				  : "{}"));
	json_object_object_add(to, "function", function);
	json_object_array_add(list, to);
	return true;
}

static bool add_calls(struct conversation *c, struct json_object *message,
		      struct json_object *calls, const char *place)
{
	struct json_object *list;
	char inner[PLACE_MAX];

	if (!json_object_is_type(calls, json_type_array))
		return wrong_field(c->p, place, "tool_calls", "a list");
	list = json_object_new_array();
	json_object_object_add(message, "tool_calls", list);
	json_object_put(c->open);
	c->open = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(calls); i++) {
		snprintf(inner, sizeof(inner), "%.80s.tool_calls.%zu", place, i);
		if (!add_call(c, list, json_object_array_get_idx(calls, i), inner))
			return false;
		json_object_array_add(c->open, json_object_get(json_object_array_get_idx(list, i)));
	}
	return true;
}

/* The first call without a result; of this name, if one is said. */
static struct json_object *take_open(struct conversation *c, const char *name)
{
	const size_t count = c->open ? json_object_array_length(c->open) : 0;

	for (size_t i = 0; i < count; i++) {
		struct json_object *call = json_object_array_get_idx(c->open, i), *id;

		if (!call || (name && strcmp(json_object_get_string(
						     field_of(field_of(call, "function"), "name")),
					     name)))
			continue;
		id = json_object_get(field_of(call, "id"));
		json_object_array_put_idx(c->open, i, NULL);
		return id;
	}
	return NULL;
}

static bool add_result(struct conversation *c, struct json_object *to, struct json_object *from,
		       const char *place)
{
	struct json_object *name, *other, *id;

	if (!string_field(from, place, "tool_name", &name, c->p) ||
	    !string_field(from, place, "name", &other, c->p) ||
	    !string_field(from, place, "tool_call_id", &id, c->p))
		return false;
	name = name ? name : other;
	id = id ? json_object_get(id) : take_open(c, name ? json_object_get_string(name) : NULL);
	if (name)
		json_object_object_add(to, "name", json_object_get(name));
	if (id)
		json_object_object_add(to, "tool_call_id", id);
	return true;
}

static bool no_images(struct json_object *o, const char *place, struct problem *p)
{
	struct json_object *images = field_of(o, "images");

	if (!images ||
	    (json_object_is_type(images, json_type_array) && !json_object_array_length(images)))
		return true;
	return problem_set(p, 400, "images", NULL, "%s%simages can't be read", place,
			   *place ? ": " : "");
}

static bool add_turn(struct conversation *c, struct json_object *from, const char *place)
{
	struct json_object *role, *content, *thinking, *calls, *to;
	const char *name;

	if (!json_object_is_type(from, json_type_object))
		return wrong_field(c->p, place, NULL, "an object");
	if (!string_field(from, place, "role", &role, c->p) ||
	    !string_field(from, place, "content", &content, c->p) ||
	    !string_field(from, place, "thinking", &thinking, c->p) ||
	    !no_images(from, place, c->p))
		return false;
	name = role ? json_object_get_string(role) : "";
	if (strcmp(name, "system") && strcmp(name, "user") && strcmp(name, "assistant") &&
	    strcmp(name, "tool"))
		return wrong_field(c->p, place, "role", "system, user, assistant or tool");
	to = add_message(c->messages, name);
	json_object_object_add(to, "content",
			       content ? json_object_get(content) : json_object_new_string(""));
	if (thinking && json_object_get_string_len(thinking))
		json_object_object_add(to, "reasoning_content", json_object_get(thinking));
	calls = field_of(from, "tool_calls");
	if (calls && !add_calls(c, to, calls, place))
		return false;
	return strcmp(name, "tool") || add_result(c, to, from, place);
}

static bool add_messages(struct json_object *to, struct json_object *list, struct problem *p)
{
	struct conversation c = { .messages = json_object_new_array(), .p = p };
	char place[PLACE_MAX];
	bool ok = true;

	json_object_object_add(to, "messages", c.messages);
	if (list && !json_object_is_type(list, json_type_array))
		ok = wrong_field(p, "messages", NULL, "a list");
	for (size_t i = 0; ok && list && i < json_object_array_length(list); i++) {
		snprintf(place, sizeof(place), "messages.%zu", i);
		ok = add_turn(&c, json_object_array_get_idx(list, i), place);
	}
	json_object_put(c.open);
	return ok;
}

/* What "options" may say of sampling; of the others none changes a text here. */
static const char *const options[] = {
	"temperature",
	"top_k",
	"top_p",
	"min_p",
	"typical_p",
	"repeat_last_n",
	"repeat_penalty",
	"presence_penalty",
	"frequency_penalty",
	"mirostat",
	"mirostat_tau",
	"mirostat_eta",
	"stop",
};

static bool add_options(struct json_object *to, struct json_object *from, struct problem *p)
{
	struct json_object *count, *seed;

	if (!from)
		return true;
	if (!json_object_is_type(from, json_type_object))
		return wrong_field(p, "options", NULL, "an object");
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		struct json_object *value = field_of(from, options[i]);

		if (value)
			json_object_object_add(to, options[i], json_object_get(value));
	}
	count = field_of(from, "num_predict");
	seed = field_of(from, "seed");
	/* less than nothing: as many as there is room for */
	if (count &&
	    (!json_object_is_type(count, json_type_int) || json_object_get_int64(count) >= 0))
		json_object_object_add(to, "max_tokens", json_object_get(count));
	if (seed && (!json_object_is_type(seed, json_type_int) || json_object_get_int64(seed) >= 0))
		json_object_object_add(to, "seed", json_object_get(seed));
	return true;
}

static bool add_format(struct json_object *to, struct json_object *format, struct problem *p)
{
	const bool text = json_object_is_type(format, json_type_string);
	struct json_object *out, *inner;

	if (!format || (text && !*json_object_get_string(format)))
		return true;
	if (!json_object_is_type(format, json_type_object) &&
	    (!text || strcmp(json_object_get_string(format), "json")))
		return wrong_field(p, "format", NULL, "\"json\" or a schema");
	out = json_object_new_object();
	json_object_object_add(out, "type",
			       json_object_new_string(text ? "json_object" : "json_schema"));
	if (!text) {
		inner = json_object_new_object();
		json_object_object_add(inner, "schema", json_object_get(format));
		json_object_object_add(out, "json_schema", inner);
	}
	json_object_object_add(to, "response_format", out);
	return true;
}

static bool add_thinking(struct json_object *to, struct json_object *think, struct problem *p)
{
	if (!think)
		return true;
	if (json_object_is_type(think, json_type_string)) {
		add_effort(to, think);
		think = NULL;
	} else if (!json_object_is_type(think, json_type_boolean)) {
		return wrong_field(p, "think", NULL, "true, false, low, medium or high");
	}
	json_object_object_add(to, "think",
			       think ? json_object_get(think) : json_object_new_boolean(true));
	return true;
}

/* How long a model stays loaded is the server's business, but what isn't a time isn't one here. */
static bool check_keep_alive(struct json_object *value, struct problem *p)
{
	const char *text;

	if (!value || json_object_is_type(value, json_type_int) ||
	    json_object_is_type(value, json_type_double))
		return true;
	text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "x";
	if (text[strspn(text, "+-0123456789.hmsun")])
		return wrong_field(p, "keep_alive", NULL, "seconds or a time as \"5m\"");
	return true;
}

/* What both endpoints have. */
static struct json_object *begin(struct json_object *body, struct problem *p)
{
	static const char *const translated[] = { "messages",	"options", "format", "think",
						  "keep_alive", "prompt",  "suffix", "system",
						  "template",	"context", "raw",    "images",
						  NULL };
	struct json_object *to = fields_without(body, translated);

	if (add_options(to, field_of(body, "options"), p) &&
	    add_format(to, field_of(body, "format"), p) &&
	    add_thinking(to, field_of(body, "think"), p) &&
	    check_keep_alive(field_of(body, "keep_alive"), p))
		return to;
	json_object_put(to);
	return NULL;
}

struct json_object *ollama_chat_to_openai(struct json_object *body, struct problem *p)
{
	struct json_object *to = begin(body, p);

	if (to && add_messages(to, field_of(body, "messages"), p))
		return to;
	json_object_put(to);
	return NULL;
}

static bool add_prompt(struct json_object *to, struct json_object *body, enum ollama_kind *kind,
		       struct problem *p)
{
	struct json_object *prompt, *suffix, *system, *template, *messages;
	bool raw = false;

	if (!string_field(body, "", "prompt", &prompt, p) ||
	    !string_field(body, "", "suffix", &suffix, p) ||
	    !string_field(body, "", "system", &system, p) ||
	    !string_field(body, "", "template", &template, p) ||
	    !field_bool(body, "raw", &raw, p) || !no_images(body, "", p))
		return false;
	if (template && json_object_get_string_len(template))
		return problem_set(
			p, 400, "template", NULL,
			"template: a model keeps its own; \"raw\" takes a prompt as it is");
	prompt = prompt ? json_object_get(prompt) : json_object_new_string("");
	if (suffix && json_object_get_string_len(suffix)) {
		*kind = OLLAMA_INFILL;
		json_object_object_add(to, "input_prefix", prompt);
		json_object_object_add(to, "input_suffix", json_object_get(suffix));
		return true;
	}
	*kind = raw ? OLLAMA_RAW : OLLAMA_CHAT;
	if (raw) {
		json_object_object_add(to, "prompt", prompt);
		return true;
	}
	messages = json_object_new_array();
	json_object_object_add(to, "messages", messages);
	if (system && json_object_get_string_len(system))
		json_object_object_add(add_message(messages, "system"), "content",
				       json_object_get(system));
	json_object_object_add(add_message(messages, "user"), "content", prompt);
	return true;
}

struct json_object *ollama_generate_to_openai(struct json_object *body, enum ollama_kind *kind,
					      struct problem *p)
{
	struct json_object *to = begin(body, p);

	if (to && add_prompt(to, body, kind, p))
		return to;
	json_object_put(to);
	return NULL;
}
