/* SPDX-License-Identifier: MIT */
/*
 * Libraries that a few verbs need, loaded by those: nothing else starts with them and with what
 * they bring along, or fails where they aren't installed.
 */
#ifndef STOKER_TOOL_LIBRARY_H
#define STOKER_TOOL_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stoker/error.h>

struct library_function {
	const char *name;
	void *place; /* a pointer to it goes there */
};

struct library {
	const char *file; /* with the number of the interface that the headers describe */
	const char
		*package; /* Debian's and Ubuntu's, by the name that all of their releases know */
	const char *use;  /* "fetching models" */
	const struct library_function *functions;
	size_t count;
	bool loaded;
};

/* A table of a library's functions is written as a list of X(MEMBER, FUNCTION), of which these make
 * a struct's members and what fills them. */
#define LIBRARY_MEMBER(member, function) __typeof__(function) *member;
#define LIBRARY_FUNCTION(table, member, function) { #function, &(table).member },

/* By the thread that starts others; again does nothing. -ENOPKG: it isn't here, or too old, and
 * @err says which package has it. */
int library_load(struct library *library, struct stoker_error *err);

/*
 * For libraries that ask the locale how characters are encoded: as UTF-8, whatever the environment
 * says.  Numbers stay in the C locale.
 */
void library_characters(void);

#endif
