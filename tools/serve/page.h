/* SPDX-License-Identifier: MIT */
/* The page for people: files of tools/serve/page/ that are part of the program. */
#ifndef STOKER_SERVE_PAGE_H
#define STOKER_SERVE_PAGE_H

#include <stddef.h>

struct exchange;

struct page_file {
	const char *name, *tag; /* with its quotes */
	const unsigned char *data;
	size_t bytes;
};
extern const struct page_file page_files[];
extern const size_t page_file_count;

/* Of "/" and "/NAME"; NULL: there is none. */
const struct page_file *page_find(const char *path);
void page_get(struct exchange *x);

#endif
