// SPDX-License-Identifier: MIT
/* stoker rm: removes models from our store, and from no other. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "models/resolve.h"
#include "models/store.h"
#include "terminal.h"
#include "tool.h"

/* An unfinished one has no other name than its file's. */
static const struct found_model *find(const struct found *f, const char *name, int *status)
{
	const struct found_model *other, *m = resolve_find(f, name, &other);

	for (size_t i = 0; !m && i < f->count; i++)
		if (f->models[i].unfinished &&
		    (!strcmp(f->models[i].name, name) || !strcmp(f->models[i].full, name)))
			m = &f->models[i];
	if (m && other)
		*status =
			failf("%s could be %s or %s; name one of them", name, m->full, other->full);
	else if (!m)
		*status = failf("no model called %s; \"stoker list\" shows them", name);
	else if (m->kind != STORE_OWN)
		*status = failf("%s isn't ours: it is in the store of %s, which removes it",
				m->full, store_name(m->kind));
	return *status ? NULL : m;
}

static bool confirmed(const struct found_model *m, int *status)
{
	char answer[16] = "", size[16], *shown;

	if (!isatty(0)) {
		*status = failf("%s: -y removes it without asking, there is no terminal to ask on",
				found_shown(m));
		return false;
	}
	shown = visible_text(found_shown(m), strlen(found_shown(m)));
	fprintf(stderr, "Remove %s, %s? [y/N] ", shown ? shown : "it", human_size(m->bytes, size));
	free(shown);
	if (!fgets(answer, sizeof(answer), stdin) || (*answer != 'y' && *answer != 'Y')) {
		fputs("stoker: nothing was removed\n", stderr);
		*status = EXIT_FAILED;
		return false;
	}
	return true;
}

/* A file, what is known of it, and what of it wasn't finished. */
static int remove_file(const char *path)
{
	char *record = store_record_path(path), *part = store_text("%s.part", path),
	     *part_record = part ? store_record_path(part) : NULL;
	const int fd = part ? open(part, O_RDONLY | O_CLOEXEC) : -1;
	int status = EXIT_OK;

	if (!record || !part_record)
		status = failf("out of memory");
	else if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB))
		status = failf("%s: another program is fetching it", path);
	else if (unlink(path) && errno != ENOENT)
		status = failf("%s: %s", path, strerror(errno));
	else {
		unlink(record);
		unlink(part_record);
		unlink(part);
	}
	if (fd >= 0)
		close(fd);
	free(part_record);
	free(part);
	free(record);
	return status;
}

/* Folders up to the store's own, as far as they're empty. */
static void remove_folders(const char *path)
{
	char *root = store_folder(), *folder = strdup(path);

	while (root && folder && strrchr(folder, '/')) {
		*strrchr(folder, '/') = 0;
		if (strlen(folder) <= strlen(root) || strncmp(folder, root, strlen(root)) != 0 ||
		    rmdir(folder))
			break;
	}
	free(folder);
	free(root);
}

static int remove_model(const struct found_model *m)
{
	char *path = strdup(m->path);
	unsigned number, of = 1;
	int status = path ? EXIT_OK : failf("out of memory");

	if (!status && m->unfinished)
		path[strlen(path) - strlen(".part")] = 0;
	if (!status && !store_split(path, &number, &of))
		of = 1;
	for (unsigned i = 1; !status && i <= of; i++) {
		char digits[8];

		snprintf(digits, sizeof(digits), "%05u", i);
		if (of > 1)
			memcpy(path + strlen(path) - strlen("00001-of-00003.gguf"), digits, 5);
		status = remove_file(path);
	}
	if (!status)
		remove_folders(path);
	free(path);
	return status;
}

int verb_rm(int argc, char **argv)
{
	bool yes = false;
	const struct option options[] = {
		{ "yes", 'y', OPTION_FLAG, &yes, NULL, "don't ask" },
		{ 0 },
	};
	const struct usage usage = {
		"rm [-y] NAME...",
		"Removes models that \"stoker pull\" fetched, finished or not, after asking. Names "
		"are those of \"stoker list\"; what other programs keep is theirs to remove.",
		options, 1, 1000
	};
	struct found f;
	int status;
	const int names = parse_options(&usage, argc, argv, &status);

	if (names < 0)
		return status;
	found_scan(&f);
	if (f.out_of_memory)
		return failf("out of memory");
	status = EXIT_OK;
	for (int i = 1; !status && i <= names; i++) {
		const struct found_model *m = find(&f, argv[i], &status);

		if (m && (yes || confirmed(m, &status)))
			status = remove_model(m);
	}
	found_free(&f);
	return status;
}
