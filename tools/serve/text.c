// SPDX-License-Identifier: MIT
/* Text that grows. */
#include "serve/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for @bytes more and a NUL. */
static bool make_room(struct text *t, size_t bytes)
{
	size_t room = t->room ? t->room : 256;
	char *data;

	if (t->failed || bytes >= SIZE_MAX / 2 - t->bytes) {
		t->failed = true;
		return false;
	}
	if (t->bytes + bytes < t->room)
		return true;
	while (room <= t->bytes + bytes)
		room *= 2;
	data = realloc(t->data, room);
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->room = room;
	return true;
}

void text_add(struct text *t, const char *data, size_t bytes)
{
	if (!make_room(t, bytes))
		return;
	if (bytes)
		memcpy(t->data + t->bytes, data, bytes);
	t->bytes += bytes;
	t->data[t->bytes] = 0;
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list args, again;
	int bytes;

	va_start(args, fmt);
	va_copy(again, args);
	bytes = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (bytes < 0)
		t->failed = true;
	else if (make_room(t, (size_t)bytes)) {
		vsnprintf(t->data + t->bytes, (size_t)bytes + 1, fmt, again);
		t->bytes += (size_t)bytes;
	}
	va_end(again);
}

/* Bytes of the character of UTF-8 that @data begins with; 0: it doesn't. */
static size_t character(const unsigned char *data, size_t bytes)
{
	const unsigned char c = data[0];
	const size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (!length || c > 0xf4 || length > bytes)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	/* what could be shorter, surrogates, beyond U+10FFFF */
	if ((c == 0xe0 && data[1] < 0xa0) || (c == 0xed && data[1] > 0x9f) ||
	    (c == 0xf0 && data[1] < 0x90) || (c == 0xf4 && data[1] > 0x8f))
		return 0;
	return length;
}

static void add_escaped(struct text *t, unsigned char c)
{
	static const char letters[] = "\b\f\n\r\t", names[] = "bfnrt";
	const char *letter = c ? strchr(letters, c) : NULL;

	if (c == '"' || c == '\\')
		text_printf(t, "\\%c", c);
	else if (letter)
		text_printf(t, "\\%c", names[letter - letters]);
	else
		text_printf(t, "\\u%04x", c);
}

void text_json(struct text *t, const char *data, size_t bytes)
{
	const unsigned char *d = (const unsigned char *)data;
	size_t plain = 0; /* where what stands for itself begins */

	text_add(t, "\"", 1);
	for (size_t i = 0; i < bytes;) {
		const size_t length = character(d + i, bytes - i);

		if (length && d[i] >= 0x20 && d[i] != '"' && d[i] != '\\' && d[i] != 0x7f) {
			i += length;
			continue;
		}
		text_add(t, data + plain, i - plain);
		if (length)
			add_escaped(t, d[i]);
		else
			text_puts(t, "\xef\xbf\xbd");
		plain = ++i;
	}
	if (bytes)
		text_add(t, data + plain, bytes - plain);
	text_add(t, "\"", 1);
}

void text_json_string(struct text *t, const char *s)
{
	if (s)
		text_json(t, s, strlen(s));
	else
		text_puts(t, "null");
}

void text_clear(struct text *t)
{
	t->bytes = 0;
	if (t->data)
		t->data[0] = 0;
}

void text_free(struct text *t)
{
	free(t->data);
	*t = (struct text){ 0 };
}
