// SPDX-License-Identifier: MIT
/* Filters over text. */
#include <stdio.h>

#include "text/template/builtins.h"
#include "text/vocabulary.h"

#define FILTER(name)                                                                      \
	static struct value name(struct job *j, struct value self, const struct value *a, \
				 const struct arguments *all)

FILTER(filter_upper)
{
	(void)a, (void)all;
	return text_value(text_upper(j, to_text(j, self)));
}

FILTER(filter_lower)
{
	(void)a, (void)all;
	return text_value(text_lower(j, to_text(j, self)));
}

FILTER(filter_capitalize)
{
	(void)a, (void)all;
	return text_value(text_capitalize(j, to_text(j, self)));
}

FILTER(filter_title)
{
	(void)a, (void)all;
	return text_value(text_title_words(j, to_text(j, self)));
}

FILTER(filter_trim)
{
	const bool chars = is_given(a[0]) && a[0].kind != VALUE_NONE;

	(void)all;
	return text_value(text_strip(j, to_text(j, self),
				     chars ? need_text(j, a[0], "chars") : NULL, true, true));
}

FILTER(filter_replace)
{
	const struct text *t = text_replace(j, to_text(j, self), to_text(j, a[0]), to_text(j, a[1]),
					    integer_or(j, a[2], -1, "count"));

	(void)all;
	return text_value(safe_like(j, t, constant(j, "")));
}

FILTER(filter_string)
{
	(void)a, (void)all;
	return text_value(to_text(j, self));
}

FILTER(filter_escape)
{
	(void)a, (void)all;
	return text_value(escaped(j, to_text(j, self)));
}

FILTER(filter_safe)
{
	struct text *t = job_alloc(j, sizeof(*t));

	(void)a, (void)all;
	*t = *to_text(j, self);
	t->safe = true;
	return text_value(t);
}

FILTER(filter_forceescape)
{
	struct text *t = job_alloc(j, sizeof(*t));

	(void)a, (void)all;
	*t = *to_text(j, self);
	t->safe = false;
	return text_value(escaped(j, t));
}

FILTER(filter_center)
{
	(void)all;
	return text_value(centered(j, to_text(j, self), integer_or(j, a[0], 80, "width"),
				   constant(j, " "), '^'));
}

FILTER(filter_indent)
{
	const struct text *t = need_text(j, self, "indent's input"), *by;
	const struct value lines = split_lines(j, text_concat(j, t, constant(j, "\n")), false);
	const bool first = flag_or(a[1], false), blank = flag_or(a[2], false);
	struct output o = { 0 };

	(void)all;
	by = is_given(a[0]) && a[0].kind == VALUE_TEXT
		     ? a[0].text
		     : text_repeat(j, constant(j, " "), integer_or(j, a[0], 4, "width"));
	for (size_t i = 0; i < lines.sequence->count; i++) {
		const struct text *line = lines.sequence->items[i].text;

		if (i)
			put_string(j, &o, "\n");
		if (i ? blank || line->bytes : first)
			put_text(j, &o, by);
		put_text(j, &o, line);
	}
	return text_value(safe_like(j, output_text(j, &o), t));
}

FILTER(filter_format)
{
	struct sequence *values = new_sequence(j, FLAVOUR_TUPLE, 0);
	struct dict *d = new_dict(j);

	(void)a;
	if (all->count && all->keyword_count)
		job_fail(j, -EINVAL,
			 "can't handle positional and keyword arguments at the same time");
	for (size_t i = 0; i < all->count; i++)
		sequence_add(j, values, all->values[i]);
	for (size_t i = 0; i < all->keyword_count; i++)
		dict_set(j, d, text_value(all->keywords[i].name), all->keywords[i].value);
	return text_value(format_percent(
		j, to_text(j, self), all->keyword_count ? dict_value(d) : sequence_value(values)));
}

FILTER(filter_truncate)
{
	const struct text *t = need_text(j, self, "truncate's input");
	const struct text *end = is_given(a[2]) ? need_text(j, a[2], "end") : constant(j, "...");
	const int64_t length = integer_or(j, a[0], 255, "length");
	const int64_t leeway = integer_or(j, a[3], 5, "leeway");
	const struct text *cut;
	size_t at;

	(void)all;
	if (length < (int64_t)end->characters || leeway < 0)
		job_fail(j, -EINVAL, "truncate expects a length of at least %zu and a leeway of 0",
			 end->characters);
	if ((int64_t)t->characters <= length || (int64_t)t->characters - length <= leeway)
		return self;
	at = byte_of(t, (size_t)length - end->characters);
	cut = text_part(j, t, 0, at);
	if (!flag_or(a[1], false)) {
		const size_t space = text_find_last(j, cut, constant(j, " "), 0, cut->bytes);

		if (space != SIZE_MAX)
			cut = text_part(j, cut, 0, space);
	}
	return text_value(text_concat(j, cut, end));
}

FILTER(filter_wordcount)
{
	const struct text *t = to_text(j, self);
	bool inside = false;
	int64_t words = 0;
	uint32_t c;

	(void)a, (void)all;
	job_work(j, 2 * SLOW * t->bytes);
	for (size_t i = 0; i < t->bytes;) {
		const bool before = inside;

		i += character_at(t, i, &c);
		inside = is_word(c);
		words += inside && !before;
	}
	return integer(words);
}

static void put_quoted_url(struct job *j, struct output *o, const struct text *t, bool query)
{
	static const char hex[] = "0123456789ABCDEF";

	job_work(j, SLOW * t->bytes);
	for (size_t i = 0; i < t->bytes; i++) {
		const uint8_t c = (uint8_t)t->data[i];
		const bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
				   (c && c < 128 && strchr("_.-~", c)) || (c == '/' && !query);

		if (plain) {
			put_part(j, o, t, i, i + 1);
		} else if (c == ' ' && query) {
			put_like(j, o, "+", 1, t, i);
		} else {
			put_like(j, o, (const char[]){ '%', hex[c >> 4], hex[c & 15] }, 3, t, i);
		}
	}
}

FILTER(filter_urlencode)
{
	struct output o = { 0 };
	struct iteration i;
	struct value v;

	(void)a, (void)all;
	if (self.kind == VALUE_DICT)
		self = dict_view(j, self.dict, FLAVOUR_ITEMS);
	if (self.kind != VALUE_SEQUENCE) {
		put_quoted_url(j, &o, to_text(j, self), false);
		return text_value(output_text(j, &o));
	}
	i = iterate(j, self);
	for (bool first = true; iterate_next(j, &i, &v); first = false) {
		const struct sequence *pair = to_sequence(j, v, FLAVOUR_TUPLE);

		if (pair->count != 2)
			job_fail(j, -EINVAL, "urlencode takes pairs");
		if (!first)
			put_string(j, &o, "&");
		put_quoted_url(j, &o, to_text(j, pair->items[0]), true);
		put_string(j, &o, "=");
		put_quoted_url(j, &o, to_text(j, pair->items[1]), true);
	}
	return text_value(output_text(j, &o));
}

/* Without comments and tags, white space as single spaces. */
FILTER(filter_striptags)
{
	const struct text *t = to_text(j, self), *plain;
	struct output o = { 0 }, single = { 0 };
	bool space = false;
	uint32_t c;
	size_t n;

	(void)a, (void)all;
	for (size_t i = 0; i < t->bytes; i += n) {
		const bool comment = t->bytes - i >= 4 && !memcmp(t->data + i, "<!--", 4);
		const char *end = comment ? text_search(j, t->data + i, t->bytes - i, "-->", 3)
				  : t->data[i] == '<' ? memchr(t->data + i, '>', t->bytes - i)
						      : NULL;

		n = end ? (size_t)(end - t->data) + (comment ? 3 : 1) - i : 1;
		if (!end)
			put_part(j, &o, t, i, i + 1);
		if (!end && !comment && t->data[i] == '<')
			job_work(j, t->bytes - i);
	}
	plain = text_strip(j, output_text(j, &o), NULL, true, true);
	for (size_t i = 0; i < plain->bytes; i += n) {
		n = character_at(plain, i, &c);
		if (!is_space(c))
			put_part(j, &single, plain, i, i + n);
		else if (!space)
			put_like(j, &single, " ", 1, plain, i);
		space = is_space(c);
	}
	job_work(j, 2 * SLOW * t->bytes);
	return text_value(output_text(j, &single));
}

FILTER(filter_xmlattr)
{
	struct output o = { 0 };

	(void)all;
	if (self.kind != VALUE_DICT)
		job_fail(j, -EINVAL, "xmlattr takes a mapping, not '%s'", type_name(self));
	for (size_t i = 0; i < self.dict->count; i++) {
		const struct entry *e = &self.dict->entries[i];
		const struct text *key = to_text(j, e->key);

		job_step(j, 1);
		if (e->value.kind == VALUE_NONE || e->value.kind == VALUE_UNDEFINED)
			continue;
		for (size_t k = 0; k < key->bytes; k++)
			if (!key->data[k] || strchr(" \t\n\r\f\v/>=", key->data[k]))
				job_fail(j, -EINVAL, "Invalid character in attribute name: '%.*s'",
					 (int)MIN(key->bytes, 60u), key->data);
		if (o.bytes || flag_or(a[0], true))
			put_string(j, &o, " ");
		put_text(j, &o, escaped(j, key));
		put_string(j, &o, "=\"");
		put_text(j, &o, escaped(j, to_text(j, e->value)));
		put_string(j, &o, "\"");
	}
	return text_value(output_text(j, &o));
}

/* Takes the spaces at the end away, but not beyond byte @begin. */
static void cut_spaces(struct output *o, size_t begin)
{
	while (o->bytes > begin && o->data[o->bytes - 1] == ' ')
		o->bytes--;
	while (o->mark_count && o->marks[o->mark_count - 1].begin >= o->bytes)
		o->mark_count--;
	if (o->mark_count)
		o->marks[o->mark_count - 1].end = MIN(o->marks[o->mark_count - 1].end, o->bytes);
}

/* One paragraph into lines of at most @width characters, at white space. */
static void wrap_line(struct job *j, struct output *o, const struct text *t, int64_t width,
		      bool break_words, const struct text *end)
{
	size_t line = 0, at = 0, begin = o->bytes;
	uint32_t c;

	while (at < t->bytes) {
		const size_t from = at;
		size_t length = 0, n, next;
		bool space;

		character_at(t, at, &c);
		space = is_space(c);
		for (next = at; next < t->bytes; next += n, length++) {
			n = character_at(t, next, &c);
			if (is_space(c) != space)
				break;
			if (!space && break_words && (int64_t)length == width)
				break;
		}
		at = next;
		job_step(j, 1 + length / 16);
		if (line && (int64_t)(line + length) > width) {
			cut_spaces(o, begin);
			put_text(j, o, end);
			line = 0;
		}
		if (space && !line && o->bytes > begin)
			continue;
		put_part(j, o, t, from, next);
		line += length;
	}
	cut_spaces(o, begin);
}

FILTER(filter_wordwrap)
{
	const struct value lines = split_lines(j, need_text(j, self, "wordwrap's input"), false);
	const struct text *end = is_given(a[2]) && a[2].kind != VALUE_NONE
					 ? need_text(j, a[2], "wrapstring")
					 : constant(j, "\n");
	const int64_t width = integer_or(j, a[0], 79, "width");
	struct output o = { 0 };

	(void)all;
	if (width <= 0)
		job_fail(j, -EINVAL, "invalid width %lld (must be > 0)", (long long)width);
	for (size_t i = 0; i < lines.sequence->count; i++) {
		struct output one = { 0 };

		if (i)
			put_text(j, &o, end);
		wrap_line(j, &one, lines.sequence->items[i].text, width, flag_or(a[1], true), end);
		put_text(j, &o, output_text(j, &one));
	}
	return text_value(output_text(j, &o));
}

static const struct builtin filters[] = {
	{ "capitalize", "", 0, filter_capitalize },
	{ "center", "width", 0, filter_center },
	{ "e", "", 0, filter_escape },
	{ "escape", "", 0, filter_escape },
	{ "forceescape", "", 0, filter_forceescape },
	{ "format", NULL, 0, filter_format },
	{ "indent", "width first blank", 0, filter_indent },
	{ "lower", "", 0, filter_lower },
	{ "replace", "old new count", 2, filter_replace },
	{ "safe", "", 0, filter_safe },
	{ "string", "", 0, filter_string },
	{ "striptags", "", 0, filter_striptags },
	{ "title", "", 0, filter_title },
	{ "trim", "chars", 0, filter_trim },
	{ "truncate", "length killwords end leeway", 0, filter_truncate },
	{ "upper", "", 0, filter_upper },
	{ "urlencode", "", 0, filter_urlencode },
	{ "wordcount", "", 0, filter_wordcount },
	{ "wordwrap", "width break_long_words wrapstring break_on_hyphens", 0, filter_wordwrap },
	{ "xmlattr", "autospace", 0, filter_xmlattr },
};

const struct builtins text_filters = { filters, ARRAY_SIZE(filters) };
