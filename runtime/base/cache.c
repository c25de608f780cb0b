// SPDX-License-Identifier: MIT
/* Files in the user's cache folder: see cache.h. */
#include "base/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

char *stoker_cache_path(const char *name)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char folder[3072], *path = NULL;

	if (cache && *cache == '/')
		snprintf(folder, sizeof(folder), "%s", cache);
	else if (home && *home == '/')
		snprintf(folder, sizeof(folder), "%s/.cache", home);
	else
		return NULL;
	mkdir(folder, 0700);
	strncat(folder, "/stoker", sizeof(folder) - strlen(folder) - 1);
	mkdir(folder, 0700);
	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

void *stoker_cache_read(const char *path, size_t limit, size_t *bytes)
{
	const int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct stat s;
	void *data = NULL;

	*bytes = 0;
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &s) && S_ISREG(s.st_mode) && s.st_size > 0 && (uint64_t)s.st_size <= limit)
		data = malloc((size_t)s.st_size);
	if (data && read(fd, data, (size_t)s.st_size) == s.st_size) {
		*bytes = (size_t)s.st_size;
	} else {
		free(data);
		data = NULL;
	}
	close(fd);
	return data;
}

/* Through a file of our own, so that two programs that end together don't mix theirs. */
void stoker_cache_write(const char *path, const void *data, size_t bytes)
{
	char part[3200];
	int fd;
	bool good;

	if (!path)
		return;
	snprintf(part, sizeof(part), "%s.%d", path, (int)getpid());
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	good = write(fd, data, bytes) == (ssize_t)bytes;
	if (close(fd) || !good || rename(part, path))
		unlink(part);
}
