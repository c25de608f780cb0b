// SPDX-License-Identifier: MIT
/* Expressions as GBNF: what can't match is left out, what isn't needed isn't written. */
#include "grammar/expression.h"

#include <stdio.h>

#include "text/vocabulary.h"

enum {
	INLINE_NESTING = 24, /* what is nested deeper gets a rule of its own */
};

struct user {
	struct production *by;
	struct user *next;
};

/* --- what matches at all ------------------------------------------------------------------------
 */

static void find_users(struct translation *t, const struct expression *e, struct production *by)
{
	struct user *u;

	if (e->kind == EXPRESSION_CALL) {
		u = translation_alloc(t, sizeof(*u));
		*u = (struct user){ by, e->called->users };
		e->called->users = u;
	} else if (e->kind == EXPRESSION_REPEAT) {
		find_users(t, e->of, by);
	} else if (e->kind == EXPRESSION_SEQUENCE || e->kind == EXPRESSION_CHOICE) {
		for (size_t i = 0; i < e->count; i++)
			find_users(t, e->parts[i], by);
	}
}

static bool is_possible(const struct expression *e)
{
	switch (e->kind) {
	case EXPRESSION_TEXT:
		return true;
	case EXPRESSION_CLASS:
		return e->count;
	case EXPRESSION_SEQUENCE:
		for (size_t i = 0; i < e->count; i++)
			if (!is_possible(e->parts[i]))
				return false;
		return true;
	case EXPRESSION_CHOICE:
		for (size_t i = 0; i < e->count; i++)
			if (is_possible(e->parts[i]))
				return true;
		return false;
	case EXPRESSION_REPEAT:
		return !e->first || is_possible(e->of);
	case EXPRESSION_CALL:
		return e->called->possible;
	}
	return false;
}

/* The least solution: whatever becomes possible has those looked at again that call it. */
static void find_possible(struct translation *t)
{
	const size_t bytes = (t->productions + 1) * sizeof(struct production *);
	struct production **all = translation_alloc(t, bytes),
			  **found = translation_alloc(t, bytes);
	uint32_t count = 0, left = 0;

	for (struct production *p = t->first; p; p = p->next) {
		find_users(t, p->body, p);
		all[count++] = p;
	}
	while (count) { /* the last ones first, as they are mostly what others are made of */
		struct production *p = all[--count];

		p->possible = is_possible(p->body);
		if (p->possible)
			found[left++] = p;
	}
	while (left) {
		const struct production *p = found[--left];

		for (const struct user *u = p->users; u; u = u->next) {
			if (u->by->possible || !is_possible(u->by->body))
				continue;
			u->by->possible = true;
			found[left++] = u->by;
		}
	}
}

/* --- writing ------------------------------------------------------------------------------------
 */

struct writer {
	struct translation *t;
	char *text;
	size_t bytes, room;
	struct production *last; /* that is to be written */
	uint32_t names;
	unsigned nesting;
};

static void put(struct writer *w, const char *text, size_t bytes)
{
	if (w->bytes + bytes > TRANSLATION_OUTPUT)
		translation_fail(w->t, -E2BIG, "the grammar has more than %d KiB",
				 TRANSLATION_OUTPUT >> 10);
	if (w->bytes + bytes > w->room) {
		const size_t room = MIN(2 * (w->bytes + bytes) + 4096, (size_t)TRANSLATION_OUTPUT);
		char *more = translation_alloc(w->t, room);

		if (w->bytes)
			memcpy(more, w->text, w->bytes);
		w->text = more;
		w->room = room;
	}
	memcpy(w->text + w->bytes, text, bytes);
	w->bytes += bytes;
}

static void put_string(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

/* A character of a literal or of a class, in which @special ones need a backslash. */
static void put_character(struct writer *w, uint32_t c, const char *special)
{
	char text[16];
	size_t n;

	if (c == '\n' || c == '\r' || c == '\t')
		n = (size_t)snprintf(text, sizeof(text), "\\%c",
				     c == '\n'	 ? 'n'
				     : c == '\r' ? 'r'
						 : 't');
	else if (c < 32 || c == 127)
		n = (size_t)snprintf(text, sizeof(text), "\\x%02X", c);
	else if (c < 127 && strchr(special, (int)c))
		n = (size_t)snprintf(text, sizeof(text), "\\%c", (char)c);
	else if (c >= 0x10000 && special[1] == '[')
		n = (size_t)snprintf(text, sizeof(text), "\\U%08X", c);
	else if (c >= 127 && special[1] == '[')
		n = (size_t)snprintf(text, sizeof(text), "\\u%04X", c);
	else
		n = utf8_encode(c, text);
	put(w, text, n);
}

static void put_literal(struct writer *w, const struct expression *e)
{
	for (size_t i = 0; i < e->count;) {
		uint32_t c = 0;

		i += MAX(utf8_decode(e->text + i, e->count - i, &c), (size_t)1);
		put_character(w, c, "\"\\");
	}
}

static void put_spans(struct writer *w, const struct span *spans, size_t count)
{
	static const char special[] = "\\[]-^";

	for (size_t i = 0; i < count; i++) {
		put_character(w, spans[i].low, special);
		if (spans[i].high > spans[i].low + 1)
			put_string(w, "-");
		if (spans[i].high > spans[i].low)
			put_character(w, spans[i].high, special);
	}
}

/* All but a few is shorter said by those few; no surrogates are characters. */
static void put_class(struct writer *w, const struct expression *e)
{
	struct span *others = translation_alloc(w->t, (e->count + 1) * sizeof(*others));
	uint32_t from = 0;
	size_t count = 0;

	if (e->count == 1 && e->spans[0].low == e->spans[0].high) {
		put_string(w, "\"");
		put_character(w, e->spans[0].low, "\"\\");
		put_string(w, "\"");
		return;
	}
	for (size_t i = 0; i < e->count; i++) {
		if (e->spans[i].low > from && !(from == 0xd800 && e->spans[i].low == 0xe000))
			others[count++] = (struct span){ from, e->spans[i].low - 1 };
		from = e->spans[i].high + 1;
	}
	if (from <= 0x10ffff)
		others[count++] = (struct span){ from, 0x10ffff };
	if (!count) {
		put_string(w, ".");
		return;
	}
	put_string(w, count < e->count ? "[^" : "[");
	put_spans(w, count < e->count ? others : e->spans, MIN(count, e->count));
	put_string(w, "]");
}

static void put_name(struct writer *w, const struct production *p)
{
	char name[40];

	if (p->written == 1)
		put_string(w, "root");
	else
		put(w, name, (size_t)snprintf(name, sizeof(name), "%s%u", p->kind, p->written - 1));
}

/* Calls of what is nothing but another call lead there. */
static struct production *target(struct production *p)
{
	while (p->body->kind == EXPRESSION_CALL)
		p = p->body->called;
	return p;
}

static void put_call(struct writer *w, struct production *p)
{
	p = target(p);
	if (!p->written) {
		p->written = ++w->names;
		w->last->to_write = p;
		w->last = p;
	}
	put_name(w, p);
}

enum place { PLACE_RULE, PLACE_SEQUENCE, PLACE_REPEATED };

static void put_expression(struct writer *w, const struct expression *e, enum place place);

/* Neighbouring texts are one literal. */
static void put_sequence(struct writer *w, const struct expression *e)
{
	bool open = false, any = false;

	for (size_t i = 0; i < e->count; i++) {
		const struct expression *part = e->parts[i];
		const bool text = part->kind == EXPRESSION_TEXT;

		if (text && !part->count)
			continue;
		if (open && !text)
			put_string(w, "\"");
		if (any && !(open && text))
			put_string(w, " ");
		if (text && !open)
			put_string(w, "\"");
		if (text)
			put_literal(w, part);
		else
			put_expression(w, part, PLACE_SEQUENCE);
		open = text;
		any = true;
	}
	if (open)
		put_string(w, "\"");
	if (!any)
		put_string(w, "\"\"");
}

static void put_choice(struct writer *w, const struct expression *e)
{
	bool any = false;

	for (size_t i = 0; i < e->count; i++) {
		if (!is_possible(e->parts[i]))
			continue;
		if (any)
			put_string(w, " | ");
		put_expression(w, e->parts[i], PLACE_SEQUENCE);
		any = true;
	}
}

static void put_repeat(struct writer *w, const struct expression *e)
{
	char times[40];

	if (!is_possible(e->of)) {
		put_string(w, "\"\"");
		return;
	}
	put_expression(w, e->of, PLACE_REPEATED);
	if (e->last == WITHOUT_END && e->first < 2)
		snprintf(times, sizeof(times), "%s", e->first ? "+" : "*");
	else if (e->last == WITHOUT_END)
		snprintf(times, sizeof(times), "{%u,}", e->first);
	else if (!e->first && e->last == 1)
		snprintf(times, sizeof(times), "?");
	else if (e->first == e->last)
		snprintf(times, sizeof(times), "{%u}", e->first);
	else
		snprintf(times, sizeof(times), "{%u,%u}", e->first, e->last);
	put_string(w, times);
}

static void put_group(struct writer *w, const struct expression *e, enum place place)
{
	const bool parentheses = place == PLACE_REPEATED ||
				 (place == PLACE_SEQUENCE && e->kind == EXPRESSION_CHOICE);

	if (parentheses && w->nesting == INLINE_NESTING) {
		struct production *p = new_production(w->t, "part");

		p->body = e;
		p->possible = true;
		put_call(w, p);
		return;
	}
	w->nesting += parentheses;
	put_string(w, parentheses ? "(" : "");
	if (e->kind == EXPRESSION_CHOICE)
		put_choice(w, e);
	else if (e->kind == EXPRESSION_REPEAT)
		put_repeat(w, e);
	else
		put_sequence(w, e);
	put_string(w, parentheses ? ")" : "");
	w->nesting -= parentheses;
}

static void put_expression(struct writer *w, const struct expression *e, enum place place)
{
	switch (e->kind) {
	case EXPRESSION_TEXT:
		put_string(w, "\"");
		put_literal(w, e);
		put_string(w, "\"");
		break;
	case EXPRESSION_CLASS:
		put_class(w, e);
		break;
	case EXPRESSION_CALL:
		put_call(w, e->called);
		break;
	case EXPRESSION_REPEAT:
	case EXPRESSION_SEQUENCE:
	case EXPRESSION_CHOICE:
		put_group(w, e, place);
		break;
	}
}

char *write_grammar(struct translation *t, struct production *root, const char *what)
{
	struct writer w = { .t = t };
	char *out;

	find_possible(t);
	if (!root->possible)
		translation_fail(t, -EINVAL, "no text matches the %s: %s", what,
				 t->reason ? t->reason : "it has no end");
	root = target(root);
	root->written = w.names = 1;
	w.last = root;
	for (struct production *p = root; p; p = p->to_write) {
		put_name(&w, p);
		put_string(&w, " ::= ");
		put_expression(&w, p->body, PLACE_RULE);
		put_string(&w, "\n");
	}
	out = malloc(w.bytes + 1);
	if (!out)
		translation_fail(t, -ENOMEM, "out of memory");
	memcpy(out, w.text, w.bytes);
	out[w.bytes] = 0;
	return out;
}
