// SPDX-License-Identifier: MIT
/*
 * A model whose experts stay on the drive: how much memory is left for slots once everything else
 * has its share, and where in the files each expert is.
 *
 * While an architecture loads, a paged tensor's address is its number and a distance into it, so
 * that matrices cut out of it keep their place.
 */
#include "model/model.h"
#include "pager/pager.h"
#include "stoker/session.h"

#include <stdio.h>
#include <unistd.h>

enum {
	PLACE_BITS = 42,      /* leaves 20 for the tensor's number */
	OWN_BYTES = 16 << 20, /* program, libraries, stacks */
};
static const stoker_address paged = (stoker_address)1 << 62;

/* Bytes of everything beside slots, and of the fewest slots. */
struct needs {
	uint64_t dense, cache, buffers, least;
};

struct model_pager {
	struct stoker_pager *pager;
	struct store_file *files;
	uint32_t file_count;
	const char *store;
	struct needs needs;
};

bool model_is_paged(const struct stoker_model *m, const struct stoker_gguf_tensor *t)
{
	uint32_t layer;

	return m->memory &&
	       ((t->ne[2] > 1 && strstr(t->name, "_exps.weight")) || model_is_apart(t, &layer));
}

stoker_address model_paged_address(const struct stoker_model *m, const struct stoker_gguf_tensor *t)
{
	for (size_t i = 0; i < stoker_gguf_tensor_count(m->gguf); i++)
		if (stoker_gguf_tensor(m->gguf, i) == t)
			return paged | (stoker_address)i << PLACE_BITS;
	return 0;
}

static struct pager_slice slice_of(const struct stoker_model *m, const struct model_pager *p,
				   const struct stoker_weight *w)
{
	const stoker_address place = w->at & ~paged;
	const struct stoker_gguf_tensor *t;

	if (!w->at)
		return (struct pager_slice){ 0 };
	t = stoker_gguf_tensor(m->gguf, place >> PLACE_BITS);
	return (struct pager_slice){
		.file = &p->files[t->file],
		.offset = t->offset + (place & (((stoker_address)1 << PLACE_BITS) - 1)),
		.stride = w->stride,
		.bytes = stoker_row_bytes(w->format, w->in) * w->out,
		.weight = w,
	};
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
		p->files[i].fd = stoker_store_reopen(fd);
		if (p->files[i].fd < 0)
			return stoker_fail(m->err, -errno, "%s: %s", p->files[i].path,
					   strerror(errno));
	}
	return 0;
}

/*
 * The container's header twice, as the vocabulary is a second reading of it: text, and some 100
 * bytes of tables a token.
 */
static uint64_t metadata_bytes(const struct stoker_model *m)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < stoker_gguf_file_count(m->gguf); i++)
		bytes += 2 * stoker_gguf_data(m->gguf, i);
	return bytes + 100 * (uint64_t)m->vocabulary;
}

/* What a session and the device's working buffers take beside weights. */
static struct needs find_needs(const struct stoker_model *m, const struct stoker_session_params *s)
{
	const uint32_t context = model_session_context(m, s);
	const uint64_t batch = model_session_batch(m, s);
	const enum stoker_kv_format kv = model_kv_format(m, s->kv);
	/* logits here and on the device; all rows of a batch for those who ask for them */
	const uint64_t logit_rows = s->all_logits ? batch : 1;
	uint64_t hidden = 0, heads = 0;
	uint64_t rows = batch * (2 * stoker_forward_mix(m) + 4 * (uint64_t)m->embedding);

	struct needs n = { 0 };

	for (size_t i = 0; i < m->image_count; i++)
		n.dense += m->images[i].memory.bytes;
	for (uint32_t i = 0; i < m->layer_count; i++) {
		n.cache += stoker_layer_state(&m->layers[i], kv, context, 0, NULL);
		hidden = MAX(hidden, (uint64_t)m->layers[i].down_exps.in);
		heads = MAX(heads, (uint64_t)m->layers[i].heads * m->layers[i].latent);
	}
	rows += batch * m->experts_used * ((uint64_t)m->layer_count * (1 + MAX(s->look_ahead, 1u)));
	rows += batch * heads * 2; /* of matrices a head, gathered and as codes */
	/* an experts op keeps gate, up and down for each choice, and codes of both inputs */
	rows += batch * m->experts_used * (3 * hidden + m->embedding) * 5 / 4;
	n.buffers = 4 * (rows + 2 * logit_rows * m->vocabulary) + OWN_BYTES + metadata_bytes(m);
	return n;
}

static uint64_t sum(const struct needs *n)
{
	return n->dense + n->cache + n->buffers + n->least;
}

static int refuse(struct stoker_model *m, const struct needs *n)
{
	char size[5][16], total[16];

	return stoker_fail(
		m->err, -ENOMEM,
		"%s: %s isn't enough memory, this needs at least %s: weights that every token "
		"uses %s, cache %s, working buffers %s, one layer's experts %s",
		stoker_gguf_file(m->gguf, 0, NULL, NULL), stoker_human_size(m->memory, size[0]),
		stoker_human_size(sum(n), total), stoker_human_size(n->dense, size[1]),
		stoker_human_size(n->cache, size[2]), stoker_human_size(n->buffers, size[3]),
		stoker_human_size(n->least, size[4]));
}

static bool parse_foresight(const char *text, enum pager_foresight *foresight)
{
	if (!text || !strcmp(text, "auto"))
		*foresight = PAGER_FORESIGHT_AUTO;
	else if (!strcmp(text, "on"))
		*foresight = PAGER_FORESIGHT_ON;
	else if (!strcmp(text, "off"))
		*foresight = PAGER_FORESIGHT_OFF;
	else
		return false;
	return true;
}

static int create(struct stoker_model *m, const struct stoker_model_params *params,
		  struct model_pager *p)
{
	static const struct stoker_session_params defaults;
	AUTO_FREE struct pager_source *layers = calloc(m->layer_count, sizeof(*layers));
	struct needs *n = &p->needs;
	struct stoker_store *store;
	enum pager_foresight foresight;
	int ret;

	if (!layers)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < m->layer_count; i++) {
		const struct layer *l = &m->layers[i];

		if (!l->expert_count)
			continue;
		layers[i] = (struct pager_source){ .slice = { slice_of(m, p, &l->gate_exps),
							      slice_of(m, p, &l->up_exps),
							      slice_of(m, p, &l->down_exps) },
						   .experts = l->expert_count };
	}
	*n = find_needs(m, params->session ? params->session : &defaults);
	n->least = pager_least(layers, m->layer_count, m->experts_used);
	if (m->memory == STOKER_MEMORY_MIN)
		m->memory = sum(n);
	if (m->memory < sum(n))
		return refuse(m, n);
	if (!pager_has_policy(params->policy))
		return stoker_fail(m->err, -EINVAL,
				   "no policy \"%s\"; there are frequency, lru and quota",
				   params->policy);
	if (!parse_foresight(params->prefetch, &foresight))
		return stoker_fail(m->err, -EINVAL, "prefetch \"%s\" is neither on nor off",
				   params->prefetch);
	ret = params->store ? stoker_store_open(params->store, &store, m->err)
			    : stoker_store_open_preferred(&store, m->err);
	if (ret)
		return ret;
	p->store = store->ops->name;
	const struct pager_params pager = {
		.device = m->device,
		.store = store,
		.layers = layers,
		.count = m->layer_count,
		.least = m->experts_used,
		.memory = m->memory - sum(n) + n->least,
		.host_memory = params->host_memory ? params->host_memory : m->memory,
		.policy = params->policy,
		.foresight = foresight,
	};

	return pager_create(&pager, &p->pager, m->err);
}

/* A model without experts fits or it doesn't. */
static int check_dense(struct stoker_model *m, const struct stoker_model_params *params)
{
	static const struct stoker_session_params defaults;
	const struct needs n = find_needs(m, params->session ? params->session : &defaults);

	return m->memory < sum(&n) ? refuse(m, &n) : 0;
}

int model_create_pager(struct stoker_model *m, const struct stoker_model_params *params)
{
	bool any = false;
	int ret;

	for (uint32_t i = 0; i < m->layer_count; i++)
		any = any || m->layers[i].up_exps.at & paged;
	if (!m->memory || (!any && m->memory == STOKER_MEMORY_MIN))
		return 0;
	if (!any)
		return check_dense(m, params);
	m->pager = calloc(1, sizeof(*m->pager));
	if (!m->pager)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	ret = open_files(m, m->pager);
	if (!ret)
		ret = create(m, params, m->pager);
	for (uint32_t i = 0; i < m->layer_count && !ret; i++)
		m->layers[i].source = pager_source(m->pager->pager, i);
	return ret;
}

void model_free_pager(struct stoker_model *m)
{
	if (!m->pager)
		return;
	pager_destroy(&m->pager->pager);
	for (uint32_t i = 0; m->pager->files && i < m->pager->file_count; i++)
		if (m->pager->files[i].fd >= 0)
			close(m->pager->files[i].fd);
	free(m->pager->files);
	free(m->pager);
}

bool model_begin_step(const struct stoker_model *m, uint32_t rows)
{
	return m->pager && pager_begin(m->pager->pager, rows);
}

void model_end_step(const struct stoker_model *m)
{
	if (m->pager)
		pager_end(m->pager->pager);
}

int stoker_model_paging(const struct stoker_model *m, struct stoker_paging *info)
{
	struct pager_stats stats;

	if (!m->pager)
		return -ENOENT;
	pthread_mutex_lock(&m->device->turn);
	stats = pager_stats(m->pager->pager);
	pthread_mutex_unlock(&m->device->turn);
	*info = (struct stoker_paging){
		.store = m->pager->store,
		.memory = m->memory,
		.dense = m->pager->needs.dense,
		.cache = m->pager->needs.cache,
		.buffers = m->pager->needs.buffers,
		.least = m->pager->needs.least,
		.slots = stats.slots,
		.slot_bytes = stats.slot_bytes,
		.hits = stats.hits,
		.misses = stats.misses,
		.bytes_read = stats.bytes,
		.prefetched = stats.foreseen,
		.prefetched_used = stats.foreseen_used,
		.prefetched_bytes = stats.foreseen_bytes,
		.foreseen = stats.judged,
		.foreseen_right = stats.right,
		.stall_seconds = 1e-9 * (double)stats.stall_ns,
		.store_seconds = 1e-9 * (double)stats.store_ns,
		.reading_seconds = 1e-9 * (double)stats.reading_ns,
	};
	for (uint32_t i = 0; i < m->layer_count; i++)
		info->experts += m->layers[i].expert_count;
	return 0;
}
