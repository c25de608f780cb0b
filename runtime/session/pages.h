/* SPDX-License-Identifier: MIT */
/* The memory of a sequence's cache: its pages, the table of their addresses, its recurrent state.
 */
#ifndef STOKER_SESSION_PAGES_H
#define STOKER_SESSION_PAGES_H

#include "model/forward.h"

struct pages {
	struct stoker_memory *blocks; /* that pages are in, and one behind them that has the rest */
	size_t block_count;
	uint32_t count;
	stoker_address *addresses;   /* as they are in the table */
	stoker_address table, slots; /* device memory */
	uint64_t page_bytes, bytes;  /* of all */
};

/* All that @size says, in zeros where devices give these; on failure there is nothing. */
int pages_create(struct stoker_device *d, const struct cache_size *size, struct pages *p,
		 struct stoker_error *err);
void pages_destroy(struct stoker_device *d, struct pages *p);
/* The table says what @p->addresses do. */
int pages_write_table(struct stoker_device *d, const struct pages *p, struct stoker_error *err);

#endif
