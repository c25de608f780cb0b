// SPDX-License-Identifier: MIT
/* Source to tokens: text, tags and the white space around them as Jinja has it. */
#include <stdio.h>

#include "text/template/tree.h"

#include "text/vocabulary.h"

struct lexer {
	struct job *j;
	const struct text *source;
	size_t at;
	struct template_token *tokens;
	size_t count, room;
	char *closing; /* of the parentheses that are open */
	size_t open, closing_room;
};

static void add_token(struct lexer *l, enum token_kind kind, const char *data, size_t bytes,
		      struct value value)
{
	if (l->count == l->room) {
		const size_t room = 2 * l->room + 64;

		l->tokens = job_grow(l->j, l->tokens, l->count * sizeof(*l->tokens),
				     room * sizeof(*l->tokens));
		l->room = room;
	}
	l->tokens[l->count++] = (struct template_token){
		.kind = kind, .line = l->j->line, .data = data, .bytes = bytes, .value = value
	};
}

static const char *rest(const struct lexer *l)
{
	return l->source->data + l->at;
}

static size_t left(const struct lexer *l)
{
	return l->source->bytes - l->at;
}

static bool begins(const struct lexer *l, const char *spelling)
{
	const size_t n = strlen(spelling);

	return left(l) >= n && !memcmp(rest(l), spelling, n);
}

/* Goes on to @at and counts the lines. */
static void advance(struct lexer *l, size_t at)
{
	for (; l->at < at; l->at++)
		l->j->line += l->source->data[l->at] == '\n';
}

static size_t skip_space(const struct lexer *l, size_t at)
{
	uint32_t c;

	while (at < l->source->bytes) {
		const size_t n = character_at(l->source, at, &c);

		if (!is_space(c))
			break;
		at += n;
	}
	return at;
}

/* Text up to @end, where a tag with @sign begins; without the white space it takes away. */
static void add_data(struct lexer *l, size_t end, char sign, bool variable)
{
	const struct text *t = text_part(l->j, l->source, l->at, end);
	size_t bytes = t->bytes;

	if (sign == '-') {
		bytes = text_strip(l->j, t, NULL, false, true)->bytes;
	} else if (sign != '+' && !variable) {
		const char *line = bytes ? memrchr(t->data, '\n', bytes) : NULL;
		const size_t begin = line ? (size_t)(line - t->data) + 1 : 0;

		if ((line || !l->at || l->source->data[l->at - 1] == '\n') &&
		    skip_space(l, l->at + begin) >= end)
			bytes = begin;
	}
	l->j->steps = 0; /* the length of the source is the limit here */
	if (bytes)
		add_token(l, TOKEN_DATA, t->data, bytes, ABSENT);
	advance(l, end);
}

/* Behind a tag's end at @at: "-" takes white space away, nothing a line's end. */
static size_t behind_tag(const struct lexer *l, size_t at, char sign)
{
	if (sign == '-')
		return skip_space(l, at);
	return !sign && at < l->source->bytes && l->source->data[at] == '\n' ? at + 1 : at;
}

/* "{% raw %}" or "{% endraw %}" at @at: its length, with the signs in it. */
static size_t raw_tag(const struct lexer *l, size_t at, const char *word, char *sign, char *last)
{
	const char *s = l->source->data;
	const size_t begin = at, bytes = l->source->bytes, n = strlen(word);

	if (bytes - at < 2 || memcmp(s + at, "{%", 2))
		return 0;
	at += 2;
	*sign = at < bytes && (s[at] == '-' || s[at] == '+') ? s[at++] : 0;
	at = skip_space(l, at);
	if (bytes - at < n || memcmp(s + at, word, n))
		return 0;
	at = skip_space(l, at + n);
	*last = at < bytes && (s[at] == '-' || (s[at] == '+' && n > 3)) ? s[at++] : 0;
	if (bytes - at < 2 || memcmp(s + at, "%}", 2))
		return 0;
	return at + 2 - begin;
}

static void lex_raw(struct lexer *l, size_t tag, char last)
{
	const uint32_t line = l->j->line;
	char sign;

	advance(l, l->at + tag);
	if (last == '-')
		advance(l, skip_space(l, l->at));
	if (l->at == l->source->bytes)
		return;
	for (size_t at = l->at; at < l->source->bytes; at++) {
		const size_t n = raw_tag(l, at, "endraw", &sign, &last);

		if (!n)
			continue;
		add_data(l, at, sign, false);
		advance(l, behind_tag(l, at + n, last));
		return;
	}
	l->j->line = line;
	job_fail(l->j, -EINVAL, "the raw block has no end");
}

static void lex_comment(struct lexer *l)
{
	size_t begin = l->at + 2, end;
	const char *hit;
	char sign = 0;

	if (begin < l->source->bytes &&
	    (l->source->data[begin] == '-' || l->source->data[begin] == '+'))
		begin++;
	hit = memmem(l->source->data + begin, l->source->bytes - begin, "#}", 2);
	if (!hit)
		job_fail(l->j, -EINVAL, "the comment has no end");
	end = (size_t)(hit - l->source->data);
	if (end > begin && (hit[-1] == '-' || hit[-1] == '+'))
		sign = hit[-1];
	advance(l, behind_tag(l, end + 2, sign));
}

/* One escape behind a backslash; returns the bytes it takes. */
static size_t unescape(struct lexer *l, const char *s, size_t bytes, struct output *o)
{
	static const char names[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
	const char *known = memchr(names, s[0], sizeof(names) - 1);
	const size_t digits = s[0] == 'x' ? 2 : s[0] == 'u' ? 4 : s[0] == 'U' ? 8 : 0;
	uint32_t c = 0;
	char out[4], code[12];
	size_t n;

	if (s[0] == '\n')
		return 1;
	if (known) {
		put(l->j, o, values + (known - names), 1);
		return 1;
	}
	if (s[0] >= '0' && s[0] <= '7') {
		for (n = 0; n < 3 && n < bytes && s[n] >= '0' && s[n] <= '7'; n++)
			c = 8 * c + (uint32_t)(s[n] - '0');
		put(l->j, o, out, utf8_encode(c, out));
		return n;
	}
	if (digits) {
		for (n = 1; n <= digits && n < bytes && ascii_hex_digit(s[n]) >= 0; n++)
			c = 16 * c + (uint32_t)ascii_hex_digit(s[n]);
		if (n <= digits || c > 0x10ffff)
			job_fail(l->j, -EINVAL, "the escape \\%c isn't one of %zu digits", s[0],
				 digits);
		if (c >= 0xd800 && c < 0xe000)
			c = 0xfffd;
		put(l->j, o, out, utf8_encode(c, out));
		return n;
	}
	if (s[0] == 'N')
		job_fail(l->j, -EINVAL, "characters by name (\\N) aren't supported");
	put_string(l->j, o, "\\");
	if ((uint8_t)s[0] < 128)
		return 0;
	/* Jinja writes such a character as an escape before it undoes escapes */
	n = MAX(utf8_decode(s, bytes, &c), (size_t)1);
	put(l->j, o, code,
	    (size_t)snprintf(code, sizeof(code),
			     c < 0x100	   ? "x%02x"
			     : c < 0x10000 ? "u%04x"
					   : "U%08x",
			     c));
	return n;
}

static void lex_text(struct lexer *l)
{
	const char *s = rest(l), quote = *s;
	size_t n = 1, plain = 1;
	struct output o = { 0 };

	while (n < left(l) && s[n] != quote) {
		if (s[n] != '\\') {
			n++;
			continue;
		}
		if (n + 1 >= left(l))
			break;
		put(l->j, &o, s + plain, n - plain);
		n++;
		plain = n + unescape(l, s + n, left(l) - n, &o);
		n = MAX(plain, n + 1);
	}
	if (n >= left(l))
		job_fail(l->j, -EINVAL, "the text has no closing %c", quote);
	put(l->j, &o, s + plain, n - plain);
	add_token(l, TOKEN_TEXT, s, n + 1, text_value(output_text(l->j, &o)));
	advance(l, l->at + n + 1);
}

/* Digits, single underscores between them. */
static size_t digits(const char *s, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && ((s[n] >= '0' && s[n] <= '9') ||
			     (s[n] == '_' && n && n + 1 < bytes && s[n - 1] != '_' &&
			      s[n + 1] >= '0' && s[n + 1] <= '9')))
		n++;
	return n;
}

static bool lex_real(struct lexer *l)
{
	const char *s = rest(l);
	size_t n = digits(s, left(l)), whole = n, e;
	double d;

	if (!n || (l->at && s[-1] == '.'))
		return false;
	if (n + 1 < left(l) && s[n] == '.' && digits(s + n + 1, left(l) - n - 1))
		n += 1 + digits(s + n + 1, left(l) - n - 1);
	e = n + 1;
	if (n < left(l) && (s[n] == 'e' || s[n] == 'E')) {
		if (e < left(l) && (s[e] == '+' || s[e] == '-'))
			e++;
		if (e < left(l) && digits(s + e, left(l) - e))
			n = e + digits(s + e, left(l) - e);
	}
	if (n == whole)
		return false;
	if (!parse_real(s, n, &d))
		job_fail(l->j, -EINVAL, "the number is too long");
	add_token(l, TOKEN_FLOAT, s, n, real(d));
	l->at += n;
	return true;
}

static void lex_integer(struct lexer *l)
{
	const char *s = rest(l);
	const size_t bytes = left(l);
	size_t n = 1;
	int base = 10;
	bool large;
	int64_t i;

	if (*s == '0' && bytes > 2 && strchr("bBoOxX", s[1]) && s[1]) {
		const int wanted = s[1] == 'b' || s[1] == 'B'	? 2
				   : s[1] == 'o' || s[1] == 'O' ? 8
								: 16;
		size_t end = 2;

		while (end < bytes &&
		       ((ascii_hex_digit(s[end]) >= 0 && ascii_hex_digit(s[end]) < wanted) ||
			(s[end] == '_' && end + 1 < bytes && ascii_hex_digit(s[end + 1]) >= 0 &&
			 ascii_hex_digit(s[end + 1]) < wanted)))
			end++;
		if (end > 2) {
			n = end;
			base = wanted;
		}
	}
	while (base == 10 && *s == '0' && n < bytes && s[n] == '0')
		n++;
	if (base == 10 && *s != '0')
		n = digits(s, bytes);
	if (!parse_integer(s, n, base, &i, &large) || large)
		job_fail(l->j, -EINVAL, "the number %.*s has more than 64 bits", (int)MIN(n, 40u),
			 s);
	add_token(l, TOKEN_INT, s, n, integer(i));
	l->at += n;
}

static bool lex_name(struct lexer *l)
{
	size_t end = l->at;
	uint32_t c;

	while (end < l->source->bytes) {
		const size_t n = character_at(l->source, end, &c);

		if (!is_word(c))
			break;
		end += n;
	}
	if (end == l->at)
		return false;
	add_token(l, TOKEN_NAME, rest(l), end - l->at, ABSENT);
	l->at = end;
	return true;
}

static void balance(struct lexer *l, char c)
{
	static const char opening[] = "({[", closing[] = ")}]";
	const char *open = memchr(opening, c, 3);

	if (open) {
		if (l->open == l->closing_room) {
			l->closing = job_grow(l->j, l->closing, l->open, 2 * l->open + 64);
			l->closing_room = 2 * l->open + 64;
		}
		l->closing[l->open++] = closing[open - opening];
	} else if (memchr(closing, c, 3)) {
		if (!l->open)
			job_fail(l->j, -EINVAL, "unexpected '%c'", c);
		if (l->closing[--l->open] != c)
			job_fail(l->j, -EINVAL, "unexpected '%c', expected '%c'", c,
				 l->closing[l->open]);
	}
}

static void lex_operator(struct lexer *l)
{
	static const char *const spellings[] = { "//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
						 "*",  "%",  "~",  "[",	 "]",  "(",  ")", "{", "}",
						 ">",  "<",  "=",  ".",	 ":",  "|",  ",", ";" };
	uint32_t c;

	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		if (!begins(l, spellings[i]))
			continue;
		balance(l, spellings[i][0]);
		add_token(l, TOKEN_OPERATOR, spellings[i], strlen(spellings[i]), ABSENT);
		l->at += strlen(spellings[i]);
		return;
	}
	job_fail(l->j, -EINVAL, "unexpected character '%.*s'",
		 (int)character_at(l->source, l->at, &c), rest(l));
}

/* What stands in a tag, up to its end. */
static void lex_tag(struct lexer *l, bool variable)
{
	const char *end = variable ? "}}" : "%}";
	const uint32_t line = l->j->line;

	l->open = 0;
	while (l->at < l->source->bytes) {
		const char *s = rest(l);
		char sign = *s == '-' || (*s == '+' && !variable) ? *s : 0;

		if (!l->open && left(l) >= 2u + !!sign && !memcmp(s + !!sign, end, 2)) {
			add_token(l, variable ? TOKEN_VARIABLE_END : TOKEN_BLOCK_END, end, 2,
				  ABSENT);
			if (variable && !sign)
				sign = '+'; /* its line's end stays */
			advance(l, behind_tag(l, l->at + 2 + (s[0] != end[0]), sign));
			return;
		}
		const size_t space = skip_space(l, l->at);

		if (space > l->at)
			advance(l, space);
		else if (*s >= '0' && *s <= '9' ? !lex_real(l) : !lex_name(l)) {
			if (*s >= '0' && *s <= '9')
				lex_integer(l);
			else if (*s == '\'' || *s == '"')
				lex_text(l);
			else
				lex_operator(l);
		}
	}
	l->j->line = line;
	job_fail(l->j, -EINVAL, "the tag has no %s", end);
}

/* Line ends become \n, and one at the end goes. */
static const struct text *plain_lines(struct job *j, const struct text *t)
{
	char *data = job_alloc(j, t->bytes + 1);
	size_t n = 0;

	for (size_t i = 0; i < t->bytes; i++) {
		if (t->data[i] == '\r' && i + 1 < t->bytes && t->data[i + 1] == '\n')
			continue;
		data[n++] = t->data[i] == '\r' ? '\n' : t->data[i];
	}
	if (n && data[n - 1] == '\n')
		n--;
	data[n] = 0;
	return new_text(j, data, n, false);
}

struct template_token *lex(struct job *j)
{
	struct lexer l = { .j = j };
	char sign, last;

	l.source = plain_lines(j, new_text(j, j->source, j->source_bytes, false));
	j->line = 1;
	while (l.at < l.source->bytes) {
		size_t tag = l.at;

		while (tag < l.source->bytes &&
		       (l.source->data[tag] != '{' || tag + 1 >= l.source->bytes ||
			!memchr("%{#", l.source->data[tag + 1], 3)))
			tag++;
		if (tag == l.source->bytes) {
			add_token(&l, TOKEN_DATA, rest(&l), left(&l), ABSENT);
			break;
		}
		const char kind = l.source->data[tag + 1];
		const size_t raw = raw_tag(&l, tag, "raw", &sign, &last);

		sign = tag + 2 < l.source->bytes ? l.source->data[tag + 2] : 0;
		sign = sign == '-' || sign == '+' ? sign : 0;
		add_data(&l, tag, sign, kind == '{');
		if (raw) {
			lex_raw(&l, raw, last);
		} else if (kind == '#') {
			lex_comment(&l);
		} else {
			add_token(&l, kind == '{' ? TOKEN_VARIABLE_BEGIN : TOKEN_BLOCK_BEGIN, "", 0,
				  ABSENT);
			l.at += sign ? 3 : 2;
			lex_tag(&l, kind == '{');
		}
	}
	add_token(&l, TOKEN_END, "", 0, ABSENT);
	return l.tokens;
}
