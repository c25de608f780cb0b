// SPDX-License-Identifier: MIT
/*
 * The tensors of a model's files in device memory, byte for byte but for weights that the device
 * wants otherwise.  Neighbouring tensors share a
 * block of memory as large as the device allows, which one deep-queue read fills.
 */
#include "model/model.h"

#include "store/reader.h"

#include <stdio.h>

enum { BOUNCE_BYTES = 16 << 20 }; /* for memory that the host doesn't see */

static int by_place(const void *a, const void *b)
{
	const struct stoker_gguf_tensor *x = *(const struct stoker_gguf_tensor *const *)a;
	const struct stoker_gguf_tensor *y = *(const struct stoker_gguf_tensor *const *)b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

bool model_is_apart(const struct stoker_gguf_tensor *t, uint32_t *layer)
{
	char end;

	return sscanf(t->name, "blk.%u.ffn_%*[a-z_].%*u.weigh%c", layer, &end) == 2;
}

/*
 * How far the memory has to reach where tensor @i begins: the experts of a layer that are tensors
 * of their own stay together, so that they are equally far apart in memory, too.
 */
static uint64_t end_of_run(const struct stoker_gguf_tensor *const *tensors, size_t i, size_t count)
{
	uint32_t layer, other;
	size_t last = i;

	if (model_is_apart(tensors[i], &layer))
		while (last + 1 < count && tensors[last + 1]->file == tensors[i]->file &&
		       model_is_apart(tensors[last + 1], &other) && other == layer)
			last++;
	return tensors[last]->offset + tensors[last]->bytes;
}

static bool begins_run(const struct stoker_gguf_tensor *const *tensors, size_t i)
{
	uint32_t layer, other;

	return !i || !model_is_apart(tensors[i], &layer) ||
	       !model_is_apart(tensors[i - 1], &other) || other != layer;
}

static bool extend(struct model_image *i, const struct stoker_gguf_tensor *t, uint64_t reach,
		   uint64_t limit)
{
	const uint64_t end = t->offset + t->bytes;

	/* not across a hole of experts that stay on the drive */
	if (i->file != t->file || t->offset > i->first + i->bytes + STOKER_STORE_ALIGN ||
	    round_up(MAX(end, reach) - i->first, STOKER_STORE_ALIGN) > limit)
		return false;
	i->bytes = MAX(i->bytes, end - i->first);
	return true;
}

/* Cuts the files into images. */
static int plan(struct stoker_model *m, size_t count)
{
	AUTO_FREE const struct stoker_gguf_tensor **tensors = calloc(count, sizeof(*tensors));
	size_t resident = 0;

	m->images = calloc(count, sizeof(*m->images));
	if (!tensors || !m->images)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (!model_is_paged(m, stoker_gguf_tensor(m->gguf, i)))
			tensors[resident++] = stoker_gguf_tensor(m->gguf, i);
	qsort(tensors, resident, sizeof(*tensors), by_place);
	for (size_t i = 0; i < resident; i++) {
		const struct stoker_gguf_tensor *t = tensors[i];
		struct model_image *image = &m->images[m->image_count];

		const uint64_t reach = begins_run(tensors, i) ? end_of_run(tensors, i, resident)
							      : 0;

		if (m->image_count && extend(image - 1, t, reach, m->device->max_memory))
			continue;
		image->file = t->file;
		image->first = t->offset / STOKER_STORE_ALIGN * STOKER_STORE_ALIGN;
		image->bytes = t->offset + t->bytes - image->first;
		m->image_count++;
	}
	return 0;
}

int model_reserve_images(struct stoker_model *m)
{
	const size_t count = stoker_gguf_tensor_count(m->gguf);
	int ret = count ? plan(m, count) : 0;

	for (size_t i = 0; i < m->image_count && !ret; i++)
		ret = m->device->ops->memory_create(
			m->device, round_up(m->images[i].bytes, STOKER_STORE_ALIGN),
			&m->images[i].memory, m->err);
	return ret;
}

void model_free_images(struct stoker_model *m)
{
	for (size_t i = 0; i < m->image_count; i++)
		m->device->ops->memory_destroy(m->device, &m->images[i].memory);
	free(m->images);
}

stoker_address model_address(const struct stoker_model *m, const struct stoker_gguf_tensor *t)
{
	if (model_is_paged(m, t))
		return model_paged_address(m, t);
	for (size_t i = 0; i < m->image_count; i++) {
		const struct model_image *image = &m->images[i];

		if (image->file == t->file && t->offset >= image->first &&
		    t->offset + t->bytes <= image->first + image->bytes)
			return image->memory.at + (t->offset - image->first);
	}
	return 0;
}

/* --- reading -------------------------------------------------------------------------------------
 */

struct progress {
	const struct stoker_model_params *params;
	uint64_t before, total;
};

static int report(void *context, uint64_t done, uint64_t total)
{
	const struct progress *p = context;

	(void)total;
	return p->params->progress(p->params->context, p->before + done, p->total);
}

static int read_part(struct stoker_model *m, const struct model_image *image, uint64_t at,
		     uint64_t bytes, void *dst, struct progress *p)
{
	uint64_t file_bytes;
	int fd;
	const char *path = stoker_gguf_file(m->gguf, image->file, &fd, &file_bytes);
	const uint64_t end =
		MIN(round_up(image->first + at + bytes, STOKER_STORE_ALIGN), file_bytes);

	return stoker_read_range(fd, path, image->first + at, end - (image->first + at), dst,
				 p->params && p->params->progress ? report : NULL, p, m->err);
}

static int read_bounced(struct stoker_model *m, const struct model_image *image, void *bounce,
			struct progress *p)
{
	const uint64_t before = p->before;
	int ret = 0;

	for (uint64_t at = 0, n; at < image->bytes && !ret; at += n) {
		n = MIN(image->bytes - at, (uint64_t)BOUNCE_BYTES);
		p->before = before + at;
		ret = read_part(m, image, at, n, bounce, p);
		if (!ret)
			ret = m->device->ops->write(m->device, image->memory.at + at, bounce, n,
						    m->err);
	}
	p->before = before;
	return ret;
}

/* An image's weights as the device wants them. */
static int lay_out(struct stoker_model *m, const struct model_image *image, struct progress *p)
{
	int ret = 0;

	for (size_t i = 0; i < m->tiled_count && !ret; i++) {
		if (m->tiled[i].at - image->memory.at >= image->bytes)
			continue;
		pthread_mutex_lock(&m->device->turn);
		ret = m->device->ops->tile(m->device, &m->tiled[i], m->err);
		pthread_mutex_unlock(&m->device->turn);
		/* it takes about as long as reading: a chance to cancel */
		if (!ret && p->params && p->params->progress && report(p, image->bytes, p->total))
			ret = stoker_fail(m->err, -ECANCELED, "%s: cancelled",
					  stoker_gguf_file(m->gguf, image->file, NULL, NULL));
	}
	return ret;
}

int model_read_images(struct stoker_model *m, const struct stoker_model_params *params)
{
	struct progress p = { .params = params };
	AUTO_FREE void *bounce = NULL;
	int ret = 0;

	for (size_t i = 0; i < m->image_count; i++)
		p.total += m->images[i].bytes;
	for (size_t i = 0; i < m->image_count && !ret; i++) {
		const struct model_image *image = &m->images[i];

		if (!image->memory.host && !bounce) {
			bounce = aligned_alloc(STOKER_STORE_ALIGN, BOUNCE_BYTES);
			if (!bounce)
				return stoker_fail(m->err, -ENOMEM, "out of memory");
		}
		ret = image->memory.host
			      ? read_part(m, image, 0, image->bytes, image->memory.host, &p)
			      : read_bounced(m, image, bounce, &p);
		if (!ret)
			ret = lay_out(m, image, &p);
		p.before += image->bytes;
	}
	free(m->tiled);
	m->tiled = NULL;
	m->tiled_count = 0;
	return ret;
}
