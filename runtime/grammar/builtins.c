// SPDX-License-Identifier: MIT
/* What JSON is made of, as regular expressions. */
#include "grammar/regex.h"

/* Numbers have an end, so that nobody writes digits for ever. */
static const struct {
	const char *name, *regex;
} builtins[BUILTIN_COUNT] = {
	[BUILTIN_COMMA] = { "comma", ", ?" },
	[BUILTIN_COLON] = { "colon", ": ?" },
	[BUILTIN_STRING] = { "string", NULL },
	[BUILTIN_CHARACTER] = { "char",
				"[^\"\\\\\\x00-\\x1f]|\\\\(?:[\"\\\\/bfnrt]|u(?:"
				"[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}|"
				"[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}))" },
	[BUILTIN_PLAIN] = { "plain", NULL },
	[BUILTIN_ESCAPED] = { "escaped", "\\\\(?:[\"\\\\bfnrt]|u00(?:0[0-7be-f]|1[0-9a-f]))" },
	[BUILTIN_BOOLEAN] = { "boolean", "true|false" },
	[BUILTIN_NULL] = { "null", "null" },
	[BUILTIN_INTEGER] = { "integer", "-?[1-9][0-9]{0,17}|0" },
	[BUILTIN_NUMBER] = { "number", "-?(?:0|[1-9][0-9]{0,17})(?:\\.[0-9]{1,18})?"
				       "(?:[eE][+\\-]?[0-9]{1,2})?" },
};

static const struct expression *make(struct translation *t, enum builtin which)
{
	static const struct span as_they_are[] = {
		{ 0x20, 0x21 }, { 0x23, 0x5b }, { 0x5d, 0xd7ff }, { 0xe000, 0x10ffff }
	};
	struct parts parts = { 0 };

	if (which == BUILTIN_STRING) {
		add_text(t, &parts, "\"");
		add_part(t, &parts,
			 expression_repeat(t, builtin(t, BUILTIN_CHARACTER), 0, WITHOUT_END));
		add_text(t, &parts, "\"");
		return expression_sequence(t, &parts);
	}
	if (which == BUILTIN_PLAIN) {
		add_part(t, &parts, expression_class(t, as_they_are, ARRAY_SIZE(as_they_are)));
		add_part(t, &parts, builtin(t, BUILTIN_ESCAPED));
		return expression_choice(t, &parts);
	}
	return regex_parse(t, builtins[which].regex, strlen(builtins[which].regex), REGEX_TEXT, "")
		.expression;
}

const struct expression *builtin(struct translation *t, enum builtin which)
{
	if (!t->builtins) {
		t->builtins = translation_alloc(t, BUILTIN_COUNT * sizeof(struct production *));
		memset(t->builtins, 0, BUILTIN_COUNT * sizeof(struct production *));
	}
	if (!t->builtins[which]) {
		t->builtins[which] = new_production(t, builtins[which].name);
		t->builtins[which]->body = make(t, which);
	}
	return expression_call(t, t->builtins[which]);
}
