/* SPDX-License-Identifier: MIT */
/* The models of a repository on the hub, and which of them fits this machine. */
#ifndef STOKER_TOOL_HUB_H
#define STOKER_TOOL_HUB_H

#include "models/http.h"
#include "models/names.h"

struct hub_file {
	char *path;
	uint64_t bytes;
	char sha256[SHA256_HEX + 1];
};

/* One model: a file, or all those that it is split into, in their order. */
struct hub_model {
	char *stem;
	size_t first, count; /* among the files */
	uint64_t bytes;
	bool whole; /* no part is missing */
};

struct hub_list {
	char commit[COMMIT_MAX]; /* what the revision is now; "" if the hub doesn't tell */
	struct hub_file *files;
	size_t file_count;
	struct hub_model *models;
	size_t model_count;
};

int hub_list(struct http *h, const struct hub_name *name, struct hub_list *list,
	     struct stoker_error *err);
void hub_free(struct hub_list *list);

/*
 * The model that @name asks for; without a quantization the one that suits @memory bytes, and @why
 * tells in a few words how it was chosen ("" when there was nothing to choose).
 */
const struct hub_model *hub_choose(const struct hub_list *list, const struct hub_name *name,
				   uint64_t memory, char why[160], struct stoker_error *err);

/* Where a file of that commit is; a string of the heap. */
char *hub_url(const struct http *h, const struct hub_name *name, const char *commit,
	      const char *path);

#endif
