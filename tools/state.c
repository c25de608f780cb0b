// SPDX-License-Identifier: MIT
/* --state: a file that a session begins with, and ends in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

/* What would keep the state from being saved is told before the work, not after it. */
static int check_place(const char *path)
{
	const char *end = strrchr(path, '/');
	char *folder = end ? strndup(path, (size_t)(end - path + 1)) : strdup(".");
	struct stat s;
	int status = EXIT_OK;

	if (!folder)
		return failf("out of memory");
	if (access(folder, W_OK))
		status = failf("%s: %s", path, strerror(errno));
	else if (!*path || (end && !end[1]))
		status = failf("--state takes a file's name, \"%s\" isn't one", path);
	else if (!lstat(path, &s))
		status = failf("%s: a link that leads nowhere", path);
	free(folder);
	return status;
}

int restore_state(struct run *r)
{
	struct stoker_error err;
	const int ret = stoker_session_restore_file(r->session, r->state, &err);

	if (ret == -ENOENT) /* the first time */
		return check_place(r->state);
	return ret ? fail(&err) : EXIT_OK;
}

int save_state(struct run *r)
{
	struct stoker_error err;

	if (!stoker_session_position(r->session))
		return EXIT_OK; /* nothing to keep: what is there isn't lost for it */
	return stoker_session_save_file(r->session, r->state, &err) ? fail(&err) : EXIT_OK;
}
