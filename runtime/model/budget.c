// SPDX-License-Identifier: MIT
/*
 * How much memory everything of a model takes, and whether experts stay on the drive: known from
 * its description before any of it is allocated.
 */
#include "base/memory.h"
#include "model/forward.h"
#include "model/session_size.h"

#include "store/store.h"

enum {
	OWN_BYTES = 8 << 20,	 /* program, libraries, stacks */
	VOCABULARY_BYTES = 100,	 /* for each token */
	SLACK_BYTES = 512 << 20, /* for cache and buffers beside files */
};

/* The heads of files, and the tables of a vocabulary. */
static uint64_t metadata_bytes(const struct stoker_model *m)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < stoker_gguf_file_count(m->gguf); i++)
		bytes += stoker_gguf_data(m->gguf, i);
	return bytes + VOCABULARY_BYTES * (uint64_t)m->vocabulary;
}

/* What ops of batches up to @batch rows look like. */
static struct stoker_shapes find_shapes(const struct stoker_model *m, uint32_t batch)
{
	struct stoker_shapes s = { .rows = batch,
				   .in = m->embedding,
				   .used = m->experts_used,
				   .embedding = m->embedding,
				   .tables = m->paged };

	for (uint32_t i = 0; i < m->layer_count; i++) {
		const struct layer *l = &m->layers[i];

		for (size_t k = 0; k < ARRAY_SIZE(l->weights); k++)
			s.in = MAX(s.in, (uint64_t)l->weights[k].in);
		s.heads_in = MAX(s.heads_in, (uint64_t)l->k_b.count * l->k_b.in);
		s.heads_in = MAX(s.heads_in, (uint64_t)l->v_b.count * l->v_b.in);
		s.experts = MAX(s.experts, l->expert_count);
		s.hidden = MAX(s.hidden, (uint64_t)l->down_exps.in);
	}
	return s;
}

/* What the device works in beside the session's buffers. */
static uint64_t device_bytes(const struct stoker_model *m, uint32_t batch)
{
	const struct stoker_shapes s = find_shapes(m, batch);

	return m->device->ops->working_bytes ? m->device->ops->working_bytes(m->device, &s) : 0;
}

int model_reserve(const struct stoker_model *m, uint32_t batch, struct stoker_error *err)
{
	const struct stoker_shapes s = find_shapes(m, batch);
	int ret = 0;

	pthread_mutex_lock(&m->device->exclusive); /* others are using what is there */
	if (m->device->ops->reserve)
		ret = m->device->ops->reserve(m->device, &s, err);
	pthread_mutex_unlock(&m->device->exclusive);
	return ret;
}

uint64_t model_cache_bound(const struct stoker_model *m, const struct stoker_session_params *s,
			   const struct cache_size *size)
{
	const uint64_t each = cache_page_bytes(size);
	const uint64_t all = MIN(model_sequences(s), (uint32_t)MODEL_MAX_SEQUENCES) * each;

	if (s->cache_bytes)
		return s->cache_bytes;
	return m->cache_limit && m->cache_limit < all ? MAX(m->cache_limit, each) : all;
}

static struct cache_size cache_of(const struct stoker_model *m,
				  const struct stoker_session_params *s)
{
	return model_cache_size(m, model_kv_formats(m, s),
				MIN(model_session_context(m, s), (uint32_t)MODEL_MAX_CONTEXT),
				MIN(model_session_batch(m, s), (uint32_t)MODEL_MAX_BATCH), NULL);
}

/* What everything takes but for the slots of experts that stay on the drive. */
static struct model_needs find_needs(const struct stoker_model *m,
				     const struct stoker_session_params *s)
{
	const uint32_t batch = MIN(model_session_batch(m, s), (uint32_t)MODEL_MAX_BATCH);
	struct forward f = { .model = m,
			     .predicted_layers = MIN(s->predicted_layers, m->layer_count) };
	const uint32_t sequences = MIN(model_sequences(s), (uint32_t)MODEL_MAX_SEQUENCES);
	/* on the device and here; all rows of a batch for those who ask for them */
	const uint64_t logits = 2 * sizeof(float) *
				(s->all_logits ? batch : MIN(sequences, batch)) *
				(uint64_t)m->vocabulary;
	const struct cache_size cache = cache_of(m, s);
	struct model_needs n = { 0 };

	for (size_t i = 0; i < m->block_count; i++)
		n.dense += round_up(m->blocks[i].bytes, STOKER_STORE_ALIGN);
	n.dense += round_up(m->made_bytes, STOKER_STORE_ALIGN) + model_scattered_bytes(m);
	n.cache = round_up(model_cache_bound(m, s, &cache) + sequences * cache_rest_bytes(&cache) +
				   cache_checkpoints(&cache, sequences) * cache.slot_bytes,
			   STOKER_STORE_ALIGN);
	n.buffers = forward_layout(&f, batch, 0) + logits + device_bytes(m, batch) + OWN_BYTES +
		    metadata_bytes(m);
	return n;
}

static uint64_t sum(const struct model_needs *n)
{
	return n->dense + n->cache + n->buffers + n->least;
}

static int refuse(struct stoker_model *m, const struct model_needs *n)
{
	char size[5][16], total[16];

	stoker_fail(m->err, -ENOMEM,
		    "%s: %s isn't enough memory, this needs at least %s: weights that every token "
		    "uses %s, cache %s, working buffers %s, one layer's experts %s",
		    stoker_gguf_file(m->gguf, 0, NULL, NULL), stoker_human_size(m->memory, size[0]),
		    stoker_human_size(sum(n), total), stoker_human_size(n->dense, size[1]),
		    stoker_human_size(n->cache, size[2]), stoker_human_size(n->buffers, size[3]),
		    stoker_human_size(n->least, size[4]));
	return stoker_fall_short(m->err, sum(n), m->memory);
}

/* That can stay on the drive. */
static bool has_experts(const struct stoker_model *m)
{
	for (uint32_t i = 0; i < m->layer_count; i++)
		if (m->layers[i].up_exps.at &&
		    model_can_page(model_tensor_at(m, m->layers[i].up_exps.at)))
			return true;
	return false;
}

static int find_all_needs(struct stoker_model *m, const struct stoker_session_params *session)
{
	int ret = model_plan_blocks(m);

	if (ret)
		return ret;
	m->needs = find_needs(m, session);
	return m->paged ? model_least_slots(m, &m->needs.least) : 0;
}

/* What the device's memory leaves for a model; false: it isn't known. */
static bool memory_left(const struct stoker_device *d, const char *root, uint64_t *bytes)
{
	*bytes = 0;
	if (d->shares_memory)
		return stoker_memory_available(root, bytes);
	return d->ops->memory_left && d->ops->memory_left(d, bytes);
}

/* Whether weights alone fit well, with some room for what comes with them. */
static bool files_fit(const struct stoker_model *m, uint64_t left)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < stoker_gguf_file_count(m->gguf); i++)
		all += stoker_gguf_data(m->gguf, i); /* the head, until it has been read */
	for (size_t i = 0; i < stoker_gguf_tensor_count(m->gguf); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(m->gguf, i);

		all += m->tensor_use[i] & UNDERSTOOD ? t->bytes : 0;
	}
	return all + all / 16 + MIN(all, (uint64_t)SLACK_BYTES) <= left;
}

/* With experts on the drive if there are any, within m->memory or, if @least, what that takes. */
static int plan_paged(struct stoker_model *m, const struct stoker_session_params *session,
		      bool least, bool *fits)
{
	struct model_needs *n = &m->needs;
	int ret;

	m->paged = has_experts(m);
	ret = find_all_needs(m, session);
	if (ret)
		return ret;
	if (least)
		m->memory = sum(n);
	*fits = sum(n) <= m->memory;
	m->slot_bytes = *fits ? m->memory - sum(n) + n->least : 0;
	return 0;
}

/*
 * What doesn't fit with batches of the usual size may with smaller ones, which read prompts more
 * slowly; not where the caller counts on a batch.
 */
static int plan_rows(struct stoker_model *m, const struct stoker_session_params *session,
		     bool *fits)
{
	int ret;

	m->batch = 0;
	ret = plan_paged(m, session, false, fits);
	if (session->batch || session->all_logits)
		return ret;
	for (uint32_t batch = MODEL_BATCH / 2;
	     !ret && !*fits && batch >= MAX((uint32_t)MODEL_LEAST_BATCH, model_sequences(session));
	     batch /= 2) {
		m->batch = batch;
		ret = plan_paged(m, session, false, fits);
	}
	return ret;
}

/* If need be with pages for fewer sequences in full context than there may be, one at least. */
static int plan_small(struct stoker_model *m, const struct stoker_session_params *session,
		      bool *fits)
{
	uint32_t sequences = MIN(model_sequences(session), (uint32_t)MODEL_MAX_SEQUENCES);
	struct cache_size size;
	int ret = plan_rows(m, session, fits);

	while (!ret && !*fits && sequences > 1 && !session->cache_bytes) {
		sequences /= 2;
		m->batch = 0;
		size = cache_of(m, session);
		m->cache_limit = sequences * cache_page_bytes(&size);
		ret = plan_rows(m, session, fits);
	}
	return ret;
}

static int plan_whole(struct stoker_model *m, const struct stoker_session_params *session)
{
	m->paged = false;
	m->memory = m->cache_limit = 0;
	m->batch = 0;
	return find_all_needs(m, session);
}

/* Whole, with pages for as many sequences in full context as @left has room for, one at least. */
static int plan_filled_later(struct stoker_model *m, const struct stoker_session_params *session,
			     uint64_t left)
{
	uint32_t sequences = MIN(model_sequences(session), (uint32_t)MODEL_MAX_SEQUENCES);
	struct cache_size size;
	int ret = plan_whole(m, session);

	while (!ret && sum(&m->needs) > left && sequences > 1 && !session->cache_bytes) {
		sequences /= 2;
		size = cache_of(m, session);
		m->cache_limit = sequences * cache_page_bytes(&size);
		m->needs = find_needs(m, session);
	}
	return ret;
}

/* Without a budget that was asked for: @left is what the machine has now, less some for others. */
static int plan_for_left(struct stoker_model *m, const struct stoker_session_params *session,
			 uint64_t left)
{
	const uint64_t most = left / 16 * 15;
	bool fits;
	int ret = plan_whole(m, session);

	if (ret)
		return ret;
	if (sum(&m->needs) > most) {
		m->memory = most;
		ret = plan_paged(m, session, false, &fits);
		if (ret || fits)
			return ret;
		if (!files_fit(m, left)) {
			ret = plan_small(m, session, &fits);
			return ret || fits ? ret : refuse(m, &m->needs);
		}
		/* a cache takes real memory only as far as it is filled, which it may never be */
		ret = plan_filled_later(m, session, most);
	}
	m->left = most > m->needs.dense ? most - m->needs.dense : 1;
	return ret;
}

int model_plan(struct stoker_model *m, const struct stoker_model_params *params, const char *root)
{
	const struct stoker_session_params *session = params->session;
	uint64_t left;
	bool fits;
	int ret;

	m->left = 0;
	if (params->memory == STOKER_MEMORY_MAX)
		return plan_whole(m, session);
	if (params->memory == STOKER_MEMORY_AUTO)
		return memory_left(m->device, root, &left) ? plan_for_left(m, session, left)
							   : plan_whole(m, session);
	m->memory = params->memory;
	ret = params->memory == STOKER_MEMORY_MIN ? plan_paged(m, session, true, &fits)
						  : plan_small(m, session, &fits);
	return ret || fits ? ret : refuse(m, &m->needs);
}

static int refuse_sequences(const struct stoker_model *m, uint32_t sequences, uint64_t needed,
			    uint64_t share, uint64_t left, struct stoker_error *err)
{
	char human[3][16];

	stoker_human_size(needed, human[0]);
	stoker_human_size(m->memory ? m->memory : share, human[1]);
	stoker_human_size(left, human[2]);
	if (m->memory)
		stoker_fail(err, -ENOMEM,
			    "%u sequences need %s of memory at least, the budget of %s has %s for "
			    "them",
			    sequences, human[0], human[1], human[2]);
	else
		stoker_fail(err, -ENOMEM,
			    "%u sequences need %s of memory at least, beside the model %s of %s "
			    "are left",
			    sequences, human[0], human[2], human[1]);
	return stoker_fall_short(err, needed, left);
}

int model_take(struct stoker_model *m, const struct stoker_session_params *session, uint64_t *bytes,
	       struct stoker_error *err)
{
	const struct model_needs n = find_needs(m, session);
	const uint64_t share = MAX(m->needs.cache + m->needs.buffers, m->left);
	const uint64_t needed = m->memory || m->left ? n.cache + n.buffers : 0;
	uint64_t others = atomic_load(&m->taken);

	*bytes = 0;
	do {
		if (needed && others + needed > share)
			return refuse_sequences(m, model_sequences(session), needed, share,
						share > others ? share - others : 0, err);
	} while (!atomic_compare_exchange_weak(&m->taken, &others, others + needed));
	*bytes = needed;
	return 0;
}

void model_give(struct stoker_model *m, uint64_t bytes)
{
	atomic_fetch_sub(&m->taken, bytes);
}

int model_foresee(struct stoker_model *m, const struct stoker_session_params *session,
		  const char *root, struct stoker_model_outlook *outlook)
{
	bool fits;
	int ret = plan_whole(m, session);

	if (ret)
		return ret;
	*outlook = (struct stoker_model_outlook){
		.whole = sum(&m->needs),
		.weights = m->needs.dense,
		.cache = m->needs.cache,
		.buffers = m->needs.buffers,
		.context = MIN(model_session_context(m, session), (uint32_t)MODEL_MAX_CONTEXT),
		.trained_context = m->context,
		.layers = m->layer_count,
		.experts_used = m->experts_used,
		.parameters = m->parameters,
	};
	for (uint32_t i = 0; i < m->layer_count; i++)
		outlook->experts = MAX(outlook->experts, m->layers[i].expert_count);
	memory_left(m->device, root, &outlook->left);
	if (!has_experts(m))
		return 0;
	ret = plan_paged(m, session, true, &fits);
	outlook->memory_min = outlook->least = ret ? 0 : sum(&m->needs);
	if (ret || session->batch || session->all_logits)
		return ret;
	m->batch = MODEL_LEAST_BATCH; /* what plan_small() tries last */
	ret = plan_paged(m, session, true, &fits);
	m->batch = 0;
	outlook->least = ret ? 0 : sum(&m->needs);
	return ret;
}
