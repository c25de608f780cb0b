// SPDX-License-Identifier: MIT
/* Who runs: requests that have waited get a sequence once there is memory for all they may need. */
#include <limits.h>

#include "engine/engine.h"

/*
 * Who comes next: the most important, then who came first; NULL: nobody waits, but for what others
 * are reading.
 */
static struct request *next_waiting(const struct stoker_engine *e, uint64_t now)
{
	const bool full = e->running.count == e->sequences;
	struct request *best = NULL;
	uint32_t most = 0;

	for (uint32_t i = 0; i < e->waiting.count; i++) {
		struct request *r = e->waiting.of[i];
		const uint32_t weight = request_weight(r, now);

		if ((weight > most || (weight == most && best && r->id < best->id)) &&
		    (full || !engine_is_being_read(e, r, now))) {
			best = r;
			most = weight;
		}
	}
	return best;
}

/* Who makes room: the youngest of the least important that are below @limit; or NULL. */
static struct request *victim(const struct stoker_engine *e, unsigned limit, uint64_t now)
{
	struct request *worst = NULL;
	unsigned least = limit;

	for (uint32_t i = 0; i < e->running.count; i++) {
		struct request *other = e->running.of[i];
		const unsigned rank = request_rank(other, now);

		if (rank < least || (rank == least && worst && other->id > worst->id)) {
			worst = other;
			least = rank;
		}
	}
	return worst;
}

void engine_stop(struct stoker_engine *e, struct request *r, bool again)
{
	engine_end_sequence(e, r);
	r->deficit = 0;
	r->ran += stoker_now_ns() - r->resumed;
	r->resumed = 0;
	pthread_mutex_lock(&e->lock);
	request_list_remove(&e->running, r);
	pages_tell(&e->step.pages, &e->stats.pages);
	r->running = false;
	r->published = r->count - r->prompt;
	if (again && !r->cancelled) {
		r->preempted++;
		e->stats.preempted++;
		request_list_add(&e->waiting, r);
	} else {
		e->crowded = false;
		if (again) {
			r->finish = STOKER_FINISH_FAILED;
			r->status = stoker_fail(&r->error, -ECANCELED, "cancelled");
		}
		r->done = true;
		engine_tell(e, r);
	}
	engine_unlock(e);
}

/* Where a request is at its longest: what it says last isn't computed any more. */
static uint32_t end_of(const struct request *r)
{
	return r->prompt + r->limit - 1;
}

/* Bytes of pages when it's there. */
static uint64_t whole_bytes(const struct stoker_engine *e, const struct request *r)
{
	const struct cache_size *size = &e->step.pages.size;
	const uint32_t pages = (end_of(r) + KV_PAGE_ROWS - 1) / KV_PAGE_ROWS;
	uint64_t bytes = 0;

	for (int kind = 0; kind < PAGE_KINDS; kind++)
		bytes += MIN(pages, cache_pages(size, kind)) * size->page_bytes[kind];
	return bytes;
}

/* Of these, such as it doesn't have yet. */
static uint64_t promised_bytes(struct stoker_engine *e, const struct request *r)
{
	return r->has_sequence ? pages_needed(&e->step.pages, &r->sequence.tables,
					      r->sequence.position, end_of(r))
			       : whole_bytes(e, r);
}

/*
 * Whether there is memory for @promised bytes more and for all of @r.  What is known of its
 * beginning needn't be got, but what is kept of that can't be had otherwise, either.
 */
static bool has_pages(const struct stoker_engine *e, const struct request *r, uint64_t left,
		      uint64_t promised)
{
	const uint64_t page_bytes = e->step.pages.size.page_bytes[PAGES_FULL];
	const uint64_t whole = whole_bytes(e, r);
	uint64_t kept, alone;
	uint32_t known, running;

	if (promised + whole <= left)
		return true;
	known = engine_known(e, r, &running) / KV_PAGE_ROWS;
	running /= KV_PAGE_ROWS;
	kept = pages_kept(&e->step.pages);
	alone = MIN((known - running) * page_bytes, kept);
	return promised + whole - known * page_bytes <= left + kept - alone;
}

/* Whether it can run beside all others, or with @limit beside those of at least this rank. */
static bool fits(struct stoker_engine *e, const struct request *r, unsigned limit, uint64_t now)
{
	uint64_t left = pages_left(&e->step.pages), promised = 0;
	uint32_t others = 0;

	for (uint32_t i = 0; i < e->running.count; i++)
		others += request_rank(e->running.of[i], now) >= limit;
	if (!others) /* there is always enough for one */
		return true;
	if (others == e->sequences)
		return false;
	for (uint32_t i = 0; i < e->running.count; i++) {
		const struct request *other = e->running.of[i];
		const uint64_t bytes = promised_bytes(e, other), whole = whole_bytes(e, other);

		if (request_rank(other, now) >= limit)
			promised += bytes;
		else
			left += whole > bytes ? whole - bytes : 0;
	}
	return has_pages(e, r, left, promised);
}

/* Takes the next one out of the queue; NULL: nobody can run now.  @out: who has to make room. */
static struct request *take_next(struct stoker_engine *e, struct request **out)
{
	const uint64_t now = stoker_now_ns();
	struct request *r;

	*out = NULL;
	pthread_mutex_lock(&e->lock);
	r = next_waiting(e, now);
	if (r && !fits(e, r, 0, now)) {
		const unsigned rank = request_rank(r, now);

		if (fits(e, r, rank, now) && !engine_is_being_read(e, r, now))
			*out = victim(e, rank, now);
		r = NULL;
	}
	if (r) {
		request_list_remove(&e->waiting, r);
		request_list_add(&e->running, r);
		r->running = true;
		r->resumed = now;
	}
	pthread_mutex_unlock(&e->lock);
	return r;
}

static void begin(struct stoker_engine *e, struct request *r)
{
	const int ret = engine_begin_sequence(e, r, &r->error);

	if (!r->began) {
		r->began = stoker_now_ns();
		r->reused = r->has_sequence ? r->sequence.position : 0;
	}
	if (!ret)
		return;
	r->finish = STOKER_FINISH_FAILED;
	r->status = ret;
	engine_stop(e, r, false);
}

void engine_admit(struct stoker_engine *e)
{
	struct request *r, *out;

	if (!e->running.count)
		e->crowded = false;
	/* what was promised can't be had: who made room is not to take it again from who is left */
	if (e->crowded)
		return;
	do {
		r = take_next(e, &out);
		if (r)
			begin(e, r);
		else if (out)
			engine_stop(e, out, true);
	} while (r || out);
}

void engine_make_room(struct stoker_engine *e)
{
	struct request *r;

	/* those that were computed, but not told of: their logits are gone */
	for (uint32_t i = 0; i < e->part_count; i++)
		if (!request_left(e->served[i]))
			engine_stop(e, e->served[i], true);
	r = victim(e, UINT_MAX, stoker_now_ns());
	if (r)
		engine_stop(e, r, true);
	e->crowded = true;
}
