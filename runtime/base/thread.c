// SPDX-License-Identifier: MIT
/* Threads of the library's own. */
#include "base/thread.h"

#include <dlfcn.h>
#include <numa.h>
#include <signal.h>
#include <stddef.h>

#include "base/cpus.h"

static const char here;

/* A reference to what this code was loaded from; NULL where it can't be unloaded. */
static void *hold_library(void)
{
	Dl_info info;

	if (!dladdr((const void *)&here, &info))
		return NULL;
	return dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

int stoker_thread_create(struct stoker_thread *thread, void *(*run)(void *), void *argument)
{
	sigset_t all, before;
	int ret;

	thread->library = hold_library();
	/* a thread begins with its creator's mask */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread->id, NULL, run, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret && thread->library)
		dlclose(thread->library);
	return ret;
}

void stoker_thread_join(struct stoker_thread *thread)
{
	pthread_join(thread->id, NULL);
	if (thread->library)
		dlclose(thread->library);
}

bool stoker_thread_is_this(const struct stoker_thread *thread)
{
	return pthread_equal(thread->id, pthread_self());
}

void stoker_thread_leave(const struct stoker_thread *thread)
{
	pthread_detach(thread->id);
}

void stoker_thread_place(const struct stoker_thread *thread, unsigned index, unsigned threads)
{
	struct stoker_cpu_set allowed, own;
	int node_count, wanted;

	if (numa_available() < 0 || (node_count = numa_num_configured_nodes()) < 2)
		return;
	if (!stoker_allowed_cpus(&allowed))
		return;
	if ((unsigned)CPU_COUNT_S(allowed.bytes, allowed.set) >= threads &&
	    stoker_allowed_cpus(&own)) {
		wanted = (int)(index % (unsigned)node_count);
		for (size_t cpu = 0; cpu < 8 * own.bytes; cpu++)
			if (CPU_ISSET_S(cpu, own.bytes, own.set) &&
			    numa_node_of_cpu((int)cpu) != wanted)
				CPU_CLR_S(cpu, own.bytes, own.set);
		if (CPU_COUNT_S(own.bytes, own.set))
			pthread_setaffinity_np(thread->id, own.bytes, own.set);
		CPU_FREE(own.set);
	}
	CPU_FREE(allowed.set);
}
