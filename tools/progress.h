/* SPDX-License-Identifier: MIT */
/* How far something is that takes long: one line on standard error that is written over. */
#ifndef STOKER_TOOL_PROGRESS_H
#define STOKER_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Nothing is written but to a terminal that can move its cursor, in the first second, and more
 * often than ten times a second.
 */
struct progress {
	FILE *out;
	double next; /* not before this time */
	bool wanted, shown;
};

void progress_begin(struct progress *p);
/* Whether progress_show() would write something now. */
bool progress_is_due(const struct progress *p);
/* The line, cut to what the terminal's width holds: what matters comes first. */
void progress_show(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Clears the line. */
void progress_end(struct progress *p);

/* How many bytes of UTF-8 take no more than so many columns of a terminal. */
size_t progress_fit(const char *text, size_t columns);

/* A path without its folders. */
const char *file_name(const char *path);

#endif
