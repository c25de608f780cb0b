/* SPDX-License-Identifier: MIT */
/* The turns that a person types at a terminal, or that come from a pipe or a file. */
#ifndef STOKER_TOOL_INPUT_H
#define STOKER_TOOL_INPUT_H

#include <stdbool.h>

enum input_result {
	INPUT_TURN,
	INPUT_CLEARED, /* Ctrl-C took back what had been typed */
	INPUT_EMPTY,   /* Ctrl-C where nothing had been typed */
	INPUT_CLOSED,  /* nothing will follow */
	INPUT_SIGNAL,  /* the program is to end */
	INPUT_FAILED,  /* after a complaint */
};

struct input;

/* @words ends with NULL: what Tab completes behind a slash.  NULL without memory. */
struct input *input_open(const char *const *words);
void input_close(struct input *in);
/* Whether somebody edits lines. */
bool input_is_edited(const struct input *in);

/*
 * The next turn, UTF-8, to be released with free().  A line that ends in a backslash goes on in the
 * next; """ begins a text of several lines that ends with """.  *verbatim: it was one of those,
 * which hold no commands.
 */
enum input_result input_turn(struct input *in, char **text, bool *verbatim);

#endif
