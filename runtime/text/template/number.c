// SPDX-License-Identifier: MIT
/* Arithmetic as Python's, but for whole numbers having 64 bits; numbers from and to digits. */
#include "text/template/text.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

double to_real(struct value v)
{
	return v.kind == VALUE_FLOAT  ? v.real
	       : v.kind == VALUE_BOOL ? (double)v.truth
				      : (double)v.integer;
}

static int64_t whole(struct value v)
{
	return v.kind == VALUE_BOOL ? v.truth : v.integer;
}

int64_t to_integer(struct job *j, struct value v, const char *what)
{
	need_defined(j, v);
	if (v.kind != VALUE_INT && v.kind != VALUE_BOOL)
		job_fail(j, -EINVAL, "%s has to be a whole number, not '%s'", what, type_name(v));
	return whole(v);
}

static _Noreturn void too_large(struct job *j)
{
	job_fail(j, -EINVAL, "a whole number has more than 64 bits");
}

static _Noreturn void by_zero(struct job *j)
{
	job_fail(j, -EINVAL, "division by zero");
}

static int64_t floor_division(struct job *j, int64_t a, int64_t b, int64_t *rest)
{
	int64_t q;

	if (!b)
		by_zero(j);
	if (b == -1) {
		*rest = 0;
		if (__builtin_sub_overflow((int64_t)0, a, &q))
			too_large(j);
		return q;
	}
	q = a / b;
	*rest = a % b;
	if (*rest && (*rest < 0) != (b < 0)) {
		*rest += b;
		q--;
	}
	return q;
}

static double real_floor_division(struct job *j, double a, double b, double *rest)
{
	double q, down;

	if (b == 0)
		by_zero(j);
	*rest = fmod(a, b);
	q = (a - *rest) / b;
	if (*rest != 0) {
		if ((b < 0) != (*rest < 0)) {
			*rest += b;
			q -= 1;
		}
	} else {
		*rest = copysign(0, b);
	}
	if (q == 0)
		return copysign(0, a / b);
	down = floor(q);
	return q - down > 0.5 ? down + 1 : down;
}

static struct value power(struct job *j, struct value a, struct value b)
{
	int64_t result = 1, base, n;
	double d;

	if (a.kind == VALUE_FLOAT || b.kind == VALUE_FLOAT || whole(b) < 0) {
		const double x = to_real(a), y = to_real(b);

		if (x == 0 && y < 0)
			by_zero(j);
		d = pow(x, y);
		if (isnan(d) && !isnan(x) && !isnan(y))
			job_fail(j, -EINVAL, "the power is a complex number");
		if (isinf(d) && isfinite(x) && isfinite(y))
			job_fail(j, -EINVAL, "the power is too large");
		return real(d);
	}
	base = whole(a);
	n = whole(b);
	if (base >= -1 && base <= 1) /* any exponent */
		return integer(n == 0 ? 1 : base >= 0 ? base : n % 2 ? -1 : 1);
	for (; n; n--)
		if (__builtin_mul_overflow(result, base, &result))
			too_large(j);
	return integer(result);
}

static struct value whole_arithmetic(struct job *j, enum operator op, int64_t a, int64_t b)
{
	int64_t result = 0, rest;
	bool over = false;

	switch (op) {
	case OPERATOR_ADD:
		over = __builtin_add_overflow(a, b, &result);
		break;
	case OPERATOR_SUB:
		over = __builtin_sub_overflow(a, b, &result);
		break;
	case OPERATOR_MUL:
		over = __builtin_mul_overflow(a, b, &result);
		break;
	case OPERATOR_DIV:
		if (!b)
			by_zero(j);
		return real((double)((long double)a / (long double)b));
	case OPERATOR_FLOORDIV:
		return integer(floor_division(j, a, b, &rest));
	default:
		if (b == -1)
			return integer(0);
		floor_division(j, a, b, &rest);
		return integer(rest);
	}
	if (over)
		too_large(j);
	return integer(result);
}

static struct value real_arithmetic(struct job *j, enum operator op, double a, double b)
{
	double rest;

	switch (op) {
	case OPERATOR_ADD:
		return real(a + b);
	case OPERATOR_SUB:
		return real(a - b);
	case OPERATOR_MUL:
		return real(a * b);
	case OPERATOR_DIV:
		if (b == 0)
			by_zero(j);
		return real(a / b);
	case OPERATOR_FLOORDIV:
		return real(real_floor_division(j, a, b, &rest));
	default:
		real_floor_division(j, a, b, &rest);
		return real(rest);
	}
}

static struct value repeated(struct job *j, const struct sequence *s, int64_t times)
{
	struct sequence *r =
		new_sequence(j, s->flavour == FLAVOUR_GROUP ? FLAVOUR_TUPLE : s->flavour, 0);

	for (int64_t i = 0; i < times && s->count; i++)
		for (size_t n = 0, count = s->count; n < count; n++) {
			job_step(j, 1);
			sequence_add(j, r, s->items[n]);
		}
	return sequence_value(r);
}

static struct value joined(struct job *j, const struct sequence *a, const struct sequence *b)
{
	const enum flavour f = a->flavour == FLAVOUR_GROUP ? FLAVOUR_TUPLE : a->flavour;
	struct sequence *s = new_sequence(j, f, a->count + b->count);

	job_step(j, (a->count + b->count) / 8);
	if (a->count)
		memcpy(s->items, a->items, a->count * sizeof(*s->items));
	if (b->count)
		memcpy(s->items + a->count, b->items, b->count * sizeof(*s->items));
	s->count = a->count + b->count;
	return sequence_value(s);
}

/* HTML that is safe escapes what is added to it. */
static struct value joined_texts(struct job *j, const struct text *a, const struct text *b)
{
	struct text *t;

	if (!a->safe && !b->safe)
		return text_value(text_concat(j, a, b));
	t = job_alloc(j, sizeof(*t));
	*t = *text_concat(j, escaped(j, a), escaped(j, b));
	t->safe = true;
	return text_value(t);
}

static bool is_list_or_tuple(struct value v)
{
	return is_flavour(v, FLAVOUR_LIST) || is_tuple(v);
}

struct value arithmetic(struct job *j, enum operator op, struct value a, struct value b)
{
	static const char *const names[] = { "+", "-", "*", "/", "//", "%", "** or pow()" };

	need_defined(j, a);
	if (a.kind == VALUE_TEXT && op == OPERATOR_MOD)
		return text_value(format_percent(j, a.text, b));
	need_defined(j, b);
	if (is_number(a) && is_number(b)) {
		if (op == OPERATOR_POW)
			return power(j, a, b);
		if (a.kind == VALUE_FLOAT || b.kind == VALUE_FLOAT)
			return real_arithmetic(j, op, to_real(a), to_real(b));
		return whole_arithmetic(j, op, whole(a), whole(b));
	}
	if (op == OPERATOR_ADD && a.kind == VALUE_TEXT && b.kind == VALUE_TEXT)
		return joined_texts(j, a.text, b.text);
	if (op == OPERATOR_ADD && ((is_tuple(a) && is_tuple(b)) ||
				   (is_flavour(a, FLAVOUR_LIST) && is_flavour(b, FLAVOUR_LIST))))
		return joined(j, a.sequence, b.sequence);
	if (op == OPERATOR_ADD && a.kind == VALUE_TEXT)
		job_fail(j, -EINVAL, "can only concatenate str (not \"%s\") to str", type_name(b));
	if (op == OPERATOR_MUL) {
		const struct value v = is_number(a) ? b : a, n = is_number(a) ? a : b;

		if (v.kind == VALUE_TEXT && is_number(n) && n.kind != VALUE_FLOAT)
			return text_value(text_repeat(j, v.text, whole(n)));
		if (is_list_or_tuple(v) && is_number(n) && n.kind != VALUE_FLOAT)
			return repeated(j, v.sequence, whole(n));
	}
	job_fail(j, -EINVAL, "unsupported operand type(s) for %s: '%s' and '%s'", names[op],
		 type_name(a), type_name(b));
}

struct value negative(struct job *j, struct value v)
{
	int64_t result;

	need_defined(j, v);
	if (v.kind == VALUE_FLOAT)
		return real(-v.real);
	if (!is_number(v))
		job_fail(j, -EINVAL, "bad operand type for unary -: '%s'", type_name(v));
	if (__builtin_sub_overflow((int64_t)0, whole(v), &result))
		too_large(j);
	return integer(result);
}

struct value real_to_integer(struct job *j, double d)
{
	if (isnan(d) || isinf(d))
		job_fail(j, -EINVAL, "cannot convert float %s to integer",
			 isnan(d) ? "NaN" : "infinity");
	if (d < -0x1p63 || d >= 0x1p63)
		too_large(j);
	return integer((int64_t)d);
}

size_t real_repr(struct job *j, double d, char out[40])
{
	const bool tiny = d != 0 && fabs(d) < DBL_MIN;
	char form[40], digits[20];
	int count = 0, exponent, at = 0;

	job_step(j, tiny ? 200 : 16);
	if (isnan(d) || isinf(d))
		return (size_t)snprintf(out, 40, "%s", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
	/* 15 digits are the shortest there are, or end in zeros, but for the smallest numbers */
	for (int precision = tiny ? 0 : 14; precision < 17; precision++) {
		snprintf(form, sizeof(form), "%.*e", precision, d);
		if (strtod(form, NULL) == d)
			break;
	}
	/* whatever the locale puts between them: digits, then the exponent */
	const char *e = strchr(form, 'e');

	for (const char *c = form; c < e; c++)
		if (*c >= '0' && *c <= '9')
			digits[count++] = *c;
	exponent = atoi(e + 1);
	while (count > 1 && digits[count - 1] == '0')
		count--;
	if (signbit(d))
		out[at++] = '-';
	if (exponent < -4 || exponent >= 16) {
		out[at++] = digits[0];
		if (count > 1) {
			out[at++] = '.';
			memcpy(out + at, digits + 1, (size_t)count - 1);
			at += count - 1;
		}
		at += snprintf(out + at, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
		return (size_t)at;
	}
	if (exponent < 0) {
		at += snprintf(out + at, 8, "0.%.*s", -exponent - 1, "0000");
		memcpy(out + at, digits, (size_t)count);
		at += count;
	} else {
		for (int i = 0; i < MAX(count, exponent + 2); i++) {
			if (i == exponent + 1)
				out[at++] = '.';
			out[at++] = i < count ? digits[i] : '0';
		}
	}
	out[at] = 0;
	return (size_t)at;
}

static void trim_spaces(const char **text, size_t *bytes)
{
	while (*bytes && is_space((uint8_t) * *text) && (uint8_t) * *text < 128) {
		++*text;
		--*bytes;
	}
	while (*bytes && (uint8_t)(*text)[*bytes - 1] < 128 &&
	       is_space((uint8_t)(*text)[*bytes - 1]))
		--*bytes;
}

/* Copies without underscores, which have to stand between digits. */
static bool without_underscores(const char *text, size_t bytes, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '_') {
			if (!i || i + 1 == bytes || text[i - 1] == '_' || text[i + 1] == '_' ||
			    !strchr("0123456789abcdefABCDEFxXoO", text[i - 1]) ||
			    !strchr("0123456789abcdefABCDEF", text[i + 1]))
				return false;
			continue;
		}
		if (!text[i] || n + 1 >= room)
			return false;
		out[n++] = text[i];
	}
	out[n] = 0;
	return n > 0;
}

bool parse_real(const char *text, size_t bytes, double *out)
{
	char number[400], *end;
	const char *sign;
	locale_t c;

	trim_spaces(&text, &bytes);
	if (!without_underscores(text, bytes, number, sizeof(number)))
		return false;
	sign = number + (number[0] == '-' || number[0] == '+');
	if (!(*sign >= '0' && *sign <= '9') && *sign != '.' && !ascii_same(sign, "inf") &&
	    !ascii_same(sign, "infinity") && !ascii_same(sign, "nan"))
		return false;
	if (strpbrk(number, "xX"))
		return false;
	c = newlocale(LC_ALL_MASK, "C", NULL);
	if (!c)
		return false;
	*out = strtod_l(number, &end, c);
	freelocale(c);
	return end != number && !*end;
}

bool parse_integer(const char *text, size_t bytes, int base, int64_t *out, bool *too_big)
{
	char number[400], *end;
	const char *digits;

	*too_big = false;
	trim_spaces(&text, &bytes);
	if (!without_underscores(text, bytes, number, sizeof(number)))
		return false;
	digits = number + (number[0] == '-' || number[0] == '+');
	if (digits[0] == '0' && digits[1] && strchr("bBoO", digits[1]) && (base == 2 || base == 8))
		memmove((char *)digits, digits + 2, strlen(digits + 2) + 1);
	if (!*digits || *digits == '-' || *digits == '+' || *digits == ' ' ||
	    (base != 16 && strpbrk(digits, "xX")))
		return false;
	errno = 0;
	*out = strtoll(number, &end, base);
	*too_big = errno == ERANGE;
	return end != number && !*end;
}
