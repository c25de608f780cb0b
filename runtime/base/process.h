/* SPDX-License-Identifier: MIT */
/*
 * Whether this is still the process in which something was made.  One that was forked off has its
 * memory, but not its threads, nor what the kernel or a driver does for it.
 */
#ifndef STOKER_BASE_PROCESS_H
#define STOKER_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: nobody asks. */
struct process_mark {
	_Atomic uint32_t *page; /* in memory that the kernel clears in a forked process, or NULL: */
	_Atomic int pid;
};

/* False: no memory. */
bool process_mark_make(struct process_mark *mark);
void process_mark_free(struct process_mark *mark);

/* Costs a look at memory. */
bool process_mark_is_here(const struct process_mark *mark);

/*
 * True for the first who asks in a forked process, and has to put things right there before
 * process_mark_settle(); others wait until then.
 */
bool process_mark_claim(struct process_mark *mark);
void process_mark_settle(struct process_mark *mark);

#endif
