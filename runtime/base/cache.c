// SPDX-License-Identifier: MIT
/* The user's cache folder. */
#include "stoker/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
