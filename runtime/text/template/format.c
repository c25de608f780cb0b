// SPDX-License-Identifier: MIT
/* Formatted text: Python's "%s" % values, "{}".format() and format(). */
#include "text/template/interpreter.h"

#include <math.h>
#include <stdio.h>

#include "text/vocabulary.h"

struct spec {
	char fill[5], align, sign, type;
	bool alternate, zero, has_precision, left;
	char grouping;
	int64_t width, precision;
};

enum { MAX_WIDTH = 100000, MAX_PRECISION = 300 };

static const char *parse_number(struct job *j, const char *at, const char *end, int64_t *number)
{
	for (*number = 0; at < end && *at >= '0' && *at <= '9'; at++) {
		*number = *number * 10 + (*at - '0');
		if (*number > MAX_WIDTH)
			job_fail(j, -EINVAL, "a width of a format is over %d", MAX_WIDTH);
	}
	return at;
}

/* Whatever the locale puts between whole and fraction becomes a point. */
static size_t real_digits(char *out, size_t room, const char *format, int precision, double d)
{
	char text[700];
	size_t n = 0;

	snprintf(text, sizeof(text), format, precision, d);
	for (size_t i = 0; text[i] && n + 1 < room; i++) {
		if (((uint8_t)text[i] & 0x80) == 0 && strchr("0123456789eE+-infaINFA", text[i]))
			out[n++] = text[i];
		else if (!n || out[n - 1] != '.')
			out[n++] = '.';
	}
	out[n] = 0;
	return n;
}

static size_t group(const char *digits, size_t n, char separator, char *out)
{
	size_t whole = 0, at = 0;

	while (whole < n && digits[whole] >= '0' && digits[whole] <= '9')
		whole++;
	for (size_t i = 0; i < n; i++) {
		if (separator && i && i < whole && (whole - i) % 3 == 0)
			out[at++] = separator;
		out[at++] = digits[i];
	}
	return at;
}

static size_t integer_digits(uint64_t magnitude, char type, char *out)
{
	const unsigned base = type == 'x' || type == 'X' ? 16
			      : type == 'o'		 ? 8
			      : type == 'b'		 ? 2
							 : 10;
	const char *names = type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	char reverse[64];
	size_t n = 0;

	do
		reverse[n++] = names[magnitude % base];
	while (magnitude /= base);
	for (size_t i = 0; i < n; i++)
		out[i] = reverse[n - 1 - i];
	return n;
}

static void pad(struct job *j, struct output *o, const struct text *prefix, const struct text *t,
		const struct spec *f, char align)
{
	const int64_t length = (int64_t)(prefix->characters + t->characters);
	const int64_t missing = MAX(f->width - length, (int64_t)0);
	const int64_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;

	for (int64_t i = 0; i < before; i++)
		put_string(j, o, f->fill);
	put_text(j, o, prefix);
	for (int64_t i = 0; align == '=' && i < missing; i++)
		put_string(j, o, f->fill);
	put_text(j, o, t);
	for (int64_t i = before; align != '=' && i < missing; i++)
		put_string(j, o, f->fill);
	job_work(j, (size_t)missing);
}

static void format_number(struct job *j, struct output *o, struct value v, const struct spec *f)
{
	const bool whole = v.kind != VALUE_FLOAT && !(f->type && strchr("eEfFgG%", f->type));
	char digits[720], grouped[1000], prefix[4] = "";
	size_t n, at = 0;
	bool minus;

	if (whole) {
		const int64_t i = to_integer(j, v, "a number");
		const uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

		minus = i < 0;
		n = integer_digits(magnitude, f->type ? f->type : 'd', digits);
	} else {
		const double d = to_real(v) * (f->type == '%' ? 100 : 1);
		const int precision = f->has_precision ? (int)MIN(f->precision, MAX_PRECISION) : 6;
		char form[] = "%.*f";

		minus = signbit(d) && !isnan(d);
		form[3] = f->type == '%' ? 'f' : f->type ? f->type : 'g';
		if (!f->type && !f->has_precision)
			n = real_repr(j, fabs(d), digits);
		else
			n = real_digits(digits, sizeof(digits), form,
					strchr("gG", form[3]) ? MAX(precision, 1) : precision,
					fabs(d));
		if (f->type == '%')
			digits[n++] = '%';
	}
	if (minus || f->sign == '+' || f->sign == ' ')
		prefix[at++] = minus ? '-' : f->sign;
	if (f->alternate && whole && f->type && strchr("xXob", f->type)) {
		prefix[at++] = '0';
		prefix[at++] = f->type;
	}
	prefix[at] = 0;
	n = group(digits, n, f->grouping, grouped);
	job_step(j, n / 2);
	pad(j, o, new_text(j, prefix, at, false), new_text(j, grouped, n, false), f,
	    f->align ? f->align : '>');
}

static void format_value(struct job *j, struct output *o, struct value v, struct spec *f)
{
	const struct text *t;
	char character[4];

	if (is_number(v) && f->type == 'c') {
		const int64_t c = to_integer(j, v, "a character");

		if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			job_fail(j, -EINVAL, "%%c arg not in range(0x110000)");
		/* whose number it is isn't known */
		t = new_text(j, character, utf8_encode((uint32_t)c, character), true);
		pad(j, o, constant(j, ""), t, f, f->align ? f->align : '<');
		return;
	}
	if (is_number(v) && f->type != 's' && (v.kind != VALUE_BOOL || f->type)) {
		format_number(j, o, v, f);
		return;
	}
	if (f->type && f->type != 's')
		job_fail(j, -EINVAL, "Unknown format code '%c' for object of type '%s'", f->type,
			 type_name(v));
	t = to_text(j, v);
	if (f->has_precision)
		t = text_part(j, t, 0, byte_of(t, (size_t)f->precision));
	pad(j, o, constant(j, ""), t, f, f->align ? f->align : '<');
}

const struct text *format_spec(struct job *j, struct value v, const char *spec, size_t bytes)
{
	const char *at = spec, *end = spec + bytes;
	struct spec f = { .fill = " " };
	struct output o = { 0 };
	uint32_t c;
	const size_t n = bytes ? MAX(utf8_decode(spec, bytes, &c), (size_t)1) : 0;

	if (n < bytes && memchr("<>=^", spec[n], 4)) {
		memcpy(f.fill, spec, n);
		f.fill[n] = 0;
		f.align = spec[n];
		at += n + 1;
	} else if (bytes && memchr("<>=^", *at, 4)) {
		f.align = *at++;
	}
	if (at < end && memchr("+- ", *at, 3))
		f.sign = *at++;
	if (at < end && *at == '#')
		f.alternate = *at++;
	if (at < end && *at == '0') {
		at++;
		if (!f.align) {
			f.fill[0] = '0';
			f.align = is_number(v) ? '=' : '<';
		}
	}
	at = parse_number(j, at, end, &f.width);
	if (at < end && (*at == ',' || *at == '_'))
		f.grouping = *at++;
	if (at < end && *at == '.') {
		const char *digits = at + 1;

		at = parse_number(j, digits, end, &f.precision);
		f.has_precision = true;
		if (at == digits)
			job_fail(j, -EINVAL, "Format specifier missing precision");
	}
	if (at < end)
		f.type = *at++;
	if (at < end || (f.type && !strchr("sdbBoxXceEfFgGn%", f.type)))
		job_fail(j, -EINVAL, "Invalid format specifier '%.*s'", (int)MIN(bytes, 40u), spec);
	if (f.type == 'n')
		f.type = 0;
	if (f.type == 'd' && v.kind == VALUE_FLOAT)
		job_fail(j, -EINVAL, "Unknown format code 'd' for object of type 'float'");
	format_value(j, &o, v, &f);
	return output_text(j, &o);
}

/* The values behind "%", one after the other or by name. */
struct percent {
	struct job *j;
	struct value values;
	size_t next;
};

static struct value next_value(struct percent *p)
{
	if (is_tuple(p->values)) {
		if (p->next < p->values.sequence->count)
			return p->values.sequence->items[p->next++];
	} else if (!p->next++) {
		return p->values;
	}
	job_fail(p->j, -EINVAL, "not enough arguments for format string");
}

static struct value named_value(struct percent *p, const struct text *t, size_t *at)
{
	const char *close = memchr(t->data + *at, ')', t->bytes - *at);
	const struct value *v;

	if (!close)
		job_fail(p->j, -EINVAL, "incomplete format key");
	if (p->values.kind != VALUE_DICT)
		job_fail(p->j, -EINVAL, "format requires a mapping");
	v = dict_get(p->j, p->values.dict,
		     text_value(text_part(p->j, t, *at, (size_t)(close - t->data))));
	if (!v)
		job_fail(p->j, -EINVAL, "the format's key '%.*s' isn't there",
			 (int)MIN((size_t)(close - t->data) - *at, (size_t)60), t->data + *at);
	*at = (size_t)(close - t->data) + 1;
	return *v;
}

static void percent_value(struct job *j, struct output *o, struct value v, struct spec *f)
{
	if (strchr("sra", f->type)) {
		const struct text *t = f->type == 's' ? to_text(j, v) : repr_text(j, v);

		f->type = 's';
		format_value(j, o, text_value(t), f);
		return;
	}
	if (f->type == 'c' && v.kind == VALUE_TEXT) {
		f->type = 's';
		format_value(j, o, v, f);
		return;
	}
	if (strchr("diu", f->type)) {
		f->type = 'd';
		if (v.kind == VALUE_FLOAT)
			v = real_to_integer(j, v.real);
	}
	if (!is_number(v))
		job_fail(j, -EINVAL, "%%%c format: a real number is required, not %s", f->type,
			 type_name(v));
	if (f->zero && !f->left) {
		f->fill[0] = '0';
		f->align = '=';
	}
	format_value(j, o, v, f);
}

/* What stands behind a percent sign at *@at. */
static void percent_directive(struct job *j, struct output *o, const struct text *t, size_t *at,
			      struct percent *p)
{
	struct spec f = { .fill = " ", .align = '>' };
	struct value v = ABSENT;
	const char *end = t->data + t->bytes, *s;
	const size_t begin = o->bytes;

	if (*at < t->bytes && t->data[*at] == '(') {
		++*at;
		v = named_value(p, t, at);
	}
	for (s = t->data + *at; s < end && memchr("#0- +", *s, 5); s++) {
		f.alternate = f.alternate || *s == '#';
		f.zero = f.zero || *s == '0';
		f.left = f.left || *s == '-';
		f.sign = *s == '+' || (*s == ' ' && f.sign != '+') ? *s : f.sign;
	}
	s = parse_number(j, s, end, &f.width);
	if (s < end && *s == '.') {
		f.has_precision = true;
		s = parse_number(j, s + 1, end, &f.precision);
	}
	if (f.left)
		f.align = '<';
	while (s < end && memchr("hlL", *s, 3))
		s++;
	if (s == end)
		job_fail(j, -EINVAL, "incomplete format");
	*at = (size_t)(s - t->data) + 1;
	f.type = *s;
	if (f.type == '%') {
		put_like(j, o, "%", 1, t, *at - 1);
		return;
	}
	if (!f.type || !strchr("sradiuoxXeEfFgGc", f.type))
		job_fail(j, -EINVAL, "unsupported format character '%.1s'", s);
	percent_value(j, o, is_given(v) ? v : next_value(p), &f);
	/* what a message's format makes of a value is the message's */
	if (is_marked(text_part(j, t, *at - 1, *at)))
		mark_from(j, o, begin);
}

const struct text *format_percent(struct job *j, const struct text *t, struct value values)
{
	struct percent p = { .j = j, .values = values };
	struct output o = { 0 };
	size_t at = 0;

	while (at < t->bytes) {
		const char *sign = memchr(t->data + at, '%', t->bytes - at);
		const size_t end = sign ? (size_t)(sign - t->data) : t->bytes;

		put_part(j, &o, t, at, end);
		at = end + 1;
		job_step(j, 1);
		if (sign)
			percent_directive(j, &o, t, &at, &p);
	}
	if (is_tuple(values) ? p.next < values.sequence->count
			     : !p.next && values.kind != VALUE_DICT)
		job_fail(j, -EINVAL, "not all arguments converted during string formatting");
	return output_text(j, &o);
}

/* "name.attribute[key]" of a replacement field. */
static struct value field_value(struct job *j, const struct arguments *all, const struct text *name,
				size_t *next)
{
	size_t at = strcspn(name->data, ".["), end;
	struct value v = ABSENT;
	int64_t i;
	bool large;

	at = MIN(at, name->bytes);
	if (!at)
		i = (int64_t)(*next)++;
	if (!at || parse_integer(name->data, at, 10, &i, &large)) {
		if (i < 0 || (size_t)i >= all->count)
			job_fail(j, -EINVAL,
				 "Replacement index %lld out of range for positional args tuple",
				 (long long)i);
		v = all->values[i];
	}
	for (size_t k = 0; k < all->keyword_count && !is_given(v); k++)
		if (all->keywords[k].name->bytes == at &&
		    !memcmp(all->keywords[k].name->data, name->data, at))
			v = all->keywords[k].value;
	if (!is_given(v))
		job_fail(j, -EINVAL, "format() has no argument '%.*s'", (int)MIN(at, 60u),
			 name->data);
	for (; at < name->bytes; at = end) {
		const bool bracket = name->data[at] == '[';

		for (end = at + 1; end < name->bytes &&
				   (bracket ? name->data[end] != ']'
					    : name->data[end] != '.' && name->data[end] != '[');)
			end++;
		const struct text *part = text_part(j, name, at + 1, end);

		if (!bracket)
			v = attribute(j, v, part);
		else if (parse_integer(part->data, part->bytes, 10, &i, &large))
			v = item(j, v, integer(i));
		else
			v = item(j, v, text_value(part));
		end += bracket && end < name->bytes;
	}
	return v;
}

static void replacement(struct job *j, struct output *o, const struct text *t, size_t begin,
			size_t end, const struct arguments *all, size_t *next)
{
	const char *colon = memchr(t->data + begin, ':', end - begin);
	const size_t spec = colon ? (size_t)(colon - t->data) : end;
	const char *bang = memchr(t->data + begin, '!', spec - begin);
	const size_t name_end = bang ? (size_t)(bang - t->data) : spec;
	const size_t written = o->bytes;
	struct output name = { 0 };
	struct value v;

	put(j, &name, t->data + begin, name_end - begin);
	put(j, &name, "\0", 1);
	name.bytes--;
	v = field_value(j, all, output_text(j, &name), next);
	if (bang)
		v = text_value(bang + 1 < t->data + spec && bang[1] == 's' ? to_text(j, v)
									   : repr_text(j, v));
	put_text(j, o, colon ? format_spec(j, v, colon + 1, end - spec - 1) : to_text(j, v));
	if (is_marked(text_part(j, t, begin - 1, end)))
		mark_from(j, o, written);
}

const struct text *format_braces(struct job *j, const struct text *t, const struct arguments *all)
{
	struct output o = { 0 };
	size_t next = 0, end;

	for (size_t at = 0; at < t->bytes; at++) {
		const char c = t->data[at];

		if (c != '{' && c != '}') {
			put_part(j, &o, t, at, at + 1);
			continue;
		}
		if (at + 1 < t->bytes && t->data[at + 1] == c) {
			put_part(j, &o, t, at, at + 1);
			at++;
			continue;
		}
		if (c == '}')
			job_fail(j, -EINVAL, "Single '}' encountered in format string");
		for (end = at + 1; end < t->bytes && t->data[end] != '}';)
			end++;
		if (end == t->bytes)
			job_fail(j, -EINVAL, "expected '}' before end of string");
		job_step(j, 1);
		replacement(j, &o, t, at + 1, end, all, &next);
		at = end;
	}
	job_work(j, SLOW * t->bytes);
	return output_text(j, &o);
}
