// SPDX-License-Identifier: MIT
/*
 * Memory for what a model was described to have, and reading it in.
 *
 * Until it is known what everything takes, the address of a weight or a vector is a place: how far
 * it is into the model's files laid end to end, with the vectors that have to be made behind the
 * last one.  Then files are cut into blocks: neighbouring tensors share a block of memory as large
 * as the device allows, which one deep-queue read fills, byte for byte but for weights that the
 * device lays out.  One pass turns places into addresses; experts that stay on the drive keep
 * theirs, from which the pager reads.
 */
#include "model/model.h"

#include "store/read_range.h"

#include <stdio.h>

enum { MADE_ALIGN = 64 };

enum { BOUNCE_BYTES = 16 << 20 }; /* for memory that the host doesn't see */

static int by_place(const void *a, const void *b)
{
	const struct stoker_gguf_tensor *x = *(const struct stoker_gguf_tensor *const *)a;
	const struct stoker_gguf_tensor *y = *(const struct stoker_gguf_tensor *const *)b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

int model_begin_description(struct stoker_model *m)
{
	const uint32_t files = stoker_gguf_file_count(m->gguf);
	const size_t tensors = stoker_gguf_tensor_count(m->gguf);
	uint64_t at = 0, bytes;

	m->file_places = calloc(files + 1, sizeof(*m->file_places));
	m->by_place = calloc(tensors + 1, sizeof(*m->by_place));
	m->tensor_use = calloc(tensors + 1, sizeof(*m->tensor_use));
	m->key_use = calloc(stoker_gguf_key_count(m->gguf) + 1, sizeof(*m->key_use));
	if (!m->file_places || !m->by_place || !m->tensor_use || !m->key_use)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < files; i++) {
		const char *path = stoker_gguf_file(m->gguf, i, NULL, &bytes);

		m->file_places[i] = at;
		if (!stoker_add(at, bytes, &at) || at > UINT64_MAX / 2)
			return stoker_fail(m->err, -EFBIG,
					   "%s: its %llu bytes and those of the files before it "
					   "are more than %llu",
					   path, (unsigned long long)bytes,
					   (unsigned long long)UINT64_MAX / 2);
		at = round_up(at, STOKER_STORE_ALIGN);
	}
	m->file_places[files] = at;
	for (size_t i = 0; i < tensors; i++)
		m->by_place[i] = stoker_gguf_tensor(m->gguf, i);
	qsort(m->by_place, tensors, sizeof(*m->by_place), by_place);
	return 0;
}

static stoker_address made_place(const struct stoker_model *m)
{
	return m->file_places[stoker_gguf_file_count(m->gguf)];
}

stoker_address model_place_of(const struct stoker_model *m, const struct stoker_gguf_tensor *t)
{
	return m->file_places[t->file] + t->offset;
}

uint32_t model_file_at(const struct stoker_model *m, stoker_address place, uint64_t *offset)
{
	uint32_t file = 0;

	while (m->file_places[file + 1] <= place)
		file++;
	*offset = place - m->file_places[file];
	return file;
}

static stoker_address describe_made(struct stoker_model *m, const struct made_vector *made)
{
	struct made_vector *more;

	if (m->failed)
		return 0;
	more = realloc(m->made, (m->made_count + 1) * sizeof(*more));
	if (!more) {
		model_fail(m, -ENOMEM, "out of memory");
		return 0;
	}
	m->made = more;
	more[m->made_count] = *made;
	more[m->made_count++].offset = m->made_bytes;
	m->made_bytes += round_up(made->count * sizeof(float), MADE_ALIGN);
	return made_place(m) + more[m->made_count - 1].offset;
}

stoker_address model_constant(struct stoker_model *m, const float *values, uint64_t count)
{
	struct made_vector made = { .count = count };
	stoker_address place;

	if (m->failed)
		return 0;
	made.values = malloc(count * sizeof(*values));
	if (!made.values) {
		model_fail(m, -ENOMEM, "out of memory");
		return 0;
	}
	memcpy(made.values, values, count * sizeof(*values));
	place = describe_made(m, &made);
	if (!place)
		free(made.values);
	return place;
}

stoker_address model_converted(struct stoker_model *m, const struct stoker_gguf_tensor *t,
			       uint64_t count)
{
	const struct made_vector made = { .tensor = t, .count = count };

	return describe_made(m, &made);
}

bool model_is_packed(const struct stoker_gguf_tensor *t, uint32_t *layer)
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

	if (model_is_packed(tensors[i], &layer))
		while (last + 1 < count && tensors[last + 1]->file == tensors[i]->file &&
		       model_is_packed(tensors[last + 1], &other) && other == layer)
			last++;
	return tensors[last]->offset + tensors[last]->bytes;
}

static bool begins_run(const struct stoker_gguf_tensor *const *tensors, size_t i)
{
	uint32_t layer, other;

	return !i || !model_is_packed(tensors[i], &layer) ||
	       !model_is_packed(tensors[i - 1], &other) || other != layer;
}

static bool extend(struct weight_block *b, const struct stoker_gguf_tensor *t, uint64_t reach,
		   uint64_t limit)
{
	const uint64_t end = t->offset + t->bytes;

	/* not across a hole of experts that stay on the drive */
	if (b->file != t->file || t->offset > b->first + b->bytes + STOKER_STORE_ALIGN ||
	    round_up(MAX(end, reach) - b->first, STOKER_STORE_ALIGN) > limit)
		return false;
	b->bytes = MAX(b->bytes, end - b->first);
	return true;
}

int model_plan_blocks(struct stoker_model *m)
{
	const size_t count = stoker_gguf_tensor_count(m->gguf);
	AUTO_FREE const struct stoker_gguf_tensor **tensors = calloc(count + 1, sizeof(*tensors));
	size_t resident = 0;

	/* again when it turns out that experts have to stay on the drive */
	if (!m->blocks)
		m->blocks = calloc(count + 1, sizeof(*m->blocks));
	if (!tensors || !m->blocks)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	m->block_count = 0;
	for (size_t i = 0; i < count; i++)
		if (model_is_placed(m, m->by_place[i]) && !model_is_paged(m, m->by_place[i]))
			tensors[resident++] = m->by_place[i];
	for (size_t i = 0; i < resident; i++) {
		const struct stoker_gguf_tensor *t = tensors[i];
		struct weight_block *b = &m->blocks[m->block_count];
		const uint64_t reach = begins_run(tensors, i) ? end_of_run(tensors, i, resident)
							      : 0;

		if (m->block_count && extend(b - 1, t, reach, m->device->max_memory))
			continue;
		*b = (struct weight_block){
			.file = t->file,
			.first = t->offset / STOKER_STORE_ALIGN * STOKER_STORE_ALIGN,
		};
		b->bytes = t->offset + t->bytes - b->first;
		m->block_count++;
	}
	return 0;
}

/*
 * The first block that ends behind a place: a block begins at a whole page, which may be the last
 * one of the block before it.
 */
static const struct weight_block *block_at(const struct stoker_model *m, stoker_address place)
{
	size_t low = 0, high = m->block_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const struct weight_block *b = &m->blocks[middle];

		if (m->file_places[b->file] + b->first + b->bytes <= place)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->block_count ? &m->blocks[low] : NULL;
}

/* The address of @bytes at a place; 0: they aren't in one block of memory. */
static stoker_address address_at(const struct stoker_model *m, stoker_address place, uint64_t bytes)
{
	const struct scattered *s = model_scattered_at(m, place);
	const struct weight_block *b;
	stoker_address begin;

	if (s)
		return s->memory.at + (place - s->place);
	if (place >= made_place(m))
		return m->made_memory.at + (place - made_place(m));
	b = block_at(m, place);
	begin = b ? m->file_places[b->file] + b->first : 0;
	if (!b || place < begin || bytes > b->bytes - (place - begin))
		return 0;
	return b->memory.at + (place - begin);
}

const struct stoker_gguf_tensor *model_tensor_at(const struct stoker_model *m, stoker_address place)
{
	const struct scattered *s = model_scattered_at(m, place);
	size_t low = 0, high = stoker_gguf_tensor_count(m->gguf);

	if (s)
		return s->tensors[0];
	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (model_place_of(m, m->by_place[middle]) <= place)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || place - model_place_of(m, m->by_place[low - 1]) >= m->by_place[low - 1]->bytes)
		return NULL;
	return m->by_place[low - 1];
}

static int by_weight_place(const void *a, const void *b)
{
	const struct stoker_weight *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* Of the weights to be laid out each once, without those that the pager reads and lays out. */
static void settle_tiled(struct stoker_model *m)
{
	size_t count = 0;

	if (!m->tiled_count)
		return;
	qsort(m->tiled, m->tiled_count, sizeof(*m->tiled), by_weight_place);
	for (size_t i = 0; i < m->tiled_count; i++)
		if ((!count || m->tiled[count - 1].at != m->tiled[i].at) &&
		    !model_is_paged(m, model_tensor_at(m, m->tiled[i].at)))
			m->tiled[count++] = m->tiled[i];
	m->tiled_count = count;
}

static void place_vector(struct stoker_model *m, stoker_address *at)
{
	if (*at)
		*at = address_at(m, *at, 0);
}

static void place_weight(struct stoker_model *m, struct stoker_weight *w)
{
	const uint64_t matrix = w->format ? stoker_row_bytes(w->format, w->in) * w->out : 0;
	const struct stoker_gguf_tensor *t;
	stoker_address at;

	if (!w->at)
		return;
	place_vector(m, &w->bias);
	place_vector(m, &w->scale);
	t = model_tensor_at(m, w->at);
	assert(t);
	if (model_is_paged(m, t))
		return;
	at = address_at(m, w->at, matrix + (w->count - 1) * w->stride);
	if (!at)
		model_fail(
			m, -ENOTSUP,
			"tensor %s isn't in one block of memory with those of the other "
			"experts: the device has none that is large enough for the layer, unless "
			"a budget has the experts stay on the drive",
			t->name);
	w->at = at;
}

/* All places that anything of the model has become addresses. */
static int place_model(struct stoker_model *m)
{
	place_weight(m, &m->token_embd);
	place_weight(m, &m->output);
	place_vector(m, &m->output_norm);
	for (uint32_t i = 0; i < m->layer_count; i++) {
		struct layer *l = &m->layers[i];

		for (size_t k = 0; k < ARRAY_SIZE(l->weights); k++)
			place_weight(m, &l->weights[k]);
		for (size_t k = 0; k < ARRAY_SIZE(l->vectors); k++)
			place_vector(m, &l->vectors[k]);
		place_vector(m, &l->rope.frequency);
		place_vector(m, &l->rope.long_frequency);
	}
	for (size_t i = 0; i < m->tiled_count; i++)
		place_weight(m, &m->tiled[i]);
	return m->failed;
}

static int make_vector(struct stoker_model *m, const struct made_vector *v, float *into)
{
	AUTO_FREE uint8_t *raw = NULL;
	int ret;

	if (!v->tensor) {
		memcpy(into, v->values, v->count * sizeof(*into));
		return 0;
	}
	raw = malloc(v->tensor->bytes);
	if (!raw)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	ret = stoker_gguf_read(m->gguf, v->tensor, 0, raw, v->tensor->bytes, m->err);
	if (!ret)
		stoker_format_decode(v->tensor->format, raw, into, v->count);
	return ret;
}

static int make_vectors(struct stoker_model *m)
{
	AUTO_FREE uint8_t *values = calloc(1, m->made_bytes);
	int ret = 0;

	if (!values)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < m->made_count && !ret; i++)
		ret = make_vector(m, &m->made[i], (float *)(void *)(values + m->made[i].offset));
	if (!ret)
		ret = m->device->ops->write(m->device, m->made_memory.at, values, m->made_bytes,
					    m->err);
	return ret;
}

int model_place(struct stoker_model *m)
{
	const struct stoker_device_ops *ops = m->device->ops;
	int ret = 0;

	settle_tiled(m);
	for (size_t i = 0; i < m->block_count && !ret; i++)
		ret = ops->memory_create(m->device,
					 round_up(m->blocks[i].bytes, STOKER_STORE_ALIGN),
					 &m->blocks[i].memory, m->err);
	if (!ret)
		ret = model_place_scattered(m);
	if (!ret && m->made_bytes)
		ret = ops->memory_create(m->device, m->made_bytes, &m->made_memory, m->err);
	if (!ret && m->made_bytes)
		ret = make_vectors(m);
	return ret ? ret : place_model(m);
}

static void forget_description(struct stoker_model *m)
{
	for (size_t i = 0; i < m->made_count; i++)
		free(m->made[i].values);
	free(m->made);
	free(m->tiled);
	free(m->file_places);
	free(m->by_place);
	free(m->tensor_use);
	free(m->key_use);
	m->made = NULL;
	m->tiled = NULL;
	m->by_place = NULL;
	m->tensor_use = NULL;
	m->key_use = NULL;
	m->file_places = NULL;
	m->made_count = m->tiled_count = 0;
}

void model_free_memory(struct stoker_model *m)
{
	for (size_t i = 0; i < m->block_count; i++)
		m->device->ops->memory_destroy(m->device, &m->blocks[i].memory);
	m->device->ops->memory_destroy(m->device, &m->made_memory);
	model_free_scattered(m);
	free(m->blocks);
	forget_description(m);
}

struct progress {
	const struct stoker_model_params *params;
	uint64_t before, total;
	size_t laid_out; /* of m->tiled, which has the order of blocks */
};

static int report(void *context, uint64_t done, uint64_t total)
{
	const struct progress *p = context;

	(void)total;
	return p->params->progress(p->params->user, p->before + done, p->total);
}

static int read_part(struct stoker_model *m, const struct weight_block *block, uint64_t at,
		     uint64_t bytes, void *dst, struct progress *p)
{
	uint64_t file_bytes;
	int fd;
	const char *path = stoker_gguf_file(m->gguf, block->file, &fd, &file_bytes);
	const uint64_t end =
		MIN(round_up(block->first + at + bytes, STOKER_STORE_ALIGN), file_bytes);

	int ret = stoker_read_range(fd, path, block->first + at, end - (block->first + at), dst,
				    p->params && p->params->progress ? report : NULL, p, m->err);

	return ret ? ret : gguf_check_unchanged(m->gguf, block->file, m->err);
}

static int read_bounced(struct stoker_model *m, const struct weight_block *block, void *bounce,
			struct progress *p)
{
	const uint64_t before = p->before;
	int ret = 0;

	for (uint64_t at = 0, n; at < block->bytes && !ret; at += n) {
		n = MIN(block->bytes - at, (uint64_t)BOUNCE_BYTES);
		p->before = before + at;
		ret = read_part(m, block, at, n, bounce, p);
		if (!ret)
			ret = m->device->ops->write(m->device, block->memory.at + at, bounce, n,
						    m->err);
	}
	p->before = before;
	return ret;
}

/* Those of the weights in @memory that come next, as the device wants them. */
static int lay_out(struct stoker_model *m, const struct stoker_memory *memory, uint64_t bytes,
		   struct progress *p)
{
	int ret = 0;

	for (; p->laid_out < m->tiled_count && !ret; p->laid_out++) {
		const struct stoker_weight *w = &m->tiled[p->laid_out];

		if (w->at - memory->at >= bytes)
			break;
		pthread_mutex_lock(&m->device->exclusive);
		ret = m->device->ops->tile(m->device, w, m->err);
		pthread_mutex_unlock(&m->device->exclusive);
		/* it takes about as long as reading: a chance to cancel */
		if (!ret && p->params && p->params->progress && report(p, bytes, p->total))
			ret = stoker_fail(m->err, -ECANCELED, "%s: cancelled",
					  stoker_gguf_file(m->gguf, 0, NULL, NULL));
	}
	return ret;
}

static int read_scattered(struct stoker_model *m, const struct scattered *s, struct progress *p)
{
	const uint64_t bytes = s->count * s->tensors[0]->bytes;
	int ret = 0;

	for (uint32_t e = 0; e < s->count && !ret; e++) {
		ret = model_read_scattered(m, s, e);
		if (!ret && p->params && p->params->progress &&
		    report(p, (e + 1) * s->tensors[0]->bytes, p->total))
			ret = stoker_fail(m->err, -ECANCELED, "%s: cancelled",
					  stoker_gguf_file(m->gguf, 0, NULL, NULL));
	}
	if (!ret)
		ret = lay_out(m, &s->memory, bytes, p);
	p->before += bytes;
	return ret;
}

int model_read(struct stoker_model *m, const struct stoker_model_params *params)
{
	struct progress p = { .params = params };
	AUTO_FREE void *bounce = NULL;
	int ret = 0;

	for (size_t i = 0; i < m->block_count; i++)
		p.total += m->blocks[i].bytes;
	p.total += model_scattered_bytes(m);
	for (size_t i = 0; i < m->block_count && !ret; i++) {
		const struct weight_block *block = &m->blocks[i];

		if (!block->memory.host && !bounce) {
			bounce = aligned_alloc(STOKER_STORE_ALIGN, BOUNCE_BYTES);
			if (!bounce)
				return stoker_fail(m->err, -ENOMEM, "out of memory");
		}
		ret = block->memory.host
			      ? read_part(m, block, 0, block->bytes, block->memory.host, &p)
			      : read_bounced(m, block, bounce, &p);
		if (!ret)
			ret = lay_out(m, &block->memory, block->bytes, &p);
		p.before += block->bytes;
	}
	for (size_t i = 0; i < m->scattered_count && !m->paged && !ret; i++)
		ret = read_scattered(m, &m->scattered[i], &p);
	assert(ret || p.laid_out == m->tiled_count);
	forget_description(m);
	return ret;
}
