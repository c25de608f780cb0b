// SPDX-License-Identifier: MIT
/* The engine's thread: step after step, as long as there are requests. */
#include "engine/engine.h"

#include "model/model.h"

/* False: the engine is to end. */
static bool wait_for_work(struct stoker_engine *e)
{
	bool goes_on;

	pthread_mutex_lock(&e->lock);
	while (!e->quit && !e->waiting.count && !e->running.count)
		pthread_cond_wait(&e->changed, &e->lock);
	goes_on = !e->quit;
	pthread_mutex_unlock(&e->lock);
	return goes_on;
}

static struct request *find_cancelled(struct stoker_engine *e)
{
	struct request *found = NULL;

	pthread_mutex_lock(&e->lock);
	for (uint32_t i = 0; i < e->running.count && !found; i++)
		if (e->running.of[i]->cancelled)
			found = e->running.of[i];
	pthread_mutex_unlock(&e->lock);
	return found;
}

static void fail_request(struct stoker_engine *e, struct request *r, int ret,
			 const struct stoker_error *err)
{
	r->finish = STOKER_FINISH_FAILED;
	r->status = ret;
	r->error = *err;
	engine_stop(e, r, false);
}

static void end_cancelled(struct stoker_engine *e)
{
	struct stoker_error err;
	struct request *r;

	stoker_fail(&err, -ECANCELED, "cancelled");
	while ((r = find_cancelled(e)))
		fail_request(e, r, -ECANCELED, &err);
}

/* From here on cancelling all that are in the step cuts it short. */
static void begin_step(struct stoker_engine *e)
{
	pthread_mutex_lock(&e->lock);
	for (uint32_t i = 0; i < e->part_count; i++)
		e->served[i]->in_step = true;
	atomic_store(&e->stop, e->quit);
	pthread_mutex_unlock(&e->lock);
}

/* Which the pager has waited for the drive so far. */
static uint64_t stalled_ns(const struct stoker_engine *e)
{
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };

	return stoker_model_paging(e->step.model, &paging) ? 0
							   : (uint64_t)(1e9 * paging.stall_seconds);
}

/* What a step of @rows rows that began at @began says about the next ones. */
static void note_time(struct stoker_engine *e, uint32_t rows, uint64_t began)
{
	const double seconds = 1e-9 * (double)(stoker_now_ns() - began);
	const uint64_t stalled = stalled_ns(e);

	pace_note(&e->pace, rows, seconds);
	if (!e->step.model->pager)
		return;
	if (!e->prompts)
		pace_note_stall(&e->pace, rows, MIN(e->sequences, e->step.batch), seconds,
				1e-9 * (double)(stalled - MIN(e->stalled, stalled)));
	e->stalled = stalled;
}

/* What others see of a step, all at once. */
static void publish(struct stoker_engine *e, uint32_t rows)
{
	pthread_mutex_lock(&e->lock);
	e->stats.steps++;
	e->stats.rows = rows;
	e->stats.step_rows += rows;
	e->stats.step_sizes[pace_size(rows)]++;
	pages_tell(&e->step.pages, &e->stats.pages);
	for (uint32_t i = 0; i < e->part_count; i++) {
		struct request *r = e->served[i];
		const uint32_t generated = r->count - r->prompt;

		r->in_step = false;
		e->stats.prompt_tokens += r->reads ? r->rows : 0;
		e->stats.reused += r->published || !generated ? 0 : r->reused;
		e->stats.generated += generated - r->published;
		e->stats.largest_gap = MAX(e->stats.largest_gap, 1e-9 * (double)r->gap);
		if (generated > r->published) {
			r->published = generated;
			engine_tell(e, r);
		}
	}
	engine_unlock(e);
}

/* The next token of each whose logits were computed. */
static void sample(struct stoker_engine *e)
{
	const struct stoker_model *m = e->step.model;
	uint32_t row = 0;

	for (uint32_t i = 0; i < e->part_count; i++) {
		struct request *r = e->served[i];
		const float *logits = e->step.logits + (size_t)row * m->vocabulary;

		row += r->logit_rows;
		r->over = r->logit_rows && !request_sample(r, m, logits);
	}
}

static void end_step(struct stoker_engine *e)
{
	pthread_mutex_lock(&e->lock);
	for (uint32_t i = 0; i < e->part_count; i++)
		e->served[i]->in_step = false;
	pthread_mutex_unlock(&e->lock);
}

/* Without pages somebody makes room; who is alone can't go on, nor can anybody otherwise. */
static void give_up(struct stoker_engine *e, int ret, const struct stoker_error *err)
{
	end_step(e);
	if (ret == -ECANCELED) /* of nobody that wants to go on */
		return;
	if (ret == -ENOSPC && e->running.count > 1) {
		engine_make_room(e);
		return;
	}
	for (uint32_t i = 0; i < e->part_count; i++)
		fail_request(e, e->served[i], ret, err);
}

static void step(struct stoker_engine *e)
{
	const uint64_t began = stoker_now_ns();
	struct stoker_error err;
	uint32_t rows = 0;
	int ret;

	engine_plan(e, began);
	if (!e->part_count)
		return;
	for (uint32_t i = 0; i < e->part_count; i++)
		rows += e->parts[i].rows;
	begin_step(e);
	ret = step_eval(&e->step, e->parts, e->part_count, &e->stop, &err);
	if (ret) {
		give_up(e, ret, &err);
		return;
	}
	engine_keep_states(e);
	sample(e);
	note_time(e, rows, began);
	publish(e, rows);
	for (uint32_t i = 0; i < e->part_count; i++)
		if (e->served[i]->over)
			engine_stop(e, e->served[i], false);
}

void *engine_run(void *engine)
{
	struct stoker_engine *e = engine;

	e->stalled = stalled_ns(e);
	while (wait_for_work(e)) {
		end_cancelled(e);
		engine_admit(e);
		step(e);
	}
	if (e->freed_within) {
		stoker_thread_leave(&e->thread);
		engine_destroy(e);
	}
	return NULL;
}
