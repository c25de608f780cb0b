/* SPDX-License-Identifier: MIT */
/*
 * Embeddings: what a step keeps of its rows' hidden states, as they are behind the output's norm.
 *
 * A step gives the rows that its sequences' pooling needs in place of logits.  The sum is in double
 * and in the order of positions, so that it doesn't matter in which steps they came.
 */
#ifndef STOKER_SESSION_EMBEDDING_H
#define STOKER_SESSION_EMBEDDING_H

#include "model/forward.h"

struct step;
struct step_part;
struct sequence;

/* Of a sequence: @sum is about its first @rows positions, or with the last one about that. */
struct pooled {
	double *sum;
	uint32_t rows;
};

/* How many of a part's rows are needed; @last: the call's tokens end with it. */
uint32_t embedding_rows(const struct step *s, const struct step_part *part, bool last);
/* What a step has for the rows of all its parts.  -ENOMEM. */
int embedding_create(struct step *s, struct stoker_error *err);
/* Reads them, with the device's lock. */
int embedding_read(struct step *s, struct stoker_error *err);
/* A part's, of which the first row is at @rows; before its sequence moves on. */
void embedding_add(const struct step *s, const struct step_part *part, const float *rows);
/* What it knew of positions from @position on isn't the sequence's any more. */
void embedding_cut(struct sequence *q, uint32_t position);
/* Whether all positions have to be evaluated: what others computed doesn't do. */
static inline bool embedding_needs_all(enum stoker_pooling pooling)
{
	return pooling == STOKER_POOLING_MEAN || pooling == STOKER_POOLING_CLS;
}
/* See stoker_session_embedding(). */
int embedding_get(const struct step *s, const struct sequence *q, int normalize, float *embedding,
		  struct stoker_error *err);

#endif
