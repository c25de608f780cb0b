// SPDX-License-Identifier: MIT
/* stoker pull --check: whether files are still what was pulled. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/hasher.h"
#include "models/pull.h"
#include "models/resolve.h"
#include "progress.h"
#include "terminal.h"
#include "tool.h"

struct check {
	struct progress line;
	const char *path;
	struct json_object *list; /* NULL: lines */
	unsigned wrong;
};

static int show(void *context, uint64_t done, uint64_t all)
{
	struct check *c = context;

	if (interrupted())
		return 1;
	progress_show(&c->line, "hashing: %3.0f %%, %s",
		      all ? 100.0 * (double)done / (double)all : 100, file_name(c->path));
	return 0;
}

static void say(struct check *c, const char *path, const char *verdict, const char *hash)
{
	if (c->list) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "path", json_object_new_string(path));
		json_object_object_add(o, "sha256", json_object_new_string(hash));
		json_object_object_add(o, "verdict", json_object_new_string(verdict));
		json_object_array_add(c->list, o);
		return;
	}
	show_text(stdout, path, strlen(path));
	printf(": %s\n", verdict);
}

static int check_file(struct check *c, const char *path)
{
	char hex[SHA256_HEX + 1] = "";
	struct store_record record;
	struct stoker_error err;
	uint64_t bytes = 0;
	const char *verdict = "right";
	int ret;

	c->path = path;
	ret = hasher_file(path, hex, &bytes, show, c, &err);
	progress_end(&c->line);
	if (ret == -ECANCELED)
		return EXIT_INTERRUPTED;
	if (ret)
		return fail(&err);
	store_load_record(path, &record);
	if (!*record.sha256)
		verdict = "not known: it wasn't pulled";
	else if (strcmp(record.sha256, hex) != 0)
		verdict = "WRONG, it has changed";
	c->wrong += *verdict == 'W';
	say(c, path, verdict, hex);
	store_free_record(&record);
	progress_begin(&c->line);
	return EXIT_OK;
}

static int check_model(struct check *c, const struct found_model *m)
{
	char *path = strdup(m->path);
	unsigned number, of = 1;
	int status = path ? EXIT_OK : failf("out of memory");

	if (!status && !store_split(path, &number, &of))
		of = 1;
	for (unsigned i = 1; !status && i <= of; i++) {
		char digits[8];

		snprintf(digits, sizeof(digits), "%05u", i);
		if (of > 1)
			memcpy(path + strlen(path) - strlen("00001-of-00003.gguf"), digits, 5);
		status = check_file(c, path);
	}
	free(path);
	return status;
}

static int check_named(struct check *c, const struct found *f, const char *name)
{
	const struct found_model *other, *m = resolve_find(f, name, &other);

	if (!m)
		return failf("no model called %s; \"stoker list\" shows them", name);
	if (other)
		return failf("%s could be %s or %s; name one of them", name, m->full, other->full);
	return check_model(c, m);
}

int pull_check(char **names, size_t count, bool json)
{
	struct check c = { 0 };
	struct stoker_error err;
	int status = EXIT_OK;
	struct found f;

	if (hasher_open(&err))
		return fail(&err);
	c.list = json ? json_object_new_array() : NULL;
	found_scan(&f);
	cancel_on_interrupt(NULL);
	progress_begin(&c.line);
	for (size_t i = 0; !status && i < count; i++)
		status = check_named(&c, &f, names[i]);
	for (size_t i = 0; !status && !count && i < f.count; i++)
		if (f.models[i].kind == STORE_OWN && !f.models[i].unfinished)
			status = check_model(&c, &f.models[i]);
	progress_end(&c.line);
	if (json && !status)
		status = print_json(stdout, c.list);
	else
		json_object_put(c.list);
	found_free(&f);
	if (!status && c.wrong)
		status = failf("%u %s not what was pulled; \"stoker rm\" and pull again", c.wrong,
			       c.wrong == 1 ? "file is" : "files are");
	return status;
}
