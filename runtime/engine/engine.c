// SPDX-License-Identifier: MIT
/* The engine's calls: its life, and what passes between its thread and others. */
#include "engine/engine.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/sized.h"
#include "model/session_size.h"

enum { QUEUE = 64, MOST_QUEUE = 1 << 20 };

static const double MAX_GAP = 0.1, LONGEST_GAP = 3600;

static int elsewhere(struct stoker_error *err)
{
	return stoker_fail(
		err, -ENOTSUP,
		"the engine's thread is in the process that this one was forked off from");
}

static int allocate(struct stoker_engine *e, struct stoker_error *err)
{
	e->waiting.room = e->queue + e->sequences;
	e->running.room = e->sequences;
	e->waiting.of = calloc(e->waiting.room, sizeof(*e->waiting.of));
	e->running.of = calloc(e->running.room, sizeof(*e->running.of));
	e->parts = calloc(e->sequences, sizeof(*e->parts));
	e->served = calloc(e->sequences, sizeof(*e->served));
	if (!e->waiting.of || !e->running.of || !e->parts || !e->served ||
	    !process_mark_make(&e->process))
		return stoker_fail(err, -ENOMEM, "out of memory");
	e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->fd < 0)
		return stoker_fail(err, -errno, "no descriptor for events: %s",
				   stoker_strerror(errno));
	return 0;
}

static void release(struct stoker_engine *e)
{
	if (e->fd >= 0)
		close(e->fd);
	process_mark_free(&e->process);
	free(e->waiting.of);
	free(e->running.of);
	free(e->parts);
	free(e->served);
	free(e);
}

static int start(struct stoker_engine *e, struct stoker_error *err)
{
	int ret;

	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->changed, NULL);
	ret = stoker_thread_create(&e->thread, engine_run, e);
	if (ret) {
		pthread_cond_destroy(&e->changed);
		pthread_mutex_destroy(&e->lock);
		return stoker_fail(err, -ret, "no thread for the engine: %s", stoker_strerror(ret));
	}
	return 0;
}

static int check(const struct stoker_engine_params *p, struct stoker_error *err)
{
	if (p->session->sequences > MODEL_MAX_SEQUENCES)
		return stoker_fail(err, -EINVAL, "%u sequences, the limit is %d",
				   p->session->sequences, MODEL_MAX_SEQUENCES);
	if (p->session->pooling)
		return stoker_fail(err, -EINVAL, "an engine gives no embeddings (pooling)");
	if (p->queue > MOST_QUEUE)
		return stoker_fail(err, -EINVAL, "a queue of %u, the limit is %d", p->queue,
				   MOST_QUEUE);
	if (!(p->max_gap >= 0 && p->max_gap <= LONGEST_GAP))
		return stoker_fail(err, -EINVAL, "a gap of %g seconds, limits 0 and %g", p->max_gap,
				   LONGEST_GAP);
	return 0;
}

int stoker_engine_create(struct stoker_model *model, const struct stoker_engine_params *params,
			 struct stoker_engine **out, struct stoker_error *err)
{
	struct stoker_session_params session;
	struct stoker_engine_params own;
	const struct stoker_engine_params *p = &own;
	struct stoker_engine *e;
	int ret;

	if (!out)
		return stoker_fail(err, -EINVAL, "no place for the engine");
	*out = NULL;
	ret = SIZED_TAKE(&own, params, STOKER_ENGINE_PARAMS_INIT, err);
	if (!ret)
		ret = SIZED_TAKE(&session, own.session, STOKER_SESSION_PARAMS_INIT, err);
	own.session = &session;
	if (!ret)
		ret = model ? check(p, err) : stoker_fail(err, -EINVAL, "an engine needs a model");
	if (ret)
		return ret;
	e = calloc(1, sizeof(*e));
	if (!e)
		return stoker_fail(err, -ENOMEM, "out of memory");
	e->fd = -1;
	e->sequences = e->stats.sequences = model_sequences(p->session);
	e->queue = p->queue ? p->queue : QUEUE;
	e->max_gap = p->max_gap > 0 ? p->max_gap : MAX_GAP;
	ret = allocate(e, err);
	if (ret)
		goto err_release;
	ret = step_create(model, p->session, true, &e->step, err);
	if (ret)
		goto err_release;
	e->step.for_others = true;
	pages_tell(&e->step.pages, &e->stats.pages);
	e->chunk = MIN(e->step.chunk, e->step.batch);
	ret = start(e, err);
	if (ret)
		goto err_destroy;
	*out = e;
	return 0;
err_destroy:
	step_destroy(&e->step);
err_release:
	release(e);
	return ret;
}

/* Requests that wait, run or have something to be told; their sequences are gone. */
static void free_requests(struct stoker_engine *e)
{
	for (uint32_t i = 0; i < e->waiting.count; i++)
		if (!e->waiting.of[i]->ready)
			request_free(e->waiting.of[i]);
	for (uint32_t i = 0; i < e->running.count; i++)
		if (!e->running.of[i]->ready)
			request_free(e->running.of[i]);
	for (struct request *r = e->first_ready, *next; r; r = next) {
		next = r->next_ready;
		request_free(r);
	}
}

void engine_destroy(struct stoker_engine *e)
{
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	for (uint32_t i = 0; i < e->running.count; i++)
		if (e->running.of[i]->has_sequence)
			sequence_destroy(&e->step, &e->running.of[i]->sequence);
	free_requests(e);
	step_destroy(&e->step);
	release(e);
}

void stoker_engine_free(struct stoker_engine **engine)
{
	struct stoker_engine *e = engine ? *engine : NULL;
	bool within;

	if (!e)
		return;
	*engine = NULL;
	if (!process_mark_is_here(&e->process)) {
		close(e->fd); /* the thread may have been changing all else */
		return;
	}
	pthread_mutex_lock(&e->lock);
	e->quit = true;
	atomic_store(&e->stop, 1);
	within = e->freed_within = stoker_thread_is_this(&e->thread);
	pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->lock);
	if (within) /* a request's stage: the thread does it when the step is over */
		return;
	stoker_thread_join(&e->thread);
	engine_destroy(e);
}

int stoker_engine_fd(const struct stoker_engine *e)
{
	if (!e)
		return -EINVAL;
	return process_mark_is_here(&e->process) ? e->fd : -ENOTSUP;
}

void engine_tell(struct stoker_engine *e, struct request *r)
{
	if (r->ready)
		return;
	r->ready = true;
	r->next_ready = NULL;
	if (!e->first_ready)
		e->first_ready = r;
	else
		e->last_ready->next_ready = r;
	e->last_ready = r;
}

void engine_unlock(struct stoker_engine *e)
{
	const bool ring = e->first_ready && !e->rung;

	e->rung |= ring;
	pthread_mutex_unlock(&e->lock);
	if (ring)
		eventfd_write(e->fd, 1);
}

/* Under the lock, when there is nothing to tell.  Who has just rung may not have got to it: that is
 * left to the next call then. */
static void stop_ringing(struct stoker_engine *e)
{
	eventfd_t unused;

	if (e->rung && !eventfd_read(e->fd, &unused))
		e->rung = false;
}

int stoker_engine_submit(struct stoker_engine *e, const struct stoker_request *from, uint64_t *id,
			 struct stoker_error *err)
{
	struct request *r;
	uint32_t count;
	int ret;

	if (!e || !from || !id)
		return stoker_fail(err, -EINVAL,
				   "submitting needs an engine, a request and a "
				   "place for its number");
	if (!process_mark_is_here(&e->process))
		return elsewhere(err);
	ret = request_create(e, from, &r, err);
	if (ret)
		return ret;
	pthread_mutex_lock(&e->lock);
	count = e->waiting.count + e->running.count;
	if (count < e->queue + e->sequences) {
		*id = r->id = ++e->last_id;
		request_list_add(&e->waiting, r);
		pthread_cond_signal(&e->changed);
	} else {
		ret = stoker_fail(err, -EAGAIN, "%u requests run or wait already, the limit is %u",
				  count, e->queue + e->sequences);
	}
	pthread_mutex_unlock(&e->lock);
	if (ret)
		request_refuse(r);
	return ret;
}

static struct request *find(const struct request_list *l, uint64_t id)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (l->of[i]->id == id)
			return l->of[i];
	return NULL;
}

/* A step that nobody waits for any more is cut short. */
static void stop_useless_step(struct stoker_engine *e)
{
	bool wanted = false, any = false;

	for (uint32_t i = 0; i < e->running.count; i++) {
		any = any || e->running.of[i]->in_step;
		wanted = wanted || (e->running.of[i]->in_step && !e->running.of[i]->cancelled);
	}
	if (any && !wanted)
		atomic_store(&e->stop, 1);
}

void stoker_engine_cancel(struct stoker_engine *e, uint64_t id)
{
	struct request *r;

	if (!e || !process_mark_is_here(&e->process))
		return;
	pthread_mutex_lock(&e->lock);
	r = find(&e->waiting, id);
	if (r) {
		request_list_remove(&e->waiting, r);
		r->finish = STOKER_FINISH_FAILED;
		r->status = stoker_fail(&r->error, -ECANCELED, "cancelled");
		r->done = true;
		engine_tell(e, r);
	}
	r = find(&e->running, id);
	if (r) {
		r->cancelled = true;
		stop_useless_step(e);
	}
	engine_unlock(e);
}

/* Takes the first one's next event; whoever has more goes behind the others. */
static struct request *take_event(struct stoker_engine *e, struct stoker_event *event)
{
	struct request *r = e->first_ready;
	bool last;

	e->first_ready = r->next_ready;
	r->ready = false;
	last = request_tell(r, event);
	if (!last && (r->told < r->published || r->done))
		engine_tell(e, r);
	return last ? r : NULL;
}

int stoker_engine_event(struct stoker_engine *e, struct stoker_event *event)
{
	struct request *over = NULL;
	struct stoker_event own;
	int ret = -EAGAIN;

	if (!e || SIZED_CHECK(event, STOKER_EVENT_INIT, NULL))
		return -EINVAL;
	if (!process_mark_is_here(&e->process))
		return -ENOTSUP;
	pthread_mutex_lock(&e->lock);
	if (e->first_ready) {
		over = take_event(e, &own);
		sized_give(event, &own, sizeof(own));
		ret = 0;
	}
	if (!e->first_ready)
		stop_ringing(e);
	pthread_mutex_unlock(&e->lock);
	if (over)
		request_free(over);
	return ret;
}

int stoker_engine_stats(struct stoker_engine *e, struct stoker_engine_stats *stats)
{
	struct stoker_engine_stats own = { .waiting = 0 };

	if (SIZED_CHECK(stats, STOKER_ENGINE_STATS_INIT, NULL))
		return -EINVAL;
	sized_give(stats, &own, sizeof(own));
	if (!e)
		return -EINVAL;
	if (!process_mark_is_here(&e->process))
		return -ENOTSUP;
	pthread_mutex_lock(&e->lock);
	own = e->stats;
	own.waiting = e->waiting.count;
	own.running = e->running.count;
	pthread_mutex_unlock(&e->lock);
	sized_give(stats, &own, sizeof(own));
	return 0;
}
