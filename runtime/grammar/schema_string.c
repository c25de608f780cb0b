// SPDX-License-Identifier: MIT
/* Strings: minLength, maxLength, pattern, and format where it is about them. */
#include "grammar/schema.h"

#include <stdio.h>

#define YEAR "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
#define LEAP_YEAR \
	"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
#define DATE                                                            \
	"(?:" YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|" \
	"(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" LEAP_YEAR "-02-29)"
#define TIME                                                           \
	"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?" \
	"(?:Z|[+\\-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

/* RFC 1123: up to 253 characters, labels up to 63; a hyphen between others. */
#define LABEL(more) "[0-9A-Za-z](?:-?[0-9A-Za-z]){0," more "}"
#define HOSTNAME                                                                                   \
	"(?:" LABEL("29") "(?:\\." LABEL("29") "){0,3}|" LABEL("14") "(?:\\." LABEL("14") "){4,7}" \
											  ")"

/* RFC 5321: up to 254 characters, 64 before the @; RFC 5322's dot-atom. */
#define ATOM "[0-9A-Za-z!#$%&'*+/=?^_`{|}~\\-]{1,15}"
#define EMAIL ATOM "(?:\\." ATOM "){0,3}@" LABEL("22") "(?:\\." LABEL("22") "){1,3}"

/* Those two in texts that are short anyway: parts of any length. */
#define ANY_LABEL "[0-9A-Za-z](?:-?[0-9A-Za-z])*"
#define ANY_ATOM "[0-9A-Za-z!#$%&'*+/=?^_`{|}~\\-]+"
#define SHORT_HOSTNAME ANY_LABEL "(?:\\." ANY_LABEL ")*"
#define SHORT_EMAIL ANY_ATOM "(?:\\." ANY_ATOM ")*@" ANY_LABEL "(?:\\." ANY_LABEL ")+"

#define BASE64 "(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?"
/* ISO 8601 as RFC 3339 has it */
#define CLOCK \
	"(?:[0-9]{1,9}H(?:[0-9]{1,9}M(?:[0-9]{1,9}S)?)?|[0-9]{1,9}M(?:[0-9]{1,9}S)?|[0-9]{1,9}S)"
#define CALENDAR \
	"(?:[0-9]{1,9}Y(?:[0-9]{1,9}M(?:[0-9]{1,9}D)?)?|[0-9]{1,9}M(?:[0-9]{1,9}D)?|[0-9]{1,9}D)"
#define DURATION "P(?:" CALENDAR "(?:T" CLOCK ")?|T" CLOCK "|[0-9]{1,9}W)"

/* RFC 3986; of RFC 4291 */
#define OCTET "(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
#define IPV4 OCTET "(?:\\." OCTET "){3}"
#define H16 "[0-9a-fA-F]{1,4}"
#define LS32 "(?:" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                      \
	"(?:(?:" H16 ":){6}" LS32 "|::(?:" H16 ":){5}" LS32 "|(?:" H16 ")?::(?:" H16 ":){4}" LS32 \
	"|(?:" H16 "(?::" H16 "){0,1})?::(?:" H16 ":){3}" LS32 "|(?:" H16 "(?::" H16              \
	"){0,2})?::(?:" H16 ":){2}" LS32 "|(?:" H16 "(?::" H16 "){0,3})?::" H16 ":" LS32          \
	"|(?:" H16 "(?::" H16 "){0,4})?::" LS32 "|(?:" H16 "(?::" H16 "){0,5})?::" H16 "|(?:" H16 \
	"(?::" H16 "){0,6})?::)"

/* A URI whose parts have up to as many characters, or escapes of three. */
#define UNIT(others) "(?:[0-9A-Za-z\\-._~!$&'()*+,;=" others "]|%[0-9a-fA-F]{2})"
#define URI(path, query, fragment)                                                                 \
	"[A-Za-z][0-9A-Za-z+.\\-]{0,15}:(?://(?:" UNIT(                                            \
		":") "{0,32}@)?"                                                                   \
		     "(?:\\[" IPV6 "\\]|" UNIT("") "{0,100})(?::[0-9]{0,5})?(?:/" UNIT(":@/") path \
		")?"                                                                               \
		"|/(?:" UNIT(":@") UNIT(":@/") path ")?|" UNIT(":@") UNIT(":@/") path              \
		")"                                                                                \
		"(?:\\?" UNIT(":@/?") query ")?(?:#" UNIT(":@/?") fragment ")?"

/*
 * @regex is replaced by @bounded where there is a maxLength below @longest, or any if that is 0.
 * @most: of characters then; 0: as many as maxLength says.
 */
static const struct format {
	const char *name, *regex, *bounded;
	uint32_t longest, most;
} formats[] = {
	{ "base64", BASE64 },
	{ "byte", BASE64 },
	{ "date", DATE },
	{ "date-time", DATE "T" TIME },
	{ "duration", DURATION },
	{ "email", EMAIL, SHORT_EMAIL, 247, 64 },
	{ "hostname", HOSTNAME, SHORT_HOSTNAME, 253, 63 },
	{ "ipv4", IPV4 },
	{ "ipv6", IPV6 },
	{ "time", TIME },
	{ "uri", URI("*", "*", "*"), URI("{0,300}", "{0,100}", "{0,60}") },
	{ "uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}" },
};

static bool is_named(const struct json *name, const char *text)
{
	return name->bytes == strlen(text) && !memcmp(name->text, text, name->bytes);
}

static const struct format *find_format(const struct json *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (is_named(name, formats[i].name))
			return &formats[i];
	return NULL;
}

/* Of strings: they say who shows or reads one, not what is in it. */
static bool is_free_format(const struct json *name)
{
	return is_named(name, "binary") || is_named(name, "password") || is_named(name, "path") ||
	       is_named(name, "file-path") || is_named(name, "directory-path");
}

unsigned format_types(const struct json *name)
{
	const char *low, *high;

	if (find_format(name) || is_free_format(name))
		return TYPE_STRING;
	return format_bounds(name, &low, &high) || is_named(name, "float") ||
			       is_named(name, "double")
		       ? TYPE_NUMBER
		       : 0;
}

/* The patterns and formats of a leaf, each once. */
struct shapes {
	const struct json *items[RECOGNIZER_EXPRESSIONS - 1];
	uint32_t count;
};

static void add_shape(const struct leaf *leaf, struct shapes *shapes, const struct json *shape)
{
	for (uint32_t i = 0; i < shapes->count; i++)
		if (shapes->items[i]->key[0] == shape->key[0] &&
		    json_equal(leaf->s->t, shapes->items[i], shape))
			return;
	if (shapes->count == ARRAY_SIZE(shapes->items))
		translation_fail(leaf->s->t, -E2BIG,
				 "more than %zu patterns hold for one string: %s",
				 ARRAY_SIZE(shapes->items), json_pointer(leaf->s->t, shape));
	shapes->items[shapes->count++] = shape;
}

static struct shapes shapes_of(const struct leaf *leaf)
{
	static const char *const keywords[] = { "pattern", "format" };
	struct shapes shapes = { 0 };

	for (size_t i = 0; i < leaf->count; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(keywords); k++) {
			const struct json *v = json_get(leaf->nodes[i], keywords[k]);

			if (v && (!k || find_format(v)))
				add_shape(leaf, &shapes, v);
		}
	}
	return shapes;
}

static const struct format *format_of(const struct json *shape)
{
	return shape->key[0] == 'f' ? find_format(shape) : NULL;
}

static bool is_bounded(const struct format *f, uint32_t most)
{
	return f && f->bounded && most != WITHOUT_END && (!f->longest || most < f->longest);
}

static struct regex parse_shape(struct schema *s, const struct json *shape, uint32_t most,
				enum regex_use use)
{
	const struct format *f = format_of(shape);
	const char *regex = is_bounded(f, most) ? f->bounded : f ? f->regex : NULL;

	if (f)
		return regex_parse(s->t, regex, strlen(regex), REGEX_TEXT, "");
	return parse_pattern(s, "pattern", shape, shape->text, shape->bytes, use);
}

struct regex parse_pattern(struct schema *s, const char *keyword, const struct json *at,
			   const char *text, size_t bytes, enum regex_use use)
{
	char where[300];

	snprintf(where, sizeof(where), "\"%s\" at %s: ", keyword, json_pointer(s->t, at));
	return regex_parse(s->t, text, bytes, use, where);
}

/* All of them, and a length, if there is one, at once. */
static struct recognizer *recognizer_of(struct schema *s, const struct shapes *shapes,
					uint32_t least, uint32_t most)
{
	static const struct span all[] = { { 0, 0xd7ff }, { 0xe000, 0x10ffff } };
	struct recognizer *r = new_recognizer(s->t);
	const struct expression *any = expression_class(s->t, all, ARRAY_SIZE(all));

	for (uint32_t i = 0; i < shapes->count; i++)
		recognizer_add(r, parse_shape(s, shapes->items[i], most, REGEX_FOUND).expression);
	recognizer_add(r, expression_repeat(s->t, any, least, most));
	if (!recognizer_finish(r))
		translation_fail(s->t, -E2BIG,
				 "\"%s\" at %s together with what stands beside it is too large",
				 shapes->items[0]->key, json_pointer(s->t, shapes->items[0]));
	return r;
}

struct recognizer *leaf_shapes(const struct leaf *leaf, uint64_t *all)
{
	const struct shapes shapes = shapes_of(leaf);

	*all = (2ull << shapes.count) - 1;
	return shapes.count ? recognizer_of(leaf->s, &shapes, 0, WITHOUT_END) : NULL;
}

struct wanted {
	struct translation *t;
	uint64_t all;
};

static const struct expression *close_string(void *user, uint64_t matching)
{
	const struct wanted *w = user;

	return matching == w->all ? expression_text(w->t, "\"", 1) : NULL;
}

/* Several shapes, or a length that the shape doesn't keep to; with the quote behind it. */
static const struct expression *intersected(struct schema *s, const struct shapes *shapes,
					    const struct json *length, uint32_t least,
					    uint32_t most)
{
	struct recognizer *r = recognizer_of(s, shapes, least, most);
	struct wanted wanted = { .t = s->t, .all = (2ull << shapes->count) - 1 };

	if (!recognizer_finds(r, wanted.all))
		return contradiction(s, shapes->items[0],
				     shapes->count > 1 ? shapes->items[1] : length);
	return recognizer_texts(r, close_string, &wanted);
}

/* The characters of a string with a pattern or a format, and the quote behind them. */
static const struct expression *shaped(struct schema *s, const struct shapes *shapes,
				       const struct json *length, uint32_t least, uint32_t most)
{
	const struct regex r = parse_shape(s, shapes->items[0], most, REGEX_JSON);
	struct parts parts = { 0 };

	if (r.most < least || r.least > most)
		return contradiction(s, shapes->items[0], length);
	if (r.least >= least && (r.most <= most || most == WITHOUT_END))
		add_part(s->t, &parts, r.expression);
	else if (r.flexible)
		add_part(s->t, &parts, regex_limit(s->t, r.flexible, least, most));
	else
		return intersected(s, shapes, length, least, most);
	add_text(s->t, &parts, "\"");
	return expression_sequence(s->t, &parts);
}

/* How long texts get that obey a format whose parts aren't counted. */
static uint32_t most_of(const struct shapes *shapes, uint32_t least, uint32_t most)
{
	uint32_t shorter = most;

	for (uint32_t i = 0; i < shapes->count; i++) {
		const struct format *f = format_of(shapes->items[i]);

		if (is_bounded(f, most) && f->most)
			shorter = MIN(shorter, f->most);
	}
	return shorter < least ? most : shorter;
}

const struct expression *leaf_string(const struct leaf *leaf)
{
	struct translation *t = leaf->s->t;
	const struct json *least_from, *most_from, *length;
	const struct shapes shapes = shapes_of(leaf);
	struct parts all = { 0 };
	uint32_t least, most;

	least_from = leaf_least(leaf, "minLength", &least);
	most_from = leaf_most(leaf, "maxLength", &most);
	length = most_from ? most_from : least_from;
	if (least > most)
		return contradiction(leaf->s, least_from, most_from);
	if (!shapes.count && !least && most == WITHOUT_END)
		return builtin(t, BUILTIN_STRING);
	add_text(t, &all, "\"");
	most = most_of(&shapes, least, most);
	if (shapes.count == 1) {
		add_part(t, &all, shaped(leaf->s, &shapes, length, least, most));
	} else if (shapes.count) {
		add_part(t, &all, intersected(leaf->s, &shapes, length, least, most));
	} else {
		add_part(t, &all, expression_repeat(t, builtin(t, BUILTIN_CHARACTER), least, most));
		add_text(t, &all, "\"");
	}
	return expression_sequence(t, &all);
}
