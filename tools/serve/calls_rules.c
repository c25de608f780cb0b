// SPDX-License-Identifier: MIT
/* GBNF that is put together: marks with control tokens, schemas, texts up to a mark. */
#include "serve/calls_rules.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>

enum { MAX_TOKEN = 128 };

/* --- literals -----------------------------------------------------------------------------------
 */

static void put_escaped(struct text *out, const char *s, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		const unsigned char c = (unsigned char)s[i];

		if (c == '\n')
			text_puts(out, "\\n");
		else if (c == '"' || c == '\\' || c == '[' || c == ']' || c == '-' || c == '^')
			text_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			text_printf(out, "\\x%02X", c);
		else
			text_add(out, s + i, 1);
	}
}

static void put_literal(struct text *out, const char *s, size_t bytes)
{
	if (!bytes)
		return;
	text_puts(out, "\"");
	put_escaped(out, s, bytes);
	text_puts(out, "\" ");
}

void rule_literal(struct text *out, const char *s)
{
	put_literal(out, s, strlen(s));
}

/* --- marks --------------------------------------------------------------------------------------
 */

/* The next control token in @s: where, and its length; false: there is none. */
static bool next_token(const struct stoker_vocabulary *vocabulary, const char *s, size_t *begin,
		       size_t *bytes, uint32_t *token)
{
	const size_t length = strlen(s);

	/* marks are short: every place, the longest token first */
	for (size_t from = 0; vocabulary && from < length; from++) {
		if (!strchr("<[", s[from]))
			continue;
		for (size_t n = length - from; n > 2; n--) {
			const int64_t id = stoker_vocabulary_find(vocabulary, s + from, n);
			char text[4];

			if (id < 0 ||
			    stoker_vocabulary_text(vocabulary, (uint32_t)id, 0, text, sizeof(text)))
				continue;
			*begin = from;
			*bytes = n;
			*token = (uint32_t)id;
			return true;
		}
	}
	return false;
}

void rule_mark(struct text *out, const struct stoker_vocabulary *vocabulary, const char *mark)
{
	size_t begin, bytes;
	uint32_t token;

	while (next_token(vocabulary, mark, &begin, &bytes, &token)) {
		put_literal(out, mark, begin);
		text_printf(out, "<[%u]> ", token);
		mark += begin + bytes;
	}
	rule_literal(out, mark);
}

bool mark_begins_with_token(const struct stoker_vocabulary *vocabulary, const char *mark,
			    uint32_t *token, size_t *bytes)
{
	size_t begin = 0, length;

	*bytes = strlen(mark);
	if (!next_token(vocabulary, mark, &begin, &length, token))
		return false;
	*bytes = begin;
	return begin == 0;
}

/* --- texts up to a mark -------------------------------------------------------------------------
 */

static size_t character(const char *s)
{
	size_t n = 1;

	while ((s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static void put_class_without(struct text *out, const char *a, const char *b)
{
	text_puts(out, "[^");
	put_escaped(out, a, character(a));
	if (strncmp(a, b, character(a)) != 0)
		put_escaped(out, b, character(b));
	text_puts(out, "] ");
}

/* Beginnings of @mark of @from bytes and more, each on its own or with something that ends it. */
static void put_beginnings(struct text *out, const char *mark, size_t bytes, bool ended)
{
	text_puts(out, "( ");
	for (size_t n = character(mark); n < bytes; n += character(mark + n)) {
		if (n > character(mark))
			text_puts(out, "| ");
		put_literal(out, mark, n);
		if (ended)
			put_class_without(out, mark + n, mark);
	}
	text_puts(out, ") ");
}

/*
 * A mark's first character comes in it only once, or it is cut in front of the second one.  So a
 * beginning of it is ended by another beginning, by a character that is neither that one nor the
 * mark's next, or by the end.
 */
void rule_until(struct text *out, const struct stoker_vocabulary *vocabulary, const char *mark)
{
	uint32_t token;
	size_t bytes;
	const char *again;

	if (mark_begins_with_token(vocabulary, mark, &token, &bytes)) {
		text_puts(out, ".* "); /* of which control tokens aren't a part */
		return;
	}
	again = strchr(mark + 1, mark[0]);
	if (again && (size_t)(again - mark) < bytes)
		bytes = (size_t)(again - mark);
	text_puts(out, "( ");
	put_class_without(out, mark, mark);
	text_puts(out, "| ");
	put_beginnings(out, mark, bytes, false);
	text_puts(out, "* ");
	put_beginnings(out, mark, bytes, true);
	text_puts(out, ")* ");
	put_beginnings(out, mark, bytes, false);
	text_puts(out, "* ");
}

/* --- schemas ------------------------------------------------------------------------------------
 */

static bool in_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-';
}

/* How long a string, class or count is that begins here; 0: none does. */
static size_t not_names(const char *s)
{
	const char end = *s == '"' ? '"' : *s == '[' ? ']' : *s == '{' ? '}' : 0;
	size_t n = 1;

	if (!end)
		return 0;
	while (s[n] && s[n] != end)
		n += s[n] == '\\' && s[n + 1] ? 2 : 1;
	return s[n] ? n + 1 : n;
}

int rules_of_schema(struct text *out, const char *prefix, struct json_object *schema,
		    struct stoker_error *err)
{
	const char *json = json_object_to_json_string_ext(schema, JSON_C_TO_STRING_PLAIN);
	char *gbnf, *s;
	const int ret = json ? stoker_grammar_from_schema(json, strlen(json), &gbnf, err) : -ENOMEM;

	if (ret)
		return ret;
	for (s = gbnf; *s;) {
		size_t n = not_names(s);

		if (!n && in_name(*s)) {
			text_puts(out, prefix);
			while (in_name(s[n]))
				n++;
		}
		text_add(out, s, n ? n : 1);
		s += n ? n : 1;
	}
	text_puts(out, "\n");
	stoker_free(gbnf);
	return 0;
}
