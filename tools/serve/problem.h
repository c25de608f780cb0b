/* SPDX-License-Identifier: MIT */
/* What is wrong with a request, and how each dialect says it. */
#ifndef STOKER_SERVE_PROBLEM_H
#define STOKER_SERVE_PROBLEM_H

#include <stdbool.h>

#include "serve/text.h"

enum dialect { DIALECT_OPENAI, DIALECT_OLLAMA, DIALECT_ANTHROPIC };

struct problem {
	unsigned status;		 /* of HTTP; 0: there is no problem */
	const char *type, *param, *code; /* constants; param and code may be NULL */
	unsigned retry_after;		 /* seconds; 0: nothing is said of it */
	char message[1024];
};

/* Its type is that of @status.  Returns false, so that what failed can return it. */
bool problem_set(struct problem *p, unsigned status, const char *param, const char *code,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The object that the dialect has for it, on one line without an end. */
void problem_write(const struct problem *p, enum dialect dialect, struct text *out);

#endif
