// SPDX-License-Identifier: MIT
/* From the options of sampling, and what the model's file says, to a sampler. */
#include "sampling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "reasoning.h"

static void set_number(double said, float *value)
{
	if (!isnan(said))
		*value = (float)said;
}

static void set_count(uint64_t said, uint32_t *value)
{
	if (said != UNSAID_COUNT)
		*value = (uint32_t)said;
}

/* The library takes 0 for what is usual, the command line for nothing. */
static void set_last(const struct sampling_options *s, struct stoker_sampler_params *p)
{
	if (s->repeat_last == 0) {
		p->repeat_penalty = 1;
		p->presence_penalty = p->frequency_penalty = 0;
	} else {
		set_count(s->repeat_last, &p->repeat_last);
	}
	if (s->dry_last == 0)
		p->dry_multiplier = 0;
	else
		set_count(s->dry_last, &p->dry_last);
}

static void set_breakers(const struct sampling_options *s, struct stoker_sampler_params *p)
{
	if (!s->breakers.count)
		return;
	p->dry_breakers = s->breakers.items;
	p->dry_breaker_count = s->breakers.count;
	if (s->breakers.count == 1 && !strcmp(s->breakers.items[0], "none"))
		p->dry_breaker_count = 0;
}

/* "15043=-2.5", "15043+1", "15043-inf" */
static bool parse_bias(const char *text, struct stoker_logit_bias *bias)
{
	unsigned long long token;
	double number;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	token = strtoull(text, &end, 10);
	if (errno || token >= UINT32_MAX || (*end != '=' && *end != '+' && *end != '-'))
		return false;
	end += *end == '=';
	bias->token = (uint32_t)token;
	if (!strcmp(end, "-inf")) {
		bias->bias = -INFINITY;
		return true;
	}
	if (!parse_number(end, &number))
		return false;
	bias->bias = (float)number;
	return true;
}

/* What --logit-bias says; @biases has room for all of them. */
static int set_biases(const struct sampling_options *s, struct stoker_logit_bias *biases,
		      struct stoker_sampler_params *p)
{
	for (size_t i = 0; i < s->biases.count; i++)
		if (!parse_bias(s->biases.items[i], &biases[i])) {
			fprintf(stderr,
				"stoker: --logit-bias takes ID=NUMBER, ID+NUMBER or ID-NUMBER, "
				"not \"%s\"\n",
				s->biases.items[i]);
			return EXIT_USAGE;
		}
	p->biases = biases;
	p->bias_count = s->biases.count;
	return EXIT_OK;
}

static int set_reasoning(const struct sampling_options *s, struct stoker_reasoning_params *r,
			 struct stoker_sampler_params *p)
{
	const double n = s->reasoning_budget;
	const char *open, *close;

	if (!(n >= -1 && n <= INT32_MAX && n == floor(n))) {
		fprintf(stderr, "stoker: --reasoning-budget takes -1 or a number of tokens\n");
		return EXIT_USAGE;
	}
	/* a grammar has to know where reasoning is, with a budget or without */
	if (n < 0 && !p->grammar)
		return EXIT_OK;
	reasoning_tags(p->vocabulary, &open, &close);
	*r = (struct stoker_reasoning_params){
		STOKER_REASONING_PARAMS_INIT,
		.budget = (int32_t)n,
		.start = s->reasoning_start ? s->reasoning_start : open,
		.end = s->reasoning_end ? s->reasoning_end : close,
		.message = s->reasoning_message,
	};
	p->reasoning = r;
	return EXIT_OK;
}

static void set_numbers(const struct sampling_options *s, struct stoker_sampler_params *p)
{
	set_number(s->temperature, &p->temperature);
	set_number(s->top_p, &p->top_p);
	set_number(s->min_p, &p->min_p);
	set_number(s->typical, &p->typical_p);
	set_number(s->top_n_sigma, &p->top_n_sigma);
	set_number(s->xtc_probability, &p->xtc_probability);
	set_number(s->xtc_threshold, &p->xtc_threshold);
	set_number(s->dynamic_range, &p->dynamic_range);
	set_number(s->dynamic_exponent, &p->dynamic_exponent);
	set_number(s->repeat_penalty, &p->repeat_penalty);
	set_number(s->presence_penalty, &p->presence_penalty);
	set_number(s->frequency_penalty, &p->frequency_penalty);
	set_number(s->dry_multiplier, &p->dry_multiplier);
	set_number(s->dry_base, &p->dry_base);
	set_number(s->mirostat_tau, &p->mirostat_tau);
	set_number(s->mirostat_eta, &p->mirostat_eta);
	set_count(s->top_k, &p->top_k);
	set_count(s->dry_allowed_length, &p->dry_allowed_length);
	set_count(s->mirostat, &p->mirostat);
}

uint32_t any_seed(void)
{
	struct timespec now;
	uint32_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		return seed;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint32_t)now.tv_sec ^ (uint32_t)now.tv_nsec;
}

int choose_sampling(struct sampling_options *s, const struct stoker_gguf *gguf,
		    const struct stoker_vocabulary *vocabulary, struct sampling_choice *c)
{
	struct stoker_sampler_params *params = &c->params;
	struct stoker_error err;
	int status;

	*c = (struct sampling_choice){ .params = { STOKER_SAMPLER_PARAMS_INIT } };
	stoker_sampler_defaults(params);
	if (stoker_sampler_model_defaults(gguf, params, &err))
		return fail(&err);
	c->grammar = open_grammar(&s->grammar, vocabulary, &status);
	params->vocabulary = vocabulary;
	params->grammar = c->grammar;
	set_numbers(s, params);
	set_last(s, params);
	set_breakers(s, params);
	if (!status)
		status = set_biases(s, c->biases, params);
	if (!status)
		status = set_reasoning(s, &c->reasoning, params);
	if (!status && s->samplers && stoker_sampler_order(s->samplers, params->stages, &err)) {
		fail(&err);
		status = EXIT_USAGE;
	}
	if (status)
		stoker_grammar_free(&c->grammar);
	return status;
}

int open_sampler(struct sampling_options *s, const struct stoker_gguf *gguf,
		 const struct stoker_vocabulary *vocabulary, struct stoker_sampler **sampler)
{
	struct sampling_choice c;
	struct stoker_error err;
	int status = choose_sampling(s, gguf, vocabulary, &c);

	if (status)
		return status;
	if (s->seed == UNSAID_COUNT)
		s->seed = any_seed();
	c.params.seed = s->seed;
	if (stoker_sampler_create(&c.params, sampler, &err)) {
		fail(&err);
		status = EXIT_USAGE;
	} else {
		s->chosen = c.params;
	}
	stoker_grammar_free(&c.grammar);
	return status;
}

/* Numbers that are told: by name, and what they are when they do nothing. */
struct told {
	const char *name;
	size_t offset;
	float off;
	bool whole;
};

#define TOLD(member) offsetof(struct stoker_sampler_params, member)
static const struct told told[] = {
	{ "temperature", TOLD(temperature), NAN },
	{ "top_k", TOLD(top_k), 0, true },
	{ "top_p", TOLD(top_p), 1 },
	{ "min_p", TOLD(min_p), 0 },
	{ "typ_p", TOLD(typical_p), 1 },
	{ "top_n_sigma", TOLD(top_n_sigma), 0 },
	{ "xtc_probability", TOLD(xtc_probability), 0 },
	{ "dynatemp_range", TOLD(dynamic_range), 0 },
	{ "repeat_penalty", TOLD(repeat_penalty), 1 },
	{ "presence_penalty", TOLD(presence_penalty), 0 },
	{ "frequency_penalty", TOLD(frequency_penalty), 0 },
	{ "dry_multiplier", TOLD(dry_multiplier), 0 },
	{ "mirostat", TOLD(mirostat), 0, true },
};

enum { TOLD_COUNT = sizeof(told) / sizeof(*told) };

static double told_value(const struct stoker_sampler_params *p, const struct told *t)
{
	const void *at = (const char *)p + t->offset;

	return t->whole ? *(const uint32_t *)at : (double)*(const float *)at;
}

static void names_of_stages(const struct stoker_sampler_params *p, char names[256])
{
	size_t n = 0;

	for (unsigned i = 0; i < STOKER_STAGES_MAX; i++) {
		const unsigned stage = p->stages[0] ? p->stages[i] : i + 1;
		const char *name = stoker_sampler_stage_name(stage);

		if (!name)
			break;
		n += (size_t)snprintf(names + n, 256 - n, "%s%s", n ? ";" : "", name);
	}
}

void print_sampling(const struct sampling_options *s)
{
	char names[256];

	fprintf(stderr, "sampling ");
	for (size_t i = 0; i < TOLD_COUNT; i++) {
		const double value = told_value(&s->chosen, &told[i]);

		if (value != (double)told[i].off)
			fprintf(stderr, "%s %.7g, ", told[i].name, value);
	}
	names_of_stages(&s->chosen, names);
	if (s->chosen.stages[0])
		fprintf(stderr, "only %s, ", names);
	fprintf(stderr, "seed %llu\n", (unsigned long long)s->seed);
}

void add_sampling(struct json_object *root, const struct sampling_options *s)
{
	struct json_object *sampling = json_object_new_object();
	char names[256], digits[32];

	for (size_t i = 0; i < TOLD_COUNT; i++) {
		const double value = told_value(&s->chosen, &told[i]);

		snprintf(digits, sizeof(digits), "%.7g", value);
		json_object_object_add(sampling, told[i].name,
				       told[i].whole ? json_object_new_int64((int64_t)value)
						     : json_object_new_double_s(value, digits));
	}
	names_of_stages(&s->chosen, names);
	json_object_object_add(sampling, "samplers", json_object_new_string(names));
	json_object_object_add(sampling, "seed", json_object_new_int64((int64_t)s->seed));
	json_object_object_add(root, "sampling", sampling);
}
