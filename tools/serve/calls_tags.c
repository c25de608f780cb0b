// SPDX-License-Identifier: MIT
/* Inside a call that has a pair of tags for each argument: values become JSON as the tool's schema
 * says. */
#include "serve/calls_parse.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* --- a tag for each argument --------------------------------------------------------------------
 */

static enum parse_step tags_end(struct call_parser *p)
{
	text_puts(&p->json, p->any ? "}" : "{}");
	call_tell(p, true);
	parser_done(p);
	return STEP_ON;
}

enum parse_step call_step_tag(struct call_parser *p)
{
	const struct call_family *f = p->family;
	const char *end = f->args_close ? f->args_close : f->close;
	const size_t from = p->at;
	enum parse_step step, closes;

	if (!parser_space(p))
		return STEP_BROKEN;
	step = parser_mark(p, f->key_open);
	if (step == STEP_ON) {
		p->state = PARSE_KEY;
		return STEP_ON;
	}
	closes = parser_mark(p, end);
	if (closes == STEP_ON || (p->final && p->announced))
		return tags_end(p);
	if (step == STEP_BROKEN && closes == STEP_BROKEN) {
		if (!p->announced)
			return STEP_BROKEN;
		/* something else: the call ends here, in form */
		p->at = from;
		return tags_end(p);
	}
	p->at = from;
	return STEP_WAIT;
}

static void open_value(struct call_parser *p)
{
	text_add(&p->json, p->any ? "," : "{", 1);
	text_puts(&p->json, "\"");
	json_escape(&p->json, p->key, strlen(p->key));
	text_puts(&p->json, p->kind == ARGUMENT_STRING ? "\":\"" : "\":");
	p->any = true;
	p->begun = p->in_wrap = false;
	text_clear(&p->body);
	call_tell(p, true);
	p->state = PARSE_VALUE;
}

enum parse_step call_step_key(struct call_parser *p)
{
	const struct call_family *f = p->family;
	const char *end = call_ahead(p, f->key_close), *tail = end;

	if (end && f->key_tail) {
		const char *rest = end + strlen(f->key_close);

		tail = memmem(rest, p->held.bytes - (size_t)(rest - p->held.data), f->key_tail,
			      strlen(f->key_tail));
	}
	if (!end || !tail)
		return call_wait(p, 2 * CALL_NAME);
	if (!call_take(p->key, p->held.data + p->at, end))
		return STEP_BROKEN;
	p->kind = argument_type(p->tool, tool_parameter(p->tool, p->key));
	if (f->string_key) {
		const size_t n = strlen(f->string_key), room = (size_t)(tail - end) - 1;

		p->kind = room >= n && memmem(end + 1, room, f->string_key, n) ? ARGUMENT_STRING
									       : ARGUMENT_VALUE;
	}
	p->at = (size_t)(tail - p->held.data) + strlen(f->key_tail ? f->key_tail : f->key_close);
	if (f->value_open)
		p->state = PARSE_VALUE_OPEN;
	else
		open_value(p);
	return STEP_ON;
}

enum parse_step call_step_value_open(struct call_parser *p)
{
	enum parse_step step;

	if (!parser_space(p))
		return STEP_BROKEN;
	step = parser_mark(p, p->family->value_open);
	if (step == STEP_ON)
		open_value(p);
	return step;
}

/* More of the value: told at once if it's a string, else kept until it's known what it is. */
static void add_value(struct call_parser *p, size_t bytes)
{
	const char *data = p->held.data + p->at;

	p->at += bytes;
	if (p->kind != ARGUMENT_STRING) {
		text_add(&p->body, data, bytes);
		if (p->body.bytes > CALL_HELD) { /* too much to look at as a whole */
			p->kind = ARGUMENT_STRING;
			text_puts(&p->json, "\"");
			json_escape(&p->json, p->body.data, p->body.bytes);
			text_clear(&p->body);
		}
	} else {
		json_escape(&p->json, data, bytes);
	}
	call_tell(p, true);
}

static void close_value(struct call_parser *p)
{
	const enum value_form form = p->kind == ARGUMENT_VALUE ? VALUE_LOOSE : VALUE_JSON;
	const char *data = p->body.data ? p->body.data : "";
	struct text json = { 0 };
	struct value v;
	size_t used, rest = 0;
	bool valid;

	if (p->kind == ARGUMENT_STRING) {
		text_puts(&p->json, "\"");
		return;
	}
	value_begin(&v, form, NULL, &p->pending);
	valid = value_read(&v, data, p->body.bytes, true, &json, &used) == VALUE_DONE;
	while (valid && used + rest < p->body.bytes && is_space(data[used + rest]))
		rest++;
	if (valid && used + rest == p->body.bytes && !json.failed) {
		text_add(&p->json, json.data, json.bytes);
	} else {
		text_puts(&p->json, "\"");
		json_escape(&p->json, data, p->body.bytes);
		text_puts(&p->json, "\"");
	}
	p->json.failed = p->json.failed || json.failed;
	text_free(&json);
	text_clear(&p->body);
}

/* A line feed and a wrapper's mark, in front of the value. */
static enum parse_step value_begins(struct call_parser *p)
{
	const struct call_family *f = p->family;
	const enum parse_step step = f->wrap_open ? parser_mark(p, f->wrap_open)
				     : p->held.bytes > p->at || p->final ? STEP_ON
									 : STEP_WAIT;

	if (step == STEP_WAIT)
		return STEP_WAIT;
	p->in_wrap = f->wrap_open && step == STEP_ON;
	if (f->lines && p->at < p->held.bytes && p->held.data[p->at] == '\n')
		p->at++;
	p->begun = true;
	return STEP_ON;
}

static bool ends_with(const char *text, size_t bytes, const char *end)
{
	return bytes >= strlen(end) && !memcmp(text + bytes - strlen(end), end, strlen(end));
}

enum parse_step call_step_value(struct call_parser *p)
{
	const struct call_family *f = p->family;
	char closing[2 * CALL_NAME];
	const char *end, *data;
	size_t bytes, keep, other;

	if (!p->begun && value_begins(p) == STEP_WAIT)
		return STEP_WAIT;
	strcpy(closing, f->lines ? "\n" : p->in_wrap ? f->wrap_close : "");
	strcat(closing, f->value_close);
	data = p->held.data + p->at;
	end = call_ahead(p, p->in_wrap ? closing : f->value_close);
	if (!end) {
		bytes = p->held.bytes - p->at;
		keep = overlap(data, bytes, closing);
		other = overlap(data, bytes, f->value_close);
		keep = p->final ? 0 : keep > other ? keep : other;
		add_value(p, bytes - keep);
		return STEP_WAIT;
	}
	bytes = (size_t)(end - data);
	if (f->lines && ends_with(data, bytes, "\n"))
		bytes--;
	const size_t passed =
		(size_t)(end - p->held.data) + strlen(p->in_wrap ? closing : f->value_close);
	const size_t value_end = p->at + bytes;

	add_value(p, bytes);
	p->at += passed - value_end;
	close_value(p);
	call_tell(p, true);
	p->state = PARSE_TAG;
	return STEP_ON;
}
