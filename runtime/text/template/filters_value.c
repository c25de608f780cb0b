// SPDX-License-Identifier: MIT
/* Filters over numbers and any value, JSON, and the look-up of all of them. */
#include <math.h>
#include <stdio.h>

#include "text/template/builtins.h"

#define FILTER(name)                                                                      \
	static struct value name(struct job *j, struct value self, const struct value *a, \
				 const struct arguments *all)

const struct text *need_text(struct job *j, struct value v, const char *what)
{
	need_defined(j, v);
	if (v.kind != VALUE_TEXT)
		job_fail(j, -EINVAL, "%s has to be a string, not '%s'", what, type_name(v));
	return v.text;
}

const struct builtin *find_builtin_in(const struct builtins *table, const char *name, size_t bytes)
{
	for (size_t i = 0; i < table->count; i++)
		if (strlen(table->list[i].name) == bytes &&
		    !memcmp(table->list[i].name, name, bytes))
			return &table->list[i];
	return NULL;
}

const struct builtin *find_filter(const char *name, size_t bytes)
{
	const struct builtins *const tables[] = { &value_filters, &text_filters,
						  &sequence_filters };
	const struct builtin *b = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(tables) && !b; i++)
		b = find_builtin_in(tables[i], name, bytes);
	return b;
}

FILTER(filter_abs)
{
	(void)a, (void)all;
	need_defined(j, self);
	if (self.kind == VALUE_FLOAT)
		return real(fabs(self.real));
	if (!is_number(self))
		job_fail(j, -EINVAL, "bad operand type for abs(): '%s'", type_name(self));
	self = integer(to_integer(j, self, "a number"));
	return self.integer < 0 ? negative(j, self) : self;
}

FILTER(filter_attr)
{
	const struct text *name = to_text(j, a[0]);

	(void)all;
	if (self.kind == VALUE_DICT && !find_method(self, name->data, name->bytes))
		return (struct value){ .kind = VALUE_UNDEFINED };
	return attribute(j, self, name);
}

FILTER(filter_default)
{
	(void)all;
	if (self.kind == VALUE_UNDEFINED || (flag_or(a[1], false) && !truth(self)))
		return is_given(a[0]) ? a[0] : constant_value(j, "");
	return self;
}

FILTER(filter_length)
{
	(void)a, (void)all;
	return integer((int64_t)value_length(j, self));
}

FILTER(filter_float)
{
	double d;

	(void)all;
	need_defined(j, self);
	if (is_number(self))
		return real(to_real(self));
	if (self.kind == VALUE_TEXT)
		job_work(j, 32 + 4 * self.text->bytes);
	if (self.kind == VALUE_TEXT && parse_real(self.text->data, self.text->bytes, &d))
		return real(d);
	return is_given(a[0]) ? a[0] : real(0);
}

FILTER(filter_int)
{
	const struct value fallback = is_given(a[0]) ? a[0] : integer(0);
	const int64_t base = integer_or(j, a[1], 10, "base");
	bool large;
	int64_t i;
	double d;

	(void)all;
	need_defined(j, self);
	if (base != 0 && (base < 2 || base > 36))
		return fallback;
	if (self.kind == VALUE_FLOAT)
		return isnan(self.real) ? fallback : real_to_integer(j, self.real);
	if (is_number(self))
		return integer(to_integer(j, self, "a number"));
	if (self.kind != VALUE_TEXT)
		return fallback;
	job_work(j, 32 + 4 * self.text->bytes);
	if (parse_integer(self.text->data, self.text->bytes, (int)base, &i, &large)) {
		if (large)
			job_fail(j, -EINVAL, "a whole number has more than 64 bits");
		return integer(i);
	}
	if (!parse_real(self.text->data, self.text->bytes, &d) || !isfinite(d))
		return fallback;
	return real_to_integer(j, d);
}

/* Half to even, of the exact value. */
static double round_real(double d, int64_t digits)
{
	char text[700];

	if (!isfinite(d) || digits > 300)
		return d;
	if (digits < 0) {
		const long double scale = powl(10, (long double)-MAX(digits, (int64_t)-400));

		return (double)(rintl(d / scale) * scale);
	}
	snprintf(text, sizeof(text), "%.*f", (int)digits, d);
	return strtod(text, NULL); /* in the locale that wrote it */
}

FILTER(filter_round)
{
	const int64_t digits = integer_or(j, a[0], 0, "precision");
	const struct text *method = is_given(a[1]) ? need_text(j, a[1], "method") : NULL;
	double scale;

	(void)all;
	need_defined(j, self);
	if (!is_number(self))
		job_fail(j, -EINVAL, "type %s doesn't define __round__ method", type_name(self));
	if (method && !text_is(method, "common")) {
		if (!text_is(method, "ceil") && !text_is(method, "floor"))
			job_fail(j, -EINVAL, "method must be common, ceil or floor");
		scale = pow(10, (double)digits);
		scale = (method->data[0] == 'c' ? ceil(to_real(self) * scale)
						: floor(to_real(self) * scale)) /
			scale;
		return real(scale);
	}
	job_step(j, 100);
	if (self.kind == VALUE_FLOAT)
		return real(round_real(self.real, digits));
	self = integer(to_integer(j, self, "a number"));
	if (digits >= 0)
		return self;
	return real_to_integer(j, round_real((double)self.integer, digits));
}

FILTER(filter_filesizeformat)
{
	static const char *const units[] = {
		"kB",  "MB",  "GB",  "TB",  "PB",  "EB",  "ZB",	 "YB",
		"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"
	};
	const bool binary = flag_or(a[0], false);
	const double base = binary ? 1024 : 1000;
	double bytes = 0, unit = base;
	char text[64];
	size_t i = 0;

	(void)all;
	need_defined(j, self);
	if (is_number(self))
		bytes = to_real(self);
	else if (self.kind != VALUE_TEXT || !parse_real(self.text->data, self.text->bytes, &bytes))
		job_fail(j, -EINVAL, "filesizeformat takes a number");
	if (bytes == 1)
		return constant_value(j, "1 Byte");
	if (bytes < base) {
		snprintf(text, sizeof(text), "%lld Bytes",
			 (long long)real_to_integer(j, bytes).integer);
		return text_value(new_text(j, text, strlen(text), false));
	}
	while (bytes >= unit * base && i < 7) {
		unit *= base;
		i++;
	}
	const struct text *number = format_spec(j, real(bytes / unit), ".1f", 3);

	number = text_concat(j, number, constant(j, " "));
	return text_value(text_concat(j, number, constant(j, units[i + (binary ? 8 : 0)])));
}

FILTER(filter_pprint)
{
	(void)a, (void)all;
	return text_value(repr_text(j, self));
}

FILTER(filter_tojson)
{
	struct json_options o = { .ascii = flag_or(a[0], false), .sort = flag_or(a[3], false) };

	(void)all;
	if (is_given(a[1]) && a[1].kind != VALUE_NONE)
		o.indent_text =
			a[1].kind == VALUE_TEXT
				? a[1].text
				: text_repeat(j, constant(j, " "), to_integer(j, a[1], "indent"));
	o.item = constant(j, o.indent_text ? "," : ", ");
	o.key = constant(j, ": ");
	if (is_given(a[2]) && a[2].kind != VALUE_NONE) {
		const struct sequence *s = to_sequence(j, a[2], FLAVOUR_TUPLE);

		if (s->count != 2)
			job_fail(j, -EINVAL, "separators have to be two");
		o.item = need_text(j, s->items[0], "a separator");
		o.key = need_text(j, s->items[1], "a separator");
	}
	return text_value(to_json(j, self, &o));
}

FILTER(filter_from_json)
{
	const struct text *t = need_text(j, self, "from_json's input");

	(void)a, (void)all;
	job_work(j, SLOW * t->bytes);
	return from_json(j, t->data, t->bytes, "from_json", is_marked(t));
}

static const struct builtin filters[] = {
	{ "abs", "", 0, filter_abs },
	{ "attr", "name", 1, filter_attr },
	{ "count", "", 0, filter_length },
	{ "d", "default_value boolean", 0, filter_default },
	{ "default", "default_value boolean", 0, filter_default },
	{ "filesizeformat", "binary", 0, filter_filesizeformat },
	{ "float", "default", 0, filter_float },
	{ "from_json", "", 0, filter_from_json },
	{ "fromjson", "", 0, filter_from_json },
	{ "int", "default base", 0, filter_int },
	{ "length", "", 0, filter_length },
	{ "pprint", "", 0, filter_pprint },
	{ "round", "precision method", 0, filter_round },
	{ "tojson", "ensure_ascii indent separators sort_keys", 0, filter_tojson },
};

const struct builtins value_filters = { filters, ARRAY_SIZE(filters) };
