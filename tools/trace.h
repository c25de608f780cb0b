/* SPDX-License-Identifier: MIT */
/* Routing traces: which experts a model used, and what a cache of experts would have made of it. */
#ifndef STOKER_TOOLS_TRACE_H
#define STOKER_TOOLS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PREDICTED_LAYERS = 3 }; /* layers that routers are asked ahead */

struct trace {
	uint32_t layers, experts, used;
	uint64_t expert_bytes;
	uint32_t *access; /* layer * experts + expert, token after token */
	uint32_t *token;  /* of each access, from 0 */
	size_t count, room, tokens;
	/* experts that routers were asked for so many layers ahead, and right ones */
	size_t asked[PREDICTED_LAYERS + 1], right[PREDICTED_LAYERS + 1];
};

enum trace_policy { TRACE_LRU, TRACE_FREQUENCY, TRACE_BELADY };

/* One more access by token t->tokens - 1; false: no memory. */
bool trace_add(struct trace *t, uint32_t layer, uint32_t expert);
/* What "stoker run --trace" wrote; an exit status, after a complaint. */
int trace_read(const char *path, struct trace *t);
void trace_free(struct trace *t);

/*
 * Whether each access finds its expert among @slots, which all layers share as in the pager; what
 * gives way is the expert used longest ago (LRU), the one whose uses, counted half after some
 * tokens, are fewest, or the one not needed for the longest time (Belady's optimum, which knows the
 * future).  Returns how many do, negative: no memory.  @hit [t->count] may be NULL.
 */
long trace_simulate(const struct trace *t, enum trace_policy policy, uint32_t slots, bool *hit);

#endif
