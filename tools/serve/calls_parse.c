// SPDX-License-Identifier: MIT
/*
 * Text in which calls of tools may be: where one begins, what stands between two, and what turns
 * out to be none.
 */
#include "serve/calls_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 1024 }; /* text is looked at in pieces, as what was read is moved away behind each */

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_one_of(char c, const char *these)
{
	return c && strchr(these, c);
}

size_t overlap(const char *text, size_t bytes, const char *mark)
{
	const size_t most = strlen(mark) - 1;
	size_t n = bytes < most ? bytes : most;

	while (n && memcmp(text + bytes - n, mark, n) != 0)
		n--;
	return n;
}

static void drop(struct call_parser *p, size_t bytes)
{
	p->held.bytes -= bytes;
	if (p->held.bytes)
		memmove(p->held.data, p->held.data + bytes, p->held.bytes);
	p->at = p->at > bytes ? p->at - bytes : 0;
	p->mark = 0;
}

void parser_commit(struct call_parser *p)
{
	drop(p, p->at);
}

static void put_text(struct call_parser *p, size_t bytes)
{
	if (bytes && !p->ret)
		p->ret = p->sink.text(p->context, PART_ANSWER, p->held.data, bytes);
	drop(p, bytes);
}

bool parser_space(struct call_parser *p)
{
	const size_t from = p->at;

	while (p->at < p->held.bytes && is_space(p->held.data[p->at]))
		p->at++;
	return p->at - from <= CALL_SPACE;
}

enum parse_step parser_mark(struct call_parser *p, const char *mark)
{
	const size_t left = p->held.bytes - p->at;

	while (is_space(*mark))
		mark++;
	const size_t bytes = strlen(mark), n = left < bytes ? left : bytes;

	if (n && memcmp(p->held.data + p->at, mark, n) != 0)
		return STEP_BROKEN;
	if (n < bytes)
		return p->final ? STEP_BROKEN : STEP_WAIT;
	p->at += bytes;
	return STEP_ON;
}

void parser_begin_call(struct call_parser *p)
{
	p->tool = NULL;
	p->announced = false;
	p->name[0] = p->id[0] = 0;
	p->nested = 0;
	p->first = p->behind = 0;
	p->any = p->comma = false;
	text_clear(&p->json);
}

void parser_announce(struct call_parser *p)
{
	p->announced = true;
	if (!p->ret)
		p->ret = p->sink.call(p->context, p->count, p->name, p->id[0] ? p->id : NULL);
	p->count++;
}

void parser_arguments(struct call_parser *p, struct text *json)
{
	if (json->bytes && !p->ret)
		p->ret = p->sink.arguments(p->context, p->count - 1, json->data, json->bytes);
	text_clear(json);
}

void parser_done(struct call_parser *p)
{
	parser_commit(p);
	p->announced = false;
	p->comma = false;
	p->state = PARSE_AFTER;
}

/* --- where calls begin --------------------------------------------------------------------------
 */

enum { OPENERS = CALL_BEGINS + 2 };

/* The marks that a call may begin with, and what comes behind each. */
static size_t openers(const struct call_family *f, const char *marks[OPENERS],
		      enum parse_state next[OPENERS])
{
	size_t n = 0;

	for (int i = 0; i < CALL_BEGINS; i++)
		if (f->begin[i]) {
			marks[n] = f->begin[i];
			next[n++] = PARSE_OPEN;
		}
	if (f->open) {
		marks[n] = f->open;
		next[n++] = PARSE_HEAD;
	}
	if (f->name_open && !f->id_first) {
		marks[n] = f->name_open;
		next[n++] = PARSE_NAME;
	}
	return n;
}

static void enter(struct call_parser *p, enum parse_state state)
{
	p->state = state;
	p->section = state == PARSE_OPEN;
	p->wrapped = false;
	parser_begin_call(p);
}

static size_t without_space(const char *text, size_t bytes)
{
	size_t n = bytes;

	while (n && bytes - n < CALL_SPACE && is_space(text[n - 1]))
		n--;
	return n && is_space(text[n - 1]) ? bytes : n;
}

static enum parse_step step_text(struct call_parser *p)
{
	const char *marks[OPENERS], *found = NULL;
	enum parse_state next[OPENERS];
	const size_t count = openers(p->family, marks, next);
	size_t which = 0, keep = 0;

	for (size_t i = 0; i < count; i++) {
		const char *at = memmem(p->held.data, p->held.bytes, marks[i], strlen(marks[i]));
		const size_t n = overlap(p->held.data, p->held.bytes, marks[i]);

		if (at && (!found || at < found)) {
			found = at;
			which = i;
		}
		keep = n > keep ? n : keep;
	}
	if (!found) {
		const size_t rest = p->held.bytes - keep;

		put_text(p, p->final ? p->held.bytes : without_space(p->held.data, rest));
		return STEP_WAIT;
	}
	/* white space in front of a call isn't text, unless it's no call */
	const size_t before = (size_t)(found - p->held.data);
	const size_t text = without_space(p->held.data, before);

	put_text(p, text);
	p->mark = before - text;
	p->at = p->mark + strlen(marks[which]);
	enter(p, next[which]);
	return STEP_ON;
}

/* Calls without a mark in front are looked for here alone. */
static enum parse_step step_start(struct call_parser *p)
{
	bool few = p->family->at_start && parser_space(p);
	enum parse_step fence = STEP_BROKEN;

	if (few && p->at < p->held.bytes && p->held.data[p->at] == '`') {
		fence = parser_mark(p, "```json");
		if (fence == STEP_BROKEN)
			fence = parser_mark(p, "```");
		few = fence == STEP_ON && parser_space(p);
	}
	if (fence == STEP_WAIT || (few && p->at == p->held.bytes && !p->final))
		goto wait;
	if (few && p->at < p->held.bytes && is_one_of(p->held.data[p->at], "{[")) {
		p->mark = p->at;
		enter(p, PARSE_OBJECT);
		if (p->held.data[p->at] == '[') {
			p->at++;
			p->section = true;
		}
		return STEP_ON;
	}
	p->at = 0;
	p->state = PARSE_TEXT;
	return STEP_ON;
wait:
	p->at = 0;
	return STEP_WAIT;
}

/* What was taken for a call is text; behind its first byte another one may begin. */
static void give_up(struct call_parser *p)
{
	size_t bytes = p->at > CALL_RETRIED ? p->at : p->mark + 1;

	if (p->announced)
		bytes = 0;
	p->announced = false;
	p->state = PARSE_TEXT;
	put_text(p, bytes < p->held.bytes ? bytes : p->held.bytes);
	p->at = 0;
}

/* --- between two calls and behind the last ------------------------------------------------------
 */

/* One of several marks. */
static enum parse_step any_mark(struct call_parser *p, const char *const *marks, size_t count,
				size_t *which)
{
	bool wait = false;

	for (size_t i = 0; i < count; i++) {
		const enum parse_step step = marks[i] ? parser_mark(p, marks[i]) : STEP_BROKEN;

		*which = i;
		if (step == STEP_ON)
			return STEP_ON;
		wait = wait || step == STEP_WAIT;
	}
	return wait ? STEP_WAIT : STEP_BROKEN;
}

/* What belongs to the call before, or leads to the next. */
static enum parse_step closers(struct call_parser *p)
{
	const struct call_family *f = p->family;
	const char *marks[CALL_BEGINS + 2] = { f->close, f->args_close, f->end[0], f->end[1],
					       f->end[2] };
	const bool brackets = f->list || f->at_start;
	size_t which;
	enum parse_step step = any_mark(p, marks, CALL_BEGINS + 2, &which);

	if (step == STEP_ON && which >= 2)
		p->section = false;
	if (step != STEP_BROKEN)
		return step;
	if (!brackets || !is_one_of(p->held.data[p->at], p->wrapped ? ",;]}" : ",;]"))
		return STEP_BROKEN;
	p->comma = is_one_of(p->held.data[p->at], ",;");
	p->at++;
	return STEP_ON;
}

static enum parse_step step_after(struct call_parser *p)
{
	const struct call_family *f = p->family;
	const bool objects = f->style == STYLE_OBJECT || f->style == STYLE_KEYED;
	const char *marks[OPENERS];
	enum parse_state next[OPENERS];
	size_t which = 0;
	enum parse_step step, other;

	if (parser_space(p) && p->at == p->held.bytes && !p->final)
		return STEP_WAIT;
	if (p->at == p->held.bytes) {
		parser_commit(p);
		return STEP_WAIT;
	}
	step = f->harmony ? STEP_BROKEN : closers(p);
	if (step == STEP_ON) {
		parser_commit(p);
		return STEP_ON;
	}
	other = any_mark(p, marks, openers(f, marks, next), &which);
	if (other == STEP_ON) {
		p->mark = 0;
		enter(p, next[which]);
		return STEP_ON;
	}
	if (step == STEP_WAIT || other == STEP_WAIT)
		return STEP_WAIT;
	if ((p->section || p->comma) && !f->open && !f->name_open &&
	    (objects ? p->held.data[p->at] == '{' : p->comma)) {
		p->state = objects ? PARSE_OBJECT : PARSE_NAME;
		parser_begin_call(p);
		return STEP_ON;
	}
	parser_commit(p);
	p->state = PARSE_TEXT;
	return STEP_ON;
}

/* --- all together -------------------------------------------------------------------------------
 */

static enum parse_step one_step(struct call_parser *p)
{
	switch (p->state) {
	case PARSE_START:
		return step_start(p);
	case PARSE_TEXT:
		return step_text(p);
	case PARSE_AFTER:
		return step_after(p);
	default:
		return call_step(p);
	}
}

static int advance(struct call_parser *p)
{
	while (p->held.bytes && !p->ret) {
		enum parse_step step = one_step(p);
		const bool inside = p->state != PARSE_START && p->state != PARSE_TEXT;

		if (step == STEP_WAIT && inside && (p->final || p->held.bytes > CALL_HELD))
			step = STEP_BROKEN;
		if (p->held.failed || p->json.failed || p->pending.failed || p->body.failed)
			p->ret = -ENOMEM;
		if (step == STEP_BROKEN)
			give_up(p);
		else if (step == STEP_WAIT)
			break;
	}
	return p->ret;
}

void parser_init(struct call_parser *p, const struct call_family *family, struct json_object *tools,
		 const struct call_sink *sink, void *context)
{
	*p = (struct call_parser){
		.family = family, .tools = tools, .sink = *sink, .context = context
	};
}

int parser_text(struct call_parser *p, const char *text, size_t bytes)
{
	if (!tool_count(p->tools))
		return bytes ? p->sink.text(p->context, PART_ANSWER, text, bytes) : 0;
	while (bytes && !p->ret) {
		const size_t n = bytes < SLICE ? bytes : SLICE;

		text_add(&p->held, text, n);
		if (p->held.failed)
			p->ret = -ENOMEM;
		advance(p);
		text += n;
		bytes -= n;
	}
	return p->ret;
}

int parser_end(struct call_parser *p)
{
	p->final = true;
	advance(p);
	if (p->state == PARSE_TAG && p->announced && !p->ret)
		call_step(p); /* closes the arguments */
	p->final = false;
	return p->ret;
}

bool parser_named(struct call_parser *p, const char *name)
{
	struct json_object *tool = tool_named(p->tools, name);

	if (!tool || strlen(name) > CALL_NAME)
		return false;
	enter(p, PARSE_ARGUMENTS);
	p->tool = tool;
	strcpy(p->name, name);
	value_begin(&p->value, VALUE_JSON, NULL, &p->pending);
	return true;
}

void parser_free(struct call_parser *p)
{
	text_free(&p->held);
	text_free(&p->json);
	text_free(&p->pending);
	text_free(&p->body);
}
