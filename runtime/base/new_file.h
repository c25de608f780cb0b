/* SPDX-License-Identifier: MIT */
/* Files under names that nobody has. */
#ifndef STOKER_BASE_NEW_FILE_H
#define STOKER_BASE_NEW_FILE_H

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

#endif
