// SPDX-License-Identifier: MIT
/* How many threads: affinity, cores and the quotas of cgroups, and how idle the CPUs are, on
 * machines that a test writes down. */
#include <sched.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/idle.h"
#include "root.h"
#include "unit.h"

static struct stoker_cpu_set from_to(unsigned first, unsigned last)
{
	struct stoker_cpu_set cpus = { .set = CPU_ALLOC(4096), .bytes = CPU_ALLOC_SIZE(4096) };

	CU_ASSERT_PTR_NOT_NULL_FATAL(cpus.set);
	CPU_ZERO_S(cpus.bytes, cpus.set);
	for (unsigned cpu = first; cpu <= last; cpu++)
		CPU_SET_S(cpu, cpus.bytes, cpus.set);
	return cpus;
}

/* With CPUs from @first to @last allowed. */
static unsigned count(unsigned first, unsigned last)
{
	struct stoker_cpu_set allowed = from_to(first, last);
	unsigned cpus;

	cpus = stoker_count_cpus(root, &allowed);
	CPU_FREE(allowed.set);
	return cpus;
}

static void test_affinity(void)
{
	root_make();
	CU_ASSERT_EQUAL(count(0, 0), 1);
	CU_ASSERT_EQUAL(count(3, 5), 3);
	CU_ASSERT_EQUAL(count(2000, 3999), 2000); /* more than CPU_SETSIZE */
	CU_ASSERT_EQUAL(count(1, 0), 1);
	root_remove();
}

static void siblings(unsigned cpu, const char *list)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
		 cpu);
	root_write(path, list);
}

static void test_one_thread_a_core(void)
{
	root_make();
	/* four cores with two threads each, of which Linux numbers the first ones first */
	for (unsigned cpu = 0; cpu < 8; cpu++) {
		char list[16];

		snprintf(list, sizeof(list), "%u,%u\n", cpu % 4, cpu % 4 + 4);
		siblings(cpu, list);
	}
	CU_ASSERT_EQUAL(count(0, 7), 4);
	CU_ASSERT_EQUAL(count(4, 7), 4);
	CU_ASSERT_EQUAL(count(3, 4), 2);
	CU_ASSERT_EQUAL(count(2, 6), 4);
	/* two fast cores with two threads each, four slow ones with one */
	siblings(0, "0-1\n");
	siblings(1, "0-1\n");
	siblings(2, "2-3\n");
	siblings(3, "2-3\n");
	for (unsigned cpu = 4; cpu < 8; cpu++) {
		char list[16];

		snprintf(list, sizeof(list), "%u\n", cpu);
		siblings(cpu, list);
	}
	CU_ASSERT_EQUAL(count(0, 7), 6);
	CU_ASSERT_EQUAL(count(0, 1), 1);
	CU_ASSERT_EQUAL(count(1, 1), 1);
	CU_ASSERT_EQUAL(count(1, 2), 2);
	/* four threads a core, and nonsense */
	siblings(1, "0-3,\n");
	siblings(2, "0,1-3\n");
	siblings(3, "0-4294967295\n");
	CU_ASSERT_EQUAL(count(0, 3), 1);
	siblings(5, "");
	siblings(6, "-,\n");
	siblings(7, "x\n");
	CU_ASSERT_EQUAL(count(5, 7), 3);
	root_remove();
}

static void test_quota_v2(void)
{
	root_make();
	root_write("/proc/self/cgroup", "0::/outer/inner\n");
	root_write("/sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
	CU_ASSERT_EQUAL(count(0, 7), 8);
	root_write("/sys/fs/cgroup/outer/inner/cpu.max", "350000 100000\n");
	CU_ASSERT_EQUAL(count(0, 7), 3);
	CU_ASSERT_EQUAL(count(0, 1), 2);
	root_write("/sys/fs/cgroup/outer/cpu.max", "75000 50000\n");
	CU_ASSERT_EQUAL(count(0, 7), 1);
	root_write("/sys/fs/cgroup/outer/cpu.max", "50000 100000\n");
	CU_ASSERT_EQUAL(count(0, 7), 1);
	root_write("/sys/fs/cgroup/outer/cpu.max", "1000 0\n");
	CU_ASSERT_EQUAL(count(0, 7), 3);
	root_write("/sys/fs/cgroup/outer/cpu.max", "max 100000\n");
	/* a container sees its own group where all groups are mounted, whatever its name outside */
	root_write("/proc/self/cgroup", "0::/elsewhere/deep/er\n");
	CU_ASSERT_EQUAL(count(0, 7), 8);
	root_write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	CU_ASSERT_EQUAL(count(0, 7), 2);
	root_remove();
}

static void test_quota_v1(void)
{
	root_make();
	root_write("/proc/self/cgroup", "9:memory:/m\n4:cpu,cpuacct:/a/b\n0::/\n");
	root_write("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
	root_write("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	CU_ASSERT_EQUAL(count(0, 7), 8);
	root_write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "590000\n");
	root_write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
	CU_ASSERT_EQUAL(count(0, 7), 5);
	root_write("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "50000\n");
	CU_ASSERT_EQUAL(count(0, 7), 1);
	/* by the controller's own name, and in a container */
	root_write("/proc/self/cgroup", "3:cpuset:/x\n4:cpuacct,cpu:/no/such\n");
	CU_ASSERT_EQUAL(count(0, 7), 8);
	root_write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n");
	root_write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	CU_ASSERT_EQUAL(count(0, 7), 4);
	/* version 2 beside version 1 */
	root_write("/proc/self/cgroup", "0::/s\n");
	root_write("/sys/fs/cgroup/unified/s/cpu.max", "300000 100000\n");
	CU_ASSERT_EQUAL(count(0, 7), 3);
	root_remove();
}

static void test_this_machine(void)
{
	struct stoker_cpu_set allowed;
	cpu_set_t before, one;

	CU_ASSERT_FATAL(stoker_allowed_cpus(&allowed));
	CU_ASSERT(CPU_COUNT_S(allowed.bytes, allowed.set) >= (int)stoker_usable_cpus());
	CPU_FREE(allowed.set);
	CU_ASSERT(stoker_usable_cpus() >= 1);
	if (sched_getaffinity(0, sizeof(before), &before))
		return;
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
		if (CPU_ISSET(cpu, &before))
			CPU_SET(cpu, &one);
	CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(one), &one), 0);
	CU_ASSERT_EQUAL(stoker_usable_cpus(), 1);
	CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(before), &before), 0);
}

static uint64_t idle_ticks(const char *stat, unsigned first, unsigned last)
{
	struct stoker_cpu_set allowed = from_to(first, last);
	uint64_t ns;

	root_write("/proc/stat", stat);
	ns = stoker_count_idle_ns(root, &allowed);
	CPU_FREE(allowed.set);
	return ns == STOKER_IDLE_UNKNOWN ? ns : ns / (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Of the CPUs that may be used, with waits for a drive; one that is switched off has no line. */
static void test_idle(void)
{
	static const char stat[] = "cpu  9 9 9 999 9 0 0 0 0 0\n"
				   "cpu0 1 2 3 100 7 0 0 0 0 0\n"
				   "cpu2 1 2 3 20 7 0 0 0 0 0\n"
				   "cpu3000 0 0 0 3 7 0 0 0 0 0\n"
				   "intr 5 0\ncpu1 1 1 1 1 1\n";

	root_make();
	CU_ASSERT_EQUAL(idle_ticks(stat, 0, 4000), 144);
	CU_ASSERT_EQUAL(idle_ticks(stat, 2, 2), 27);
	CU_ASSERT_EQUAL(idle_ticks("cpu  1 0 0 0\ncpu0 1 0 0 0\n", 0, 7), 0);
	CU_ASSERT_EQUAL(idle_ticks("cpu  0 0 0 0\ncpu0 0 0 0 0\n", 0, 7), STOKER_IDLE_UNKNOWN);
	CU_ASSERT_EQUAL(idle_ticks("", 0, 7), STOKER_IDLE_UNKNOWN);
	root_remove();
	CU_ASSERT_NOT_EQUAL(stoker_idle_ns(), 0);
}

void suite_cpus(void)
{
	TEST(test_affinity);
	TEST(test_one_thread_a_core);
	TEST(test_quota_v2);
	TEST(test_quota_v1);
	TEST(test_idle);
	TEST(test_this_machine);
}
