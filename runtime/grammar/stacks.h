/* SPDX-License-Identifier: MIT */
/*
 * Where a text can be in a grammar: places, each a state and what is open around its rule.
 *
 * What is open around a rule is a node: the set of places behind its calls.  A rule that is called
 * from several places at once is entered once, with all of them in its node (Tomita's
 * graph-structured stack; Scott and Johnstone, 2010), so that however many ways there are to read a
 * text, places grow with its length at most.  Equal nodes are one, so a text that comes back to
 * where it was has the same nodes again.
 */
#ifndef STOKER_GRAMMAR_STACKS_H
#define STOKER_GRAMMAR_STACKS_H

#include "grammar/automaton.h"

enum {
	BOTTOM = 0,	       /* the node of a rule that nobody has called */
	MAX_WAYS = 4096,       /* places */
	MAX_PENDING = 1 << 20, /* calls */
};
#define OUT UINT32_MAX /* in place of a state: what the bottom returns to */

struct place {
	uint32_t state, node;
};

/* A node's frames are sorted; those that they lead to have smaller numbers. */
struct stacks {
	struct place *frames;
	uint32_t *first; /* frame of each node, and behind the last */
	uint32_t *table; /* of nodes, open addressing; 0: free */
	size_t frame_count, frame_room, node_room, table_size;
	uint32_t node_count;
	size_t limit; /* of frames */
};

int stacks_create(struct stacks *s, size_t limit);
void stacks_free(struct stacks *s);
int stacks_clone(struct stacks *to, const struct stacks *from);
/* Return: 0; -E2BIG at the limit; -ENOMEM. */
int stacks_node(struct stacks *s, const struct place *frames, size_t count, uint32_t *node);
/* Forgets nodes from number @count on. */
void stacks_rewind(struct stacks *s, uint32_t count);

/*
 * Sorted by node, then by state; without those from which nothing leads on.  What rules in @list
 * that have ended returned to is in @list, too.
 */
struct places {
	struct place *list;
	size_t count, room;
	bool ends; /* the rule at the bottom may end here */
};

int places_copy(struct places *to, const struct places *from);

/* Keeps a set of places' nodes alone; the places' nodes get new numbers. */
int stacks_keep(struct stacks *s, struct places *p);

/* From places to the next ones, with what that needs meanwhile. */
struct advance {
	const struct automaton *a;
	struct stacks *stacks;
	struct places all;  /* those of advance_open(), and the starts of rules that they call */
	struct places next; /* the result */
	struct pending {
		uint32_t rule;
		struct place frame;
	} * heap;
	struct place *frames;
	uint32_t *seen; /* numbers of @next's places from 1, open addressing */
	size_t heap_count, heap_room, frame_room, seen_size;
};

void advance_free(struct advance *w);
/* Return, as all of these: 0; -E2BIG when there are too many ways; -ENOMEM. */
int advance_open(struct advance *w, const struct places *p);
/* From what is open, by one byte or one token; none left: it isn't allowed. */
int advance_byte(struct advance *w, uint8_t byte);
int advance_token(struct advance *w, uint32_t token, bool ends_text);
/* Places of the caller's: begin, any number of adds, settle; the result is in @next. */
void advance_begin(struct advance *w);
int advance_add(struct advance *w, struct place p);
int advance_settle(struct advance *w);

#endif
