/* SPDX-License-Identifier: MIT */
/* Threads of the library's own. */
#ifndef STOKER_BASE_THREAD_H
#define STOKER_BASE_THREAD_H

#include <pthread.h>

/* As pthread_create(), but no signal is delivered to the thread: those are the program's. */
int stoker_thread_create(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
