/* SPDX-License-Identifier: MIT */
/* How many threads this process should compute with. */
#ifndef STOKER_BASE_CPUS_H
#define STOKER_BASE_CPUS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

struct stoker_cpu_set {
	cpu_set_t *set; /* of any size; CPU_FREE() */
	size_t bytes;
};

/* The affinity mask of the calling thread; false: it can't be read. */
bool stoker_allowed_cpus(struct stoker_cpu_set *allowed);

/*
 * One for each core that has a CPU in the affinity mask, but no more than the CPU quota of the
 * cgroups around this process, rounded down, and at least 1.
 *
 * The second thread of a core has the same arithmetic units and the same way to memory, and brings
 * nothing or less than that.  Slow cores beside fast ones count: work is shared out as it is done.
 * A thread more than the quota has all of them stand still for the rest of a period.
 */
unsigned stoker_usable_cpus(void);

/* The same with /proc and /sys in @root, for tests. */
unsigned stoker_count_cpus(const char *root, const struct stoker_cpu_set *allowed);

#endif
