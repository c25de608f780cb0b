/* SPDX-License-Identifier: MIT */
/* Threads of the library's own. */
#ifndef STOKER_BASE_THREAD_H
#define STOKER_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

struct stoker_thread {
	pthread_t id;
	void *library; /* holds the library in memory, whatever the program unloads; NULL: linked */
};

/* As pthread_create(), but no signal is delivered to the thread: those are the program's. */
int stoker_thread_create(struct stoker_thread *thread, void *(*run)(void *), void *argument);

/*
 * Of @threads that compute together: they go to different CPUs of the caller's mask when there is
 * one for each; the scheduler does better than we could otherwise.  On several NUMA nodes they are
 * spread evenly.
 */
void stoker_thread_place(const struct stoker_thread *thread, unsigned index, unsigned threads);

/* The caller's own code must be held by somebody else. */
void stoker_thread_join(struct stoker_thread *thread);

bool stoker_thread_is_this(const struct stoker_thread *thread);
/* The thread itself, which nobody joins; what its code was loaded from stays in memory. */
void stoker_thread_leave(const struct stoker_thread *thread);

#endif
