/* SPDX-License-Identifier: MIT */
/*
 * The options that say how the next token is chosen, for every verb that generates.  What isn't
 * given is as the model's file says, or else as is usual.
 */
#ifndef STOKER_TOOL_SAMPLING_H
#define STOKER_TOOL_SAMPLING_H

#include <math.h>

#include "grammar.h"
#include "tool.h"

/* Values of options that weren't given. */
#define UNSAID_NUMBER NAN
#define UNSAID_COUNT UINT64_MAX

struct sampling_options {
	double temperature, top_p, min_p, typical, top_n_sigma;
	double xtc_probability, xtc_threshold, dynamic_range, dynamic_exponent;
	double repeat_penalty, presence_penalty, frequency_penalty;
	double dry_multiplier, dry_base, mirostat_tau, mirostat_eta;
	double reasoning_budget;
	uint64_t top_k, repeat_last, dry_allowed_length, dry_last, mirostat;
	uint64_t seed; /* open_sampler() chooses one if none was given */
	const char *samplers, *reasoning_message, *reasoning_start, *reasoning_end;
	struct string_list biases, breakers;
	struct grammar_options grammar;
	struct stoker_sampler_params chosen; /* by open_sampler(), pointers apart */
};

/* For the initialiser of a struct sampling_options. */
#define SAMPLING_DEFAULTS                                                                     \
	{                                                                                     \
		.temperature = UNSAID_NUMBER, .top_p = UNSAID_NUMBER, .min_p = UNSAID_NUMBER, \
		.typical = UNSAID_NUMBER, .top_n_sigma = UNSAID_NUMBER,                       \
		.xtc_probability = UNSAID_NUMBER, .xtc_threshold = UNSAID_NUMBER,             \
		.dynamic_range = UNSAID_NUMBER, .dynamic_exponent = UNSAID_NUMBER,            \
		.repeat_penalty = UNSAID_NUMBER, .presence_penalty = UNSAID_NUMBER,           \
		.frequency_penalty = UNSAID_NUMBER, .dry_multiplier = UNSAID_NUMBER,          \
		.dry_base = UNSAID_NUMBER, .mirostat_tau = UNSAID_NUMBER,                     \
		.mirostat_eta = UNSAID_NUMBER, .reasoning_budget = -1, .top_k = UNSAID_COUNT, \
		.repeat_last = UNSAID_COUNT, .dry_allowed_length = UNSAID_COUNT,              \
		.dry_last = UNSAID_COUNT, .mirostat = UNSAID_COUNT, .seed = UNSAID_COUNT,     \
	}

/* clang-format off */
#define SAMPLING_OPTIONS(s)                                                                        \
	{ "temp", 0, OPTION_FLOAT, &(s)->temperature, "T",                                         \
	  "temperature (0.8), 0 is greedy; as all of sampling, the model's file may say else" },   \
	{ "top-k", 0, OPTION_UINT, &(s)->top_k, "K",                                               \
	  "keep the K most likely tokens (40), 0: all" },                                          \
	{ "top-p", 0, OPTION_FLOAT, &(s)->top_p, "P",                                              \
	  "keep tokens up to this probability (0.95), 0: all" },                                   \
	{ "min-p", 0, OPTION_FLOAT, &(s)->min_p, "P",                                              \
	  "keep tokens this likely beside the best (0.05)" },                                      \
	{ "typical", 0, OPTION_FLOAT, &(s)->typical, "P",                                          \
	  "keep tokens whose surprise is as expected, up to this probability (1: off)" },          \
	{ "top-n-sigma", 0, OPTION_FLOAT, &(s)->top_n_sigma, "N",                                  \
	  "keep logits within N standard deviations of the best (0: off)" },                       \
	{ "xtc-probability", 0, OPTION_FLOAT, &(s)->xtc_probability, "P",                          \
	  "how often to leave out the likeliest tokens (0: never)" },                              \
	{ "xtc-threshold", 0, OPTION_FLOAT, &(s)->xtc_threshold, "P",                              \
	  "probability from which xtc takes a token for likely (0.1)" },                           \
	{ "dynatemp-range", 0, OPTION_FLOAT, &(s)->dynamic_range, "T",                             \
	  "let the temperature go up and down by T with entropy (0)" },                            \
	{ "dynatemp-exp", 0, OPTION_FLOAT, &(s)->dynamic_exponent, "X",                            \
	  "exponent by which it does (1)" },                                                       \
	{ "repeat-penalty", 0, OPTION_FLOAT, &(s)->repeat_penalty, "X",                            \
	  "discourage recent tokens (1: off)" },                                                   \
	{ "presence-penalty", 0, OPTION_FLOAT, &(s)->presence_penalty, "X",                        \
	  "take X off the logits of recent tokens (0)" },                                          \
	{ "frequency-penalty", 0, OPTION_FLOAT, &(s)->frequency_penalty, "X",                      \
	  "take X off as often as a token came up recently (0)" },                                 \
	{ "repeat-last", 0, OPTION_UINT, &(s)->repeat_last, "N",                                   \
	  "how many tokens are recent (64), 0: none" },                                            \
	{ "dry-multiplier", 0, OPTION_FLOAT, &(s)->dry_multiplier, "X",                            \
	  "discourage what goes on with a repetition (0: off)" },                                  \
	{ "dry-base", 0, OPTION_FLOAT, &(s)->dry_base, "X",                                        \
	  "times this for each token that a repetition is longer (1.75)" },                        \
	{ "dry-allowed-length", 0, OPTION_UINT, &(s)->dry_allowed_length, "N",                     \
	  "shorter repetitions are free (2)" },                                                    \
	{ "dry-penalty-last-n", 0, OPTION_UINT, &(s)->dry_last, "N",                               \
	  "in how many tokens to look for repetitions (64), 0: none" },                            \
	{ "dry-sequence-breaker", 0, OPTION_LIST, &(s)->breakers, "TEXT",                          \
	  "repetitions end at this, not at newline : \" *; may be given several times; or none" },  \
	{ "mirostat", 0, OPTION_UINT, &(s)->mirostat, "N",                                         \
	  "sample by mirostat 1 or 2 instead of all but temperature (0: off)" },                   \
	{ "mirostat-ent", 0, OPTION_FLOAT, &(s)->mirostat_tau, "X",                                \
	  "surprise in bits that mirostat aims at (5)" },                                          \
	{ "mirostat-lr", 0, OPTION_FLOAT, &(s)->mirostat_eta, "X",                                 \
	  "how fast mirostat adapts (0.1)" },                                                      \
	{ "logit-bias", 0, OPTION_LIST, &(s)->biases, "BIAS",                                      \
	  "ID=X, ID+X or ID-X: add X to the logit of token ID, -inf bans; may be given several times" },\
	{ "samplers", 0, OPTION_STRING, &(s)->samplers, "LIST",                                    \
	  "which of these in which order: "                                                        \
	  "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature" },                   \
	GRAMMAR_OPTIONS(&(s)->grammar),                                                            \
	{ "seed", 's', OPTION_UINT, &(s)->seed, "N",                                               \
	  "the same seed gives the same text (another each time)" },                               \
	{ "reasoning-budget", 0, OPTION_FLOAT, &(s)->reasoning_budget, "N",                        \
	  "end reasoning after N tokens, 0: at once (-1: never)" },                                \
	{ "reasoning-budget-message", 0, OPTION_STRING, &(s)->reasoning_message, "TEXT",           \
	  "what is put before the end then" },                                                     \
	{ "reasoning-start", 0, OPTION_STRING, &(s)->reasoning_start, "TEXT",                      \
	  "what begins reasoning (as the model's vocabulary has it)" },                                                     \
	{ "reasoning-end", 0, OPTION_STRING, &(s)->reasoning_end, "TEXT",                          \
	  "what ends it" }
/* clang-format on */

/* What options and file ask for, but for a seed.  Pointers in @params lead to the rest, to the
 * options, and to what choose_sampling() was given. */
struct sampling_choice {
	struct stoker_sampler_params params;
	struct stoker_logit_bias biases[sizeof((struct string_list){ 0 }.items) / sizeof(char *)];
	struct stoker_reasoning_params reasoning;
	struct stoker_grammar *grammar; /* to be released with stoker_grammar_free() */
};
/* An exit status, after a complaint. */
int choose_sampling(struct sampling_options *s, const struct stoker_gguf *gguf,
		    const struct stoker_vocabulary *vocabulary, struct sampling_choice *c);
/* A seed that --seed takes. */
uint32_t any_seed(void);

/*
 * The sampler that options and file ask for.  Sets a seed where none was given.  An exit status,
 * after a complaint.
 */
int open_sampler(struct sampling_options *s, const struct stoker_gguf *gguf,
		 const struct stoker_vocabulary *vocabulary, struct stoker_sampler **sampler);

/* What was chosen in the end, a line on standard error, or an object in JSON. */
void print_sampling(const struct sampling_options *s);
void add_sampling(struct json_object *root, const struct sampling_options *s);

#endif
