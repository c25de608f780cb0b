// SPDX-License-Identifier: MIT
/* Building expressions, and the translation that owns them. */
#include "grammar/expression.h"

#include <stdarg.h>
#include <stdio.h>

void translation_fail(struct translation *t, int code, const char *fmt, ...)
{
	char message[sizeof(t->err->message)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	t->code = stoker_fail(t->err, code, "%s", message);
	longjmp(t->out, 1);
}

void *translation_alloc(struct translation *t, size_t bytes)
{
	void *p = arena_alloc(&t->arena, bytes);

	if (!p && arena_is_full(&t->arena, bytes))
		translation_fail(t, -E2BIG, "the grammar needs more than %d MiB of memory",
				 TRANSLATION_MEMORY >> 20);
	if (!p)
		translation_fail(t, -ENOMEM, "out of memory");
	return p;
}

void translation_step(struct translation *t, uint64_t steps)
{
	t->steps += steps;
	if (t->steps > TRANSLATION_STEPS)
		translation_fail(t, -E2BIG, "the grammar takes more than %d steps to be made",
				 TRANSLATION_STEPS);
}

void translation_reason(struct translation *t, const char *fmt, ...)
{
	enum { ROOM = 400 };
	va_list args;

	if (t->reason)
		return;
	t->reason = translation_alloc(t, ROOM);
	va_start(args, fmt);
	vsnprintf(t->reason, ROOM, fmt, args);
	va_end(args);
}

void add_part(struct translation *t, struct parts *parts, const struct expression *e)
{
	if (parts->count == parts->room) {
		const size_t room = 2 * parts->room + 8;
		const struct expression **more = translation_alloc(t, room * sizeof(*more));

		if (parts->count)
			memcpy(more, parts->items, parts->count * sizeof(*more));
		parts->items = more;
		parts->room = room;
	}
	parts->items[parts->count++] = e;
}

void add_text(struct translation *t, struct parts *parts, const char *text)
{
	add_part(t, parts, expression_text(t, text, strlen(text)));
}

static struct expression *new_expression(struct translation *t, enum expression_kind kind)
{
	struct expression *e = translation_alloc(t, sizeof(*e));

	*e = (struct expression){ .kind = kind };
	return e;
}

const struct expression *expression_text(struct translation *t, const char *text, size_t bytes)
{
	struct expression *e = new_expression(t, EXPRESSION_TEXT);

	e->text = text;
	e->count = bytes;
	return e;
}

const struct expression *expression_class(struct translation *t, const struct span *spans,
					  size_t count)
{
	struct expression *e = new_expression(t, EXPRESSION_CLASS);

	e->spans = spans;
	e->count = count;
	return e;
}

static const struct expression *of_parts(struct translation *t, enum expression_kind kind,
					 const struct parts *parts)
{
	struct expression *e;

	if (parts->count == 1)
		return parts->items[0];
	e = new_expression(t, kind);
	e->parts = parts->items;
	e->count = parts->count;
	return e;
}

const struct expression *expression_sequence(struct translation *t, struct parts *parts)
{
	size_t kept = 0;

	for (size_t i = 0; i < parts->count; i++)
		if (parts->items[i]->kind != EXPRESSION_TEXT || parts->items[i]->count)
			parts->items[kept++] = parts->items[i];
	parts->count = kept;
	return kept ? of_parts(t, EXPRESSION_SEQUENCE, parts) : expression_empty(t);
}

const struct expression *expression_choice(struct translation *t, const struct parts *parts)
{
	return of_parts(t, EXPRESSION_CHOICE, parts);
}

const struct expression *expression_call(struct translation *t, struct production *p)
{
	struct expression *e = new_expression(t, EXPRESSION_CALL);

	e->called = p;
	return e;
}

const struct expression *expression_empty(struct translation *t)
{
	return expression_text(t, "", 0);
}

const struct expression *expression_never(struct translation *t)
{
	return new_expression(t, EXPRESSION_CHOICE);
}

static const struct expression *repeat(struct translation *t, const struct expression *of,
				       uint32_t first, uint32_t last)
{
	struct expression *e;

	if (first == 1 && last == 1)
		return of;
	if (!last)
		return expression_empty(t);
	e = new_expression(t, EXPRESSION_REPEAT);
	e->of = of;
	e->first = first;
	e->last = last;
	return e;
}

const struct expression *expression_optional(struct translation *t, const struct expression *of)
{
	return repeat(t, of, 0, 1);
}

/* Up to @most times, as whole blocks and one that isn't: only the places in one block are told
 * apart. */
static const struct expression *up_to(struct translation *t, const struct expression *of,
				      struct production *block, uint32_t most)
{
	struct production *part = new_production(t, "part");
	const struct expression *rest = repeat(t, of, 0, most % TRANSLATION_REPETITIONS);

	part->body = repeat(t, of, 0, TRANSLATION_REPETITIONS - 1);
	for (uint32_t i = 0; i < most / TRANSLATION_REPETITIONS; i++) {
		struct production *p = new_production(t, "atmost");
		struct parts choice = { 0 }, whole = { 0 };

		add_part(t, &choice, expression_call(t, part));
		add_part(t, &whole, expression_call(t, block));
		add_part(t, &whole, rest);
		add_part(t, &choice, expression_sequence(t, &whole));
		p->body = expression_choice(t, &choice);
		rest = expression_call(t, p);
	}
	return rest;
}

/* Of more than TRANSLATION_REPETITIONS. */
static const struct expression *divided(struct translation *t, const struct expression *of,
					uint32_t first, uint32_t last)
{
	enum { LIMIT = TRANSLATION_REPETITIONS };
	struct production *block = new_production(t, "block");
	struct parts all = { 0 };

	block->body = repeat(t, of, LIMIT, LIMIT);
	for (; first > LIMIT; first -= LIMIT, last -= last == WITHOUT_END ? 0 : LIMIT)
		add_part(t, &all, expression_call(t, block));
	if (last == WITHOUT_END || last <= LIMIT) {
		add_part(t, &all, repeat(t, of, first, last));
	} else {
		add_part(t, &all, repeat(t, of, first, first));
		add_part(t, &all, up_to(t, of, block, last - first));
	}
	return expression_sequence(t, &all);
}

/* A production for a repeated call, the same for all who ask for as many. */
struct repeated {
	const struct production *of;
	uint32_t first, last;
	struct production *production;
	struct repeated *next;
};

const struct expression *expression_repeat(struct translation *t, const struct expression *of,
					   uint32_t first, uint32_t last)
{
	enum { FEW = 32, LIMIT = TRANSLATION_REPETITIONS };
	const uint32_t most = last == WITHOUT_END ? first : last;
	struct repeated *r;

	if (most <= FEW || of->kind != EXPRESSION_CALL)
		return most > LIMIT ? divided(t, of, first, last) : repeat(t, of, first, last);
	for (r = t->repeated; r; r = r->next)
		if (r->of == of->called && r->first == first && r->last == last)
			return expression_call(t, r->production);
	r = translation_alloc(t, sizeof(*r));
	*r = (struct repeated){ .of = of->called,
				.first = first,
				.last = last,
				.production = new_production(t, "times"),
				.next = t->repeated };
	t->repeated = r;
	r->production->body = most > LIMIT ? divided(t, of, first, last)
					   : repeat(t, of, first, last);
	return expression_call(t, r->production);
}

struct production *new_production(struct translation *t, const char *kind)
{
	struct production *p = translation_alloc(t, sizeof(*p));

	if (t->productions == TRANSLATION_PRODUCTIONS)
		translation_fail(t, -E2BIG, "the grammar has more than %d rules",
				 TRANSLATION_PRODUCTIONS);
	*p = (struct production){ .kind = kind, .number = t->productions++ };
	if (t->last)
		t->last->next = p;
	else
		t->first = p;
	t->last = p;
	return p;
}
