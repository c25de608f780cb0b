/* SPDX-License-Identifier: MIT */
/*
 * Files into the store, several parts of them at once: gone on with where they were left, checked,
 * and named only when they're right.
 */
#ifndef STOKER_TOOL_FETCH_H
#define STOKER_TOOL_FETCH_H

#include "models/http.h"

enum { USUAL_CONNECTIONS = 8, MOST_CONNECTIONS = 16 };

struct fetch {
	const char *url, *path;	     /* where from, and the name it gets */
	const char *commit;	     /* of the hub's repository; may be NULL */
	uint64_t bytes;		     /* 0: not known before */
	char sha256[SHA256_HEX + 1]; /* what it has to be, "": not known before; then what it is */
};

struct fetches {
	struct fetch *files;
	size_t count;
	unsigned
		connections; /* at most so many at once; as many from the start when @all_at_once */
	bool all_at_once;
	/* of all of them, brought up to date before each tick */
	uint64_t bytes;			 /* in the end; 0: not known yet */
	uint64_t got, received, resumed; /* there; by this call; what was there before */
	const char *now;		 /* the name of one that is being fetched */
};

/*
 * 0, or -errno with the sentence in @err.  What has come of a file stays in "PATH.part" unless it
 * turned out to be wrong.  -EBUSY when somebody else is at one of them.
 */
int fetch_files(struct http *h, struct fetches *all, struct stoker_error *err);

#endif
