// SPDX-License-Identifier: MIT
/* What a request of /v1/responses says, as a chat: items become messages, tools take OpenAI's older
 * form. */
#include "serve/responses.h"

#include <string.h>

#include "serve/text.h"

/* The list of messages as it grows. */
struct conversation {
	struct json_object *list;
	struct json_object *assistant; /* the last one, an assistant's that may get more */
	struct problem *p;
};

static bool no_memory(struct problem *p)
{
	return problem_set(p, 500, NULL, NULL, "out of memory");
}

static bool set(struct json_object *o, const char *key, struct json_object *value)
{
	return value && !json_object_object_add(o, key, value);
}

static struct json_object *string(const char *text)
{
	return json_object_new_string(text);
}

static struct json_object *add_message(struct conversation *v, const char *role)
{
	struct json_object *o = json_object_new_object();

	v->assistant = NULL;
	if (o && set(o, "role", string(role)) && !json_object_array_add(v->list, o))
		return o;
	json_object_put(o);
	no_memory(v->p);
	return NULL;
}

/* What an assistant thought, said and called comes in items, and is one message. */
static struct json_object *assistant(struct conversation *v)
{
	if (!v->assistant) {
		struct json_object *o = add_message(v, "assistant");

		if (o && !set(o, "content", string("")))
			no_memory(v->p);
		else
			v->assistant = o;
	}
	return v->assistant;
}

/* --- items --------------------------------------------------------------------------------------
 */

static bool take_message(struct conversation *v, struct json_object *item)
{
	struct json_object *content = field_of(item, "content"), *o;
	const char *role = NULL;

	if (!field_text(item, "role", &role, v->p))
		return false;
	if (!role)
		return problem_set(v->p, 400, "input", NULL, "an item of input has no role");
	if (strcmp(role, "assistant") != 0)
		o = add_message(v, role);
	else if (v->assistant && (json_object_get_string_len(field_of(v->assistant, "content")) ||
				  field_of(v->assistant, "tool_calls")))
		o = v->assistant = add_message(v, role);
	else
		o = assistant(v);
	return o && (json_object_object_add(o, "content", json_object_get(content)) == 0 ||
		     no_memory(v->p));
}

/* Texts of a list's parts. */
static bool join(struct conversation *v, struct json_object *list, const char *what,
		 struct text *out)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *part = json_object_array_get_idx(list, i);
		const char *text = NULL;

		if (!json_object_is_type(part, json_type_object))
			return problem_set(v->p, 400, "input", NULL,
					   "%s of input has a part that isn't an object", what);
		if (!field_text(part, "text", &text, v->p))
			return false;
		if (!text)
			return problem_set(v->p, 400, "input", NULL,
					   "%s of input has a part that isn't text", what);
		text_puts(out, i ? "\n" : "");
		text_puts(out, text);
	}
	return true;
}

static bool take_reasoning(struct conversation *v, struct json_object *item)
{
	struct json_object *content = NULL, *summary = NULL, *o;
	struct text text = { .data = NULL };
	bool ok = field_list(item, "content", &content, v->p) &&
		  field_list(item, "summary", &summary, v->p) &&
		  join(v, content ? content : summary, "the reasoning", &text);

	if (ok && text.bytes) {
		o = assistant(v);
		ok = o && ((!text.failed && set(o, "reasoning_content", string(text.data))) ||
			   no_memory(v->p));
	}
	text_free(&text);
	return ok;
}

static bool take_call(struct conversation *v, struct json_object *item)
{
	const char *id = NULL, *name = NULL, *arguments = "{}";
	struct json_object *o, *calls, *call, *function;

	if (!field_text(item, "call_id", &id, v->p) || !field_text(item, "name", &name, v->p) ||
	    !field_text(item, "arguments", &arguments, v->p))
		return false;
	if (!id || !name)
		return problem_set(v->p, 400, "input", NULL,
				   "a function_call of input lacks its call_id or name");
	o = assistant(v);
	if (!o)
		return false;
	calls = field_of(o, "tool_calls");
	if (!calls) {
		calls = json_object_new_array();
		if (!set(o, "tool_calls", calls))
			return no_memory(v->p);
	}
	call = json_object_new_object();
	if (!call || json_object_array_add(calls, call)) {
		json_object_put(call);
		return no_memory(v->p);
	}
	function = json_object_new_object();
	return (set(call, "function", function) && set(call, "id", string(id)) &&
		set(call, "type", string("function")) && set(function, "name", string(name)) &&
		set(function, "arguments", string(arguments))) ||
	       no_memory(v->p);
}

static bool take_output(struct conversation *v, struct json_object *item)
{
	struct json_object *output = field_of(item, "output"), *o;
	const char *id = NULL;

	if (!field_text(item, "call_id", &id, v->p))
		return false;
	if (!id || !output)
		return problem_set(v->p, 400, "input", NULL,
				   "a function_call_output of input lacks its call_id or output");
	o = add_message(v, "tool");
	return o && ((set(o, "tool_call_id", string(id)) &&
		      !json_object_object_add(o, "content", json_object_get(output))) ||
		     no_memory(v->p));
}

static bool take_item(struct conversation *v, struct json_object *item)
{
	static const struct {
		const char *type;
		bool (*take)(struct conversation *v, struct json_object *item);
	} kinds[] = { { "message", take_message },
		      { "reasoning", take_reasoning },
		      { "function_call", take_call },
		      { "function_call_output", take_output } };
	const char *type = "message";

	if (!json_object_is_type(item, json_type_object))
		return problem_set(v->p, 400, "input", NULL,
				   "an item of input is %s, it has to be an object",
				   field_type(item));
	if (!field_text(item, "type", &type, v->p))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].type, type))
			return kinds[i].take(v, item);
	return problem_set(v->p, 400, "input", NULL,
			   "an item of input is of type \"%.32s\"; there are message, reasoning, "
			   "function_call and function_call_output",
			   type);
}

static bool take_input(struct conversation *v, struct json_object *body)
{
	struct json_object *input = field_of(body, "input"), *o;
	const char *instructions = NULL;
	bool ok = true;

	if (!field_text(body, "instructions", &instructions, v->p))
		return false;
	if (instructions) {
		o = add_message(v, "system");
		if (!o || !(set(o, "content", string(instructions)) || no_memory(v->p)))
			return false;
	}
	if (json_object_is_type(input, json_type_string)) {
		o = add_message(v, "user");
		return o && (!json_object_object_add(o, "content", json_object_get(input)) ||
			     no_memory(v->p));
	}
	if (!json_object_is_type(input, json_type_array))
		return problem_set(v->p, 400, "input", NULL,
				   input ? "input has to be a string or a list of items"
					 : "input is missing");
	for (size_t i = 0; i < json_object_array_length(input) && ok; i++)
		ok = take_item(v, json_object_array_get_idx(input, i));
	return ok;
}

static bool read_messages(struct json_object *body, struct chat_request *c, struct problem *p)
{
	struct conversation v = { .list = json_object_new_array(), .p = p };
	bool ok = (v.list || no_memory(p)) && take_input(&v, body);

	if (ok && !chat_messages(v.list, &c->messages, p)) {
		p->param = "input";
		ok = false;
	}
	json_object_put(v.list);
	return ok;
}

/* --- tools and the rest -------------------------------------------------------------------------
 */

/* {type, name, description, parameters} becomes {type, function: {name, ...}} */
static bool take_tool(struct json_object *tool, struct json_object *list, struct problem *p)
{
	struct json_object *function, *o;
	const char *type = "";

	if (!json_object_is_type(tool, json_type_object))
		return problem_set(p, 400, "tools", NULL, "a tool is %s, it has to be an object",
				   field_type(tool));
	if (!field_text(tool, "type", &type, p))
		return false;
	if (strcmp(type, "function") != 0)
		return problem_set(p, 400, "tools", NULL,
				   "a tool is of type \"%.32s\"; there are functions only", type);
	o = json_object_new_object();
	if (!o || json_object_array_add(list, o)) {
		json_object_put(o);
		return no_memory(p);
	}
	function = json_object_new_object();
	if (!set(o, "type", string("function")) || !set(o, "function", function))
		return no_memory(p);
	json_object_object_foreach(tool, key, value)
	{
		if (strcmp(key, "type") != 0 &&
		    json_object_object_add(function, key, json_object_get(value)))
			return no_memory(p);
	}
	return true;
}

static bool read_tools(struct json_object *body, struct chat_request *c, struct problem *p)
{
	struct json_object *tools = NULL, *choice = field_of(body, "tool_choice"),
			   *list = json_object_new_array();
	bool parallel = true, ok = list || no_memory(p);

	ok = ok && field_list(body, "tools", &tools, p);
	for (size_t i = 0; ok && tools && i < json_object_array_length(tools); i++)
		ok = take_tool(json_object_array_get_idx(tools, i), list, p);
	ok = ok && chat_tools(list, &c->tools, p) && (!choice || chat_tool_choice(choice, c, p)) &&
	     field_bool(body, "parallel_tool_calls", &parallel, p);
	c->one_call = !parallel;
	json_object_put(list);
	return ok;
}

/* What can't be had here, as nothing is kept between requests. */
static bool check_state(struct json_object *body, struct problem *p)
{
	static const char *const kept[] = { "previous_response_id", "conversation", "prompt" };
	bool background = false;

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (field_of(body, kept[i]))
			return problem_set(p, 400, kept[i], "unsupported_value",
					   "%s isn't supported: this server keeps no responses; "
					   "send the whole conversation as input",
					   kept[i]);
	if (!field_bool(body, "background", &background, p))
		return false;
	return !background || problem_set(p, 400, "background", "unsupported_value",
					  "background isn't supported: this server keeps no "
					  "responses");
}

/* What is to be told in addition: log-probabilities are all there is. */
static bool read_include(struct json_object *body, struct chat_request *c, struct problem *p)
{
	struct json_object *include = NULL;
	const char *what;

	if (!field_list(body, "include", &include, p))
		return false;
	for (size_t i = 0; include && i < json_object_array_length(include); i++) {
		if (!value_text(p, "include", json_object_array_get_idx(include, i), &what))
			return false;
		if (!strcmp(what, "message.output_text.logprobs"))
			c->chosen.log_probabilities = true;
	}
	return true;
}

bool responses_read(struct json_object *body, struct chat_request *c, struct problem *p)
{
	struct json_object *text = NULL, *format = NULL, *reasoning = NULL;

	if (!check_state(body, p) || !fields_take(body, &c->chosen, p) ||
	    !read_include(body, c, p) || !read_messages(body, c, p) || !read_tools(body, c, p) ||
	    !field_object(body, "text", &text, p) ||
	    (text && !field_object(text, "format", &format, p)) ||
	    (format && !chat_response_format(format, "text.format", c, p)) ||
	    !field_object(body, "reasoning", &reasoning, p) ||
	    (reasoning && !chat_effort(reasoning, "effort", c, p)))
		return false;
	c->chosen.n = 1;
	return true;
}
