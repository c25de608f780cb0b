// SPDX-License-Identifier: MIT
/* Pages of one size, see page_pool.h. */
#include "session/page_pool.h"

enum { MOST_BLOCK_BYTES = 256 << 20 }; /* unless a page is larger */

void pool_init(struct stoker_device *d, uint64_t page_bytes, uint32_t most, uint64_t block_bytes,
	       uint64_t most_block_bytes, struct page_pool *pool)
{
	const uint64_t limit =
		MIN(MIN(d->max_memory, (uint64_t)MOST_BLOCK_BYTES), most_block_bytes);

	*pool = (struct page_pool){ .device = d, .page_bytes = page_bytes, .most = most };
	if (!page_bytes)
		return;
	pool->stride = (uint32_t)MAX(limit / page_bytes, (uint64_t)1);
	pool->usual = (uint32_t)MAX(MIN(block_bytes, limit) / page_bytes, (uint64_t)1);
}

void pool_destroy(struct page_pool *pool)
{
	for (uint32_t i = 0; i < pool->block_count; i++) {
		struct page_block *b = &pool->blocks[i];

		pool->device->ops->memory_destroy(pool->device, &b->memory);
		free(b->pages);
	}
	free(pool->blocks);
	*pool = (struct page_pool){ 0 };
}

/* A place for a block among the others. */
static struct page_block *find_place(struct page_pool *pool, struct stoker_error *err)
{
	struct page_block *more;

	for (uint32_t i = 0; i < pool->block_count; i++)
		if (!pool->blocks[i].count)
			return &pool->blocks[i];
	if (pool->block_count >= NO_PAGE / pool->stride) {
		stoker_fail(err, -ENOSPC, "there can't be more than %u blocks of pages",
			    pool->block_count);
		return NULL;
	}
	more = realloc(pool->blocks, (pool->block_count + 1) * sizeof(*more));
	if (!more) {
		stoker_fail(err, -ENOMEM, "out of memory");
		return NULL;
	}
	pool->blocks = more;
	more[pool->block_count] = (struct page_block){ .count = 0 };
	return &more[pool->block_count++];
}

int pool_grow(struct page_pool *pool, uint32_t count, struct stoker_error *err)
{
	const uint32_t n = MIN(count, pool->stride);
	struct page_block *b = find_place(pool, err);
	struct page *pages;
	int ret;

	if (!b)
		return pool->block_count >= NO_PAGE / pool->stride ? -ENOSPC : -ENOMEM;
	pages = calloc(n, sizeof(*pages));
	if (!pages)
		return stoker_fail(err, -ENOMEM, "out of memory");
	ret = pool->device->ops->memory_create(pool->device, n * pool->page_bytes, &b->memory, err);
	if (ret) {
		free(pages);
		return ret;
	}
	for (uint32_t i = 0; i < n; i++)
		pages[i].next = i + 1 < n ? i + 1 : NO_PAGE;
	b->pages = pages;
	b->count = b->unused_count = n;
	b->unused = 0;
	pool->count += n;
	pool->unused_count += n;
	pool->bytes += n * pool->page_bytes; /* what a device rounds up nobody has counted */
	return 0;
}

static void remove_block(struct page_pool *pool, struct page_block *b)
{
	assert(b->unused_count == b->count);
	pool->count -= b->count;
	pool->unused_count -= b->count;
	pool->bytes -= b->count * pool->page_bytes;
	pool->device->ops->memory_destroy(pool->device, &b->memory);
	free(b->pages);
	*b = (struct page_block){ .count = 0 };
}

void pool_shrink(struct page_pool *pool)
{
	for (uint32_t i = 0; i < pool->block_count; i++)
		if (pool->blocks[i].count && pool->blocks[i].unused_count == pool->blocks[i].count)
			remove_block(pool, &pool->blocks[i]);
}

uint32_t pool_take(struct page_pool *pool)
{
	struct page_block *b = pool->blocks;
	uint32_t i;

	assert(pool->unused_count > 0);
	/* the first that has any, so that the last ones become unused */
	while (!b->unused_count)
		b++;
	i = b->unused;
	b->unused = b->pages[i].next;
	b->unused_count--;
	pool->unused_count--;
	b->pages[i].users = 1;
	return (uint32_t)(b - pool->blocks) * pool->stride + i;
}

static bool has_other_unused(const struct page_pool *pool, const struct page_block *b)
{
	for (uint32_t i = 0; i < pool->block_count; i++) {
		const struct page_block *other = &pool->blocks[i];

		if (other != b && other->count && other->unused_count == other->count)
			return true;
	}
	return false;
}

/* So many users and keepers more, or with -1 less. */
static void count_users(struct page_pool *pool, struct page *page, int users, int keepers)
{
	pool->shared_count -= page->users > 1;
	pool->kept_count -= page->users && page->users == page->keepers;
	page->users += (uint32_t)users;
	page->keepers += (uint32_t)keepers;
	pool->shared_count += page->users > 1;
	pool->kept_count += page->users && page->users == page->keepers;
}

void pool_use(struct page_pool *pool, uint32_t number)
{
	count_users(pool, pool_page(pool, number), 1, 0);
}

void pool_keep(struct page_pool *pool, uint32_t number)
{
	count_users(pool, pool_page(pool, number), 1, 1);
}

static void give_back(struct page_pool *pool, uint32_t number, int keepers)
{
	struct page_block *b;
	struct page *page;

	if (number == NO_PAGE)
		return;
	page = pool_page(pool, number);
	count_users(pool, page, -1, -keepers);
	if (page->users)
		return;
	b = &pool->blocks[number / pool->stride];
	page->next = b->unused;
	b->unused = number % pool->stride;
	b->unused_count++;
	pool->unused_count++;
	if (b->unused_count == b->count && has_other_unused(pool, b))
		remove_block(pool, b);
}

void pool_give_back(struct page_pool *pool, uint32_t number)
{
	give_back(pool, number, 0);
}

void pool_let_go(struct page_pool *pool, uint32_t number)
{
	give_back(pool, number, 1);
}
