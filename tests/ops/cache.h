/* SPDX-License-Identifier: MIT */
/* Key-value caches for tests: pages in no order, with other things between them. */
#ifndef STOKER_TEST_CACHE_H
#define STOKER_TEST_CACHE_H

#include "ops.h"

enum { CACHE_PAGES = 16 };

/* Where pages are: in the memory of all tests, or where touching what is beside them traps. */
enum placing { PLACE_SHUFFLED, PLACE_BEFORE_FENCE, PLACE_BEHIND_FENCE };

struct test_cache {
	uint32_t positions, pages, heads;
	uint64_t keys, values, key_row, value_row, page_bytes; /* rows of a head */
	uint8_t *page[CACHE_PAGES];
	stoker_address table;
	void *fenced[CACHE_PAGES]; /* mappings, NULL: none */
	size_t mapped;
};

/* Of bytes @fill; all that isn't rows is NaN in every format. */
struct test_cache cache_make(enum placing placing, enum stoker_kv_format format, uint32_t positions,
			     uint32_t heads, uint32_t key_size, uint32_t value_size, uint8_t fill);
/* Keys and values in formats of their own. */
struct test_cache cache_make_apart(enum placing placing, enum stoker_kv_format keys,
				   enum stoker_kv_format values, uint32_t positions, uint32_t heads,
				   uint32_t key_size, uint32_t value_size, uint8_t fill);
void cache_free(struct test_cache *c);
stoker_address cache_places(const struct test_cache *c, uint32_t position, uint32_t rows);
/* Rows of all positions, one after the other, where the pool has room. */
void *cache_keys(const struct test_cache *c);
void *cache_values(const struct test_cache *c);
/* Whether nothing but rows was written. */
bool cache_is_clean(const struct test_cache *c);

#endif
