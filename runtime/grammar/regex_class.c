// SPDX-License-Identifier: MIT
/* Characters, escapes and classes of regular expressions. */
#include "grammar/regex_class.h"

#include <stdarg.h>
#include <stdio.h>

#include "text/vocabulary.h"

static const struct span digits[] = { { '0', '9' } };
static const struct span words[] = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } };
static const struct span spaces[] = { { 9, 13 },	  { ' ', ' ' },	      { 0xa0, 0xa0 },
				      { 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x2028, 0x2029 },
				      { 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 },
				      { 0xfeff, 0xfeff } };
static const struct span line_ends[] = { { '\n', '\n' }, { '\r', '\r' }, { 0x2028, 0x2029 } };

void regex_fail(const struct regex_reader *r, size_t at, int code, const char *fmt, ...)
{
	char message[300];
	size_t column = 1;
	va_list args;

	for (size_t i = 0; i < at && i < r->bytes; i++)
		column += (r->text[i] & 0xc0) != 0x80;
	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	translation_fail(r->t, code, "%scolumn %zu: %s", r->where, column, message);
}

uint32_t regex_character(struct regex_reader *r)
{
	uint32_t c = 0;
	const size_t n = utf8_decode(r->text + r->at, r->bytes - r->at, &c);

	if (!n)
		regex_fail(r, r->at, -EINVAL, "a byte that isn't UTF-8");
	r->at += n;
	return c;
}

/* @count hexadecimal digits @ahead of the place; -1: there aren't as many. */
static int32_t hex(const struct regex_reader *r, size_t ahead, unsigned count)
{
	int32_t value = 0;

	for (unsigned i = 0; i < count; i++) {
		const int digit = ascii_hex_digit(regex_peek(r, ahead + i));

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* "\u" stands here: four digits, two times four for what has a surrogate pair, or any in braces. */
static uint32_t unicode_escape(struct regex_reader *r)
{
	const size_t from = r->at;
	int32_t c, low;

	if (regex_peek(r, 2) == '{') {
		unsigned n = 0;

		while (n < 7 && ascii_hex_digit(regex_peek(r, 3 + n)) >= 0)
			n++;
		c = n && n < 7 && regex_peek(r, 3 + n) == '}' ? hex(r, 3, n) : -1;
		r->at += 4 + n;
	} else {
		c = hex(r, 2, 4);
		r->at += 6;
		low = c >= 0xd800 && c < 0xdc00 && regex_peek(r, 0) == '\\' &&
				      regex_peek(r, 1) == 'u'
			      ? hex(r, 2, 4)
			      : -1;
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			r->at += 6;
		}
	}
	if (c < 0)
		regex_fail(r, from, -EINVAL,
			   "\\u has four hexadecimal digits behind it, or up to six in braces");
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		regex_fail(r, from, -EINVAL, "an escape that is no character of Unicode");
	return (uint32_t)c;
}

static void add_class(struct regex_reader *r, char letter, struct span_set *set)
{
	const char kind = letter | 0x20;
	struct span_set one = { 0 };

	span_set_add_all(r->t, &one,
			 kind == 'd'   ? digits
			 : kind == 'w' ? words
				       : spaces,
			 kind == 'd'   ? ARRAY_SIZE(digits)
			 : kind == 'w' ? ARRAY_SIZE(words)
				       : ARRAY_SIZE(spaces));
	if (letter != kind)
		one = span_set_others(r->t, &one);
	span_set_add_all(r->t, set, one.spans, one.count);
}

/* What no grammar can say, by its name. */
static _Noreturn void refuse_escape(const struct regex_reader *r, char c)
{
	static const struct {
		const char *letters, *what;
	} known[] = {
		{ "123456789k", "back references aren't" },
		{ "bB", "boundaries of words aren't" },
		{ "pP", "properties of Unicode aren't" },
		{ "AzZG", "anchors other than ^ and $ aren't" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (c && strchr(known[i].letters, c))
			regex_fail(r, r->at, -EINVAL, "%s supported (\\%c)", known[i].what, c);
	if (!c)
		regex_fail(r, r->at, -EINVAL, "nothing follows the backslash");
	regex_fail(r, r->at, -EINVAL, "the escape \\%c isn't supported", c);
}

bool regex_escape(struct regex_reader *r, bool in_class, struct span_set *set)
{
	static const char letters[] = "tnvfr", lettered[] = "\t\n\v\f\r";
	const char c = regex_peek(r, 1), *letter = c ? strchr(letters, c) : NULL;
	uint32_t code;

	if (c && strchr("dDwWsS", c)) {
		add_class(r, c, set);
		r->at += 2;
		return true;
	}
	if (c == 'u') {
		code = unicode_escape(r);
	} else if (c == 'x') {
		if (hex(r, 2, 2) < 0)
			regex_fail(r, r->at, -EINVAL, "\\x has two hexadecimal digits behind it");
		code = (uint32_t)hex(r, 2, 2);
		r->at += 4;
	} else if (c == 'c' &&
		   ((regex_peek(r, 2) | 0x20) >= 'a' && (regex_peek(r, 2) | 0x20) <= 'z')) {
		code = (uint32_t)(regex_peek(r, 2) & 31);
		r->at += 3;
	} else {
		if (letter)
			code = (uint8_t)lettered[letter - letters];
		else if (c == '0' && !ascii_is_digit(regex_peek(r, 2)))
			code = 0;
		else if (in_class && c == 'b')
			code = '\b';
		else if (c > 32 && c < 127 && !ascii_is_digit(c) && c != '_' &&
			 !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
			code = (uint8_t)c;
		else
			refuse_escape(r, c);
		r->at += 2;
	}
	span_set_add(r->t, set, code, code);
	return false;
}

/* One character of a class, or an escape for many; what it is goes into @set. */
static bool class_atom(struct regex_reader *r, size_t from, struct span_set *set)
{
	uint32_t c;

	if (r->at >= r->bytes)
		regex_fail(r, from, -EINVAL, "the class that begins here isn't closed");
	if (regex_peek(r, 0) == '\\')
		return regex_escape(r, true, set);
	c = regex_character(r);
	span_set_add(r->t, set, c, c);
	return false;
}

struct span_set regex_class(struct regex_reader *r)
{
	const size_t from = r->at++;
	const bool negated = regex_peek(r, 0) == '^';
	struct span_set set = { 0 };

	r->at += negated;
	while (r->at >= r->bytes || r->text[r->at] != ']') {
		const size_t at = r->at;
		struct span_set low = { 0 }, high = { 0 };
		bool whole = class_atom(r, from, &low);

		if (regex_peek(r, 0) == '-' && regex_peek(r, 1) != ']') {
			r->at++;
			whole |= class_atom(r, from, &high);
			if (whole)
				regex_fail(r, at, -EINVAL, "a range whose end is a class");
			if (high.spans[0].low < low.spans[0].low)
				regex_fail(r, at, -EINVAL, "a range that ends before it begins");
			low.spans[0].high = high.spans[0].low;
		}
		span_set_add_all(r->t, &set, low.spans, low.count);
	}
	r->at++;
	span_set_tidy(&set);
	/* twice without: surrogates in a range are no characters */
	set = span_set_others(r->t, &set);
	return negated ? set : span_set_others(r->t, &set);
}

struct span_set regex_any(struct regex_reader *r)
{
	struct span_set set = { 0 };

	r->at++;
	span_set_add_all(r->t, &set, line_ends, ARRAY_SIZE(line_ends));
	return span_set_others(r->t, &set);
}
