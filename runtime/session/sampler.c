// SPDX-License-Identifier: MIT
/* Choosing the next token: the stages in their order, and what a sampler remembers. */
#include "session/sampling.h"

#include <math.h>

#include "base/sized.h"
#include "base/use.h"
#include "grammar/grammar.h"
#include "session/constraint.h"
#include "session/session.h"
#include "text/vocabulary.h"

struct stoker_sampler {
	struct stoker_sampler_params params;  /* settled; its pointers lead to nothing any more */
	struct stoker_vocabulary *vocabulary; /* NULL: none */
	struct stoker_logit_bias *biases;
	size_t bias_count;
	uint64_t random; /* state of the generator */
	double mu;	 /* mirostat: the surprise that is let through, in bits */
	struct history history;
	struct reasoning reasoning;
	struct constraint constraint;
	struct candidates candidates;
	struct custom_stages custom;
	_Atomic int use;
};

static void reset(struct stoker_sampler *s)
{
	s->random = s->params.seed;
	s->mu = 2 * (double)s->params.mirostat_tau;
	history_reset(&s->history);
	reasoning_reset(&s->reasoning);
	constraint_reset(&s->constraint);
	custom_reset(&s->custom);
}

void stoker_sampler_reset(struct stoker_sampler *s)
{
	const bool own = s && sampler_use(s);

	if (s)
		reset(s);
	if (own)
		sampler_leave(s);
}

static void destroy(struct stoker_sampler *s)
{
	struct stoker_vocabulary *vocabulary = s->vocabulary;

	history_free(&s->history);
	reasoning_free(&s->reasoning);
	constraint_free(&s->constraint);
	candidates_free(&s->candidates);
	custom_free(&s->custom);
	stoker_vocabulary_free(&vocabulary);
	free(s->biases);
	free(s);
}

static int copy_biases(struct stoker_sampler *s, const struct stoker_logit_bias *biases,
		       size_t count)
{
	s->biases = calloc(count + 1, sizeof(*s->biases));
	if (!s->biases)
		return -ENOMEM;
	if (count)
		memcpy(s->biases, biases, count * sizeof(*biases));
	s->bias_count = count;
	return 0;
}

/* The caller's, and those of tokens that the file wants never to be sampled. */
static int make_biases(struct stoker_sampler *s, const struct stoker_sampler_params *p)
{
	const struct stoker_vocabulary *v = p->vocabulary;
	const uint32_t more = v ? v->suppressed_count : 0;
	AUTO_FREE struct stoker_logit_bias *all = calloc(p->bias_count + more + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	if (p->bias_count)
		memcpy(all, p->biases, p->bias_count * sizeof(*all));
	for (uint32_t i = 0; i < more; i++)
		all[p->bias_count + i] =
			(struct stoker_logit_bias){ .token = v->suppressed[i], .bias = -INFINITY };
	return copy_biases(s, all, p->bias_count + more);
}

int stoker_sampler_create(const struct stoker_sampler_params *params, struct stoker_sampler **out,
			  struct stoker_error *err)
{
	struct stoker_reasoning_params reasoning;
	struct stoker_sampler_params p;
	struct stoker_sampler *s;
	int ret;

	if (!out)
		return stoker_fail(err, -EINVAL, "no place for the sampler");
	*out = NULL;
	ret = SIZED_TAKE(&p, params, STOKER_SAMPLER_PARAMS_INIT, err);
	if (!ret)
		ret = SIZED_TAKE(&reasoning, p.reasoning, STOKER_REASONING_PARAMS_INIT, err);
	p.reasoning = p.reasoning ? &reasoning : NULL;
	if (!p.vocabulary && p.grammar)
		p.vocabulary = p.grammar->vocabulary;
	if (!ret)
		ret = sampler_params_settle(&p, err);
	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return stoker_fail(err, -ENOMEM, "out of memory");
	s->params = p;
	s->vocabulary = p.vocabulary ? vocabulary_share(p.vocabulary) : NULL;
	if (make_biases(s, &p) || history_create(&s->history, &p))
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	else
		ret = reasoning_create(&s->reasoning, &p, err);
	if (!ret)
		ret = constraint_create(&s->constraint, &p, err);
	if (ret) {
		stoker_sampler_free(&s);
		return ret;
	}
	reset(s);
	*out = s;
	return 0;
}

int stoker_sampler_clone(const struct stoker_sampler *from, struct stoker_sampler **out,
			 struct stoker_error *err)
{
	struct stoker_sampler *s;
	int ret;

	if (out)
		*out = NULL;
	if (!from || !out)
		return stoker_fail(err, -EINVAL, "cloning needs a sampler and a place for it");
	s = calloc(1, sizeof(*s));
	if (!s)
		return stoker_fail(err, -ENOMEM, "out of memory");
	s->params = from->params;
	s->vocabulary = from->vocabulary ? vocabulary_share(from->vocabulary) : NULL;
	s->random = from->random;
	s->mu = from->mu;
	if (copy_biases(s, from->biases, from->bias_count) ||
	    history_clone(&s->history, &from->history) ||
	    reasoning_clone(&s->reasoning, &from->reasoning) ||
	    constraint_clone(&s->constraint, &from->constraint)) {
		stoker_sampler_free(&s);
		return stoker_fail(err, -ENOMEM, "out of memory");
	}
	ret = custom_clone(&s->custom, &from->custom, err);
	if (ret) {
		stoker_sampler_free(&s);
		return ret;
	}
	*out = s;
	return 0;
}

int stoker_sampler_add(struct stoker_sampler *s, const struct stoker_custom_stage *stage,
		       struct stoker_error *err)
{
	int ret;

	if (!s)
		return stoker_fail(err, -EINVAL, "there is no sampler");
	if (!sampler_use(s))
		return stoker_fail(err, -EBUSY, "the sampler is in use");
	ret = custom_add(&s->custom, stage, err);
	sampler_leave(s);
	return ret;
}

void sampler_forget_custom(struct stoker_sampler *s)
{
	s->custom.count = 0;
}

void stoker_sampler_free(struct stoker_sampler **sampler)
{
	struct stoker_sampler *s = sampler ? *sampler : NULL;

	if (!s)
		return;
	*sampler = NULL;
	if (use_release(&s->use))
		destroy(s);
}

/* Whether the grammar has a say in the next token. */
static bool is_constrained(const struct stoker_sampler *s)
{
	return s->constraint.matcher && !reasoning_goes_on(&s->reasoning);
}

/* The token that may begin reasoning though the grammar doesn't have it. */
static uint32_t opener(const struct stoker_sampler *s)
{
	return s->constraint.begun ? NO_TOKEN : reasoning_opener(&s->reasoning);
}

/* What is the grammar's is no reasoning, even if it spells a tag. */
static int accept(struct stoker_sampler *s, uint32_t token)
{
	const int ret = is_constrained(s) ? constraint_accept(&s->constraint, token) : 0;

	if (ret < 0)
		return ret;
	history_add(&s->history, token);
	if (!ret)
		reasoning_accept(&s->reasoning, token);
	custom_accept(&s->custom, token);
	return 0;
}

void stoker_sampler_accept(struct stoker_sampler *s, uint32_t token)
{
	const bool own = s && sampler_use(s);

	if (s && accept(s, token)) {
		/* the grammar couldn't; the others do */
		history_add(&s->history, token);
		reasoning_accept(&s->reasoning, token);
		custom_accept(&s->custom, token);
	}
	if (own)
		sampler_leave(s);
}

void stoker_sampler_begin(struct stoker_sampler *s, const uint32_t *tokens, size_t count)
{
	bool own;

	if (!s || (!tokens && count))
		return;
	own = sampler_use(s);
	history_reset(&s->history);
	for (size_t i = count > s->history.room ? count - s->history.room : 0; i < count; i++)
		history_add(&s->history, tokens[i]);
	reasoning_begin(&s->reasoning, tokens, count);
	constraint_reset(&s->constraint);
	custom_begin(&s->custom, tokens, count);
	if (own)
		sampler_leave(s);
}

enum stoker_reasoning_state stoker_sampler_reasoning(const struct stoker_sampler *s)
{
	return s ? s->reasoning.state : STOKER_REASONING_IDLE;
}

static void add_biases(struct stoker_sampler *s)
{
	struct candidates *c = &s->candidates;

	for (size_t i = 0; i < s->bias_count; i++) {
		const struct stoker_logit_bias *b = &s->biases[i];

		if (b->token >= c->vocabulary)
			continue;
		if (b->bias < -FLT_MAX)
			candidates_change(c, b->token, -INFINITY);
		else if (isfinite(c->logits[b->token]))
			candidates_change(
				c, b->token,
				clamp_logit((double)c->logits[b->token] + (double)b->bias));
	}
}

static int run_stage(struct stoker_sampler *s, uint8_t stage, uint64_t *random)
{
	const struct stoker_sampler_params *p = &s->params;
	struct candidates *c = &s->candidates;

	switch (stage) {
	case STOKER_STAGE_PENALTIES:
		take_penalties(&s->history, p, c);
		return 0;
	case STOKER_STAGE_DRY:
		take_dry(&s->history, p, c);
		return 0;
	}
	if (p->temperature == 0)
		return 0;
	switch (stage) {
	case STOKER_STAGE_TOP_N_SIGMA:
		return cut_top_n_sigma(p, c);
	case STOKER_STAGE_TOP_K:
		return p->top_k ? candidates_keep(c, p->top_k) : 0;
	case STOKER_STAGE_TYPICAL:
		return cut_typical(p, c);
	case STOKER_STAGE_TOP_P:
		return cut_top_p(p, c);
	case STOKER_STAGE_MIN_P:
		return cut_min_p(p, c);
	case STOKER_STAGE_XTC:
		return cut_xtc(p, c, random);
	case STOKER_STAGE_TEMPERATURE:
		return even_out(p, c);
	}
	return 0;
}

/* All logits are finite or minus infinity, not all the latter. */
static int choose(struct stoker_sampler *s, uint32_t *token)
{
	const struct stoker_sampler_params *p = &s->params;
	struct candidates *c = &s->candidates;
	uint64_t random = s->random;
	double surprise;
	float top;
	int ret = 0;

	for (size_t i = 0; i < STOKER_STAGES_MAX && p->stages[i] && !p->mirostat && !ret; i++)
		ret = run_stage(s, p->stages[i], &random);
	if (p->temperature == 0) {
		*token = candidates_best(c, &top);
		return ret;
	}
	if (!ret && p->mirostat) {
		ret = even_out(p, c);
		if (!ret)
			ret = cut_mirostat(p, c, s->mu);
	}
	if (ret)
		return ret;
	draw(c, &random, token, &surprise);
	s->random = random;
	if (p->mirostat)
		s->mu -= (double)p->mirostat_eta * (surprise - (double)p->mirostat_tau);
	return 0;
}

static int choose_from(struct stoker_sampler *s, const float *logits, uint32_t count, bool mask,
		       uint32_t *token)
{
	float top;
	int ret = candidates_begin(&s->candidates, logits, count);

	if (!ret && mask)
		ret = constraint_mask(&s->constraint, &s->candidates, opener(s));
	if (ret)
		return ret;
	add_biases(s);
	*token = candidates_best(&s->candidates, &top);
	if (top < -FLT_MAX)
		return -EDOM;
	return top <= FLT_MAX ? choose(s, token) : 0;
}

/*
 * Stages look at all that may be chosen, so what the grammar leaves has to be known before them.
 * Only where they come to the same is one token looked at instead of all: the best, and any as long
 * as a grammar waits for its trigger, when next to all are allowed.
 */
static int sample(struct stoker_sampler *s, const float *logits, uint32_t count, uint32_t *token)
{
	const bool constrained = is_constrained(s);
	const bool mask = constrained && s->constraint.active && s->params.temperature != 0;
	const uint64_t random = s->random;
	const double mu = s->mu;
	int ret;

	s->custom.failed = false;
	if (reasoning_forces(&s->reasoning, token))
		return *token < count ? 0 : -EINVAL;
	ret = custom_apply(&s->custom, &logits, count);
	if (!ret)
		ret = choose_from(s, logits, count, mask, token);
	if (ret || !constrained || mask || *token == opener(s))
		return ret;
	ret = constraint_allows(&s->constraint, *token);
	if (ret)
		return MIN(ret, 0);
	s->random = random;
	s->mu = mu;
	return choose_from(s, logits, count, true, token);
}

bool sampler_use(struct stoker_sampler *s)
{
	return use_begin(&s->use);
}

void sampler_leave(struct stoker_sampler *s)
{
	if (use_end(&s->use))
		destroy(s);
}

int sampler_choose(struct stoker_sampler *s, const float *logits, uint32_t count, uint32_t *token)
{
	const struct stoker_vocabulary *v = s->vocabulary;
	const uint64_t random = s->random;
	const double mu = s->mu;
	uint32_t chosen;
	int ret = sample(s, logits, v ? MIN(count, stoker_vocabulary_size(v)) : count, &chosen);

	if (!ret)
		ret = accept(s, chosen);
	if (ret) {
		s->random = random;
		s->mu = mu;
		return ret;
	}
	*token = chosen;
	return 0;
}

const char *sampler_failure(const struct stoker_sampler *s, int ret)
{
	switch (s->custom.failed ? 0 : ret) {
	case -EDOM:
		return s->constraint.matcher ? "the model gives no finite logit of a token that "
					       "the grammar allows"
					     : "the model gives no finite logits";
	case -E2BIG:
		return "what the grammar allows here can be read in too many ways";
	case -EBUSY:
		return "the sampler is in use";
	case -EINVAL:
		return "the reasoning budget forces a token that the model lacks";
	case -ENOMEM:
		return "out of memory";
	}
	return "a stage of the program's failed";
}

int stoker_sampler_sample(struct stoker_sampler *s, const float *logits, uint32_t count,
			  uint32_t *token)
{
	int ret;

	if (!s || !logits || !count || !token)
		return -EINVAL;
	if (!sampler_use(s))
		return -EBUSY;
	ret = sampler_choose(s, logits, count, token);
	sampler_leave(s);
	return ret;
}
