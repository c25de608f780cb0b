// SPDX-License-Identifier: MIT
/* Clients of a server that is measured: they cost little, so that the server has the processor. */
#include "bench/serve_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

enum { STALLED_SECONDS = 120, CLIENTS_AN_ADDRESS = 8 };
#define WAKE_SECONDS 0.1 /* interrupts, and clients that hang up by the clock */

static bool parse_host(const char *host, unsigned long port, struct target *t)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&t->address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&t->address;

	if (!strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (!strcmp(host, "[::1]")) {
		*six = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = htons((uint16_t)port),
					      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
		t->length = sizeof(*six);
		return true;
	}
	*four = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	t->length = sizeof(*four);
	return inet_pton(AF_INET, host, &four->sin_addr) == 1 &&
	       ntohl(four->sin_addr.s_addr) >> 24 == 127;
}

int target_parse(const char *url, struct target *t)
{
	char host[48] = "";
	const char *at = url + 7, *colon;
	unsigned long port = 80;
	char *end = NULL;

	*t = (struct target){ .length = 0 };
	if (strncmp(url, "http://", 7) != 0) {
		failf("--against: \"%s\" isn't http://HOST:PORT", url);
		return EXIT_USAGE;
	}
	colon = *at == '[' ? strstr(at, "]:") : strchr(at, ':');
	colon += colon && *at == '[';
	snprintf(host, sizeof(host), "%.*s", (int)(colon ? colon - at : (long)strcspn(at, "/")),
		 at);
	if (colon)
		port = strtoul(colon + 1, &end, 10);
	if (colon && (end == colon + 1 || !port || port > UINT16_MAX || (*end && *end != '/'))) {
		failf("--against: \"%s\" has no port like 8080", url);
		return EXIT_USAGE;
	}
	if (!parse_host(host, port, t)) {
		failf("--against: \"%s\" isn't this machine; servers are measured on 127.0.0.1, "
		      "[::1] or localhost alone",
		      host);
		return EXIT_USAGE;
	}
	snprintf(t->host, sizeof(t->host), "%.40s:%lu", host, port);
	return EXIT_OK;
}

struct client *clients_create(unsigned count, struct samples *gaps)
{
	struct client *list = calloc(count, sizeof(*list));

	for (unsigned i = 0; list && i < count; i++) {
		list[i].number = i;
		list[i].fd = -1;
		list[i].reply.gaps = gaps;
	}
	return list;
}

void clients_free(struct client **clients, unsigned count)
{
	struct client *list = *clients;

	for (unsigned i = 0; list && i < count; i++) {
		if (list[i].fd >= 0)
			close(list[i].fd);
		free(list[i].request);
		reply_free(&list[i].reply);
	}
	free(list);
	*clients = NULL;
}

bool client_post(struct client *c, const struct target *t, const char *path, const char *body)
{
	int n;

	free(c->request);
	c->request = NULL;
	if (body)
		n = asprintf(&c->request,
			     "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
			     "Accept: text/event-stream\r\nContent-Length: %zu\r\n\r\n%s",
			     path, t->host, strlen(body), body);
	else
		n = asprintf(&c->request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, t->host);
	if (n < 0)
		c->request = NULL;
	c->bytes = n < 0 ? 0 : (size_t)n;
	c->sent = 0;
	return n >= 0;
}

/* As many clients are at different machines, which servers tell apart: another of 127.0.0.0/8. */
static void take_address(const struct client *c, const struct target *t)
{
	const struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + c->number / CLIENTS_AN_ADDRESS)
	};

	if (t->address.ss_family == AF_INET && c->number >= CLIENTS_AN_ADDRESS)
		bind(c->fd, (const struct sockaddr *)&from, sizeof(from));
}

static bool connect_client(struct client *c, const struct target *t)
{
	const int on = 1;

	if (c->fd >= 0)
		close(c->fd);
	c->fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->reused = false;
	c->sent = 0;
	if (c->fd < 0)
		return false;
	take_address(c, t);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return !connect(c->fd, (const struct sockaddr *)&t->address, t->length) ||
	       errno == EINPROGRESS;
}

static void end(struct drive *d, struct client *c, double now)
{
	c->busy = false;
	if (c->fd >= 0 && (!c->reply.whole || !c->reply.keeps)) {
		close(c->fd);
		c->fd = -1;
	}
	c->reused = c->fd >= 0;
	d->ended(d->context, c, now);
}

/* An idle connection that the server has closed meanwhile is no failure. */
static void lost(struct drive *d, struct client *c, double now)
{
	if (c->reused && !c->reply.status && !c->reply.head_bytes && connect_client(c, d->target))
		return;
	if (!*c->reply.error)
		snprintf(c->reply.error, sizeof(c->reply.error),
			 c->reply.status ? "the connection ended within the reply"
					 : "no connection: %s",
			 strerror(errno));
	end(d, c, now);
}

void client_hang_up(struct client *c)
{
	c->hung_up = c->busy;
}

static bool wants_to_go(const struct client *c, double now)
{
	return c->hung_up || (c->hang_up_pieces && c->reply.pieces >= c->hang_up_pieces) ||
	       (c->hang_up_seconds > 0 && now >= c->began + c->hang_up_seconds);
}

static void hear(struct drive *d, struct client *c, double now)
{
	char buffer[32768];
	const ssize_t n = recv(c->fd, buffer, sizeof(buffer), 0);
	const bool fresh = !c->reply.status;
	long taken;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		errno = n ? errno : ECONNRESET;
		if (!fresh && reply_closed(&c->reply, now))
			end(d, c, now);
		else
			lost(d, c, now);
		return;
	}
	taken = reply_take(&c->reply, buffer, (size_t)n, now);
	if (taken < 0 || taken < n) {
		snprintf(c->reply.error, sizeof(c->reply.error), "%s",
			 taken == -ENOMEM ? "a reply that is too long" : "what came isn't HTTP");
		c->reply.keeps = false;
	}
	if (d->heard)
		d->heard(d->context, c, now);
	if (taken < 0 || c->reply.whole)
		end(d, c, now);
}

static void speak(struct drive *d, struct client *c, double now)
{
	const ssize_t n = send(c->fd, c->request + c->sent, c->bytes - c->sent, MSG_NOSIGNAL);

	if (n >= 0)
		c->sent += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		lost(d, c, now);
}

static void begin(struct drive *d, struct client *c, double now)
{
	reply_begin(&c->reply);
	c->busy = true;
	if (c->fd < 0 && !connect_client(c, d->target))
		lost(d, c, now);
	else
		speak(d, c, now);
}

/* Gives idle ones something to do.  Whether anybody is busy, or will be. */
static bool assign(struct drive *d, double now)
{
	bool going = false;

	d->wake = now + WAKE_SECONDS;
	for (unsigned i = 0; i < d->count; i++) {
		struct client *c = &d->clients[i];
		enum turn turn = TURN_GO;

		if (!c->busy) {
			c->hang_up_pieces = 0;
			c->hang_up_seconds = 0;
			c->hung_up = false;
			c->began = now;
			turn = d->next(d->context, c, now);
			if (turn == TURN_GO)
				begin(d, c, now);
		}
		going = going || turn != TURN_OVER;
	}
	return going;
}

int drive_run(struct drive *d)
{
	struct pollfd list[MOST_CLIENTS];
	double heard = now_seconds();

	d->stalled = d->stalled > 0 ? d->stalled : STALLED_SECONDS;
	while (assign(d, now_seconds())) {
		const double left = d->wake - now_seconds(), wait = left > 0 ? left : 0;
		const struct timespec timeout = { .tv_sec = (time_t)wait,
						  .tv_nsec = (long)(1e9 * (wait - floor(wait))) };
		double now;
		int ready;

		for (unsigned i = 0; i < d->count; i++) {
			const struct client *c = &d->clients[i];

			list[i] = (struct pollfd){
				.fd = c->busy ? c->fd : -1,
				.events = c->sent < c->bytes ? POLLIN | POLLOUT : POLLIN,
			};
		}
		ready = ppoll(list, d->count, &timeout, NULL);
		now = now_seconds();
		if (interrupted())
			return EXIT_INTERRUPTED;
		if (ready > 0)
			heard = now;
		else if (now > heard + d->stalled)
			return failf("the server has said nothing for %.0f seconds", now - heard);
		for (unsigned i = 0; i < d->count; i++) {
			struct client *c = &d->clients[i];

			if (c->busy && list[i].revents & (POLLIN | POLLHUP | POLLERR))
				hear(d, c, now);
			else if (c->busy && list[i].revents & POLLOUT)
				speak(d, c, now);
			if (c->busy && wants_to_go(c, now)) {
				c->hung_up = true;
				end(d, c, now);
			}
		}
	}
	return EXIT_OK;
}

struct ask {
	const struct target *target;
	const char *path, *body;
	bool asked;
};

static enum turn ask_next(void *context, struct client *c, double now)
{
	struct ask *a = context;

	(void)now;
	if (a->asked || !client_post(c, a->target, a->path, a->body))
		return TURN_OVER;
	a->asked = true;
	return TURN_GO;
}

static void ask_ended(void *context, struct client *c, double now)
{
	(void)context;
	(void)c;
	(void)now;
}

int target_ask(const struct target *t, const char *path, const char *body, struct client **answer)
{
	struct ask ask = { .target = t, .path = path, .body = body };
	struct drive d = { .target = t,
			   .clients = clients_create(1, NULL),
			   .count = 1,
			   .context = &ask,
			   .next = ask_next,
			   .ended = ask_ended };
	int status = EXIT_OK;

	if (!d.clients)
		return failf("out of memory");
	d.clients->reply.keep_text = true;
	status = drive_run(&d);
	if (!status && !d.clients->reply.whole)
		status = failf("%s%s: %s", t->host, path, d.clients->reply.error);
	if (status)
		clients_free(&d.clients, 1);
	*answer = d.clients;
	return status;
}
