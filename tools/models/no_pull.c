// SPDX-License-Identifier: MIT
/* stoker pull in a build without libcurl, or without OpenSSL's hashes. */
#include "tool.h"

int verb_pull(int argc, char **argv)
{
	const struct option options[] = { { 0 } };
	const struct usage usage = { "pull NAME",
				     "Would fetch a model; this program was built without libcurl.",
				     options, 0, 1000 };
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	return failf("this program was built without libcurl and libcrypto, which fetch models");
}
