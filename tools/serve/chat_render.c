// SPDX-License-Identifier: MIT
/* From a conversation to its prompt: by the model's template, and what comes
 * behind it when an answer that was begun goes on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reasoning.h"
#include "serve/calls.h"
#include "serve/chat.h"
#include "serve/models.h"
#include "serve/text.h"

/* A prompt as it grows: text, and which stretches of it aren't the template's.
 */
struct draft {
	struct text text;
	struct stoker_span *spans;
	size_t span_count;
	size_t opening, opening_bytes;
};

static bool no_memory(struct problem *p)
{
	return problem_set(p, 500, NULL, NULL, "out of memory");
}

static void free_draft(struct draft *d)
{
	text_free(&d->text);
	free(d->spans);
}

/* --- what the template is told
 * ------------------------------------------------------------------
 */

static bool set_bool(struct json_object *o, const char *key, bool value)
{
	struct json_object *b = json_object_new_boolean(value);

	return b && !json_object_object_add(o, key, b);
}

/* What the request says by its own fields counts only where it doesn't by the
 * template's names. */
static struct json_object *variables_of(const struct chat_request *c, enum chat_switch think)
{
	struct json_object *o = json_object_new_object();
	bool ok = o;

	if (ok && think != SWITCH_UNSET)
		ok = set_bool(o, "enable_thinking", think == SWITCH_ON) &&
		     set_bool(o, "thinking", think == SWITCH_ON);
	if (ok && c->reasoning_effort)
		ok = !json_object_object_add(o, "reasoning_effort",
					     json_object_new_string(c->reasoning_effort));
	if (ok && c->variables) {
		json_object_object_foreach(c->variables, key, value)
		{
			ok = ok && !json_object_object_add(o, key, json_object_get(value));
		}
	}
	if (ok)
		return o;
	json_object_put(o);
	return NULL;
}

static const char *role_of(struct json_object *message)
{
	return json_object_get_string(field_of(message, "role"));
}

/* What becomes of messages that say how to be. */
enum leading {
	LEADING_AS_IS,
	LEADING_SYSTEM, /* developers are the system */
	LEADING_USER,	/* their text goes in front of the user's, for templates without a system */
};

static bool is_leading(struct json_object *message)
{
	return !strcmp(role_of(message), "system") || !strcmp(role_of(message), "developer");
}

/* The text of those that come first; returns the next one's number. */
static size_t leading_text(const struct chat_request *c, size_t count, struct text *out)
{
	size_t i = 0;

	for (; i < count; i++) {
		struct json_object *message = json_object_array_get_idx(c->messages, i);
		const char *text = json_object_get_string(field_of(message, "content"));

		if (!is_leading(message))
			break;
		text_puts(out, text ? text : "");
		text_puts(out, "\n\n");
	}
	return i;
}

/* A copy of @message, its text behind what is in @front, which is empty then. */
static struct json_object *behind(struct json_object *message, struct text *front)
{
	const char *text = json_object_get_string(field_of(message, "content"));
	struct json_object *copy = NULL;

	text_puts(front, text ? text : "");
	if (!front->failed && !json_object_deep_copy(message, &copy, NULL))
		json_object_object_add(copy, "content",
				       json_object_new_string_len(front->data, (int)front->bytes));
	text_clear(front);
	return copy;
}

static struct json_object *renamed(struct json_object *message)
{
	struct json_object *copy = NULL;

	if (!json_object_deep_copy(message, &copy, NULL))
		json_object_object_add(copy, "role", json_object_new_string("system"));
	return copy;
}

/* All but the last @without messages. */
static struct json_object *list_of(const struct chat_request *c, size_t without, enum leading how)
{
	const size_t count = json_object_array_length(c->messages) - without;
	struct json_object *list = json_object_new_array();
	struct text front = { .data = NULL };
	bool ok = list;

	for (size_t i = how == LEADING_USER ? leading_text(c, count, &front) : 0; i < count && ok;
	     i++) {
		struct json_object *message = json_object_array_get_idx(c->messages, i);
		struct json_object *copy;

		if (front.bytes && !strcmp(role_of(message), "user"))
			copy = behind(message, &front);
		else if (how == LEADING_SYSTEM && !strcmp(role_of(message), "developer"))
			copy = renamed(message);
		else
			copy = json_object_get(message);
		ok = copy && !json_object_array_add(list, copy);
		if (!ok)
			json_object_put(copy);
	}
	text_free(&front);
	if (ok)
		return list;
	json_object_put(list);
	return NULL;
}

/* Whether somebody called tools, or may. */
static bool has_calls(const struct chat_request *c, bool tools)
{
	for (size_t i = 0; !tools && i < json_object_array_length(c->messages); i++) {
		struct json_object *message = json_object_array_get_idx(c->messages, i);

		tools = field_of(message, "tool_calls") || !strcmp(role_of(message), "tool");
	}
	return tools;
}

static const char *json_of(struct json_object *o)
{
	return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE);
}

static bool render_list(const struct served *m, const struct stoker_template *t,
			struct json_object *list, struct json_object *tools,
			struct json_object *variables, struct stoker_prompt *out, struct problem *p)
{
	const struct stoker_template_input input = {
		STOKER_TEMPLATE_INPUT_INIT,
		.messages_json = json_of(list),
		.tools = tools ? json_of(tools) : NULL,
		.variables = json_of(variables),
		.answer = 1,
	};
	struct stoker_error err;
	const int ret = stoker_template_render(t, served_vocabulary(m), &input, out, &err);

	if (ret == -ENOMEM)
		return no_memory(p);
	return !ret || problem_set(p, 400, "messages", NULL, "the chat template: %s", err.message);
}

static bool render_as(const struct served *m, const struct chat_request *c, size_t without,
		      enum chat_switch think, enum leading how, struct stoker_prompt *out,
		      struct problem *p)
{
	struct json_object *tools = c->choice == CHOICE_NONE ? NULL : c->tools;
	const struct stoker_template *t = served_template(m, tools ? "tool_use" : NULL);
	struct json_object *list = list_of(c, without, how), *other = NULL;
	struct json_object *variables = variables_of(c, think);
	bool ok = (list && variables) || no_memory(p), shows = tools;
	struct call_support support;

	if (ok && has_calls(c, tools)) {
		call_support_of(t, served_vocabulary(m), &support);
		ok = call_messages(&support, list, tools, &other, &shows, p);
	}
	ok = ok && render_list(m, t, other ? other : list, shows ? tools : NULL, variables, out, p);
	json_object_put(other);
	json_object_put(list);
	json_object_put(variables);
	return ok;
}

/*
 * All but the last @without messages as the template writes them.  Developers are the system to one
 * that doesn't know them, or refuses them; to one that refuses a system both are the user's.
 */
static bool render(const struct served *m, const struct chat_request *c, size_t without,
		   enum chat_switch think, struct stoker_prompt *out, struct problem *p)
{
	const struct stoker_template *t = served_template(m, NULL);
	bool has = false, knows;
	struct problem other = { .status = 0 };

	if (!t)
		return problem_set(p, 400, "messages", NULL, "%s has no chat template",
				   served_name(m));
	for (size_t i = 0; i < json_object_array_length(c->messages); i++)
		has = has ||
		      !strcmp(role_of(json_object_array_get_idx(c->messages, i)), "developer");
	knows = has && strstr(stoker_template_source(t), "developer");
	if (render_as(m, c, without, think, has && !knows ? LEADING_SYSTEM : LEADING_AS_IS, out, p))
		return true;
	if (knows && p->status == 400 && render_as(m, c, without, think, LEADING_SYSTEM, out, p))
		return true;
	return p->status == 400 && json_object_array_length(c->messages) > without + 1 &&
	       is_leading(json_object_array_get_idx(c->messages, 0)) &&
	       render_as(m, c, without, think, LEADING_USER, out, &other);
}

/* --- an answer that goes on
 * ---------------------------------------------------------------------
 */

static void add_span(struct draft *d, const char *text)
{
	const size_t begin = d->text.bytes;
	struct stoker_span *more;

	if (!*text)
		return;
	text_puts(&d->text, text);
	more = realloc(d->spans, (d->span_count + 1) * sizeof(*more));
	if (!more) {
		d->text.failed = true;
		return;
	}
	d->spans = more;
	d->spans[d->span_count++] = (struct stoker_span){ begin, d->text.bytes };
}

/* Whether the template has begun thoughts, and what stands around those of this model. */
static bool thoughts_begun(const struct served *m, const struct draft *d, const char **open,
			   const char **close)
{
	if (reasoning_begun(d->text.data + d->opening, d->opening_bytes, open, close))
		return true;
	reasoning_tags(served_vocabulary(m), open, close);
	return false;
}

/* What the last message has said already, its reasoning between the tags. */
static void go_on(const struct served *m, struct json_object *message, struct draft *d)
{
	struct json_object *said = field_of(message, "reasoning_content");
	const char *content = json_object_get_string(field_of(message, "content"));
	const char *reasoning = said ? json_object_get_string(said) : "", *open, *close;
	bool inside;

	inside = thoughts_begun(m, d, &open, &close);
	if (*reasoning && !inside)
		text_printf(&d->text, "%s\n", open);
	d->opening_bytes = d->text.bytes - d->opening;
	add_span(d, reasoning);
	if (content && *content && (*reasoning || inside))
		text_printf(&d->text, "\n%s\n\n", close);
	if (content && *content)
		d->opening_bytes = 0;
	add_span(d, content ? content : "");
}

/* Thoughts that are unwanted, but that the template has begun, end at once. */
static void end_thoughts(const struct served *m, struct draft *d)
{
	const char *open, *close;

	if (!thoughts_begun(m, d, &open, &close))
		return;
	text_printf(&d->text, "\n%s\n\n", close);
	d->opening_bytes = 0;
}

/* Whether the last message is the beginning of the answer. */
static bool goes_on(const struct chat_request *c, bool *on, struct problem *p)
{
	const size_t count = json_object_array_length(c->messages);
	struct json_object *last = json_object_array_get_idx(c->messages, count - 1);
	const bool can = !strcmp(role_of(last), "assistant") && !field_of(last, "tool_calls");

	*on = can && c->go_on != SWITCH_OFF;
	return can || c->go_on != SWITCH_ON ||
	       problem_set(p, 400, "messages", NULL,
			   "the last message isn't an assistant's text that could be "
			   "gone on with");
}

/* --- all of it
 * ----------------------------------------------------------------------------------
 */

static bool take_prompt(const struct stoker_prompt *from, struct draft *d)
{
	const size_t bytes = from->span_count * sizeof(*d->spans);

	text_add(&d->text, from->text, from->bytes);
	d->spans = malloc(bytes ? bytes : 1);
	if (!d->spans)
		return false;
	if (bytes)
		memcpy(d->spans, from->spans, bytes);
	d->span_count = from->span_count;
	d->opening = from->span_count ? from->spans[from->span_count - 1].end : 0;
	d->opening_bytes = from->bytes - d->opening;
	return !d->text.failed;
}

static bool tokenize(const struct served *m, struct draft *d, struct chat_prompt *out,
		     struct problem *p)
{
	const struct stoker_prompt whole = { STOKER_PROMPT_INIT, .text = d->text.data,
					     .bytes = d->text.bytes, .spans = d->spans,
					     .span_count = d->span_count };
	struct stoker_error err;
	const int ret = stoker_prompt_tokenize(served_vocabulary(m), &whole, &out->tokens,
					       &out->count, &err);

	if (ret == -ENOMEM)
		return no_memory(p);
	if (ret)
		return problem_set(p, 400, "messages", NULL, "%s", err.message);
	if (!out->count)
		return problem_set(p, 400, "messages", NULL, "the template makes an empty prompt");
	out->text = d->text.data;
	out->bytes = d->text.bytes;
	out->opening = d->opening;
	out->opening_bytes = d->opening_bytes;
	d->text = (struct text){ .data = NULL };
	return true;
}

bool chat_render(const struct served *m, const struct chat_request *c, struct chat_prompt *out,
		 struct problem *p)
{
	const size_t count = json_object_array_length(c->messages);
	struct json_object *last = json_object_array_get_idx(c->messages, count - 1);
	struct stoker_prompt rendered = { STOKER_PROMPT_INIT };
	struct draft d = { .spans = NULL };
	enum chat_switch think = c->think;
	bool on, ok;

	*out = (struct chat_prompt){ .text = NULL };
	if (!goes_on(c, &on, p))
		return false;
	/* what the answer says already would stand in the place of thoughts */
	if (on && think == SWITCH_UNSET && !field_of(last, "reasoning_content"))
		think = SWITCH_OFF;
	ok = render(m, c, on, think, &rendered, p) && (take_prompt(&rendered, &d) || no_memory(p));
	if (ok && on)
		go_on(m, last, &d);
	else if (ok && think == SWITCH_OFF)
		end_thoughts(m, &d);
	ok = ok && (!d.text.failed || no_memory(p));
	ok = ok && tokenize(m, &d, out, p);
	stoker_prompt_free(&rendered);
	free_draft(&d);
	return ok;
}

void chat_prompt_free(struct chat_prompt *prompt)
{
	free(prompt->text);
	stoker_free(prompt->tokens);
	*prompt = (struct chat_prompt){ .text = NULL };
}
