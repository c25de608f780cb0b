/* SPDX-License-Identifier: MIT */
/* Files in the user's cache folder, read and written whole; @path may be NULL. */
#ifndef STOKER_BASE_CACHE_H
#define STOKER_BASE_CACHE_H

#include "base/base.h"
#include "stoker/cache.h"

/* What the caller frees, or NULL: it can't be read, is empty or has more than @limit bytes. */
void *stoker_cache_read(const char *path, size_t limit, size_t *bytes);
/* A failure leaves what was there. */
void stoker_cache_write(const char *path, const void *data, size_t bytes);

#endif
