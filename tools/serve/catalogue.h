/* SPDX-License-Identifier: MIT */
/* The models that there are to be served, by their names. */
#ifndef STOKER_SERVE_CATALOGUE_H
#define STOKER_SERVE_CATALOGUE_H

#include "serve/details.h"
#include "tool.h"

struct served;

struct catalogue_entry {
	char *name;  /* only one has it */
	char *other; /* of its file, where @name is an alias; or NULL */
	char *path;
	uint64_t bytes;
	int64_t created; /* seconds since 1970, of the file */
	/* for who has the catalogue: once it's loaded, and once they were asked for */
	struct served *served;
	struct details details;
};

struct catalogue {
	struct catalogue_entry *entries;
	size_t count, room;
};

/*
 * Files, folders, or names as "stoker list" has them; without any all that are on this machine.
 * @alias: of the first, NULL: none.  An exit status, after a complaint.
 */
int catalogue_open(const struct string_list *paths, const char *alias, struct catalogue *c);
void catalogue_free(struct catalogue *c);
/* NULL, "" are the first.  Of one model alone any name is one; ":latest" and ".gguf" say nothing.
 */
struct catalogue_entry *catalogue_find(const struct catalogue *c, const char *name);

#endif
