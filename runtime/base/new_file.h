/* SPDX-License-Identifier: MIT */
/* Files under names that nobody has. */
#ifndef STOKER_BASE_NEW_FILE_H
#define STOKER_BASE_NEW_FILE_H

#include <sys/types.h>

/*
 * Creates a file for writing at @path in @folder or AT_FDCWD, whose last "XXXXXX" is replaced by
 * what makes it new.  What others left behind doesn't stand in its way.
 *
 * Return: a descriptor or -errno.
 */
int stoker_new_file(int folder, char *path, mode_t mode);

#endif
