/* SPDX-License-Identifier: MIT */
/* How long the machine's CPUs have had nothing to do. */
#ifndef STOKER_BASE_IDLE_H
#define STOKER_BASE_IDLE_H

#include <stdint.h>

#include "base/cpus.h"

#define STOKER_IDLE_UNKNOWN UINT64_MAX

/*
 * For how long, in ns, the CPUs that the calling thread may use have been idle since the machine
 * was started, all of them together; to the clock tick, 1 to 10 ms.  STOKER_IDLE_UNKNOWN: the
 * system doesn't say.  Takes some 20 us, more where there are many CPUs.
 */
uint64_t stoker_idle_ns(void);

/* The same of CPUs in @allowed, with /proc in @root, for tests. */
uint64_t stoker_count_idle_ns(const char *root, const struct stoker_cpu_set *allowed);

#endif
