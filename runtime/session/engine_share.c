// SPDX-License-Identifier: MIT
/* What requests have in common: the beginning of a prompt that another one has computed already. */
#include "session/engine.h"

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

static uint32_t most_in_common(const struct stoker_engine *e, const struct request *r,
			       const struct request **other)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < e->running.count; i++) {
		const uint32_t n = in_common(e, r, e->running.of[i], false);

		if (n <= most)
			continue;
		most = n;
		*other = e->running.of[i];
	}
	return most;
}

uint32_t engine_known(const struct stoker_engine *e, const struct request *r)
{
	const struct request *other = NULL;

	return most_in_common(e, r, &other);
}

bool engine_is_being_read(const struct stoker_engine *e, const struct request *r)
{
	const uint32_t known = engine_known(e, r);

	for (uint32_t i = 0; i < e->running.count; i++) {
		const uint32_t n = in_common(e, r, e->running.of[i], true);

		if (n >= known + KV_PAGE_ROWS && n > e->running.of[i]->sequence.position)
			return true;
	}
	return false;
}

int engine_begin_sequence(struct stoker_engine *e, struct request *r, struct stoker_error *err)
{
	const struct request *other = NULL;
	const uint32_t known = most_in_common(e, r, &other);
	struct sequence *q = &r->sequence;
	uint32_t position;
	int ret = sequence_create(&e->step, false, q, err);

	if (ret)
		return ret;
	if (other) {
		ret = sequence_copy(&e->step, &other->sequence, q, err);
		position = ret ? 0 : sequence_reachable(&e->step, q, known);
		if (!ret)
			ret = sequence_truncate(&e->step, q,
						e->chunk && position < known ? 0 : position, err);
	}
	if (ret)
		sequence_destroy(&e->step, q);
	r->has_sequence = !ret;
	return ret;
}
