// SPDX-License-Identifier: MIT
/* Files in the user's cache folder: see cache.h. */
#include "base/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/new_file.h"

/* Whether nobody else may write to it. */
static bool is_own(const struct stat *s)
{
	return s->st_uid == geteuid() && !(s->st_mode & (S_IWGRP | S_IWOTH));
}

static char *path_in(const char *folder, const char *name)
{
	char *path;

	mkdir(folder, 0700);
	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *cache_path(const char *folder, const char *name)
{
	return !folder ? stoker_cache_path(name) : *folder ? path_in(folder, name) : NULL;
}

char *stoker_cache_path(const char *name)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char folder[3072];

	if (!name)
		return NULL;
	if (cache && *cache == '/')
		snprintf(folder, sizeof(folder), "%s", cache);
	else if (home && *home == '/')
		snprintf(folder, sizeof(folder), "%s/.cache", home);
	else
		return NULL;
	mkdir(folder, 0700);
	strncat(folder, "/stoker", sizeof(folder) - strlen(folder) - 1);
	return path_in(folder, name);
}

/*
 * The folder of @path, and the file's name in it.  What others may write to isn't trusted with what
 * goes to drivers, nor written to: a link could lead anywhere.  -EACCES then, or another -errno.
 */
static int open_folder(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	struct stat s;
	int fd, ret;

	if (!folder)
		return slash ? -ENOMEM : -EINVAL;
	*name = slash + 1;
	fd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fstat(fd, &s) ? -errno : is_own(&s) ? 0 : -EACCES;
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

void *stoker_cache_read(const char *path, size_t limit, size_t *bytes)
{
	const char *name;
	const int folder = path ? open_folder(path, &name) : -1;
	struct stat s;
	void *data = NULL;
	int fd = -1;

	if (bytes)
		*bytes = 0;
	if (folder >= 0) {
		/* a pipe must not block */
		fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		close(folder);
	}
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &s) && S_ISREG(s.st_mode) && is_own(&s) && s.st_size > 0 &&
	    (uint64_t)s.st_size <= limit)
		data = malloc((size_t)s.st_size);
	if (data && read(fd, data, (size_t)s.st_size) == s.st_size) {
		if (bytes)
			*bytes = (size_t)s.st_size;
	} else {
		free(data);
		data = NULL;
	}
	close(fd);
	return data;
}

static int write_all(int fd, const uint8_t *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		const ssize_t n = write(fd, data + done, bytes - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Through a file of our own, so that two programs that end together don't mix theirs. */
static int replace(int folder, const char *name, const void *data, size_t bytes)
{
	AUTO_FREE char *part = NULL;
	int fd, ret;

	if (asprintf(&part, "%s.XXXXXX", name) < 0) {
		part = NULL;
		return -ENOMEM;
	}
	fd = stoker_new_file(folder, part, 0600);
	if (fd < 0)
		return fd;
	ret = write_all(fd, data, bytes);
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && renameat(folder, part, folder, name))
		ret = -errno;
	if (ret)
		unlinkat(folder, part, 0);
	return ret;
}

int stoker_cache_write(const char *path, const void *data, size_t bytes, struct stoker_error *err)
{
	const char *name;
	int folder, ret;

	if (!path)
		return stoker_fail(err, -ENOENT,
				   "no cache folder: neither HOME nor XDG_CACHE_HOME");
	if (!data && bytes)
		return stoker_fail(err, -EINVAL, "%s: nothing to write", path);
	folder = open_folder(path, &name);
	if (folder == -EACCES)
		return stoker_fail(err, folder,
				   "%s: the folder is another user's, or others may "
				   "write to it",
				   path);
	ret = folder < 0 ? folder : replace(folder, name, data, bytes);
	if (folder >= 0)
		close(folder);
	return ret ? stoker_fail(err, ret, "%s: %s", path, stoker_strerror(-ret)) : 0;
}
