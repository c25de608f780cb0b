// SPDX-License-Identifier: MIT
/* A model whose experts stay on the drive: where in the files each is, and the pager's figures. */
#include "base/cpus.h"
#include "base/memory.h"
#include "base/sized.h"
#include "model/model.h"
#include "pager/pager.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { FEW_ROWS = 4 }; /* of a step, in which computing takes less time than reading */

struct model_pager {
	struct stoker_pager *pager;
	struct store_file *files;
	uint32_t file_count;
	struct pager_piece *pieces; /* of all experts that are scattered */
	const char *store;
};

bool model_can_page(const struct stoker_gguf_tensor *t)
{
	uint32_t layer;

	return (t->ne[2] > 1 && strstr(t->name, "_exps.weight")) || model_is_packed(t, &layer);
}

static uint64_t piece_bytes(const struct stoker_weight *w)
{
	return stoker_row_bytes(w->format, w->in) * w->out;
}

static struct pager_slice slice_of(const struct stoker_model *m, const struct store_file *files,
				   const struct stoker_weight *w, struct pager_piece **pieces)
{
	const struct scattered *s = model_scattered_at(m, w->at);
	struct pager_slice slice = { 0 };
	uint64_t offset;
	uint32_t file;

	if (!w->at)
		return slice;
	slice.bytes = piece_bytes(w);
	slice.shape = w->tiled ? w : NULL;
	if (!files)
		return slice; /* how much it takes is all that's asked for */
	if (s) {
		for (uint32_t e = 0; e < s->count; e++)
			(*pieces)[e] = (struct pager_piece){
				.file = &files[s->tensors[e]->file],
				.offset = s->tensors[e]->offset + (w->at - s->place),
			};
		slice.pieces = *pieces;
		slice.file = (*pieces)[0].file;
		*pieces += s->count;
		return slice;
	}
	file = model_file_at(m, w->at, &offset);
	slice.file = &files[file];
	slice.offset = offset;
	slice.stride = w->stride;
	return slice;
}

/* Room for where each scattered expert's matrices are. */
static struct pager_piece *make_pieces(const struct stoker_model *m)
{
	size_t count = 1;

	for (uint32_t i = 0; i < m->layer_count; i++)
		count += (size_t)PAGER_SLICES * m->layers[i].expert_count;
	return m->scattered_count ? calloc(count, sizeof(struct pager_piece)) : NULL;
}

static int open_files(struct stoker_model *m, struct model_pager *p)
{
	p->file_count = stoker_gguf_file_count(m->gguf);
	p->files = calloc(p->file_count, sizeof(*p->files));
	if (!p->files)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < p->file_count; i++)
		p->files[i].fd = -1;
	for (uint32_t i = 0; i < p->file_count; i++) {
		int fd;

		p->files[i].path = stoker_gguf_file(m->gguf, i, &fd, NULL);
		p->files[i].plain = fd;
		p->files[i].opened = gguf_file_state(m->gguf, i);
		p->files[i].fd = stoker_store_reopen(fd);
		if (p->files[i].fd < 0)
			return stoker_fail(m->err, -errno, "%s: %s", p->files[i].path,
					   stoker_strerror(errno));
		if (!(fcntl(p->files[i].fd, F_GETFL) & O_DIRECT))
			log_tell(&m->device->settings.log, STOKER_LOG_WARNING,
				 "%s: its file system reads through the page cache only, which "
				 "takes memory and time",
				 p->files[i].path);
	}
	return 0;
}

static bool parse_prefetch(const char *text, enum pager_prefetch *prefetch)
{
	if (!text || !strcmp(text, "auto"))
		*prefetch = PAGER_PREFETCH_AUTO;
	else if (!strcmp(text, "on"))
		*prefetch = PAGER_PREFETCH_ON;
	else if (!strcmp(text, "off"))
		*prefetch = PAGER_PREFETCH_OFF;
	else
		return false;
	return true;
}

int model_check_paging(const struct stoker_model_params *params, struct stoker_error *err)
{
	enum pager_prefetch prefetch;

	if (!pager_has_policy(params->policy))
		return stoker_fail(err, -EINVAL,
				   "no policy \"%s\"; there are frequency, lru and quota",
				   params->policy);
	if (!parse_prefetch(params->prefetch, &prefetch))
		return stoker_fail(err, -EINVAL, "prefetch \"%s\" is neither on nor off",
				   params->prefetch);
	return stoker_store_check(params->store, err);
}

/* Where the experts of all layers are; to be freed. */
static struct pager_source *list_layers(const struct stoker_model *m,
					const struct store_file *files, struct pager_piece *pieces)
{
	struct pager_source *layers = calloc(m->layer_count, sizeof(*layers));

	for (uint32_t i = 0; layers && i < m->layer_count; i++) {
		const struct layer *l = &m->layers[i];

		if (!l->expert_count)
			continue;
		layers[i].slice[0] = slice_of(m, files, &l->gate_exps, &pieces);
		layers[i].slice[1] = slice_of(m, files, &l->up_exps, &pieces);
		layers[i].slice[2] = slice_of(m, files, &l->down_exps, &pieces);
		layers[i].experts = l->expert_count;
	}
	return layers;
}

int model_least_slots(struct stoker_model *m, uint64_t *bytes)
{
	AUTO_FREE struct pager_source *layers = list_layers(m, NULL, NULL);

	if (!layers)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	*bytes = pager_least(layers, m->layer_count, m->experts_used);
	return 0;
}

/* For experts on their way to a device with memory of its own. */
static uint64_t host_memory(const struct stoker_model *m, const struct stoker_model_params *params,
			    const char *root)
{
	uint64_t left;

	if (params->host_memory)
		return params->host_memory;
	if (!m->device->shares_memory && stoker_memory_available(root, &left))
		return left / 4 * 3;
	return m->memory;
}

/* What the pager has done with an expert that it has read. */
static int lay_out(void *context, const void *shape, void *bytes, uint32_t part, uint32_t parts,
		   struct stoker_error *err)
{
	struct stoker_device *d = context;

	return d->ops->tile_part(d, shape, bytes, part, parts, err);
}

/* The same by all of the device's threads, which it has time for where the model waits. */
static int lay_out_whole(void *context, const void *shape, void *bytes, struct stoker_error *err)
{
	struct stoker_device *d = context;
	struct stoker_weight w = *(const struct stoker_weight *)shape;

	w.at = (stoker_address)(uintptr_t)bytes;
	w.count = 1;
	return d->ops->tile(d, &w, err);
}

static int upload(void *context, stoker_address dst, const void *src, uint64_t bytes,
		  struct stoker_error *err)
{
	struct stoker_device *d = context;

	return d->ops->write(d, dst, src, bytes, err);
}

static int create(struct stoker_model *m, const struct stoker_model_params *params,
		  const char *root, struct model_pager *p)
{
	AUTO_FREE struct pager_source *layers = NULL;
	struct stoker_store *store;
	enum pager_prefetch prefetch;
	int ret;

	p->pieces = make_pieces(m);
	if (p->pieces || !m->scattered_count)
		layers = list_layers(m, p->files, p->pieces);
	if (!layers)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	parse_prefetch(params->prefetch, &prefetch);
	ret = params->store ? stoker_store_open(params->store, &store, m->err)
			    : stoker_store_open_preferred(m->device->settings.cache_folder,
							  &m->device->settings.log, &store, m->err);
	if (ret)
		return ret;
	p->store = store->ops->name;
	const struct pager_params pager = {
		.device = m->device,
		.store = store,
		.layers = layers,
		.count = m->layer_count,
		.least = m->experts_used,
		.memory = m->slot_bytes,
		.host_memory = host_memory(m, params, root),
		.policy = params->policy,
		.prefetch = prefetch,
		.steps = { .context = m->device,
			   .prepare = lay_out,
			   .prepare_whole = lay_out_whole,
			   .copy = upload },
		/* beside those that compute; drives hardly read faster than so many lay out */
		.threads = MAX(stoker_usable_cpus() / 2, 1u),
		.few_rows = FEW_ROWS,
	};

	return pager_create(&pager, &p->pager, m->err);
}

int model_create_pager(struct stoker_model *m, const struct stoker_model_params *params,
		       const char *root)
{
	int ret;

	m->pager = calloc(1, sizeof(*m->pager));
	if (!m->pager)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	ret = open_files(m, m->pager);
	if (!ret)
		ret = create(m, params, root, m->pager);
	return ret ? ret : model_create_fetch(m, m->pager->pager);
}

void model_free_pager(struct stoker_model *m)
{
	model_free_fetch(m);
	if (!m->pager)
		return;
	pager_destroy(&m->pager->pager);
	for (uint32_t i = 0; m->pager->files && i < m->pager->file_count; i++)
		if (m->pager->files[i].fd >= 0)
			close(m->pager->files[i].fd);
	free(m->pager->files);
	free(m->pager->pieces);
	free(m->pager);
}

int stoker_model_paging(const struct stoker_model *m, struct stoker_model_paging *info)
{
	struct stoker_model_paging own;
	struct pager_stats stats;

	if (!m || SIZED_CHECK(info, STOKER_MODEL_PAGING_INIT, NULL))
		return -EINVAL;
	if (!m->pager)
		return -ENOENT;
	device_go_on(m->device, NULL);
	stats = pager_stats(m->pager->pager);
	own = (struct stoker_model_paging){
		.store = m->pager->store,
		.memory = m->memory,
		.dense = m->needs.dense,
		.cache = m->needs.cache,
		.buffers = m->needs.buffers,
		.least = m->needs.least,
		.slots = stats.slots,
		.slot_bytes = stats.slot_bytes,
		.hits = stats.hits,
		.misses = stats.misses,
		.bytes_read = stats.bytes,
		.prefetched = stats.prefetched,
		.prefetched_used = stats.prefetched_used,
		.prefetched_bytes = stats.prefetched_bytes,
		.predicted = stats.judged,
		.predicted_right = stats.right,
		.stall_seconds = 1e-9 * (double)stats.stall_ns,
		.store_seconds = 1e-9 * (double)stats.store_ns,
		.reading_seconds = 1e-9 * (double)stats.reading_ns,
	};
	for (uint32_t i = 0; i < m->layer_count; i++)
		own.experts += m->layers[i].expert_count;
	sized_give(info, &own, sizeof(own));
	return 0;
}
