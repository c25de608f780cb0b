/* SPDX-License-Identifier: MIT */
/* The folder that models are pulled into, and what is known of each of its files. */
#ifndef STOKER_TOOL_STORE_H
#define STOKER_TOOL_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <stoker/error.h>

#include "models/spans.h"

enum { SHA256_HEX = 64, ETAG_MAX = 256, COMMIT_MAX = 65 };

/*
 * What the hidden file beside a model says: written before the first byte of an unfinished one, so
 * that it can be gone on with, and again with the hash of the whole.
 */
struct store_record {
	char *url;		     /* where it is from */
	char sha256[SHA256_HEX + 1]; /* "" when nobody said one */
	char etag[ETAG_MAX];	     /* of the host that sent it; "" without one */
	char commit[COMMIT_MAX];     /* of the hub's repository; "" without one */
	uint64_t bytes;		     /* 0: not known */
	bool in_parts;		     /* an unfinished file may have holes: @missing tells */
	struct spans missing;
};

/* Fills @err and returns @ret. */
int store_error(struct stoker_error *err, int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* $STOKER_MODELS, or stoker/models in $XDG_DATA_HOME, or in ~/.local/share; NULL without any. */
char *store_folder(void);
/* A string of the heap; NULL without memory. */
char *store_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Whether a relative path that a server names stays where it is put: no empty part, none that
 * begins with a dot, no control characters, no backslash.
 */
bool store_safe_path(const char *path);
/* Whether it ends in ".gguf", in small letters or not. */
bool store_is_gguf(const char *path);
/* 64 hexadecimal digits to small letters; false for anything else. */
bool store_hash(const char *text, char out[SHA256_HEX + 1]);
/* "-00001-of-00003.gguf" at the end: its number and how many there are; false without one. */
bool store_split(const char *path, unsigned *number, unsigned *of);

/* Makes the folders that lead to a file. */
int store_make_folders(const char *path, struct stoker_error *err);

/* The hidden file beside @path; a string of the heap. */
char *store_record_path(const char *path);
/* false, and an empty record, where there is none that can be read. */
bool store_load_record(const char *path, struct store_record *record);
int store_save_record(const char *path, const struct store_record *record,
		      struct stoker_error *err);
/* But for what follows a question mark. */
bool store_same_url(const char *a, const char *b);
void store_free_record(struct store_record *record);

#endif
