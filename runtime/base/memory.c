// SPDX-License-Identifier: MIT
/* What the machine and the memory cgroups around this process leave. */
#include "base/memory.h"

#include <stdio.h>

#include "base/base.h"

/* The number behind the field of a file like /proc/meminfo, or its first; 0: there is none. */
static uint64_t number_in(const char *path, const char *field)
{
	unsigned long long value = 0;
	char line[128];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)) &&
		    sscanf(line + strlen(field), "%llu", &value) == 1)
			break;
	if (f)
		fclose(f);
	return value;
}

/* What a memory cgroup leaves; its page cache is given back when need be.  UINT64_MAX: no limit. */
static uint64_t cgroup_leaves(const char *folder, bool v2)
{
	char path[1000];
	uint64_t limit, used, cache;

	snprintf(path, sizeof(path), "%s/%s", folder, v2 ? "memory.max" : "memory.limit_in_bytes");
	limit = number_in(path, ""); /* "max" is no number */
	if (!limit)
		return UINT64_MAX;
	snprintf(path, sizeof(path), "%s/%s", folder,
		 v2 ? "memory.current" : "memory.usage_in_bytes");
	used = number_in(path, "");
	snprintf(path, sizeof(path), "%s/memory.stat", folder);
	cache = number_in(path, v2 ? "inactive_file " : "total_inactive_file ") +
		number_in(path, v2 ? "active_file " : "total_active_file ");
	used -= MIN(cache, used);
	return used < limit ? limit - used : 1;
}

/* The least of what a group and those around it leave; in a container the path may not be there. */
static uint64_t cgroups_leave(const char *root, const char *mount, char *path, bool v2)
{
	uint64_t left = UINT64_MAX, leaves;
	char folder[900];
	char *end;

	do {
		snprintf(folder, sizeof(folder), "%s%s%s", root, mount, path);
		leaves = cgroup_leaves(folder, v2);
		left = MIN(left, leaves);
		end = strrchr(path, '/');
		if (end)
			*end = 0;
	} while (end);
	return left;
}

uint64_t stoker_memory_available(const char *root)
{
	uint64_t left, leaves;
	char line[512], name[512];
	FILE *f;

	snprintf(name, sizeof(name), "%s/proc/meminfo", root);
	left = number_in(name, "MemAvailable:") * 1024;
	snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *path = strrchr(line, ':');

		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "0::", 3))
			leaves = cgroups_leave(root, "/sys/fs/cgroup", path + 1, true);
		else if (path && strstr(line, ":memory:"))
			leaves = cgroups_leave(root, "/sys/fs/cgroup/memory", path + 1, false);
		else
			continue;
		left = MIN(left, leaves);
	}
	if (f)
		fclose(f);
	return left;
}
