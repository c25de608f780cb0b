// SPDX-License-Identifier: MIT
/* Steps, see step.h: from tokens of sequences to logits. */
#include "session/step.h"

#include <pthread.h>

#include "base/profile.h"
#include "model/session_size.h"

enum { STEP_CHUNK = 256 }; /* rows, that cut a deterministic batch's prompts */

const char *kv_name(uint32_t format)
{
	static const char *const names[STOKER_KV_FORMATS] = { "F32", "F16", "Q8_0", "Q5_0",
							      "Q4_0" };

	return format < STOKER_KV_FORMATS ? names[format] : "another type";
}

static int choose_kv(const struct stoker_model *m, const struct stoker_session_params *params,
		     struct kv_formats *kv, struct stoker_error *err)
{
	const enum stoker_kv_type types[] = { params->kv, params->kv_keys, params->kv_values };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((unsigned)types[i] > STOKER_KV_TYPE_Q4_0)
			return stoker_fail(err, -EINVAL, "KV type %d isn't known", (int)types[i]);
	*kv = model_kv_formats(m, params);
	for (int i = 0; i < 2; i++) {
		const struct op_kv_store op = { .format = i ? kv->values : kv->keys };

		if (!device_supports(m->device, STOKER_OP_KV_STORE, &op) && !m->device->fallback)
			return stoker_fail(err, -ENOTSUP,
					   "this device keeps no %s as %s: there are F32, F16 and "
					   "Q8_0",
					   i ? "values" : "keys", kv_name(op.format));
	}
	return 0;
}

/* Recorded steps name memory that is about to go. */
static void forget_steps(struct step *s)
{
	struct stoker_device *d = s->model->device;
	struct stoker_recording **steps = s->forward.steps;

	for (size_t i = 0; i < ARRAY_SIZE(s->forward.steps); i++) {
		if (steps[i])
			d->ops->recording_free(d, steps[i]);
		steps[i] = NULL;
	}
}

void step_destroy(struct step *s)
{
	struct stoker_model *m = s->model;

	device_go_on(m->device, NULL);
	forget_steps(s);
	prefix_destroy(&s->prefix, &s->pages);
	checkpoints_destroy(m->device, &s->checkpoints);
	pages_destroy(&s->pages);
	m->device->ops->memory_destroy(m->device, &s->scratch);
	m->device->ops->memory_destroy(m->device, &s->logit_memory);
	free(s->states);
	free(s->logits);
	free(s->hidden);
	free(s->inputs);
	model_give(m, s->taken);
	*s = (struct step){ 0 };
	stoker_model_free(&m);
}

/* The working buffers, and of the device what its ops need. */
static int create_buffers(struct step *s, struct stoker_error *err)
{
	struct stoker_model *m = s->model;
	int ret = m->device->ops->memory_create(m->device, forward_layout(&s->forward, s->batch, 0),
						&s->scratch, err);

	if (ret)
		return ret;
	forward_layout(&s->forward, s->batch, s->scratch.at);
	return model_reserve(m, s->batch, err);
}

/* A multiple of pages, or more than a step can have. */
static uint32_t chunk_of(uint32_t batch)
{
	const uint32_t chunk = MIN(batch, (uint32_t)STEP_CHUNK) / KV_PAGE_ROWS * KV_PAGE_ROWS;

	return chunk ? chunk : UINT32_MAX;
}

int step_create(struct stoker_model *model, const struct stoker_session_params *params,
		bool several, struct step *s, struct stoker_error *err)
{
	struct stoker_session_params own = *params;
	struct cache_size size;
	int ret = device_go_on(model->device, err);

	if (ret)
		return ret;
	if (!several) {
		own.sequences = 1;
		own.cache_bytes = 0;
	}
	*s = (struct step){ .model = model,
			    .context = model_session_context(model, params),
			    .batch = model_session_batch(model, &own),
			    .pooling = params->pooling,
			    .forward.hidden_only = params->pooling != STOKER_POOLING_NONE };
	if ((unsigned)params->pooling > STOKER_POOLING_CLS)
		return stoker_fail(err, -EINVAL, "pooling %d isn't known", (int)params->pooling);
	s->chunk = params->deterministic ? chunk_of(s->batch) : 0;
	if (s->context == 0 || s->context > MODEL_MAX_CONTEXT || s->batch > MODEL_MAX_BATCH)
		return stoker_fail(err, -EINVAL, "context %u and batch %u, limits 1 to %d and %d",
				   s->context, s->batch, MODEL_MAX_CONTEXT, MODEL_MAX_BATCH);
	atomic_fetch_add(&model->others, 1);
	s->forward.predicted_layers = MIN(params->predicted_layers, model->layer_count);
	s->forward.model = model;
	ret = several ? model_take(model, &own, &s->taken, err) : 0;
	if (!ret)
		ret = choose_kv(model, params, &s->forward.kv, err);
	if (ret)
		goto err_destroy;
	s->states = calloc(model->layer_count, sizeof(*s->states));
	s->inputs = malloc(forward_input_bytes(s->batch));
	if (!s->states || !s->inputs) {
		ret = stoker_fail(err, -ENOMEM, "out of memory");
		goto err_destroy;
	}
	size = model_cache_size(model, s->forward.kv, s->context, s->batch, s->states);
	s->recurrent = size.slot_bytes > 0;
	ret = pages_create(model->device, &size, model_sequences(&own),
			   model_cache_bound(model, &own, &size), &s->pages, err);
	if (!ret)
		ret = checkpoints_create(model->device, &size, model_sequences(&own),
					 &s->checkpoints, err);
	if (!ret)
		ret = create_buffers(s, err);
	if (!ret && s->pooling)
		ret = embedding_create(s, err);
	if (ret)
		goto err_destroy;
	s->forward.slots = s->pages.slots;
	s->forward.slot_bytes = size.slot_bytes;
	s->forward.states = s->states;
	s->forward.context = s->context;
	return 0;
err_destroy:
	step_destroy(s);
	return ret;
}

int step_check(const struct step *s, const struct sequence *q, const uint32_t *tokens, size_t count,
	       enum stoker_logits logits, struct stoker_error *err)
{
	if ((unsigned)logits > STOKER_LOGITS_ALL)
		return stoker_fail(err, -EINVAL, "logits %d aren't known", (int)logits);
	if (s->pooling && logits != STOKER_LOGITS_NONE)
		return stoker_fail(err, -EINVAL, "with pooling there are no logits");
	if (count == 0 || !tokens)
		return stoker_fail(err, -EINVAL, "no tokens to evaluate");
	if (count > s->context - q->position)
		return stoker_fail(err, -ENOSPC,
				   "%zu tokens after %u don't fit into the context of %u", count,
				   q->position, s->context);
	for (size_t i = 0; i < count; i++)
		if (tokens[i] >= s->model->vocabulary)
			return stoker_fail(err, -EINVAL, "token %u at %zu, the vocabulary has %u",
					   tokens[i], i, s->model->vocabulary);
	return 0;
}

int step_reserve_logits(struct step *s, size_t rows, struct stoker_error *err)
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
		forget_steps(s);
		m->device->ops->memory_destroy(m->device, &s->logit_memory);
		s->logit_memory = memory;
		s->forward.logits = memory.at;
	}
	return 0;
}

/* Once, or with another entry of the prefix cache gone. */
static int try_pages(struct step *s, const struct step_part *parts, size_t count, bool *again,
		     struct stoker_error *err)
{
	uint32_t want[PAGE_KINDS] = { 0 };
	int ret;

	for (size_t i = 0; i < count; i++) {
		const struct sequence *q = parts[i].sequence;

		pages_count(&s->pages, &q->tables, q->position, q->position + parts[i].rows, want);
	}
	ret = pages_reserve(&s->pages, want, err);
	*again = ret && prefix_drop(&s->prefix, &s->pages,
				    pages_lack(&s->pages, PAGES_WINDOW, want[PAGES_WINDOW]));
	for (size_t i = 0; i < count; i++) {
		const struct sequence *q = parts[i].sequence;

		pages_counted(&s->pages, &q->tables, q->position, q->position + parts[i].rows);
	}
	return ret;
}

int step_reserve_pages(struct step *s, const struct step_part *parts, size_t count,
		       struct stoker_error *err)
{
	bool again;
	int ret;

	do
		ret = try_pages(s, parts, count, &again, err);
	while (again);
	return ret;
}

/* Rows of a step so far. */
struct filled {
	uint32_t rows, asked;
};

/* What the device is to know of a part's rows. */
static void fill_part(struct step *s, const struct step_part *part, uint32_t kinds,
		      struct filled *filled)
{
	const struct forward *f = &s->forward;
	struct row_place *places = (struct row_place *)(void *)s->inputs;
	uint32_t *tokens = (uint32_t *)(void *)(places + (size_t)kinds * f->rows);
	uint32_t *asked = tokens + f->rows;
	const struct page_tables *tables = &part->sequence->tables;

	for (uint32_t kind = 0; kind < kinds; kind++)
		for (uint32_t i = 0; i < part->rows; i++)
			places[kind * f->rows + filled->rows + i] =
				(struct row_place){ .pages = tables->of[kind].at,
						    .position = part->sequence->position + i,
						    .state = tables->number };
	memcpy(tokens + filled->rows, part->tokens, part->rows * sizeof(*tokens));
	for (uint32_t i = 0; i < part->logit_rows; i++)
		asked[filled->asked++] =
			filled->rows + i +
			(s->pooling == STOKER_POOLING_CLS ? 0 : part->rows - part->logit_rows);
	filled->rows += part->rows;
}

/* Pages for all rows, and what the step computes with, in a transfer. */
static int write_inputs(struct step *s, const struct step_part *parts, size_t count,
			struct stoker_error *err)
{
	struct stoker_device *d = s->model->device;
	const uint32_t kinds = s->pages.size.ring ? PAGE_KINDS : PAGES_WINDOW;
	struct filled filled = { 0 };
	uint32_t rows = 0, asked = 0;
	int ret = 0;

	for (size_t i = 0; i < count; i++) {
		rows += parts[i].rows;
		asked += parts[i].logit_rows;
	}
	assert(rows <= s->batch);
	forward_inputs(&s->forward, kinds, rows, asked,
		       asked < rows && (count > 1 || (asked && s->pooling == STOKER_POOLING_CLS)));
	for (size_t i = 0; i < count && !ret; i++) {
		struct sequence *q = parts[i].sequence;
		const uint32_t end = q->position + parts[i].rows;

		ret = sequence_recover(s, q, err);
		if (!ret && checkpoint_is_due(s, q->position, parts[i].rows))
			ret = checkpoint_take(s, q, q->position, err);
		if (!ret)
			ret = pages_prepare(&s->pages, &q->tables, q->position, end, err);
		if (ret)
			break;
		/* what a ring had in these pages is lost, whatever comes of the step */
		q->last_page = MAX(q->last_page, (end - 1) / KV_PAGE_ROWS);
		fill_part(s, &parts[i], kinds, &filled);
	}
	return ret ? ret
		   : d->ops->write(d, s->forward.inputs, s->inputs,
				   kinds * rows * sizeof(struct row_place) +
					   (rows + asked) * sizeof(uint32_t),
				   err);
}

static int take_checkpoints(struct step *s, const struct step_part *parts, size_t count,
			    struct stoker_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++) {
		struct sequence *q = parts[i].sequence;

		if (checkpoint_is_due_behind(s, q->position, parts[i].rows))
			ret = checkpoint_take(s, q, q->position + parts[i].rows, err);
	}
	return ret;
}

/* From writing what rows are to reading their logits; @moved: states are no longer what they were.
 */
static int run(struct step *s, const struct step_part *parts, size_t count, bool *moved,
	       struct stoker_error *err)
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
		ret = write_inputs(s, parts, count, err);
	if (!ret) {
		*moved = s->recurrent;
		ret = stoker_forward(f, err);
	}
	if (!ret && f->logit_rows && s->pooling)
		ret = embedding_read(s, err);
	else if (!ret && f->logit_rows)
		ret = d->ops->read(d, s->logits + s->logit_rows * s->model->vocabulary, f->logits,
				   (uint64_t)f->logit_rows * s->model->vocabulary * sizeof(float),
				   err);
	if (!ret)
		ret = take_checkpoints(s, parts, count, err);
	if (!ret)
		profile_add_batch(d->profile, f->rows, began, profile_now(d->profile));
	pthread_mutex_unlock(&d->exclusive);
	return ret;
}

int step_run(struct step *s, const struct step_part *parts, size_t count,
	     const _Atomic uint32_t *cancel, struct stoker_error *err)
{
	const float *hidden = s->hidden;
	bool moved = false;
	int ret;

	s->forward.cancel = cancel;
	ret = run(s, parts, count, &moved, err);
	for (size_t i = 0; i < count; i++) {
		struct sequence *q = parts[i].sequence;

		if (ret && moved)
			sequence_lose(s, q);
		if (ret)
			continue;
		if (s->pooling) {
			embedding_add(s, &parts[i], hidden);
			hidden += (size_t)parts[i].logit_rows * s->model->embedding;
		}
		memcpy(q->tokens + q->position, parts[i].tokens,
		       parts[i].rows * sizeof(*parts[i].tokens));
		if (q->position == q->same_bits && parts[i].rows == s->chunk)
			q->same_bits += s->chunk;
		q->position += parts[i].rows;
	}
	if (!ret && !s->pooling)
		s->logit_rows += s->forward.logit_rows;
	return ret;
}

/*
 * How many parts are computed together: all, or such that each row's bits are those it gets alone.
 */
static size_t together(const struct step *s, const struct step_part *parts, size_t count)
{
	const uint32_t most = MAX(s->model->device->alike_rows, 1u);
	size_t n = 1;

	if (!s->chunk)
		return count;
	while (n < count && n < most && parts[0].rows == 1 && parts[n].rows == 1)
		n++;
	return n;
}

int step_eval(struct step *s, const struct step_part *parts, size_t count,
	      const _Atomic uint32_t *cancel, struct stoker_error *err)
{
	size_t asked = 0;
	int ret = 0;

	s->logit_rows = 0;
	for (size_t i = 0; i < count; i++)
		asked += parts[i].logit_rows;
	if (asked && !s->pooling)
		ret = step_reserve_logits(s, asked, err);
	if (!ret)
		ret = step_reserve_pages(s, parts, count, err);
	for (size_t i = 0, n; i < count && !ret; i += n) {
		n = together(s, parts + i, count - i);
		ret = step_run(s, parts + i, n, cancel, err);
	}
	return ret;
}
