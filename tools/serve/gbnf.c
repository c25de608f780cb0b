// SPDX-License-Identifier: MIT
/* Grammars put together as text: names of rules get a prefix, so that they don't meet. */
#include "serve/gbnf.h"

#include <stdbool.h>
#include <string.h>

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-';
}

/* Behind what begins with the character at @at and isn't made of names: a literal, a class, a
 * token, a count, a comment. */
static const char *skip(const char *at)
{
	static const char begin[] = "\"[<{#", end[] = "\"]>}\n";
	const char *kind = *at ? strchr(begin, *at) : NULL;
	char last;

	if (!kind)
		return at + 1;
	last = end[kind - begin];
	for (at++; *at && *at != last; at++)
		at += *at == '\\' && at[1] && last != '\n';
	return at + (*at != 0);
}

static void rename_rules(const char *gbnf, const char *prefix, struct text *out)
{
	while (*gbnf) {
		const char *end = gbnf;

		while (is_name(*end))
			end++;
		if (end > gbnf)
			text_puts(out, prefix);
		else
			end = skip(gbnf);
		text_add(out, gbnf, (size_t)(end - gbnf));
		gbnf = end;
	}
	text_puts(out, "\n");
}

void gbnf_either(const char *a, const char *b, struct text *out)
{
	text_puts(out, "root ::= a-root | b-root\n");
	rename_rules(a, "a-", out);
	rename_rules(b, "b-", out);
}
