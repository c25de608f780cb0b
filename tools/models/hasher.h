/* SPDX-License-Identifier: MIT */
/* SHA-256 of a file that is still being written, by a thread that follows the writer. */
#ifndef STOKER_TOOL_HASHER_H
#define STOKER_TOOL_HASHER_H

#include <stdint.h>

#include "models/store.h"

struct hasher;

/* First of all here: loads libcrypto, whose function it is. */
int hasher_open(struct stoker_error *err);

/* @fd stays open until hasher_finish(); NULL without threads or memory. */
struct hasher *hasher_start(int fd);
/* The first @bytes of the file are there. */
void hasher_advance(struct hasher *h, uint64_t bytes);
/* That is all of it. */
void hasher_end(struct hasher *h);
/* How far it has come. */
uint64_t hasher_done(struct hasher *h);
/* Waits until all of that is hashed, and releases @h; NULL for @hex when nobody wants to know.
 * -errno of reading. */
int hasher_finish(struct hasher *h, char hex[SHA256_HEX + 1]);

/* SHA-256 of a whole file; @tick nonzero ends it with -ECANCELED. */
int hasher_file(const char *path, char hex[SHA256_HEX + 1], uint64_t *bytes,
		int (*tick)(void *context, uint64_t done, uint64_t all), void *context,
		struct stoker_error *err);

#endif
