/* SPDX-License-Identifier: MIT */
/* Grammars over the letters a to c made at random, and a plain way to match texts with them. */
#ifndef STOKER_TEST_RANDOM_GRAMMAR_H
#define STOKER_TEST_RANDOM_GRAMMAR_H

#include <stdbool.h>

/* Of texts that are matched. */
enum { RANDOM_LONGEST = 8 };

/* GBNF of another grammar, which stays until the next one is made. */
const char *random_grammar(void);
/* Whether the grammar made last describes a text, if it would be compiled. */
bool random_grammar_matches(const char *text, unsigned length);

#endif
