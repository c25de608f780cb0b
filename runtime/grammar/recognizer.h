/* SPDX-License-Identifier: MIT */
/*
 * Which of several expressions match a text, all at once: a deterministic automaton over characters
 * (Rabin and Scott, 1959).  That is what it takes where strings have to match two of them, or keys
 * none.
 */
#ifndef STOKER_GRAMMAR_RECOGNIZER_H
#define STOKER_GRAMMAR_RECOGNIZER_H

#include "grammar/expression.h"

enum { RECOGNIZER_EXPRESSIONS = 64 };

struct recognizer;

struct recognizer *new_recognizer(struct translation *t);
/* Expressions over characters as they are, without JSON's escapes; the first one is number 0. */
void recognizer_add(struct recognizer *r, const struct expression *e);
/* Builds the automaton; false: it would be too large. */
bool recognizer_finish(struct recognizer *r);
/* Whether there is a text that these expressions match, and no others. */
bool recognizer_finds(const struct recognizer *r, uint64_t matching);
/* A bit for each expression that matches. */
uint64_t recognizer_match(const struct recognizer *r, const char *text, size_t bytes);
/*
 * Texts as JSON strings have them, without quotes, each with what @end returns for the expressions
 * that match it behind it; NULL: such texts aren't wanted.
 */
const struct expression *
recognizer_texts(struct recognizer *r,
		 const struct expression *(*end)(void *user, uint64_t matching), void *user);

#endif
