/* SPDX-License-Identifier: MIT */
/*
 * A grammar as an automaton with calls (Woods, 1970): each rule has states, between which bytes,
 * tokens and whole rules lead.
 */
#ifndef STOKER_GRAMMAR_AUTOMATON_H
#define STOKER_GRAMMAR_AUTOMATON_H

#include "grammar/syntax.h"

enum {
	MAX_STATES = 100000,
	MAX_EDGES = 1000000,
	MAX_STEPS = 4000000, /* of building: what makes no states has an end, too */
};

struct byte_edge {
	uint8_t low, high;
	uint32_t to;
};

struct token_edge {
	uint32_t token, to;
	bool negated; /* any other token, but for those that end texts */
};

struct call_edge {
	uint32_t rule, to;
	bool tail; /* nothing follows in the caller's rule */
};

/* Edges go up to where the next state's begin. */
struct state {
	uint32_t bytes, calls, tokens;
	bool ends; /* the rule may end here */
	bool leaf; /* it has to: no edges */
};

/*
 * Nothing is left of rules that match the empty text but in @ends: a caller has the edges of what
 * follows them, too.  Rules are numbered so that one that begins with another has the smaller
 * number.  From every state its rule's end can be reached, and every rule is called.
 */
struct automaton {
	struct state *states; /* one more than @state_count */
	struct byte_edge *bytes;
	struct call_edge *calls;
	struct token_edge *tokens;
	uint32_t *starts; /* of rules */
	uint32_t state_count, rule_count, root;
	uint8_t classes[256]; /* bytes that no edge tells apart have one number */
	uint8_t sample[256];  /* a byte of each class */
	uint32_t class_count;
};

int automaton_create(struct automaton *a, const struct syntax *s, struct stoker_error *err);
void automaton_free(struct automaton *a);

#endif
