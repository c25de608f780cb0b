/* SPDX-License-Identifier: MIT */
/* The cache folder that a program says, or the user's: see stoker/unstable/cache.h. */
#ifndef STOKER_BASE_CACHE_H
#define STOKER_BASE_CACHE_H

#include "stoker/unstable/cache.h"

/*
 * The path of @name in @folder; NULL is the user's, as for stoker_cache_path(), and "" none.  NULL
 * where there is none.
 */
char *cache_path(const char *folder, const char *name);

#endif
