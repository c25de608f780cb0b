// SPDX-License-Identifier: MIT
/* Strings: minLength, maxLength, pattern, format. */
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

/* @regex is replaced by @bounded where there is a maxLength that it could exceed. */
static const struct format {
	const char *name, *regex, *bounded;
} formats[] = {
	{ "date", DATE, NULL },
	{ "date-time", DATE "T" TIME, NULL },
	{ "email", EMAIL, NULL },
	{ "hostname", HOSTNAME, NULL },
	{ "ipv4", IPV4, NULL },
	{ "ipv6", IPV6, NULL },
	{ "time", TIME, NULL },
	{ "uri", URI("*", "*", "*"), URI("{0,300}", "{0,100}", "{0,60}") },
	{ "uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
	  NULL },
};

static const struct format *find_format(const struct json *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (name->bytes == strlen(formats[i].name) &&
		    !memcmp(name->text, formats[i].name, name->bytes))
			return &formats[i];
	return NULL;
}

bool is_known_format(const struct json *name)
{
	return find_format(name);
}

/* The leaf's one "pattern" or "format"; two that differ would have to be intersected. */
static const struct json *shape_of(const struct leaf *leaf)
{
	static const char *const keywords[] = { "pattern", "format" };
	const struct json *found = NULL;

	for (size_t i = 0; i < leaf->count; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(keywords); k++) {
			const struct json *v = json_get(leaf->nodes[i], keywords[k]);

			if (v && found &&
			    (strcmp(found->key, v->key) != 0 || !json_equal(leaf->s->t, v, found)))
				translation_fail(
					leaf->s->t, -EINVAL,
					"\"%s\" at %s beside the one at %s isn't supported", v->key,
					json_pointer(leaf->s->t, v),
					json_pointer(leaf->s->t, found));
			found = found ? found : v;
		}
	}
	return found;
}

static struct regex parse_shape(struct schema *s, const struct json *shape, bool bounded)
{
	const struct format *f = shape->key[0] == 'f' ? find_format(shape) : NULL;
	const char *regex = f && bounded && f->bounded ? f->bounded : f ? f->regex : NULL;
	char where[256];

	if (f)
		return regex_parse(s->t, regex, strlen(regex), REGEX_TEXT, "");
	snprintf(where, sizeof(where), "\"pattern\" at %s: ", json_pointer(s->t, shape));
	return regex_parse(s->t, shape->text, shape->bytes, REGEX_JSON, where);
}

/* The characters between the quotes where there is a pattern or a format. */
static const struct expression *shaped(const struct leaf *leaf, const struct json *shape,
				       const struct json *least_from, uint32_t least,
				       const struct json *most_from, uint32_t most)
{
	struct schema *s = leaf->s;
	const struct regex r = parse_shape(s, shape, most != WITHOUT_END);
	const bool enough = r.least >= least, few = r.most <= most || most == WITHOUT_END;

	if (!enough && r.most < least)
		return contradiction(s, shape, least_from);
	if (!few && r.least > most)
		return contradiction(s, shape, most_from);
	if (enough && few)
		return r.expression;
	if (!r.flexible)
		translation_fail(s->t, -EINVAL, "\"%s\" at %s beside the %s at %s isn't supported",
				 enough ? "maxLength" : "minLength",
				 json_pointer(s->t, enough ? most_from : least_from), shape->key,
				 json_pointer(s->t, shape));
	return regex_limit(s->t, r.flexible, least, most);
}

const struct expression *leaf_string(const struct leaf *leaf)
{
	struct translation *t = leaf->s->t;
	const struct json *shape = shape_of(leaf), *least_from, *most_from;
	struct parts all = { 0 };
	uint32_t least, most;

	least_from = leaf_least(leaf, "minLength", &least);
	most_from = leaf_most(leaf, "maxLength", &most);
	if (least > most)
		return contradiction(leaf->s, least_from, most_from);
	if (!shape && !least && most == WITHOUT_END)
		return builtin(t, BUILTIN_STRING);
	add_text(t, &all, "\"");
	if (shape)
		add_part(t, &all, shaped(leaf, shape, least_from, least, most_from, most));
	else
		add_part(t, &all, expression_repeat(t, builtin(t, BUILTIN_CHARACTER), least, most));
	add_text(t, &all, "\"");
	return expression_sequence(t, &all);
}
