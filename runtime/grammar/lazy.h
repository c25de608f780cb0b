/* SPDX-License-Identifier: MIT */
/*
 * What can follow a place, whatever is open around its rule: a deterministic automaton that is
 * built as it is used, and for its states the tokens that they allow.
 *
 * A state is a set of places above the bottom, from where the text has come since somebody began at
 * the bottom.  Inside a rule, with all that it calls, nothing else counts; where it ends, at an
 * exit, whoever asks goes on with what is open around it.  Texts of the same form at any depth so
 * have the same states, and what took a walk over all tokens is there for all matchers of a
 * grammar.
 */
#ifndef STOKER_GRAMMAR_LAZY_H
#define STOKER_GRAMMAR_LAZY_H

#include "grammar/stacks.h"
#include "text/trie.h"

enum {
	DEAD = 0,	 /* the state from which nothing leads on */
	PLACE_WORK = 16, /* nodes of tries that take as long as a place */
};

/*
 * Tokens to which the text of a state leads, from the trie's root or from all exits of others,
 * whatever is open around the rule at the bottom.
 */
struct reached {
	unsigned level;	  /* its plain tokens are among them, and of the others: */
	uint32_t *bits;	  /* a bit set; NULL: few, */
	uint32_t *tokens; /* of which this is the list */
	uint32_t count;
	uint32_t *exits; /* nodes of the level's trie where the rule may end before a token does */
	uint32_t exit_count;
	uint32_t state;		/* that it begins with */
	struct reached *behind; /* what follows its exits, by states; the next of a list */
	struct reached *next, *other;
};

struct lazy_state {
	uint32_t first, count; /* of its places */
	bool ends;
	struct reached *reached; /* from the root; NULL: nobody has asked */
};

struct lazy {
	const struct automaton *a;
	const struct tries *tries;
	struct stacks stacks;
	struct advance advance;
	uint32_t opened; /* the state that advance.all is of, or DEAD */
	struct lazy_state *states;
	struct place *places;
	uint32_t *edges;     /* by state and class of bytes: EDGE_TO() or NOT_YET */
	uint32_t *table;     /* of states, open addressing; 0: free */
	struct reached *all; /* chained by @other */
	uint64_t *ranks;     /* a bit for each token of a trie, while it is walked over */
	uint64_t left;	     /* nodes of tries that may be looked at yet; -E2BIG behind them */
	uint32_t state_count, state_room;
	size_t place_count, place_room, table_size;
	size_t bytes, limit; /* bytes: roughly; -EAGAIN above the limit */
};

#define NOT_YET UINT32_MAX
/* A state, and whether the rule at the bottom may end there. */
#define EDGE_TO(state, ends) ((state) << 1 | (ends))

/* Return, as all of these: 0; -EAGAIN when lazy_clear() has to come first; -E2BIG; -ENOMEM. */
int lazy_create(struct lazy *l, const struct automaton *a, const struct tries *t);
void lazy_free(struct lazy *l);
int lazy_clear(struct lazy *l);
/* The state of the places at the bottom that were added to @advance. */
int lazy_settle(struct lazy *l, uint32_t *state);
/* @edge: EDGE_TO() the next state. */
int lazy_step(struct lazy *l, uint32_t state, uint8_t byte, uint32_t *edge);

/* reached.c */
int reached_from_root(struct lazy *l, uint32_t state, struct reached **reached);
int reached_behind(struct lazy *l, struct reached *before, uint32_t state,
		   struct reached **reached);
void reached_free(struct reached *r);

#endif
