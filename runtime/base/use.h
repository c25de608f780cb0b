/* SPDX-License-Identifier: MIT */
/*
 * Who uses an object that serves one at a time, and who keeps one alive.
 *
 * A second user is told so, not made to wait: it's another thread by mistake, or a callback of the
 * first, which would wait for itself.  Who releases an object in use leaves that to its user.
 */
#ifndef STOKER_BASE_USE_H
#define STOKER_BASE_USE_H

#include <stdatomic.h>
#include <stdbool.h>

enum { USE_NONE, USE_BUSY, USE_RELEASED };

/* False: it is in use already. */
static inline bool use_begin(_Atomic int *use)
{
	int none = USE_NONE;

	return atomic_compare_exchange_strong(use, &none, USE_BUSY);
}

/* True: it was released meanwhile, and the caller does that now. */
static inline bool use_end(_Atomic int *use)
{
	int busy = USE_BUSY;

	return !atomic_compare_exchange_strong(use, &busy, USE_NONE);
}

/* Whoever releases it; true: nobody uses it, and the caller does that now. */
static inline bool use_release(_Atomic int *use)
{
	return atomic_exchange(use, USE_RELEASED) == USE_NONE;
}

/* @others: how many keep it alive beside the one who made it.  True: the last one lets go of it. */
static inline bool is_last_owner(_Atomic unsigned *others)
{
	return atomic_fetch_sub(others, 1) == 0;
}

#endif
