// SPDX-License-Identifier: MIT
/*
 * A server that no library would be, for stoker pull: it says what it likes and sends something
 * else.  usage: evil MODEL, prints its port.  HOW/x.gguf is an address; as a hub it has
 * repositories evil/HOW.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *model;
static size_t bytes;
/* of all connections, each of which is a process */
static unsigned *turns;

static void send_all(int fd, const char *data, size_t n)
{
	while (n) {
		const ssize_t sent = write(fd, data, n);

		if (sent <= 0)
			_exit(0);
		data += sent;
		n -= (size_t)sent;
	}
}

static void say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(int fd, const char *fmt, ...)
{
	char *text;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		_exit(1);
	send_all(fd, text, (size_t)n);
	free(text);
}

static void repeat(int fd, const char *text, size_t times)
{
	char block[1 << 16];
	const size_t length = strlen(text), per = sizeof(block) / length;

	for (size_t i = 0; i < per; i++)
		memcpy(block + i * length, text, length);
	for (; times; times -= times < per ? times : per)
		send_all(fd, block, length * (times < per ? times : per));
}

/* A range, and what is said of it. */
static void range(int fd, const char *tag, size_t first, size_t last, size_t total)
{
	say(fd,
	    "HTTP/1.1 206 Partial Content\r\n%sContent-Length: %zu\r\n"
	    "Content-Range: bytes %zu-%zu/%zu\r\n\r\n",
	    tag, last + 1 - first, first, last, total);
	send_all(fd, model + first, last + 1 - first);
}

/* How ranges are answered; false when it isn't about them. */
static bool serve_ranges(int fd, const char *how, const char *request)
{
	const char *line = strcasestr(request, "\r\nRange: bytes=");
	size_t first = 0, last = bytes - 1;
	const unsigned turn = __atomic_fetch_add(turns, 1, __ATOMIC_RELAXED);
	char tag[64] = "ETag: \"a\"\r\n";

	if (line)
		sscanf(line, "\r\n%*[^=]=%zu-%zu", &first, &last);
	last = last < bytes ? last : bytes - 1;
	if (!strcmp(how, "tags"))
		snprintf(tag, sizeof(tag), "ETag: \"%u\"\r\n", turn);
	else if (!strcmp(how, "tagless"))
		*tag = 0;
	else if (!strcmp(how, "weak"))
		snprintf(tag, sizeof(tag), "ETag: W/\"a\"\r\n");
	else if (strcmp(how, "totals") != 0 && strcmp(how, "short") != 0 &&
		 strcmp(how, "long") != 0 && strcmp(how, "sometimes") != 0 &&
		 strcmp(how, "backwards") != 0)
		return false;
	if (!line || (!strcmp(how, "sometimes") && first)) {
		say(fd, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", tag, bytes);
		send_all(fd, model, bytes);
	} else if (!strcmp(how, "totals")) {
		range(fd, tag, first, last, bytes + 1000 * (turn % 2));
	} else if (!strcmp(how, "short") && last > first + 1000000) {
		range(fd, tag, first, first + 999999, bytes);
	} else if (!strcmp(how, "long")) {
		range(fd, tag, first, last + 1 < bytes ? last + 1 : last, bytes);
	} else if (!strcmp(how, "backwards")) {
		say(fd, "HTTP/1.1 206 Partial Content\r\n%sContent-Range: bytes 0-%zu/%zu\r\n\r\n",
		    tag, (size_t)-2, (size_t)-1);
	} else {
		range(fd, tag, first, last, bytes);
	}
	return true;
}

static void serve_address(int fd, const char *how)
{
	const char *const data = "Content-Type: x\r\nETag: \"a\"\r\n";

	if (!strcmp(how, "headers")) {
		say(fd, "HTTP/1.1 200 OK\r\n");
		repeat(fd, "X-Nothing: nothing at all\r\n", 1 << 30);
	} else if (!strcmp(how, "header")) {
		say(fd, "HTTP/1.1 200 OK\r\nX-Long: ");
		repeat(fd, "long", 1 << 30);
	} else if (!strcmp(how, "continue")) {
		repeat(fd, "HTTP/1.1 100 Continue\r\n\r\n", 1 << 30);
	} else if (!strcmp(how, "nothing")) {
		_exit(0);
	} else if (!strcmp(how, "noise")) {
		send_all(fd, model, 100000);
	} else if (!strcmp(how, "most")) {
		say(fd, "HTTP/1.1 200 OK\r\n%sContent-Length: 9223372036854775807\r\n\r\n", data);
		send_all(fd, model, 100000);
	} else if (!strcmp(how, "over")) {
		say(fd, "HTTP/1.1 200 OK\r\n%sContent-Length: 18446744073709551617\r\n\r\n", data);
		send_all(fd, model, 100000);
	} else if (!strcmp(how, "minus")) {
		say(fd, "HTTP/1.1 200 OK\r\n%sContent-Length: -1\r\n\r\n", data);
		send_all(fd, model, 100000);
	} else if (!strcmp(how, "status")) {
		say(fd, "HTTP/1.1 99999999999999999999 OK\r\n\r\n");
	} else if (!strcmp(how, "empty")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	} else if (!strcmp(how, "control")) {
		say(fd, "HTTP/1.1 302 Found\r\nLocation: file:///\033]0;owned\007\033[31m%%0a%%1b"
			"\r\nContent-Length: 0\r\n\r\n");
	} else if (!strcmp(how, "tag")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"", bytes);
		repeat(fd, "tag", 20000);
		say(fd, "\"\r\n\r\n");
		send_all(fd, model, bytes);
	} else {
		say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	}
}

/* Lists of a hub. */
static void serve_list(int fd, const char *how)
{
	say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	if (!strcmp(how, "deep")) {
		repeat(fd, "[", 1000000);
	} else if (!strcmp(how, "large")) {
		say(fd, "[0");
		repeat(fd, ",0", 50000000);
		say(fd, "]");
	} else if (!strcmp(how, "zeros")) {
		say(fd, "[0");
		repeat(fd, ",0", 2000000);
		say(fd, "]");
	} else if (!strcmp(how, "sizes")) {
		say(fd, "[");
		for (int i = 1; i <= 3; i++)
			say(fd,
			    "%s{\"type\":\"file\",\"path\":\"a-0000%d-of-00003.gguf\",\"size\":"
			    "%s}",
			    i > 1 ? "," : "", i,
			    i > 1 ? "9223372036854775807" : "99999999999999999999999");
		say(fd, "]");
	} else if (!strcmp(how, "minus")) {
		say(fd, "[{\"type\":\"file\",\"path\":\"a.gguf\",\"size\":-5}]");
	} else if (!strcmp(how, "kinds")) {
		say(fd, "[null,5,\"x\",[],{},{\"type\":5,\"path\":{}},{\"type\":\"file\",\"path\":"
			"[\"a.gguf\"],\"size\":\"x\",\"lfs\":7}]");
	} else if (!strcmp(how, "nul")) {
		say(fd, "[{\"type\":\"file\",\"path\":\"a\\u0000b/../../x.gguf\",\"size\":5}]");
	} else if (!strcmp(how, "folder")) {
		say(fd, "[{\"type\":\"file\",\"path\":\"a.gguf\",\"size\":5},"
			"{\"type\":\"file\",\"path\":\"a.gguf/b.gguf\",\"size\":5}]");
	}
}

static void serve(int fd)
{
	char request[8192], how[64];
	size_t n = 0;

	for (;;) {
		const ssize_t got = read(fd, request + n, sizeof(request) - 1 - n);

		if (got <= 0)
			return;
		n += (size_t)got;
		request[n] = 0;
		if (!strstr(request, "\r\n\r\n"))
			continue;
		if (strstr(request, "/revision/")) {
			say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"sha\":\"%040d\"}",
			    1);
			return;
		}
		if (sscanf(request, "GET /api/models/evil/%63[^/]", how) == 1) {
			serve_list(fd, how);
			return;
		}
		if (sscanf(request, "GET /%63[^/]/", how) != 1)
			return;
		if (!serve_ranges(fd, how, request)) {
			serve_address(fd, how);
			return;
		}
		n = 0;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const int server = socket(AF_INET, SOCK_STREAM, 0);
	const int file = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	socklen_t length = sizeof(address);
	struct stat st;

	if (file < 0 || fstat(file, &st))
		return 2;
	bytes = (size_t)st.st_size;
	model = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
	turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (model == MAP_FAILED || turns == MAP_FAILED || server < 0 ||
	    bind(server, (void *)&address, length) || listen(server, 100) ||
	    getsockname(server, (void *)&address, &length))
		return 1;
	signal(SIGCHLD, SIG_IGN);
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	for (;;) {
		const int fd = accept(server, NULL, NULL);

		if (fd < 0)
			return 1;
		if (!fork()) {
			serve(fd);
			_exit(0);
		}
		close(fd);
	}
}
