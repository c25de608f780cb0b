/* SPDX-License-Identifier: MIT */
/* The options that say what form a text has to have, for every verb that generates. */
#ifndef STOKER_TOOL_GRAMMAR_H
#define STOKER_TOOL_GRAMMAR_H

#include "tool.h"

struct grammar_options {
	const char *file, *schema, *regex; /* one of them, or none */
};

#define GRAMMAR_OPTIONS(g)                                                          \
	{                                                                           \
		"grammar",  0,	    OPTION_STRING,                                  \
		&(g)->file, "FILE", "the text follows this grammar, in GBNF"        \
	},                                                                          \
		{ "json-schema", 0,	 OPTION_STRING,                             \
		  &(g)->schema,	 "FILE", "it is JSON as this JSON Schema has it" }, \
	{                                                                           \
		"regex", 0, OPTION_STRING, &(g)->regex, "TEXT",                     \
			"it is what this regular expression matches"                \
	}

/*
 * What the options ask for; NULL: nothing, or there was a complaint, and an exit status.
 * @vocabulary may be NULL.
 */
struct stoker_grammar *open_grammar(const struct grammar_options *o,
				    const struct stoker_vocabulary *vocabulary, int *status);

#endif
