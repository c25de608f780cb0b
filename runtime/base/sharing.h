/* SPDX-License-Identifier: MIT */
/* Whether a pool's runs are worth sharing while other programs use the CPUs, too. */
#ifndef STOKER_SHARING_H
#define STOKER_SHARING_H

#include "base/base.h"

/*
 * A thread that shares a CPU with another program holds up all that wait for it.  When threads have
 * been put aside, runs are done alone for a while, then shared for a while, and what took longer is
 * left off, the longer the more often it has lost.  Nothing is tried while nothing is suspicious.
 */
struct sharing {
	enum { SHARING, TRYING_ALONE, TRYING_SHARED, ALONE } state;
	uint64_t spent;		  /* in runs of this state, in ns as all times here */
	uint64_t waited;	  /* for threads that had been put aside */
	uint64_t took, else_took; /* runs of which it's known how long they take alone, and that */
	uint64_t until;		  /* when ALONE ends, or before which SHARING isn't doubted again */
	uint64_t aside;		  /* for how long to stay ALONE */
	unsigned doubts;	  /* windows in a row that were suspicious */
	unsigned wins;		  /* of sharing, one after the other */
	long switches;		  /* of the calling thread, against its will, at its first run */
	uint64_t (*idle_ns)(void); /* stoker_idle_ns(), or a test's */
	uint64_t tried, looked; /* when sharing was last tried; when idle CPUs were looked for, */
	uint64_t idle;		/* and what idle_ns() said then */
};

/* Whether the next run is to be done alone. */
bool sharing_is_off(struct sharing *s, uint64_t now);

/*
 * What a run took, @waited of it for a thread that was put aside.  @alone_ns: of a run that was
 * shared, what such runs take alone, 0 when it isn't known.
 */
void sharing_learn(struct sharing *s, uint64_t now, uint64_t took, uint64_t waited,
		   uint64_t alone_ns);

#endif
