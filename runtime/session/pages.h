/* SPDX-License-Identifier: MIT */
/* The memory of a sequence's cache: its pages, the table of their addresses, its recurrent state.
 */
#ifndef STOKER_SESSION_PAGES_H
#define STOKER_SESSION_PAGES_H

#include "model/forward.h"

/* Of one kind: where the page of each position is, as the table in device memory says it. */
struct page_table {
	uint64_t page_bytes;
	uint32_t count; /* of entries */
	uint32_t turn; /* entry i has the same page as entry i - @turn; @count: all are different */
	stoker_address *addresses, at;
};

struct pages {
	struct stoker_memory *blocks; /* that pages are in, and one behind them that has the rest */
	size_t block_count;
	struct page_table tables[PAGE_KINDS];
	stoker_address slots;
	uint64_t bytes; /* of all */
};

/* All that @size says, in zeros where devices give these; on failure there is nothing. */
int pages_create(struct stoker_device *d, const struct cache_size *size, struct pages *p,
		 struct stoker_error *err);
void pages_destroy(struct stoker_device *d, struct pages *p);
/* The table in device memory says what @t->addresses do. */
int pages_write_table(struct stoker_device *d, const struct page_table *t,
		      struct stoker_error *err);

#endif
