// SPDX-License-Identifier: MIT
/*
 * Text of unknown origin made fit for a line on a terminal.  Names in files and what users typed
 * end up in messages; a terminal obeys control characters in them, and bytes that aren't UTF-8 are
 * no text at all.
 */
#include "base/base.h"

#include <stdio.h>

/* The character at @at of @left bytes and its length; 0: no UTF-8. */
static unsigned decode(const unsigned char *at, size_t left, uint32_t *code)
{
	const unsigned more = at[0] < 0x80 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

	if ((at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || more >= left)
		return 0;
	*code = more ? at[0] & (0x3fu >> more) : at[0];
	for (unsigned i = 1; i <= more; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (at[i] & 0x3f);
	}
	return *code < least[more] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)
		       ? 0
		       : more + 1;
}

/* C0, DEL, C1, line separators, and what turns the direction of the text around it. */
static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e ||
	       code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

size_t stoker_escape(char *out, size_t size, const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t used = 0;

	for (size_t i = 0; i < length;) {
		uint32_t code = 0;
		const unsigned bytes = decode(at + i, length - i, &code);
		char shown[12];
		int n;

		if (!bytes)
			n = snprintf(shown, sizeof(shown), "\\x%02x", at[i]);
		else if (!is_control(code))
			n = snprintf(shown, sizeof(shown), "%.*s", (int)bytes, text + i);
		else if (code == '\n' || code == '\t' || code == '\r')
			n = snprintf(shown, sizeof(shown), "\\%c",
				     code == '\n'   ? 'n'
				     : code == '\t' ? 't'
						    : 'r');
		else
			n = snprintf(shown, sizeof(shown), code < 0x80 ? "\\x%02x" : "\\u%04x",
				     code);
		if (used + (size_t)n + 1 > size)
			break;
		memcpy(out + used, shown, (size_t)n);
		used += (size_t)n;
		i += bytes ? bytes : 1;
	}
	if (size)
		out[used] = 0;
	return used;
}
