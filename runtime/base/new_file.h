/* SPDX-License-Identifier: MIT */
/* Files under names that nobody has, and files that get theirs when they are finished. */
#ifndef STOKER_BASE_NEW_FILE_H
#define STOKER_BASE_NEW_FILE_H

#include <stdbool.h>
#include <sys/types.h>

struct stoker_error;

/*
 * Creates a file for writing at @path in @folder or AT_FDCWD, whose last "XXXXXX" is replaced by
 * what makes it new.  What others left behind doesn't stand in its way.
 *
 * Return: a descriptor or -errno.
 */
int stoker_new_file(int folder, char *path, mode_t mode);

/*
 * Where a file that is to be at @path goes when it is finished: through a symbolic link, and never
 * over anything but a file.  @target is to be freed.
 */
int stoker_file_target(const char *path, char **target, struct stoker_error *err);

/*
 * A file that is there as a whole or not at all.  Until it is finished it has no name where the
 * file system can do that, so that nothing is left of it when the process is killed; elsewhere it
 * has one that nobody else has.
 */
struct whole_file {
	int fd; /* to write to */
	char *target, *part;
	bool named; /* it is at @part */
};

/* On failure there is nothing to be ended. */
int whole_file_begin(struct whole_file *w, const char *path, mode_t mode, struct stoker_error *err);
/*
 * It takes the place of what has its name, on the drive, too, or with @keep unset it goes.  One
 * that replaces another has a second name for a moment, as links don't replace.
 */
int whole_file_end(struct whole_file *w, bool keep, struct stoker_error *err);

#endif
