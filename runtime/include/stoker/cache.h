/* SPDX-License-Identifier: MIT */
/* stoker/cache.h - what is kept from one run to the next, and never a condition */
#ifndef STOKER_CACHE_H
#define STOKER_CACHE_H

#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * stoker_cache_path() - a file in the user's cache folder
 * @name: its name in $XDG_CACHE_HOME/stoker or ~/.cache/stoker, a folder that is made if need be
 *
 * Return: its path, release it with free(); NULL when there is no such place or no memory.
 */
STOKER_API char *stoker_cache_path(const char *name);

#ifdef __cplusplus
}
#endif

#endif
