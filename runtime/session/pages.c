// SPDX-License-Identifier: MIT
/* Pages, see pages.h: blocks of memory are cut into them, and tables say where each one is. */
#include "session/pages.h"

enum { BLOCK_BYTES = 256 << 20 }; /* of pages that are allocated together, or of a larger page */

int pages_write_table(struct stoker_device *d, const struct page_table *t, struct stoker_error *err)
{
	return t->count ? d->ops->write(d, t->at, t->addresses, t->count * sizeof(*t->addresses),
					err)
			: 0;
}

/* Pages that are allocated together. */
static uint32_t pages_of_block(const struct stoker_device *d, uint64_t page_bytes)
{
	const uint64_t most = MIN(d->max_memory, (uint64_t)BLOCK_BYTES);

	return (uint32_t)MAX(most / page_bytes, (uint64_t)1);
}

static size_t count_blocks(const struct stoker_device *d, const struct cache_size *size)
{
	size_t blocks = 1;

	for (int kind = 0; kind < PAGE_KINDS; kind++)
		if (size->page_bytes[kind])
			blocks += cache_pages(size, kind) /
					  pages_of_block(d, size->page_bytes[kind]) +
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

static int create_table(struct stoker_device *d, const struct cache_size *size, enum page_kind kind,
			struct pages *p, struct stoker_error *err)
{
	struct page_table *t = &p->tables[kind];
	int ret = 0;

	t->page_bytes = size->page_bytes[kind];
	if (!t->page_bytes)
		return 0;
	t->count = size->pages;
	t->turn = cache_pages(size, kind);
	t->addresses = calloc(t->count, sizeof(*t->addresses));
	if (!t->addresses)
		return stoker_fail(err, -ENOMEM, "out of memory");
	for (uint32_t first = 0, n; first < t->turn && !ret; first += n) {
		n = MIN(t->turn - first, pages_of_block(d, t->page_bytes));
		ret = add_block(d, p, n * t->page_bytes, err);
		for (uint32_t i = 0; i < n && !ret; i++)
			t->addresses[first + i] =
				p->blocks[p->block_count - 1].at + i * t->page_bytes;
	}
	for (uint32_t i = t->turn; i < t->count; i++)
		t->addresses[i] = t->addresses[i - t->turn];
	return ret;
}

int pages_create(struct stoker_device *d, const struct cache_size *size, struct pages *p,
		 struct stoker_error *err)
{
	stoker_address at;
	int ret = 0;

	*p = (struct pages){ .blocks = calloc(count_blocks(d, size), sizeof(*p->blocks)) };
	if (!p->blocks)
		return stoker_fail(err, -ENOMEM, "out of memory");
	for (int kind = 0; kind < PAGE_KINDS && !ret; kind++)
		ret = create_table(d, size, kind, p, err);
	if (!ret)
		ret = add_block(d, p, cache_rest_bytes(size), err);
	if (ret)
		goto err_destroy;
	at = p->blocks[p->block_count - 1].at;
	for (int kind = 0; kind < PAGE_KINDS && !ret; kind++) {
		p->tables[kind].at = at;
		at += cache_table_bytes(size, kind);
		ret = pages_write_table(d, &p->tables[kind], err);
	}
	p->slots = at;
	if (ret)
		goto err_destroy;
	return 0;
err_destroy:
	pages_destroy(d, p);
	return ret;
}

void pages_destroy(struct stoker_device *d, struct pages *p)
{
	for (size_t i = 0; i < p->block_count; i++)
		d->ops->memory_destroy(d, &p->blocks[i]);
	for (int kind = 0; kind < PAGE_KINDS; kind++)
		free(p->tables[kind].addresses);
	free(p->blocks);
	*p = (struct pages){ 0 };
}
