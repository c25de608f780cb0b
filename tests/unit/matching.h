/* SPDX-License-Identifier: MIT */
/* Texts beside grammars that schemas and regular expressions become. */
#ifndef STOKER_TEST_MATCHING_H
#define STOKER_TEST_MATCHING_H

#include "unit.h"

#include "stoker/grammar.h"

typedef int to_grammar(const char *source, size_t bytes, char **gbnf, struct stoker_error *err);

/* NULL after a failed assertion. */
struct stoker_grammar *grammar_of(to_grammar *translate, const char *source);
/* Whether @text is one that the grammar describes, whole. */
bool grammar_matches(const struct stoker_grammar *g, const char *text, size_t bytes);
void expect_match(to_grammar *translate, const char *source, const char *text, bool wanted);
/* It is refused with @code, and the message has @part in it. */
void expect_refusal(to_grammar *translate, const char *source, size_t bytes, int code,
		    const char *part);
/* Each allocation fails once; what comes out is the grammar or -ENOMEM, and nothing is left. */
void expect_no_memory(to_grammar *translate, const char *source);

#endif
