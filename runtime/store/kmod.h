/* SPDX-License-Identifier: MIT */
/* The store that the kernel module serves, and how it is reached. */
#ifndef STOKER_STORE_KMOD_H
#define STOKER_STORE_KMOD_H

#include "store/store.h"

/* The calls that reach the module; tests put a mock in their place.  All return -1 with errno. */
struct kmod_calls {
	int (*open)(void);
	int (*command)(int fd, unsigned long cmd, void *arg);
	ssize_t (*read)(int fd, void *to, size_t bytes);
	int (*ready)(int fd); /* whether read() would return at once */
	int (*close)(int fd);
};

int kmod_open_with(const struct kmod_calls *calls, struct stoker_store **store,
		   struct stoker_error *err);

#endif
