// SPDX-License-Identifier: MIT
/* Regular expressions to expressions over characters. */
#include "grammar/regex.h"

#include <stdio.h>

#include "grammar/regex_class.h"
#include "stoker/grammar.h"
#include "text/vocabulary.h"

/*
 * Something of which only one character's repetitions may have several lengths: that character, or
 * a sequence with such a part.
 */
struct flexible {
	const struct expression *unit; /* NULL: a sequence */
	uint32_t first, last;
	struct parts parts;
	size_t index; /* which of them is @inner; the others have so many characters: */
	uint64_t fixed;
	const struct flexible *inner;
};

/* A part of one. */
struct piece {
	const struct expression *e;
	const struct flexible *flexible;
	uint64_t least, most; /* characters */
	uint32_t weight;      /* repetitions that are nested in it */
	bool is_single;	      /* one character */
};

/* One of the alternatives of the whole, and whether it says where the text begins or ends. */
struct alternative {
	struct piece piece;
	bool begins, ends;
};

struct alternatives {
	struct alternative *items;
	size_t count, room;
};

static struct piece parse_choice(struct regex_reader *r);

static struct piece of_set(struct regex_reader *r, const struct span_set *set)
{
	static const struct span all[] = { { 0, 0xd7ff }, { 0xe000, 0x10ffff } };
	struct piece p = { .least = 1, .most = 1, .weight = 1, .is_single = true };

	if (r->use != REGEX_JSON)
		p.e = expression_class(r->t, set->spans, set->count);
	else if (set->count == ARRAY_SIZE(all) && !memcmp(set->spans, all, sizeof(all)))
		p.e = builtin(r->t, BUILTIN_PLAIN);
	else
		p.e = json_character(r->t, set);
	return p;
}

static struct piece of_character(struct regex_reader *r, uint32_t c)
{
	char *text = translation_alloc(r->t, 4);
	const size_t n = utf8_encode(c, text);

	return (struct piece){ .e = r->use != REGEX_JSON ? expression_text(r->t, text, n)
							 : json_text(r->t, text, n),
			       .least = 1,
			       .most = 1,
			       .weight = 1,
			       .is_single = true };
}

/* "(" stands here: what kind of group it is, as far as that may be. */
static void group_begin(struct regex_reader *r)
{
	const size_t from = r->at++;
	const char kind = regex_peek(r, 1), side = regex_peek(r, 2);

	if (++r->nesting > TRANSLATION_NESTING)
		regex_fail(r, from, -E2BIG, "groups are nested deeper than %d",
			   TRANSLATION_NESTING);
	if (regex_peek(r, 0) != '?')
		return;
	if (kind == '=' || kind == '!')
		regex_fail(r, from, -EINVAL, "looking ahead isn't supported ((?%c)", kind);
	if (kind == '<' && (side == '=' || side == '!'))
		regex_fail(r, from, -EINVAL, "looking behind isn't supported ((?<%c)", side);
	if (kind == ':') {
		r->at += 2;
	} else if (kind == '<') { /* a name, which only back references would use */
		while (regex_peek(r, 0) && regex_peek(r, 0) != '>')
			r->at++;
		r->at++;
	} else {
		regex_fail(r, from, -EINVAL, "groups that begin with (?%.*s aren't supported",
			   kind > 32 && kind < 127 ? 1 : 0, &kind);
	}
}

static void group_end(struct regex_reader *r, size_t from)
{
	if (regex_peek(r, 0) != ')')
		regex_fail(r, from, -EINVAL, "the group that begins here isn't closed");
	r->at++;
	r->nesting--;
}

static struct piece parse_atom(struct regex_reader *r)
{
	const char c = regex_peek(r, 0);
	const size_t from = r->at;
	struct span_set set = { 0 };
	struct piece p;

	switch (c) {
	case '(':
		group_begin(r);
		p = parse_choice(r);
		group_end(r, from);
		return p;
	case '[':
		set = regex_class(r);
		return of_set(r, &set);
	case '.':
		set = regex_any(r);
		return of_set(r, &set);
	case '\\':
		if (!regex_escape(r, false, &set))
			return of_character(r, set.spans[0].low);
		span_set_tidy(&set);
		return of_set(r, &set);
	case '*':
	case '+':
	case '?':
		regex_fail(r, from, -EINVAL, "%c repeats nothing", c);
	case '{':
		regex_fail(r, from, -EINVAL, "{ repeats nothing; as a character it is \\{");
	case '^':
	case '$':
		regex_fail(r, from, -EINVAL, "%c inside the expression isn't supported", c);
	}
	if (!c)
		regex_fail(r, from, -EINVAL, "a NUL byte");
	return of_character(r, regex_character(r));
}

static uint32_t parse_count(struct regex_reader *r)
{
	uint64_t value = 0;

	for (; ascii_is_digit(regex_peek(r, 0)); r->at++)
		value = MIN(value * 10 + (uint64_t)(regex_peek(r, 0) - '0'),
			    (uint64_t)WITHOUT_END - 1);
	return (uint32_t)value;
}

static void parse_counts(struct regex_reader *r, uint32_t *first, uint32_t *last)
{
	const size_t from = r->at++;
	bool good = ascii_is_digit(regex_peek(r, 0));

	*first = *last = parse_count(r);
	if (regex_peek(r, 0) == ',') {
		r->at++;
		*last = ascii_is_digit(regex_peek(r, 0)) ? parse_count(r) : WITHOUT_END;
	}
	good = good && regex_peek(r, 0) == '}';
	if (!good)
		regex_fail(r, from, -EINVAL,
			   "a repetition is written {m}, {m,} or {m,n}; as a character { is \\{");
	if (*last < *first)
		regex_fail(r, from, -EINVAL, "a repetition whose most is below its least");
	r->at++;
}

static uint64_t times(uint64_t characters, uint32_t count)
{
	if (!characters || !count)
		return 0;
	return count == WITHOUT_END || characters >= WITHOUT_END ? WITHOUT_END : characters * count;
}

/* What repeats @p, if anything does. */
static struct piece parse_repeat(struct regex_reader *r, struct piece p)
{
	const size_t from = r->at;
	const char sign = regex_peek(r, 0);
	uint32_t first = sign == '+', last = sign == '?' ? 1 : WITHOUT_END, most;
	struct flexible *flexible;

	if (!sign || !strchr("*+?{", sign))
		return p;
	if (sign == '{')
		parse_counts(r, &first, &last);
	else
		r->at++;
	if (regex_peek(r, 0) == '?') /* as few as possible: the same texts */
		r->at++;
	if (regex_peek(r, 0) == '+')
		regex_fail(r, r->at, -EINVAL, "repetitions that don't give back aren't supported");
	if (regex_peek(r, 0) && strchr("*?{", regex_peek(r, 0)))
		regex_fail(r, r->at, -EINVAL, "a repetition of a repetition");
	most = last == WITHOUT_END ? first : last;
	if ((uint64_t)most * p.weight > TRANSLATION_REPETITIONS)
		regex_fail(r, from, -E2BIG, "%u repetitions of %u, the limit is %d in all", most,
			   p.weight, TRANSLATION_REPETITIONS);
	flexible = translation_alloc(r->t, sizeof(*flexible));
	*flexible = (struct flexible){ .unit = p.e, .first = first, .last = last };
	return (struct piece){ .e = expression_repeat(r->t, p.e, first, last),
			       .flexible = p.is_single ? flexible : NULL,
			       .least = times(p.least, first),
			       .most = times(p.most, last),
			       .weight = p.weight * MAX(most, 1u) };
}

static bool at_end(const struct regex_reader *r)
{
	const char c = regex_peek(r, 0);

	return r->at >= r->bytes || c == '|' || c == ')';
}

/* Part number @index of the sequence is the only one whose length may differ. */
static const struct flexible *around(struct regex_reader *r, const struct parts *parts,
				     size_t index, uint64_t fixed, const struct flexible *inner)
{
	struct flexible *f = translation_alloc(r->t, sizeof(*f));

	*f = (struct flexible){ .index = index, .fixed = fixed, .inner = inner };
	for (size_t i = 0; i < parts->count; i++)
		add_part(r->t, &f->parts, parts->items[i]);
	return f;
}

/* Items up to the end of the alternative, or to "$" there when @edge. */
static struct piece parse_sequence(struct regex_reader *r, bool edge)
{
	struct piece all = { .weight = 1 }, one = { 0 }, varied = { 0 };
	struct parts parts = { 0 };
	size_t index = 0, lengths = 0;

	while (!at_end(r) && !(edge && regex_peek(r, 0) == '$')) {
		one = parse_repeat(r, parse_atom(r));
		add_part(r->t, &parts, one.e);
		all.least = MIN(all.least + one.least, (uint64_t)WITHOUT_END);
		all.most = MIN(all.most + one.most, (uint64_t)WITHOUT_END);
		all.weight = MAX(all.weight, one.weight);
		if (one.least != one.most) {
			varied = one;
			index = parts.count - 1;
			lengths++;
		}
	}
	if (parts.count == 1)
		return one;
	if (lengths == 1 && varied.flexible)
		all.flexible = around(r, &parts, index, all.least - varied.least, varied.flexible);
	all.e = expression_sequence(r->t, &parts);
	return all;
}

/* What either of them matches. */
static void widen(struct piece *all, const struct piece *one, bool first)
{
	all->least = first ? one->least : MIN(all->least, one->least);
	all->most = MAX(all->most, one->most);
	all->weight = MAX(all->weight, one->weight);
	all->flexible = first ? one->flexible : NULL;
	all->is_single = one->is_single && (first || all->is_single);
}

static struct piece parse_choice(struct regex_reader *r)
{
	struct piece all = { .weight = 1 };
	struct parts parts = { 0 };

	for (;;) {
		const struct piece one = parse_sequence(r, false);

		widen(&all, &one, !parts.count);
		add_part(r->t, &parts, one.e);
		if (regex_peek(r, 0) != '|')
			break;
		r->at++;
	}
	all.e = expression_choice(r->t, &parts);
	return all;
}

/* Whether the group that begins here is all of its alternative: then "^" and "$" may be in it. */
static bool is_alone(const struct regex_reader *r)
{
	size_t depth = 0, at = r->at;
	bool in_class = false;

	for (; at < r->bytes; at++) {
		const char c = r->text[at];

		if (c == '\\')
			at++;
		else if (in_class || c == '[')
			in_class = c != ']';
		else if (c == '(')
			depth++;
		else if (c == ')' && !--depth)
			break;
	}
	at++;
	at += at < r->bytes && r->text[at] == '$';
	return at >= r->bytes || r->text[at] == '|' || r->text[at] == ')';
}

static void add_alternative(struct regex_reader *r, struct alternatives *all,
			    struct alternative one)
{
	if (all->count == all->room) {
		const size_t room = 2 * all->room + 4;
		struct alternative *more = translation_alloc(r->t, room * sizeof(*more));

		if (all->count)
			memcpy(more, all->items, all->count * sizeof(*more));
		all->items = more;
		all->room = room;
	}
	all->items[all->count++] = one;
}

/* Alternatives that may have "^" in front and "$" behind. */
static void parse_whole(struct regex_reader *r, struct alternatives *all)
{
	for (;; r->at++) {
		const size_t first = all->count;
		const bool begins = regex_peek(r, 0) == '^';
		bool ends;

		r->at += begins;
		if (regex_peek(r, 0) == '(' && is_alone(r)) {
			const size_t from = r->at;

			group_begin(r);
			parse_whole(r, all);
			group_end(r, from);
		} else {
			add_alternative(r, all,
					(struct alternative){ .piece = parse_sequence(r, true) });
		}
		ends = regex_peek(r, 0) == '$';
		r->at += ends;
		if (!at_end(r))
			regex_fail(r, r->at - 1, -EINVAL,
				   "$ inside the expression isn't supported");
		for (size_t i = first; i < all->count; i++) {
			all->items[i].begins |= begins;
			all->items[i].ends |= ends;
		}
		if (regex_peek(r, 0) != '|')
			return;
	}
}

/* In front of and behind what is looked for. */
static const struct expression *anything(struct translation *t, enum regex_use use)
{
	static const struct span all[] = { { 0, 0xd7ff }, { 0xe000, 0x10ffff } };
	const struct expression *one = use == REGEX_JSON
					       ? builtin(t, BUILTIN_PLAIN)
					       : expression_class(t, all, ARRAY_SIZE(all));

	return expression_repeat(t, one, 0, WITHOUT_END);
}

struct regex regex_parse(struct translation *t, const char *text, size_t bytes, enum regex_use use,
			 const char *where)
{
	struct regex_reader r = {
		.t = t, .text = text, .bytes = bytes, .use = use, .where = where
	};
	struct alternatives alternatives = { 0 };
	struct piece all = { 0 };
	struct parts choice = { 0 };

	parse_whole(&r, &alternatives);
	if (r.at < bytes)
		regex_fail(&r, r.at, -EINVAL, ") closes nothing");
	for (size_t i = 0; i < alternatives.count; i++) {
		struct alternative *a = &alternatives.items[i];
		const bool open = use != REGEX_TEXT && !(a->begins && a->ends);
		struct parts parts = { 0 };

		if (open) {
			a->piece.most = WITHOUT_END;
			a->piece.flexible = NULL;
			a->piece.is_single = false;
		}
		if (use != REGEX_TEXT && !a->begins)
			add_part(t, &parts, anything(t, use));
		add_part(t, &parts, a->piece.e);
		if (use != REGEX_TEXT && !a->ends)
			add_part(t, &parts, anything(t, use));
		widen(&all, &a->piece, !i);
		add_part(t, &choice, expression_sequence(t, &parts));
	}
	return (struct regex){ .expression = expression_choice(t, &choice),
			       .least = all.least,
			       .most = all.most,
			       .flexible = all.flexible };
}

const struct expression *regex_limit(struct translation *t, const struct flexible *f,
				     uint64_t least, uint64_t most)
{
	struct parts parts = { 0 };

	if (f->unit)
		return expression_repeat(t, f->unit, MAX(f->first, (uint32_t)least),
					 MIN(f->last, (uint32_t)most));
	least -= MIN(least, f->fixed);
	most -= most == WITHOUT_END ? 0 : f->fixed;
	for (size_t i = 0; i < f->parts.count; i++)
		add_part(t, &parts,
			 i == f->index ? regex_limit(t, f->inner, least, most) : f->parts.items[i]);
	return expression_sequence(t, &parts);
}

int stoker_grammar_from_regex(const char *regex, size_t bytes, char **gbnf,
			      struct stoker_error *err)
{
	struct translation t = { .arena = { .limit = TRANSLATION_MEMORY }, .err = err };
	struct production *root;

	if (!regex || !gbnf)
		return stoker_fail(err, -EINVAL,
				   "no regular expression, or no place for a grammar");
	*gbnf = NULL;
	if (bytes > TRANSLATION_SOURCE)
		return stoker_fail(err, -E2BIG,
				   "a regular expression of %zu bytes, the limit is %d", bytes,
				   TRANSLATION_SOURCE);
	if (!setjmp(t.out)) {
		root = new_production(&t, "root");
		root->body = regex_parse(&t, regex, bytes, REGEX_TEXT, "").expression;
		*gbnf = write_grammar(&t, root, "regular expression");
	}
	arena_free(&t.arena);
	return t.code;
}
