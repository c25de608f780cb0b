// SPDX-License-Identifier: MIT
/* Pages, see pages.h: blocks of memory are cut into them, and tables say where each one is. */
#include "session/pages.h"

enum { BLOCK_BYTES = 256 << 20 }; /* of pages that are allocated together, or of a larger page */

int pages_write_table(struct stoker_device *d, struct page_table *t, struct stoker_error *err)
{
	const int ret = t->count ? d->ops->write(d, t->at, t->addresses,
						 t->count * sizeof(*t->addresses), err)
				 : 0;

	t->stale = ret;
	return ret;
}

int pages_copy(struct stoker_device *d, stoker_address dst, stoker_address src, uint64_t bytes,
	       struct stoker_error *err)
{
	enum { MOST = 1 << 28 }; /* bytes of an op, whose numbers have 32 bits */
	int ret = d->ops->begin(d, err);

	if (ret)
		return ret;
	for (uint64_t done = 0; done < bytes; done += MOST) {
		const uint32_t width = (uint32_t)(MIN(bytes - done, (uint64_t)MOST) / 4);
		const struct op_copy op = { .dst = dst + done,
					    .src = src + done,
					    .rows = 1,
					    .width = width,
					    .dst_stride = width,
					    .src_stride = width };

		device_copy(d, &op);
	}
	return d->ops->submit(d, NULL, err);
}

/* Pages that are allocated together. */
static uint32_t pages_of_block(const struct stoker_device *d, uint64_t page_bytes)
{
	const uint64_t most = MIN(d->max_memory, (uint64_t)BLOCK_BYTES);

	return (uint32_t)MAX(most / page_bytes, (uint64_t)1);
}

static uint32_t pool_pages(const struct pages *p, enum page_kind kind)
{
	return p->sequences * cache_pages(&p->size, kind);
}

static size_t count_blocks(const struct stoker_device *d, const struct pages *p)
{
	size_t blocks = 1;

	for (int kind = 0; kind < PAGE_KINDS; kind++)
		if (p->size.page_bytes[kind])
			blocks +=
				pool_pages(p, kind) / pages_of_block(d, p->size.page_bytes[kind]) +
				1;
	return blocks;
}

static int add_block(struct stoker_device *d, struct pages *p, uint64_t bytes,
		     struct stoker_error *err)
{
	struct stoker_memory *block = &p->blocks[p->block_count];
	const int ret = d->ops->memory_create(d, bytes, block, err);

	if (ret)
		return ret;
	p->block_count++;
	p->bytes += block->bytes;
	return 0;
}

static int create_pool(struct stoker_device *d, struct pages *p, enum page_kind kind,
		       struct stoker_error *err)
{
	const uint64_t page_bytes = p->size.page_bytes[kind];
	const uint32_t count = pool_pages(p, kind);
	struct page_pool *pool = &p->pools[kind];
	int ret = 0;

	if (!count)
		return 0;
	pool->addresses = calloc(count, sizeof(*pool->addresses));
	pool->users = calloc(count, sizeof(*pool->users));
	pool->unused = calloc(count, sizeof(*pool->unused));
	if (!pool->addresses || !pool->users || !pool->unused)
		return stoker_fail(err, -ENOMEM, "out of memory");
	for (uint32_t first = 0, n; first < count && !ret; first += n) {
		n = MIN(count - first, pages_of_block(d, page_bytes));
		ret = add_block(d, p, n * page_bytes, err);
		for (uint32_t i = 0; i < n && !ret; i++)
			pool->addresses[first + i] =
				p->blocks[p->block_count - 1].at + i * page_bytes;
	}
	for (uint32_t i = 0; i < count; i++)
		pool->unused[i] = count - 1 - i;
	pool->unused_count = count;
	return ret;
}

static uint64_t tables_bytes(const struct cache_size *size)
{
	return cache_table_bytes(size, PAGES_FULL) + cache_table_bytes(size, PAGES_WINDOW);
}

int pages_create(struct stoker_device *d, const struct cache_size *size, uint32_t sequences,
		 struct pages *p, struct stoker_error *err)
{
	int ret = 0;

	*p = (struct pages){ .size = *size, .sequences = sequences };
	p->taken = calloc(sequences, sizeof(*p->taken));
	p->blocks = calloc(count_blocks(d, p), sizeof(*p->blocks));
	if (!p->taken || !p->blocks)
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	for (int kind = 0; kind < PAGE_KINDS && !ret; kind++)
		ret = create_pool(d, p, kind, err);
	if (!ret)
		ret = add_block(d, p, sequences * cache_rest_bytes(size), err);
	if (ret) {
		pages_destroy(d, p);
		return ret;
	}
	p->tables = p->blocks[p->block_count - 1].at;
	p->slots = p->tables + sequences * tables_bytes(size);
	return 0;
}

void pages_destroy(struct stoker_device *d, struct pages *p)
{
	for (size_t i = 0; i < p->block_count; i++)
		d->ops->memory_destroy(d, &p->blocks[i]);
	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		free(p->pools[kind].addresses);
		free(p->pools[kind].users);
		free(p->pools[kind].unused);
	}
	free(p->taken);
	free(p->blocks);
	*p = (struct pages){ 0 };
}

/* Entry @slot and those that have the same page say where page @number is. */
static void enter(const struct page_pool *pool, struct page_table *t, uint32_t slot,
		  uint32_t number)
{
	t->pages[slot] = number;
	for (uint32_t i = slot; i < t->count; i += t->turn)
		t->addresses[i] = number == NO_PAGE ? 0 : pool->addresses[number];
	t->stale = true;
}

static uint32_t take(struct page_pool *pool)
{
	assert(pool->unused_count > 0);
	const uint32_t number = pool->unused[--pool->unused_count];

	pool->users[number] = 1;
	return number;
}

static void give_back(struct page_pool *pool, uint32_t number)
{
	if (number != NO_PAGE && --pool->users[number] == 0)
		pool->unused[pool->unused_count++] = number;
}

static int create_table(struct stoker_device *d, struct pages *p, enum page_kind kind, bool whole,
			struct page_table *t, struct stoker_error *err)
{
	t->page_bytes = p->size.page_bytes[kind];
	if (!t->page_bytes)
		return 0;
	t->count = p->size.pages;
	t->turn = cache_pages(&p->size, kind);
	t->addresses = calloc(t->count, sizeof(*t->addresses));
	t->pages = malloc(t->turn * sizeof(*t->pages));
	if (!t->addresses || !t->pages) {
		t->turn = 0; /* nothing to give back */
		return stoker_fail(err, -ENOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < t->turn; i++)
		enter(&p->pools[kind], t, i, whole ? take(&p->pools[kind]) : NO_PAGE);
	return whole ? pages_write_table(d, t, err) : 0;
}

int pages_add(struct stoker_device *d, struct pages *p, bool whole, struct page_tables *t,
	      struct stoker_error *err)
{
	uint32_t number = 0;
	stoker_address at;
	int ret = 0;

	*t = (struct page_tables){ .number = NO_PAGE };
	while (number < p->sequences && p->taken[number])
		number++;
	if (number == p->sequences)
		return stoker_fail(err, -ENOSPC, "there is room for %u sequences", p->sequences);
	p->taken[number] = true;
	t->number = number;
	at = p->tables + number * tables_bytes(&p->size);
	for (int kind = 0; kind < PAGE_KINDS && !ret; kind++) {
		t->of[kind].at = at;
		at += cache_table_bytes(&p->size, kind);
		ret = create_table(d, p, kind, whole, &t->of[kind], err);
	}
	if (ret)
		pages_remove(p, t);
	return ret;
}

void pages_remove(struct pages *p, struct page_tables *t)
{
	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		for (uint32_t i = 0; i < t->of[kind].turn; i++)
			give_back(&p->pools[kind], t->of[kind].pages[i]);
		free(t->of[kind].addresses);
		free(t->of[kind].pages);
	}
	if (p->taken && t->number != NO_PAGE)
		p->taken[t->number] = false;
	*t = (struct page_tables){ .number = NO_PAGE };
}

void pages_cut(struct pages *p, struct page_tables *t, uint32_t position)
{
	const uint32_t first = (position + KV_PAGE_ROWS - 1) / KV_PAGE_ROWS;

	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		struct page_table *table = &t->of[kind];

		/* pages of a ring have earlier positions, too */
		if (table->turn < table->count && position)
			continue;
		for (uint32_t i = first; i < table->turn; i++) {
			give_back(&p->pools[kind], table->pages[i]);
			enter(&p->pools[kind], table, i, NO_PAGE);
		}
	}
}

void pages_share(struct pages *p, const struct page_tables *from, struct page_tables *t)
{
	for (int kind = 0; kind < PAGE_KINDS; kind++)
		for (uint32_t i = 0; i < from->of[kind].turn; i++) {
			const uint32_t number = from->of[kind].pages[i];

			if (number == NO_PAGE)
				continue;
			p->pools[kind].users[number]++;
			enter(&p->pools[kind], &t->of[kind], i, number);
		}
}

static int prepare_page(struct stoker_device *d, struct page_pool *pool, struct page_table *t,
			uint32_t slot, struct stoker_error *err)
{
	const uint32_t old = t->pages[slot];
	uint32_t number;
	int ret;

	if (old != NO_PAGE && pool->users[old] == 1)
		return 0;
	number = take(pool);
	if (old != NO_PAGE) {
		ret = pages_copy(d, pool->addresses[number], pool->addresses[old], t->page_bytes,
				 err);
		if (ret) {
			give_back(pool, number);
			return ret;
		}
		give_back(pool, old);
	}
	enter(pool, t, slot, number);
	return 0;
}

int pages_prepare(struct stoker_device *d, struct pages *p, struct page_tables *t, uint32_t first,
		  uint32_t end, struct stoker_error *err)
{
	int ret = 0;

	for (int kind = 0; kind < PAGE_KINDS && !ret; kind++) {
		struct page_table *table = &t->of[kind];

		for (uint32_t page = first / KV_PAGE_ROWS;
		     table->turn && page <= (end - 1) / KV_PAGE_ROWS && !ret; page++)
			ret = prepare_page(d, &p->pools[kind], table, page % table->turn, err);
		if (!ret && table->stale)
			ret = pages_write_table(d, table, err);
	}
	return ret;
}
