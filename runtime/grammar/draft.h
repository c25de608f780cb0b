/* SPDX-License-Identifier: MIT */
/* A grammar's automaton while it is built, with edges that take nothing (Thompson, 1968). */
#ifndef STOKER_GRAMMAR_DRAFT_H
#define STOKER_GRAMMAR_DRAFT_H

#include "grammar/automaton.h"

enum edge_kind { EDGE_EMPTY, EDGE_BYTES, EDGE_CALL, EDGE_TOKEN, EDGE_TOKEN_NOT };

struct edge {
	uint32_t from, to;
	uint32_t symbol; /* a rule of the draft, or a token */
	uint8_t kind;	 /* enum edge_kind */
	uint8_t low, high;
};

struct draft_rule {
	uint32_t syntax; /* its number there */
	uint32_t start, end;
};

#define NO_RULE UINT32_MAX

struct draft {
	const struct syntax *syntax;
	struct stoker_error *err;
	struct edge *edges;	  /* sorted by where they are from once draft_create() is done */
	uint32_t *leaving;	  /* the first edge of each state, and of the one behind the last */
	struct draft_rule *rules; /* those that the root needs; it is the first */
	uint32_t *numbers;	  /* of the syntax's rules here, or NO_RULE */
	uint32_t *starting;	  /* the rule that starts with a state, or NO_RULE */
	uint32_t edge_count, edge_room, state_count, rule_count;
	uint64_t steps;
	bool *nullable; /* states from which the rule's end is reached without input, */
	bool *useful;	/* or with */
};

/* Return: 0, -EINVAL, -E2BIG, -ENOMEM; draft_free() in any case. */
int draft_create(struct draft *d, const struct syntax *s, struct stoker_error *err);
void draft_free(struct draft *d);

/* draft.c for characters.c; failures stick */
uint32_t draft_state(struct draft *d);
void draft_bytes(struct draft *d, uint32_t from, uint32_t to, uint8_t low, uint8_t high);

/* characters.c: the bytes of UTF-8 between two states. */
void draft_literal(struct draft *d, const struct node *n, uint32_t from, uint32_t to);
int draft_class(struct draft *d, const struct node *n, uint32_t from, uint32_t to);

/* ends.c: fills @nullable and @useful. */
int draft_find_ends(struct draft *d);

#endif
