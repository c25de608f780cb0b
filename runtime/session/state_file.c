// SPDX-License-Identifier: MIT
/* States in files, which are there as a whole or not at all. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/new_file.h"
#include "stoker/state.h"

static int write_all(void *user, const void *data, size_t bytes)
{
	const int fd = *(const int *)user;
	const uint8_t *at = data;

	while (bytes) {
		const ssize_t n = write(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int read_all(void *user, void *data, size_t bytes)
{
	const int fd = *(const int *)user;
	uint8_t *at = data;

	while (bytes) {
		const ssize_t n = read(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int fail(struct stoker_error *err, int ret, const char *path)
{
	return stoker_fail(err, ret, "%s: %s", path, stoker_strerror(-ret));
}

/* The same with the file's name before it. */
static int fail_about(struct stoker_error *err, int ret, const char *path,
		      const struct stoker_error *why)
{
	return stoker_fail(err, ret, "%s: %s", path, why->message);
}

int stoker_session_save_file(struct stoker_session *session, const char *path,
			     struct stoker_error *err)
{
	struct whole_file file;
	struct stoker_error why;
	int ret;

	if (!session || !path)
		return stoker_fail(err, -EINVAL, "saving needs a session and a file's name");
	ret = whole_file_begin(&file, path, 0600, err);
	if (ret)
		return ret;
	ret = stoker_session_save(session, write_all, &file.fd, &why);
	if (!ret)
		return whole_file_end(&file, true, err);
	whole_file_end(&file, false, NULL);
	return fail_about(err, ret, path, &why);
}

int stoker_session_restore_file(struct stoker_session *session, const char *path,
				struct stoker_error *err)
{
	struct stoker_error why;
	struct stat s;
	int fd, ret;

	if (!session || !path)
		return stoker_fail(err, -EINVAL, "restoring needs a session and a file's name");
	/* what isn't a file mustn't be waited for */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(err, -errno, path);
	if (fstat(fd, &s))
		ret = fail(err, -errno, path);
	else if (!S_ISREG(s.st_mode))
		ret = stoker_fail(err, -EINVAL, "%s: not a regular file", path);
	else if ((ret = stoker_session_restore(session, read_all, &fd, (uint64_t)s.st_size, &why)))
		fail_about(err, ret, path, &why);
	close(fd);
	return ret;
}
