/* SPDX-License-Identifier: MIT */
/**
 * stoker/unstable/store.h - what paging reads with.
 *
 * For the stoker program, which is built together with the library: neither installed nor exported,
 * and different whenever it has to be.
 */
#ifndef STOKER_UNSTABLE_STORE_H
#define STOKER_UNSTABLE_STORE_H

#include "stoker/error.h"

/**
 * stoker_driver_prefer() - what paging reads with when it isn't told
 * @store: "kmod" or "uring"
 * @err: may be NULL
 *
 * Kept in the user's cache folder, for the running kernel's release.  "stoker bench store" calls it
 * with what was faster.
 *
 * Return: 0, -EINVAL for another name, or -errno of writing it.
 */
int stoker_driver_prefer(const char *store, struct stoker_error *err);

#endif
