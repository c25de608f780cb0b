// SPDX-License-Identifier: MIT
/* The models that there are to be served, by their names. */
#include "serve/catalogue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/found.h"
#include "models/names.h"

static const char latest[] = ":latest", suffix[] = ".gguf";

static int no_memory(void)
{
	return failf("out of memory");
}

static struct catalogue_entry *find_exactly(const struct catalogue *c, const char *name,
					    size_t length)
{
	for (size_t i = 0; i < c->count; i++) {
		struct catalogue_entry *e = &c->entries[i];
		const char *const names[] = { e->name, e->other };

		for (size_t k = 0; k < 2; k++)
			if (names[k] && strlen(names[k]) == length &&
			    !memcmp(names[k], name, length))
				return e;
	}
	return NULL;
}

/* A name that is taken gets a number. */
static char *free_name(const struct catalogue *c, const char *wanted)
{
	char *name = strdup(wanted);

	for (unsigned i = 2; name && find_exactly(c, name, strlen(name)); i++) {
		free(name);
		if (asprintf(&name, "%s-%u", wanted, i) < 0)
			name = NULL;
	}
	return name;
}

static int add(struct catalogue *c, const char *name, const char *path, uint64_t bytes)
{
	struct catalogue_entry *e;
	struct stat st;

	if (c->count == c->room) {
		const size_t room = 2 * c->room + 8;
		struct catalogue_entry *more = realloc(c->entries, room * sizeof(*more));

		if (!more)
			return no_memory();
		c->entries = more;
		c->room = room;
	}
	e = &c->entries[c->count];
	*e = (struct catalogue_entry){ .name = free_name(c, name),
				       .path = strdup(path),
				       .bytes = bytes };
	if (!stat(path, &st))
		e->created = (int64_t)st.st_mtime;
	if (e->name && e->path) {
		c->count++;
		return EXIT_OK;
	}
	free(e->name);
	free(e->path);
	return no_memory();
}

/* Which files are of a split model, and how large they are together, is known by its first. */
static int add_file(struct catalogue *c, const char *path)
{
	struct stoker_gguf *gguf;
	struct stoker_error err;
	uint64_t bytes;
	char *stem;
	int status;

	if (stoker_gguf_open(path, &gguf, &err))
		return fail(&err);
	bytes = model_bytes(gguf, NULL);
	stoker_gguf_close(&gguf);
	stem = names_stem(path);
	status = stem ? add(c, stem, path, bytes) : no_memory();
	free(stem);
	return status;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct found_model *)a)->path, ((const struct found_model *)b)->path);
}

static bool is_shared(const struct found *f, const char *name)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += !strcmp(f->models[i].name, name);
	return n > 1;
}

/* "SUBFOLDER/FILE" without ".gguf", where several files have a name. */
static int add_found(struct catalogue *c, const struct found *f, const struct found_model *m,
		     const char *root)
{
	const char *inside = m->path + strlen(root);
	const size_t n = strlen(inside += strspn(inside, "/"));
	char *name;
	int status;

	if (!is_shared(f, m->name))
		return add(c, m->name, m->path, m->bytes);
	name = strndup(inside, n > sizeof(suffix) - 1 ? n - (sizeof(suffix) - 1) : n);
	status = name ? add(c, name, m->path, m->bytes) : no_memory();
	free(name);
	return status;
}

static int add_folder(struct catalogue *c, const char *root)
{
	const size_t before = c->count;
	struct found f;
	int status = EXIT_OK;

	found_scan_folder(&f, root);
	if (f.out_of_memory) {
		found_free(&f);
		return no_memory();
	}
	if (f.count)
		qsort(f.models, f.count, sizeof(*f.models), by_path);
	for (size_t i = 0; i < f.count && !status; i++)
		status = add_found(c, &f, &f.models[i], root);
	found_free(&f);
	if (!status && c->count == before)
		status = failf("%s: there is no model in this folder", root);
	return status;
}

static int add_all(struct catalogue *c)
{
	struct found f;
	int status = EXIT_OK;

	found_scan(&f);
	for (size_t i = 0; i < f.count && !status; i++)
		if (!f.models[i].unfinished)
			status = add(c, found_shown(&f.models[i]), f.models[i].path,
				     f.models[i].bytes);
	found_free(&f);
	return status;
}

static int add_path(struct catalogue *c, const char *path)
{
	struct stat st;
	int status = resolve_model(&path);

	if (status)
		return status;
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return add_folder(c, path);
	return add_file(c, path);
}

static int set_alias(struct catalogue *c, const char *alias)
{
	struct catalogue_entry *first = c->entries;

	if (find_exactly(c, alias, strlen(alias)))
		return failf("--alias: %s is the name of a model already", alias);
	first->other = first->name;
	first->name = strdup(alias);
	return first->name ? EXIT_OK : no_memory();
}

int catalogue_open(const struct string_list *paths, const char *alias, struct catalogue *c)
{
	int status = EXIT_OK;

	*c = (struct catalogue){ 0 };
	for (size_t i = 0; i < paths->count && !status; i++)
		status = add_path(c, paths->items[i]);
	if (!paths->count)
		status = add_all(c);
	if (!status && !c->count)
		status = failf("there is no model on this machine; \"stoker pull\" fetches one");
	if (!status && alias)
		status = set_alias(c, alias);
	if (status)
		catalogue_free(c);
	return status;
}

void catalogue_free(struct catalogue *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->entries[i].name);
		free(c->entries[i].other);
		free(c->entries[i].path);
	}
	free(c->entries);
	*c = (struct catalogue){ 0 };
}

struct catalogue_entry *catalogue_find(const struct catalogue *c, const char *name)
{
	static const char *const silent[] = { latest, suffix };
	struct catalogue_entry *found;
	size_t length;

	if (!name || !*name || c->count == 1)
		return c->entries;
	length = strlen(name);
	found = find_exactly(c, name, length);
	for (size_t i = 0; !found && i < 2; i++) {
		const size_t n = strlen(silent[i]);

		if (length > n && !strcmp(name + length - n, silent[i]))
			found = find_exactly(c, name, length - n);
	}
	return found;
}
