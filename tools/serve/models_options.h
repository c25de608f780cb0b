/* SPDX-License-Identifier: MIT */
/* The options of "stoker serve" that are about models. */
#ifndef STOKER_SERVE_MODELS_OPTIONS_H
#define STOKER_SERVE_MODELS_OPTIONS_H

#include "tool.h"

#include "chat_template.h"
#include "sampling.h"

/* What "stoker serve" says of models; MODELS_OPTIONS() fills it in. */
struct models_options {
	struct string_list paths; /* files, folders, or names as "stoker list" has them */
	const char *alias;	  /* what the first one is called, too */
	struct compute_options compute;
	struct sampling_options sampling;
	struct kv_options kv;
	const char *template_given, *variables, *pre;
	uint64_t context, sequences, queue;
	double max_gap;
	bool deterministic, load_late;
};

#define MODELS_DEFAULTS                                        \
	{                                                      \
		.sampling = SAMPLING_DEFAULTS, .max_gap = 0.02 \
	}

/* clang-format off */
#define MODELS_OPTIONS(o)                                                                          \
	{ "model", 'm', OPTION_LIST, &(o)->paths, "FILE",                                          \
	  "a model, or a folder of them; may be given several times, or as words" },               \
	{ "alias", 0, OPTION_STRING, &(o)->alias, "NAME",                                          \
	  "what the first model is called (as its file)" },                                        \
	{ "context", 'c', OPTION_UINT, &(o)->context, "N",                                         \
	  "tokens that a conversation may have (the model's, at most 8192)" },                     \
	{ "sequences", 0, OPTION_UINT, &(o)->sequences, "N",                                       \
	  "requests that are worked on together (8)" },                                            \
	{ "queue", 0, OPTION_UINT, &(o)->queue, "N", "requests that may wait for others (64)" },   \
	{ "max-gap", 0, OPTION_FLOAT, &(o)->max_gap, "SECONDS",                                       \
	  "longest pause between tokens for prompts of others (0.02)" },                            \
	{ "deterministic", 0, OPTION_FLAG, &(o)->deterministic, NULL,                              \
	  "the same answer whatever others ask at the time; slower" },                             \
	{ "load-late", 0, OPTION_FLAG, &(o)->load_late, NULL,                                      \
	  "load a model when it is first asked for" },                                             \
	TEMPLATE_OPTIONS(&(o)->template_given, &(o)->variables),                                   \
	VOCABULARY_OPTION(&(o)->pre),                                                              \
	KV_OPTIONS(&(o)->kv),                                                                      \
	COMPUTE_OPTIONS(&(o)->compute),                                                            \
	SAMPLING_OPTIONS(&(o)->sampling)
/* clang-format on */

#endif
