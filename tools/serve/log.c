// SPDX-License-Identifier: MIT
/* The server's log. */
#include "serve/log.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "serve/exchange.h"
#include "terminal.h"
#include "tool.h"

void log_request(const struct exchange *x, bool whole)
{
	const double now = now_seconds();
	const time_t wall = time(NULL);
	struct text line = { 0 };
	char stamp[32];
	struct tm t;

	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", localtime_r(&wall, &t));
	text_printf(&line, "%s %.20s ", stamp, x->method);
	text_json(&line, x->path, strnlen(x->path, 200));
	text_printf(&line, " %u %" PRIu64 " bytes", x->status, x->sent);
	if (x->prompt_tokens || x->generated_tokens)
		text_printf(&line, ", %" PRIu64 " + %" PRIu64 " tokens", x->prompt_tokens,
			    x->generated_tokens);
	text_printf(&line, ", %.1f ms", (now - x->begun) * 1e3);
	if (x->stream && x->first_byte)
		text_printf(&line, ", first after %.1f ms", (x->first_byte - x->begun) * 1e3);
	if (!whole)
		text_puts(&line, ", cut off");
	text_puts(&line, "\n");
	if (!line.failed)
		fputs(line.data, stderr);
	text_free(&line);
}
