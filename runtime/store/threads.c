// SPDX-License-Identifier: MIT
/* Reads by a few threads that block in pread(): for kernels that refuse io_uring. */
#include <pthread.h>
#include <unistd.h>

#include "base/thread.h"
#include "store/queue.h"

enum { THREADS = 8 };

struct threads {
	struct stoker_store base;
	pthread_mutex_t lock;
	pthread_cond_t work, ended;
	struct store_queue waiting[2], done;
	unsigned in_flight; /* taken on and not yet given back */
	unsigned demand;    /* waiting or being read */
	bool stop;
	unsigned count;
	struct stoker_thread thread[THREADS];
};

int store_read_now(struct store_read *r)
{
	int fd = r->file->fd;

	while (r->done < r->need) {
		const ssize_t n = pread(fd, (uint8_t *)r->dst + r->done, r->bytes - r->done,
					(off_t)(r->offset + r->done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && store_is_refused(-errno) && fd != r->file->plain) {
			fd = r->file->plain;
			continue;
		}
		if (n < 0)
			return -errno;
		r->done += (uint64_t)n;
		if (n == 0)
			break;
	}
	return store_read_short(r);
}

static void *run(void *context)
{
	struct threads *t = context;

	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		struct store_read *r = store_pop(&t->waiting[STORE_DEMAND]);

		if (!r && !t->demand)
			r = store_pop(&t->waiting[STORE_PREFETCH]);
		if (!r) {
			pthread_cond_wait(&t->work, &t->lock);
			continue;
		}
		pthread_mutex_unlock(&t->lock);
		r->result = store_read_now(r);
		pthread_mutex_lock(&t->lock);
		store_push(&t->done, r);
		if (r->priority == STORE_DEMAND && --t->demand == 0)
			pthread_cond_broadcast(&t->work);
		pthread_cond_signal(&t->ended);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void submit(struct stoker_store *s, struct store_read **reads, size_t count,
		   enum store_priority priority)
{
	struct threads *t = (struct threads *)s;

	pthread_mutex_lock(&t->lock);
	store_push_new(&t->waiting[priority], reads, count, priority);
	t->in_flight += (unsigned)count;
	t->demand += priority == STORE_DEMAND ? (unsigned)count : 0;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
}

static size_t complete(struct stoker_store *s, struct store_read **out, size_t max, bool wait)
{
	struct threads *t = (struct threads *)s;
	size_t count;

	pthread_mutex_lock(&t->lock);
	while (wait && t->in_flight && !t->done.first)
		pthread_cond_wait(&t->ended, &t->lock);
	count = store_pop_some(&t->done, out, max);
	t->in_flight -= (unsigned)count;
	pthread_mutex_unlock(&t->lock);
	return count;
}

static size_t withdraw(struct stoker_store *s, struct store_read **out, size_t max)
{
	struct threads *t = (struct threads *)s;
	size_t count;

	pthread_mutex_lock(&t->lock);
	count = store_pop_some(&t->waiting[STORE_PREFETCH], out, max);
	t->in_flight -= (unsigned)count;
	if (!t->in_flight) /* nothing is left that complete() could wait for */
		pthread_cond_broadcast(&t->ended);
	pthread_mutex_unlock(&t->lock);
	return count;
}

static void destroy(struct stoker_store *s)
{
	struct threads *t = (struct threads *)s;

	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < t->count; i++)
		stoker_thread_join(&t->thread[i]);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->ended);
	free(t);
}

static const struct stoker_store_ops threads_ops = {
	.name = "threads",
	.destroy = destroy,
	.submit = submit,
	.complete = complete,
	.withdraw = withdraw,
	.concurrent = true,
};

int stoker_store_open_threads(struct stoker_store **store, struct stoker_error *err)
{
	struct threads *t = calloc(1, sizeof(*t));

	*store = NULL;
	if (!t)
		return stoker_fail(err, -ENOMEM, "out of memory");
	t->base.ops = &threads_ops;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->ended, NULL);
	while (t->count < THREADS && !stoker_thread_create(&t->thread[t->count], run, t))
		t->count++;
	if (!t->count) {
		destroy(&t->base);
		return stoker_fail(err, -EAGAIN, "no thread for reading files");
	}
	*store = &t->base;
	return 0;
}
