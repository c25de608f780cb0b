// SPDX-License-Identifier: MIT
/* The events of a model's engine, for the threads that wait for them. */
#include "serve/dispatcher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "serve/metrics.h"

enum { BUCKETS = 256 };

struct waiter {
	struct waiter *next, **link;
	pthread_cond_t changed;
	bool told, leads;
};

struct dispatcher {
	struct stoker_engine *engine;
	struct metrics *metrics;
	int bell; /* wakes the leader */
	pthread_mutex_t lock;
	struct inbox *buckets[BUCKETS];
	struct waiter *waiters;
	bool led;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int dispatcher_create(struct stoker_engine *engine, struct dispatcher **out,
		      struct stoker_error *err)
{
	struct dispatcher *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (!d) {
		snprintf(err->message, sizeof(err->message), "out of memory");
		return -ENOMEM;
	}
	d->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->bell < 0) {
		const int ret = -errno;

		snprintf(err->message, sizeof(err->message), "no descriptor for a model's events");
		free(d);
		return ret;
	}
	d->engine = engine;
	pthread_mutex_init(&d->lock, NULL);
	*out = d;
	return 0;
}

void dispatcher_measure(struct dispatcher *d, struct metrics *metrics)
{
	d->metrics = metrics;
}

void dispatcher_free(struct dispatcher **d)
{
	if (!*d)
		return;
	pthread_mutex_destroy(&(*d)->lock);
	close((*d)->bell);
	free(*d);
	*d = NULL;
}

static struct inbox **find(struct dispatcher *d, uint64_t id)
{
	struct inbox **at = &d->buckets[id % BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void put_token(struct dispatcher *d, struct inbox *box, const struct stoker_event *e,
		      uint64_t now)
{
	struct token_info token = { .token = e->token,
				    .log_probability = e->log_probability,
				    .top_count = e->top_count };

	if (d->metrics)
		metrics_token(d->metrics,
			      1e-9 * (double)(now - (box->last ? box->last : box->began)),
			      !box->last);
	box->last = now;
	box->told++;
	if (box->head == box->count)
		box->head = box->count = 0;
	if (box->count == box->room) {
		const size_t room = 2 * box->room + 16;
		unsigned char *more = realloc(box->items, room * box->item);

		if (!more) {
			box->no_memory = true;
			return;
		}
		box->items = more;
		box->room = room;
	}
	if (box->item == sizeof(token))
		memcpy(token.top, e->top, sizeof(token.top));
	memcpy(box->items + box->count++ * box->item, &token, box->item);
}

static void tell(struct dispatcher *d, struct waiter *w)
{
	if (!w || w->told)
		return;
	w->told = true;
	if (w->leads)
		eventfd_write(d->bell, 1);
	else
		pthread_cond_signal(&w->changed);
}

/* Whose inbox is gone, nobody wants to know of. */
static void drain(struct dispatcher *d, struct waiter *own)
{
	struct stoker_event e = { STOKER_EVENT_INIT };
	const uint64_t now = now_ns();

	while (!stoker_engine_event(d->engine, &e)) {
		struct inbox *box = *find(d, e.id);

		if (!box)
			continue;
		if (e.type == STOKER_EVENT_DONE) {
			box->done = true;
			box->end = e;
		} else {
			put_token(d, box, &e, now);
		}
		if (box->waiter != own)
			tell(d, box->waiter);
	}
}

static void unlink_box(struct dispatcher *d, const struct inbox *box)
{
	struct inbox **at = find(d, box->id);

	if (*at == box)
		*at = box->next;
}

int dispatcher_submit(struct dispatcher *d, const struct stoker_request *request, struct inbox *box,
		      struct stoker_error *err)
{
	struct inbox **at;
	int ret;

	box->item = request->log_probabilities ? sizeof(struct token_info)
					       : offsetof(struct token_info, top);
	box->began = now_ns();
	box->prompt = (uint32_t)request->count;
	/* under the lock, so that its first event finds the inbox */
	pthread_mutex_lock(&d->lock);
	if (!d->led)
		drain(d, NULL);
	ret = stoker_engine_submit(d->engine, request, &box->id, err);
	if (!ret) {
		at = find(d, box->id);
		*at = box;
	}
	pthread_mutex_unlock(&d->lock);
	return ret;
}

void dispatcher_leave(struct dispatcher *d, struct inbox *box)
{
	pthread_mutex_lock(&d->lock);
	unlink_box(d, box);
	pthread_mutex_unlock(&d->lock);
	if (!box->done)
		stoker_engine_cancel(d->engine, box->id);
	free(box->items);
	box->items = NULL;
}

void dispatcher_cancel(struct dispatcher *d, struct inbox *box)
{
	pthread_mutex_lock(&d->lock);
	box->cancelled = true;
	if (!box->done)
		stoker_engine_cancel(d->engine, box->id);
	tell(d, box->waiter);
	pthread_mutex_unlock(&d->lock);
}

static size_t find_news(struct inbox *const *boxes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (boxes[i]->head < boxes[i]->count || boxes[i]->done || boxes[i]->cancelled ||
		    boxes[i]->no_memory)
			return i;
	return SIZE_MAX;
}

/* The engine's events, polled by this thread for all. */
static void lead(struct dispatcher *d, struct waiter *w, int wait_ms)
{
	struct pollfd fds[] = { { .fd = stoker_engine_fd(d->engine), .events = POLLIN },
				{ .fd = d->bell, .events = POLLIN } };
	eventfd_t unused;

	d->led = w->leads = true;
	pthread_mutex_unlock(&d->lock);
	poll(fds, 2, wait_ms);
	pthread_mutex_lock(&d->lock);
	d->led = w->leads = w->told = false;
	if (fds[1].revents)
		eventfd_read(d->bell, &unused);
}

static void follow(struct dispatcher *d, struct waiter *w, int wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += wait_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	while (!w->told && !pthread_cond_timedwait(&w->changed, &d->lock, &until))
		;
	w->told = false;
}

static void enter(struct dispatcher *d, struct waiter *w, struct inbox *const *boxes, size_t count)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	w->next = d->waiters;
	w->link = &d->waiters;
	if (w->next)
		w->next->link = &w->next;
	d->waiters = w;
	for (size_t i = 0; i < count; i++)
		boxes[i]->waiter = w;
}

/* Somebody else that waits leads on; those that have been told come by here, too. */
static void leave(struct dispatcher *d, struct waiter *w, struct inbox *const *boxes, size_t count)
{
	struct waiter *next;

	for (size_t i = 0; i < count; i++)
		boxes[i]->waiter = NULL;
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	pthread_cond_destroy(&w->changed);
	if (d->led)
		return;
	for (next = d->waiters; next && !next->told; next = next->next)
		if (!next->next)
			tell(d, next);
}

size_t dispatcher_wait(struct dispatcher *d, struct inbox *const *boxes, size_t count, int wait_ms)
{
	const uint64_t until = now_ns() + (uint64_t)wait_ms * 1000000u;
	struct waiter w = { .told = false };
	size_t which;
	int64_t left = wait_ms;
	bool again = true;

	pthread_mutex_lock(&d->lock);
	which = find_news(boxes, count);
	if (which == SIZE_MAX && count) {
		enter(d, &w, boxes, count);
		for (; which == SIZE_MAX && again; which = find_news(boxes, count)) {
			again = left > 0;
			if (again && d->led)
				follow(d, &w, (int)left);
			else if (again)
				lead(d, &w, (int)left);
			if (!d->led)
				drain(d, &w);
			left = ((int64_t)(until - now_ns()) + 999999) / 1000000;
			left = left > 0 ? left : 0;
		}
		leave(d, &w, boxes, count);
	}
	pthread_mutex_unlock(&d->lock);
	return which;
}

enum inbox_news dispatcher_take(struct dispatcher *d, struct inbox *box, struct token_info *token,
				struct stoker_event *end)
{
	enum inbox_news news = INBOX_EMPTY;

	pthread_mutex_lock(&d->lock);
	if (box->cancelled) {
		news = INBOX_CANCELLED;
	} else if (box->no_memory) {
		news = INBOX_NO_MEMORY;
	} else if (box->head < box->count) {
		memcpy(token, box->items + box->head++ * box->item, box->item);
		news = INBOX_TOKEN;
	} else if (box->done) {
		*end = box->end;
		news = INBOX_END;
	}
	pthread_mutex_unlock(&d->lock);
	return news;
}

void dispatcher_each(struct dispatcher *d, void (*each)(void *context, const struct inbox *box),
		     void *context)
{
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct inbox *box = d->buckets[i]; box; box = box->next)
			if (!box->done)
				each(context, box);
	pthread_mutex_unlock(&d->lock);
}
