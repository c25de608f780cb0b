/* SPDX-License-Identifier: MIT */
/*
 * The memory of sequences' caches: pages, tables of their addresses, slots of recurrent state.
 *
 * A page is in the tables of any number of sequences, its users, and is written to only while there
 * is one.  There are as many as all sequences together can have, so that none is ever missing.
 */
#ifndef STOKER_SESSION_PAGES_H
#define STOKER_SESSION_PAGES_H

#include "model/forward.h"

#define NO_PAGE UINT32_MAX

/* Of one kind: where the page of each position is, as the table in device memory says it. */
struct page_table {
	uint64_t page_bytes;
	uint32_t count; /* of entries */
	uint32_t turn; /* entry i has the same page as entry i - @turn; @count: all are different */
	uint32_t *pages; /* [turn], their numbers, or NO_PAGE */
	stoker_address *addresses, at;
	bool stale; /* what is at @at */
};

/* All pages of a kind. */
struct page_pool {
	stoker_address *addresses;
	uint32_t *users;
	uint32_t *unused, unused_count; /* the last one is taken next */
};

struct pages {
	struct cache_size size;	      /* of a sequence */
	uint32_t sequences;	      /* at most */
	bool *taken;		      /* their numbers */
	struct stoker_memory *blocks; /* that pages are in, and one behind them that has the rest */
	size_t block_count;
	struct page_pool pools[PAGE_KINDS];
	stoker_address tables, slots; /* of all sequences */
	uint64_t bytes;		      /* of all */
};

/* Of a sequence: which tables and which slot are its own, and what is in the tables. */
struct page_tables {
	uint32_t number;
	struct page_table of[PAGE_KINDS];
};

/*
 * All that @sequences of @size can take, in zeros where devices give these; on failure there is
 * nothing.
 */
int pages_create(struct stoker_device *d, const struct cache_size *size, uint32_t sequences,
		 struct pages *p, struct stoker_error *err);
void pages_destroy(struct stoker_device *d, struct pages *p);

/* Tables without pages, or with @whole with all, for a sequence; -ENOSPC when there are enough. */
int pages_add(struct stoker_device *d, struct pages *p, bool whole, struct page_tables *t,
	      struct stoker_error *err);
/* Gives pages and tables back; nothing where there are none. */
void pages_remove(struct pages *p, struct page_tables *t);
/* Positions from @position on aren't needed any more. */
void pages_cut(struct pages *p, struct page_tables *t, uint32_t position);
/* @t, which is empty, gets the pages of @from, too. */
void pages_share(struct pages *p, const struct page_tables *from, struct page_tables *t);
/*
 * Positions [first, end) are about to be written: their pages are there, and this sequence's alone.
 * On failure the tables have all that they had.
 */
int pages_prepare(struct stoker_device *d, struct pages *p, struct page_tables *t, uint32_t first,
		  uint32_t end, struct stoker_error *err);
/* The table in device memory says what @t->addresses do. */
int pages_write_table(struct stoker_device *d, struct page_table *t, struct stoker_error *err);
/* Copies @bytes, a multiple of 4, of device memory to another place. */
int pages_copy(struct stoker_device *d, stoker_address dst, stoker_address src, uint64_t bytes,
	       struct stoker_error *err);

#endif
