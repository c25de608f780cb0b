// SPDX-License-Identifier: MIT
/* Inside a call: the ways to write a name and arguments, one step at a time. */
#include "serve/calls_parse.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Copies what is between, without white space around it; false: too long. */
bool call_take(char *out, const char *from, const char *to)
{
	while (from < to && is_space(*from))
		from++;
	while (to > from && is_space(to[-1]))
		to--;
	if (to - from > CALL_NAME || memchr(from, 0, (size_t)(to - from)))
		return false;
	memcpy(out, from, (size_t)(to - from));
	out[to - from] = 0;
	return true;
}

/* Where @mark begins in what comes next; NULL: nowhere so far. */
const char *call_ahead(const struct call_parser *p, const char *mark)
{
	return mark ? memmem(p->held.data + p->at, p->held.bytes - p->at, mark, strlen(mark))
		    : NULL;
}

enum parse_step call_wait(const struct call_parser *p, size_t most)
{
	return p->held.bytes - p->at > most ? STEP_BROKEN : STEP_WAIT;
}

static enum parse_step name_known(struct call_parser *p)
{
	p->tool = tool_named(p->tools, p->name);
	return p->tool ? STEP_ON : STEP_BROKEN;
}

/* --- name and id --------------------------------------------------------------------------------
 */

static enum parse_step step_open(struct call_parser *p)
{
	const struct call_family *f = p->family;
	enum parse_step step;

	if (!parser_space(p))
		return STEP_BROKEN;
	if (p->at == p->held.bytes)
		return STEP_WAIT;
	if (f->list && p->held.data[p->at] == '[') {
		p->at++;
		return STEP_ON;
	}
	step = f->open ? parser_mark(p, f->open) : STEP_ON;
	if (step == STEP_ON)
		p->state = PARSE_HEAD;
	return step;
}

static enum parse_step step_head(struct call_parser *p)
{
	const struct call_family *f = p->family;
	enum parse_step step = STEP_ON;

	if (f->style == STYLE_OBJECT || f->style == STYLE_KEYED) {
		p->state = PARSE_OBJECT;
		return STEP_ON;
	}
	if (f->id_first) {
		p->state = PARSE_ID;
		return STEP_ON;
	}
	if (f->name_open) {
		if (!parser_space(p))
			return STEP_BROKEN;
		step = parser_mark(p, f->name_open);
	}
	if (step == STEP_ON)
		p->state = PARSE_NAME;
	return step;
}

static enum parse_step step_id(struct call_parser *p)
{
	const char *end = call_ahead(p, p->family->name_open);

	if (!end)
		return call_wait(p, CALL_NAME + strlen(p->family->name_open));
	if (!call_take(p->id, p->held.data + p->at, end))
		return STEP_BROKEN;
	p->at = (size_t)(end - p->held.data) + strlen(p->family->name_open);
	p->state = PARSE_NAME;
	return STEP_ON;
}

/* "functions.NAME:0" and the like; what was copied into the name may have an id with it. */
static void part_name(struct call_parser *p)
{
	const struct call_family *f = p->family;
	const size_t prefix = f->name_prefix ? strlen(f->name_prefix) : 0;
	char *id = f->id_open ? strstr(p->name, f->id_open) : NULL;

	if (id) {
		strcpy(p->id, id + strlen(f->id_open));
		*id = 0;
	}
	if (f->name_is_id) {
		char *number = strrchr(p->name, ':');

		strcpy(p->id, p->name);
		if (number)
			*number = 0;
	}
	if (prefix && !strncmp(p->name, f->name_prefix, prefix))
		memmove(p->name, p->name + prefix, strlen(p->name + prefix) + 1);
}

static void begin_arguments(struct call_parser *p)
{
	static const enum value_form forms[] = {
		[STYLE_PYTHON] = VALUE_CALLED, [STYLE_LOOSE] = VALUE_LOOSE
	};
	const enum call_style style = p->family->style;

	if (style == STYLE_TAGS) {
		p->state = PARSE_TAG;
		return;
	}
	p->state = PARSE_ARGUMENTS;
	value_begin(&p->value,
		    style == STYLE_PYTHON || style == STYLE_LOOSE ? forms[style] : VALUE_JSON,
		    p->family->quote, &p->pending);
}

static enum parse_step step_name(struct call_parser *p)
{
	const struct call_family *f = p->family;
	const char *const marks[] = { f->name_close, f->name_ends[0], f->name_ends[1] };
	const char *end = NULL;
	size_t passed = 0;

	/* lines are white space here: a name in front of which one ends is the one behind it */
	if (!parser_space(p))
		return STEP_BROKEN;
	for (int i = 0; i < 3; i++) {
		const char *found = call_ahead(p, marks[i]);

		if (found && (!end || found < end)) {
			end = found;
			passed = i == 0 && f->style != STYLE_LOOSE ? strlen(marks[i]) : 0;
		}
	}
	if (!end)
		return call_wait(p, 2 * CALL_NAME);
	if (!call_take(p->name, p->held.data + p->at, end))
		return STEP_BROKEN;
	p->at = (size_t)(end - p->held.data) + passed;
	part_name(p);
	begin_arguments(p);
	return name_known(p);
}

/* --- arguments as one value ---------------------------------------------------------------------
 */

/* What has become of the value is told, as soon as it's certain that it begins well. */
void call_tell(struct call_parser *p, bool done)
{
	if (!p->tool || (!p->announced && p->json.bytes < 2 && !done))
		return;
	if (!p->announced)
		parser_announce(p);
	parser_arguments(p, &p->json);
	parser_commit(p);
}

/* Of a call that is known to the sink: what the value has kept back isn't lost. */
static void spill(struct call_parser *p)
{
	if (!p->announced || p->ret)
		return;
	if (p->value.word_bytes && p->value.word_bytes < VALUE_WORD)
		text_add(&p->pending, p->value.word, p->value.word_bytes);
	if (p->pending.bytes)
		p->ret = p->sink.text(p->context, PART_ANSWER, p->pending.data, p->pending.bytes);
	text_clear(&p->pending);
}

static enum parse_step step_arguments(struct call_parser *p)
{
	const enum call_style style = p->family->style;
	enum value_state state;
	size_t used;

	if (!p->value.started && style != STYLE_PYTHON) {
		if (!parser_space(p))
			return STEP_BROKEN;
		if (p->at == p->held.bytes)
			return STEP_WAIT;
		if (p->held.data[p->at] != '{')
			return STEP_BROKEN;
	}
	state = value_read(&p->value, p->held.data + p->at, p->held.bytes - p->at, false, &p->json,
			   &used);
	if (state == VALUE_BROKEN) {
		spill(p);
		return STEP_BROKEN;
	}
	p->at += used;
	if (!p->tool) { /* its name is still to come: done once more then */
		text_clear(&p->json);
	} else {
		call_tell(p, state == VALUE_DONE);
	}
	if (state == VALUE_MORE)
		return STEP_WAIT;
	if (style == STYLE_OBJECT || style == STYLE_KEYED) {
		if (!p->tool)
			p->behind = p->at;
		p->state = PARSE_MEMBER;
	} else {
		parser_done(p);
	}
	return STEP_ON;
}

/* --- a JSON object with name and arguments ------------------------------------------------------
 */

/* The arguments that came before the name are told now. */
static enum parse_step late_name(struct call_parser *p)
{
	size_t used;

	if (name_known(p) != STEP_ON)
		return STEP_BROKEN;
	if (!p->behind)
		return STEP_ON;
	value_begin(&p->value, VALUE_JSON, NULL, &p->pending);
	value_read(&p->value, p->held.data + p->first, p->behind - p->first, true, &p->json, &used);
	call_tell(p, true);
	p->first = p->behind = 0;
	return STEP_ON;
}

static bool one_of(const char *key, const char *const *keys)
{
	for (; *keys; keys++)
		if (!strcmp(key, *keys))
			return true;
	return false;
}

/* A JSON string without escapes at @*from, its end at *@from then. */
static enum parse_step plain_string(const struct call_parser *p, size_t *from, char *out)
{
	const char *begin = p->held.data + *from + 1;
	const size_t left = p->held.bytes - *from - 1;
	const char *end = memchr(begin, '"', left);

	if (!end)
		return left > CALL_NAME ? STEP_BROKEN : STEP_WAIT;
	if (memchr(begin, '\\', (size_t)(end - begin)) || !call_take(out, begin, end))
		return STEP_BROKEN;
	*from = (size_t)(end - p->held.data) + 1;
	return STEP_ON;
}

static void skip_value(struct call_parser *p, enum parse_state state)
{
	value_begin(&p->value, VALUE_JSON, NULL, &p->pending);
	p->state = state;
}

static enum parse_step arguments_begin(struct call_parser *p)
{
	if (p->announced)
		skip_value(p, PARSE_SKIP);
	else if (p->held.data[p->at] == '{')
		skip_value(p, PARSE_ARGUMENTS);
	else if (p->held.data[p->at] == '"')
		skip_value(p, PARSE_QUOTED), text_clear(&p->body);
	else if (p->held.data[p->at] == 'n')
		skip_value(p, PARSE_SKIP);
	else
		return STEP_BROKEN;
	p->first = p->at;
	return STEP_ON;
}

/* Behind "key": the value is looked at only as far as it has to be. */
static enum parse_step member_value(struct call_parser *p, const char *key)
{
	static const char *const names[] = { "name", "tool_name", NULL };
	static const char *const arguments[] = { "arguments", "parameters", NULL };
	static const char *const ids[] = { "id", "tool_call_id", NULL };
	static const char *const others[] = { "type", "function", "tool_calls", NULL };
	const char c = p->held.data[p->at];

	if (one_of(key, arguments))
		return arguments_begin(p);
	if (one_of(key, names) && !p->tool) {
		enum parse_step step = c == '"' ? plain_string(p, &p->at, p->name) : STEP_BROKEN;

		return step == STEP_ON ? late_name(p) : step;
	}
	if (one_of(key, ids) && c == '"' && !p->id[0])
		return plain_string(p, &p->at, p->id);
	if (!strcmp(key, "function") && c == '{') {
		p->nested++;
		p->at++;
		return STEP_ON;
	}
	if (!strcmp(key, "tool_calls") && c == '[' && !p->wrapped && !p->tool) {
		p->at++;
		p->wrapped = p->section = true;
		p->state = PARSE_OBJECT;
		return STEP_ON;
	}
	if (!p->tool && !one_of(key, ids) && !one_of(key, others))
		return STEP_BROKEN; /* something else, not worth waiting for its end */
	skip_value(p, PARSE_SKIP);
	return STEP_ON;
}

static enum parse_step step_object(struct call_parser *p)
{
	enum parse_step step;

	if (!parser_space(p))
		return STEP_BROKEN;
	step = parser_mark(p, "{");
	if (step == STEP_ON)
		p->state = PARSE_MEMBER;
	return step;
}

static enum parse_step object_ends(struct call_parser *p)
{
	p->at++;
	if (p->nested) {
		p->nested--;
		return STEP_ON;
	}
	if (!p->tool)
		return STEP_BROKEN;
	if (!p->announced) {
		text_puts(&p->json, "{}");
		call_tell(p, true);
	}
	parser_done(p);
	return STEP_ON;
}

/* From one member's key to where its value begins, all at once: @at stays before it until then. */
static enum parse_step step_member(struct call_parser *p)
{
	const size_t from = p->at;
	char key[CALL_NAME + 1];
	enum parse_step step;

	if (!parser_space(p))
		return STEP_BROKEN;
	if (p->at == p->held.bytes)
		goto wait;
	if (p->held.data[p->at] == ',') {
		p->at++;
		return STEP_ON;
	}
	if (p->held.data[p->at] == '}')
		return object_ends(p);
	if (p->held.data[p->at] != '"')
		return STEP_BROKEN;
	step = plain_string(p, &p->at, key);
	if (step == STEP_ON)
		step = parser_space(p) ? parser_mark(p, ":") : STEP_BROKEN;
	if (step == STEP_ON)
		step = !parser_space(p)		? STEP_BROKEN
		       : p->at == p->held.bytes ? STEP_WAIT
						: STEP_ON;
	if (step == STEP_ON && p->family->style == STYLE_KEYED && !p->tool) {
		strcpy(p->name, key);
		step = name_known(p);
		if (step == STEP_ON)
			step = arguments_begin(p);
	} else if (step == STEP_ON) {
		step = member_value(p, key);
	}
	if (step != STEP_WAIT)
		return step;
wait:
	p->at = from;
	return STEP_WAIT;
}

static enum parse_step step_skip(struct call_parser *p)
{
	size_t used;
	const enum value_state state = value_read(&p->value, p->held.data + p->at,
						  p->held.bytes - p->at, false, &p->json, &used);

	text_clear(&p->json);
	if (state == VALUE_BROKEN)
		return STEP_BROKEN;
	p->at += used;
	if (p->announced)
		parser_commit(p);
	if (state == VALUE_MORE)
		return STEP_WAIT;
	p->state = PARSE_MEMBER;
	return STEP_ON;
}

/* A string that has the arguments in it: it counts if they are an object. */
static enum parse_step step_quoted(struct call_parser *p)
{
	size_t used;
	const enum value_state state = value_read(&p->value, p->held.data + p->at,
						  p->held.bytes - p->at, false, &p->body, &used);
	struct json_object *text;
	bool object = false;

	if (state == VALUE_BROKEN || !p->tool)
		return STEP_BROKEN;
	p->at += used;
	if (state == VALUE_MORE)
		return STEP_WAIT;
	text = p->body.data ? json_tokener_parse(p->body.data) : NULL;
	text_clear(&p->body);
	if (json_object_is_type(text, json_type_string)) {
		const char *inner = json_object_get_string(text);
		struct value v;

		value_begin(&v, VALUE_JSON, NULL, &p->pending);
		object = *inner == '{' &&
			 value_read(&v, inner, strlen(inner), true, &p->json, &used) == VALUE_DONE;
	}
	json_object_put(text);
	if (!object)
		return STEP_BROKEN;
	call_tell(p, true);
	p->state = PARSE_MEMBER;
	return STEP_ON;
}

enum parse_step call_step(struct call_parser *p)
{
	static enum parse_step (*const steps[])(struct call_parser * p) = {
		[PARSE_OPEN] = step_open,
		[PARSE_HEAD] = step_head,
		[PARSE_ID] = step_id,
		[PARSE_NAME] = step_name,
		[PARSE_OBJECT] = step_object,
		[PARSE_MEMBER] = step_member,
		[PARSE_SKIP] = step_skip,
		[PARSE_QUOTED] = step_quoted,
		[PARSE_ARGUMENTS] = step_arguments,
		[PARSE_TAG] = call_step_tag,
		[PARSE_KEY] = call_step_key,
		[PARSE_VALUE_OPEN] = call_step_value_open,
		[PARSE_VALUE] = call_step_value,
	};

	return steps[p->state](p);
}
