// SPDX-License-Identifier: MIT
/* The answers to one request, while they come. */
#include "serve/openai.h"

static void count_end(struct answers *a, size_t which, const struct piece *piece)
{
	const bool first = which % (a->each ? a->each : a->count) == 0;

	a->ended++;
	a->usage.prompt += first ? piece->usage.prompt : 0;
	a->usage.cached += first ? piece->usage.cached : 0;
	a->usage.generated += piece->usage.generated;
	a->usage.reasoning += piece->usage.reasoning;
	a->timings = piece->timings;
	exchange_tokens(a->x, a->usage.prompt, a->usage.generated);
}

bool answers_next(struct answers *a, int wait_ms, size_t *which, struct piece *piece)
{
	if (a->ended == a->count)
		return false;
	generation_next_of(a->g, a->count, wait_ms, which, piece);
	if (piece->kind == PIECE_END || piece->kind == PIECE_FAILED)
		count_end(a, *which, piece);
	return true;
}

void answers_cancel(void *answers)
{
	struct answers *a = answers;

	for (size_t i = 0; i < a->count; i++)
		generation_cancel(a->g[i]);
}

void answers_free(struct answers *a)
{
	for (size_t i = 0; i < a->count; i++)
		generation_free(&a->g[i]);
	json_object_put(a->tools);
	models_release(&a->model);
}

bool openai_model(struct exchange *x, struct served **m)
{
	struct problem p = { .status = 0 };
	const char *name = NULL;

	if (field_text(exchange_json(x), "model", &name, &p) &&
	    models_take(exchange_server(x), name, m, &p))
		return true;
	reply_problem(x, &p);
	return false;
}
