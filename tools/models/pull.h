/* SPDX-License-Identifier: MIT */
/* The second half of stoker pull. */
#ifndef STOKER_TOOL_PULL_H
#define STOKER_TOOL_PULL_H

#include <stdbool.h>
#include <stddef.h>

/* Hashes what was pulled again: by name, or all of it.  An exit status. */
int pull_check(char **names, size_t count, bool json);

#endif
