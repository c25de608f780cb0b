// SPDX-License-Identifier: MIT
/* Parameters of sampling: what is usual, what a file says, what is possible. */
#include "session/sampling.h"

#include <math.h>
#include <stdio.h>

#include "base/sized.h"
#include "stoker/gguf.h"

static const struct {
	const char *name;
	uint8_t stage;
} stage_names[] = {
	{ "penalties", STOKER_STAGE_PENALTIES },
	{ "dry", STOKER_STAGE_DRY },
	{ "top_n_sigma", STOKER_STAGE_TOP_N_SIGMA },
	{ "top_k", STOKER_STAGE_TOP_K },
	{ "typ_p", STOKER_STAGE_TYPICAL },
	{ "top_p", STOKER_STAGE_TOP_P },
	{ "min_p", STOKER_STAGE_MIN_P },
	{ "xtc", STOKER_STAGE_XTC },
	{ "temperature", STOKER_STAGE_TEMPERATURE },
	/* other ways to write them */
	{ "typical_p", STOKER_STAGE_TYPICAL },
	{ "typical", STOKER_STAGE_TYPICAL },
	{ "temp", STOKER_STAGE_TEMPERATURE },
};

static const char *const usual_breakers[] = { "\n", ":", "\"", "*" };

/* Numbers: what is possible, and what 0 stands for. */
static const struct {
	const char *name;
	size_t offset;
	float least, most, usual;
} numbers[] = {
#define NUMBER(member) offsetof(struct stoker_sampler_params, member)
	{ "temperature", NUMBER(temperature), 0, FLT_MAX, 0 },
	{ "top-p", NUMBER(top_p), 0, 1, 1 },
	{ "min-p", NUMBER(min_p), 0, 1, 0 },
	{ "repeat penalty", NUMBER(repeat_penalty), 0, FLT_MAX, 1 },
	{ "presence penalty", NUMBER(presence_penalty), -1000, 1000, 0 },
	{ "frequency penalty", NUMBER(frequency_penalty), -1000, 1000, 0 },
	{ "typical p", NUMBER(typical_p), 0, 1, 1 },
	{ "top-n-sigma", NUMBER(top_n_sigma), -FLT_MAX, FLT_MAX, 0 },
	{ "xtc probability", NUMBER(xtc_probability), 0, 1, 0 },
	{ "xtc threshold", NUMBER(xtc_threshold), 0, 1, 0.1f },
	{ "range of the dynamic temperature", NUMBER(dynamic_range), 0, FLT_MAX, 0 },
	{ "exponent of the dynamic temperature", NUMBER(dynamic_exponent), 0, FLT_MAX, 1 },
	{ "dry multiplier", NUMBER(dry_multiplier), 0, FLT_MAX, 0 },
	{ "dry base", NUMBER(dry_base), 1, FLT_MAX, 1.75f },
	{ "mirostat's tau", NUMBER(mirostat_tau), 0, FLT_MAX, 5 },
	{ "mirostat's eta", NUMBER(mirostat_eta), 0, 1, 0.1f },
};

int stoker_sampler_defaults(struct stoker_sampler_params *params)
{
	static const struct stoker_sampler_params defaults = {
		.temperature = 0.8f,
		.top_k = 40,
		.top_p = 0.95f,
		.min_p = 0.05f,
		.repeat_penalty = 1,
		.repeat_last = DEFAULT_LAST,
		.typical_p = 1,
		.xtc_threshold = 0.1f,
		.dynamic_exponent = 1,
		.dry_base = 1.75f,
		.dry_allowed_length = 2,
		.dry_last = DEFAULT_LAST,
		.mirostat_tau = 5,
		.mirostat_eta = 0.1f,
	};
	const int ret = SIZED_CHECK(params, STOKER_SAMPLER_PARAMS_INIT, NULL);

	if (!ret)
		sized_give(params, &defaults, sizeof(defaults));
	return ret;
}

/* Names are told apart without looking at hyphens and underscores. */
static bool is_name(const char *name, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (name[i] != (text[i] == '-' ? '_' : text[i]))
			return false;
	return !name[length];
}

int stoker_sampler_order(const char *names, uint8_t stages[STOKER_STAGES_MAX],
			 struct stoker_error *err)
{
	uint8_t found[STOKER_STAGES_MAX] = { 0 };
	uint32_t count = 0, seen = 0;

	if (!names || !stages)
		return stoker_fail(err, -EINVAL, "the order of stages needs names and a place");
	for (const char *at = names, *end;; at = end + 1) {
		uint8_t stage = 0;

		end = strchrnul(at, ';');
		for (size_t i = 0; i < ARRAY_SIZE(stage_names) && !stage; i++)
			if (is_name(stage_names[i].name, at, (size_t)(end - at)))
				stage = stage_names[i].stage;
		if (!stage)
			return stoker_fail(
				err, -EINVAL,
				"no sampler is called \"%.*s\"; there are penalties, dry, "
				"top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature",
				(int)MIN(end - at, 64), at);
		if (seen & 1u << stage)
			return stoker_fail(err, -EINVAL, "sampler \"%.*s\" is listed twice",
					   (int)(end - at), at);
		seen |= 1u << stage;
		found[count++] = stage;
		if (!*end)
			break;
	}
	memcpy(stages, found, sizeof(found));
	return 0;
}

const char *stoker_sampler_stage_name(enum stoker_sampler_stage stage)
{
	for (size_t i = 0; i < ARRAY_SIZE(stage_names); i++)
		if (stage_names[i].stage == stage)
			return stage_names[i].name;
	return NULL;
}

static int settle_stages(struct stoker_sampler_params *p, struct stoker_error *err)
{
	uint32_t seen = 0, n = 0;

	for (; n < STOKER_STAGES_MAX && p->stages[n]; n++) {
		const uint8_t stage = p->stages[n];

		if (stage > STOKER_STAGE_TEMPERATURE)
			return stoker_fail(err, -EINVAL, "stage %u of sampling, there are %d",
					   stage, STOKER_STAGE_TEMPERATURE);
		if (seen & 1u << stage)
			return stoker_fail(err, -EINVAL, "stage %u of sampling is listed twice",
					   stage);
		seen |= 1u << stage;
	}
	for (uint8_t stage = 1; !seen && stage <= STOKER_STAGE_TEMPERATURE; stage++)
		p->stages[n++] = stage;
	return 0;
}

static int settle_last(const char *name, uint32_t *last, struct stoker_error *err)
{
	if (*last == UINT32_MAX)
		*last = MAX_LAST;
	if (*last > MAX_LAST)
		return stoker_fail(err, -EINVAL, "%s over %u tokens, the limit is %d", name, *last,
				   MAX_LAST);
	if (!*last)
		*last = DEFAULT_LAST;
	return 0;
}

static int settle_dry(struct stoker_sampler_params *p, struct stoker_error *err)
{
	if (!p->dry_allowed_length)
		p->dry_allowed_length = 2;
	if (!p->dry_breakers) {
		p->dry_breakers = usual_breakers;
		p->dry_breaker_count = ARRAY_SIZE(usual_breakers);
	}
	if (p->dry_breaker_count > MAX_BREAKERS)
		return stoker_fail(err, -EINVAL, "%zu breakers for dry, the limit is %d",
				   p->dry_breaker_count, MAX_BREAKERS);
	for (size_t i = 0; i < p->dry_breaker_count; i++) {
		const size_t length = p->dry_breakers[i] ? strlen(p->dry_breakers[i]) : 0;

		if (!length || length > MAX_BREAKER)
			return stoker_fail(err, -EINVAL,
					   "breaker %zu for dry has %zu bytes, limits 1 and %d",
					   i + 1, length, MAX_BREAKER);
	}
	if (p->dry_multiplier > 0 && p->dry_breaker_count && !p->vocabulary)
		return stoker_fail(err, -EINVAL, "dry with breakers needs the vocabulary");
	return 0;
}

static int check_biases(const struct stoker_sampler_params *p, struct stoker_error *err)
{
	const uint32_t size = p->vocabulary ? stoker_vocabulary_size(p->vocabulary) : UINT32_MAX;

	if (p->bias_count > MAX_BIASES || (p->bias_count && !p->biases))
		return stoker_fail(err, -EINVAL, "%zu biases of logits, the limit is %d",
				   p->bias_count, MAX_BIASES);
	for (size_t i = 0; i < p->bias_count; i++) {
		if (!(p->biases[i].bias <= FLT_MAX))
			return stoker_fail(err, -EINVAL,
					   "bias %g of token %u, it has to be finite or -inf",
					   (double)p->biases[i].bias, p->biases[i].token);
		if (p->biases[i].token >= size)
			return stoker_fail(err, -EINVAL,
					   "bias of token %u, the vocabulary has %u tokens",
					   p->biases[i].token, size);
	}
	return 0;
}

int sampler_params_settle(struct stoker_sampler_params *p, struct stoker_error *err)
{
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		float *value = (float *)((char *)p + numbers[i].offset);

		if (*value == 0)
			*value = numbers[i].usual;
		else if (!(*value >= numbers[i].least && *value <= numbers[i].most))
			return stoker_fail(err, -EINVAL, "the %s is %g, limits %g and %g",
					   numbers[i].name, (double)*value,
					   (double)numbers[i].least, (double)numbers[i].most);
	}
	if (p->mirostat > 2)
		return stoker_fail(err, -EINVAL, "mirostat %u, there are 1 and 2; 0 is off",
				   p->mirostat);
	ret = settle_last("penalties", &p->repeat_last, err);
	if (!ret)
		ret = settle_last("dry", &p->dry_last, err);
	if (!ret)
		ret = settle_stages(p, err);
	if (!ret)
		ret = settle_dry(p, err);
	return ret ? ret : check_biases(p, err);
}

/* --- what a file says --------------------------------------------------------------------------
 */

struct reading {
	const struct stoker_gguf *gguf;
	struct stoker_sampler_params *params;
	struct stoker_error *err;
};

static const struct stoker_gguf_key *key_of(const struct reading *r, const char *name,
					    char full[64])
{
	snprintf(full, 64, "general.sampling.%s", name);
	return stoker_gguf_find(r->gguf, full);
}

static int wrong(const struct reading *r, const char *key, const char *wanted)
{
	return stoker_fail(r->err, -EINVAL, "%s: key %s is no %s",
			   stoker_gguf_file(r->gguf, 0, NULL, NULL), key, wanted);
}

static int read_number(const struct reading *r, const char *name, float least, float most,
		       float *value)
{
	char full[64];
	const struct stoker_gguf_key *key = key_of(r, name, full);
	double number;

	if (!key)
		return 0;
	if (key->type == STOKER_GGUF_ARRAY || key->type == STOKER_GGUF_BOOL ||
	    stoker_gguf_f64(r->gguf, key, 0, &number))
		return wrong(r, full, "number");
	if (!(number >= (double)least && number <= (double)most))
		return stoker_fail(r->err, -EINVAL, "%s: key %s is %g, limits %g and %g",
				   stoker_gguf_file(r->gguf, 0, NULL, NULL), full, number,
				   (double)least, (double)most);
	*value = (float)number;
	return 0;
}

/* A whole number; @value is untouched where there is no key. */
static int read_count(const struct reading *r, const char *name, int64_t least, int64_t most,
		      int64_t *value)
{
	char full[64];
	const struct stoker_gguf_key *key = key_of(r, name, full);
	int64_t number;

	if (!key)
		return 0;
	if (key->type == STOKER_GGUF_ARRAY || key->type == STOKER_GGUF_BOOL ||
	    stoker_gguf_i64(r->gguf, key, 0, &number))
		return wrong(r, full, "whole number");
	if (number < least || number > most)
		return stoker_fail(r->err, -EINVAL, "%s: key %s is %lld, limits %lld and %lld",
				   stoker_gguf_file(r->gguf, 0, NULL, NULL), full,
				   (long long)number, (long long)least, (long long)most);
	*value = number;
	return 0;
}

static int read_order(const struct reading *r)
{
	char full[64], names[512];
	const struct stoker_gguf_key *key = key_of(r, "sequence", full);
	struct stoker_error inner;
	struct stoker_string text;

	if (!key)
		return 0;
	if (stoker_gguf_string(r->gguf, key, &text))
		return wrong(r, full, "text");
	if (text.length >= sizeof(names) || memchr(text.data, 0, text.length))
		return wrong(r, full, "list of samplers");
	memcpy(names, text.data, text.length);
	names[text.length] = 0;
	if (!stoker_sampler_order(names, r->params->stages, &inner))
		return 0;
	return stoker_fail(r->err, -EINVAL, "%s: key %s: %s",
			   stoker_gguf_file(r->gguf, 0, NULL, NULL), full, inner.message);
}

/* Files have 0 or -1 for all candidates, 0 for no penalty, -1 or more than enough for the context.
 */
static int read_counts(const struct reading *r)
{
	struct stoker_sampler_params *p = r->params;
	int64_t k = p->top_k, last = p->repeat_last, mirostat = p->mirostat;

	if (read_count(r, "top_k", -1, INT32_MAX, &k) ||
	    read_count(r, "penalty_last_n", -1, INT32_MAX, &last) ||
	    read_count(r, "mirostat", 0, 2, &mirostat))
		return -EINVAL;
	p->top_k = (uint32_t)MAX(k, 0);
	p->mirostat = (uint32_t)mirostat;
	if (!last && p->repeat_last)
		p->repeat_penalty = 1;
	else
		p->repeat_last = last < 0 || last > MAX_LAST ? UINT32_MAX : (uint32_t)last;
	return 0;
}

int stoker_sampler_model_defaults(const struct stoker_gguf *gguf,
				  struct stoker_sampler_params *params, struct stoker_error *err)
{
	struct stoker_sampler_params own, *p = &own;
	const struct reading r = { .gguf = gguf, .params = p, .err = err };
	int ret;

	if (!gguf || !params)
		return stoker_fail(err, -EINVAL, "defaults need a container and a place for them");
	ret = SIZED_TAKE(p, params, STOKER_SAMPLER_PARAMS_INIT, err);
	if (ret)
		return ret;
	if (read_order(&r) || read_number(&r, "temp", 0, FLT_MAX, &p->temperature) ||
	    read_number(&r, "top_p", 0, 1, &p->top_p) ||
	    read_number(&r, "min_p", 0, 1, &p->min_p) ||
	    read_number(&r, "xtc_probability", 0, 1, &p->xtc_probability) ||
	    read_number(&r, "xtc_threshold", 0, 1, &p->xtc_threshold) ||
	    read_number(&r, "penalty_repeat", 0, FLT_MAX, &p->repeat_penalty) ||
	    read_number(&r, "mirostat_tau", 0, FLT_MAX, &p->mirostat_tau) ||
	    read_number(&r, "mirostat_eta", 0, 1, &p->mirostat_eta))
		return -EINVAL;
	ret = read_counts(&r);
	if (!ret)
		sized_give(params, p, sizeof(*p));
	return ret;
}
