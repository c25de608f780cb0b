/* SPDX-License-Identifier: MIT */
/* What matchers and samplers share of a grammar, and what a matcher is. */
#ifndef STOKER_GRAMMAR_GRAMMAR_H
#define STOKER_GRAMMAR_GRAMMAR_H

#include <pthread.h>

#include "grammar/lazy.h"

struct stoker_grammar {
	_Atomic unsigned others;	      /* who keep it, beside its owner */
	struct stoker_vocabulary *vocabulary; /* NULL: texts only */
	struct automaton automaton;
	uint32_t *ends; /* tokens that end texts */
	uint32_t end_count;
	pthread_mutex_t lock; /* guards: */
	struct lazy lazy;     /* nothing without a vocabulary */
};

struct stoker_matcher {
	struct stoker_grammar *grammar;
	struct stacks stacks;
	struct places start, now;
	struct places then; /* where a token that is tried leads */
	struct advance advance;
	size_t tidy_at; /* frames; then those that nothing leads to are forgotten */
};

/* One more owner, who frees it, too. */
struct stoker_grammar *grammar_share(const struct stoker_grammar *g);

/* mask.c: bits of the tokens whose text is allowed, by lazy states; -EAGAIN: they take too much. */
int mask_texts(struct stoker_matcher *m, uint32_t *bits);
/* The same, each by itself. */
int mask_texts_slowly(struct stoker_matcher *m, uint32_t *bits);
/* Bits of the tokens that terminals name. */
int mask_named(struct stoker_matcher *m, uint32_t *bits);

#endif
