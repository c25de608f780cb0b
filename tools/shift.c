// SPDX-License-Identifier: MIT
/* A context that is full goes on without its oldest tokens, see shift.h. */
#include "shift.h"

#include <errno.h>

/* The first ones, which all others attend to, stay: attention sinks, arXiv 2309.17453. */
enum { SINKS = 4 };

int shift_session(struct run *r, size_t keep, size_t *moved, struct stoker_error *err)
{
	const uint32_t context = stoker_session_context(r->session);
	const uint32_t position = stoker_session_position(r->session);
	uint32_t first = keep < SINKS ? SINKS : keep > context / 2 ? context / 2 : (uint32_t)keep;
	uint32_t count;
	int ret;

	if (context <= 2 * SINKS || position <= SINKS) {
		snprintf(err->message, sizeof(err->message),
			 "a context of %u tokens is too small for --shift", context);
		return -ENOSPC;
	}
	first = first < position ? first : SINKS;
	count = (position - first + 1) / 2;
	ret = stoker_session_remove(r->session, first, count, 1, err);
	if (ret)
		return ret;
	if (!r->shifted)
		fprintf(stderr,
			"stoker: the context of %u tokens is full; from now on its oldest tokens "
			"are taken out\n",
			context);
	r->shifted = true;
	if (moved)
		*moved = position - count - first;
	return 0;
}

int shift_eval(struct run *r, const uint32_t *tokens, size_t count, size_t keep,
	       struct stoker_error *err)
{
	const size_t context = stoker_session_context(r->session);
	int ret = 0;

	if (!r->shift)
		return stoker_session_eval(r->session, tokens, count, STOKER_LOGITS_LAST, err);
	for (size_t done = 0, n; done < count && !ret; done += n) {
		const size_t room = context - stoker_session_position(r->session);

		n = room < count - done ? room : count - done;
		ret = n ? stoker_session_eval(
				  r->session, tokens + done, n,
				  done + n == count ? STOKER_LOGITS_LAST : STOKER_LOGITS_NONE, err)
			: shift_session(r, keep, NULL, err);
	}
	return ret;
}

/* What is next is chosen from the last token's logits, which go with what is taken out. */
static int make_room(struct run *r, struct stoker_error *err)
{
	size_t held;
	const uint32_t *tokens = stoker_session_tokens(r->session, &held);
	const uint32_t last = held ? tokens[held - 1] : 0;
	int ret = shift_session(r, 0, NULL, err);

	if (!ret)
		ret = stoker_session_truncate(r->session, stoker_session_position(r->session) - 1,
					      err);
	return ret ? ret : stoker_session_eval(r->session, &last, 1, STOKER_LOGITS_LAST, err);
}

int shift_generate(struct run *r, const struct stoker_generate_params *params,
		   struct stoker_generate_result *result, struct stoker_error *err)
{
	const struct stoker_decoder_params stops = { STOKER_DECODER_PARAMS_INIT,
						     .stop = params->stop,
						     .stop_count = params->stop_count };
	struct stoker_generate_params own = *params;
	struct stoker_generate_result all = { STOKER_GENERATE_RESULT_INIT,
					      .finish = STOKER_FINISH_CONTEXT };
	const char *text;
	size_t bytes;
	int ret = stoker_decoder_create(r->vocabulary, &stops, &own.decoder, err);

	own.stop_count = 0;
	while (!ret && all.finish == STOKER_FINISH_CONTEXT) {
		own.max_tokens = params->max_tokens ? params->max_tokens - all.tokens : 0;
		ret = stoker_session_generate(r->session, r->sampler, r->vocabulary, &own, result,
					      err);
		all.tokens += result->tokens;
		all.bytes += result->bytes;
		all.finish = result->finish;
		if (!ret && all.finish == STOKER_FINISH_CONTEXT)
			ret = make_room(r, err);
	}
	if (own.decoder && all.finish != STOKER_FINISH_CALLER &&
	    !stoker_decoder_flush(own.decoder, &text, &bytes) && bytes)
		params->text(params->user, text, bytes);
	stoker_decoder_free(&own.decoder);
	*result = all;
	return ret;
}
