// SPDX-License-Identifier: MIT
/* The sockets that the server listens on: an address, a Unix socket, or what systemd has opened. */
#include "serve/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve/guard.h"
#include "serve/server.h"

enum { BACKLOG = 1024, FIRST_PASSED = 3 };

/* Whether @address may be listened on, which is called @name.  An exit status, after a complaint.
 */
static int check_open(struct server *s, const struct sockaddr *address, const char *name)
{
	if (guard_is_loopback(address))
		return EXIT_OK;
	s->rules.open = true;
	if (s->keys.count || s->options->insecure)
		return EXIT_OK;
	return failf("%s can be reached from other machines: give --api-key-file with a key, or "
		     "--insecure if everybody there may use it",
		     name);
}

/* "http://127.0.0.1:8080" */
static void describe(struct server *s, int fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t bytes = sizeof(address);
	char host[64] = "", port[16] = "";

	if (*s->address)
		return;
	if (getsockname(fd, (struct sockaddr *)&address, &bytes))
		return;
	if (address.ss_family == AF_UNIX)
		snprintf(s->address, sizeof(s->address), "unix:%s",
			 ((struct sockaddr_un *)&address)->sun_path);
	else if (!getnameinfo((struct sockaddr *)&address, bytes, host, sizeof(host), port,
			      sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(s->address, sizeof(s->address),
			 address.ss_family == AF_INET6 ? "http://[%s]:%s" : "http://%s:%s", host,
			 port);
}

static void keep(struct server *s, int fd)
{
	s->listening[s->listening_count++] = fd;
	describe(s, fd);
}

/* 0: nobody passed any; otherwise their number, or -1 after a complaint. */
static int take_passed(struct server *s)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const int most = sizeof(s->listening) / sizeof(*s->listening);
	int n;

	if (!pid || !count || strtol(pid, NULL, 10) != getpid())
		return 0;
	n = (int)strtol(count, NULL, 10);
	if (n < 1 || n > most) {
		failf("LISTEN_FDS=%s: 1 to %d sockets can be passed", count, most);
		return -1;
	}
	for (int fd = FIRST_PASSED; fd < FIRST_PASSED + n; fd++) {
		struct sockaddr_storage address;
		socklen_t bytes = sizeof(address);
		int listens = 0;
		socklen_t size = sizeof(listens);

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens ||
		    getsockname(fd, (struct sockaddr *)&address, &bytes)) {
			failf("descriptor %d, which was passed, isn't a listening socket", fd);
			return -1;
		}
		keep(s, fd);
		if (check_open(s, (struct sockaddr *)&address, s->address) != EXIT_OK)
			return -1;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	return n;
}

/* The file of a server that ended without removing it. */
static bool is_stale(const struct sockaddr_un *address)
{
	struct stat st;
	bool stale;
	int fd;

	if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	stale = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
		errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return stale;
}

static int listen_local(struct server *s, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const mode_t mask = umask(0177);
	int fd = -1, bound = -1;

	if (strlen(path) < sizeof(address.sun_path)) {
		memcpy(address.sun_path, path, strlen(path));
		if (is_stale(&address))
			unlink(path);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
	} else {
		errno = ENAMETOOLONG;
	}
	umask(mask);
	if (bound || listen(fd, BACKLOG)) {
		failf("%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return EXIT_FAILED;
	}
	s->made_socket = true;
	keep(s, fd);
	return EXIT_OK;
}

static void set_port(struct sockaddr *address, in_port_t port)
{
	if (address->sa_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)address)->sin6_port = port;
	else
		((struct sockaddr_in *)(void *)address)->sin_port = port;
}

static in_port_t port_of(int fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t bytes = sizeof(address);

	getsockname(fd, (struct sockaddr *)&address, &bytes);
	return address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
					     : ((struct sockaddr_in *)&address)->sin_port;
}

static int listen_at(const struct addrinfo *a)
{
	const int on = 1;
	const int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int failed;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, BACKLOG))
		return fd;
	failed = errno;
	close(fd);
	return -failed;
}

/* A name may have an address of each kind: "localhost" usually does. */
static int listen_all(struct server *s, const struct addrinfo *all)
{
	const char *host = s->options->host;
	int first = 0;

	for (const struct addrinfo *a = all; a; a = a->ai_next)
		if (check_open(s, a->ai_addr, host) != EXIT_OK)
			return EXIT_FAILED;
	for (const struct addrinfo *a = all; a && s->listening_count < 2; a = a->ai_next) {
		int fd;

		if (s->listening_count)
			set_port(a->ai_addr, port_of(s->listening[0]));
		fd = listen_at(a);
		if (fd >= 0)
			keep(s, fd);
		else if (!first)
			first = -fd;
	}
	if (s->listening_count)
		return EXIT_OK;
	return failf("%s port %u: %s%s", host, (unsigned)s->options->port, strerror(first),
		     first == EADDRINUSE ? "; --port 0 takes a free one" : "");
}

int listen_start(struct server *s)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	const int passed = take_passed(s);
	struct addrinfo *found;
	char port[16];
	int ret;

	if (passed)
		return passed < 0 ? EXIT_FAILED : EXIT_OK;
	if (s->options->socket)
		return listen_local(s, s->options->socket);
	snprintf(port, sizeof(port), "%u", (unsigned)s->options->port);
	ret = getaddrinfo(s->options->host, port, &hints, &found);
	if (ret)
		return failf("--host %s: %s", s->options->host, gai_strerror(ret));
	ret = listen_all(s, found);
	freeaddrinfo(found);
	return ret;
}

void listen_stop(struct server *s)
{
	for (unsigned i = 0; i < s->listening_count; i++)
		close(s->listening[i]);
	s->listening_count = 0;
	if (s->made_socket)
		unlink(s->options->socket);
	s->made_socket = false;
}

void listen_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t length = path ? strlen(path) : 0;
	int fd;

	if ((length && *path != '/' && *path != '@') || length < 2 ||
	    length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		*address.sun_path = 0; /* no file: an abstract name */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}
