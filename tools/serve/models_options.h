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

#define MODELS_DEFAULTS                                              \
	{                                                            \
		.sampling = SAMPLING_DEFAULTS, .max_gap = 0 /* ms */ \
	}

/* clang-format off */
#define MODELS_OPTIONS(o)                                                                          \
	{ "model", 'm', OPTION_LIST, &(o)->paths, "FILE",                                          \
	  "a model, or a folder of models; may be given several times" },                          \
	{ "alias", 0, OPTION_STRING, &(o)->alias, "NAME", "another name of the first model" },     \
	{ "context", 'c', OPTION_UINT, &(o)->context, "N",                                         \
	  "tokens that each request has room for (as trained, at most 4096)" },                    \
	{ "sequences", 0, OPTION_UINT, &(o)->sequences, "N",                                       \
	  "requests that are computed at a time (8)" },                                            \
	{ "queue", 0, OPTION_UINT, &(o)->queue, "N", "requests that may wait (64)" },              \
	{ "max-gap", 0, OPTION_FLOAT, &(o)->max_gap, "MS",                                         \
	  "reading others' prompts takes at most this long between two tokens (100)" },            \
	{ "deterministic", 0, OPTION_FLAG, &(o)->deterministic, NULL,                              \
	  "an answer doesn't depend on what others ask" },                                         \
	{ "load-late", 0, OPTION_FLAG, &(o)->load_late, NULL,                                      \
	  "load a model when it is first asked for" },                                             \
	TEMPLATE_OPTIONS(&(o)->template_given, &(o)->variables),                                   \
	VOCABULARY_OPTION(&(o)->pre),                                                              \
	KV_OPTIONS(&(o)->kv),                                                                      \
	COMPUTE_OPTIONS(&(o)->compute),                                                            \
	SAMPLING_OPTIONS(&(o)->sampling)
/* clang-format on */

#endif
