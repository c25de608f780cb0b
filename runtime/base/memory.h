/* SPDX-License-Identifier: MIT */
/* What the machine has left. */
#ifndef STOKER_BASE_MEMORY_H
#define STOKER_BASE_MEMORY_H

#include <stdint.h>

/*
 * Bytes that this process may still take: the machine's available memory within the limits of its
 * memory cgroups, version 1 or 2.  0: it isn't known.  @root is where /proc and /sys are, "" but
 * for tests.
 */
uint64_t stoker_memory_available(const char *root);

#endif
