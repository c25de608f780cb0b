/* SPDX-License-Identifier: MIT */
/* What the machine has left. */
#ifndef STOKER_BASE_MEMORY_H
#define STOKER_BASE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes that this process may still take, which can be none at all: the machine's available memory
 * within the limits of its memory cgroups, version 1 or 2.  False: it isn't known.  @root is where
 * /proc and /sys are, "" but for tests.
 */
bool stoker_memory_available(const char *root, uint64_t *bytes);

#endif
