// SPDX-License-Identifier: MIT
/* Files under names that nobody has. */
#include "base/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { PLACES = 6, TRIES = 100 };

int stoker_new_file(int folder, char *path, mode_t mode)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char *places = NULL;
	uint64_t random = stoker_now_ns() ^ (uint64_t)getpid() << 40 ^ (uintptr_t)&random;

	for (char *at = path; (at = strstr(at, "XXXXXX")); at++)
		places = at;
	assert(places);
	for (int i = 0; i < TRIES; i++) {
		uint64_t rest = random = random * 6364136223846793005u + 1442695040888963407u;
		int fd;

		rest >>= 16;
		for (int k = 0; k < PLACES; k++, rest /= sizeof(letters) - 1)
			places[k] = letters[rest % (sizeof(letters) - 1)];
		/* O_EXCL doesn't follow links */
		fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
	}
	return -EEXIST;
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
