// SPDX-License-Identifier: MIT
/* Idle CPUs, as /proc/stat counts them. */
#include "base/idle.h"

#include <stdio.h>
#include <unistd.h>

#include "base/base.h"

uint64_t stoker_count_idle_ns(const char *root, const struct stoker_cpu_set *allowed)
{
	unsigned long long user, nice, system, idle, ticks = 0, passed = 0, waiting;
	char line[256], path[256];
	size_t cpu;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/stat", root);
	f = fopen(path, "re");
	if (!f)
		return STOKER_IDLE_UNKNOWN;
	/*
	 * "cpu3 USER NICE SYSTEM IDLE IOWAIT ...", after a line for all of them, before other
	 * lines; what waits for a drive leaves its CPU to others.
	 */
	while (fgets(line, sizeof(line), f) && !strncmp(line, "cpu", 3)) {
		waiting = 0;
		if (line[3] == ' ' ||
		    sscanf(line, "cpu%zu %llu %llu %llu %llu %llu", &cpu, &user, &nice, &system,
			   &idle, &waiting) < 5 ||
		    cpu >= 8 * allowed->bytes || !CPU_ISSET_S(cpu, allowed->bytes, allowed->set))
			continue;
		ticks += idle + waiting;
		passed += user + nice + system + idle + waiting;
	}
	fclose(f);
	/* some containers show a file of zeros */
	return passed ? ticks * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK)) : STOKER_IDLE_UNKNOWN;
}

uint64_t stoker_idle_ns(void)
{
	struct stoker_cpu_set allowed;
	uint64_t ns;

	if (!stoker_allowed_cpus(&allowed))
		return STOKER_IDLE_UNKNOWN;
	ns = stoker_count_idle_ns("", &allowed);
	CPU_FREE(allowed.set);
	return ns;
}
