/* SPDX-License-Identifier: MIT */
/* The models that are on this machine: in our store, and in those of other programs, which are only
 * read. */
#ifndef STOKER_TOOL_FOUND_H
#define STOKER_TOOL_FOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_kind {
	STORE_OWN,
	STORE_HUB,
	STORE_OLLAMA,
	STORE_LM_STUDIO,
	STORE_LLAMA_CPP,
	STORE_KINDS
};

struct found_model {
	enum store_kind kind;
	char *full;	 /* "huggingface/owner/repo/NAME": only one has it */
	char *name;	 /* the short one */
	bool shared;	 /* others have it, too */
	char *path;	 /* the file, or the first of several */
	char *source;	 /* "owner/repo" on the hub; NULL: not known */
	uint64_t bytes;	 /* of all its files */
	bool unfinished; /* a download that is to be gone on with */
};

struct found {
	struct found_model *models;
	size_t count, room;
	bool out_of_memory;
};

/* "stoker", "huggingface", "ollama", "lmstudio", "llama.cpp" */
const char *store_name(enum store_kind kind);

/* Sorted by store and name. */
void found_scan(struct found *f);
/* Those below a folder alone, in no order, without full names, maybe only some: @out_of_memory. */
void found_scan_folder(struct found *f, const char *root);
void found_free(struct found *f);
/* The name that says which one is meant: the short one unless it is shared. */
const char *found_shown(const struct found_model *m);

/* What each kind of store adds. */
struct found_model *found_add(struct found *f, enum store_kind kind, const char *path,
			      const char *name);
void found_scan_ollama(struct found *f);
/* Each GGUF file below @root, for which @add is called with its path from there. */
void found_walk(struct found *f, const char *root,
		void (*add)(struct found *f, const char *root, const char *path));

#endif
