/* SPDX-License-Identifier: MIT */
/* The options that say how the next token is chosen, for every verb that generates. */
#ifndef STOKER_TOOL_SAMPLING_H
#define STOKER_TOOL_SAMPLING_H

#include "tool.h"

struct sampling_options {
	uint64_t seed, top_k, repeat_last;
	double temperature, top_p, min_p, repeat_penalty;
};

#define SAMPLING_DEFAULTS                                                                          \
	{                                                                                          \
		.temperature = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05, .repeat_penalty = 1 \
	}

#define SAMPLING_OPTIONS(s)                                                                        \
	{ "temp", 0, OPTION_FLOAT, &(s)->temperature, "T", "temperature (0.8), 0 is greedy" },     \
		{ "top-k",     0,   OPTION_UINT,                                                   \
		  &(s)->top_k, "K", "keep the K most likely tokens (40), 0: all" },                \
		{ "top-p",     0,   OPTION_FLOAT,                                                  \
		  &(s)->top_p, "P", "keep tokens up to this probability (0.95), 0: all" },         \
		{ "min-p",     0,   OPTION_FLOAT,                                                  \
		  &(s)->min_p, "P", "keep tokens this likely beside the best (0.05)" },            \
		{ "repeat-penalty",	0,   OPTION_FLOAT,                                         \
		  &(s)->repeat_penalty, "X", "discourage recent tokens (1: off)" },                \
		{ "repeat-last",     0,	  OPTION_UINT,                                             \
		  &(s)->repeat_last, "N", "how many tokens are recent (64)" },                     \
	{                                                                                          \
		"seed", 's', OPTION_UINT, &(s)->seed, "N", "the same seed gives the same text (0)" \
	}

/* The sampler that the options and the model ask for.  An exit status, after a complaint. */
int open_sampler(const struct sampling_options *s, const struct stoker_gguf *gguf,
		 const struct stoker_vocabulary *vocabulary, struct stoker_sampler **sampler);

#endif
