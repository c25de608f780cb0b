// SPDX-License-Identifier: MIT
/* The server's log. */
#include "serve/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/exchange.h"
#include "terminal.h"
#include "tool.h"

static const char *time_stamp(char out[32])
{
	const time_t now = time(NULL);
	struct tm t;

	strftime(out, 32, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&now, &t));
	return out;
}

void log_request(const struct exchange *x, bool whole)
{
	const double now = now_seconds();
	struct text line = { 0 };
	char stamp[32];

	text_printf(&line, "%s ", time_stamp(stamp));
	/* one that nobody knows may be anything */
	if (x->route)
		text_puts(&line, x->method);
	else
		text_json(&line, x->method, strnlen(x->method, 20));
	text_puts(&line, " ");
	text_json(&line, x->path, strnlen(x->path, 200));
	text_printf(&line, " %u %" PRIu64 " bytes", x->status, x->sent);
	if (x->prompt_tokens || x->generated_tokens)
		text_printf(&line, ", %" PRIu64 " + %" PRIu64 " tokens", x->prompt_tokens,
			    x->generated_tokens);
	text_printf(&line, ", %.1f ms", (now - x->begun) * 1e3);
	if (x->stream && x->first_byte > 0)
		text_printf(&line, ", first after %.1f ms", (x->first_byte - x->begun) * 1e3);
	if (!whole)
		text_puts(&line, ", cut off");
	text_puts(&line, "\n");
	if (!line.failed) {
		flockfile(stderr);
		show_text(stderr, line.data, line.bytes);
		funlockfile(stderr);
	}
	text_free(&line);
}

int log_open_prompts(const char *path)
{
	const int fd = open(
		path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0) {
		failf("%s: %s", path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077) {
		failf("%s: prompts are written to a file that nobody else can read (mode 600)",
		      path);
		close(fd);
		return -1;
	}
	return fd;
}

void log_prompt(const struct exchange *x, int fd)
{
	struct text line = { 0 };
	size_t bytes;
	const char *json = json_object_to_json_string_length(
		x->json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);
	char stamp[32];

	if (!json)
		return;
	text_printf(&line, "{\"time\":\"%s\",\"path\":", time_stamp(stamp));
	text_json_string(&line, x->path);
	text_printf(&line, ",\"status\":%u,\"request\":", x->status);
	text_add(&line, json, bytes);
	text_puts(&line, ",\"reply\":");
	text_json(&line, x->said.data, x->said.bytes);
	text_puts(&line, "}\n");
	/* one call, so that lines of other threads stay apart */
	if (!line.failed && write(fd, line.data, line.bytes) != (ssize_t)line.bytes)
		fprintf(stderr, "stoker: warning: --log-prompts: %s\n", strerror(errno));
	text_free(&line);
}
