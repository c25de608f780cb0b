// SPDX-License-Identifier: MIT
/* See failing.h: the linker has the program's allocations come by here. */
#include "failing.h"

#include <stdatomic.h>
#include <stdlib.h>

static struct {
	atomic_bool on, failed;
	atomic_uint left;
	struct stoker_device_ops ops;
	const struct stoker_device_ops *own;
} failing;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);

static bool fails(void)
{
	if (!atomic_load(&failing.on))
		return false;
	if (atomic_load(&failing.left)) {
		atomic_fetch_sub(&failing.left, 1);
		return false;
	}
	atomic_store(&failing.on, false);
	atomic_store(&failing.failed, true);
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *p, size_t bytes)
{
	return fails() ? NULL : __real_realloc(p, bytes);
}

void failing_after(unsigned count)
{
	atomic_store(&failing.left, count);
	atomic_store(&failing.failed, false);
	atomic_store(&failing.on, true);
}

bool failing_end(void)
{
	atomic_store(&failing.on, false);
	return atomic_load(&failing.failed);
}

static int create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
		  struct stoker_error *err)
{
	return fails() ? stoker_fail(err, -ENOMEM, "no memory, for a test")
		       : failing.own->memory_create(d, bytes, m, err);
}

void failing_device(struct stoker_device *d)
{
	failing.own = d->ops;
	failing.ops = *d->ops;
	failing.ops.memory_create = create;
	d->ops = &failing.ops;
}
