// SPDX-License-Identifier: MIT
/* Pages, see pages.h: blocks of memory are cut into them, and the table says where each one is. */
#include "session/pages.h"

enum { BLOCK_BYTES = 256 << 20 }; /* of pages that are allocated together, or of a larger page */

int pages_write_table(struct stoker_device *d, const struct pages *p, struct stoker_error *err)
{
	return p->count ? d->ops->write(d, p->table, p->addresses, p->count * sizeof(*p->addresses),
					err)
			: 0;
}

/* The block of @pages pages from page @first on. */
static int create_block(struct stoker_device *d, const struct cache_size *size, struct pages *p,
			uint32_t first, uint32_t pages, struct stoker_error *err)
{
	struct stoker_memory *block = &p->blocks[p->block_count];
	int ret = d->ops->memory_create(d, pages * size->page_bytes, block, err);

	if (ret)
		return ret;
	p->block_count++;
	p->bytes += block->bytes;
	for (uint32_t i = 0; i < pages; i++)
		p->addresses[first + i] = block->at + i * size->page_bytes;
	return 0;
}

int pages_create(struct stoker_device *d, const struct cache_size *size, struct pages *p,
		 struct stoker_error *err)
{
	const uint32_t count = size->page_bytes ? size->pages : 0;
	const uint64_t most = MIN(d->max_memory, (uint64_t)BLOCK_BYTES);
	const uint32_t together =
		count ? (uint32_t)MIN(MAX(most / size->page_bytes, (uint64_t)1), (uint64_t)count)
		      : 1;
	struct stoker_memory *rest;
	int ret = -ENOMEM;

	*p = (struct pages){ .count = count, .page_bytes = size->page_bytes };
	p->blocks = calloc(count / together + 2, sizeof(*p->blocks));
	p->addresses = calloc(count + 1, sizeof(*p->addresses));
	if (!p->blocks || !p->addresses) {
		stoker_fail(err, ret, "out of memory");
		goto err_destroy;
	}
	for (uint32_t first = 0, n; first < count; first += n) {
		n = MIN(count - first, together);
		ret = create_block(d, size, p, first, n, err);
		if (ret)
			goto err_destroy;
	}
	rest = &p->blocks[p->block_count];
	ret = d->ops->memory_create(d, cache_rest_bytes(size), rest, err);
	if (ret)
		goto err_destroy;
	p->block_count++;
	p->bytes += rest->bytes;
	p->table = rest->at;
	p->slots = rest->at + cache_table_bytes(size);
	ret = pages_write_table(d, p, err);
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
	free(p->blocks);
	free(p->addresses);
	*p = (struct pages){ 0 };
}
