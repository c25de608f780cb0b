// SPDX-License-Identifier: MIT
/* Sizes of memory: what the user says, and what the machine and its cgroups leave. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

uint64_t parse_size(const char *text)
{
	static const char units[] = "kmgt";
	char *end;
	double value = strtod(text, &end);
	const char *unit = *end ? strchr(units, *end | 32) : NULL;

	if (end == text || !(value > 0))
		return 0;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			value *= 1024;
		end++;
	}
	if (!strcasecmp(end, "iB") || !strcasecmp(end, "B"))
		end += strlen(end);
	return *end || value >= 1e18 ? 0 : (uint64_t)value;
}

uint64_t number_in(const char *path, const char *field)
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
	char path[800];
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
	used -= cache < used ? cache : used;
	return used < limit ? limit - used : 1;
}

/* The least of what a group and those around it leave; in a container the path may not be there. */
static uint64_t cgroups_leave(const char *mount, char *path, bool v2)
{
	uint64_t left = UINT64_MAX, leaves;
	char folder[700];
	char *end;

	do {
		snprintf(folder, sizeof(folder), "%s%s", mount, path);
		leaves = cgroup_leaves(folder, v2);
		left = leaves < left ? leaves : left;
		end = strrchr(path, '/');
		if (end)
			*end = 0;
	} while (end);
	return left;
}

/* What this process may still take: the machine's free memory within its cgroups' limits. */
static uint64_t memory_to_take(void)
{
	uint64_t left = number_in("/proc/meminfo", "MemAvailable:") * 1024, leaves;
	char line[512];
	FILE *f = fopen("/proc/self/cgroup", "re");

	while (f && fgets(line, sizeof(line), f)) {
		char *path = strrchr(line, ':');

		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "0::", 3))
			leaves = cgroups_leave("/sys/fs/cgroup", path + 1, true);
		else if (path && strstr(line, ":memory:"))
			leaves = cgroups_leave("/sys/fs/cgroup/memory", path + 1, false);
		else
			continue;
		left = leaves < left ? leaves : left;
	}
	if (f)
		fclose(f);
	return left;
}

int memory_budget(const struct compute_options *c, struct stoker_device *device, const char *path,
		  uint64_t *budget)
{
	/* for the cache and working buffers, of which only loading knows */
	const uint64_t slack = 512 << 20;
	const uint64_t left = stoker_device_shares_memory(device)
				      ? memory_to_take()
				      : stoker_device_memory_left(device);
	struct stoker_gguf *gguf;
	uint64_t all;

	*budget = STOKER_MEMORY_ALL;
	if (c->memory && !strcasecmp(c->memory, "max"))
		return EXIT_OK;
	if (c->memory && !strcasecmp(c->memory, "min")) {
		*budget = STOKER_MEMORY_MIN;
		return EXIT_OK;
	}
	if (c->memory) {
		*budget = parse_size(c->memory);
		return *budget > STOKER_MEMORY_MIN
			       ? EXIT_OK
			       : failf("no size \"%s\"; there are 6G, 1.5GiB, min, max", c->memory);
	}
	if (!left || stoker_gguf_open(path, &gguf, NULL))
		return EXIT_OK; /* loading says what's wrong with the file */
	all = model_bytes(gguf, NULL);
	stoker_gguf_close(&gguf);
	if (all + all / 16 + (all > slack ? slack : all) > left)
		*budget = left / 16 * 15 + 2;
	return EXIT_OK;
}

int host_budget(const struct compute_options *c, const struct stoker_device *device,
		uint64_t *budget)
{
	*budget = 0;
	if (stoker_device_shares_memory(device))
		return EXIT_OK;
	if (c->host_memory) {
		*budget = parse_size(c->host_memory);
		return *budget ? EXIT_OK : EXIT_USAGE;
	}
	*budget = memory_to_take() / 4 * 3; /* 0 where that isn't known: as much as the device's */
	return EXIT_OK;
}
