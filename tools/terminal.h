/* SPDX-License-Identifier: MIT */
/* What a terminal is given: control characters shown instead of obeyed, and colours where wanted.
 */
#ifndef STOKER_TERMINAL_H
#define STOKER_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Opens /dev/null for those of standard input, output and error that are closed, so that no file of
 * ours is taken for them.
 */
void prepare_streams(void);

/* A terminal that moves its cursor and has colours; $NO_COLOR turns off the latter. */
bool has_cursor(FILE *stream);
bool has_colours(FILE *stream);

/*
 * Writes UTF-8.  Control characters but line feed and tab, those that change the direction of text,
 * and what isn't UTF-8 are written as "^[", "<U+202E>" and U+FFFD.
 */
void put_visible(FILE *out, const char *text, size_t bytes);
/* The same where @out is a terminal; otherwise the bytes as they are. */
void show_text(FILE *out, const char *text, size_t bytes);
/* The same as a string, to be released with free(); NULL without memory. */
char *visible_text(const char *text, size_t bytes);
/* What isn't UTF-8, and NUL, becomes U+FFFD; to be released with free(); NULL without memory. */
char *clean_text(const char *text, size_t bytes);

#endif
