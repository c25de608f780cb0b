// SPDX-License-Identifier: MIT
/* Parts of a file that were never written, as unfinished downloads leave them. */
#include "gguf/container.h"

#include <unistd.h>

static uint64_t seek(int fd, uint64_t at, int whence, uint64_t otherwise)
{
	const off_t found = lseek(fd, (off_t)at, whence);

	return found < 0 ? otherwise : (uint64_t)found;
}

static uint64_t hole_bytes(int fd, uint64_t at, uint64_t end)
{
	uint64_t bytes = 0;

	while (at < end) {
		const uint64_t hole = seek(fd, at, SEEK_HOLE, end);

		if (hole >= end)
			break;
		at = MIN(seek(fd, hole, SEEK_DATA, end), end); /* no data behind it is an error */
		bytes += at - hole;
	}
	return bytes;
}

const struct stoker_gguf_tensor *stoker_gguf_find_hole(const struct stoker_gguf *g, uint64_t *bytes)
{
	const struct stoker_gguf_tensor *first = NULL;
	uint64_t all = 0;

	for (uint32_t i = 0; g && i < g->file_count; i++) {
		const struct file *f = &g->files[i];

		/* nearly all files are whole: one question for all of their tensors */
		if (!hole_bytes(f->fd, f->data, f->end))
			continue;
		for (size_t k = 0; k < g->tensor_count; k++) {
			const struct stoker_gguf_tensor *t = &g->tensors[k];
			const uint64_t holes =
				t->file == i ? hole_bytes(f->fd, t->offset, t->offset + t->bytes)
					     : 0;

			all += holes;
			if (!first && holes > t->bytes / 2)
				first = t;
		}
	}
	if (bytes)
		*bytes = all;
	return first;
}
