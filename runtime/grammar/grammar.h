/* SPDX-License-Identifier: MIT */
/* What matchers and samplers share of a grammar. */
#ifndef STOKER_GRAMMAR_GRAMMAR_H
#define STOKER_GRAMMAR_GRAMMAR_H

#include "grammar/automaton.h"

struct stoker_grammar {
	_Atomic unsigned others;	      /* who keep it, beside its owner */
	struct stoker_vocabulary *vocabulary; /* NULL: texts only */
	struct automaton automaton;
};

/* One more owner, who frees it, too. */
struct stoker_grammar *grammar_share(const struct stoker_grammar *g);

#endif
