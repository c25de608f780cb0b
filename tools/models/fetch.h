/* SPDX-License-Identifier: MIT */
/* One file into the store: gone on with where it was left, checked, and named only when it's right.
 */
#ifndef STOKER_TOOL_FETCH_H
#define STOKER_TOOL_FETCH_H

#include "models/http.h"

struct fetch {
	const char *url, *path;	     /* where from, and the name it gets */
	uint64_t bytes;		     /* 0: not known before */
	char sha256[SHA256_HEX + 1]; /* what it has to be, "": not known before; then what it is */
	uint64_t got;		     /* of the file that is there */
	uint64_t received, resumed;  /* by this call, and what was there before */
};

/*
 * 0, or -errno with the sentence in @err.  What has come stays in "PATH.part" unless it turned out
 * to be wrong.  -EBUSY when somebody else is at it.
 */
int fetch_file(struct http *h, struct fetch *f, struct stoker_error *err);

/* The unfinished file; a string of the heap. */
char *fetch_part(const char *path);
/* SHA-256 of a whole file; @tick as struct http has it. */
int fetch_hash(const char *path, char hex[SHA256_HEX + 1], uint64_t *bytes,
	       int (*tick)(void *context, uint64_t done, uint64_t all), void *context,
	       struct stoker_error *err);

#endif
