// SPDX-License-Identifier: MIT
/* Numbers: minimum, maximum and their exclusive ones, and formats that are about them. */
#include "grammar/schema.h"

/* OpenAPI's, and those that libraries write for their languages' types. */
static const struct {
	const char *name, *low, *high;
} formats[] = {
	{ "int", "-2147483648", "2147483647" },
	{ "int8", "-128", "127" },
	{ "int16", "-32768", "32767" },
	{ "int32", "-2147483648", "2147483647" },
	{ "int64", "-9223372036854775808", "9223372036854775807" },
	{ "uint", "0", "4294967295" },
	{ "uint8", "0", "255" },
	{ "uint16", "0", "65535" },
	{ "uint32", "0", "4294967295" },
	{ "uint64", "0", "18446744073709551615" },
};

bool format_bounds(const struct json *name, const char **low, const char **high)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (name->bytes == strlen(formats[i].name) &&
		    !memcmp(name->text, formats[i].name, name->bytes)) {
			*low = formats[i].low;
			*high = formats[i].high;
			return true;
		}
	return false;
}

/* A number that a format says, at its place. */
static const struct json *said_by(struct schema *s, const struct json *format, const char *number)
{
	struct json *v = translation_alloc(s->t, sizeof(*v));

	*v = *format;
	v->kind = JSON_NUMBER;
	v->text = number;
	v->bytes = strlen(number);
	return v;
}

/* Takes @value for @bound if it leaves less: @sign 1 for lower bounds, -1 for upper ones. */
static void narrow(struct schema *s, struct bound *bound, const struct json *value, bool exclusive,
		   int sign)
{
	const struct decimal d = decimal_of(value);
	int order;

	if (d.huge && d.negative == (sign > 0))
		return; /* no number that is written here is so large */
	if (d.huge || d.tiny)
		refuse(s, value, "has more than 18 digits before or behind its point");
	order = bound->from ? sign * decimal_compare(&d, &bound->value) : 1;
	if (order > 0 || (!order && exclusive))
		*bound = (struct bound){ .from = value, .value = d, .exclusive = exclusive };
}

static void narrow_by_format(struct schema *s, const struct json *format, struct bound *low,
			     struct bound *high)
{
	const char *least, *most;

	if (!format || !format_bounds(format, &least, &most))
		return;
	narrow(s, low, said_by(s, format, least), false, 1);
	narrow(s, high, said_by(s, format, most), false, -1);
}

static void find_bounds(const struct leaf *leaf, struct bound *low, struct bound *high)
{
	static const struct {
		const char *name, *exclusive;
		int sign;
	} keywords[] = { { "minimum", "exclusiveMinimum", 1 },
			 { "maximum", "exclusiveMaximum", -1 } };

	*low = *high = (struct bound){ 0 };
	for (size_t i = 0; i < leaf->count; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(keywords); k++) {
			struct bound *bound = k ? high : low;
			const struct json *v = json_get(leaf->nodes[i], keywords[k].name);
			const struct json *e = json_get(leaf->nodes[i], keywords[k].exclusive);

			/* in drafts up to 4 it says how the other is meant */
			if (v)
				narrow(leaf->s, bound, v, e && e->kind == JSON_TRUE,
				       keywords[k].sign);
			if (e && e->kind == JSON_NUMBER)
				narrow(leaf->s, bound, e, true, keywords[k].sign);
		}
		narrow_by_format(leaf->s, json_get(leaf->nodes[i], "format"), low, high);
	}
}

const struct expression *leaf_number(const struct leaf *leaf, bool whole)
{
	struct translation *t = leaf->s->t;
	struct bound low, high;
	int order;

	find_bounds(leaf, &low, &high);
	if (!low.from && !high.from)
		return builtin(t, whole ? BUILTIN_INTEGER : BUILTIN_NUMBER);
	order = low.from && high.from ? decimal_compare(&low.value, &high.value) : -1;
	if (order > 0 || (!order && (low.exclusive || high.exclusive)))
		return contradiction(leaf->s, low.from, high.from);
	return decimals_between(t, &low, &high, whole);
}

bool number_allowed(const struct leaf *leaf, const struct json *number)
{
	const struct decimal d = decimal_of(number);
	struct bound low, high;
	int order;

	find_bounds(leaf, &low, &high);
	if (!low.from && !high.from)
		return true;
	if (d.huge || d.tiny)
		translation_fail(
			leaf->s->t, -EINVAL,
			"the number at %s has more than 18 digits before or behind its point",
			json_pointer(leaf->s->t, number));
	order = low.from ? decimal_compare(&d, &low.value) : 1;
	if (order < 0 || (!order && low.exclusive))
		return false;
	order = high.from ? decimal_compare(&d, &high.value) : -1;
	return order < 0 || (!order && !high.exclusive);
}
