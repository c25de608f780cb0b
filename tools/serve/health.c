// SPDX-License-Identifier: MIT
/* GET /health. */
#include "serve/health.h"

#include "serve/http.h"
#include "serve/server.h"

void health_get(struct exchange *x)
{
	struct server *s = exchange_server(x);
	const double progress = server_progress(s);
	const bool ends = connections_draining(&s->connections);
	struct problem p = { 0 };
	struct text t = { 0 };

	if (ends || progress < 1) {
		problem_set(&p, 503, NULL, NULL,
			    ends ? "the server is about to end" : "the model is being loaded");
		problem_write(&p, DIALECT_OPENAI, &t);
		t.bytes--; /* goes on behind the error */
		if (ends)
			text_puts(&t, ",\"status\":\"stopping\"}");
		else
			text_printf(&t, ",\"status\":\"loading\",\"progress\":%.3f}", progress);
		exchange_add_header(x, "Retry-After", "1");
		reply_text(x, 503, "application/json", t.data, t.bytes);
	} else {
		text_puts(&t, "{\"status\":\"ok\"}");
		reply_text(x, 200, "application/json", t.data, t.bytes);
	}
	text_free(&t);
}
