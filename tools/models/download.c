// SPDX-License-Identifier: MIT
/* A connection's thread: it takes a stretch of a file that is missing, asks for it, writes it. */
#include "models/download.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum { MAX_TRIES = 5, MAX_RESTARTS = 8, LONGEST_WAIT = 300 };
/* A stretch is what is left by four for each connection: many while there is much, so that the
 * front is hashed soon, and small ones at the end, so that all connections end at about the same
 * time. */
enum { LEAST_STRETCH = 4 << 20, MOST_STRETCH = 128 << 20, STRETCHES = 4 };

void pool_wait(struct pool *p, double seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
	until.tv_sec += (time_t)seconds + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&p->moved, &p->lock, &until);
}

int job_restart(struct job *j, struct stoker_error *err)
{
	j->restarting = j->known = false;
	if (!j->given_bytes)
		j->f->bytes = 0;
	if (!j->given_hash)
		j->f->sha256[0] = 0;
	return part_restart(&j->part, j->f->url, j->f->bytes, err);
}

/* The unfinished file, with what is there of it. */
static int open_job(struct job *j, struct stoker_error *err)
{
	struct fetch *f = j->f;
	struct part *p = &j->part;
	int ret = part_open(p, f->path, err);

	if (ret) {
		part_close(p);
		return ret;
	}
	j->open = true;
	if (f->commit)
		snprintf(p->record.commit, sizeof(p->record.commit), "%s", f->commit);
	if (!part_goes_on(p, f->url, f->bytes, f->sha256))
		return job_restart(j, err);
	ret = part_go_on(p, f->bytes, err);
	if (!f->bytes)
		f->bytes = p->record.bytes;
	if (!*f->sha256)
		memcpy(f->sha256, p->record.sha256, sizeof(f->sha256));
	j->resumed = j->most = part_have(p);
	j->known = p->record.bytes && !spans_missing(&p->record.missing);
	j->pool->all->resumed += j->resumed;
	return ret;
}

static uint64_t stretch(const struct job *j)
{
	const unsigned allowed = j->pool->pace.allowed, sharing = allowed > 2 ? allowed : 2;
	const uint64_t part = spans_free(&j->part.record.missing) / sharing / STRETCHES;

	if (j->in_one || j->pool->all->connections == 1)
		return NO_END;
	if (!j->f->bytes)
		return LEAST_STRETCH;
	return part < LEAST_STRETCH ? LEAST_STRETCH : part > MOST_STRETCH ? MOST_STRETCH : part;
}

/* Whether something of that file is to be done by one more; the lock is held. */
static bool take_stretch(struct worker *w, struct job *j)
{
	if (j->restarting || ((!j->known || j->in_one) && j->workers))
		return false;
	w->span = spans_take(&j->part.record.missing, stretch(j));
	if (!w->span)
		return false;
	w->job = j;
	w->counts = true;
	w->pool->at_work++;
	j->workers++;
	return true;
}

static void give_up(struct worker *w, int ret, bool wrong, const struct stoker_error *err)
{
	struct pool *p = w->pool;

	if (w->job && wrong)
		w->job->wrong = true;
	if (!p->failure) {
		p->failure = ret;
		p->err = *err;
	}
	p->stop = true;
}

/* Files in their order, so that each is whole as soon as can be; the lock is held. */
static bool find_work(struct worker *w, struct stoker_error *err)
{
	struct pool *p = w->pool;
	unsigned open = 0;

	w->job = NULL;
	if (p->at_work >= p->pace.allowed)
		return false;
	for (size_t i = 0; i < p->all->count && !p->stop; i++) {
		struct job *j = &p->jobs[i];
		int ret = 0;

		if (j->finished)
			continue;
		if (!j->open && open > p->all->connections) /* those before it are being checked */
			return false;
		if (!j->open)
			ret = open_job(j, err);
		else if (j->restarting && !j->workers)
			ret = job_restart(j, err);
		open++;
		if (ret)
			give_up(w, ret, false, err);
		else if (take_stretch(w, j))
			return true;
	}
	return false;
}

static int too_full(const struct job *j, uint64_t wanted, struct stoker_error *err)
{
	char more[16], left[16];

	if (!wanted) /* nobody said how much there is */
		return store_error(err, -ENOSPC, "%s: no space left after %s", j->f->path,
				   human_size(part_have(&j->part), more));
	return store_error(err, -ENOSPC, "%s: it takes %s more, the drive has %s left", j->f->path,
			   human_size(wanted, more), human_size(part_free_space(&j->part), left));
}

/* The server has another file than before, or no ranges: what was fetched is of no use. */
static int start_over(struct job *j, struct stoker_error *err)
{
	if (++j->restarts > MAX_RESTARTS)
		return store_error(err, -EINVAL, "%s: the server has another file each time",
				   j->f->url);
	j->restarting = true;
	return -ESTALE;
}

/* What was announced has to be what the server has. */
static int agree(struct job *j, const struct http_reply *r, uint64_t all, struct stoker_error *err)
{
	struct fetch *f = j->f;

	if (*f->sha256 && *r->linked_hash && strcmp(f->sha256, r->linked_hash) != 0)
		return store_error(
			err, -EINVAL,
			"%s: SHA-256 %.12s... was announced, the server now has %.12s...", f->url,
			f->sha256, r->linked_hash);
	if (*r->linked_hash)
		memcpy(f->sha256, r->linked_hash, sizeof(f->sha256));
	if (!f->bytes)
		f->bytes = r->linked_bytes;
	if (f->bytes && all && all != f->bytes)
		return store_error(err, -EINVAL,
				   "%s: %llu bytes were announced, the server now has %llu", f->url,
				   (unsigned long long)f->bytes, (unsigned long long)all);
	if (!f->bytes)
		f->bytes = all;
	return 0;
}

/* The first answer: what it says is written down before its first byte. */
static int begin_job(struct job *j, const struct http_reply *r, struct stoker_error *err)
{
	struct part *p = &j->part;
	uint64_t missing;

	if (j->f->bytes)
		spans_cut(&p->record.missing, j->f->bytes);
	p->record.bytes = j->f->bytes;
	p->record.in_parts = j->f->bytes > 0;
	memcpy(p->record.sha256, j->f->sha256, sizeof(p->record.sha256));
	memcpy(p->record.etag, r->etag, sizeof(p->record.etag));
	missing = j->f->bytes ? spans_missing(&p->record.missing) : 0;
	if (missing > part_free_space(p))
		return too_full(j, missing, err);
	j->known = true;
	return part_save(p, err);
}

static bool same_tag(const struct job *j, const struct http_reply *r)
{
	return *j->part.record.etag == '"' ? !strcmp(j->part.record.etag, r->etag)
					   : *j->f->sha256 != 0;
}

/* Part of the file. */
static int begin_range(struct worker *w, const struct http_reply *r, struct stoker_error *err)
{
	struct job *j = w->job;
	const bool first = !j->known && !part_have(&j->part);
	int ret;

	if (!w->asked_range || !r->has_range || r->first != w->span->at ||
	    r->last >= w->span->end || (r->has_length && r->length != r->last - r->first + 1))
		return store_error(err, -EINVAL, "%s: asked for byte %llu on, got byte %llu on",
				   j->f->url, (unsigned long long)w->span->at,
				   (unsigned long long)(r->has_range ? r->first : 0));
	/* without a hash only a tag says that the next part is of the same file */
	if (*r->etag != '"' && !*j->f->sha256 && !*r->linked_hash) {
		j->in_one = true;
		return start_over(j, err);
	}
	if (!first && ((!j->given_bytes && j->f->bytes && r->total != j->f->bytes) ||
		       (!same_tag(j, r) && (j->restarts < 2 || !*j->f->sha256))))
		return start_over(j, err);
	ret = agree(j, r, r->total, err);
	return ret || j->known ? ret : begin_job(j, r, err);
}

/* All of it, asked for or not. */
static int begin_all(struct worker *w, const struct http_reply *r, struct stoker_error *err)
{
	struct job *j = w->job;
	struct part *p = &j->part;
	int ret;

	if (j->workers > 1) { /* the others are still writing parts of what there was */
		j->in_one = true;
		return start_over(j, err);
	}
	if (part_have(p)) {
		ret = start_over(j, err);
		if (ret == -ESTALE)
			ret = job_restart(j, err);
		if (ret)
			return ret;
	}
	if (r->has_length && !r->length)
		return store_error(err, -EINVAL, "%s gave no model: it is empty", j->f->url);
	ret = agree(j, r, r->has_length ? r->length : 0, err);
	if (ret)
		return ret;
	j->in_one = w->asked_range || !r->has_length || (*r->etag != '"' && !*j->f->sha256);
	w->span = spans_reset(&p->record.missing, 0, j->f->bytes ?: NO_END);
	w->span->taken = true;
	return begin_job(j, r, err);
}

static int begin(void *context, const struct http_reply *r, struct stoker_error *err)
{
	struct worker *w = context;
	int ret;

	pthread_mutex_lock(&w->pool->lock);
	ret = w->job->restarting ? -ESTALE
	      : r->status == 206 ? begin_range(w, r, err)
				 : begin_all(w, r, err);
	pthread_cond_broadcast(&w->pool->moved);
	pthread_mutex_unlock(&w->pool->lock);
	return ret;
}

static int no_space(struct worker *w, uint64_t at, struct stoker_error *err)
{
	struct job *j = w->job;
	int ret;

	pthread_mutex_lock(&w->pool->lock);
	ret = too_full(j, j->f->bytes ? j->f->bytes - at : 0, err);
	pthread_mutex_unlock(&w->pool->lock);
	return ret;
}

static int write_all(struct worker *w, const char *data, size_t bytes, struct stoker_error *err)
{
	struct job *j = w->job;
	uint64_t at = w->span->at;

	while (bytes) {
		const ssize_t n = pwrite(j->part.fd, data, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOSPC)
			return no_space(w, at, err);
		if (n <= 0)
			return store_error(err, n ? -errno : -EIO, "%s: can't write it: %s",
					   j->part.name, strerror(n ? errno : EIO));
		data += n;
		bytes -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static int take(void *context, const char *data, size_t bytes, struct stoker_error *err)
{
	struct worker *w = context;
	struct job *j = w->job;
	struct pool *p = w->pool;
	int ret;

	/* only this thread moves them */
	if (bytes > w->span->end - w->span->at)
		return store_error(err, -EINVAL,
				   "%s: %llu bytes were announced, the server sends more",
				   j->f->url, (unsigned long long)j->f->bytes);
	ret = write_all(w, data, bytes, err);
	if (ret)
		return ret;
	pthread_mutex_lock(&p->lock);
	w->span->at += bytes;
	p->received += bytes;
	if (part_have(&j->part) > j->most) {
		j->most = part_have(&j->part);
		w->moved = true;
	}
	hasher_advance(j->part.hasher, part_front(&j->part));
	part_save_sometimes(&j->part);
	if (j->restarting)
		ret = -ESTALE;
	pthread_mutex_unlock(&p->lock);
	return ret;
}

/* What a status other than success means: -EAGAIN when another try may help. */
static int explain(struct worker *w, const struct http_reply *r, struct stoker_error *err)
{
	const bool later = r->status == 429 || r->status == 408 || r->status >= 500;
	struct job *j = w->job;

	if (later && r->retry_after > LONGEST_WAIT)
		return store_error(err, -EBUSY, "%s: the server says %ld and to wait %lld seconds",
				   j->f->url, r->status, (long long)r->retry_after);
	if (r->status == 416 && !j->tried_range) {
		j->tried_range = j->in_one = true;
		return start_over(j, err);
	}
	return store_error(err, later ? -EAGAIN : -ENOENT, "%s: the server says %ld%s", j->f->url,
			   r->status,
			   r->status == 401 || r->status == 403
				   ? w->http.token ? ", the token doesn't open it"
						   : ", it wants a token: HF_TOKEN or --token-file"
			   : r->status == 404 ? ", there is no such file"
			   : later	      ? ", it's busy"
					      : "");
}

/* An answer has come to its end. */
static int end_of(struct worker *w, const struct http_reply *r, struct stoker_error *err)
{
	struct job *j = w->job;

	if (r->status != 200 && r->status != 206)
		return explain(w, r, err);
	if (w->span->end == NO_END && w->span->at) { /* nobody had told how much there is */
		w->span->end = j->f->bytes = j->part.record.bytes = w->span->at;
		hasher_advance(j->part.hasher, w->span->at);
	}
	if (w->span->at < w->span->end)
		return store_error(err, -EAGAIN, "%s: it ended after %llu of %llu bytes", j->f->url,
				   (unsigned long long)w->span->at,
				   (unsigned long long)w->span->end);
	return 0;
}

/* Whether this thread tries again; others that have a better connection go on without it. */
static bool tries_again(struct worker *w, int ret, int64_t pause)
{
	w->tries = w->moved ? 0 : w->tries + 1;
	w->moved = false;
	if (ret != -EAGAIN || w->tries == MAX_TRIES)
		return false;
	if (!pause && w->tries)
		pause = 1 << (w->tries - 1);
	w->not_before = now_seconds() + (double)pause;
	return true;
}

static int asked_to_stop(void *context)
{
	struct pool *p = context;
	bool stop;

	pthread_mutex_lock(&p->lock);
	stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return stop;
}

/* Asks for a stretch; false when this thread has nothing more to do.  The lock is held. */
static bool fetch_stretch(struct worker *w, struct stoker_error *err)
{
	struct job *j = w->job;
	struct pool *p = w->pool;
	char etag[ETAG_MAX];
	struct http_request q = { .url = j->f->url,
				  .from = w->span->at,
				  .if_range = etag,
				  .begin = begin,
				  .data = take,
				  .context = w };
	struct http_reply reply;
	bool goes_on = true;
	int ret;

	if (w->span->end != NO_END && w->span->end != j->f->bytes)
		q.end = w->span->end;
	w->asked_range = q.from || q.end;
	/* with a hash that is known a tag that keeps changing says nothing */
	snprintf(etag, sizeof(etag), "%s",
		 j->restarts < 2 || !*j->f->sha256 ? j->part.record.etag : "");
	pthread_mutex_unlock(&p->lock);
	ret = http_get(&w->http, &q, &reply, err);
	pthread_mutex_lock(&p->lock);
	if (!ret)
		ret = end_of(w, &reply, err);
	if (!ret)
		w->tries = 0;
	w->span->taken = false;
	j->workers--;
	if (ret && ret != -ESTALE && !p->stop && !tries_again(w, ret, reply.retry_after)) {
		goes_on = false;
		if (p->alive == 1 || p->at_work == 1 || (ret != -EAGAIN && ret != -EBUSY))
			give_up(w, ret, ret == -EINVAL, err);
	}
	http_free_reply(&reply);
	pthread_cond_broadcast(&p->moved);
	return goes_on;
}

static void stop_counting(struct worker *w)
{
	if (w->counts)
		w->pool->at_work--;
	w->counts = false;
}

void *download_files(void *context)
{
	struct worker *w = context;
	struct pool *p = w->pool;
	struct stoker_error err;
	bool goes_on = true;

	w->http.tick = asked_to_stop;
	w->http.context = p;
	pthread_mutex_lock(&p->lock);
	while (goes_on && !p->stop && p->left) {
		const double pause = w->not_before - now_seconds();

		if (pause > 0) {
			pool_wait(p, pause);
			continue;
		}
		stop_counting(w);
		if (find_work(w, &err))
			goes_on = fetch_stretch(w, &err);
		else if (!p->stop)
			pthread_cond_wait(&p->moved, &p->lock);
	}
	stop_counting(w);
	p->alive--;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}
