/* SPDX-License-Identifier: MIT */
/* What a grammar leaves of the tokens, from when a trigger has switched it on. */
#ifndef STOKER_CONSTRAINT_H
#define STOKER_CONSTRAINT_H

#include "session/sampling.h"
#include "stoker/grammar.h"

enum { MAX_TRIGGERS = 64, MAX_TRIGGER = 256 /* bytes */ };

struct constraint {
	struct stoker_matcher *matcher; /* NULL: no grammar */
	const struct stoker_vocabulary *vocabulary;
	bool lazy;   /* waits for a trigger */
	bool active; /* has one, or needs none */
	bool begun;  /* the matcher has a part of the text */
	struct pattern texts[MAX_TRIGGERS];
	uint32_t *tokens;
	uint32_t text_count, token_count;
	uint32_t *bits; /* the mask that is made, */
	size_t words;
};

int constraint_create(struct constraint *c, const struct stoker_sampler_params *p,
		      struct stoker_error *err);
int constraint_clone(struct constraint *to, const struct constraint *from);
void constraint_free(struct constraint *c);
/* A text begins. */
void constraint_reset(struct constraint *c);
/* Whether a token is allowed, 1 or 0; negative: -ENOMEM. */
int constraint_allows(struct constraint *c, uint32_t token);
/* All that aren't go, but for @also; UINT32_MAX: none. */
int constraint_mask(struct constraint *c, struct candidates *candidates, uint32_t also);
/* The text goes on.  Return: 1 when it's the grammar's; 0 when it isn't, or not yet; -E2BIG,
 * -ENOMEM. */
int constraint_accept(struct constraint *c, uint32_t token);

#endif
