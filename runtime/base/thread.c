// SPDX-License-Identifier: MIT
/* Threads of the library's own. */
#include "base/thread.h"

#include <signal.h>

int stoker_thread_create(pthread_t *thread, void *(*run)(void *), void *argument)
{
	sigset_t all, before;
	int ret;

	/* a thread begins with its creator's mask */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(thread, NULL, run, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}
