// SPDX-License-Identifier: MIT
/* What requests have in common: the beginning of a prompt that another one has computed already. */
#include "engine/engine.h"

/*
 * How much of @r's prompt begins @other's text, too, of what that has computed or, with @later,
 * will have when its prompt is read.  Never all, as the last token's logits are to be computed;
 * with deterministic only what has the bits that @r would compute.
 */
static uint32_t in_common(const struct stoker_engine *e, const struct request *r,
			  const struct request *other, bool later)
{
	uint32_t most = later ? other->prompt : other->sequence.position, same = 0;

	if (r == other || r->salt != other->salt || !other->has_sequence)
		return 0;
	most = MIN(most, r->prompt - 1);
	/* where a prompt ends it isn't cut as others are */
	if (e->chunk)
		most = MIN(most, other->prompt - 1);
	while (same < most && r->tokens[same] == other->tokens[same])
		same++;
	return e->chunk ? same - same % e->chunk : same;
}

/* The most of what others have that @r can go on from. */
static uint32_t most_in_common(const struct stoker_engine *e, const struct request *r,
			       const struct request **other)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < e->running.count; i++) {
		const struct request *running = e->running.of[i];
		const uint32_t same = in_common(e, r, running, false);
		uint32_t n = same > most ? sequence_reachable(&e->step, &running->sequence, same)
					 : 0;

		n = e->chunk && n < same ? 0 : n;
		if (n <= most)
			continue;
		most = n;
		*other = running;
	}
	return most;
}

uint32_t engine_known(const struct stoker_engine *e, const struct request *r, uint32_t *running)
{
	const struct request *other = NULL;
	const uint32_t kept = prefix_match(&e->step, r->tokens, r->prompt, r->salt);

	*running = most_in_common(e, r, &other);
	return MAX(*running, kept);
}

/* Prompts differ at @position; with experts on the drive a step more costs what it saves. */
static void note_branch(const struct stoker_engine *e, struct request *r, uint32_t position)
{
	const uint32_t page = position / KV_PAGE_ROWS * KV_PAGE_ROWS;
	const uint32_t least = e->step.model->paged ? PACE_MOST : 1;

	if (!e->step.recurrent || e->chunk || page < least || page <= r->sequence.position)
		return;
	if (r->branch <= r->sequence.position || page < r->branch)
		r->branch = page;
}

bool engine_is_being_read(const struct stoker_engine *e, const struct request *r, uint64_t now)
{
	uint32_t running;

	for (uint32_t i = 0; i < e->running.count; i++) {
		struct request *other = e->running.of[i];
		const uint32_t n = in_common(e, r, other, true);

		/* who is more important would be read sooner */
		if (request_rank(other, now) >= request_rank(r, now) && n >= KV_PAGE_ROWS &&
		    n > other->sequence.position &&
		    n >= engine_known(e, r, &running) + KV_PAGE_ROWS) {
			note_branch(e, other, n);
			return true;
		}
	}
	return false;
}

/* Where it leaves what others have or had, and nothing is there to go on from. */
static void find_branch(struct stoker_engine *e, struct request *r)
{
	uint32_t alike = prefix_alike(&e->step, r->tokens, r->prompt, r->salt);

	for (uint32_t i = 0; i < e->running.count; i++)
		alike = MAX(alike, in_common(e, r, e->running.of[i], false));
	r->branch = 0;
	note_branch(e, r, alike);
}

/* The first @known positions of another one. */
static int take_from(struct stoker_engine *e, struct sequence *q, const struct request *other,
		     uint32_t known, struct stoker_error *err)
{
	const int ret = sequence_copy(&e->step, &other->sequence, q, err);

	return ret ? ret : sequence_truncate(&e->step, q, known, err);
}

int engine_begin_sequence(struct stoker_engine *e, struct request *r, struct stoker_error *err)
{
	const struct request *other = NULL;
	const uint32_t known = most_in_common(e, r, &other);
	struct sequence *q = &r->sequence;
	int ret = sequence_create(&e->step, false, q, err);

	if (ret)
		return ret;
	if (known > prefix_match(&e->step, r->tokens, r->prompt, r->salt))
		ret = take_from(e, q, other, known, err);
	/* what others' prompts have of its answer they computed at once, and it one by one */
	else
		ret = prefix_take(&e->step, q, r->tokens, e->chunk ? r->prompt : r->count, r->salt,
				  err);
	if (ret)
		sequence_destroy(&e->step, q);
	else
		find_branch(e, r);
	r->has_sequence = !ret;
	return ret;
}

void engine_keep_states(struct stoker_engine *e)
{
	if (!e->step.recurrent || e->chunk)
		return;
	for (uint32_t i = 0; i < e->part_count; i++) {
		const struct request *r = e->served[i];
		const struct sequence *q = &r->sequence;

		/* if there is memory for that */
		if (r->reads && r->branch && q->position == r->branch)
			prefix_keep(&e->step, q, r->salt, NULL);
		else if (!r->reads && q->position % KV_PAGE_ROWS == 0)
			prefix_keep_state(&e->step, q, r->salt, NULL);
	}
}

void engine_end_sequence(struct stoker_engine *e, struct request *r)
{
	if (!r->has_sequence)
		return;
	prefix_keep(&e->step, &r->sequence, r->salt, NULL); /* if there is memory for that */
	sequence_destroy(&e->step, &r->sequence);
	r->has_sequence = false;
}
