// SPDX-License-Identifier: MIT
/* CPUs that this process may use: affinity, cores, quotas. */
#include "base/cpus.h"

#include <stdio.h>

#include "base/base.h"
#include "base/cgroup.h"

enum { MOST_CPUS = 1 << 20 }; /* the kernel has no name for a mask's size, so sizes are tried */

bool stoker_allowed_cpus(struct stoker_cpu_set *allowed)
{
	for (int cpus = CPU_SETSIZE; cpus <= MOST_CPUS; cpus *= 2) {
		*allowed = (struct stoker_cpu_set){ .set = CPU_ALLOC(cpus),
						    .bytes = CPU_ALLOC_SIZE(cpus) };
		if (!allowed->set)
			return false;
		if (!sched_getaffinity(0, allowed->bytes, allowed->set))
			return true;
		CPU_FREE(allowed->set);
		if (errno != EINVAL) /* the mask is larger */
			return false;
	}
	return false;
}

/* Numbers of a file, as many as it has at its beginning. */
static int numbers_in(const char *folder, const char *name, long *first, long *second)
{
	char path[STOKER_CGROUP_PATH];
	int count = 0;
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return 0;
	f = fopen(path, "re");
	if (!f)
		return 0;
	count = fscanf(f, "%ld %ld", first, second);
	fclose(f);
	return count;
}

/* "max 100000" or "200000 100000": microseconds of CPU time in a period; version 1 has two files.
 */
static void least_quota(void *least, const char *folder, bool v2)
{
	long quota = 0, period = 0, none;

	if (v2) {
		if (numbers_in(folder, "cpu.max", &quota, &period) != 2)
			return;
	} else if (numbers_in(folder, "cpu.cfs_quota_us", &quota, &none) < 1 ||
		   numbers_in(folder, "cpu.cfs_period_us", &period, &none) < 1) {
		return;
	}
	if (quota > 0 && period > 0 && quota / period < *(long *)least)
		*(long *)least = quota / period;
}

/* Whether a CPU of the same core that comes before @cpu is allowed, too. */
static bool is_second(const char *root, size_t cpu, const struct stoker_cpu_set *allowed)
{
	unsigned first, last;
	char path[200];
	bool second = false;
	FILE *f;
	int c = ',';

	snprintf(path, sizeof(path),
		 "%s/sys/devices/system/cpu/cpu%zu/topology/thread_siblings_list", root, cpu);
	f = fopen(path, "re");
	/* "0,8" or "0-1" */
	while (f && c == ',' && fscanf(f, "%u", &first) == 1) {
		last = first;
		c = getc(f);
		if (c == '-' && fscanf(f, "%u", &last) == 1)
			c = getc(f);
		for (size_t other = first; other <= last && other < cpu; other++)
			second |= CPU_ISSET_S(other, allowed->bytes, allowed->set);
	}
	if (f)
		fclose(f);
	return second;
}

unsigned stoker_count_cpus(const char *root, const struct stoker_cpu_set *allowed)
{
	long quota = MOST_CPUS;
	unsigned cores = 0;

	for (size_t cpu = 0; cpu < 8 * allowed->bytes; cpu++)
		cores += CPU_ISSET_S(cpu, allowed->bytes, allowed->set) &&
			 !is_second(root, cpu, allowed);
	stoker_cgroups(root, "cpu", least_quota, &quota);
	return MAX(MIN(cores, (unsigned)quota), 1u);
}

unsigned stoker_usable_cpus(void)
{
	struct stoker_cpu_set allowed;
	unsigned cpus;

	if (!stoker_allowed_cpus(&allowed))
		return 1;
	cpus = stoker_count_cpus("", &allowed);
	CPU_FREE(allowed.set);
	return cpus;
}
