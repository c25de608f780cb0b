/* SPDX-License-Identifier: MIT */
/* Compiled grammars, kept for requests that ask for the same form again. */
#ifndef STOKER_SERVE_FORMS_H
#define STOKER_SERVE_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#include <stoker/stoker.h>

#include "serve/problem.h"

enum form_kind { FORM_GRAMMAR, FORM_SCHEMA, FORM_REGEX };

struct form;

/*
 * @source: what describes the form, of @kind.  @param: the field that said it, for @p, which names
 * the keyword that isn't understood (400).  Any thread; form_release() what it gave.
 */
bool form_take(const struct stoker_vocabulary *v, enum form_kind kind, const char *source,
	       const char *param, struct form **out, struct problem *p);
/* The grammar as text, to be released with stoker_free(). */
bool form_gbnf(enum form_kind kind, const char *source, const char *param, char **gbnf,
	       struct problem *p);
const struct stoker_grammar *form_grammar(const struct form *f);
/* NULL is fine. */
void form_release(struct form **f);
/* A model leaves memory: nothing is kept for its vocabulary. */
void forms_forget(const struct stoker_vocabulary *v);

#endif
