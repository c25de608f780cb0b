// SPDX-License-Identifier: MIT
/* What a request for a chat says beside its messages: tools, thinking, the answer's form. */
#include "serve/chat.h"

#include <string.h>

#include "serve/text.h"

/* A text of ours that a request refers to lives as long as it does; NULL without memory. */
static const char *keep_text(struct chat_request *c, const struct text *t)
{
	struct json_object *o = t->failed ? NULL
					  : json_object_new_string_len(t->data, (int)t->bytes);

	if (!c->keep)
		c->keep = json_object_new_array();
	if (!o || !c->keep || json_object_array_add(c->keep, o)) {
		json_object_put(o);
		return NULL;
	}
	return json_object_get_string(o);
}

/* --- tools --------------------------------------------------------------------------------------
 */

static bool has_tool(const struct chat_request *c, const char *name)
{
	for (size_t i = 0; c->tools && i < json_object_array_length(c->tools); i++) {
		struct json_object *tool = json_object_array_get_idx(c->tools, i);
		struct json_object *function = field_of(tool, "function");

		if (!strcmp(json_object_get_string(field_of(function, "name")), name))
			return true;
	}
	return false;
}

/* {type: "function", function: {name}}, or as /v1/responses has it {type: "function", name} */
static bool read_named_choice(struct json_object *o, struct chat_request *c, struct problem *p)
{
	struct json_object *function = o;
	const char *type = "", *name = NULL;

	if (!field_text(o, "type", &type, p) || !field_object(o, "function", &function, p) ||
	    !field_text(function, "name", &name, p))
		return false;
	if (strcmp(type, "function") != 0 || !name)
		return problem_set(p, 400, "tool_choice", NULL,
				   "tool_choice has to be auto, none, required, or name a "
				   "function");
	if (!has_tool(c, name))
		return problem_set(p, 400, "tool_choice", NULL,
				   "tool_choice names %.64s, which isn't among the tools", name);
	c->choice = CHOICE_NAMED;
	c->tool_name = name;
	return true;
}

bool chat_tool_choice(struct json_object *value, struct chat_request *c, struct problem *p)
{
	static const struct {
		const char *name;
		enum chat_choice choice;
	} choices[] = { { "auto", CHOICE_AUTO },
			{ "none", CHOICE_NONE },
			{ "required", CHOICE_REQUIRED } };
	const char *name;

	if (json_object_is_type(value, json_type_object))
		return read_named_choice(value, c, p);
	if (!value_text(p, "tool_choice", value, &name))
		return false;
	for (size_t i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
		if (strcmp(choices[i].name, name) != 0)
			continue;
		c->choice = choices[i].choice;
		if (c->choice == CHOICE_REQUIRED && !c->tools)
			return problem_set(p, 400, "tool_choice", NULL,
					   "tool_choice is required, but there are no tools");
		return true;
	}
	return problem_set(p, 400, "tool_choice", NULL,
			   "tool_choice is \"%.32s\"; there are auto, none and required", name);
}

static bool read_tools(struct json_object *body, struct chat_request *c, struct problem *p)
{
	struct json_object *tools = field_of(body, "tools"),
			   *choice = field_of(body, "tool_choice");
	bool parallel = true;

	if (tools && !chat_tools(tools, &c->tools, p))
		return false;
	if (choice && !chat_tool_choice(choice, c, p))
		return false;
	if (!field_bool(body, "parallel_tool_calls", &parallel, p))
		return false;
	c->one_call = !parallel;
	return true;
}

/* --- thinking -----------------------------------------------------------------------------------
 */

void chat_set_effort(struct chat_request *c, const char *effort)
{
	if (!strcmp(effort, "none")) {
		c->think = SWITCH_OFF;
		return;
	}
	c->think = SWITCH_ON;
	c->reasoning_effort = effort;
}

bool chat_effort(struct json_object *o, const char *key, struct chat_request *c, struct problem *p)
{
	static const char *const efforts[] = {
		"none", "minimal", "low", "medium", "high", "xhigh"
	};
	const char *effort = NULL;

	if (!field_text(o, key, &effort, p))
		return false;
	for (size_t i = 0; effort && i < sizeof(efforts) / sizeof(*efforts); i++)
		if (!strcmp(effort, efforts[i])) {
			chat_set_effort(c, effort);
			return true;
		}
	return !effort || problem_set(p, 400, key, NULL,
				      "%s is \"%.32s\"; there are none, minimal, low, medium, "
				      "high, xhigh and max",
				      key, effort);
}

/* Variables of the template come on top of the command line's. */
static bool read_variables(struct json_object *body, struct chat_request *c, struct problem *p)
{
	struct json_object *said = NULL;

	if (!field_object(body, "chat_template_kwargs", &said, p))
		return false;
	if (!said)
		return true;
	if (!c->variables)
		c->variables = json_object_new_object();
	json_object_object_foreach(said, key, value)
	{
		if (!c->variables ||
		    json_object_object_add(c->variables, key, json_object_get(value)))
			return problem_set(p, 500, NULL, NULL, "out of memory");
	}
	return true;
}

static bool read_thinking(struct json_object *body, struct chat_request *c, struct problem *p)
{
	struct json_object *reasoning = NULL;
	const char *format = "auto";
	bool think = false;

	if (!field_bool(body, "enable_thinking", &think, p))
		return false;
	if (field_of(body, "enable_thinking"))
		c->think = think ? SWITCH_ON : SWITCH_OFF;
	if (!chat_effort(body, "reasoning_effort", c, p) ||
	    !field_object(body, "reasoning", &reasoning, p) ||
	    (reasoning && !chat_effort(reasoning, "effort", c, p)) ||
	    !field_text(body, "reasoning_format", &format, p) || !read_variables(body, c, p))
		return false;
	if (!strcmp(format, "none"))
		c->keep_tags = true;
	else if (strcmp(format, "auto") != 0 && strcmp(format, "deepseek") != 0)
		return problem_set(p, 400, "reasoning_format", NULL,
				   "reasoning_format is \"%.32s\"; there are auto, none and "
				   "deepseek",
				   format);
	return true;
}

/* --- the answer's form --------------------------------------------------------------------------
 */

static bool set_format(struct chat_request *c, enum chat_form format, const char *name,
		       struct problem *p)
{
	if (c->format != FORMAT_TEXT)
		return problem_set(p, 400, name, NULL,
				   "%s isn't the only thing that says what form the answer has",
				   name);
	c->format = format;
	return true;
}

static bool set_schema(struct chat_request *c, struct json_object *schema, const char *name,
		       struct problem *p)
{
	if (!json_object_is_type(schema, json_type_object) &&
	    !json_object_is_type(schema, json_type_boolean))
		return value_wrong(p, name, schema, "a JSON Schema, an object");
	if (!set_format(c, FORMAT_SCHEMA, name, p))
		return false;
	c->schema = json_object_get(schema);
	return true;
}

/* One of these texts: a grammar of literals. */
static bool set_texts(struct chat_request *c, struct json_object *list, const char *name,
		      struct problem *p)
{
	struct text gbnf = { .data = NULL };
	bool ok = true;

	if (!json_object_is_type(list, json_type_array) || !json_object_array_length(list))
		return problem_set(p, 400, name, NULL, "%s has to be a list of strings", name);
	text_puts(&gbnf, "root ::= ");
	for (size_t i = 0; i < json_object_array_length(list) && ok; i++) {
		const char *text;

		ok = value_text(p, name, json_object_array_get_idx(list, i), &text);
		text_puts(&gbnf, i ? " | \"" : "\"");
		for (; ok && *text; text++)
			if ((unsigned char)*text < ' ' || strchr("\"\\", *text))
				text_printf(&gbnf, "\\x%02X", (unsigned char)*text);
			else
				text_add(&gbnf, text, 1);
		text_puts(&gbnf, "\"");
	}
	ok = ok && set_format(c, FORMAT_GRAMMAR, name, p);
	if (ok) {
		c->source = keep_text(c, &gbnf);
		ok = c->source || problem_set(p, 500, NULL, NULL, "out of memory");
	}
	text_free(&gbnf);
	return ok;
}

static bool set_source(struct chat_request *c, enum chat_form format, struct json_object *value,
		       const char *name, struct problem *p)
{
	return value_text(p, name, value, &c->source) && set_format(c, format, name, p);
}

/* vLLM's {json, regex, choice, grammar}, and before that guided_json, ... */
static bool read_structured(struct json_object *o, const char *json, const char *regex,
			    const char *choice, const char *grammar, struct chat_request *c,
			    struct problem *p)
{
	struct json_object *value;

	if ((value = field_of(o, json)) && !set_schema(c, value, json, p))
		return false;
	if ((value = field_of(o, regex)) && !set_source(c, FORMAT_REGEX, value, regex, p))
		return false;
	if ((value = field_of(o, choice)) && !set_texts(c, value, choice, p))
		return false;
	return !(value = field_of(o, grammar)) || set_source(c, FORMAT_GRAMMAR, value, grammar, p);
}

/* {type: "text"}, {type: "json_object"}, {type: "json_schema", json_schema: {schema}}; others have
 * the schema right beside the type, with either of them. */
bool chat_response_format(struct json_object *o, const char *name, struct chat_request *c,
			  struct problem *p)
{
	struct json_object *inner = NULL, *schema;
	const char *type = NULL;

	if (!field_text(o, "type", &type, p) || !field_object(o, "json_schema", &inner, p))
		return false;
	schema = field_of(inner ? inner : o, "schema");
	if (type && !strcmp(type, "text"))
		return true;
	if (type && !strcmp(type, "json_object"))
		return schema ? set_schema(c, schema, name, p)
			      : set_format(c, FORMAT_JSON, name, p);
	if (!type || strcmp(type, "json_schema") != 0)
		return problem_set(p, 400, name, NULL,
				   "%s is of type \"%.32s\"; there are text, json_object and "
				   "json_schema",
				   name, type ? type : "");
	if (!schema)
		return problem_set(p, 400, name, NULL, "%s has no schema", name);
	return set_schema(c, schema, name, p);
}

bool chat_format(struct json_object *body, struct chat_request *c, struct problem *p)
{
	struct json_object *format = NULL, *structured = NULL, *schema, *grammar;

	if (!field_object(body, "response_format", &format, p) ||
	    !field_object(body, "structured_outputs", &structured, p) ||
	    (format && !chat_response_format(format, "response_format", c, p)))
		return false;
	schema = field_of(body, "json_schema");
	grammar = field_of(body, "grammar");
	if (schema && !set_schema(c, schema, "json_schema", p))
		return false;
	/* some send an empty one */
	if (grammar &&
	    (!json_object_is_type(grammar, json_type_string) ||
	     json_object_get_string_len(grammar)) &&
	    !set_source(c, FORMAT_GRAMMAR, grammar, "grammar", p))
		return false;
	return (!structured ||
		read_structured(structured, "json", "regex", "choice", "grammar", c, p)) &&
	       read_structured(body, "guided_json", "guided_regex", "guided_choice",
			       "guided_grammar", c, p);
}

/* --- all of it ----------------------------------------------------------------------------------
 */

/* Whether the last message, an assistant's, is gone on with: other servers say it in two ways. */
static bool read_going_on(struct json_object *body, struct chat_request *c, struct problem *p)
{
	bool go_on = false, prompt = true;

	if (!field_bool(body, "continue_final_message", &go_on, p) ||
	    !field_bool(body, "add_generation_prompt", &prompt, p))
		return false;
	if (go_on && field_of(body, "add_generation_prompt") && prompt)
		return problem_set(p, 400, "continue_final_message", NULL,
				   "continue_final_message and add_generation_prompt don't go "
				   "together");
	if (field_of(body, "continue_final_message"))
		c->go_on = go_on ? SWITCH_ON : SWITCH_OFF;
	else if (field_of(body, "add_generation_prompt"))
		c->go_on = prompt ? SWITCH_OFF : SWITCH_ON;
	return true;
}

/* In a chat logprobs is a boolean, and how many are likeliest says top_logprobs. */
static bool check_log_probabilities(struct json_object *body, struct problem *p)
{
	bool wanted = false;
	int64_t top = 0;

	if (!field_bool(body, "logprobs", &wanted, p) ||
	    !field_int(body, "top_logprobs", 0, STOKER_TOP_MAX, &top, p))
		return false;
	return wanted || !top ||
	       problem_set(p, 400, "top_logprobs", NULL, "top_logprobs needs logprobs to be true");
}

bool chat_read(struct json_object *body, struct chat_request *c, struct problem *p)
{
	return fields_take(body, &c->chosen, p) && check_log_probabilities(body, p) &&
	       chat_messages(field_of(body, "messages"), &c->messages, p) &&
	       read_tools(body, c, p) && read_thinking(body, c, p) && chat_format(body, c, p) &&
	       read_going_on(body, c, p);
}

void chat_free(struct chat_request *c)
{
	json_object_put(c->messages);
	json_object_put(c->tools);
	json_object_put(c->variables);
	json_object_put(c->schema);
	json_object_put(c->keep);
	fields_free(&c->chosen);
	*c = (struct chat_request){ .messages = NULL };
}
