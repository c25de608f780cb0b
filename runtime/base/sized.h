/* SPDX-License-Identifier: MIT */
/*
 * Structs of the public API that begin with their size: see stoker/error.h.
 *
 * A program may be older than the library, or newer.  Public functions copy what they are given
 * into a struct as this library has it, and results out of one.
 */
#ifndef STOKER_BASE_SIZED_H
#define STOKER_BASE_SIZED_H

#include "base/base.h"

/* More is no size, but what was in memory by chance. */
enum { SIZED_MAX = 4096 };

/*
 * Copies @from into @own, of @size bytes; NULL gives zeros.  -EINVAL without a size, with a
 * sentence that names @init, -E2BIG when something is set that this library doesn't have.
 */
int sized_take(void *own, size_t size, const void *from, const char *init,
	       struct stoker_error *err);

/* Whether a result has a size: 0 or -EINVAL. */
int sized_check(const void *to, const char *init, struct stoker_error *err);

/* Copies @own, of @size bytes, into @to, which has been checked; its own size stays. */
void sized_give(void *to, const void *own, size_t size);

/* Arrays are handed over with the size of an item, which holds pointers: none is cut in two. */
static inline bool is_item_size(size_t item_size)
{
	return item_size && item_size <= SIZED_MAX && item_size % sizeof(void *) == 0;
}

static inline const void *sized_item(const void *from, size_t item_size, size_t index)
{
	return (const char *)from + index * item_size;
}

/* As sized_take(), of an item without a size of its own. */
int sized_take_item(void *own, size_t size, const void *from, size_t item_size, size_t index,
		    struct stoker_error *err);

/* Of an item that has a size of its own: that it's one, and all in the item. */
int sized_check_item(const void *from, size_t item_size, size_t index, const char *init,
		     struct stoker_error *err);

/* @list, of @count items of @size bytes, with items as the caller wants them; NULL: no memory. */
void *sized_list(void *list, size_t count, size_t size, size_t item_size);

/* The size of a struct as of the version in which @member was its last one. */
#define SIZED_THROUGH(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))
#define SIZED_TAKE(own, from, init, err) sized_take(own, sizeof(*(own)), from, #init, err)
#define SIZED_CHECK(to, init, err) sized_check(to, #init, err)

#endif
