// SPDX-License-Identifier: MIT
/* Pages, see pages.h: tables say where each one is, and whose. */
#include "session/pages.h"

enum { UNIT_BYTES = 2 << 20, BLOCKS = 32 }; /* so many, in such units, when all is taken */
enum { MOST_RING_BLOCKS = 256 };	    /* as devices have only so many allocations */

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

static uint64_t tables_bytes(const struct cache_size *size)
{
	return cache_table_bytes(size, PAGES_FULL) + cache_table_bytes(size, PAGES_WINDOW);
}

/*
 * Pools of pages.  Where not all sequences can have all they may need, one alone still can: none of
 * the memory that rings take is unused for long, and of other pages there are never so many that
 * it lacks a ring.
 */
static void create_pools(struct pages *p)
{
	const uint64_t ring =
		cache_pages(&p->size, PAGES_WINDOW) * p->size.page_bytes[PAGES_WINDOW];
	const uint64_t all = p->sequences * cache_page_bytes(&p->size);
	uint64_t block = p->bound / BLOCKS;

	block = block < UNIT_BYTES / 2 ? block : round_up(block, UNIT_BYTES);
	for (int kind = PAGE_KINDS - 1; kind >= 0; kind--) {
		const uint64_t bytes = p->size.page_bytes[kind];
		uint64_t most = (uint64_t)p->sequences * cache_pages(&p->size, kind);

		/* memory for more than sequences need is for what is kept of earlier ones */
		if (kind == PAGES_FULL && p->bound > all && bytes)
			most += (p->bound - all) / bytes;
		if (kind == PAGES_FULL && p->bound < all && bytes)
			most = MIN(most, (p->bound - ring) / bytes);
		const uint64_t few = MAX(most / MOST_RING_BLOCKS, (uint64_t)1) * bytes;
		const bool small = kind == PAGES_WINDOW && p->bound < all;

		pool_init(p->device, bytes, (uint32_t)MIN(most, (uint64_t)NO_PAGE - 1),
			  small ? few : block, small ? few : UINT64_MAX, &p->pools[kind]);
	}
}

int pages_create(struct stoker_device *d, const struct cache_size *size, uint32_t sequences,
		 uint64_t bound, struct pages *p, struct stoker_error *err)
{
	const uint64_t each = cache_page_bytes(size);
	char human[2][16];
	int ret;

	*p = (struct pages){ .device = d,
			     .size = *size,
			     .sequences = sequences,
			     .bound = bound ? bound : sequences * each };
	if (p->bound < each)
		return stoker_fail(err, -EINVAL,
				   "%s for caches, a sequence of %u positions takes %s",
				   stoker_human_size(p->bound, human[0]),
				   size->pages * KV_PAGE_ROWS, stoker_human_size(each, human[1]));
	create_pools(p);
	p->taken = calloc(sequences, sizeof(*p->taken));
	ret = p->taken ? d->ops->memory_create(d, sequences * cache_rest_bytes(size), &p->rest, err)
		       : stoker_fail(err, -ENOMEM, "out of memory");
	if (ret) {
		pages_destroy(p);
		return ret;
	}
	p->tables = p->rest.at;
	p->slots = p->tables + sequences * tables_bytes(size);
	return 0;
}

void pages_destroy(struct pages *p)
{
	if (!p->device)
		return;
	for (int kind = 0; kind < PAGE_KINDS; kind++)
		pool_destroy(&p->pools[kind]);
	p->device->ops->memory_destroy(p->device, &p->rest);
	free(p->taken);
	*p = (struct pages){ 0 };
}

/* Bytes of pages that there is memory for. */
static uint64_t got(const struct pages *p)
{
	return p->pools[PAGES_FULL].bytes + p->pools[PAGES_WINDOW].bytes;
}

uint64_t pages_bytes(const struct pages *p)
{
	return got(p) + p->rest.bytes;
}

/* Not as many as make memory exceed the bound, or a kind's pages what there may be of them. */
static uint64_t room(const struct pages *p)
{
	return p->bound > got(p) ? p->bound - got(p) : 0;
}

uint64_t pages_left(const struct pages *p)
{
	uint64_t left = room(p);

	for (int kind = 0; kind < PAGE_KINDS; kind++)
		left += p->pools[kind].unused_count * p->pools[kind].page_bytes;
	return left;
}

uint64_t pages_kept(const struct pages *p)
{
	uint64_t bytes = 0;

	for (int kind = 0; kind < PAGE_KINDS; kind++)
		bytes += p->pools[kind].kept_count * p->pools[kind].page_bytes;
	return bytes;
}

void pages_tell(const struct pages *p, struct stoker_pages *out)
{
	*out = (struct stoker_pages){ .kept = pages_kept(p), .limit = p->bound };
	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		const struct page_pool *pool = &p->pools[kind];

		out->used +=
			(pool->count - pool->unused_count - pool->kept_count) * pool->page_bytes;
		out->shared += pool->shared_count * pool->page_bytes;
	}
}

/* Entry @slot and those that have the same page say where page @number is. */
static void enter(const struct page_pool *pool, struct page_table *t, uint32_t slot,
		  uint32_t number)
{
	t->pages[slot] = number;
	for (uint32_t i = slot; i < t->count; i += t->turn)
		t->addresses[i] = number == NO_PAGE ? 0 : pool_address(pool, number);
	t->stale = true;
}

/* Pages that positions [first, end) are in, each entry of a ring once. */
struct span {
	uint32_t first, count;
};

static struct span span_of(const struct page_table *t, uint32_t first, uint32_t end)
{
	const uint32_t page = first / KV_PAGE_ROWS;

	if (!t->turn || first >= end)
		return (struct span){ .first = page };
	return (struct span){ .first = page,
			      .count = MIN((end - 1) / KV_PAGE_ROWS - page + 1, t->turn) };
}

void pages_count(struct pages *p, const struct page_tables *t, uint32_t first, uint32_t end,
		 uint32_t want[PAGE_KINDS])
{
	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		const struct page_table *table = &t->of[kind];
		const struct span span = span_of(table, first, end);

		for (uint32_t i = 0; i < span.count; i++) {
			const uint32_t number = table->pages[(span.first + i) % table->turn];
			struct page *page = number == NO_PAGE ? NULL
							      : pool_page(&p->pools[kind], number);

			/* the last of its users to write to it keeps it */
			if (!page || (page->users > 1 && ++page->writers < page->users))
				want[kind]++;
		}
	}
}

void pages_counted(struct pages *p, const struct page_tables *t, uint32_t first, uint32_t end)
{
	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		const struct page_table *table = &t->of[kind];
		const struct span span = span_of(table, first, end);

		for (uint32_t i = 0; i < span.count; i++) {
			const uint32_t number = table->pages[(span.first + i) % table->turn];

			if (number != NO_PAGE)
				pool_page(&p->pools[kind], number)->writers = 0;
		}
	}
}

uint64_t pages_needed(struct pages *p, const struct page_tables *t, uint32_t first, uint32_t end)
{
	uint32_t want[PAGE_KINDS] = { 0 };

	pages_count(p, t, first, end, want);
	pages_counted(p, t, first, end);
	return want[PAGES_FULL] * p->size.page_bytes[PAGES_FULL] +
	       want[PAGES_WINDOW] * p->size.page_bytes[PAGES_WINDOW];
}

/* How many more pages of a kind there have to be memory for. */
static uint32_t missing(const struct page_pool *pool, uint32_t want)
{
	return want > pool->unused_count ? want - pool->unused_count : 0;
}

static uint64_t missing_bytes(const struct pages *p, const uint32_t want[PAGE_KINDS])
{
	uint64_t bytes = 0;

	for (int kind = 0; kind < PAGE_KINDS; kind++)
		bytes += missing(&p->pools[kind], want[kind]) * p->pools[kind].page_bytes;
	return bytes;
}

bool pages_lack(const struct pages *p, enum page_kind kind, uint32_t want)
{
	const struct page_pool *pool = &p->pools[kind];

	return missing(pool, want) > pool->most - pool->count;
}

static bool fits(const struct pages *p, const uint32_t want[PAGE_KINDS])
{
	for (int kind = 0; kind < PAGE_KINDS; kind++)
		if (pages_lack(p, kind, want[kind]))
			return false;
	return missing_bytes(p, want) <= room(p);
}

/* More of a kind, a block at a time, without what the others are about to get. */
static int grow(struct pages *p, const uint32_t want[PAGE_KINDS], enum page_kind kind,
		struct stoker_error *err)
{
	struct page_pool *pool = &p->pools[kind];
	int ret = 0;

	while (!ret && missing(pool, want[kind])) {
		const uint32_t least = missing(pool, want[kind]);
		const uint64_t others = missing_bytes(p, want) - least * pool->page_bytes;
		const uint64_t most = MIN((room(p) - others) / pool->page_bytes,
					  (uint64_t)(pool->most - pool->count));

		ret = pool_grow(pool, (uint32_t)MIN((uint64_t)MAX(least, pool->usual), most), err);
	}
	return ret;
}

int pages_reserve(struct pages *p, const uint32_t want[PAGE_KINDS], struct stoker_error *err)
{
	char human[3][16];
	int ret = 0;

	if (!missing_bytes(p, want))
		return 0;
	if (!fits(p, want)) /* perhaps with unused pages of the other kind */
		for (int kind = 0; kind < PAGE_KINDS; kind++)
			pool_shrink(&p->pools[kind]);
	if (!fits(p, want))
		return stoker_fail(err, -ENOSPC,
				   "keys and values need %s more, %s are left of the %s that all "
				   "sequences have together",
				   stoker_human_size(missing_bytes(p, want), human[0]),
				   stoker_human_size(room(p), human[1]),
				   stoker_human_size(p->bound, human[2]));
	for (int kind = 0; kind < PAGE_KINDS && !ret; kind++)
		ret = grow(p, want, kind, err);
	return ret;
}

static int create_table(struct pages *p, enum page_kind kind, bool whole, struct page_table *t,
			struct stoker_error *err)
{
	uint32_t want[PAGE_KINDS] = { 0 };
	int ret;

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
		enter(&p->pools[kind], t, i, NO_PAGE);
	want[kind] = whole ? t->turn : 0;
	ret = pages_reserve(p, want, err);
	for (uint32_t i = 0; i < want[kind] && !ret; i++)
		enter(&p->pools[kind], t, i, pool_take(&p->pools[kind]));
	return whole && !ret ? pages_write_table(p->device, t, err) : ret;
}

int pages_add(struct pages *p, bool whole, struct page_tables *t, struct stoker_error *err)
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
		ret = create_table(p, kind, whole, &t->of[kind], err);
	}
	if (ret)
		pages_remove(p, t);
	return ret;
}

void pages_remove(struct pages *p, struct page_tables *t)
{
	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		for (uint32_t i = 0; i < t->of[kind].turn; i++)
			pool_give_back(&p->pools[kind], t->of[kind].pages[i]);
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
			pool_give_back(&p->pools[kind], table->pages[i]);
			enter(&p->pools[kind], table, i, NO_PAGE);
		}
	}
}

void pages_use(struct pages *p, struct page_tables *t, enum page_kind kind, uint32_t slot,
	       uint32_t number)
{
	assert(t->of[kind].pages[slot] == NO_PAGE);
	pool_use(&p->pools[kind], number);
	enter(&p->pools[kind], &t->of[kind], slot, number);
}

void pages_share(struct pages *p, const struct page_tables *from, struct page_tables *t)
{
	for (int kind = 0; kind < PAGE_KINDS; kind++)
		for (uint32_t i = 0; i < from->of[kind].turn; i++) {
			const uint32_t number = from->of[kind].pages[i];

			if (number != NO_PAGE)
				pages_use(p, t, kind, i, number);
		}
}

/* @keep: what the page has. */
static int prepare_page(struct page_pool *pool, struct page_table *t, uint32_t slot, bool keep,
			struct stoker_error *err)
{
	const uint32_t old = t->pages[slot];
	uint32_t number;
	int ret;

	if (old != NO_PAGE && pool_page(pool, old)->users == 1)
		return 0;
	number = pool_take(pool);
	if (old != NO_PAGE && keep) {
		ret = pages_copy(pool->device, pool_address(pool, number), pool_address(pool, old),
				 t->page_bytes, err);
		if (ret) {
			pool_give_back(pool, number);
			return ret;
		}
	}
	pool_give_back(pool, old);
	enter(pool, t, slot, number);
	return 0;
}

int pages_prepare(struct pages *p, struct page_tables *t, uint32_t first, uint32_t end,
		  struct stoker_error *err)
{
	uint32_t want[PAGE_KINDS] = { 0 };
	int ret;

	pages_count(p, t, first, end, want);
	pages_counted(p, t, first, end);
	ret = pages_reserve(p, want, err);
	for (int kind = 0; kind < PAGE_KINDS && !ret; kind++) {
		struct page_table *table = &t->of[kind];
		const struct span span = span_of(table, first, end);

		for (uint32_t i = 0; i < span.count && !ret; i++)
			ret = prepare_page(&p->pools[kind], table, (span.first + i) % table->turn,
					   i == 0 && first % KV_PAGE_ROWS, err);
		if (!ret && table->stale)
			ret = pages_write_table(p->device, table, err);
	}
	return ret;
}
