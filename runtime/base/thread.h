/* SPDX-License-Identifier: MIT */
/* Threads of the library's own. */
#ifndef STOKER_BASE_THREAD_H
#define STOKER_BASE_THREAD_H

#include <pthread.h>

struct stoker_thread {
	pthread_t id;
	void *library; /* holds the library in memory, whatever the program unloads; NULL: linked */
};

/* As pthread_create(), but no signal is delivered to the thread: those are the program's. */
int stoker_thread_create(struct stoker_thread *thread, void *(*run)(void *), void *argument);

/* The caller's own code must be held by somebody else. */
void stoker_thread_join(struct stoker_thread *thread);

#endif
