/* SPDX-License-Identifier: MIT */
/* Whether an open file is still what it was: another program may write over it. */
#ifndef STOKER_BASE_FILE_STATE_H
#define STOKER_BASE_FILE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Renaming, linking and chmod() make no difference, as its time of status change would. */
struct file_state {
	uint64_t bytes;
	struct timespec modified;
};

static inline struct file_state file_state_of(const struct stat *s)
{
	return (struct file_state){ .bytes = (uint64_t)s->st_size, .modified = s->st_mtim };
}

/* A file that can't be asked has not changed: reading it will tell. */
static inline bool file_has_changed(int fd, const struct file_state *before)
{
	struct file_state now;
	struct stat s;

	if (fstat(fd, &s))
		return false;
	now = file_state_of(&s);
	return now.bytes != before->bytes || now.modified.tv_sec != before->modified.tv_sec ||
	       now.modified.tv_nsec != before->modified.tv_nsec;
}

#endif
