// SPDX-License-Identifier: MIT
/* Choosing a store. */
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>

int stoker_store_open(const char *name, struct stoker_store **store, struct stoker_error *err)
{
	if (!name)
		return stoker_store_open_uring(store, NULL) ? stoker_store_open_threads(store, err)
							    : 0;
	if (!strcmp(name, "uring"))
		return stoker_store_open_uring(store, err);
	if (!strcmp(name, "threads"))
		return stoker_store_open_threads(store, err);
	return stoker_fail(err, -EINVAL, "no store \"%s\"; there are uring and threads", name);
}

int stoker_store_reopen(int fd)
{
	char link[32];
	int direct;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	direct = open(link, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct < 0)
		direct = open(link, O_RDONLY | O_CLOEXEC);
	/* without /proc: reads say where, so that a shared position doesn't matter */
	return direct >= 0 ? direct : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}
