/* SPDX-License-Identifier: MIT */
/* The control groups around this process, of version 1 and 2. */
#ifndef STOKER_BASE_CGROUP_H
#define STOKER_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

enum { STOKER_CGROUP_PATH = 4200 };

/* Called for one group, whose files are in @folder; those of version 1 have other names. */
typedef void stoker_cgroup_fn(void *context, const char *folder, bool v2);

/*
 * Goes through the groups of @controller ("memory", "cpu") that this process is in and those around
 * them, each of which may carry a limit.  Some folders aren't there: in a container a group's path
 * may be that outside.  @root is where /proc and /sys are, "" but for tests.
 */
void stoker_cgroups(const char *root, const char *controller, stoker_cgroup_fn *fn, void *context);

#endif
