// SPDX-License-Identifier: MIT
/* Sets of characters, and how JSON writes them. */
#include "grammar/span_set.h"

#include "grammar/regex.h"

#include <stdio.h>

static const char json_letters[] = "btnfr\"\\", json_lettered[] = "\b\t\n\f\r\"\\";

void span_set_add(struct translation *t, struct span_set *set, uint32_t low, uint32_t high)
{
	if (set->count == set->room) {
		const size_t room = 2 * set->room + 8;
		struct span *more = translation_alloc(t, room * sizeof(*more));

		if (set->count)
			memcpy(more, set->spans, set->count * sizeof(*more));
		set->spans = more;
		set->room = room;
	}
	set->spans[set->count++] = (struct span){ low, high };
}

void span_set_add_all(struct translation *t, struct span_set *set, const struct span *spans,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		span_set_add(t, set, spans[i].low, spans[i].high);
}

static int by_low(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->low > y->low) - (x->low < y->low);
}

void span_set_tidy(struct span_set *set)
{
	size_t kept = 0;

	if (!set->count)
		return;
	qsort(set->spans, set->count, sizeof(*set->spans), by_low);
	for (size_t i = 1; i < set->count; i++) {
		struct span *last = &set->spans[kept];

		if (set->spans[i].low <= last->high + 1)
			last->high = MAX(last->high, set->spans[i].high);
		else
			set->spans[++kept] = set->spans[i];
	}
	set->count = kept + 1;
}

struct span_set span_set_within(struct translation *t, const struct span_set *set, uint32_t low,
				uint32_t high)
{
	struct span_set out = { 0 };

	for (size_t i = 0; i < set->count; i++) {
		const uint32_t from = MAX(set->spans[i].low, low),
			       to = MIN(set->spans[i].high, high);

		if (from <= to)
			span_set_add(t, &out, from, to);
	}
	return out;
}

struct span_set span_set_others(struct translation *t, const struct span_set *set)
{
	struct span_set gaps = { 0 }, out;
	uint32_t from = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (set->spans[i].low > from)
			span_set_add(t, &gaps, from, set->spans[i].low - 1);
		from = set->spans[i].high + 1;
	}
	if (from <= 0x10ffff)
		span_set_add(t, &gaps, from, 0x10ffff);
	out = span_set_within(t, &gaps, 0, 0xd7ff);
	for (size_t i = 0; i < gaps.count; i++)
		if (gaps.spans[i].high >= 0xe000)
			span_set_add(t, &out, MAX(gaps.spans[i].low, 0xe000u), gaps.spans[i].high);
	return out;
}

bool span_set_has(const struct span_set *set, uint32_t c)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->spans[i].low <= c && c <= set->spans[i].high)
			return true;
	return false;
}

/* "\u000" or "\u001" and a digit, for those that have no shorter escape. */
static void add_codes(struct translation *t, struct parts *choice, const struct span_set *set,
		      uint32_t first, const char *begin)
{
	static const char digits[] = "0123456789abcdef";
	struct span_set last = { 0 };
	struct parts code = { 0 };

	for (uint32_t c = first; c < first + 16; c++)
		if (span_set_has(set, c) && !(c && strchr(json_lettered, (int)c)))
			span_set_add(t, &last, (uint8_t)digits[c & 15], (uint8_t)digits[c & 15]);
	if (!last.count)
		return;
	span_set_tidy(&last);
	add_text(t, &code, begin);
	add_part(t, &code, expression_class(t, last.spans, last.count));
	add_part(t, choice, expression_sequence(t, &code));
}

const struct expression *json_character(struct translation *t, const struct span_set *set)
{
	static const struct span as_they_are[] = { { 0x20, 0x21 },
						   { 0x23, 0x5b },
						   { 0x5d, 0x10ffff } };
	struct span_set plain = { 0 }, letters = { 0 };
	struct parts choice = { 0 }, letter = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(as_they_are); i++) {
		const struct span_set part =
			span_set_within(t, set, as_they_are[i].low, as_they_are[i].high);

		span_set_add_all(t, &plain, part.spans, part.count);
	}
	for (size_t i = 0; json_letters[i]; i++)
		if (span_set_has(set, (uint8_t)json_lettered[i]))
			span_set_add(t, &letters, (uint8_t)json_letters[i],
				     (uint8_t)json_letters[i]);
	if (plain.count)
		add_part(t, &choice, expression_class(t, plain.spans, plain.count));
	if (plain.count && letters.count == ARRAY_SIZE(json_lettered) - 1 &&
	    set->spans[0].low == 0 && set->spans[0].high >= 31) {
		add_part(t, &choice, builtin(t, BUILTIN_ESCAPED)); /* all that there are */
		return expression_choice(t, &choice);
	}
	if (letters.count) {
		span_set_tidy(&letters);
		add_text(t, &letter, "\\");
		add_part(t, &letter, expression_class(t, letters.spans, letters.count));
		add_part(t, &choice, expression_sequence(t, &letter));
	}
	add_codes(t, &choice, set, 0, "\\u000");
	add_codes(t, &choice, set, 16, "\\u001");
	return expression_choice(t, &choice);
}

const struct expression *json_text(struct translation *t, const char *text, size_t bytes)
{
	char *out = translation_alloc(t, 6 * bytes + 1);
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++) {
		const char *letter = text[i] ? strchr(json_lettered, text[i]) : NULL;

		if (letter)
			n += (size_t)sprintf(out + n, "\\%c", json_letters[letter - json_lettered]);
		else if ((uint8_t)text[i] < 32)
			n += (size_t)sprintf(out + n, "\\u%04x", (uint8_t)text[i]);
		else
			out[n++] = text[i];
	}
	return expression_text(t, out, n);
}
