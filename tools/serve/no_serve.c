// SPDX-License-Identifier: MIT
/* stoker serve in a build without libmicrohttpd. */
#include "tool.h"

int verb_serve(int argc, char **argv)
{
	const struct option options[] = { { 0 } };
	const struct usage usage = {
		"serve [MODEL]...",
		"Would answer applications; this program was built without libmicrohttpd.",
		options,
		0,
		1000,
	};
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	return failf("this program was built without libmicrohttpd, which serving needs");
}
