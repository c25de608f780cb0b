// SPDX-License-Identifier: MIT
/* What the machine and the memory cgroups around this process leave. */
#include "base/memory.h"

#include <stdio.h>
#include <sys/sysinfo.h>

#include "base/base.h"
#include "base/cgroup.h"

/* The number behind the field of a file like /proc/meminfo, or its first; false: there is none. */
static bool number_in(const char *path, const char *field, uint64_t *number)
{
	unsigned long long value = 0;
	char line[128];
	bool found = false;
	FILE *f = fopen(path, "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, field, strlen(field)) &&
			sscanf(line + strlen(field), "%llu", &value) == 1;
	if (f)
		fclose(f);
	*number = value;
	return found;
}

static bool cgroup_number(const char *folder, const char *file, const char *field, uint64_t *number)
{
	char path[STOKER_CGROUP_PATH];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	return number_in(path, field, number);
}

/* What a memory cgroup leaves; its page cache is given back when need be.  UINT64_MAX: no limit. */
static uint64_t cgroup_leaves(const char *folder, bool v2)
{
	uint64_t limit, used, inactive, active;

	/* "max" is no number */
	if (!cgroup_number(folder, v2 ? "memory.max" : "memory.limit_in_bytes", "", &limit))
		return UINT64_MAX;
	cgroup_number(folder, v2 ? "memory.current" : "memory.usage_in_bytes", "", &used);
	cgroup_number(folder, "memory.stat", v2 ? "inactive_file " : "total_inactive_file ",
		      &inactive);
	cgroup_number(folder, "memory.stat", v2 ? "active_file " : "total_active_file ", &active);
	used -= MIN(inactive + active, used);
	return limit - MIN(used, limit);
}

static void group_leaves(void *left, const char *folder, bool v2)
{
	const uint64_t leaves = cgroup_leaves(folder, v2);

	*(uint64_t *)left = MIN(*(uint64_t *)left, leaves);
}

/*
 * Without /proc the kernel still tells what is free, but not what it would give back of the page
 * cache, which on a machine that has read files is most of the rest: half of all is assumed.
 */
static bool free_memory(uint64_t *bytes)
{
	struct sysinfo s;

	if (sysinfo(&s) || !s.totalram)
		return false;
	*bytes = MAX((uint64_t)s.freeram + s.bufferram, (uint64_t)s.totalram / 2) * s.mem_unit;
	return true;
}

bool stoker_memory_available(const char *root, uint64_t *bytes)
{
	char path[STOKER_CGROUP_PATH];
	uint64_t left;

	*bytes = 0;
	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	if (number_in(path, "MemAvailable:", &left)) {
		if (!stoker_mul(left, 1024, &left))
			return false;
	} else if (!free_memory(&left)) {
		return false;
	}
	stoker_cgroups(root, "memory", group_leaves, &left);
	*bytes = left;
	return true;
}
