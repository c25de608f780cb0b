/* SPDX-License-Identifier: MIT */
/* How much of a session's context the next prompt can go on from. */
#ifndef STOKER_TOOL_REUSE_H
#define STOKER_TOOL_REUSE_H

#include <stddef.h>
#include <stdint.h>

#include <stoker/stoker.h>

/*
 * Where the context spells the same text with other tokens, as an answer that the model wrote may
 * do, the prompt takes them over: @tokens, from malloc(), and @count change.  Returns how many of
 * the context's tokens the prompt begins with; at least one of its own remains behind them.
 */
size_t reuse_context(const struct stoker_vocabulary *v, const uint32_t *context, size_t held,
		     uint32_t **tokens, size_t *count);

/*
 * Takes the session back to what it has in common with the prompt, as far as its model can; returns
 * how many tokens that is.  @tokens and @count as above.
 */
size_t reuse_session(struct stoker_session *session, const struct stoker_vocabulary *v,
		     uint32_t **tokens, size_t *count);

#endif
