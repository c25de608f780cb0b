// SPDX-License-Identifier: MIT
/* Ollama's API: POST /api/embed, and /api/embeddings as it was before. */
#include <math.h>

#include "serve/embeddings.h"
#include "serve/field.h"
#include "serve/objects.h"
#include "serve/ollama.h"
#include "tool.h"

/* The vectors of a field; embeddings_free() and models_release() them in any case. */
static bool embed(struct exchange *x, const char *name, const char **model, struct served **m,
		  struct embeddings *e, struct problem *p)
{
	struct json_object *body = exchange_json(x);
	bool cut = true;

	*model = NULL;
	if (!field_text(body, "model", model, p) || !field_bool(body, "truncate", &cut, p) ||
	    !models_take(exchange_server(x), *model, m, p))
		return false;
	if (!*model)
		*model = served_name(*m);
	return embeddings_read(*m, name, field_of(body, name), cut, e, p) &&
	       embeddings_compute(x, *m, e, p);
}

/* The first @width numbers, of length 1. */
static void write_vector(const struct embeddings *e, size_t which, size_t width, struct text *out)
{
	const float *vector = e->vectors + which * e->width;
	double squares = 0;

	for (size_t i = 0; i < width; i++)
		squares += (double)vector[i] * (double)vector[i];
	if (width == e->width || squares == 0)
		squares = 1;
	text_puts(out, "[");
	for (size_t i = 0; i < width; i++)
		text_printf(out, "%s%.9g", i ? "," : "", (double)vector[i] / sqrt(squares));
	text_puts(out, "]");
}

static void reply_or_problem(struct exchange *x, bool ok, struct text *out, struct problem *p)
{
	if (ok && out->failed)
		ok = problem_set(p, 503, NULL, NULL, "out of memory");
	if (ok)
		reply_text(x, 200, "application/json", out->data, out->bytes);
	else
		reply_problem(x, p);
	text_free(out);
}

void ollama_embed(struct exchange *x)
{
	const double begun = now_seconds();
	struct embeddings e = { .texts = NULL };
	struct text out = { .data = NULL };
	struct problem p = { .status = 0 };
	struct served *m = NULL;
	const char *model;
	int64_t width = INT64_MAX;
	const bool ok = embed(x, "input", &model, &m, &e, &p) &&
			field_int(exchange_json(x), "dimensions", 1, INT32_MAX, &width, &p);

	if (ok) {
		if (width > e.width)
			width = e.width;
		text_puts(&out, "{\"model\":");
		text_json_string(&out, model);
		text_puts(&out, ",\"embeddings\":[");
		for (size_t i = 0; i < e.count; i++) {
			text_puts(&out, i ? "," : "");
			write_vector(&e, i, (size_t)width, &out);
		}
		text_printf(&out,
			    "],\"total_duration\":%lld,\"load_duration\":0,"
			    "\"prompt_eval_count\":%llu}",
			    (long long)(1e9 * (now_seconds() - begun)),
			    (unsigned long long)e.tokens);
	}
	reply_or_problem(x, ok, &out, &p);
	embeddings_free(&e);
	models_release(&m);
}

void ollama_embeddings(struct exchange *x)
{
	struct embeddings e = { .texts = NULL };
	struct text out = { .data = NULL };
	struct problem p = { .status = 0 };
	struct served *m = NULL;
	const char *model;
	const char *prompt = NULL;
	const bool ok = field_text(exchange_json(x), "prompt", &prompt, &p) &&
			embed(x, "prompt", &model, &m, &e, &p);

	if (ok) {
		text_puts(&out, "{\"embedding\":");
		write_vector(&e, 0, e.width, &out);
		text_puts(&out, "}");
	}
	reply_or_problem(x, ok, &out, &p);
	embeddings_free(&e);
	models_release(&m);
}
