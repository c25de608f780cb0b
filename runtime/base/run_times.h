/* SPDX-License-Identifier: MIT */
/* How long the runs of a pool take, by their kind: whether a short one is worth sharing. */
#ifndef STOKER_RUN_TIMES_H
#define STOKER_RUN_TIMES_H

#include "base/base.h"

/* Runs of the same work over as many items; they take @ns alone [0] and shared [1], 0: not known.
 */
struct run_kind {
	size_t work, count;
	uint64_t ns[2];
	unsigned runs;
};

struct run_times {
	struct run_kind kinds[256];
};

/* Of the kinds that fall on the same place only the last is known. */
struct run_kind *run_times_find(struct run_times *times, size_t work, size_t count);

/*
 * Whether a run that begins now is to be timed.  A look at the clock takes 1 % of the shortest
 * runs; of those one stands for @weight, and of all that are done @alone for a while.
 */
bool run_is_sampled(struct run_kind *kind, bool alone, unsigned *weight);

/*
 * Whether short runs of a kind are better done alone: what cores tell each other may take longer.
 * Both are tried regularly.
 */
bool run_is_better_alone(const struct run_kind *kind, uint64_t now);

/* What a run took, for a while of which its thread may have been put aside. */
void run_learn(struct run_kind *kind, bool shared, uint64_t took);

#endif
