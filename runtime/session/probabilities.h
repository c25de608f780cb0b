/* SPDX-License-Identifier: MIT */
/* Log-probabilities of tokens, of the raw logits. */
#ifndef STOKER_SESSION_PROBABILITIES_H
#define STOKER_SESSION_PROBABILITIES_H

#include "base/base.h"
#include "stoker/session.h"

/*
 * Of the chosen token, and behind it of the @top_count likeliest, best first, for which @p has
 * room; logits that aren't numbers don't count.
 */
void note_probabilities(const float *logits, uint32_t count, uint32_t token,
			struct stoker_token_probability *p, uint32_t top_count);
/* How many of the likeliest there were. */
uint32_t count_probabilities(const struct stoker_token_probability *p, uint32_t top_count);

#endif
