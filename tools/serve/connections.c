// SPDX-License-Identifier: MIT
/* The connections that are open, and who makes room for whom. */
#include "serve/connections.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "serve/problem.h"
#include "serve/watch.h"
#include "tool.h"

enum { OPENING_MOST = 8 };
enum { PLACES = sizeof(((struct connections *)0)->items) / sizeof(struct connection) };

int connections_create(struct connections *all)
{
	*all = (struct connections){ .epoll = -1, .wake = -1 };
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->called, NULL);
	pthread_cond_init(&all->changed, NULL);
	all->epoll = epoll_create1(EPOLL_CLOEXEC);
	all->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->epoll < 0 || all->wake < 0)
		return -errno;
	return watch_start(all);
}

void connections_destroy(struct connections *all)
{
	watch_stop(all);
	if (all->epoll >= 0)
		close(all->epoll);
	if (all->wake >= 0)
		close(all->wake);
	pthread_cond_destroy(&all->changed);
	pthread_cond_destroy(&all->called);
	pthread_mutex_destroy(&all->lock);
}

static bool is_waiting(const struct connection *c)
{
	int unread = 0;

	return !c->ended && (c->phase == PHASE_HEADER || c->phase == PHASE_IDLE) &&
	       !ioctl(c->fd, FIONREAD, &unread) && !unread;
}

static bool same_address(const struct connection *a, const struct connection *b)
{
	return a->local == b->local && !memcmp(&a->address, &b->address, sizeof(a->address));
}

/* How many are open, or of those from where @c is. */
static unsigned count(const struct connections *all, const struct connection *c)
{
	unsigned n = 0;

	for (int i = 0; i < PLACES; i++) {
		const struct connection *other = &all->items[i];

		n += other->phase != PHASE_NONE && !other->ended && (!c || same_address(other, c));
	}
	return n;
}

/*
 * The one that is to make room: it waits for a request, has done so for longest, and is from where
 * most come from, so that nobody can push others out by opening many.
 */
static struct connection *find_idlest(struct connections *all, const struct connection *from)
{
	struct connection *found = NULL;
	unsigned most = 0;

	for (int i = 0; i < PLACES; i++) {
		struct connection *c = &all->items[i];
		unsigned n;

		if (!is_waiting(c) || (from && !same_address(c, from)))
			continue;
		n = count(all, c);
		if (!found || n > most || (n == most && c->since < found->since)) {
			found = c;
			most = n;
		}
	}
	return found;
}

size_t connection_refusal(unsigned status, char *out, size_t room)
{
	struct problem p;
	struct text body = { 0 };
	int bytes = 0;

	problem_set(&p, status, NULL, NULL,
		    status == 503 ? "too many connections, try again"
				  : "the request took too long");
	problem_write(&p, DIALECT_OPENAI, &body);
	if (!body.failed)
		bytes = snprintf(out, room,
				 "HTTP/1.1 %s\r\n%sConnection: close\r\n"
				 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
				 status == 503 ? "503 Service Unavailable" : "408 Request Timeout",
				 status == 503 ? "Retry-After: 1\r\n" : "", body.bytes, body.data);
	text_free(&body);
	return bytes > 0 && (size_t)bytes < room ? (size_t)bytes : 0;
}

void connection_end(struct connection *c, unsigned status)
{
	char reply[512];

	c->ended = true;
	if (c->phase == PHASE_OPENING)
		return; /* its descriptor may be closed by now */
	/* where libmicrohttpd hasn't begun */
	if (status && c->phase == PHASE_HEADER)
		send(c->fd, reply, connection_refusal(status, reply, sizeof(reply)),
		     MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(c->fd, SHUT_RDWR);
}

static void set_address(struct connection *c, const struct sockaddr *address)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;

	switch (address->sa_family) {
	case AF_INET6:
		c->address = six->sin6_addr;
		break;
	case AF_INET:
		c->address.s6_addr[10] = c->address.s6_addr[11] = 0xff;
		memcpy(&c->address.s6_addr[12], &four->sin_addr, 4);
		break;
	default:
		c->local = true;
	}
}

static unsigned most_of_address(const struct connection *c)
{
	static const uint8_t mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1 };

	return IN6_IS_ADDR_LOOPBACK(&c->address) || !memcmp(&c->address, mapped, sizeof(mapped))
		       ? CONNECTIONS_OF_THIS_MACHINE
		       : CONNECTIONS_OF_ADDRESS;
}

static bool make_room(struct connections *all, const struct connection *c)
{
	struct connection *idle;

	if (!c->local && count(all, c) >= most_of_address(c))
		idle = find_idlest(all, c);
	else if (count(all, NULL) >= CONNECTIONS_MOST)
		idle = find_idlest(all, NULL);
	else
		return true;
	if (idle)
		connection_end(idle, 503);
	return idle != NULL;
}

/* A free place, and not too many that wait for their thread. */
static bool has_place(const struct connections *all)
{
	int free_places = 0, opening = 0;

	for (int i = 0; i < PLACES; i++) {
		free_places += all->items[i].phase == PHASE_NONE;
		opening += all->items[i].phase == PHASE_OPENING;
	}
	return free_places && opening < OPENING_MOST;
}

void connections_await_place(struct connections *all, int most_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += most_ms * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&all->lock);
	while (!has_place(all) && !pthread_cond_timedwait(&all->changed, &all->lock, &until))
		;
	pthread_mutex_unlock(&all->lock);
}

bool connections_open(struct connections *all, int fd, const struct sockaddr *address)
{
	struct connection c = {
		.all = all,
		.fd = fd,
		.phase = PHASE_OPENING,
		.since = now_seconds(),
	};
	struct connection *place = NULL;

	set_address(&c, address);
	pthread_mutex_lock(&all->lock);
	for (int i = 0; i < PLACES; i++) {
		struct connection *other = &all->items[i];

		/* libmicrohttpd had no memory for that one, and closed it */
		if (other->phase == PHASE_OPENING && other->fd == fd)
			other->phase = PHASE_NONE;
		if (other->phase == PHASE_NONE && !place)
			place = other;
	}
	if (all->draining || !place || !make_room(all, &c)) {
		place = NULL;
	} else {
		c.number = ++all->numbers;
		*place = c;
		watch_wake(all);
	}
	pthread_mutex_unlock(&all->lock);
	return place != NULL;
}

struct connection *connections_started(struct connections *all, int fd)
{
	struct connection *c = NULL;

	pthread_mutex_lock(&all->lock);
	for (int i = 0; i < PLACES && !c; i++)
		if (all->items[i].phase == PHASE_OPENING && all->items[i].fd == fd)
			c = &all->items[i];
	if (c) {
		c->phase = PHASE_HEADER;
		c->since = now_seconds();
		if (c->ended)
			connection_end(c, 503);
	}
	pthread_cond_signal(&all->changed);
	pthread_mutex_unlock(&all->lock);
	return c;
}

void connection_closed(struct connection *c)
{
	struct connections *all = c->all;

	pthread_mutex_lock(&all->lock);
	*c = (struct connection){ .phase = PHASE_NONE };
	pthread_cond_signal(&all->changed);
	pthread_mutex_unlock(&all->lock);
}

bool connection_asked(struct connection *c)
{
	bool goes_on;

	pthread_mutex_lock(&c->all->lock);
	goes_on = !c->ended;
	c->phase = PHASE_BODY;
	c->since = now_seconds();
	pthread_mutex_unlock(&c->all->lock);
	return goes_on;
}

void connection_replying(struct connection *c)
{
	pthread_mutex_lock(&c->all->lock);
	c->phase = PHASE_REPLY;
	c->hung_up = false;
	watch_add(c);
	pthread_mutex_unlock(&c->all->lock);
}

void connection_answered(struct connection *c)
{
	connection_watch(c, NULL, NULL);
	pthread_mutex_lock(&c->all->lock);
	if (c->phase == PHASE_REPLY)
		watch_remove(c);
	c->phase = PHASE_IDLE;
	c->since = now_seconds();
	if (c->all->draining)
		connection_end(c, 0);
	pthread_mutex_unlock(&c->all->lock);
}

void connection_watch(struct connection *c, void (*gone)(void *context), void *context)
{
	pthread_mutex_lock(&c->all->lock);
	while (c->calling)
		pthread_cond_wait(&c->all->called, &c->all->lock);
	c->gone = gone;
	c->context = context;
	if (gone && c->phase == PHASE_REPLY)
		watch_again(c);
	pthread_mutex_unlock(&c->all->lock);
}

bool connection_gone(struct connection *c)
{
	bool gone;

	pthread_mutex_lock(&c->all->lock);
	gone = c->hung_up;
	pthread_mutex_unlock(&c->all->lock);
	return gone;
}

void connections_drain(struct connections *all)
{
	pthread_mutex_lock(&all->lock);
	all->draining = true;
	for (int i = 0; i < PLACES; i++)
		if (all->items[i].phase == PHASE_OPENING || is_waiting(&all->items[i]))
			connection_end(&all->items[i], 503);
	pthread_mutex_unlock(&all->lock);
}

bool connections_draining(struct connections *all)
{
	bool draining;

	pthread_mutex_lock(&all->lock);
	draining = all->draining;
	pthread_mutex_unlock(&all->lock);
	return draining;
}

unsigned connections_busy(struct connections *all)
{
	unsigned busy = 0;

	pthread_mutex_lock(&all->lock);
	for (int i = 0; i < PLACES; i++)
		busy += all->items[i].phase == PHASE_BODY || all->items[i].phase == PHASE_REPLY;
	pthread_mutex_unlock(&all->lock);
	return busy;
}

void connections_end(struct connections *all)
{
	pthread_mutex_lock(&all->lock);
	all->ending = true;
	for (int i = 0; i < PLACES; i++)
		/* looks like a client that hung up: the same way for both */
		if (all->items[i].phase == PHASE_REPLY)
			shutdown(all->items[i].fd, SHUT_RD);
		else if (all->items[i].phase != PHASE_NONE)
			connection_end(&all->items[i], 503);
	pthread_mutex_unlock(&all->lock);
}
