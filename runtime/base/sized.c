// SPDX-License-Identifier: MIT
/* Structs with a size: see sized.h. */
#include "base/sized.h"

static size_t size_of(const void *sized)
{
	size_t size;

	memcpy(&size, sized, sizeof(size));
	return size;
}

int sized_check(const void *to, const char *init, struct stoker_error *err)
{
	const size_t size = to ? size_of(to) : 0;

	/* no member is smaller than 4 bytes */
	if (size >= sizeof(size) && size <= SIZED_MAX && size % 4 == 0)
		return 0;
	return stoker_fail(err, -EINVAL,
			   "a struct whose size is %zu: it has to begin with %s, as in \"{ %s }\"",
			   size, init, init);
}

/* @given bytes of @from into @size of @own. */
static int take(void *own, size_t size, const void *from, size_t given, const char *what,
		struct stoker_error *err)
{
	for (size_t i = size; i < given; i++)
		if (((const char *)from)[i])
			return stoker_fail(
				err, -E2BIG,
				"%s has %zu bytes, this library knows %zu of them, and "
				"byte %zu isn't 0: the program was built for a newer one",
				what, given, size, i);
	memset(own, 0, size);
	memcpy(own, from, MIN(size, given));
	return 0;
}

int sized_take(void *own, size_t size, const void *from, const char *init, struct stoker_error *err)
{
	int ret;

	memset(own, 0, size);
	if (!from)
		return 0;
	ret = sized_check(from, init, err);
	return ret ? ret : take(own, size, from, size_of(from), init, err);
}

int sized_take_item(void *own, size_t size, const void *from, size_t item_size, size_t index,
		    struct stoker_error *err)
{
	return take(own, size, sized_item(from, item_size, index), item_size, "an item", err);
}

int sized_check_item(const void *from, size_t item_size, size_t index, const char *init,
		     struct stoker_error *err)
{
	const void *item = sized_item(from, item_size, index);
	const int ret = sized_check(item, init, err);

	if (!ret && size_of(item) > item_size)
		return stoker_fail(err, -EINVAL, "item %zu: %s of %zu bytes in a list of %zu each",
				   index, init, size_of(item), item_size);
	return ret;
}

void *sized_list(void *list, size_t count, size_t size, size_t item_size)
{
	char *items;

	if (item_size == size || !list)
		return list;
	items = calloc(count + 1, item_size);
	for (size_t i = 0; i < count && items; i++)
		memcpy(items + i * item_size, (char *)list + i * size, MIN(size, item_size));
	free(list);
	return items;
}

void sized_give(void *to, const void *own, size_t size)
{
	const size_t given = size_of(to);

	memset((char *)to + sizeof(given), 0, given - sizeof(given));
	memcpy((char *)to + sizeof(given), (const char *)own + sizeof(given),
	       MIN(size, given) - sizeof(given));
}
