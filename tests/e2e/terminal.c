// SPDX-License-Identifier: MIT
/*
 * Runs a program on a pseudo-terminal and does what a script on standard input says.
 * usage: terminal COMMAND... < SCRIPT
 *
 *	send TEXT	types; \n \r \t \e \\ and \xHH stand for what they do in C
 *	expect TEXT	waits until TEXT comes up behind what was expected before
 *	never TEXT	TEXT hasn't come up since the last "expect" but one
 *	nothing		nothing more comes for a while
 *	kill NUMBER	sends a signal
 *	size ROWS COLUMNS
 *	stops		the program is suspended
 *	end STATUS	the program ends with this status, 128 and a signal's number for that
 *
 * Ends with 0 if all came true; with 77 where there are no pseudo-terminals, as in a bare chroot;
 * otherwise with 1, after the line that didn't and all output.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_MS = 20000, QUIET_MS = 300, NO_TERMINALS = 77 };

static char output[1 << 22];
static size_t length, seen, seen_before;
static int terminal;
static pid_t child;

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void fail(const char *line)
{
	fprintf(stderr, "terminal: not so: %s\n", line);
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)output[i];

		if (c == '\n' || c >= 0x20)
			fputc(c, stderr);
		else
			fprintf(stderr, "\\x%02x", c);
	}
	fputc('\n', stderr);
	kill(child, SIGKILL);
	exit(1);
}

static size_t unescape(const char *text, char *out)
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text != '\\') {
			out[n++] = *text;
			continue;
		}
		switch (*++text) {
		case 'n':
			out[n++] = '\n';
			break;
		case 'r':
			out[n++] = '\r';
			break;
		case 't':
			out[n++] = '\t';
			break;
		case 'e':
			out[n++] = '\033';
			break;
		case 'x': {
			const char digits[] = { text[1], text[2], 0 };

			out[n++] = (char)strtol(digits, NULL, 16);
			text += 2;
			break;
		}
		default:
			out[n++] = *text;
		}
	}
	return n;
}

/* Waits up to @ms for more; false at the end or when nothing came. */
static int read_more(int ms)
{
	struct pollfd p = { .fd = terminal, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return 0;
	n = read(terminal, output + length, sizeof(output) - length);
	if (n > 0)
		length += (size_t)n;
	return n > 0;
}

static void expect(const char *text, size_t n, const char *line)
{
	const long until = now_ms() + LIMIT_MS;
	siginfo_t gone;

	for (;;) {
		const char *at = memmem(output + seen, length - seen, text, n);

		if (at) {
			seen_before = seen;
			seen = (size_t)(at - output) + n;
			return;
		}
		gone.si_pid = 0;
		waitid(P_PID, (id_t)child, &gone, WEXITED | WNOHANG | WNOWAIT);
		if (now_ms() > until || (!read_more(100) && gone.si_pid))
			fail(line);
	}
}

static void expect_end(int wanted, const char *line)
{
	const long until = now_ms() + LIMIT_MS;
	struct termios mode;
	int status;

	while (waitpid(child, &status, WNOHANG) != child) {
		read_more(20);
		if (now_ms() > until)
			fail(line);
	}
	while (read_more(0))
		;
	if (tcgetattr(terminal, &mode) || ~mode.c_lflag & (ICANON | ECHO))
		fail("the terminal is as it was");
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (status != wanted) {
		fprintf(stderr, "terminal: status %d\n", status);
		fail(line);
	}
}

static void expect_stop(const char *line)
{
	const long until = now_ms() + LIMIT_MS;
	siginfo_t how = { .si_pid = 0 };

	while (waitid(P_PID, (id_t)child, &how, WSTOPPED | WNOHANG) || !how.si_pid) {
		read_more(20);
		if (now_ms() > until)
			fail(line);
	}
}

static void send_all(const char *text, size_t n)
{
	while (n) {
		const ssize_t sent = write(terminal, text, n);

		if (sent < 0 && errno != EINTR)
			return;
		text += sent > 0 ? sent : 0;
		n -= sent > 0 ? (size_t)sent : 0;
		read_more(0);
	}
}

static void take(const char *line)
{
	const size_t word = strcspn(line, " ");
	const char *rest = line + word + (line[word] == ' ');
	char text[65536];
	const size_t n = unescape(rest, text);

	if (!strncmp(line, "send", word)) {
		send_all(text, n);
	} else if (!strncmp(line, "expect", word)) {
		expect(text, n, line);
	} else if (!strncmp(line, "never", word)) {
		if (memmem(output + seen_before, length - seen_before, text, n))
			fail(line);
	} else if (!strncmp(line, "nothing", word)) {
		const size_t before = length;

		if (read_more(QUIET_MS) && length > before)
			fail(line);
	} else if (!strncmp(line, "kill", word)) {
		kill(child, atoi(rest));
	} else if (!strncmp(line, "size", word)) {
		struct winsize size = { .ws_row = 24, .ws_col = 80 };

		sscanf(rest, "%hu %hu", &size.ws_row, &size.ws_col);
		ioctl(terminal, TIOCSWINSZ, &size);
	} else if (!strncmp(line, "stops", word)) {
		expect_stop(line);
	} else if (!strncmp(line, "end", word)) {
		expect_end(atoi(rest), line);
	} else {
		fail(line);
	}
}

int main(int argc, char **argv)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	char line[32768];

	if (argc < 2)
		return 2;
	child = forkpty(&terminal, NULL, NULL, &size);
	if (!child) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (child < 0) {
		perror("terminal");
		return NO_TERMINALS;
	}
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (*line && *line != '#')
			take(line + strspn(line, "\t "));
	}
	kill(child, SIGKILL);
	return 0;
}
