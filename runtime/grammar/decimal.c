// SPDX-License-Identifier: MIT
/* Numbers as decimal digits. */
#include "grammar/decimal.h"

/* A number's text: its digits without the point, where the point is among them, and its sign. */
struct digits {
	const char *text;
	size_t bytes;
	long point;
};

/* Digit @i of the text, the point left out. */
static char digit_at(const struct digits *d, long i)
{
	for (size_t k = 0; k < d->bytes; k++)
		if (ascii_is_digit(d->text[k]) && !i--)
			return d->text[k];
	return '0';
}

static struct digits split(const struct json *number, long *count)
{
	enum { FAR = 1000000 };
	const bool negative = number->text[0] == '-';
	struct digits d = { number->text + negative, number->bytes - negative, -1 };
	size_t i = 0;
	long exponent = 0;

	*count = 0;
	for (; i < d.bytes && (d.text[i] | 0x20) != 'e'; i++) {
		if (d.text[i] == '.')
			d.point = *count;
		else
			++*count;
	}
	if (d.point < 0)
		d.point = *count;
	if (i < d.bytes) {
		const bool down = d.text[i + 1] == '-';

		for (size_t k = i + 1; k < d.bytes; k++)
			if (ascii_is_digit(d.text[k]))
				exponent = MIN(10 * exponent + (d.text[k] - '0'), (long)FAR);
		d.point += down ? -exponent : exponent;
	}
	d.bytes = i;
	return d;
}

/* The digits that aren't 0 go from *first up to *end; false: there are none. */
static bool significant(const struct digits *d, long *first, long *end)
{
	long i = 0;
	bool any = false;

	for (size_t k = 0; k < d->bytes; k++) {
		if (!ascii_is_digit(d->text[k]))
			continue;
		if (d->text[k] != '0') {
			*first = any ? *first : i;
			*end = i + 1;
			any = true;
		}
		i++;
	}
	return any;
}

struct decimal decimal_of(const struct json *number)
{
	struct decimal out = { .negative = number->text[0] == '-' };
	long count, first = 0, end = 0;
	const struct digits d = split(number, &count);

	if (!significant(&d, &first, &end))
		return (struct decimal){ 0 };
	out.huge = d.point - first > DECIMAL_DIGITS;
	out.tiny = end - d.point > DECIMAL_DIGITS;
	if (out.huge || out.tiny)
		return out;
	out.whole = (int)MAX(d.point - first, 0);
	for (long i = MIN(first, d.point); i < MAX(end, d.point); i++)
		out.digit[out.digits++] = i < first || i >= end ? '0' : digit_at(&d, i);
	return out;
}

bool decimal_is_whole(const struct json *number)
{
	long count, first = 0, end = 0;
	const struct digits d = split(number, &count);

	return !significant(&d, &first, &end) || end <= d.point;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
	int order = (a->whole > b->whole) - (a->whole < b->whole);

	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	for (int i = 0; !order && i < MAX(a->digits, b->digits); i++)
		order = (i < a->digits ? a->digit[i] : '0') - (i < b->digits ? b->digit[i] : '0');
	return a->negative ? -order : order;
}

bool decimal_same(struct translation *t, const struct json *a, const struct json *b)
{
	const struct decimal x = decimal_of(a), y = decimal_of(b);

	translation_step(t, 1);
	if (x.huge || x.tiny || y.huge || y.tiny)
		return a->bytes == b->bytes && !memcmp(a->text, b->text, a->bytes);
	return !decimal_compare(&x, &y);
}

/* --- what lies between two ----------------------------------------------------------------------
 */

/* Texts without a sign, with @length digits in front of the point. */
struct between {
	struct translation *t;
	const struct decimal *low, *high; /* high: NULL without an end */
	bool low_exclusive, high_exclusive, whole;
	int length;
};

/* Whether the digits so far are those of a bound, and what follows has to be compared with it. */
struct tight {
	bool low, high;
};

/* Digit number @place of texts of this length. */
static int bound_digit(const struct between *b, const struct decimal *d, int place)
{
	const int i = place - b->length + d->whole;

	return i >= 0 && i < d->digits ? d->digit[i] - '0' : 0;
}

/* Whether the bound has anything but zeros from @place on. */
static bool goes_on(const struct between *b, const struct decimal *d, int place)
{
	for (int i = MAX(place - b->length + d->whole, 0); i < d->digits; i++)
		if (d->digit[i] != '0')
			return true;
	return false;
}

static bool may_end(const struct between *b, int place, struct tight tight)
{
	const bool low = !tight.low || (!goes_on(b, b->low, place) && !b->low_exclusive);
	const bool high = !tight.high || goes_on(b, b->high, place) || !b->high_exclusive;

	return low && high;
}

static const struct expression *digits_from(const struct between *b, int low, int high,
					    uint32_t first, uint32_t last)
{
	struct span *s = translation_alloc(b->t, sizeof(*s));

	*s = (struct span){ (uint32_t)('0' + low), (uint32_t)('0' + high) };
	return expression_repeat(b->t, expression_class(b->t, s, 1), first, last);
}

static const struct expression *number_rest(const struct between *b, int place, struct tight tight);

/* A digit and what follows it. */
static void add_digit(const struct between *b, struct parts *choice, int low, int high, int place,
		      struct tight tight)
{
	struct parts all = { 0 };

	if (low > high)
		return;
	add_part(b->t, &all, digits_from(b, low, high, 1, 1));
	add_part(b->t, &all, number_rest(b, place + 1, tight));
	add_part(b->t, choice, expression_sequence(b->t, &all));
}

static const struct expression *next_digit(const struct between *b, int place, struct tight tight)
{
	const int least = place == 0 && b->length > 1; /* no 0 in front */
	const int low = tight.low ? bound_digit(b, b->low, place) : least;
	const int high = tight.high ? bound_digit(b, b->high, place) : 9;
	struct parts choice = { 0 };

	if (tight.low && tight.high && low == high) {
		add_digit(b, &choice, low, low, place, tight);
	} else {
		if (tight.low)
			add_digit(b, &choice, low, low, place, (struct tight){ .low = true });
		add_digit(b, &choice, low + tight.low, high - tight.high, place,
			  (struct tight){ 0 });
		if (tight.high)
			add_digit(b, &choice, high, high, place, (struct tight){ .high = true });
	}
	return expression_choice(b->t, &choice);
}

/* The point and all behind it, with nothing left to compare. */
static const struct expression *free_fraction(const struct between *b)
{
	struct parts all = { 0 };

	if (b->whole)
		return expression_empty(b->t);
	add_text(b->t, &all, ".");
	add_part(b->t, &all, digits_from(b, 0, 9, 1, DECIMAL_DIGITS));
	return expression_optional(b->t, expression_sequence(b->t, &all));
}

/* Nothing but zeros, behind the point. */
static const struct expression *zeros(const struct between *b, int behind)
{
	struct parts all = { 0 };

	if (b->whole)
		return expression_empty(b->t);
	if (behind)
		return digits_from(b, 0, 0, 0, (uint32_t)(DECIMAL_DIGITS - behind));
	add_text(b->t, &all, ".");
	add_part(b->t, &all, digits_from(b, 0, 0, 1, DECIMAL_DIGITS));
	return expression_optional(b->t, expression_sequence(b->t, &all));
}

static const struct expression *number_rest(const struct between *b, int place, struct tight tight)
{
	const int behind = place - b->length;
	struct parts choice = { 0 }, all = { 0 };

	/* whatever follows is at least what is left of the bound, which is nothing */
	if (tight.low && !b->low_exclusive && !goes_on(b, b->low, place))
		tight.low = false;
	if (!tight.low && !tight.high) {
		if (behind > 0)
			return digits_from(b, 0, 9, 0, (uint32_t)(DECIMAL_DIGITS - behind));
		add_part(b->t, &all, digits_from(b, 0, 9, (uint32_t)-behind, (uint32_t)-behind));
		add_part(b->t, &all, free_fraction(b));
		return expression_sequence(b->t, &all);
	}
	if (behind < 0)
		return next_digit(b, place, tight);
	if (!tight.low && !b->high_exclusive && !goes_on(b, b->high, place))
		return zeros(b, behind);
	if (may_end(b, place, tight))
		add_part(b->t, &choice, expression_empty(b->t));
	if (!b->whole && behind < DECIMAL_DIGITS) {
		if (!behind)
			add_text(b->t, &all, ".");
		add_part(b->t, &all, next_digit(b, place, tight));
		add_part(b->t, &choice, expression_sequence(b->t, &all));
	}
	return expression_choice(b->t, &choice);
}

static void add_lengths(struct between *b, struct parts *choice)
{
	const int shortest = MAX(b->low->whole, 1);
	const int longest = b->high ? MAX(b->high->whole, 1) : DECIMAL_DIGITS + 1;
	struct parts all = { 0 };

	b->length = shortest;
	add_part(b->t, choice,
		 next_digit(b, 0,
			    (struct tight){ .low = true, .high = b->high && longest == shortest }));
	if (longest - shortest > 1) {
		add_part(b->t, &all, digits_from(b, 1, 9, 1, 1));
		add_part(b->t, &all,
			 digits_from(b, 0, 9, (uint32_t)shortest, (uint32_t)longest - 2));
		add_part(b->t, &all, free_fraction(b));
		add_part(b->t, choice, expression_sequence(b->t, &all));
	}
	if (b->high && longest > shortest) {
		b->length = longest;
		add_part(b->t, choice, next_digit(b, 0, (struct tight){ .high = true }));
	}
}

const struct expression *decimals_between(struct translation *t, const struct bound *low,
					  const struct bound *high, bool whole)
{
	static const struct decimal zero;
	struct decimal low_value = low->value, high_value = high->value;
	struct parts choice = { 0 }, size = { 0 }, negative = { 0 };
	struct between b = { .t = t, .whole = whole };

	if (!low->from || low_value.negative) {
		const bool below = high->from && high_value.negative;

		b.low = below ? &high_value : &zero;
		b.low_exclusive = below ? high->exclusive : true;
		b.high = low->from ? &low_value : NULL;
		b.high_exclusive = low->exclusive;
		add_lengths(&b, &size);
		add_text(t, &negative, "-");
		add_part(t, &negative, expression_choice(t, &size));
		add_part(t, &choice, expression_sequence(t, &negative));
	}
	if (!high->from || !high_value.negative) {
		const bool above = low->from && !low_value.negative;

		b.low = above ? &low_value : &zero;
		b.low_exclusive = above && low->exclusive;
		b.high = high->from ? &high_value : NULL;
		b.high_exclusive = high->exclusive;
		add_lengths(&b, &choice);
	}
	return expression_choice(t, &choice);
}
