// SPDX-License-Identifier: MIT
/* Methods of strings. */
#include "text/template/builtins.h"

#define METHOD(name)                                                                      \
	static struct value name(struct job *j, struct value self, const struct value *a, \
				 const struct arguments *all)
/* A method that looks at the text alone. */
#define METHOD_THAT(name, result)                         \
	METHOD(name)                                      \
	{                                                 \
		(void)a, (void)all;                       \
		job_work(j, 2 * SLOW * self.text->bytes); \
		return result;                            \
	}

METHOD_THAT(method_upper, text_value(text_upper(j, self.text)))
METHOD_THAT(method_lower, text_value(text_lower(j, self.text)))
METHOD_THAT(method_capitalize, text_value(text_capitalize(j, self.text)))
METHOD_THAT(method_title, text_value(text_title(j, self.text)))
METHOD_THAT(method_swapcase, text_value(text_swapcase(j, self.text)))
METHOD_THAT(method_isalpha, boolean(text_is_all(self.text, CLASS_ALPHA)))
METHOD_THAT(method_isdigit, boolean(text_is_all(self.text, CLASS_DIGIT)))
METHOD_THAT(method_isdecimal, boolean(text_is_all(self.text, CLASS_DECIMAL)))
METHOD_THAT(method_isnumeric, boolean(text_is_all(self.text, CLASS_NUMERIC)))
METHOD_THAT(method_isalnum, boolean(text_is_all(self.text, CLASS_ALNUM)))
METHOD_THAT(method_isspace, boolean(text_is_all(self.text, CLASS_SPACE)))
METHOD_THAT(method_isascii, boolean(text_is_all(self.text, CLASS_ASCII)))
METHOD_THAT(method_isprintable, boolean(text_is_all(self.text, CLASS_PRINTABLE)))
METHOD_THAT(method_isidentifier, boolean(text_is_all(self.text, CLASS_IDENTIFIER)))
METHOD_THAT(method_islower, boolean(text_is_cased(self.text, false)))
METHOD_THAT(method_isupper, boolean(text_is_cased(self.text, true)))
METHOD_THAT(method_istitle, boolean(text_is_title(self.text)))
METHOD_THAT(method_format, text_value(format_braces(j, self.text, all)))

static struct value strip(struct job *j, struct value self, struct value chars, bool left,
			  bool right)
{
	const bool given = is_given(chars) && chars.kind != VALUE_NONE;

	return text_value(
		text_strip(j, self.text, given ? need_text(j, chars, "chars") : NULL, left, right));
}

METHOD(method_strip)
{
	(void)all;
	return strip(j, self, a[0], true, true);
}

METHOD(method_lstrip)
{
	(void)all;
	return strip(j, self, a[0], true, false);
}

METHOD(method_rstrip)
{
	(void)all;
	return strip(j, self, a[0], false, true);
}

METHOD(method_replace)
{
	(void)all;
	return text_value(text_replace(j, self.text, need_text(j, a[0], "old"),
				       need_text(j, a[1], "new"),
				       integer_or(j, a[2], -1, "count")));
}

/* Words between white space; from the right, the rest stays on the left. */
static void split_words(struct job *j, struct sequence *s, const struct text *t, int64_t most,
			bool from_right)
{
	size_t at = 0, word, end = t->bytes;
	uint32_t c;

	job_work(j, SLOW * t->bytes);
	if (from_right) {
		while (end) {
			const struct text *left =
				text_strip(j, text_part(j, t, 0, end), NULL, false, true);
			size_t begin = left->bytes;

			if (!begin)
				break;
			if (!most--) {
				sequence_add(j, s, text_value(left));
				break;
			}
			while (begin) {
				size_t before = begin - 1;

				while (before && ((uint8_t)t->data[before] & 0xc0) == 0x80)
					before--;
				character_at(t, before, &c);
				if (is_space(c))
					break;
				begin = before;
			}
			job_step(j, 1 + t->bytes / WORK_PER_STEP);
			sequence_add(j, s, text_value(text_part(j, t, begin, left->bytes)));
			end = begin;
		}
		for (size_t i = 0; i < s->count / 2; i++) {
			const struct value v = s->items[i];

			s->items[i] = s->items[s->count - 1 - i];
			s->items[s->count - 1 - i] = v;
		}
		return;
	}
	while (at < end) {
		size_t n = character_at(t, at, &c);

		if (is_space(c)) {
			at += n;
			continue;
		}
		job_step(j, 1);
		if (!most--) {
			sequence_add(j, s,
				     text_value(text_strip(j, text_part(j, t, at, end), NULL, false,
							   false)));
			return;
		}
		for (word = at; at < end; at += n) {
			n = character_at(t, at, &c);
			if (is_space(c))
				break;
		}
		sequence_add(j, s, text_value(text_part(j, t, word, at)));
	}
}

METHOD(method_split)
{
	struct sequence *s = new_sequence(j, FLAVOUR_LIST, 0);
	int64_t most = integer_or(j, a[1], -1, "maxsplit");
	const struct text *t = self.text, *by;
	size_t at = 0, hit;

	(void)all;
	if (!is_given(a[0]) || a[0].kind == VALUE_NONE) {
		split_words(j, s, t, most, false);
		return sequence_value(s);
	}
	by = need_text(j, a[0], "a separator");
	if (!by->bytes)
		job_fail(j, -EINVAL, "empty separator");
	while (most-- && (hit = text_find(j, t, by, at, t->bytes)) != SIZE_MAX) {
		job_step(j, 1);
		sequence_add(j, s, text_value(text_part(j, t, at, hit)));
		at = hit + by->bytes;
	}
	sequence_add(j, s, text_value(text_part(j, t, at, t->bytes)));
	return sequence_value(s);
}

METHOD(method_rsplit)
{
	struct sequence *s = new_sequence(j, FLAVOUR_LIST, 0), *r;
	int64_t most = integer_or(j, a[1], -1, "maxsplit");
	const struct text *t = self.text, *by;
	size_t end = t->bytes, hit;

	(void)all;
	if (!is_given(a[0]) || a[0].kind == VALUE_NONE) {
		split_words(j, s, t, most, true);
		return sequence_value(s);
	}
	by = need_text(j, a[0], "a separator");
	if (!by->bytes)
		job_fail(j, -EINVAL, "empty separator");
	while (most-- && (hit = text_find_last(j, t, by, 0, end)) != SIZE_MAX) {
		job_step(j, 1);
		sequence_add(j, s, text_value(text_part(j, t, hit + by->bytes, end)));
		end = hit;
	}
	sequence_add(j, s, text_value(text_part(j, t, 0, end)));
	r = new_sequence(j, FLAVOUR_LIST, s->count);
	for (size_t i = s->count; i--;)
		r->items[r->count++] = s->items[i];
	return sequence_value(r);
}

struct value split_lines(struct job *j, const struct text *t, bool keep)
{
	struct sequence *s = new_sequence(j, FLAVOUR_LIST, 0);
	size_t begin = 0, at = 0, n;
	uint32_t c;

	job_work(j, SLOW * t->bytes);
	while (at < t->bytes) {
		n = line_end(t, at);
		if (!n) {
			at += character_at(t, at, &c);
			continue;
		}
		sequence_add(j, s, text_value(text_part(j, t, begin, keep ? at + n : at)));
		job_step(j, 1);
		at += n;
		begin = at;
	}
	if (begin < t->bytes)
		sequence_add(j, s, text_value(text_part(j, t, begin, t->bytes)));
	return sequence_value(s);
}

METHOD(method_splitlines)
{
	(void)all;
	return split_lines(j, self.text, flag_or(a[0], false));
}

METHOD(method_join)
{
	struct iteration i = iterate(j, a[0]);
	struct output o = { 0 };
	struct value v;
	size_t n = 0;

	(void)all;
	for (; iterate_next(j, &i, &v); n++) {
		if (v.kind != VALUE_TEXT)
			job_fail(j, -EINVAL, "sequence item %zu: expected str instance, %s found",
				 n, type_name(v));
		if (n)
			put_text(j, &o, self.text);
		put_text(j, &o, v.text);
	}
	return text_value(output_text(j, &o));
}

/* The part that start and end, in characters, ask for; false: start is behind the end. */
static bool part_bounds(struct job *j, const struct text *t, const struct value *a, size_t *begin,
			size_t *end)
{
	const int64_t length = (int64_t)t->characters;
	int64_t from = integer_or(j, a[0], 0, "start"), to = integer_or(j, a[1], length, "end");

	if (t->bytes != t->characters)
		job_work(j, 2 * t->bytes);
	from = from < 0 ? MAX(from + length, 0) : from;
	to = to < 0 ? MAX(to + length, 0) : MIN(to, length);
	if (from > to || from > length)
		return false;
	*begin = byte_of(t, (size_t)from);
	*end = byte_of(t, (size_t)to);
	return true;
}

static int64_t find(struct job *j, struct value self, const struct value *a, bool last)
{
	const struct text *t = self.text, *part = need_text(j, a[0], "what is searched for");
	size_t begin, end, hit;

	if (!part_bounds(j, t, a + 1, &begin, &end))
		return -1;
	hit = last ? text_find_last(j, t, part, begin, end) : text_find(j, t, part, begin, end);
	return hit == SIZE_MAX ? -1 : (int64_t)characters_before(j, t, hit);
}

METHOD(method_find)
{
	(void)all;
	return integer(find(j, self, a, false));
}

METHOD(method_rfind)
{
	(void)all;
	return integer(find(j, self, a, true));
}

static struct value found(struct job *j, int64_t at)
{
	if (at < 0)
		job_fail(j, -EINVAL, "substring not found");
	return integer(at);
}

METHOD(method_index)
{
	(void)all;
	return found(j, find(j, self, a, false));
}

METHOD(method_rindex)
{
	(void)all;
	return found(j, find(j, self, a, true));
}

METHOD(method_count)
{
	const struct text *part = need_text(j, a[0], "what is counted");
	size_t begin, end;
	int64_t n = 0;

	(void)all;
	if (!part_bounds(j, self.text, a + 1, &begin, &end))
		return integer(0);
	if (!part->bytes)
		return integer((int64_t)text_part(j, self.text, begin, end)->characters + 1);
	for (; (begin = text_find(j, self.text, part, begin, end)) != SIZE_MAX; n++) {
		begin += part->bytes;
		job_step(j, 1);
	}
	return integer(n);
}

/* The text begins, or ends, with one of them. */
static bool has_affix(struct job *j, struct value self, const struct value *a, bool at_end)
{
	const struct text *t = self.text;
	struct value one = a[0];
	struct iteration i;
	size_t begin, end;

	if (is_tuple(a[0])) {
		i = iterate(j, a[0]);
		while (iterate_next(j, &i, &one)) {
			const struct value again[3] = { one, a[1], a[2] };

			if (is_tuple(one))
				need_text(j, one, "a prefix or suffix");
			if (has_affix(j, self, again, at_end))
				return true;
		}
		return false;
	}
	need_text(j, one, "a prefix or suffix");
	if (!part_bounds(j, t, a + 1, &begin, &end) || one.text->bytes > end - begin)
		return false;
	job_work(j, one.text->bytes);
	return !memcmp(t->data + (at_end ? end - one.text->bytes : begin), one.text->data,
		       one.text->bytes);
}

METHOD(method_startswith)
{
	(void)all;
	return boolean(has_affix(j, self, a, false));
}

METHOD(method_endswith)
{
	(void)all;
	return boolean(has_affix(j, self, a, true));
}

METHOD(method_removeprefix)
{
	(void)all;
	need_text(j, a[0], "a prefix");
	return has_affix(j, self, (struct value[3]){ a[0] }, false)
		       ? text_value(text_part(j, self.text, a[0].text->bytes, self.text->bytes))
		       : self;
}

METHOD(method_removesuffix)
{
	(void)all;
	need_text(j, a[0], "a suffix");
	return has_affix(j, self, (struct value[3]){ a[0] }, true)
		       ? text_value(text_part(j, self.text, 0, self.text->bytes - a[0].text->bytes))
		       : self;
}

static struct value parts(struct job *j, struct value self, struct value by, bool last)
{
	const struct text *t = self.text, *s = need_text(j, by, "a separator");
	struct sequence *three = new_sequence(j, FLAVOUR_TUPLE, 3);
	const struct value empty = constant_value(j, "");
	size_t hit;

	if (!s->bytes)
		job_fail(j, -EINVAL, "empty separator");
	hit = last ? text_find_last(j, t, s, 0, t->bytes) : text_find(j, t, s, 0, t->bytes);
	if (hit == SIZE_MAX) {
		three->items[0] = last ? empty : self;
		three->items[1] = empty;
		three->items[2] = last ? self : empty;
	} else {
		three->items[0] = text_value(text_part(j, t, 0, hit));
		three->items[1] = text_value(text_part(j, t, hit, hit + s->bytes));
		three->items[2] = text_value(text_part(j, t, hit + s->bytes, t->bytes));
	}
	three->count = 3;
	return sequence_value(three);
}

METHOD(method_partition)
{
	(void)all;
	return parts(j, self, a[0], false);
}

METHOD(method_rpartition)
{
	(void)all;
	return parts(j, self, a[0], true);
}

const struct text *centered(struct job *j, const struct text *t, int64_t width,
			    const struct text *fill, char align)
{
	const int64_t length = (int64_t)t->characters;
	int64_t missing, before;
	const struct text *pad;

	if (width <= length)
		return t;
	missing = width - length;
	before = align == '<' ? 0 : missing;
	if (align == '^')
		before = missing / 2 + (missing & width & 1);
	pad = text_repeat(j, fill, before);
	t = text_concat(j, pad, t);
	return text_concat(j, t, text_repeat(j, fill, missing - before));
}

static struct value aligned(struct job *j, struct value self, const struct value *a, char align)
{
	const struct text *fill = is_given(a[1]) ? need_text(j, a[1], "fillchar")
						 : constant(j, " ");

	if (fill->characters != 1)
		job_fail(j, -EINVAL, "The fill character must be exactly one character long");
	return text_value(centered(j, self.text, to_integer(j, a[0], "width"), fill, align));
}

METHOD(method_center)
{
	(void)all;
	return aligned(j, self, a, '^');
}

METHOD(method_ljust)
{
	(void)all;
	return aligned(j, self, a, '<');
}

METHOD(method_rjust)
{
	(void)all;
	return aligned(j, self, a, '>');
}

METHOD(method_zfill)
{
	const struct text *t = self.text;
	const bool sign = t->bytes && (t->data[0] == '-' || t->data[0] == '+');
	const struct text *rest = text_part(j, t, sign, t->bytes);

	(void)all;
	rest = centered(j, rest, MAX(to_integer(j, a[0], "width"), 1) - sign, constant(j, "0"),
			'>');
	return text_value(sign ? text_concat(j, text_part(j, t, 0, 1), rest) : rest);
}

static const struct builtin methods[] = {
	{ "split", "sep maxsplit", 0, method_split },
	{ "strip", "chars", 0, method_strip },
	{ "lstrip", "chars", 0, method_lstrip },
	{ "rstrip", "chars", 0, method_rstrip },
	{ "startswith", "prefix start end", 1, method_startswith },
	{ "endswith", "suffix start end", 1, method_endswith },
	{ "replace", "old new count", 2, method_replace },
	{ "upper", "", 0, method_upper },
	{ "lower", "", 0, method_lower },
	{ "casefold", "", 0, method_lower },
	{ "capitalize", "", 0, method_capitalize },
	{ "title", "", 0, method_title },
	{ "swapcase", "", 0, method_swapcase },
	{ "join", "iterable", 1, method_join },
	{ "format", NULL, 0, method_format },
	{ "find", "sub start end", 1, method_find },
	{ "rfind", "sub start end", 1, method_rfind },
	{ "index", "sub start end", 1, method_index },
	{ "rindex", "sub start end", 1, method_rindex },
	{ "count", "sub start end", 1, method_count },
	{ "rsplit", "sep maxsplit", 0, method_rsplit },
	{ "splitlines", "keepends", 0, method_splitlines },
	{ "partition", "sep", 1, method_partition },
	{ "rpartition", "sep", 1, method_rpartition },
	{ "removeprefix", "prefix", 1, method_removeprefix },
	{ "removesuffix", "suffix", 1, method_removesuffix },
	{ "center", "width fillchar", 1, method_center },
	{ "ljust", "width fillchar", 1, method_ljust },
	{ "rjust", "width fillchar", 1, method_rjust },
	{ "zfill", "width", 1, method_zfill },
	{ "isalpha", "", 0, method_isalpha },
	{ "isdigit", "", 0, method_isdigit },
	{ "isdecimal", "", 0, method_isdecimal },
	{ "isnumeric", "", 0, method_isnumeric },
	{ "isalnum", "", 0, method_isalnum },
	{ "isspace", "", 0, method_isspace },
	{ "isascii", "", 0, method_isascii },
	{ "isprintable", "", 0, method_isprintable },
	{ "isidentifier", "", 0, method_isidentifier },
	{ "islower", "", 0, method_islower },
	{ "isupper", "", 0, method_isupper },
	{ "istitle", "", 0, method_istitle },
};

const struct builtins text_methods = { methods, ARRAY_SIZE(methods) };
