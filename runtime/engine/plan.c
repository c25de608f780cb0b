// SPDX-License-Identifier: MIT
/*
 * Who is in a step: each sequence that generates with a row, then prompts with as many rows as
 * max_gap allows, which they share by their weights (deficit round-robin).
 */
#include "engine/engine.h"

/* Rows that a prompt gets at once from its share. */
enum { PIECE = 16, QUANTUM = 16 };

/* A prompt of so many tokens, but one that only needs its last is generating. */
static bool reads_prompt(const struct request *r)
{
	return request_left(r) > 1;
}

/*
 * The most that a prompt can have in a step.  With deterministic it's all or nothing, as it would
 * be alone: up to the next cut, and what was generated before it made room one by one.
 */
static uint32_t wants(const struct stoker_engine *e, const struct request *r)
{
	const uint32_t position = r->sequence.position, left = request_left(r);

	if (!e->chunk)
		return left;
	if (position >= r->prompt)
		return 1;
	return MIN(e->chunk - position % e->chunk, r->prompt - position);
}

/* Rows that go along at once. */
static uint32_t piece(const struct stoker_engine *e, const struct request *r)
{
	const uint32_t left = wants(e, r) - r->rows;

	if (!e->chunk)
		return MIN(left, (uint32_t)PIECE);
	return r->rows ? 0 : left;
}

/*
 * Where experts come from the drive there may be a limit; some go on for a while then before it's
 * the others' turn.  Prompts have nearly all experts read anyway.
 */
static uint32_t add_generating(struct stoker_engine *e, bool limited)
{
	const struct request_list *l = &e->running;
	/* prompts in the same steps aren't to wait until somebody has generated all */
	const uint32_t room =
		e->step.batch - (e->prompts && !e->chunk ? (e->step.batch + 2) / 4 : 0);
	const uint32_t most = limited ? MIN(e->pace.limit, room) : room;
	uint32_t rows = 0, next = e->turn;

	for (uint32_t i = 0; i < l->count && rows < most; i++) {
		const uint32_t at = (e->turn + i) % l->count;

		if (reads_prompt(l->of[at]))
			continue;
		l->of[at]->rows = 1;
		rows++;
		next = at + 1;
	}
	if (!limited || ++e->slice % PACE_SLICE == 0)
		e->turn = l->count ? next % l->count : 0;
	return rows;
}

/* What its share and the step allow; false: the step is full. */
static bool serve(const struct stoker_engine *e, struct request *r, uint64_t now, uint32_t *budget)
{
	uint32_t n = piece(e, r);

	if (n && r->deficit < n)
		r->deficit += QUANTUM * request_weight(r, now);
	for (; n && r->deficit >= n; n = piece(e, r)) {
		if (!*budget || (e->chunk && n > *budget))
			return false;
		n = MIN(n, *budget);
		r->rows += n;
		r->deficit -= n;
		*budget -= n;
	}
	return true;
}

/* @budget: rows that the step may take. */
static void add_prompts(struct stoker_engine *e, uint64_t now, uint32_t budget)
{
	const struct request_list *l = &e->running;
	bool any = true;

	while (any) {
		any = false;
		for (uint32_t i = 0; i < l->count; i++) {
			const uint32_t at = (e->prompt_turn + i) % l->count;
			struct request *r = l->of[at];

			if (!reads_prompt(r))
				continue;
			if (!serve(e, r, now, &budget)) {
				e->prompt_turn = at;
				return;
			}
			any = any || piece(e, r);
		}
	}
}

/* As many as it may have, but for those behind a place where a checkpoint is to be. */
static uint32_t prompt_rows(const struct stoker_engine *e, const struct request *r)
{
	const uint32_t position = r->sequence.position;
	const uint32_t last = (r->prompt - 1) / KV_PAGE_ROWS * KV_PAGE_ROWS;
	uint32_t end = position + checkpoint_rows(&e->step, position, r->rows,
						  position + r->rows == r->prompt);

	if (!e->step.recurrent || e->chunk)
		return end - position;
	if (position < r->branch)
		end = MIN(end, r->branch);
	if (position < last && !e->step.model->paged)
		end = MIN(end, last);
	return end - position;
}

static void add_part(struct stoker_engine *e, struct request *r)
{
	const uint32_t position = r->sequence.position;

	r->reads = reads_prompt(r);
	if (r->reads)
		r->rows = prompt_rows(e, r);
	r->logit_rows = position + r->rows == r->count;
	r->deficit = r->rows == request_left(r) ? 0 : r->deficit;
	e->served[e->part_count] = r;
	e->parts[e->part_count++] = (struct step_part){ .sequence = &r->sequence,
							.tokens = r->tokens + position,
							.rows = r->rows,
							.logit_rows = r->logit_rows };
}

void engine_plan(struct stoker_engine *e, uint64_t now)
{
	const struct request_list *l = &e->running;
	uint32_t generating, budget;

	e->part_count = 0;
	e->prompts = false;
	for (uint32_t i = 0; i < l->count; i++) {
		l->of[i]->rows = 0;
		e->prompts = e->prompts || reads_prompt(l->of[i]);
	}
	generating = add_generating(e, e->pace.limit && !e->prompts);
	budget = generating ? pace_prompt_rows(&e->pace, generating, e->step.batch, e->max_gap)
			    : MIN(e->step.batch, (uint32_t)PACE_MOST);
	/* computed apart, and going along however long it takes, as it may not be cut */
	if (e->chunk)
		budget = MAX(budget, e->chunk);
	add_prompts(e, now, budget);
	for (int prompts = 0; prompts < 2; prompts++)
		for (uint32_t i = 0; i < l->count; i++)
			if (l->of[i]->rows && reads_prompt(l->of[i]) == prompts)
				add_part(e, l->of[i]);
}
