// SPDX-License-Identifier: MIT
/* Answers as the reply to a request, in a stream or as a whole. */
#include "serve/tell.h"

#include <stdlib.h>

struct telling {
	struct answers answers;
	const struct teller *t;
	void *context;
	bool begun;
};

static void hang_up(void *context)
{
	struct telling *s = context;

	answers_cancel(&s->answers);
}

static void free_telling(void *context)
{
	struct telling *s = context;

	answers_free(&s->answers);
	s->t->free(s->context);
	free(s);
}

static void ping(void *context, struct text *out)
{
	struct telling *s = context;

	s->t->ping(s->context, out);
}

/* The next piece is written to @out; SOURCE_END with a @failed one. */
static enum source_state tell_next(struct telling *s, int wait_ms, struct text *out,
				   struct problem *failed)
{
	struct token_usage usage;
	struct piece piece;
	size_t which;

	if (!answers_next(&s->answers, wait_ms, &which, &piece))
		return SOURCE_END;
	if (piece.kind == PIECE_NONE)
		return SOURCE_MORE;
	if (piece.kind == PIECE_END && piece.finish == FINISH_CANCELED)
		return SOURCE_BROKEN;
	generation_usage(s->answers.g[which], &usage);
	if (piece.kind == PIECE_FAILED && failed) {
		*failed = piece.problem;
		return SOURCE_END;
	}
	s->t->piece(s->context, which, &piece, &usage, out);
	return piece.kind == PIECE_FAILED ? SOURCE_END : SOURCE_MORE;
}

static enum source_state next(void *context, struct text *out, int wait_ms)
{
	struct telling *s = context;
	enum source_state state;
	struct token_usage usage;
	size_t before;

	if (!s->begun) {
		s->begun = true;
		generation_usage(s->answers.g[0], &usage);
		if (s->t->begin)
			s->t->begin(s->context, &usage, out);
	}
	do {
		before = out->bytes;
		state = tell_next(s, before ? 0 : wait_ms, out, NULL);
	} while (state == SOURCE_MORE && out->bytes > before);
	return state;
}

static struct telling *begin(struct answers *a, const struct teller *t, void *context)
{
	struct telling *s = malloc(sizeof(*s));
	struct problem p;

	if (s) {
		*s = (struct telling){ .answers = *a, .t = t, .context = context };
		return s;
	}
	problem_set(&p, 503, NULL, NULL, "out of memory");
	reply_problem(a->x, &p);
	answers_free(a);
	t->free(context);
	return NULL;
}

void tell_stream(struct answers *a, const struct teller *t, void *context)
{
	struct telling *s = begin(a, t, context);
	const struct source source = { .next = next,
				       .ping = t->ping ? ping : NULL,
				       .gone = hang_up,
				       .free = free_telling,
				       .context = s };

	if (s)
		reply_stream(a->x, t->type, &source);
}

void tell_whole(struct answers *a, const struct teller *t, void *context)
{
	enum { WAIT_MS = 60000 };
	struct telling *s = begin(a, t, context);
	struct problem p = { .status = 0 };
	struct text out = { .data = NULL };
	enum source_state state;

	if (!s)
		return;
	exchange_watch(a->x, hang_up, s);
	do
		state = tell_next(s, WAIT_MS, &out, &p);
	while (state == SOURCE_MORE);
	exchange_watch(a->x, NULL, NULL);
	if (state == SOURCE_END && t->finish)
		t->finish(context, &out);
	if (state == SOURCE_BROKEN)
		problem_set(&p, 503, NULL, NULL, "the request was canceled");
	else if (!p.status && out.failed)
		problem_set(&p, 503, NULL, NULL, "out of memory");
	if (p.status)
		reply_problem(a->x, &p);
	else
		reply_text(a->x, 200, "application/json", out.data, out.bytes);
	text_free(&out);
	free_telling(s);
}
