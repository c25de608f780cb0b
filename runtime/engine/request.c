// SPDX-License-Identifier: MIT
/* Requests to the engine: what they ask for, their next tokens, and what is told of them. */
#include <math.h>

#include "base/sized.h"
#include "engine/engine.h"
#include "session/probabilities.h"
#include "session/session.h"
#include "text/vocabulary.h"

enum { MOST_STOPS = 64 };

/* Waiting for so long makes a request one class more important. */
static const double RAISE_SECONDS = 10;

static int check(const struct stoker_engine *e, const struct stoker_request *from,
		 struct stoker_error *err)
{
	const uint32_t vocabulary = e->step.model->vocabulary;

	if (!from->tokens || !from->count)
		return stoker_fail(err, -EINVAL, "a request without tokens");
	if ((unsigned)from->priority > STOKER_PRIORITY_BATCH)
		return stoker_fail(err, -EINVAL, "priority %d isn't known", (int)from->priority);
	if (from->stop_count > MOST_STOPS || (from->stop_count && !from->stop))
		return stoker_fail(err, -EINVAL, "%zu stop tokens, the limit is %d",
				   from->stop_count, MOST_STOPS);
	if (from->top_count > STOKER_TOP_MAX)
		return stoker_fail(err, -EINVAL, "log-probabilities of %u tokens, the limit is %d",
				   from->top_count, STOKER_TOP_MAX);
	if (from->stage_count && (!from->stages || !is_item_size(from->stage_size)))
		return stoker_fail(err, -EINVAL,
				   "%zu stages need a list and sizeof(struct stoker_custom_stage)",
				   from->stage_count);
	if (from->count >= e->step.context)
		return stoker_fail(err, -ENOSPC,
				   "a prompt of %zu tokens, the context has %u, with one to follow",
				   from->count, e->step.context);
	for (size_t i = 0; i < from->count; i++)
		if (from->tokens[i] >= vocabulary)
			return stoker_fail(err, -EINVAL, "token %u at %zu, the vocabulary has %u",
					   from->tokens[i], i, vocabulary);
	return 0;
}

/* What is as large as the request says. */
static int allocate(struct request *r, const struct stoker_request *from, struct stoker_error *err)
{
	const bool tops = from->log_probabilities;

	r->tokens = malloc(((size_t)r->prompt + r->limit) * sizeof(*r->tokens));
	r->stop = calloc(from->stop_count + 1, sizeof(*r->stop));
	if (tops)
		r->probabilities =
			calloc(r->limit, (1 + (size_t)r->top_count) * sizeof(*r->probabilities));
	if (!r->tokens || !r->stop || (tops && !r->probabilities))
		return stoker_fail(err, -ENOMEM, "no memory for a request of %u tokens and %u more",
				   r->prompt, r->limit);
	memcpy(r->tokens, from->tokens, from->count * sizeof(*r->tokens));
	if (from->stop_count)
		memcpy(r->stop, from->stop, from->stop_count * sizeof(*r->stop));
	r->stop_count = from->stop_count;
	return 0;
}

int request_create(const struct stoker_engine *e, const struct stoker_request *from,
		   struct request **out, struct stoker_error *err)
{
	struct stoker_request own;
	struct request *r;
	uint32_t room;
	int ret = SIZED_TAKE(&own, from, STOKER_REQUEST_INIT, err);

	from = &own;
	if (!ret)
		ret = check(e, from, err);
	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return stoker_fail(err, -ENOMEM, "out of memory");
	room = e->step.context - (uint32_t)from->count;
	r->priority = from->priority;
	r->prompt = r->count = (uint32_t)from->count;
	r->to_context = !from->max_tokens || from->max_tokens > room;
	r->limit = r->to_context ? room : from->max_tokens;
	r->top_count = from->log_probabilities ? from->top_count : 0;
	r->salt = from->salt;
	r->end_token = STOKER_NO_TOKEN;
	r->submitted = stoker_now_ns();
	ret = allocate(r, from, err);
	if (!ret)
		ret = stoker_sampler_create(from->sampling, &r->sampler, err);
	for (size_t i = 0; i < from->stage_count && !ret; i++) {
		ret = sized_check_item(from->stages, from->stage_size, i,
				       "STOKER_CUSTOM_STAGE_INIT", err);
		if (!ret)
			ret = stoker_sampler_add(
				r->sampler, sized_item(from->stages, from->stage_size, i), err);
	}
	if (ret) {
		request_refuse(r);
		return ret;
	}
	stoker_sampler_begin(r->sampler, r->tokens, r->prompt);
	if (from->vocabulary && !from->ignore_end)
		r->vocabulary = vocabulary_share(from->vocabulary);
	*out = r;
	return 0;
}

void request_refuse(struct request *r)
{
	if (r->sampler)
		sampler_forget_custom(r->sampler);
	request_free(r);
}

void request_free(struct request *r)
{
	stoker_sampler_free(&r->sampler);
	stoker_vocabulary_free(&r->vocabulary);
	free(r->probabilities);
	free(r->stop);
	free(r->tokens);
	free(r);
}

static bool ends(struct request *r, uint32_t token)
{
	if (r->vocabulary && stoker_vocabulary_is_end(r->vocabulary, token)) {
		r->finish = STOKER_FINISH_END;
		r->end_token = token;
		return true;
	}
	for (size_t i = 0; i < r->stop_count; i++)
		if (r->stop[i] == token) {
			r->finish = STOKER_FINISH_STOP;
			r->end_token = token;
			return true;
		}
	return false;
}

bool request_sample(struct request *r, const struct stoker_model *m, const float *logits)
{
	const uint64_t now = stoker_now_ns();
	uint32_t token;
	const int ret = stoker_sampler_sample(r->sampler, logits, m->vocabulary, &token);

	if (ret) {
		r->finish = STOKER_FINISH_FAILED;
		r->status = stoker_fail(&r->error, ret, "%s", sampler_failure(r->sampler, ret));
		return false;
	}
	if (ends(r, token))
		return false;
	if (r->probabilities)
		note_probabilities(logits, m->vocabulary, token,
				   r->probabilities +
					   (size_t)(r->count - r->prompt) * (1 + r->top_count),
				   r->top_count);
	r->tokens[r->count++] = token;
	if (!r->first)
		r->first = now;
	else
		r->gap = MAX(r->gap, now - r->last);
	r->last = now;
	if (r->count - r->prompt < r->limit)
		return true;
	r->finish = r->to_context ? STOKER_FINISH_CONTEXT : STOKER_FINISH_LENGTH;
	return false;
}

static double seconds_between(uint64_t begin, uint64_t end)
{
	return begin && end > begin ? 1e-9 * (double)(end - begin) : 0;
}

static void tell_token(struct request *r, struct stoker_event *event)
{
	const uint32_t n = r->told++;

	event->type = STOKER_EVENT_TOKEN;
	event->token = r->tokens[r->prompt + n];
	if (!r->probabilities)
		return;
	const struct stoker_token_probability *p =
		r->probabilities + (size_t)n * (1 + r->top_count);

	event->log_probability = p->log_probability;
	event->top_count = count_probabilities(p, r->top_count);
	memcpy(event->top, p + 1, event->top_count * sizeof(*event->top));
}

bool request_tell(struct request *r, struct stoker_event *event)
{
	*event = (struct stoker_event){ .id = r->id, .token = STOKER_NO_TOKEN };
	if (r->told < r->published) {
		tell_token(r, event);
		return false;
	}
	event->type = STOKER_EVENT_DONE;
	event->token = r->end_token;
	event->finish = r->finish;
	event->status = r->status;
	event->error = r->error;
	event->timings = (struct stoker_request_timings){
		.queued = seconds_between(r->submitted, r->began),
		.prefill = seconds_between(r->began, r->first),
		.decode = seconds_between(r->first, r->last),
		.largest_gap = 1e-9 * (double)r->gap,
		.prompt = r->prompt,
		.reused = r->reused,
		.generated = r->published,
		.preempted = r->preempted,
	};
	return true;
}

/*
 * Only the time counts in which it didn't run: one that runs may make room for others, and must not
 * come before them when it does.
 */
unsigned request_rank(const struct request *r, uint64_t now)
{
	const uint64_t ran = r->ran + (r->resumed && now > r->resumed ? now - r->resumed : 0);
	const double waited = seconds_between(r->submitted + ran, now);
	const unsigned own = r->priority == STOKER_PRIORITY_INTERACTIVE ? 2
			     : r->priority == STOKER_PRIORITY_NORMAL	? 1
									: 0;

	return MIN(own + (unsigned)MIN(waited / RAISE_SECONDS, 2.0), 2u);
}

void request_list_add(struct request_list *l, struct request *r)
{
	assert(l->count < l->room);
	l->of[l->count++] = r;
}

void request_list_remove(struct request_list *l, const struct request *r)
{
	uint32_t i = 0;

	while (l->of[i] != r)
		i++;
	l->count--;
	memmove(l->of + i, l->of + i + 1, (l->count - i) * sizeof(*l->of));
}
