// SPDX-License-Identifier: MIT
/*
 * Files into the store: threads with a connection each take what is missing of them, from the front
 * on, while the caller's thread shows progress, checks what is whole and gives it its name.
 */
#include "models/fetch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "models/download.h"
#include "tool.h"

/* Whether all of it has come. */
static bool is_whole(const struct job *j)
{
	return j->open && !j->workers && !j->restarting && j->known && !j->finished &&
	       j->part.record.bytes && !spans_missing(&j->part.record.missing);
}

static int tick(void *context)
{
	struct pool *p = context;
	struct fetches *all = p->all;
	uint64_t got = 0, bytes = 0;
	bool known = true;

	pthread_mutex_lock(&p->lock);
	all->now = NULL;
	for (size_t i = 0; i < all->count; i++) {
		const struct job *j = &p->jobs[i];

		got += j->finished ? all->files[i].bytes : j->open ? part_have(&j->part) : j->there;
		bytes += all->files[i].bytes;
		known = known && all->files[i].bytes;
		if (!all->now && !j->finished)
			all->now = all->files[i].path;
	}
	all->got = got;
	all->bytes = known ? bytes : 0;
	all->received = p->received;
	pthread_mutex_unlock(&p->lock);
	return p->h->tick ? p->h->tick(p->h->context) : 0;
}

/* It is whole: nobody else touches it any more. */
static int finish(struct pool *p, struct job *j, struct stoker_error *err)
{
	struct fetch *f = j->f;
	int ret = part_check_hash(&j->part, f->sha256, f->url, tick, p, err);

	if (ret == -EILSEQ && j->resumed) { /* what was there before may be to blame */
		pthread_mutex_lock(&p->lock);
		p->all->resumed -= j->resumed;
		j->resumed = 0;
		ret = job_restart(j, err);
		pthread_cond_broadcast(&p->moved);
		pthread_mutex_unlock(&p->lock);
		return ret;
	}
	if (!ret)
		ret = part_check_model(&j->part, f->url, err);
	if (!ret)
		ret = part_put_in_place(&j->part, err);
	if (ret == -EILSEQ || ret == -EINVAL)
		j->wrong = true;
	if (ret)
		return ret;
	pthread_mutex_lock(&p->lock);
	f->bytes = j->part.record.bytes;
	j->finished = true;
	part_close(&j->part);
	j->open = false;
	p->left--;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static struct job *next_whole(struct pool *p)
{
	for (size_t i = 0; i < p->all->count; i++)
		if (is_whole(&p->jobs[i]))
			return &p->jobs[i];
	return NULL;
}

/* Until all files are there, or one can't be had. */
static int supervise(struct pool *p, struct stoker_error *err)
{
	int ret = 0;

	pthread_mutex_lock(&p->lock);
	while (!ret && p->left && !p->failure) {
		struct job *j;

		if (!next_whole(p))
			pool_wait(p, 0.05);
		pace_adapt(p);
		j = next_whole(p);
		pthread_mutex_unlock(&p->lock);
		if (tick(p))
			ret = store_error(err, -ECANCELED, "interrupted");
		else if (j)
			ret = finish(p, j, err);
		pthread_mutex_lock(&p->lock);
	}
	if (!ret && p->failure) {
		ret = p->failure;
		*err = p->err;
	}
	p->stop = true;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
	return ret;
}

/* What isn't finished stays for the next call, unless it is wrong or nothing. */
static void leave(struct job *j)
{
	struct stoker_error ignored;

	if (j->open && (j->wrong || !part_have(&j->part)))
		part_remove(&j->part);
	else if (j->open && j->part.record.in_parts)
		part_save(&j->part, &ignored);
	if (j->open)
		part_close(&j->part);
}

static int prepare(struct pool *p, struct stoker_error *err)
{
	p->jobs = calloc(p->all->count, sizeof(*p->jobs));
	p->workers = calloc(p->all->connections, sizeof(*p->workers));
	if (!p->jobs || !p->workers)
		return store_error(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->all->count; i++) {
		struct fetch *f = &p->all->files[i];

		p->jobs[i] = (struct job){
			.pool = p,
			.f = f,
			.there = part_bytes(f->path),
			.given_bytes = f->bytes > 0,
			.given_hash = *f->sha256 != 0,
			.part.fd = -1,
		};
	}
	p->left = p->all->count;
	p->pace.allowed = p->all->all_at_once ? p->all->connections : 1;
	return 0;
}

int fetch_files(struct http *h, struct fetches *all, struct stoker_error *err)
{
	struct pool pool = { .h = h, .all = all };
	unsigned started = 0;
	int ret;

	all->got = all->received = all->resumed = 0;
	pthread_mutex_init(&pool.lock, NULL);
	pthread_cond_init(&pool.moved, NULL);
	ret = prepare(&pool, err);
	while (!ret && started < all->connections) {
		struct worker *w = &pool.workers[started];

		w->pool = &pool;
		if (http_open_another(h, &w->http, err))
			break;
		if (pthread_create(&w->thread, NULL, download_files, w)) {
			http_close_another(&w->http);
			break;
		}
		pthread_mutex_lock(&pool.lock);
		pool.alive++;
		pthread_mutex_unlock(&pool.lock);
		started++;
	}
	if (!ret && !started)
		ret = store_error(err, -ENOMEM, "no thread can be started");
	if (!ret)
		ret = supervise(&pool, err);
	for (unsigned i = 0; i < started; i++) {
		pthread_join(pool.workers[i].thread, NULL);
		http_close_another(&pool.workers[i].http);
	}
	for (size_t i = 0; pool.jobs && i < all->count; i++)
		leave(&pool.jobs[i]);
	all->received = pool.received;
	free(pool.jobs);
	free(pool.workers);
	pthread_cond_destroy(&pool.moved);
	pthread_mutex_destroy(&pool.lock);
	return ret;
}
