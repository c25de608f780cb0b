// SPDX-License-Identifier: MIT
/* GET /health. */
#include "serve/health.h"

#include <string.h>

#include "serve/http.h"
#include "serve/models.h"
#include "serve/server.h"

/* Why nothing can be answered now; status 0: it can be. */
static const char *state(struct server *s, struct problem *p, double *progress)
{
	struct models_progress now;

	*p = (struct problem){ 0 };
	models_progress(s->models, &now);
	*progress = now.total ? (double)now.done / (double)now.total : 0;
	if (connections_draining(&s->connections)) {
		problem_set(p, 503, NULL, NULL, "the server is about to end");
		return "stopping";
	}
	if (now.state == MODELS_LOADING) {
		problem_set(p, 503, NULL, NULL, "the model is being loaded");
		return "loading";
	}
	if (now.state == MODELS_FAILED) {
		problem_set(p, 503, NULL, NULL, "%s", now.message);
		return "failed";
	}
	return "ok";
}

void health_get(struct exchange *x)
{
	double progress;
	struct problem p;
	struct text t = { 0 };
	const char *is = state(exchange_server(x), &p, &progress);

	if (p.status) {
		problem_write(&p, DIALECT_OPENAI, &t);
		t.bytes--; /* goes on behind the error */
		text_printf(&t, ",\"status\":\"%s\"", is);
		if (!strcmp(is, "loading"))
			text_printf(&t, ",\"progress\":%.3f", progress);
		text_puts(&t, "}");
		exchange_add_header(x, "Retry-After", "1");
		reply_text(x, 503, "application/json", t.data, t.bytes);
	} else {
		text_puts(&t, "{\"status\":\"ok\"}");
		reply_text(x, 200, "application/json", t.data, t.bytes);
	}
	text_free(&t);
}
