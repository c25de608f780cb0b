// SPDX-License-Identifier: MIT
/* Threads of the library's own. */
#include "base/thread.h"

#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>

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
