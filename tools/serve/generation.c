// SPDX-License-Identifier: MIT
/* One request to a model's engine, and what comes of it as pieces of text. */
#include "serve/generation.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/dispatcher.h"
#include "serve/pieces.h"
#include "serve/served.h"
#include "tool.h"

struct generation {
	struct served *model;
	struct inbox box;
	struct pieces *pieces;
	bool stopped; /* a stop string has come up: the engine is told, and tells its end */
	bool over, told;
	struct piece end;
	struct token_usage usage;
};

static bool check_stops(const struct generation_params *p, struct problem *problem)
{
	if (p->stop_count > STOPS_MOST)
		return problem_set(problem, 400, "stop", NULL, "%zu stop strings, the limit is %d",
				   p->stop_count, STOPS_MOST);
	for (size_t i = 0; i < p->stop_count; i++) {
		const size_t n = strlen(p->stop[i]);

		if (!n || n > STOP_MOST_BYTES)
			return problem_set(problem, 400, "stop", NULL,
					   "a stop string of %zu bytes, limits 1 and %d", n,
					   STOP_MOST_BYTES);
	}
	return true;
}

static bool check_prompt(const struct generation_params *p, struct problem *problem)
{
	const uint32_t context = served_context(p->model);

	if (!p->count)
		return problem_set(problem, 400, NULL, NULL, "the prompt is empty");
	if (p->count >= context)
		return problem_set(problem, 400, NULL, "context_length_exceeded",
				   "the prompt has %zu tokens, the context has room for %u, one of "
				   "the answer among them",
				   p->count, context);
	return true;
}

/* What the engine said to a request that it didn't take. */
static bool refused(int ret, const struct stoker_error *err, struct problem *problem)
{
	switch (ret) {
	case -EAGAIN:
		return problem_set(problem, 429, NULL, "queue_full", "%s", err->message);
	case -ENOSPC:
		return problem_set(problem, 400, NULL, "context_length_exceeded", "%s",
				   err->message);
	case -EINVAL:
		return problem_set(problem, 400, NULL, NULL, "%s", err->message);
	case -ENOMEM:
		return problem_set(problem, 503, NULL, NULL, "%s", err->message);
	default:
		return problem_set(problem, 500, NULL, NULL, "%s", err->message);
	}
}

static bool submit(struct generation *g, const struct generation_params *p, struct problem *problem)
{
	const int64_t end = p->model->end_token;
	const uint32_t stop[] = { (uint32_t)end };
	struct stoker_sampler_params sampling = { STOKER_SAMPLER_PARAMS_INIT };
	struct stoker_request request = {
		STOKER_REQUEST_INIT,
		.tokens = p->tokens,
		.count = p->count,
		.max_tokens = p->max_tokens,
		.priority = p->priority,
		.sampling = &sampling,
		.vocabulary = served_vocabulary(p->model),
		.ignore_end = p->ignore_end,
		.stop = stop,
		.stop_count = end >= 0 && !p->ignore_end,
		.log_probabilities = p->log_probabilities,
		.top_count = p->log_probabilities ? p->top : 0,
		.salt = p->salt,
	};
	struct stoker_error err;
	int ret;

	if (p->sampling)
		sampling = *p->sampling;
	if (!sampling.vocabulary)
		sampling.vocabulary = request.vocabulary;
	ret = dispatcher_submit(g->model->dispatcher, &request, &g->box, &err);
	return !ret || refused(ret, &err, problem);
}

bool generation_start(const struct generation_params *p, struct generation **out,
		      struct problem *problem)
{
	const char *end = p->ignore_end ? NULL : served_end_of_turn(p->model);
	struct generation *g;

	*out = NULL;
	if (!check_stops(p, problem) || !check_prompt(p, problem))
		return false;
	g = calloc(1, sizeof(*g));
	if (!g)
		return problem_set(problem, 503, NULL, NULL, "out of memory");
	g->usage.prompt = (uint32_t)p->count;
	g->pieces = pieces_create(p, served_vocabulary(p->model), end);
	if (!g->pieces) {
		free(g);
		return problem_set(problem, 503, NULL, NULL, "out of memory");
	}
	g->model = p->model;
	if (!submit(g, p, problem)) {
		pieces_free(g->pieces);
		free(g);
		return false;
	}
	models_keep(g->model);
	*out = g;
	return true;
}

static void break_off(struct generation *g, unsigned status, const char *message)
{
	g->over = true;
	g->end.kind = PIECE_FAILED;
	problem_set(&g->end.problem, status, NULL, NULL, "%s", message);
}

static void finish(struct generation *g, enum finish finish)
{
	g->over = true;
	g->end.kind = PIECE_END;
	g->end.finish = finish == FINISH_STOP && pieces_has_calls(g->pieces) ? FINISH_CALLS
									     : finish;
	g->end.stop = pieces_stop(g->pieces);
}

/* As the engine says. */
static void end(struct generation *g, const struct stoker_event *event)
{
	g->end.timings = event->timings;
	g->usage.cached = event->timings.reused;
	if (!g->stopped) {
		const int ret = pieces_end(g->pieces);

		if (ret < 0) {
			break_off(g, 503, "out of memory");
			return;
		}
		g->stopped = ret > 0;
	}
	if (g->stopped)
		finish(g, FINISH_STOP);
	else if (event->finish == STOKER_FINISH_LENGTH || event->finish == STOKER_FINISH_CONTEXT)
		finish(g, FINISH_LENGTH);
	else if (event->finish != STOKER_FINISH_FAILED)
		finish(g, FINISH_STOP);
	else if (event->status == -ECANCELED)
		finish(g, FINISH_CANCELED);
	else if (event->status == -EDOM)
		break_off(g, 400,
			  "there is no token that the grammar allows and the model can say");
	else
		break_off(g, event->status == -ENOMEM || event->status == -ENOSPC ? 503 : 500,
			  event->error.message);
}

static void take_token(struct generation *g, const struct token_info *token)
{
	int ret;

	if (g->stopped)
		return;
	g->usage.generated++;
	ret = pieces_token(g->pieces, token);
	g->usage.reasoning = pieces_reasoning(g->pieces);
	if (ret > 0) {
		g->stopped = true;
		stoker_engine_cancel(served_engine(g->model), g->box.id);
	} else if (ret < 0) {
		break_off(g, 503, "out of memory");
	}
}

/* The next piece of what has come so far; false: nothing. */
static bool advance(struct generation *g, struct piece *piece)
{
	struct token_info token;
	struct stoker_event event;

	for (;;) {
		if (pieces_next(g->pieces, piece))
			return true;
		if (g->over) {
			g->told = true;
			*piece = g->end;
			piece->usage = g->usage;
			return true;
		}
		switch (dispatcher_take(g->model->dispatcher, &g->box, &token, &event)) {
		case INBOX_EMPTY:
			return false;
		case INBOX_TOKEN:
			take_token(g, &token);
			break;
		case INBOX_END:
			end(g, &event);
			break;
		case INBOX_CANCELLED:
			finish(g, FINISH_CANCELED);
			break;
		case INBOX_NO_MEMORY:
			break_off(g, 503, "out of memory");
			break;
		}
	}
}

void generation_next_of(struct generation *const *g, size_t count, int wait_ms, size_t *which,
			struct piece *piece)
{
	const double until = now_seconds() + 1e-3 * wait_ms;
	struct inbox *boxes[GENERATIONS_MOST];
	int left = wait_ms;

	assert(count <= GENERATIONS_MOST);
	*piece = (struct piece){ .kind = PIECE_NONE };
	for (;;) {
		size_t waiting = 0;

		for (*which = 0; *which < count; ++*which) {
			struct generation *const one = g[*which];

			if (one->told)
				continue;
			if (advance(one, piece))
				return;
			boxes[waiting++] = &one->box;
		}
		if (!waiting || left < 0 ||
		    dispatcher_wait(g[0]->model->dispatcher, boxes, waiting, left) == SIZE_MAX)
			return;
		left = (int)(1e3 * (until - now_seconds()));
	}
}

void generation_next(struct generation *g, int wait_ms, struct piece *piece)
{
	size_t which;

	g->told = false;
	generation_next_of(&g, 1, wait_ms, &which, piece);
}

void generation_cancel(struct generation *g)
{
	dispatcher_cancel(g->model->dispatcher, &g->box);
}

void generation_free(struct generation **out)
{
	struct generation *g = *out;

	if (!g)
		return;
	*out = NULL;
	dispatcher_leave(g->model->dispatcher, &g->box);
	pieces_free(g->pieces);
	models_release(&g->model);
	free(g);
}

void generation_usage(const struct generation *g, struct token_usage *usage)
{
	*usage = g->usage;
}

void token_text(const struct served *m, uint32_t token, struct text *out)
{
	char small[256];
	const struct stoker_vocabulary *v = served_vocabulary(m);
	const size_t n = stoker_vocabulary_text(v, token, 1, small, sizeof(small));
	char *large;

	if (n <= sizeof(small)) {
		text_add(out, small, n);
		return;
	}
	large = malloc(n);
	out->failed |= !large;
	if (large)
		text_add(out, large, stoker_vocabulary_text(v, token, 1, large, n));
	free(large);
}
