/* SPDX-License-Identifier: MIT */
/*
 * Pages of one size: blocks of memory that are cut into them, who uses each, which are unused.
 *
 * Blocks come when pages are short and go when nobody uses any of theirs, but for one that stays
 * for whoever needs a page next.  A page never moves.
 */
#ifndef STOKER_SESSION_PAGE_POOL_H
#define STOKER_SESSION_PAGE_POOL_H

#include "device/device.h"

#define NO_PAGE UINT32_MAX

struct page {
	uint32_t users;
	uint32_t keepers; /* of the users, that keep it for others: nobody writes to it for them */
	uint32_t writers; /* of the users, while pages for a step are counted */
	uint32_t next;	  /* unused page of its block, or NO_PAGE */
};

/* Memory that pages have been cut from; without any it waits for some. */
struct page_block {
	struct stoker_memory memory;
	struct page *pages;
	uint32_t count, unused_count;
	uint32_t unused; /* the first */
};

/*
 * Page number n is in block n / @stride.  What @count says is that of all blocks, and
 * @unused_count those of them that nobody uses.
 */
struct page_pool {
	struct stoker_device *device;
	uint64_t page_bytes; /* 0: there are no such pages */
	uint32_t most;	     /* at a time */
	uint32_t stride;     /* of the largest block */
	uint32_t usual;	     /* of a block, unless more are needed at once */
	struct page_block *blocks;
	uint32_t block_count;
	uint32_t count, unused_count;
	uint32_t shared_count, kept_count; /* with several users; with none but keepers */
	uint64_t bytes;			   /* of all blocks */
};

/*
 * Without pages; up to @most of them, in blocks of @block_bytes, @most_block_bytes where more are
 * needed at once, or, if it's larger, a page.
 */
void pool_init(struct stoker_device *d, uint64_t page_bytes, uint32_t most, uint64_t block_bytes,
	       uint64_t most_block_bytes, struct page_pool *pool);
void pool_destroy(struct page_pool *pool);

/*
 * A block of @count pages, or of @pool->stride if that's less.  On failure, -ENOSPC when there is
 * no number for it, nothing has changed.
 */
int pool_grow(struct page_pool *pool, uint32_t count, struct stoker_error *err);
/* Blocks that nobody uses pages of go. */
void pool_shrink(struct page_pool *pool);

/* An unused page, which there has to be, gets a user. */
uint32_t pool_take(struct page_pool *pool);
/* One user more, and one less; the latter does nothing for NO_PAGE. */
void pool_use(struct page_pool *pool, uint32_t number);
void pool_give_back(struct page_pool *pool, uint32_t number);
/* The same for one that keeps it for others. */
void pool_keep(struct page_pool *pool, uint32_t number);
void pool_let_go(struct page_pool *pool, uint32_t number);

static inline struct page *pool_page(const struct page_pool *pool, uint32_t number)
{
	return &pool->blocks[number / pool->stride].pages[number % pool->stride];
}

static inline stoker_address pool_address(const struct page_pool *pool, uint32_t number)
{
	return pool->blocks[number / pool->stride].memory.at +
	       number % pool->stride * pool->page_bytes;
}

#endif
