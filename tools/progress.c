// SPDX-License-Identifier: MIT
/* How far something is that takes long: one line on standard error that is written over. */
#include "progress.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include "terminal.h"
#include "tool.h"

#define FIRST_SECONDS 1.0 /* what is done sooner needs no line */
#define PERIOD_SECONDS 0.1
enum { USUAL_COLUMNS = 80, MOST_COLUMNS = 1000 };

void progress_begin(struct progress *p)
{
	*p = (struct progress){ .out = stderr, .wanted = has_cursor(stderr) };
	p->next = now_seconds() + FIRST_SECONDS;
}

static size_t columns_of(FILE *out)
{
	struct winsize size = { 0 };

	if (ioctl(fileno(out), TIOCGWINSZ, &size) || !size.ws_col)
		return USUAL_COLUMNS;
	return size.ws_col < MOST_COLUMNS ? size.ws_col : MOST_COLUMNS;
}

size_t progress_fit(const char *text, size_t columns)
{
	const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
	size_t used = 0;

	while (*at) {
		utf8proc_int32_t c;
		const utf8proc_ssize_t n = utf8proc_iterate(at, -1, &c);
		const int width = n > 0 ? utf8proc_charwidth(c) : 1;

		if (used + (size_t)width > columns)
			break;
		used += (size_t)width;
		at += n > 0 ? n : 1;
	}
	return (size_t)(at - (const utf8proc_uint8_t *)text);
}

bool progress_is_due(const struct progress *p)
{
	return p->wanted && now_seconds() >= p->next;
}

void progress_show(struct progress *p, const char *fmt, ...)
{
	char *line, *shown;
	va_list args;
	int n;

	if (!progress_is_due(p))
		return;
	p->next = now_seconds() + PERIOD_SECONDS;
	va_start(args, fmt);
	n = vasprintf(&line, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	shown = visible_text(line, strlen(line));
	free(line);
	if (!shown)
		return;
	for (char *c = shown; (c = strpbrk(c, "\n\t"));)
		*c = ' '; /* a line is a line, whatever names hold */
	/* the last column stays free: some terminals go to the next row behind it */
	fprintf(p->out, "\r%.*s\033[K", (int)progress_fit(shown, columns_of(p->out) - 1), shown);
	fflush(p->out);
	free(shown);
	p->shown = true;
}

void progress_end(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", p->out);
	p->shown = p->wanted = false;
}

const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}
