/* SPDX-License-Identifier: MIT */
/* SHA-256 of a file that is still being written, by a thread that follows the writer. */
#ifndef STOKER_TOOL_HASHER_H
#define STOKER_TOOL_HASHER_H

#include <stdint.h>

#include "models/store.h"

struct hasher;

/* @fd stays open until hasher_finish(); NULL without threads or memory. */
struct hasher *hasher_start(int fd);
/* The first @bytes of the file are there. */
void hasher_advance(struct hasher *h, uint64_t bytes);
/* How far it has come. */
uint64_t hasher_done(struct hasher *h);
/* Waits until all of that is hashed, and releases @h; NULL for @hex when nobody wants to know.
 * -errno of reading. */
int hasher_finish(struct hasher *h, char hex[SHA256_HEX + 1]);

#endif
