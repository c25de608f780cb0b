// SPDX-License-Identifier: MIT
/* Signals of a conversation: they stop an answer, or interrupt what waits for the next turn. */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { MOST_INTERRUPTS = 3 }; /* within an answer; one more ends the program at once */

static const int all[] = { SIGTERM, SIGINT, SIGTSTP, SIGWINCH };
enum { SIGNALS = sizeof(all) / sizeof(*all) };

static struct stoker_session *volatile computing;
static volatile sig_atomic_t answering, came[SIGNALS], interrupts, terminated;
/* A byte for each signal.  A signal may arrive on any thread and at any time; what waits for it in
 * poll() is told for certain only by a descriptor. */
static int wake[2] = { -1, -1 };

static void on_signal(int number)
{
	const int saved = errno;

	for (int i = 0; i < SIGNALS; i++)
		came[i] |= all[i] == number;
	terminated |= number == SIGTERM;
	if (answering && (number == SIGTERM || number == SIGINT)) {
		if (++interrupts > MOST_INTERRUPTS) {
			signal(number, SIG_DFL);
			raise(number);
		}
		stoker_session_cancel(computing);
	}
	if (write(wake[1], "", 1) < 0) {
		/* full: it is readable anyway */
	}
	errno = saved;
}

/* What is being written goes on: stdio would take an interrupted write() for a lost one.  But
 * SIGTERM ends the program even where nobody reads what it writes. */
static void handle(int number, void (*handler)(int))
{
	struct sigaction action = {
		.sa_handler = handler,
		.sa_flags = number == SIGTERM ? 0 : SA_RESTART,
	};

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

bool signals_begin(struct stoker_session *session)
{
	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK))
		return false;
	computing = session;
	handle(SIGINT, on_signal);
	handle(SIGTERM, on_signal);
	return true;
}

void signals_editing(bool editing)
{
	handle(SIGTSTP, editing ? on_signal : SIG_DFL);
	handle(SIGWINCH, editing ? on_signal : SIG_DFL);
}

void signals_end(void)
{
	for (int i = 0; i < SIGNALS; i++)
		handle(all[i], SIG_DFL);
	computing = NULL;
	for (int i = 0; i < 2; i++) {
		if (wake[i] >= 0)
			close(wake[i]);
		wake[i] = -1;
	}
}

int signals_wait(int fd)
{
	for (;;) {
		struct pollfd list[] = { { .fd = wake[0], .events = POLLIN },
					 { .fd = fd, .events = POLLIN } };
		char drained[64];

		while (read(wake[0], drained, sizeof(drained)) > 0)
			;
		for (int i = 0; i < SIGNALS; i++)
			if (came[i]) {
				came[i] = 0;
				return all[i];
			}
		if (poll(list, 2, -1) > 0 && !list[0].revents && list[1].revents)
			return 0;
	}
}

void signals_begin_answer(void)
{
	interrupts = 0;
	answering = 1;
}

void signals_end_answer(void)
{
	answering = 0;
	for (int i = 0; i < SIGNALS; i++)
		came[i] = all[i] == SIGTERM ? came[i] : 0;
}

bool signals_terminated(void)
{
	return terminated;
}
