/* SPDX-License-Identifier: MIT */
/* Texts that end an answer, found however it is cut into pieces. */
#ifndef STOKER_SERVE_STOPS_H
#define STOKER_SERVE_STOPS_H

#include <stdbool.h>
#include <stddef.h>

struct stops;

/* @texts are copied, at least one byte each.  NULL without memory. */
struct stops *stops_create(const char *const *texts, size_t count);
void stops_free(struct stops *s);

/*
 * More of the answer.  Receives in @out the @settled bytes that are known to belong to it, which
 * may have been held back before; they live until the next call.  false without memory.
 */
bool stops_text(struct stops *s, const char *text, size_t bytes, const char **out, size_t *settled);
/* What is held back: no more will come. */
void stops_end(struct stops *s, const char **out, size_t *settled);
/* The text that has come up, after which nothing is settled any more; NULL: none has. */
const char *stops_found(const struct stops *s);

#endif
