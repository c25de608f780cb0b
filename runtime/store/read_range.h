/* SPDX-License-Identifier: MIT */
/* Reading a large stretch of a file into memory as fast as the drive gives it. */
#ifndef STOKER_READ_RANGE_H
#define STOKER_READ_RANGE_H

#include "store/store.h"

/* Told now and then how far reading has come; nonzero cancels it. */
typedef int stoker_progress_fn(void *context, uint64_t done, uint64_t total);

/*
 * Reads [offset, offset + bytes) of @fd, both multiples of STOKER_STORE_ALIGN except that the end
 * may be the end of the file, to @dst, aligned likewise and with room up to the next multiple.
 * A deep queue of direct reads where kernel and file system allow them, see store.h.  @path is for
 * messages.  Returns 0, -EIO on a short file,
 * -ECANCELED, or -errno.
 */
int stoker_read_range(int fd, const char *path, uint64_t offset, uint64_t bytes, void *dst,
		      stoker_progress_fn *progress, void *context, struct stoker_error *err);

#endif
