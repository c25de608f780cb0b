// SPDX-License-Identifier: MIT
/* Choosing a store. */
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/cache.h"
#include "stoker/unstable/store.h"

int stoker_store_check(const char *name, struct stoker_error *err)
{
	if (!name || !strcmp(name, "uring") || !strcmp(name, "threads") || !strcmp(name, "kmod"))
		return 0;
	return stoker_fail(err, -EINVAL, "no store \"%s\"; there are uring, threads and kmod",
			   name);
}

/* The best that works here. */
static int open_any(const struct logger *log, struct stoker_store **store, struct stoker_error *err)
{
	struct stoker_error why = { "" };

	if (!stoker_store_open_uring(store, &why))
		return 0;
	log_tell(log, STOKER_LOG_WARNING, "%s; threads read instead", why.message);
	return stoker_store_open_threads(store, err);
}

int stoker_store_open(const char *name, struct stoker_store **store, struct stoker_error *err)
{
	static const struct logger nobody;

	if (!name)
		return open_any(&nobody, store, err);
	if (!strcmp(name, "uring"))
		return stoker_store_open_uring(store, err);
	if (!strcmp(name, "threads"))
		return stoker_store_open_threads(store, err);
	if (!strcmp(name, "kmod"))
		return stoker_store_open_kmod(store, err);
	return stoker_store_check(name, err);
}

/* Another kernel may well decide otherwise. */
static void preference_of(const char *store, char *line, size_t room)
{
	struct utsname system;

	snprintf(line, room, "%s %s\n", store, uname(&system) ? "" : system.release);
}

int stoker_driver_prefer(const char *store, struct stoker_error *err)
{
	AUTO_FREE char *path = stoker_cache_path("store");
	char line[128];

	if (!store || (strcmp(store, "kmod") && strcmp(store, "uring")))
		return stoker_fail(err, -EINVAL, "\"%s\" is neither kmod nor uring",
				   store ? store : "");
	preference_of(store, line, sizeof(line));
	return stoker_cache_write(path, line, strlen(line), err);
}

int stoker_store_open_preferred(const char *cache_folder, const struct logger *log,
				struct stoker_store **store, struct stoker_error *err)
{
	AUTO_FREE char *path = cache_path(cache_folder, "store");
	struct stoker_error why = { "" };
	char wanted[128];
	size_t bytes;
	AUTO_FREE char *line = stoker_cache_read(path, sizeof(wanted), &bytes);

	preference_of("kmod", wanted, sizeof(wanted));
	if (line && bytes == strlen(wanted) && !memcmp(line, wanted, bytes)) {
		if (!stoker_store_open_kmod(store, &why))
			return 0;
		log_tell(log, STOKER_LOG_WARNING, "%s; experts are read without the module",
			 why.message);
	}
	return open_any(log, store, err);
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
