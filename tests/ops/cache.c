// SPDX-License-Identifier: MIT
/* Key-value caches for tests: see cache.h. */
#include "cache.h"

#include <sys/mman.h>
#include <unistd.h>

enum { GAP = 64 }; /* bytes around keys and values in a page that isn't fenced */

/* The end or the begin of a mapping with fences on both sides. */
static uint8_t *fence(struct test_cache *c, uint32_t i, bool at_end)
{
	const size_t unit = (size_t)sysconf(_SC_PAGESIZE);
	const size_t inner = round_up(c->page_bytes, unit);
	uint8_t *p;

	c->mapped = inner + 2 * unit;
	p = mmap(NULL, c->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(p != MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(mprotect(p + unit, inner, PROT_READ | PROT_WRITE), 0);
	c->fenced[i] = p;
	return p + unit + (at_end ? inner - c->page_bytes : 0);
}

static void place(struct test_cache *c, enum placing placing)
{
	uint32_t order[CACHE_PAGES], seed = 12345 + c->pages;

	for (uint32_t i = 0; i < c->pages; i++)
		order[i] = i;
	for (uint32_t i = c->pages - 1; i > 0; i--) {
		seed = seed * 1664525 + 1013904223;
		const uint32_t other = (seed >> 16) % (i + 1), moved = order[i];

		order[i] = order[other];
		order[other] = moved;
	}
	for (uint32_t i = 0; i < c->pages; i++)
		c->page[order[i]] =
			placing == PLACE_SHUFFLED
				? (uint8_t *)room(c->page_bytes / sizeof(float) + i % 3 * 16)
				: fence(c, i, placing == PLACE_BEFORE_FENCE);
}

struct test_cache cache_make(enum placing placing, enum stoker_kv_format format, uint32_t positions,
			     uint32_t heads, uint32_t key_size, uint32_t value_size, uint8_t fill)
{
	return cache_make_apart(placing, format, format, positions, heads, key_size, value_size,
				fill);
}

struct test_cache cache_make_apart(enum placing placing, enum stoker_kv_format keys,
				   enum stoker_kv_format values, uint32_t positions, uint32_t heads,
				   uint32_t key_size, uint32_t value_size, uint8_t fill)
{
	const uint64_t gap = placing == PLACE_SHUFFLED ? GAP : 0;
	struct test_cache c = { .positions = positions,
				.heads = heads,
				.pages = (positions + KV_PAGE_ROWS - 1) / KV_PAGE_ROWS,
				.key_row = stoker_kv_row_bytes(keys, key_size),
				.value_row = stoker_kv_row_bytes(values, value_size) };
	stoker_address *table = (stoker_address *)(void *)room(2 * CACHE_PAGES);

	CU_ASSERT_FATAL(c.pages <= CACHE_PAGES);
	c.keys = gap;
	c.values = c.keys + KV_PAGE_ROWS * heads * c.key_row + gap;
	c.page_bytes = c.values + KV_PAGE_ROWS * heads * c.value_row + gap;
	place(&c, placing);
	memset(table, 0xff, CACHE_PAGES * sizeof(*table));
	for (uint32_t i = 0; i < c.pages; i++) {
		table[i] = placing == PLACE_SHUFFLED ? at(c.page[i]) : (uintptr_t)c.page[i];
		memset(c.page[i], 0xff, c.page_bytes);
		memset(c.page[i] + c.keys, fill, KV_PAGE_ROWS * heads * c.key_row);
		memset(c.page[i] + c.values, fill, KV_PAGE_ROWS * heads * c.value_row);
	}
	c.table = at(table);
	return c;
}

void cache_free(struct test_cache *c)
{
	for (uint32_t i = 0; i < c->pages; i++)
		if (c->fenced[i])
			munmap(c->fenced[i], c->mapped);
}

stoker_address cache_places(const struct test_cache *c, uint32_t position, uint32_t rows)
{
	return places_in(c->table, position, rows);
}

static void *rows_of(const struct test_cache *c, uint64_t first, uint64_t bytes)
{
	uint8_t *all = (uint8_t *)room(c->positions * c->heads * bytes / sizeof(float) + 1);
	uint8_t *to = all;

	for (uint32_t i = 0; i < c->positions; i++)
		for (uint32_t h = 0; h < c->heads; h++, to += bytes)
			memcpy(to,
			       c->page[i / KV_PAGE_ROWS] + first +
				       (h * KV_PAGE_ROWS + i % KV_PAGE_ROWS) * bytes,
			       bytes);
	return all;
}

void *cache_keys(const struct test_cache *c)
{
	return rows_of(c, c->keys, c->key_row);
}

void *cache_values(const struct test_cache *c)
{
	return rows_of(c, c->values, c->value_row);
}

static bool is_filled(const uint8_t *p, uint64_t begin, uint64_t end)
{
	for (uint64_t i = begin; i < end; i++)
		if (p[i] != 0xff)
			return false;
	return true;
}

bool cache_is_clean(const struct test_cache *c)
{
	for (uint32_t i = 0; i < c->pages; i++)
		if (!is_filled(c->page[i], 0, c->keys) ||
		    !is_filled(c->page[i], c->keys + KV_PAGE_ROWS * c->heads * c->key_row,
			       c->values) ||
		    !is_filled(c->page[i], c->values + KV_PAGE_ROWS * c->heads * c->value_row,
			       c->page_bytes))
			return false;
	return true;
}
