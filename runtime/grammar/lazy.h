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

enum { DEAD = 0 }; /* the state from which nothing leads on */

/* The tokens that a state allows without what is open around it. */
struct allowed {
	unsigned level;	  /* its plain tokens are allowed, the others are: */
	uint32_t *bits;	  /* a bit set; NULL: few, */
	uint32_t *tokens; /* of which this is the list */
	uint32_t count;
	uint32_t *exits; /* nodes of the level's trie with something below that isn't allowed yet */
	uint32_t exit_count;
};

struct lazy_state {
	uint32_t first, count; /* of its places */
	bool ends;
	struct allowed *allowed; /* NULL: nobody has asked */
};

struct lazy {
	const struct automaton *a;
	const struct tries *tries;
	struct stacks stacks;
	struct advance advance;
	uint32_t opened; /* the state that advance.all is of, or DEAD */
	struct lazy_state *states;
	struct place *places;
	uint32_t *edges; /* by state and class of bytes; NOT_YET */
	uint32_t *table; /* of states, open addressing; 0: free */
	uint64_t *ranks; /* a bit for each token of a trie, while it is walked over */
	uint32_t state_count, state_room;
	size_t place_count, place_room, table_size;
	size_t bytes, limit; /* bytes: roughly; -EAGAIN above the limit */
};

#define NOT_YET UINT32_MAX

/* Return, as all of these: 0; -EAGAIN when lazy_clear() has to come first; -ENOMEM. */
int lazy_create(struct lazy *l, const struct automaton *a, const struct tries *t);
void lazy_free(struct lazy *l);
int lazy_clear(struct lazy *l);
/* The state of the places at the bottom that were added to @advance. */
int lazy_settle(struct lazy *l, uint32_t *state);
int lazy_step(struct lazy *l, uint32_t state, uint8_t byte, uint32_t *to);
/* allowed.c */
int lazy_allowed(struct lazy *l, uint32_t state, const struct allowed **allowed);
void allowed_free(struct allowed *a);

/* Walks over all tokens below a node of a trie. */
struct walk {
	struct lazy *l;
	const struct trie *trie;
	uint32_t *exits; /* nodes where the rule may end and something follows */
	size_t exit_count, exit_room;
	uint64_t left; /* nodes that may be looked at yet; -E2BIG behind them */
	uint32_t states[MAX_TRIE_TEXT + 1]; /* at each depth of the way to a node */
};

/*
 * From @state at @node to all nodes below; their tokens' bits are set in @ranks, by their place in
 * the trie's order, or in @bits by their numbers.  Exits are added.
 */
int walk_below(struct walk *w, uint32_t node, uint32_t state, uint64_t *ranks, uint32_t *bits);

#endif
