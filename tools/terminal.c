// SPDX-License-Identifier: MIT
/* What a terminal is given: control characters shown instead of obeyed, and colours where wanted.
 */
#include "terminal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utf8proc.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void prepare_streams(void)
{
	/* the lowest that is free is opened, so that none below 3 stays closed */
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			break;
}

bool has_cursor(FILE *stream)
{
	const char *term = getenv("TERM");

	return isatty(fileno(stream)) && term && *term && strcmp(term, "dumb") != 0;
}

bool has_colours(FILE *stream)
{
	const char *none = getenv("NO_COLOR");

	return has_cursor(stream) && !(none && *none);
}

static bool changes_direction(utf8proc_int32_t c)
{
	return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* The next character's bytes; 0 where there is none in UTF-8. */
static size_t next_character(const char *text, size_t bytes, utf8proc_int32_t *c)
{
	const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text,
						    (utf8proc_ssize_t)(bytes < 4 ? bytes : 4), c);

	return n > 0 ? (size_t)n : 0;
}

void put_visible(FILE *out, const char *text, size_t bytes)
{
	while (bytes) {
		utf8proc_int32_t c;
		size_t n = next_character(text, bytes, &c);

		if (!n) {
			fputs(REPLACEMENT, out);
			n = 1;
		} else if (c == '\n' || c == '\t' || (c >= 0x20 && c < 0x7f)) {
			putc((int)c, out);
		} else if (c < 0x80) {
			fprintf(out, "^%c", (int)c ^ 0x40);
		} else if (c < 0xa0 || changes_direction(c)) {
			fprintf(out, "<U+%04X>", (unsigned)c);
		} else {
			fwrite(text, 1, n, out);
		}
		text += n;
		bytes -= n;
	}
}

void show_text(FILE *out, const char *text, size_t bytes)
{
	if (isatty(fileno(out)))
		put_visible(out, text, bytes);
	else
		fwrite(text, 1, bytes, out);
}

char *visible_text(const char *text, size_t bytes)
{
	char *shown = NULL;
	size_t length;
	FILE *out = open_memstream(&shown, &length);

	if (!out)
		return NULL;
	put_visible(out, text, bytes);
	const bool lost = ferror(out);

	if (fclose(out) || lost) {
		free(shown);
		return NULL;
	}
	return shown;
}

char *clean_text(const char *text, size_t bytes)
{
	char *clean = malloc(3 * bytes + 1), *end = clean;

	while (clean && bytes) {
		utf8proc_int32_t c;
		size_t n = next_character(text, bytes, &c);

		if (n && c)
			end = mempcpy(end, text, n);
		else
			end = mempcpy(end, REPLACEMENT, strlen(REPLACEMENT));
		n = n ? n : 1;
		text += n;
		bytes -= n;
	}
	if (clean)
		*end = 0;
	return clean;
}
