// SPDX-License-Identifier: MIT
/* What a request says about sampling, lengths and the like: one table for all dialects. */
#include "serve/fields.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sampling.h"

enum kind { NUMBER, COUNT, FLAG, SPECIAL };

struct reading {
	struct chosen *out;
	struct problem *p;
};

/*
 * @least, @most: limits, of the whole number with COUNT.  @tiny: 0 means 0, where the library would
 * take it for what is usual.  @read: of SPECIAL.
 */
struct field {
	const char *name;
	enum kind kind;
	size_t offset; /* in struct chosen */
	double least, most;
	bool tiny;
	bool (*read)(const struct reading *r, const char *name, struct json_object *value);
};

/* Negative: any seed. */
static bool read_seed(const struct reading *r, const char *name, struct json_object *value)
{
	int64_t seed;

	if (json_object_is_type(value, json_type_int) &&
	    json_object_get_uint64(value) > INT64_MAX) {
		r->out->sampling.seed = json_object_get_uint64(value);
		r->out->seeded = true;
		return true;
	}
	if (!value_int(r->p, name, value, INT64_MIN, INT64_MAX, &seed))
		return false;
	r->out->seeded = seed >= 0;
	if (seed >= 0)
		r->out->sampling.seed = (uint64_t)seed;
	return true;
}

/* -1 and Ollama's -2: as many as fit. */
static bool read_max_tokens(const struct reading *r, const char *name, struct json_object *value)
{
	int64_t n;

	if (!value_int(r->p, name, value, -2, INT32_MAX, &n))
		return false;
	r->out->limited = n >= 0;
	r->out->max_tokens = n > 0 ? (uint32_t)n : 0;
	return true;
}

/* 0 and -1: all. */
static bool read_top_k(const struct reading *r, const char *name, struct json_object *value)
{
	int64_t k;

	if (!value_int(r->p, name, value, -1, INT32_MAX, &k))
		return false;
	r->out->sampling.top_k = k > 0 ? (uint32_t)k : 0;
	return true;
}

/* The library takes 0 for what is usual, requests for nothing, -1 for the whole context. */
static bool read_last(const struct reading *r, const char *name, struct json_object *value)
{
	struct stoker_sampler_params *s = &r->out->sampling;
	const bool dry = !strncmp(name, "dry", 3);
	int64_t n;

	if (!value_int(r->p, name, value, -1, 65536, &n))
		return false;
	*(dry ? &s->dry_last : &s->repeat_last) = n < 0 ? UINT32_MAX : (uint32_t)n;
	return true;
}

static bool read_stop(const struct reading *r, const char *name, struct json_object *value)
{
	const bool list = json_object_is_type(value, json_type_array);
	const size_t count = list ? json_object_array_length(value) : 1;
	struct chosen *out = r->out;
	const char *text;

	if (!list && !json_object_is_type(value, json_type_string))
		return value_wrong(r->p, name, value, "a string or a list of strings");
	out->stop_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct json_object *item = list ? json_object_array_get_idx(value, i) : value;

		if (!value_text(r->p, name, item, &text))
			return false;
		if (strlen(text) > STOP_BYTES_MAX)
			return problem_set(r->p, 400, name, NULL,
					   "%s has a string of %zu bytes, limit %d", name,
					   strlen(text), STOP_BYTES_MAX);
		if (!*text)
			continue;
		if (out->stop_count == STOPS_MAX)
			return problem_set(r->p, 400, name, NULL, "%s has %zu strings, limit %d",
					   name, count, STOPS_MAX);
		out->stop[out->stop_count++] = text;
	}
	return true;
}

static bool read_breakers(const struct reading *r, const char *name, struct json_object *value)
{
	struct chosen *out = r->out;
	size_t count;

	if (!json_object_is_type(value, json_type_array))
		return value_wrong(r->p, name, value, "a list of strings");
	count = json_object_array_length(value);
	if (count > BREAKERS_MAX)
		return problem_set(r->p, 400, name, NULL, "%s has %zu strings, limit %d", name,
				   count, BREAKERS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!value_text(r->p, name, json_object_array_get_idx(value, i), &out->breakers[i]))
			return false;
		if (!*out->breakers[i] || strlen(out->breakers[i]) > 64)
			return problem_set(r->p, 400, name, NULL,
					   "%s has a string of %zu bytes, limits 1 and 64", name,
					   strlen(out->breakers[i]));
	}
	out->sampling.dry_breakers = out->breakers;
	out->sampling.dry_breaker_count = count;
	return true;
}

/* Names in a list, or in a string with semicolons between them. */
static bool read_samplers(const struct reading *r, const char *name, struct json_object *value)
{
	const bool list = json_object_is_type(value, json_type_array);
	const size_t count = list ? json_object_array_length(value) : 1;
	struct stoker_error err;
	const char *text;
	char names[512];
	size_t n = 0;

	if (!list && !json_object_is_type(value, json_type_string))
		return value_wrong(r->p, name, value, "a list of samplers' names");
	for (size_t i = 0; i < count; i++) {
		if (!value_text(r->p, name, list ? json_object_array_get_idx(value, i) : value,
				&text))
			return false;
		if (n + strlen(text) + 2 > sizeof(names))
			return problem_set(r->p, 400, name, NULL, "%s is too long, limit %zu bytes",
					   name, sizeof(names) - 1);
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ";" : "", text);
	}
	if (!n || stoker_sampler_order(names, r->out->sampling.stages, &err))
		return problem_set(r->p, 400, name, NULL, "%s: %s", name,
				   n ? err.message : "there is none in it");
	return true;
}

static bool read_biases(const struct reading *r, const char *name, struct json_object *value)
{
	return read_logit_bias(r->out, name, value, r->p);
}

/* true, or how many: chat says top_logprobs for that. */
static bool read_log_probabilities(const struct reading *r, const char *name,
				   struct json_object *value)
{
	int64_t n;

	if (json_object_is_type(value, json_type_boolean)) {
		r->out->log_probabilities = json_object_get_boolean(value);
		return true;
	}
	if (!value_int(r->p, name, value, 0, STOKER_TOP_MAX, &n))
		return false;
	/* llama-server's 0 is none, that of the old completions the chosen one alone */
	r->out->log_probabilities = n > 0 || !strcmp(name, "logprobs");
	r->out->top = (uint32_t)n;
	return true;
}

static bool read_stream(const struct reading *r, const char *name, struct json_object *value)
{
	r->out->stream_said = true;
	return value_bool(r->p, name, value, &r->out->stream);
}

static bool read_stream_options(const struct reading *r, const char *name,
				struct json_object *value)
{
	if (!json_object_is_type(value, json_type_object))
		return value_wrong(r->p, name, value, "an object");
	return field_bool(value, "include_usage", &r->out->include_usage, r->p);
}

static bool read_tier(const struct reading *r, const char *name, struct json_object *value)
{
	const char *tier;

	if (!value_text(r->p, name, value, &tier))
		return false;
	if (!strcmp(tier, "flex"))
		r->out->priority = STOKER_PRIORITY_BATCH;
	else if (!strcmp(tier, "priority"))
		r->out->priority = STOKER_PRIORITY_INTERACTIVE;
	return true;
}

/* As vLLM has it: the lower, the sooner. */
static bool read_priority(const struct reading *r, const char *name, struct json_object *value)
{
	int64_t n;

	if (!value_int(r->p, name, value, INT32_MIN, INT32_MAX, &n))
		return false;
	r->out->priority = n < 0   ? STOKER_PRIORITY_INTERACTIVE
			   : n > 0 ? STOKER_PRIORITY_BATCH
				   : STOKER_PRIORITY_NORMAL;
	return true;
}

static bool read_budget(const struct reading *r, const char *name, struct json_object *value)
{
	int64_t n;

	if (!value_int(r->p, name, value, -1, INT32_MAX, &n))
		return false;
	r->out->reasoning_budget = (int32_t)n;
	return true;
}

static bool check_text(const struct reading *r, const char *name, struct json_object *value)
{
	const char *text;

	return value_text(r->p, name, value, &text);
}

#define S(member) offsetof(struct chosen, sampling.member)
#define C(member) offsetof(struct chosen, member)

/* Of names for the same thing the later one counts. */
static const struct field fields[] = {
	{ "temperature", NUMBER, S(temperature), 0, 100 },
	{ "dynatemp_range", NUMBER, S(dynamic_range), 0, 100 },
	{ "dynatemp_exponent", NUMBER, S(dynamic_exponent), 0, 100, .tiny = true },
	{ "top_k", SPECIAL, .read = read_top_k },
	{ "top_p", NUMBER, S(top_p), 0, 1, .tiny = true },
	{ "min_p", NUMBER, S(min_p), 0, 1 },
	{ "typ_p", NUMBER, S(typical_p), 0, 1, .tiny = true },
	{ "typical_p", NUMBER, S(typical_p), 0, 1, .tiny = true },
	{ "top_n_sigma", NUMBER, S(top_n_sigma), -1, 1000 },
	{ "xtc_probability", NUMBER, S(xtc_probability), 0, 1 },
	{ "xtc_threshold", NUMBER, S(xtc_threshold), 0, 1, .tiny = true },
	{ "repeat_penalty", NUMBER, S(repeat_penalty), 0, 1000 },
	{ "repetition_penalty", NUMBER, S(repeat_penalty), 0, 1000 },
	{ "repeat_last_n", SPECIAL, .read = read_last },
	{ "presence_penalty", NUMBER, S(presence_penalty), -1000, 1000 },
	{ "frequency_penalty", NUMBER, S(frequency_penalty), -1000, 1000 },
	{ "dry_multiplier", NUMBER, S(dry_multiplier), 0, 1000 },
	{ "dry_base", NUMBER, S(dry_base), 1, 1000 },
	{ "dry_allowed_length", COUNT, S(dry_allowed_length), 0, 65536 },
	{ "dry_penalty_last_n", SPECIAL, .read = read_last },
	{ "dry_sequence_breakers", SPECIAL, .read = read_breakers },
	{ "mirostat", COUNT, S(mirostat), 0, 2 },
	{ "mirostat_tau", NUMBER, S(mirostat_tau), 0, 1000, .tiny = true },
	{ "mirostat_eta", NUMBER, S(mirostat_eta), 0, 1, .tiny = true },
	{ "samplers", SPECIAL, .read = read_samplers },
	{ "seed", SPECIAL, .read = read_seed },
	{ "logit_bias", SPECIAL, .read = read_biases },
	{ "ignore_eos", FLAG, C(ignore_end) },
	{ "stop", SPECIAL, .read = read_stop },
	{ "stop_sequences", SPECIAL, .read = read_stop },
	{ "num_predict", SPECIAL, .read = read_max_tokens },
	{ "n_predict", SPECIAL, .read = read_max_tokens },
	{ "max_tokens", SPECIAL, .read = read_max_tokens },
	{ "max_completion_tokens", SPECIAL, .read = read_max_tokens },
	{ "max_output_tokens", SPECIAL, .read = read_max_tokens },
	{ "n", COUNT, C(n), 1, CHOICES_MAX },
	{ "n_probs", SPECIAL, .read = read_log_probabilities },
	{ "logprobs", SPECIAL, .read = read_log_probabilities },
	{ "top_logprobs", COUNT, C(top), 0, STOKER_TOP_MAX },
	{ "stream", SPECIAL, .read = read_stream },
	{ "stream_options", SPECIAL, .read = read_stream_options },
	{ "service_tier", SPECIAL, .read = read_tier },
	{ "priority", SPECIAL, .read = read_priority },
	{ "reasoning_budget", SPECIAL, .read = read_budget },
	{ "thinking_budget_tokens", SPECIAL, .read = read_budget },
	{ "user", SPECIAL, .read = check_text },
};

static bool take_field(const struct field *f, const struct reading *r, struct json_object *value)
{
	void *at = (char *)r->out + f->offset;
	int64_t count;
	double number;

	switch (f->kind) {
	case NUMBER:
		if (!value_number(r->p, f->name, value, f->least, f->most, &number))
			return false;
		*(float *)at = number == 0 && f->tiny ? FLT_MIN : (float)number;
		return true;
	case COUNT:
		if (!value_int(r->p, f->name, value, (int64_t)f->least, (int64_t)f->most, &count))
			return false;
		*(uint32_t *)at = (uint32_t)count;
		return true;
	case FLAG:
		return value_bool(r->p, f->name, value, at);
	default:
		return f->read(r, f->name, value);
	}
}

void fields_begin(struct chosen *out, const struct stoker_vocabulary *v,
		  const struct stoker_sampler_params *defaults)
{
	*out = (struct chosen){ .sampling = { STOKER_SAMPLER_PARAMS_INIT },
				.n = 1,
				.reasoning_budget = -1 };
	if (defaults)
		out->sampling = *defaults;
	out->sampling.vocabulary = v;
	if (!defaults || defaults->seed == UNSAID_COUNT) /* --seed is everybody's */
		out->sampling.seed = any_seed();
}

bool fields_take(struct json_object *o, struct chosen *out, struct problem *p)
{
	const struct reading r = { .out = out, .p = p };
	struct stoker_sampler_params *s = &out->sampling;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		struct json_object *value = field_of(o, fields[i].name);

		if (value && !take_field(&fields[i], &r, value))
			return false;
	}
	/* the library takes 0 for what is usual, requests for none */
	if (field_of(o, "repeat_last_n") && !s->repeat_last) {
		s->repeat_penalty = 1;
		s->presence_penalty = s->frequency_penalty = 0;
	}
	if (field_of(o, "dry_penalty_last_n") && !s->dry_last)
		s->dry_multiplier = 0;
	if (field_of(o, "dry_allowed_length") && !s->dry_allowed_length)
		s->dry_allowed_length = 1;
	return true;
}

void fields_free(struct chosen *out)
{
	free(out->biases);
	out->biases = NULL;
	out->bias_room = 0;
	out->sampling.biases = NULL;
	out->sampling.bias_count = 0;
}
