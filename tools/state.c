// SPDX-License-Identifier: MIT
/* --state: a file that a session begins with, and ends in. */
#include <errno.h>

#include "run.h"

int restore_state(struct run *r)
{
	struct stoker_error err;
	const int ret = stoker_session_restore_file(r->session, r->state, &err);

	if (ret == -ENOENT) /* the first time */
		return EXIT_OK;
	return ret ? fail(&err) : EXIT_OK;
}

int save_state(struct run *r)
{
	struct stoker_error err;

	if (!stoker_session_position(r->session))
		return EXIT_OK; /* nothing to keep: what is there isn't lost for it */
	return stoker_session_save_file(r->session, r->state, &err) ? fail(&err) : EXIT_OK;
}
