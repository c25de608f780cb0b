/* SPDX-License-Identifier: MIT */
/*
 * The memory of sequences' caches: pages, tables of their addresses, slots of recurrent state.
 *
 * A page is in the tables of any number of sequences, its users, and is written to only while there
 * is one.  Memory comes with the pages that are used, up to a bound, see page_pool.h.
 */
#ifndef STOKER_SESSION_PAGES_H
#define STOKER_SESSION_PAGES_H

#include "model/forward.h"
#include "session/page_pool.h"
#include "stoker/session.h"

/* Of one kind: where the page of each position is, as the table in device memory says it. */
struct page_table {
	uint64_t page_bytes;
	uint32_t count; /* of entries */
	uint32_t turn; /* entry i has the same page as entry i - @turn; @count: all are different */
	uint32_t *pages; /* [turn], their numbers, or NO_PAGE */
	stoker_address *addresses, at;
	bool stale; /* what is at @at */
};

struct pages {
	struct stoker_device *device;
	struct cache_size size; /* of a sequence */
	uint32_t sequences;	/* at most */
	bool *taken;		/* their numbers */
	struct page_pool pools[PAGE_KINDS];
	uint64_t bound; /* bytes of all pages, however many sequences there are */
	struct stoker_memory rest;
	stoker_address tables, slots; /* in it, of all sequences */
};

/* Of a sequence: which tables and which slot are its own, and what is in the tables. */
struct page_tables {
	uint32_t number;
	struct page_table of[PAGE_KINDS];
};

/*
 * For up to @sequences of @size, whose pages come later, @bound bytes of them at most; all that
 * sequences can need with 0.  On failure, -EINVAL when not even a sequence's fit, there is nothing.
 */
int pages_create(struct stoker_device *d, const struct cache_size *size, uint32_t sequences,
		 uint64_t bound, struct pages *p, struct stoker_error *err);
void pages_destroy(struct pages *p);

/* Device memory that there is now. */
uint64_t pages_bytes(const struct pages *p);
/* Of pages that nobody uses, the ones that memory is yet to be got for among them. */
uint64_t pages_left(const struct pages *p);
/* Of pages that are only kept for others. */
uint64_t pages_kept(const struct pages *p);
/* What there is, as others see it. */
void pages_tell(const struct pages *p, struct stoker_pages *out);
/* Of pages that a sequence doesn't have that is about to write positions [first, end). */
uint64_t pages_needed(struct pages *p, const struct page_tables *t, uint32_t first, uint32_t end);

/* Tables without pages, or with @whole with all, for a sequence; -ENOSPC when there are enough. */
int pages_add(struct pages *p, bool whole, struct page_tables *t, struct stoker_error *err);
/* Gives pages and tables back; nothing where there are none. */
void pages_remove(struct pages *p, struct page_tables *t);
/* Positions from @position on aren't needed any more. */
void pages_cut(struct pages *p, struct page_tables *t, uint32_t position);
/* Entry @slot of a kind's table, which has no page, is one that others use, too. */
void pages_use(struct pages *p, struct page_tables *t, enum page_kind kind, uint32_t slot,
	       uint32_t number);
/* @t, which is empty, gets the pages of @from, too. */
void pages_share(struct pages *p, const struct page_tables *from, struct page_tables *t);

/*
 * Adds to @want how many pages of each kind it takes to write positions [first, end), given what
 * was counted since pages_counted() was called for each of these sequences.
 */
void pages_count(struct pages *p, const struct page_tables *t, uint32_t first, uint32_t end,
		 uint32_t want[PAGE_KINDS]);
void pages_counted(struct pages *p, const struct page_tables *t, uint32_t first, uint32_t end);
/* So many are unused, or -ENOSPC with figures, or there is no memory; no table changes. */
int pages_reserve(struct pages *p, const uint32_t want[PAGE_KINDS], struct stoker_error *err);
/* Whether there can't be so many of a kind, whatever becomes of the others. */
bool pages_lack(const struct pages *p, enum page_kind kind, uint32_t want);
/*
 * Positions [first, end) are about to be written: their pages are there, and this sequence's alone.
 * What else they hold is kept, but for what a ring had there.  On failure the tables have all that
 * they had.
 */
int pages_prepare(struct pages *p, struct page_tables *t, uint32_t first, uint32_t end,
		  struct stoker_error *err);
/* The table in device memory says what @t->addresses do. */
int pages_write_table(struct stoker_device *d, struct page_table *t, struct stoker_error *err);
/* Copies @bytes, a multiple of 4, of device memory to another place. */
int pages_copy(struct stoker_device *d, stoker_address dst, stoker_address src, uint64_t bytes,
	       struct stoker_error *err);

#endif
