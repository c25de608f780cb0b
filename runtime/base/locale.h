/* SPDX-License-Identifier: MIT */
/*
 * What is written and compared doesn't depend on the program's locale: its decimal point, its upper
 * and lower case, the language and the character set of its messages.
 */
#ifndef STOKER_BASE_LOCALE_H
#define STOKER_BASE_LOCALE_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

/* C's rules for what this thread formats and parses, until c_locale_leave() with the result. */
locale_t c_locale_enter(void);
void c_locale_leave(locale_t before);

/* strerror() in English and ASCII. */
const char *stoker_strerror(int code);

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What a hexadecimal digit stands for; -1: it is none. */
static inline int ascii_hex_digit(char c)
{
	const char low = ascii_lower(c);

	return ascii_is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Whether @text begins with @with, or is the same; letters of ASCII in either case. */
bool ascii_begins(const char *text, const char *with);
bool ascii_same(const char *a, const char *b);
/* Whether @part is in @text. */
bool ascii_has(const char *text, const char *part);

#endif
