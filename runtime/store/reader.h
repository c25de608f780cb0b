/* SPDX-License-Identifier: MIT */
/* Reading a large stretch of a file into memory as fast as the drive gives it. */
#ifndef STOKER_READER_H
#define STOKER_READER_H

#include "base/base.h"

enum { STOKER_READ_ALIGN = 4096 };

/* Told now and then how far reading has come; nonzero cancels it. */
typedef int stoker_progress_fn(void *context, uint64_t done, uint64_t total);

/*
 * Reads [offset, offset + bytes) of @fd, both multiples of STOKER_READ_ALIGN except that the end
 * may be the end of the file, to @dst, aligned likewise and with room up to the next multiple.
 * Direct reads with a deep queue through io_uring; where the kernel or the file system refuses
 * these, by threads and the page cache.  @path is for messages.  Returns 0, -EIO on a short file,
 * -ECANCELED, or -errno.
 */
int stoker_read_range(int fd, const char *path, uint64_t offset, uint64_t bytes, void *dst,
		      stoker_progress_fn *progress, void *context, struct stoker_error *err);

#endif
