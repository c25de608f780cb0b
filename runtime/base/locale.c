// SPDX-License-Identifier: MIT
/* Formatting and comparing as in the C locale: see locale.h. */
#include "base/locale.h"

#include <string.h>

/* The C library has this one at hand: nothing is loaded or allocated. */
static locale_t c_locale(void)
{
	return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

locale_t c_locale_enter(void)
{
	const locale_t c = c_locale();

	return c ? uselocale(c) : (locale_t)0;
}

void c_locale_leave(locale_t before)
{
	locale_t c;

	if (!before)
		return;
	c = uselocale(before);
	if (c != before)
		freelocale(c);
}

const char *stoker_strerror(int code)
{
	const locale_t c = c_locale();
	const char *text = c ? strerror_l(code, c) : "error";

	if (c)
		freelocale(c);
	return text;
}

bool ascii_begins(const char *text, const char *with)
{
	for (; *with; text++, with++)
		if (ascii_lower(*text) != ascii_lower(*with))
			return false;
	return true;
}

bool ascii_same(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && ascii_begins(a, b);
}

bool ascii_has(const char *text, const char *part)
{
	for (; *text; text++)
		if (ascii_begins(text, part))
			return true;
	return !*part;
}
