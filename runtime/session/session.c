// SPDX-License-Identifier: MIT
/* A session: device memory for the cache and the working buffers, and batches of tokens. */
#include "session/session.h"

#include <pthread.h>

#include "base/profile.h"
#include "base/use.h"
#include "model/forward.h"
#include "model/session_size.h"
#include "session/pages.h"

struct stoker_session {
	_Atomic int use;
	struct stoker_model *model;
	uint32_t context, batch, position;
	struct pages pages;
	struct stoker_memory scratch, logit_memory; /* the latter grows with the rows asked for */
	struct layer_state *states;
	struct forward forward;
	float *logits; /* host copy: logit_rows rows */
	size_t logits_room, logit_rows;
	uint32_t *tokens;	  /* of the context, @position of them */
	struct row_place *places; /* of a batch's rows */
	uint32_t last_rows;	  /* of the last batch */
	bool recurrent;
	uint32_t ring, window; /* see struct cache_size */
	uint32_t last_page;    /* that was written since the context was empty */
	void (*observe)(void *observer, struct stoker_session *session, uint32_t first,
			uint32_t rows);
	void *observer;
	/*
	 * The run's number, times two, and whether it is cancelled: one word, so that a
	 * cancellation can't meet the run after the one that it is for.
	 */
	_Atomic uint32_t run;
};

static int choose_kv(const struct stoker_model *m, enum stoker_kv_type type,
		     enum stoker_kv_format *kv, struct stoker_error *err)
{
	if ((unsigned)type > STOKER_KV_TYPE_Q8_0)
		return stoker_fail(err, -EINVAL, "KV type %d isn't known", (int)type);
	*kv = model_kv_format(m, type);
	for (uint32_t i = 0; *kv == STOKER_KV_Q8_0 && i < m->layer_count; i++) {
		const struct layer *l = &m->layers[i];
		const uint32_t sizes = l->mixer == MIXER_ATTENTION ? l->key_size | l->value_size
				       : l->k_b.at		   ? l->latent | l->rotated
								   : l->key_size | l->value_size;

		if (sizes % 32)
			return stoker_fail(err, -EINVAL,
					   "KV type Q8_0 needs head sizes in multiples of 32, "
					   "layer %u has %u and %u",
					   i, l->key_size, l->value_size);
	}
	return 0;
}

/* The recorded step names memory that is about to go. */
static void forget_step(struct stoker_session *s)
{
	struct stoker_device *d = s->model->device;

	if (s->forward.step)
		d->ops->recording_free(d, s->forward.step);
	s->forward.step = NULL;
}

static void destroy(struct stoker_session *s)
{
	struct stoker_model *m = s->model;

	device_go_on(m->device, NULL);
	forget_step(s);
	pages_destroy(m->device, &s->pages);
	m->device->ops->memory_destroy(m->device, &s->scratch);
	m->device->ops->memory_destroy(m->device, &s->logit_memory);
	free(s->states);
	free(s->logits);
	free(s->tokens);
	free(s->places);
	free(s);
	stoker_model_free(&m);
}

static int clear_states(struct stoker_session *s)
{
	static const float zeros[1024];
	struct stoker_device *d = s->model->device;
	stoker_address at = s->pages.slots;
	int ret = 0;

	for (uint64_t left = s->forward.slot_bytes, n; left && !ret; left -= n, at += n) {
		n = MIN(left, (uint64_t)sizeof(zeros));
		ret = d->ops->write(d, at, zeros, n, NULL);
	}
	return ret;
}

/* Whether what the next token at @position sees is still there. */
static bool can_go_on_at(const struct stoker_session *s, uint32_t position)
{
	const uint32_t first = position + 1 > s->window ? position + 1 - s->window : 0;

	if (position == 0 || position == s->position)
		return true;
	return !s->recurrent && (!s->ring || first / KV_PAGE_ROWS + s->ring > s->last_page);
}

static int truncate_to(struct stoker_session *s, uint32_t position)
{
	if (position > s->position)
		return -EINVAL;
	if (!can_go_on_at(s, position))
		return -ENOTSUP;
	if (position == s->position && position > 0)
		return 0;
	s->position = position;
	s->last_page = position ? s->last_page : 0;
	s->logit_rows = s->last_rows = 0;
	return clear_states(s);
}

int stoker_session_create(struct stoker_model *model, const struct stoker_session_params *params,
			  struct stoker_session **out, struct stoker_error *err)
{
	static const struct stoker_session_params defaults;
	const struct stoker_session_params *p = params ? params : &defaults;
	const struct stoker_device_ops *ops;
	struct stoker_session *s;
	int ret = -ENOMEM;

	if (!out)
		return stoker_fail(err, -EINVAL, "no place for the session");
	*out = NULL;
	if (!model)
		return stoker_fail(err, -EINVAL, "a session needs a model");
	ret = device_go_on(model->device, err);
	if (ret)
		return ret;
	ret = -ENOMEM;
	ops = model->device->ops;
	s = calloc(1, sizeof(*s));
	if (!s)
		return stoker_fail(err, -ENOMEM, "out of memory");
	s->model = model;
	atomic_fetch_add(&model->others, 1);
	s->observe = p->observe;
	s->observer = p->observer;
	s->context = model_session_context(model, p);
	s->batch = model_session_batch(model, p);
	s->states = calloc(model->layer_count, sizeof(*s->states));
	if (!s->states)
		goto err_memory;
	ret = -EINVAL;
	if (s->context == 0 || s->context > MODEL_MAX_CONTEXT || s->batch > MODEL_MAX_BATCH) {
		stoker_fail(err, ret, "context %u and batch %u, limits 1 to %d and %d", s->context,
			    s->batch, MODEL_MAX_CONTEXT, MODEL_MAX_BATCH);
		goto err_free;
	}
	s->tokens = malloc(s->context * sizeof(*s->tokens));
	s->places = calloc(s->batch, sizeof(*s->places));
	ret = -ENOMEM;
	if (!s->tokens || !s->places)
		goto err_memory;
	s->forward.predicted_layers = MIN(p->predicted_layers, model->layer_count);
	s->forward.model = model;
	ret = choose_kv(model, p->kv, &s->forward.kv, err);
	if (ret)
		goto err_free;
	const struct cache_size size =
		model_cache_size(model, s->forward.kv, s->context, s->batch, s->states);

	ret = pages_create(model->device, &size, &s->pages, err);
	if (ret)
		goto err_free;
	s->recurrent = size.slot_bytes > 0;
	s->forward.slots = s->pages.slots;
	s->forward.slot_bytes = size.slot_bytes;
	s->ring = size.ring;
	s->window = size.window;
	ret = ops->memory_create(model->device, forward_layout(&s->forward, s->batch, 0),
				 &s->scratch, err);
	if (ret)
		goto err_free;
	forward_layout(&s->forward, s->batch, s->scratch.at);
	ret = model_reserve(model, s->batch, err);
	if (ret)
		goto err_free;
	s->forward.states = s->states;
	s->forward.context = s->context;
	ret = truncate_to(s, 0);
	if (ret)
		goto err_free;
	*out = s;
	return 0;
err_memory:
	stoker_fail(err, -ENOMEM, "out of memory");
err_free:
	destroy(s);
	return ret;
}

int session_use(struct stoker_session *s, struct stoker_error *err)
{
	if (use_begin(&s->use)) {
		const int ret = device_go_on(s->model->device, err);

		if (ret)
			session_leave(s);
		return ret;
	}
	return stoker_fail(
		err, -EBUSY,
		"the session is in use, by another thread or by the call that this one is "
		"made in");
}

void session_leave(struct stoker_session *s)
{
	if (use_end(&s->use))
		destroy(s);
}

void stoker_session_free(struct stoker_session **session)
{
	struct stoker_session *s = session ? *session : NULL;

	if (!s)
		return;
	*session = NULL;
	stoker_session_cancel(s); /* who uses it needn't go on */
	if (use_release(&s->use))
		destroy(s);
}

int stoker_session_truncate(struct stoker_session *s, uint32_t position)
{
	int ret;

	if (!s)
		return -EINVAL;
	ret = session_use(s, NULL);
	if (ret)
		return ret;
	ret = truncate_to(s, position);
	session_leave(s);
	return ret;
}

static int check_tokens(const struct stoker_session *s, const uint32_t *tokens, size_t count,
			enum stoker_logits logits, struct stoker_error *err)
{
	if ((unsigned)logits > STOKER_LOGITS_ALL)
		return stoker_fail(err, -EINVAL, "logits %d aren't known", (int)logits);
	if (count == 0 || !tokens)
		return stoker_fail(err, -EINVAL, "no tokens to evaluate");
	if (count > s->context - s->position)
		return stoker_fail(err, -ENOSPC,
				   "%zu tokens after %u don't fit into the context of %u", count,
				   s->position, s->context);
	if (logits == STOKER_LOGITS_ALL && count > s->batch)
		return stoker_fail(err, -EINVAL,
				   "logits of %zu tokens asked for, the batch size is %u", count,
				   s->batch);
	for (size_t i = 0; i < count; i++)
		if (tokens[i] >= s->model->vocabulary)
			return stoker_fail(err, -EINVAL, "token %u at %zu, the vocabulary has %u",
					   tokens[i], i, s->model->vocabulary);
	return 0;
}

/* Room for @rows rows of logits on the device and here. */
static int reserve_logits(struct stoker_session *s, size_t rows, struct stoker_error *err)
{
	const struct stoker_model *m = s->model;
	const size_t bytes = rows * m->vocabulary * sizeof(float);
	struct stoker_memory memory;
	float *more;
	int ret;

	if (bytes > s->logits_room) {
		more = realloc(s->logits, bytes);
		if (!more)
			return stoker_fail(err, -ENOMEM, "no memory for %zu rows of logits", rows);
		s->logits = more;
		s->logits_room = bytes;
	}
	if (bytes > s->logit_memory.bytes) {
		ret = m->device->ops->memory_create(m->device, bytes, &memory, err);
		if (ret)
			return ret;
		forget_step(s);
		m->device->ops->memory_destroy(m->device, &s->logit_memory);
		s->logit_memory = memory;
		s->forward.logits = memory.at;
	}
	return 0;
}

static int write_places(struct stoker_session *s, struct stoker_error *err)
{
	const struct stoker_device_ops *ops = s->model->device->ops;
	const struct forward *f = &s->forward;
	int ret = 0;

	for (int kind = 0; kind < (s->ring ? PAGE_KINDS : PAGES_WINDOW) && !ret; kind++) {
		for (uint32_t i = 0; i < f->rows; i++)
			s->places[i] = (struct row_place){ .pages = s->pages.tables[kind].at,
							   .position = s->position + i };
		ret = ops->write(s->model->device, f->places[kind], s->places,
				 f->rows * sizeof(*s->places), err);
	}
	s->last_page = MAX(s->last_page, (s->position + f->rows - 1) / KV_PAGE_ROWS);
	return ret;
}

/* One batch, from writing its tokens to reading its logits. */
static int run_batch(struct stoker_session *s, const uint32_t *tokens, struct stoker_error *err)
{
	struct stoker_device *d = s->model->device;
	struct forward *f = &s->forward;
	int ret = device_go_on(d, err); /* a callback may have forked */

	if (ret)
		return ret;
	pthread_mutex_lock(&d->exclusive);
	const uint64_t began = profile_begin_batch(d->profile);

	ret = model_go_on(s->model, err);
	if (!ret)
		ret = write_places(s, err);
	if (!ret)
		ret = d->ops->write(d, f->tokens, tokens, f->rows * sizeof(*tokens), err);
	if (!ret)
		ret = stoker_forward(f, err);
	if (!ret && f->logit_rows)
		ret = d->ops->read(d, s->logits, f->logits,
				   (uint64_t)f->logit_rows * s->model->vocabulary * sizeof(float),
				   err);
	if (!ret)
		profile_add_batch(d->profile, f->rows, began, profile_now(d->profile));
	pthread_mutex_unlock(&d->exclusive);
	return ret;
}

bool session_take_cancel(struct stoker_session *s)
{
	return atomic_fetch_and(&s->run, ~1u) & 1;
}

/* @whole: a row that is begun is finished. */
static int eval(struct stoker_session *s, const uint32_t *tokens, size_t count,
		enum stoker_logits logits, bool whole, struct stoker_error *err)
{
	struct forward *f = &s->forward;
	int ret = check_tokens(s, tokens, count, logits, err);

	if (!ret && logits != STOKER_LOGITS_NONE)
		ret = reserve_logits(s, logits == STOKER_LOGITS_ALL ? count : 1, err);
	if (ret)
		return ret;
	for (size_t done = 0; done < count; done += f->rows) {
		const bool last = count - done <= s->batch;

		if (!whole && session_take_cancel(s))
			return stoker_fail(err, -ECANCELED, "cancelled");
		s->logit_rows = 0;
		f->rows = (uint32_t)MIN(count - done, (size_t)s->batch);
		f->logit_rows = logits == STOKER_LOGITS_ALL ? f->rows
							    : logits == STOKER_LOGITS_LAST && last;
		f->cancel = whole || (s->recurrent && f->rows == 1) ? NULL : &s->run;
		ret = run_batch(s, tokens + done, err);
		if (ret == -ECANCELED)
			session_take_cancel(s);
		if (ret && s->recurrent)
			truncate_to(s, 0); /* states have moved on halfway */
		if (ret)
			return ret;
		memcpy(s->tokens + s->position, tokens + done, f->rows * sizeof(*tokens));
		s->position += f->rows;
		s->last_rows = f->rows;
		s->logit_rows = f->logit_rows;
		if (s->observe)
			s->observe(s->observer, s, s->position - f->rows, f->rows);
	}
	return 0;
}

int session_append(struct stoker_session *s, uint32_t token, struct stoker_error *err)
{
	return eval(s, &token, 1, STOKER_LOGITS_LAST, true, err);
}

int stoker_session_eval(struct stoker_session *s, const uint32_t *tokens, size_t count,
			enum stoker_logits logits, struct stoker_error *err)
{
	int ret;

	if (!s)
		return stoker_fail(err, -EINVAL, "there is no session");
	ret = session_use(s, err);
	if (ret)
		return ret;
	ret = eval(s, tokens, count, logits, false, err);
	session_leave(s);
	return ret;
}

const float *stoker_session_last_logits(const struct stoker_session *s)
{
	return s->logit_rows ? stoker_session_logits(s, s->logit_rows - 1) : NULL;
}

const float *stoker_session_logits(const struct stoker_session *s, size_t row)
{
	return s && row < s->logit_rows ? s->logits + row * s->model->vocabulary : NULL;
}

uint32_t stoker_session_position(const struct stoker_session *s)
{
	return s ? s->position : 0;
}

const uint32_t *stoker_session_tokens(const struct stoker_session *s, size_t *count)
{
	if (count)
		*count = s ? s->position : 0;
	return s ? s->tokens : NULL;
}

uint32_t stoker_session_context(const struct stoker_session *s)
{
	return s ? s->context : 0;
}

void stoker_session_bytes(const struct stoker_session *s, uint64_t *cache, uint64_t *scratch)
{
	if (cache)
		*cache = s ? s->pages.bytes : 0;
	if (scratch)
		*scratch = s ? s->scratch.bytes + s->logit_memory.bytes : 0;
}

/* A row of the last batch, of ids that begin at @at. */
static uint32_t read_ids(const struct stoker_session *s, uint32_t layer, stoker_address at,
			 uint32_t row, uint32_t *ids)
{
	struct stoker_device *d = s->model->device;
	const uint32_t used = s->model->experts_used;

	if (!s->model->layers[layer].expert_count || row >= s->last_rows || device_go_on(d, NULL))
		return 0;
	pthread_mutex_lock(&d->exclusive);
	const int ret = d->ops->read(d, ids, at + (uint64_t)row * used * sizeof(*ids),
				     used * sizeof(*ids), NULL);

	pthread_mutex_unlock(&d->exclusive);
	return ret ? 0 : used;
}

uint32_t stoker_session_experts(const struct stoker_session *s, uint32_t layer, uint32_t row,
				uint32_t *ids)
{
	const struct forward *f = s ? &s->forward : NULL;

	return s && ids && layer < s->model->layer_count
		       ? read_ids(s, layer, f->ids + (uint64_t)layer * f->ids_stride * sizeof(*ids),
				  row, ids)
		       : 0;
}

uint32_t stoker_session_predicted(const struct stoker_session *s, uint32_t layer, uint32_t distance,
				  uint32_t row, uint32_t *ids)
{
	const struct forward *f = s ? &s->forward : NULL;

	return s && ids && distance && distance <= f->predicted_layers && layer >= distance &&
			       layer < s->model->layer_count &&
			       !s->model->layers[layer].router_first
		       ? read_ids(s, layer, predicted_ids(f, layer, distance), row, ids)
		       : 0;
}

uint32_t stoker_session_begin(struct stoker_session *s)
{
	uint32_t number;

	if (!s || session_use(s, NULL))
		return 0;
	number = (atomic_load(&s->run) >> 1) + 1;
	number = number << 1 ? number : 1;
	atomic_store(&s->run, number << 1);
	session_leave(s);
	return number & INT32_MAX;
}

void stoker_session_cancel(struct stoker_session *s)
{
	if (s)
		atomic_fetch_or(&s->run, 1);
}

void stoker_session_cancel_run(struct stoker_session *s, uint32_t run)
{
	uint32_t going = run << 1;

	if (s && run)
		atomic_compare_exchange_strong(&s->run, &going, going | 1);
}

const struct stoker_model *session_model(const struct stoker_session *s)
{
	return s->model;
}

struct pages *session_pages(struct stoker_session *s)
{
	return &s->pages;
}
