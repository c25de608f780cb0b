/* SPDX-License-Identifier: MIT */
/**
 * stoker/unstable/cache.h - what is kept from one run to the next, and never a condition.
 *
 * For the stoker program, which is built together with the library: neither installed nor exported,
 * and different whenever it has to be.
 */
#ifndef STOKER_UNSTABLE_CACHE_H
#define STOKER_UNSTABLE_CACHE_H

#include <stddef.h>

#include "stoker/error.h"

/**
 * stoker_cache_path() - a file in the user's cache folder
 * @name: its name in $XDG_CACHE_HOME/stoker or ~/.cache/stoker, a folder that is made if need be
 *
 * Return: its path, release it with stoker_free(); NULL when there is no such place or no memory.
 */
char *stoker_cache_path(const char *name);

/**
 * stoker_cache_read() - all of a file whose path stoker_cache_path() gave
 * @path: may be NULL
 * @limit: bytes that it may have at most
 * @bytes: receives how many it has
 *
 * A file or a folder that isn't the user's own, or that others may write to, isn't read.
 *
 * Return: what is in it, release it with stoker_free(); NULL when it can't be read, is empty or too
 * large.
 */
void *stoker_cache_read(const char *path, size_t limit, size_t *bytes);

/**
 * stoker_cache_write() - give a file whose path stoker_cache_path() gave other contents, or make it
 * @path: may be NULL, as it is where there is no cache folder
 *
 * Programs that read it at the same time find either what was there or all of this; after a failure
 * it is what was there.  A link is replaced, not followed.
 *
 * Return: 0, -EACCES when the folder isn't the user's own or others may write to it, or -errno.
 */
int stoker_cache_write(const char *path, const void *data, size_t bytes, struct stoker_error *err);

#endif
