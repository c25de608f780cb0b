/* SPDX-License-Identifier: MIT */
/* Text that grows: bodies of requests, and replies as they are written. */
#ifndef STOKER_SERVE_TEXT_H
#define STOKER_SERVE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Begins as zeroes.  Without memory it has @failed from then on, and takes no more. */
struct text {
	char *data; /* followed by a NUL; NULL while nothing was added */
	size_t bytes, room;
	bool failed;
};

void text_add(struct text *t, const char *data, size_t bytes);
void text_puts(struct text *t, const char *s);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A string of JSON with its quotes; U+FFFD stands for each byte that isn't UTF-8. */
void text_json(struct text *t, const char *data, size_t bytes);
/* Likewise, up to its NUL; null for NULL. */
void text_json_string(struct text *t, const char *s);

/* Nothing is in it any more; its memory stays. */
void text_clear(struct text *t);
void text_free(struct text *t);

#endif
