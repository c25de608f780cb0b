// SPDX-License-Identifier: MIT
/* A session: a sequence of its own, evaluated in batches that can be cancelled. */
#include "session/session.h"

#include <pthread.h>

#include "base/sized.h"
#include "base/use.h"
#include "session/state.h"
#include "stoker/unstable/trace.h"

struct stoker_session {
	_Atomic int use;
	struct step step;
	struct sequence sequence;
	uint32_t last_rows; /* of the last batch */
	void (*progress)(void *user, struct stoker_session *session, uint32_t first, uint32_t rows);
	void *user;
	/*
	 * The run's number, times two, and whether it is cancelled: one word, so that a
	 * cancellation can't meet the run after the one that it is for.
	 */
	_Atomic uint32_t run;
};

static void destroy(struct stoker_session *s)
{
	sequence_destroy(&s->step, &s->sequence);
	step_destroy(&s->step);
	free(s);
}

int stoker_session_create(struct stoker_model *model, const struct stoker_session_params *params,
			  struct stoker_session **out, struct stoker_error *err)
{
	struct stoker_session_params own;
	const struct stoker_session_params *p = &own;
	struct stoker_session *s;
	int ret;

	if (!out)
		return stoker_fail(err, -EINVAL, "no place for the session");
	*out = NULL;
	if (!model)
		return stoker_fail(err, -EINVAL, "a session needs a model");
	ret = SIZED_TAKE(&own, params, STOKER_SESSION_PARAMS_INIT, err);
	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return stoker_fail(err, -ENOMEM, "out of memory");
	s->progress = p->progress;
	s->user = p->user;
	ret = step_create(model, p, false, &s->step, err);
	if (ret)
		goto err_free;
	ret = sequence_create(&s->step, true, &s->sequence, err);
	if (ret)
		goto err_destroy;
	*out = s;
	return 0;
err_destroy:
	step_destroy(&s->step);
err_free:
	free(s);
	return ret;
}

int session_use(struct stoker_session *s, struct stoker_error *err)
{
	if (use_begin(&s->use)) {
		const int ret = device_go_on(s->step.model->device, err);

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

int stoker_session_truncate(struct stoker_session *s, uint32_t position, struct stoker_error *err)
{
	uint32_t present;
	int ret;

	if (!s)
		return stoker_fail(err, -EINVAL, "there is no session");
	ret = session_use(s, err);
	if (ret)
		return ret;
	present = s->sequence.position;
	ret = sequence_truncate(&s->step, &s->sequence, position, err);
	if (!ret && (position < present || !position))
		s->step.logit_rows = s->last_rows = 0;
	session_leave(s);
	return ret;
}

int stoker_session_save(struct stoker_session *s, stoker_state_write write, void *user,
			struct stoker_error *err)
{
	int ret;

	if (!s)
		return stoker_fail(err, -EINVAL, "there is no session");
	ret = session_use(s, err);
	if (ret)
		return ret;
	ret = sequence_save(&s->step, &s->sequence, write, user, err);
	session_leave(s);
	return ret;
}

int stoker_session_restore(struct stoker_session *s, stoker_state_read read, void *user,
			   uint64_t bytes, struct stoker_error *err)
{
	int ret;

	if (!s)
		return stoker_fail(err, -EINVAL, "there is no session");
	ret = session_use(s, err);
	if (ret)
		return ret;
	ret = sequence_restore(&s->step, &s->sequence, read, user, bytes, err);
	if (!ret)
		s->step.logit_rows = s->last_rows = 0;
	session_leave(s);
	return ret;
}

int stoker_session_remove(struct stoker_session *s, uint32_t first, uint32_t count, int shift,
			  struct stoker_error *err)
{
	int ret;

	if (!s)
		return stoker_fail(err, -EINVAL, "there is no session");
	ret = session_use(s, err);
	if (ret)
		return ret;
	ret = sequence_remove(&s->step, &s->sequence, first, count, shift, err);
	if (!ret && count)
		s->step.logit_rows = s->last_rows = 0;
	session_leave(s);
	return ret;
}

uint32_t stoker_session_reachable(const struct stoker_session *s, uint32_t position)
{
	return s ? sequence_reachable(&s->step, &s->sequence, position) : 0;
}

bool session_take_cancel(struct stoker_session *s)
{
	return atomic_fetch_and(&s->run, ~1u) & 1;
}

/* @whole: a row that is begun is finished. */
static int eval(struct stoker_session *s, const uint32_t *tokens, size_t count,
		enum stoker_logits logits, bool whole, struct stoker_error *err)
{
	struct step *step = &s->step;
	struct step_part part = { .sequence = &s->sequence };
	int ret = step_check(step, &s->sequence, tokens, count, logits, err);

	if (!ret && logits == STOKER_LOGITS_ALL && count > step->batch)
		ret = stoker_fail(err, -EINVAL,
				  "logits of %zu tokens asked for, the batch size is %u", count,
				  step->batch);
	if (!ret && logits != STOKER_LOGITS_NONE)
		ret = step_reserve_logits(step, logits == STOKER_LOGITS_ALL ? count : 1, err);
	if (ret)
		return ret;
	for (size_t done = 0; done < count; done += part.rows) {
		const bool last = count - done <= step->batch;

		if (!whole && session_take_cancel(s))
			return stoker_fail(err, -ECANCELED, "cancelled");
		step->logit_rows = 0;
		part.tokens = tokens + done;
		part.rows = (uint32_t)MIN(count - done, (size_t)step->batch);
		if (logits != STOKER_LOGITS_ALL)
			part.rows = checkpoint_rows(step, s->sequence.position, part.rows, last);
		part.logit_rows = logits == STOKER_LOGITS_ALL ? part.rows
							      : logits == STOKER_LOGITS_LAST &&
									done + part.rows == count;
		if (step->pooling)
			part.logit_rows = embedding_rows(step, &part, done + part.rows == count);
		ret = step_run(step, &part, 1,
			       whole || (step->recurrent && part.rows == 1) ? NULL : &s->run, err);
		if (ret == -ECANCELED)
			session_take_cancel(s);
		if (ret) {
			s->last_rows = s->sequence.position ? s->last_rows : 0;
			return ret;
		}
		s->last_rows = part.rows;
		if (s->progress)
			s->progress(s->user, s, s->sequence.position - part.rows, part.rows);
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
	return s->step.logit_rows ? stoker_session_logits(s, s->step.logit_rows - 1) : NULL;
}

const float *stoker_session_logits(const struct stoker_session *s, size_t row)
{
	return s && row < s->step.logit_rows ? s->step.logits + row * s->step.model->vocabulary
					     : NULL;
}

uint32_t stoker_session_position(const struct stoker_session *s)
{
	return s ? s->sequence.position : 0;
}

const uint32_t *stoker_session_tokens(const struct stoker_session *s, size_t *count)
{
	if (count)
		*count = s ? s->sequence.position : 0;
	return s ? s->sequence.tokens : NULL;
}

uint32_t stoker_session_context(const struct stoker_session *s)
{
	return s ? s->step.context : 0;
}

void stoker_session_bytes(const struct stoker_session *s, uint64_t *cache, uint64_t *scratch)
{
	if (cache)
		*cache = s ? pages_bytes(&s->step.pages) + s->step.checkpoints.bytes : 0;
	if (scratch)
		*scratch = s ? s->step.scratch.bytes + s->step.logit_memory.bytes : 0;
}

/* A row of the last batch, of ids that begin at @at. */
static uint32_t read_ids(const struct stoker_session *s, uint32_t layer, stoker_address at,
			 uint32_t row, uint32_t *ids)
{
	struct stoker_device *d = s->step.model->device;
	const uint32_t used = s->step.model->experts_used;

	if (!s->step.model->layers[layer].expert_count || row >= s->last_rows ||
	    device_go_on(d, NULL))
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
	const struct forward *f = s ? &s->step.forward : NULL;

	return s && ids && layer < s->step.model->layer_count
		       ? read_ids(s, layer, f->ids + (uint64_t)layer * f->ids_stride * sizeof(*ids),
				  row, ids)
		       : 0;
}

uint32_t stoker_session_predicted(const struct stoker_session *s, uint32_t layer, uint32_t distance,
				  uint32_t row, uint32_t *ids)
{
	const struct forward *f = s ? &s->step.forward : NULL;

	return s && ids && distance && distance <= f->predicted_layers && layer >= distance &&
			       layer < s->step.model->layer_count &&
			       !s->step.model->layers[layer].router_first
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

int stoker_session_embedding(struct stoker_session *s, int normalize, float *embedding,
			     struct stoker_error *err)
{
	int ret;

	if (!s)
		return stoker_fail(err, -EINVAL, "there is no session");
	ret = session_use(s, err);
	if (ret)
		return ret;
	ret = embedding_get(&s->step, &s->sequence, normalize, embedding, err);
	session_leave(s);
	return ret;
}

const struct stoker_model *session_model(const struct stoker_session *s)
{
	return s->step.model;
}

struct page_tables *session_tables(struct stoker_session *s)
{
	return &s->sequence.tables;
}
