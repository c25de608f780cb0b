// SPDX-License-Identifier: MIT
/* Files under names that nobody has, and files that get theirs when they are finished. */
#include "base/new_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { PLACES = 6, TRIES = 100 };

/* Has @make try names until there is one that nobody has: what it returns, or -errno. */
static int under_new_name(char *path, int (*make)(int with, const char *path, mode_t mode),
			  int with, mode_t mode)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char *places = NULL;
	uint64_t random = stoker_now_ns() ^ (uint64_t)getpid() << 40 ^ (uintptr_t)&random;

	for (char *at = path; (at = strstr(at, "XXXXXX")); at++)
		places = at;
	assert(places);
	for (int i = 0; i < TRIES; i++) {
		uint64_t rest = random = random * 6364136223846793005u + 1442695040888963407u;
		int made;

		rest >>= 16;
		for (int k = 0; k < PLACES; k++, rest /= sizeof(letters) - 1)
			places[k] = letters[rest % (sizeof(letters) - 1)];
		made = make(with, path, mode);
		if (made >= 0 || errno != EEXIST)
			return made >= 0 ? made : -errno;
	}
	return -EEXIST;
}

/* O_EXCL doesn't follow links. */
static int create(int folder, const char *path, mode_t mode)
{
	return openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
}

int stoker_new_file(int folder, char *path, mode_t mode)
{
	return under_new_name(path, create, folder, mode);
}

int stoker_file_target(const char *path, char **target, struct stoker_error *err)
{
	struct stat st;

	*target = NULL;
	if (!stat(path, &st)) {
		if (!S_ISREG(st.st_mode))
			return stoker_fail(err, -EINVAL, "%s: not a regular file", path);
		*target = realpath(path, NULL);
	} else if (!lstat(path, &st)) {
		return stoker_fail(err, -ENOENT, "%s: a link that leads nowhere", path);
	} else {
		*target = strdup(path);
	}
	return *target ? 0 : stoker_fail(err, -ENOMEM, "%s: out of memory", path);
}

static int fail(struct stoker_error *err, int ret, const char *path)
{
	return stoker_fail(err, ret, "%s: %s", path, stoker_strerror(-ret));
}

/* The folder that a file is in; NULL without memory. */
static char *folder_of(const char *path)
{
	const char *end = strrchr(path, '/');

	return end ? strndup(path, (size_t)(end - path + 1)) : strdup(".");
}

/* What has a descriptor and no name gets one, which nobody may have. */
static int name_it(int fd, const char *path, mode_t mode)
{
	char link[32];

	(void)mode;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* Without a name, so that nothing is left of it if the process is killed; -1 where that can't be.
 */
static int open_nameless(const char *target, mode_t mode)
{
	AUTO_FREE char *folder = folder_of(target);

	return folder && !access("/proc/self/fd", X_OK)
		       ? open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, mode)
		       : -1;
}

/* What is too long for a name with an ending is cut. */
static char *name_of_part(const char *target)
{
	static const char ending[] = ".XXXXXX";
	const char *slash = strrchr(target, '/');
	const size_t folder = slash ? (size_t)(slash + 1 - target) : 0;
	const size_t bytes = folder + MIN(strlen(target + folder), NAME_MAX - strlen(ending));
	char *part;

	return asprintf(&part, "%.*s%s", (int)bytes, target, ending) < 0 ? NULL : part;
}

int whole_file_begin(struct whole_file *w, const char *path, mode_t mode, struct stoker_error *err)
{
	int ret;

	*w = (struct whole_file){ .fd = -1 };
	ret = stoker_file_target(path, &w->target, err);
	if (ret)
		return ret;
	w->part = name_of_part(w->target);
	if (!w->part) {
		ret = stoker_fail(err, -ENOMEM, "%s: out of memory", path);
		goto err_free;
	}
	w->fd = open_nameless(w->target, mode);
	if (w->fd >= 0)
		return 0;
	w->named = true;
	w->fd = stoker_new_file(AT_FDCWD, w->part, mode);
	if (w->fd >= 0)
		return 0;
	ret = fail(err, w->fd, path);
err_free:
	free(w->target);
	free(w->part);
	return ret;
}

/* So that the name is on the drive, too; a file system that can't has done what it can. */
static void sync_folder(const char *path)
{
	AUTO_FREE char *folder = folder_of(path);
	const int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

/* Under its name, in the place of what has that. */
static int put_in_place(struct whole_file *w, struct stoker_error *err)
{
	int ret;

	if (!w->named) {
		if (!name_it(w->fd, w->target, 0))
			return 0;
		ret = under_new_name(w->part, name_it, w->fd, 0);
		if (ret < 0)
			return fail(err, ret, w->target);
		w->named = true;
	}
	if (rename(w->part, w->target))
		return fail(err, -errno, w->target);
	w->named = false;
	return 0;
}

int whole_file_end(struct whole_file *w, bool keep, struct stoker_error *err)
{
	int ret = keep && fsync(w->fd) ? fail(err, -errno, w->target) : 0;

	if (keep && !ret)
		ret = put_in_place(w, err);
	if (w->named)
		unlink(w->part);
	close(w->fd);
	if (keep && !ret)
		sync_folder(w->target);
	free(w->target);
	free(w->part);
	return ret;
}
