// SPDX-License-Identifier: MIT
/* Where the control groups around this process are. */
#include "base/cgroup.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

struct walk {
	const char *root, *controller;
	stoker_cgroup_fn *fn;
	void *context;
};

/* The group at @path and all around it, up to where they are mounted. */
static void walk_up(const struct walk *w, const char *mount, const char *path, bool v2)
{
	const size_t top = strlen(w->root) + strlen(mount);
	char folder[STOKER_CGROUP_PATH - 100];
	char *end;

	if ((size_t)snprintf(folder, sizeof(folder), "%s%s%s", w->root, mount, path) >=
	    sizeof(folder))
		return;
	do {
		w->fn(w->context, folder, v2);
		end = strrchr(folder + top, '/');
		if (end)
			*end = 0;
	} while (end);
}

/* Whether @name is in a list like "cpu,memory". */
static bool lists(const char *controllers, const char *name)
{
	const size_t bytes = strlen(name);

	for (const char *at = controllers; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == bytes && !strncmp(at, name, bytes))
			return true;
	return false;
}

/* A line of /proc/self/cgroup, "NUMBER:CONTROLLERS:PATH"; a path may hold colons. */
static void walk_line(const struct walk *w, char *line)
{
	char *controllers = strchr(line, ':'), *path;
	char mount[300];

	line[strcspn(line, "\n")] = 0;
	path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return;
	*controllers++ = *path++ = 0;
	if (!*controllers) {
		walk_up(w, "/sys/fs/cgroup", path, true);
		/* where version 1 is beside it */
		walk_up(w, "/sys/fs/cgroup/unified", path, true);
		return;
	}
	if (!lists(controllers, w->controller))
		return;
	/* one that is mounted with others has their names, and may have a link of its own */
	snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", controllers);
	walk_up(w, mount, path, false);
	if (strcmp(controllers, w->controller)) {
		snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", w->controller);
		walk_up(w, mount, path, false);
	}
}

void stoker_cgroups(const char *root, const char *controller, stoker_cgroup_fn *fn, void *context)
{
	const struct walk w = {
		.root = root, .controller = controller, .fn = fn, .context = context
	};
	char line[STOKER_CGROUP_PATH];
	FILE *f;

	snprintf(line, sizeof(line), "%s/proc/self/cgroup", root);
	f = fopen(line, "re");
	if (!f) {
		/* without /proc: in a container its own group is what is mounted */
		walk_up(&w, "/sys/fs/cgroup", "", true);
		snprintf(line, sizeof(line), "/sys/fs/cgroup/%s", controller);
		walk_up(&w, line, "", false);
		return;
	}
	while (fgets(line, sizeof(line), f))
		walk_line(&w, line);
	fclose(f);
}
