/* SPDX-License-Identifier: MIT */
/* Grammars put together as text. */
#ifndef STOKER_SERVE_GBNF_H
#define STOKER_SERVE_GBNF_H

#include "serve/text.h"

/* A grammar whose texts are those of @a and those of @b, both GBNF that compiles. */
void gbnf_either(const char *a, const char *b, struct text *out);

#endif
