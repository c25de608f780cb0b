/* SPDX-License-Identifier: MIT */
/* A vocabulary's tokens by the bytes of their text, for those who look for all that fit. */
#ifndef STOKER_TEXT_TRIE_H
#define STOKER_TEXT_TRIE_H

#include "text/vocabulary.h"

enum {
	MAX_TRIE_TEXT = 1024, /* bytes; longer tokens aren't in it */
	TRIE_LEVELS = 5,
	LONGEST_PLAIN = 24, /* characters of level 3 */
};

/*
 * Nodes lie in the order of a search in depth, so that what is below one follows it.  Number 0 is
 * the root; behind the last is one more.
 */
struct trie_node {
	uint32_t skip;	 /* the first node that isn't below */
	uint32_t tokens; /* place in the order of the first token that ends here or below */
	uint16_t depth;	 /* bytes from the root */
	uint8_t byte;
};

struct trie {
	struct trie_node *nodes;
	uint32_t *order; /* tokens by their text; those of a node and all below it are neighbours */
	uint32_t node_count, token_count;
};

/*
 * Plain tokens are whole characters that JSON and most formats have within texts: no control
 * characters, double quotes or backslashes.  Most are; whoever knows that up to so many of them are
 * allowed has only the others to look at.  Level 0 has all tokens; @plain are bit sets of those
 * that a level has not.
 */
struct tries {
	struct trie levels[TRIE_LEVELS];
	uint32_t *plain[TRIE_LEVELS];
	size_t words; /* of 32 bits, in a bit set of all tokens */
};

/* How many plain characters in a row a level leaves out; UINT32_MAX: any number. */
uint32_t tries_plain(unsigned level);

/* The vocabulary's, made by whoever asks first; lives as long. NULL: out of memory. */
const struct tries *vocabulary_tries(const struct stoker_vocabulary *v);
void tries_free(struct tries *t);

/* A token's text in @out of MAX_TRIE_TEXT bytes; 0: it has none, or a longer one, or ends texts. */
size_t token_bytes(const struct stoker_vocabulary *v, uint32_t token, char *out);

#endif
