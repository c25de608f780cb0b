/* SPDX-License-Identifier: MIT */
/* --shift: a context that is full goes on without its oldest tokens. */
#ifndef STOKER_TOOL_SHIFT_H
#define STOKER_TOOL_SHIFT_H

#include "run.h"

/*
 * Takes half of what is behind the first @keep tokens, if there aren't too many of these, out of
 * the session, without logits then; says so the first time.  @moved, which may be NULL: how many
 * are left behind that place.
 */
int shift_session(struct run *r, size_t keep, size_t *moved, struct stoker_error *err);
/* Evaluates tokens, with logits of the last, however many there are where that is asked for. */
int shift_eval(struct run *r, const uint32_t *tokens, size_t count, size_t keep,
	       struct stoker_error *err);
/* stoker_session_generate() that goes on where the context is full; stop strings are @params' own.
 */
int shift_generate(struct run *r, const struct stoker_generate_params *params,
		   struct stoker_generate_result *result, struct stoker_error *err);

#endif
