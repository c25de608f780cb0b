// SPDX-License-Identifier: MIT
/*
 * Values that a model writes, made JSON while they come: what is JSON stays as it is, byte for
 * byte, and what is nearly JSON becomes it (raw line feeds and wrong escapes in strings, Python's
 * words and quotes, keys without quotes).
 */
#include "serve/calls_value.h"

#include <stdlib.h>
#include <string.h>

#include "serve/text.h"

enum {
	AT_VALUE,
	AT_FIRST, /* a value or the end of an array */
	AT_KEY,
	AT_FIRST_KEY, /* or the end of an object */
	AT_COLON,
	AT_NEXT,  /* comma or closing bracket */
	AT_QUOTE, /* inside the opening @quote */
	AT_STRING,
	AT_ESCAPE,
	AT_DIGITS,
	AT_WORD,
	AT_END,
};

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c == '-' || c == '+' || c == '.' || (c & 0x80);
}

void json_escape(struct text *out, const char *data, size_t bytes)
{
	size_t plain = 0;

	for (size_t i = 0; i < bytes; i++) {
		const unsigned char c = (unsigned char)data[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		text_add(out, data + plain, i - plain);
		plain = i + 1;
		if (c == '"' || c == '\\')
			text_printf(out, "\\%c", c);
		else if (c == '\n')
			text_puts(out, "\\n");
		else if (c == '\t')
			text_puts(out, "\\t");
		else if (c == '\r')
			text_puts(out, "\\r");
		else
			text_printf(out, "\\u%04x", c);
	}
	text_add(out, data + plain, bytes - plain);
}

void value_begin(struct value *v, enum value_form form, const char *quote, struct text *pending)
{
	*v = (struct value){ .form = form, .quote = quote, .pending = pending };
	text_clear(pending);
	if (form == VALUE_CALLED) {
		v->at = AT_FIRST_KEY;
		v->depth = 1;
		v->objects = 1;
	}
}

/* Where what belongs to strings and words goes: keys wait until a colon follows. */
static struct text *target(struct value *v, struct text *out)
{
	return v->key ? v->pending : out;
}

static bool in_object(const struct value *v)
{
	return v->depth && v->objects >> (v->depth - 1) & 1;
}

static void value_ends(struct value *v)
{
	if (v->key)
		v->at = AT_COLON;
	else
		v->at = v->depth ? AT_NEXT : AT_END;
}

static bool open_bracket(struct value *v, char c, struct text *out)
{
	if (v->depth == VALUE_DEPTH)
		return false;
	v->objects &= ~(1ull << v->depth);
	if (c == '{')
		v->objects |= 1ull << v->depth;
	v->depth++;
	v->at = c == '{' ? AT_FIRST_KEY : AT_FIRST;
	text_add(out, &c, 1);
	return true;
}

static bool close_bracket(struct value *v, char c, struct text *out)
{
	const bool called = v->form == VALUE_CALLED && v->depth == 1;
	const char wanted = called ? ')' : in_object(v) ? '}' : ']';

	if (c != wanted)
		return false;
	text_add(out, in_object(v) ? "}" : "]", 1);
	v->depth--;
	v->key = false;
	value_ends(v);
	return true;
}

static void open_string(struct value *v, char closing, struct text *out)
{
	v->at = AT_STRING;
	v->closing = closing;
	v->quoted = 0;
	text_add(target(v, out), "\"", 1);
}

/* A string, a word or what opens @quote; false: none of them. */
static bool begin_scalar(struct value *v, char c, struct text *out)
{
	if (c == '"' || (c == '\'' && v->form != VALUE_JSON)) {
		open_string(v, c, out);
	} else if (v->quote && c == v->quote[0]) {
		v->at = AT_QUOTE;
		v->quoted = 1;
		if (!v->quote[1])
			open_string(v, 0, out);
	} else if (is_word(c)) {
		if (v->key && v->form == VALUE_JSON)
			return false;
		v->at = AT_WORD;
		v->word[0] = c;
		v->word_bytes = 1;
	} else {
		return false;
	}
	return true;
}

static bool is_number(const char *s)
{
	s += *s == '-';
	if (*s == '0')
		s++;
	else if (*s >= '1' && *s <= '9')
		s += strspn(s, "0123456789");
	else
		return false;
	if (*s == '.') {
		const size_t n = strspn(s + 1, "0123456789");

		if (!n)
			return false;
		s += 1 + n;
	}
	if (*s == 'e' || *s == 'E') {
		s += 1 + (s[1] == '+' || s[1] == '-');
		if (!strspn(s, "0123456789"))
			return false;
		s += strspn(s, "0123456789");
	}
	return !*s;
}

/* Another name for a word, itself, or NULL where it has to stand in quotes. */
static const char *word_as_json(const struct value *v)
{
	static const char *const words[][2] = { { "true", "true" },   { "false", "false" },
						{ "null", "null" },   { "True", "true" },
						{ "False", "false" }, { "None", "null" } };

	if (v->key)
		return NULL;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(v->word, words[i][0]) && (i < 3 || v->form != VALUE_JSON))
			return words[i][1];
	return is_number(v->word) ? v->word : NULL;
}

static bool end_word(struct value *v, struct text *out)
{
	const char *json;

	v->word[v->word_bytes] = 0;
	json = word_as_json(v);
	if (!json && v->form == VALUE_JSON)
		return false;
	v->word_bytes = 0;
	if (json) {
		text_puts(out, json);
	} else {
		text_add(target(v, out), "\"", 1);
		json_escape(target(v, out), v->word, strlen(v->word));
		text_add(target(v, out), "\"", 1);
	}
	value_ends(v);
	return true;
}

static void end_string(struct value *v, struct text *out)
{
	text_add(target(v, out), "\"", 1);
	value_ends(v);
}

/* A character of a string; what is plain is added at once by plain_text(). */
static void string_char(struct value *v, char c, struct text *out)
{
	const char *quote = v->quote;

	if (v->closing) {
		if (c == v->closing)
			end_string(v, out);
		else if (c == '\\')
			v->at = AT_ESCAPE;
		else
			json_escape(target(v, out), &c, 1);
		return;
	}
	if (c == quote[v->quoted]) {
		v->quoted++;
		if (!quote[v->quoted])
			end_string(v, out);
		return;
	}
	json_escape(target(v, out), quote, v->quoted);
	v->quoted = c == quote[0];
	if (!v->quoted)
		json_escape(target(v, out), &c, 1);
}

/* JSON has eight escapes and \u; a backslash before anything else is meant as one. */
static void escape_char(struct value *v, char c, struct text *out)
{
	struct text *to = target(v, out);

	v->at = AT_STRING;
	if (c == '\'') {
		text_add(to, "'", 1);
	} else if (strchr("\"\\/bfnrt", c) && c) {
		text_printf(to, "\\%c", c);
	} else if (c == 'u' || (c == 'x' && v->form != VALUE_JSON)) {
		text_puts(to, c == 'u' ? "\\u" : "\\u00");
		v->digits = c == 'u' ? 4 : 2;
		v->at = AT_DIGITS;
	} else {
		text_puts(to, "\\\\");
		json_escape(to, &c, 1);
	}
}

static bool key_char(struct value *v, char c, struct text *out)
{
	if (is_space(c))
		return true;
	if (c != ':' && !(c == '=' && v->form == VALUE_CALLED && v->depth == 1))
		return false;
	text_add(out, v->pending->data, v->pending->bytes);
	text_clear(v->pending);
	text_add(out, ":", 1);
	v->key = false;
	v->at = AT_VALUE;
	return true;
}

static bool value_char(struct value *v, char c, struct text *out)
{
	const bool may_close = v->at == AT_FIRST || v->at == AT_FIRST_KEY || v->at == AT_NEXT;

	if (is_space(c)) {
		/* of what goes on, not of what may turn out to be no value at all */
		if (v->depth > (v->form == VALUE_CALLED))
			text_add(out, &c, 1);
		return true;
	}
	if (may_close && (c == ']' || c == '}' || c == ')'))
		return close_bracket(v, c, out);
	if (v->at == AT_NEXT) {
		v->at = in_object(v) ? AT_KEY : AT_VALUE;
		text_add(out, ",", 1);
		return c == ',';
	}
	v->key = v->at == AT_KEY || v->at == AT_FIRST_KEY;
	if (!v->key && (c == '{' || c == '['))
		return open_bracket(v, c, out);
	return begin_scalar(v, c, out);
}

/* One character; false: it can't stand here.  *@taken: it belongs to the value. */
static bool step(struct value *v, char c, struct text *out, bool *taken)
{
	*taken = true;
	switch (v->at) {
	case AT_STRING:
		string_char(v, c, out);
		return true;
	case AT_ESCAPE:
		escape_char(v, c, out);
		return true;
	case AT_DIGITS:
		text_add(target(v, out), &c, 1);
		if (--v->digits == 0)
			v->at = AT_STRING;
		return is_hex(c);
	case AT_QUOTE:
		if (c != v->quote[v->quoted])
			return false;
		if (!v->quote[++v->quoted])
			open_string(v, 0, out);
		return true;
	case AT_COLON:
		return key_char(v, c, out);
	case AT_WORD:
		*taken = is_word(c);
		if (!*taken)
			return end_word(v, out);
		v->word[v->word_bytes++] = c;
		return v->word_bytes < VALUE_WORD;
	default:
		return value_char(v, c, out);
	}
}

/* How many bytes of a string are nothing but themselves. */
static size_t plain_text(const struct value *v, const char *data, size_t bytes)
{
	size_t n = 0;

	if (v->at != AT_STRING || v->quoted)
		return 0;
	while (n < bytes && (unsigned char)data[n] >= 0x20 && data[n] != '"' && data[n] != '\\' &&
	       data[n] != v->closing && (v->closing || data[n] != v->quote[0]))
		n++;
	return n;
}

enum value_state value_read(struct value *v, const char *data, size_t bytes, bool final,
			    struct text *out, size_t *used)
{
	size_t i = 0;

	*used = 0;
	if (!v->started && v->form == VALUE_CALLED)
		text_add(out, "{", 1);
	v->started = true;
	while (i < bytes && v->at != AT_END) {
		const size_t plain = plain_text(v, data + i, bytes - i);
		bool taken;

		if (plain) {
			text_add(target(v, out), data + i, plain);
			i += plain;
			continue;
		}
		if (!step(v, data[i], out, &taken))
			return VALUE_BROKEN;
		i += taken;
		/* keys are held back: not without end */
		if (v->pending->bytes > VALUE_KEY)
			return VALUE_BROKEN;
	}
	*used = i;
	if (final && v->at == AT_WORD && !v->depth && !end_word(v, out))
		return VALUE_BROKEN;
	return v->at == AT_END ? VALUE_DONE : final ? VALUE_BROKEN : VALUE_MORE;
}
