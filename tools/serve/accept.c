// SPDX-License-Identifier: MIT
/* The thread that takes connections. */
#include "serve/accept.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/server.h"

enum {
	MOST_LISTENING = 8,
	/* those that were told that there are too many, until they have read it */
	MOST_REFUSED = 64,
	REFUSED_MS = 1000,
	/* what a slow reader is ahead of what it has read */
	SEND_BYTES = 64 << 10,
	WITHOUT_DESCRIPTORS_MS = 100,
	PLACE_MS = 500,
};

struct refused {
	int fd;
	double until;
};

struct refusals {
	struct refused items[MOST_REFUSED];
	unsigned count;
};

/* Closing it at once would take back what was sent where the request hasn't been read. */
static void refuse(struct refusals *r, int fd)
{
	char reply[512];

	send(fd, reply, connection_refusal(503, reply, sizeof(reply)), MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	if (r->count == MOST_REFUSED) {
		close(r->items[0].fd);
		memmove(r->items, r->items + 1, --r->count * sizeof(*r->items));
	}
	r->items[r->count++] = (struct refused){ fd, now_seconds() + REFUSED_MS / 1e3 };
}

/* Closes those that have hung up, or had their time. */
static void close_refused(struct refusals *r)
{
	const double now = now_seconds();
	unsigned kept = 0;

	for (unsigned i = 0; i < r->count; i++) {
		char rest[4096];
		const ssize_t n = recv(r->items[i].fd, rest, sizeof(rest), MSG_DONTWAIT);

		if (now < r->items[i].until && (n > 0 || (n < 0 && errno == EAGAIN)))
			r->items[kept++] = r->items[i];
		else
			close(r->items[i].fd);
	}
	r->count = kept;
}

static void take(struct server *s, struct refusals *r, int listening)
{
	struct sockaddr_storage address = { 0 };
	socklen_t bytes = sizeof(address);
	const int size = SEND_BYTES;
	const int fd = accept4(listening, (struct sockaddr *)&address, &bytes,
			       SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			poll(NULL, 0, WITHOUT_DESCRIPTORS_MS); /* it would come again at once */
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connections_open(&s->connections, fd, (struct sockaddr *)&address))
		http_add(s, fd, (struct sockaddr *)&address, bytes);
	else
		refuse(r, fd);
}

static void *run(void *argument)
{
	struct accepter *a = argument;
	struct server *s = a->server;
	struct pollfd list[MOST_LISTENING + 1] = { { .fd = a->end, .events = POLLIN } };
	struct refusals refusals = { .count = 0 };

	for (unsigned i = 0; i < s->listening_count; i++)
		list[i + 1] = (struct pollfd){ .fd = s->listening[i], .events = POLLIN };
	while (!list[0].revents) {
		if (poll(list, s->listening_count + 1, refusals.count ? REFUSED_MS / 10 : -1) < 0)
			continue;
		for (unsigned i = 0; i < s->listening_count; i++)
			if (list[i + 1].revents) {
				connections_await_place(&s->connections, PLACE_MS);
				take(s, &refusals, list[i + 1].fd);
			}
		close_refused(&refusals);
	}
	for (unsigned i = 0; i < refusals.count; i++)
		close(refusals.items[i].fd);
	return NULL;
}

int accept_start(struct accepter *a, struct server *s)
{
	int ret;

	*a = (struct accepter){ .server = s, .end = eventfd(0, EFD_CLOEXEC) };
	if (a->end < 0)
		return -errno;
	ret = pthread_create(&a->thread, NULL, run, a);
	if (ret)
		close(a->end);
	return -ret;
}

void accept_stop(struct accepter *a)
{
	const uint64_t one = 1;

	if (write(a->end, &one, sizeof(one)) == sizeof(one))
		pthread_join(a->thread, NULL);
	close(a->end);
}
