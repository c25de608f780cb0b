// SPDX-License-Identifier: MIT
/* What the machine and the memory cgroups around this process leave. */
#include "base/memory.h"

#include <stdio.h>

#include "base/base.h"

enum { LONGEST_PATH = 4200 };

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
	char path[LONGEST_PATH];

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

/* The least of what a group and those around it leave; in a container the path may not be there. */
static uint64_t cgroups_leave(const char *root, const char *mount, const char *path, bool v2)
{
	const size_t top = strlen(root) + strlen(mount);
	uint64_t left = UINT64_MAX, leaves;
	char folder[LONGEST_PATH - 100];
	char *end;

	if ((size_t)snprintf(folder, sizeof(folder), "%s%s%s", root, mount, path) >= sizeof(folder))
		return left;
	do {
		leaves = cgroup_leaves(folder, v2);
		left = MIN(left, leaves);
		end = strrchr(folder + top, '/');
		if (end)
			*end = 0;
	} while (end);
	return left;
}

/* Whether "cpu,memory" has the memory controller in it. */
static bool lists_memory(const char *controllers)
{
	for (const char *at = controllers; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == strlen("memory") && !strncmp(at, "memory", 6))
			return true;
	return false;
}

/* A line of /proc/self/cgroup, "NUMBER:CONTROLLERS:PATH"; a path may hold colons. */
static uint64_t line_leaves(const char *root, char *line)
{
	char *controllers = strchr(line, ':'), *path;
	uint64_t own, linked;
	char mount[300];

	line[strcspn(line, "\n")] = 0;
	path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return UINT64_MAX;
	*controllers++ = *path++ = 0;
	if (!*controllers)
		return cgroups_leave(root, "/sys/fs/cgroup", path, true);
	if (!lists_memory(controllers))
		return UINT64_MAX;
	/* one that is mounted with others has their names, and may have a link of its own */
	snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", controllers);
	own = cgroups_leave(root, mount, path, false);
	linked = cgroups_leave(root, "/sys/fs/cgroup/memory", path, false);
	return MIN(own, linked);
}

bool stoker_memory_available(const char *root, uint64_t *bytes)
{
	char line[LONGEST_PATH];
	uint64_t left, leaves;
	FILE *f;

	*bytes = 0;
	snprintf(line, sizeof(line), "%s/proc/meminfo", root);
	if (!number_in(line, "MemAvailable:", &left) || !stoker_mul(left, 1024, &left))
		return false;
	snprintf(line, sizeof(line), "%s/proc/self/cgroup", root);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f)) {
		leaves = line_leaves(root, line);
		left = MIN(left, leaves);
	}
	if (f)
		fclose(f);
	*bytes = left;
	return true;
}
