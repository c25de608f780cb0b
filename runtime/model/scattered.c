// SPDX-License-Identifier: MIT
/*
 * Experts that lie anywhere in the files.  In files of the first months each matrix of an expert is
 * a tensor of its own, with others between them where a layer crosses two shards of the original.
 * Ops want the matrices of a layer equally far apart: in memory they are put together, and the
 * pager is told where each of them is.
 *
 * Their places, see weight_memory.c, are behind all files and made vectors.
 */
#include "model/model.h"

#include "store/store.h"

enum { PLACE_ALIGN = 64 };

static const stoker_address FIRST_PLACE = (stoker_address)1 << 63;

stoker_address model_scatter(struct stoker_model *m, const struct stoker_gguf_tensor **tensors,
			     uint32_t count)
{
	const struct scattered *last = m->scattered_count ? &m->scattered[m->scattered_count - 1]
							  : NULL;
	struct scattered *more, s = { .tensors = tensors, .count = count, .place = FIRST_PLACE };
	uint64_t bytes;

	for (uint32_t i = 0; i < count; i++)
		model_use(m, tensors[i], UNDERSTOOD);
	if (last)
		s.place =
			round_up(last->place + last->count * last->tensors[0]->bytes, PLACE_ALIGN);
	more = realloc(m->scattered, (m->scattered_count + 1) * sizeof(*more));
	if (more)
		m->scattered = more;
	if (!more || !stoker_mul(tensors[0]->bytes, count, &bytes) || bytes > FIRST_PLACE / 4 ||
	    s.place > UINT64_MAX - FIRST_PLACE / 2) {
		model_fail(m, -ENOMEM, "out of memory");
		free(tensors);
		return 0;
	}
	m->scattered[m->scattered_count++] = s;
	return s.place;
}

const struct scattered *model_scattered_at(const struct stoker_model *m, stoker_address place)
{
	size_t low = 0, high = m->scattered_count;

	if (place < FIRST_PLACE)
		return NULL;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (m->scattered[middle].place <= place)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &m->scattered[low - 1] : NULL;
}

uint64_t model_scattered_bytes(const struct stoker_model *m)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < m->scattered_count && !m->paged; i++)
		bytes += round_up(m->scattered[i].count * m->scattered[i].tensors[0]->bytes,
				  STOKER_STORE_ALIGN);
	return bytes;
}

int model_place_scattered(struct stoker_model *m)
{
	int ret = 0;

	for (size_t i = 0; i < m->scattered_count && !m->paged && !ret; i++) {
		struct scattered *s = &m->scattered[i];
		const uint64_t bytes =
			round_up(s->count * s->tensors[0]->bytes, STOKER_STORE_ALIGN);

		if (bytes > m->device->max_memory)
			return stoker_fail(m->err, -ENOTSUP,
					   "tensor %s: %llu bytes with those of the other experts, "
					   "the device has %llu in one piece; a budget has the "
					   "experts stay on the drive",
					   s->tensors[0]->name, (unsigned long long)bytes,
					   (unsigned long long)m->device->max_memory);
		ret = m->device->ops->memory_create(m->device, bytes, &s->memory, m->err);
	}
	return ret;
}

int model_read_scattered(struct stoker_model *m, const struct scattered *s, uint32_t expert)
{
	const struct stoker_gguf_tensor *t = s->tensors[expert];
	AUTO_FREE uint8_t *bounce = NULL;
	uint8_t *into = s->memory.host ? (uint8_t *)s->memory.host + expert * t->bytes : NULL;
	int ret;

	if (!into)
		into = bounce = malloc(t->bytes);
	if (!into)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	ret = stoker_gguf_read(m->gguf, t, 0, into, t->bytes, m->err);
	if (!ret && bounce)
		ret = m->device->ops->write(m->device, s->memory.at + expert * t->bytes, bounce,
					    t->bytes, m->err);
	return ret;
}

void model_free_scattered(struct stoker_model *m)
{
	for (size_t i = 0; i < m->scattered_count; i++) {
		m->device->ops->memory_destroy(m->device, &m->scattered[i].memory);
		free(m->scattered[i].tensors);
	}
	free(m->scattered);
}
