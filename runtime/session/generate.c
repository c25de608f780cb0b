// SPDX-License-Identifier: MIT
/*
 * Generation: sample, decode, pass on, evaluate.
 *
 * Every token that text was passed on of gets into the context: there has to be room before one is
 * sampled, and once its text is out its evaluation isn't cancelled.
 */
#include "session/session.h"

#include "base/sized.h"
#include "model/model.h"
#include "session/probabilities.h"
#include "text/decoder.h"
#include "text/vocabulary.h"

struct generation {
	struct stoker_session *session;
	struct stoker_sampler *sampler;
	const struct stoker_vocabulary *vocabulary;
	const struct stoker_generate_params *params;
	struct stoker_decoder *decoder;
	struct stoker_generate_result result;
	uint32_t choices; /* ids that may be sampled: rows of logits may be padded */
};

/* Nonzero: the caller asks to stop. */
static int pass_on(struct generation *g, const char *utf8, size_t bytes)
{
	const struct stoker_generate_params *p = g->params;

	g->result.bytes += bytes;
	return bytes && p->text ? p->text(p->user, utf8, bytes) : 0;
}

/* Nonzero: the caller asks to stop. */
static int tell(struct generation *g, const float *logits, uint32_t token)
{
	struct stoker_token_probability p[1 + STOKER_TOP_MAX];
	struct stoker_generated told = { .token = token };
	const uint32_t top = g->params->log_probabilities ? g->params->top_count : 0;

	if (!g->params->token)
		return 0;
	if (g->params->log_probabilities) {
		note_probabilities(logits, session_model(g->session)->vocabulary, token, p, top);
		told.log_probability = p->log_probability;
		told.top_count = count_probabilities(p, top);
		told.top = p + 1;
	}
	return g->params->token(g->params->user, &told);
}

static int sample(struct generation *g, uint32_t *token, struct stoker_error *err)
{
	const float *logits = stoker_session_last_logits(g->session);
	int ret;

	if (!logits)
		return stoker_fail(err, -EINVAL, "the session has no logits to sample from");
	ret = sampler_choose(g->sampler, logits, g->choices, token);
	if (ret)
		return stoker_fail(err, ret, "%s", sampler_failure(g->sampler, ret));
	if (tell(g, logits, *token))
		g->result.finish = STOKER_FINISH_CALLER;
	return 0;
}

/* One token, from being sampled to being in the context. */
static int step(struct generation *g, struct stoker_error *err)
{
	struct stoker_generate_result *r = &g->result;
	const char *utf8;
	size_t bytes;
	uint32_t token;
	int ret = sample(g, &token, err), stopped;

	if (ret)
		return ret;
	if (!g->params->ignore_end && stoker_vocabulary_is_end(g->vocabulary, token)) {
		r->finish = STOKER_FINISH_END;
		r->token = token;
		return 0;
	}
	stopped = decoder_push(g->decoder, token, &utf8, &bytes);
	if (stopped < 0)
		return stoker_fail(err, stopped, "token %u of %u can't be decoded: %s", token,
				   stoker_vocabulary_size(g->vocabulary),
				   stoker_strerror(-stopped));
	if (stopped)
		r->finish = STOKER_FINISH_STOP;
	if (pass_on(g, utf8, bytes))
		r->finish = STOKER_FINISH_CALLER;
	if (stopped && stoker_decoder_held(g->decoder)) {
		r->token = token;
		return 0;
	}
	ret = session_append(g->session, token, err);
	if (ret)
		r->token = token;
	else
		r->tokens++;
	return ret;
}

static int generate(struct generation *g, struct stoker_error *err)
{
	const struct stoker_generate_params *p = g->params;
	struct stoker_generate_result *r = &g->result;
	int ret = 0;

	while (!ret && r->finish == STOKER_FINISH_LENGTH &&
	       (!p->max_tokens || r->tokens < p->max_tokens)) {
		if (session_take_cancel(g->session))
			ret = stoker_fail(err, -ECANCELED, "cancelled");
		else if (stoker_session_last_logits(g->session) &&
			 stoker_session_position(g->session) == stoker_session_context(g->session))
			r->finish = STOKER_FINISH_CONTEXT;
		else
			ret = step(g, err);
	}
	return ret;
}

/* What the decoder keeps back when nothing more comes. */
static void finish(struct generation *g, int ret)
{
	struct stoker_generate_result *r = &g->result;
	const bool ended = r->finish == STOKER_FINISH_END;
	const bool asked_to_stop = r->finish == STOKER_FINISH_CALLER;

	if (ret)
		r->finish = STOKER_FINISH_FAILED;
	if ((!ret || ret == -ECANCELED) && !asked_to_stop && (ended || !g->params->decoder)) {
		const char *utf8;
		size_t bytes;

		decoder_flush(g->decoder, &utf8, &bytes);
		if (pass_on(g, utf8, bytes) && !ret)
			r->finish = STOKER_FINISH_CALLER;
	}
	r->held = stoker_decoder_held(g->decoder);
	/* without the token that isn't in the context */
	if (r->token != STOKER_NO_TOKEN && !ended && r->held)
		r->held--;
}

/* A vocabulary of another model gives text that means nothing. */
static int check_vocabulary(const struct stoker_model *m, const struct stoker_vocabulary *v,
			    struct stoker_error *err)
{
	/* a file's vocabulary may have more tokens than rows of logits, or fewer */
	if (m->tokens ? v->count != m->tokens : v->count > m->vocabulary)
		return stoker_fail(
			err, -EINVAL,
			"the vocabulary has %u tokens, the model's has %u: it belongs to "
			"another model",
			v->count, m->tokens ? m->tokens : m->vocabulary);
	if (m->tokens && v->fingerprint != m->tokens_fingerprint)
		return stoker_fail(
			err, -EINVAL,
			"the vocabulary's %u tokens are others than the model's (%016llx, "
			"not %016llx): it belongs to another model",
			v->count, (unsigned long long)v->fingerprint,
			(unsigned long long)m->tokens_fingerprint);
	return 0;
}

static int check(struct generation *g, struct stoker_error *err)
{
	const struct stoker_generate_params *p = g->params;

	if (!g->session || !g->sampler || !p)
		return stoker_fail(err, -EINVAL, "generating needs a %s",
				   !g->session	 ? "session"
				   : !g->sampler ? "sampler"
						 : "struct stoker_generate_params");
	if (p->top_count > STOKER_TOP_MAX)
		return stoker_fail(err, -EINVAL, "log-probabilities of %u tokens, the limit is %d",
				   p->top_count, STOKER_TOP_MAX);
	if (p->decoder && p->stop_count)
		return stoker_fail(err, -EINVAL,
				   "%zu stop strings beside a decoder, which has its own",
				   p->stop_count);
	if (!g->vocabulary) {
		/* having read it is nothing that one could see of a model */
		int ret = stoker_model_vocabulary((struct stoker_model *)session_model(g->session),
						  &g->vocabulary, err);

		if (ret)
			return ret;
	}
	if (p->decoder && decoder_vocabulary(p->decoder) != g->vocabulary)
		return stoker_fail(err, -EINVAL, "the decoder has another vocabulary");
	return check_vocabulary(session_model(g->session), g->vocabulary, err);
}

/* With the session in hand. */
static int generate_with_decoder(struct generation *g, struct stoker_error *err)
{
	const struct stoker_decoder_params stops = { STOKER_DECODER_PARAMS_INIT,
						     .stop = g->params->stop,
						     .stop_count = g->params->stop_count };
	struct stoker_decoder *own = NULL;
	int ret;

	if (!g->params->decoder) {
		ret = stoker_decoder_create(g->vocabulary, &stops, &own, err);
		if (ret)
			return ret;
	}
	g->decoder = own ? own : g->params->decoder;
	if (!decoder_begin(g->decoder))
		return stoker_fail(err, -EBUSY, "the decoder is in use");
	if (decoder_stopped(g->decoder)) {
		decoder_end(g->decoder);
		return stoker_fail(
			err, -EINVAL,
			"the decoder has met a stop string, stoker_decoder_reset() begins a "
			"new text");
	}
	g->choices = MIN(g->vocabulary->count, session_model(g->session)->vocabulary);
	ret = generate(g, err);
	finish(g, ret);
	decoder_end(g->decoder);
	stoker_decoder_free(&own);
	return ret;
}

int stoker_session_generate(struct stoker_session *session, struct stoker_sampler *sampler,
			    const struct stoker_vocabulary *vocabulary,
			    const struct stoker_generate_params *params,
			    struct stoker_generate_result *result, struct stoker_error *err)
{
	struct stoker_generate_params own = { 0 };
	struct generation g = { .session = session,
				.sampler = sampler,
				.vocabulary = vocabulary,
				.result = { .finish = STOKER_FINISH_LENGTH,
					    .token = STOKER_NO_TOKEN } };
	int ret = result ? SIZED_CHECK(result, STOKER_GENERATE_RESULT_INIT, err) : 0;

	if (ret)
		return ret;
	g.params = params ? &own : NULL;
	ret = SIZED_TAKE(&own, params, STOKER_GENERATE_PARAMS_INIT, err);
	if (!ret)
		ret = check(&g, err);
	if (!ret)
		ret = session_use(session, err);
	if (!ret) {
		if (sampler_use(sampler)) {
			ret = generate_with_decoder(&g, err);
			sampler_leave(sampler);
		} else {
			ret = stoker_fail(err, -EBUSY, "the sampler is in use");
		}
		session_leave(session);
	}
	if (ret)
		g.result.finish = STOKER_FINISH_FAILED;
	if (result)
		sized_give(result, &g.result, sizeof(g.result));
	return ret;
}
