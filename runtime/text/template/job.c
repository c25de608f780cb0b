// SPDX-License-Identifier: MIT
/* A job's memory, its limits, and how it ends with an error. */
#include "text/template/value.h"

#include <stdarg.h>
#include <stdio.h>

/* Text for a message: one line, control characters as dots, cut between characters. */
static void printable(const char *text, size_t bytes, char *out, size_t room)
{
	size_t n = MIN(bytes, room - 1);

	while (n && n < bytes && ((uint8_t)text[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)text[i] < 32 || text[i] == 127 ? ' ' : text[i];
	out[n] = 0;
}

static void line_text(const struct job *j, char *out, size_t room)
{
	const char *at = j->source, *end = j->source + j->source_bytes, *stop;

	for (uint32_t line = 1; line < j->line && at; line++) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : NULL;
	}
	out[0] = 0;
	if (!at)
		return;
	stop = memchr(at, '\n', (size_t)(end - at));
	stop = stop ? stop : end;
	while (at < stop && (*at == ' ' || *at == '\t'))
		at++;
	while (at < stop && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
		stop--;
	printable(at, (size_t)(stop - at), out, room);
}

void job_fail(struct job *j, int code, const char *fmt, ...)
{
	char message[256], clean[256], line[120], name[80];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	printable(message, strlen(message), clean, sizeof(clean));
	printable(j->name, strlen(j->name), name, sizeof(name));
	line_text(j, line, sizeof(line));
	if (j->line && line[0])
		j->code = stoker_fail(j->err, code, "%s, line %u: %s: `%s`", name, j->line, clean,
				      line);
	else
		j->code = stoker_fail(j->err, code, "%s: %s", name, clean);
	longjmp(j->out, 1);
}

void *job_alloc(struct job *j, size_t bytes)
{
	void *p = arena_alloc(&j->arena, bytes);

	if (!p && arena_is_full(&j->arena, bytes))
		job_fail(j, -E2BIG, "it needs more than %d MiB of memory", MAX_MEMORY >> 20);
	if (!p)
		job_fail(j, -ENOMEM, "out of memory");
	return p;
}

void *job_grow(struct job *j, const void *old, size_t old_bytes, size_t bytes)
{
	void *more = job_alloc(j, bytes);

	if (old_bytes)
		memcpy(more, old, old_bytes);
	return more;
}

void job_free(struct job *j)
{
	arena_free(&j->arena);
}

void job_step(struct job *j, uint64_t steps)
{
	j->steps += steps;
	if (j->steps > MAX_STEPS)
		job_fail(j, -E2BIG, "it takes more than %d steps", MAX_STEPS);
}

void job_enter(struct job *j)
{
	if (++j->depth > MAX_DEPTH)
		job_fail(j, -E2BIG, "it nests deeper than %d levels", MAX_DEPTH);
}
