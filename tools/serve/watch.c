// SPDX-License-Identifier: MIT
/* The thread that watches the connections. */
#include "serve/watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tool.h"

/* how late a limit may be noticed that began while the thread slept */
enum { TICK_SECONDS = 2 };
enum { PLACES = sizeof(((struct connections *)0)->items) / sizeof(struct connection) };

/* A place and who was there, as it may be somebody else's when the event is looked at. */
static struct epoll_event event_of(const struct connection *c)
{
	const uint64_t place = (uint64_t)(c - c->all->items) + 1;

	return (struct epoll_event){
		.events = EPOLLRDHUP | EPOLLONESHOT,
		.data.u64 = (uint64_t)c->number << 32 | place,
	};
}

void watch_add(struct connection *c)
{
	struct epoll_event event = event_of(c);

	epoll_ctl(c->all->epoll, EPOLL_CTL_ADD, c->fd, &event);
}

void watch_again(struct connection *c)
{
	struct epoll_event event = event_of(c);

	epoll_ctl(c->all->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

void watch_remove(struct connection *c)
{
	epoll_ctl(c->all->epoll, EPOLL_CTL_DEL, c->fd, NULL);
}

void watch_wake(struct connections *all)
{
	const uint64_t one = 1;

	if (write(all->wake, &one, sizeof(one)) < 0) {
		/* as many as can be are there: it is readable anyway */
	}
}

static void tell(struct connections *all, uint64_t about)
{
	struct connection *c = &all->items[(uint32_t)about - 1];
	void (*gone)(void *context);
	void *context;

	pthread_mutex_lock(&all->lock);
	if (c->phase == PHASE_REPLY && c->number == about >> 32) {
		c->hung_up = true;
		gone = c->gone;
		context = c->context;
		c->gone = NULL;
		if (gone) {
			c->calling = true;
			pthread_mutex_unlock(&all->lock);
			gone(context);
			pthread_mutex_lock(&all->lock);
			c->calling = false;
			pthread_cond_broadcast(&all->called);
		}
	}
	pthread_mutex_unlock(&all->lock);
}

/* Ends what takes too long.  Returns when to look again, in milliseconds; -1: when woken up. */
static int end_slow(struct connections *all)
{
	static const int limits[] = {
		[PHASE_HEADER] = HEADER_SECONDS,
		[PHASE_IDLE] = IDLE_SECONDS,
		[PHASE_BODY] = BODY_SECONDS,
		[PHASE_REPLY] = 0, /* as long as it takes */
	};
	const double now = now_seconds();
	double next = TICK_SECONDS;
	bool any = false;

	pthread_mutex_lock(&all->lock);
	for (int i = 0; i < PLACES; i++) {
		struct connection *c = &all->items[i];
		const int limit = limits[c->phase];
		const double left = c->since + limit - now;

		any |= c->phase != PHASE_NONE;
		if (!limit || c->ended)
			continue;
		if (left <= 0) {
			connection_end(c, 408);
		} else if (left < next) {
			next = left;
		}
	}
	pthread_mutex_unlock(&all->lock);
	return any ? (int)(next * 1e3) + 1 : -1;
}

static void *watch(void *argument)
{
	struct connections *all = argument;
	struct epoll_event events[16];

	for (;;) {
		const int n = epoll_wait(all->epoll, events, 16, end_slow(all));

		for (int i = 0; i < n; i++) {
			uint64_t count;

			if (events[i].data.u64) {
				tell(all, events[i].data.u64);
			} else if (read(all->wake, &count, sizeof(count)) > 0) {
				bool watched;

				pthread_mutex_lock(&all->lock);
				watched = all->watched;
				pthread_mutex_unlock(&all->lock);
				if (!watched)
					return NULL;
			}
		}
	}
}

int watch_start(struct connections *all)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ret;

	if (epoll_ctl(all->epoll, EPOLL_CTL_ADD, all->wake, &event))
		return -errno;
	all->watched = true;
	ret = pthread_create(&all->watcher, NULL, watch, all);
	if (ret)
		all->watched = false;
	return -ret;
}

void watch_stop(struct connections *all)
{
	bool watched;

	pthread_mutex_lock(&all->lock);
	watched = all->watched;
	all->watched = false;
	watch_wake(all);
	pthread_mutex_unlock(&all->lock);
	if (watched)
		pthread_join(all->watcher, NULL);
}
