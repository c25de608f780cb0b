// SPDX-License-Identifier: MIT
/* Members of a device's table that the device behind it does; see fallback.h. */
#include "device/fallback.h"

#include <assert.h>

void fallback_set(struct stoker_device *d, struct stoker_device *fallback)
{
	assert(fallback->runs_at_once);
	d->fallback = fallback;
	d->max_memory = fallback->max_memory;
	d->exact = fallback->exact;
	d->shares_memory = fallback->shares_memory;
	d->runs_at_once = true;
	d->whole_rows = fallback->whole_rows;
}

int fallback_memory_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			   struct stoker_error *err)
{
	return d->fallback->ops->memory_create(d->fallback, bytes, m, err);
}

void fallback_memory_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	d->fallback->ops->memory_destroy(d->fallback, m);
}

int fallback_memory_import(struct stoker_device *d, void *host, int fd, uint64_t bytes,
			   struct stoker_memory *m, struct stoker_error *err)
{
	struct stoker_device *to = d->fallback;

	if (!to->ops->memory_import)
		return stoker_fail(err, -ENOTSUP, "%s takes no memory of others", to->ops->name);
	return to->ops->memory_import(to, host, fd, bytes, m, err);
}

void fallback_discard(struct stoker_device *d, void *host, uint64_t bytes)
{
	if (d->fallback->ops->discard)
		d->fallback->ops->discard(d->fallback, host, bytes);
}

int fallback_write(struct stoker_device *d, stoker_address dst, const void *src, uint64_t bytes,
		   struct stoker_error *err)
{
	return d->fallback->ops->write(d->fallback, dst, src, bytes, err);
}

int fallback_read(struct stoker_device *d, void *dst, stoker_address src, uint64_t bytes,
		  struct stoker_error *err)
{
	return d->fallback->ops->read(d->fallback, dst, src, bytes, err);
}

bool fallback_memory_left(const struct stoker_device *d, uint64_t *bytes)
{
	const struct stoker_device *to = d->fallback;

	return to->ops->memory_left && to->ops->memory_left(to, bytes);
}

uint64_t fallback_working_bytes(const struct stoker_device *d, const struct stoker_shapes *s)
{
	const struct stoker_device *to = d->fallback;

	return to->ops->working_bytes ? to->ops->working_bytes(to, s) : 0;
}

int fallback_reserve(struct stoker_device *d, const struct stoker_shapes *s,
		     struct stoker_error *err)
{
	struct stoker_device *to = d->fallback;

	return to->ops->reserve ? to->ops->reserve(to, s, err) : 0;
}

int fallback_begin(struct stoker_device *d, struct stoker_error *err)
{
	return d->fallback->ops->begin(d->fallback, err);
}

int fallback_flush(struct stoker_device *d, struct stoker_error *err)
{
	return d->fallback->ops->flush(d->fallback, err);
}

int fallback_sync(struct stoker_device *d, struct stoker_error *err)
{
	return d->fallback->ops->sync(d->fallback, err);
}

int fallback_submit(struct stoker_device *d, struct stoker_recording **keep,
		    struct stoker_error *err)
{
	(void)keep;
	return d->fallback->ops->submit(d->fallback, NULL, err);
}

bool fallback_tiles(const struct stoker_device *d, const struct stoker_format *f, uint32_t in,
		    uint32_t cut)
{
	return stoker_wants_tiles(d->fallback, f, in, cut);
}

int fallback_tile(struct stoker_device *d, const struct stoker_weight *w, struct stoker_error *err)
{
	return d->fallback->ops->tile(d->fallback, w, err);
}

int fallback_tile_part(struct stoker_device *d, const struct stoker_weight *w, void *matrix,
		       uint32_t part, uint32_t parts, struct stoker_error *err)
{
	return d->fallback->ops->tile_part(d->fallback, w, matrix, part, parts, err);
}
