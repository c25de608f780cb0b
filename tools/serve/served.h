/* SPDX-License-Identifier: MIT */
/* A loaded model with all that answering with it takes. */
#ifndef STOKER_SERVE_SERVED_H
#define STOKER_SERVE_SERVED_H

#include "serve/models.h"
#include "serve/models_options.h"

struct dispatcher;
struct metrics;

struct served {
	struct models *models; /* whose it is; NULL: nobody's */
	char *name;
	struct stoker_gguf *gguf;
	struct stoker_vocabulary *vocabulary;
	struct stoker_model *model;
	struct stoker_template *template, *tool_template; /* the latter NULL: has none */
	struct stoker_engine *engine;
	struct dispatcher *dispatcher;
	struct sampling_choice sampling;
	const char *variables;
	char *end_of_turn;
	int64_t end_token; /* that one, if it is a token; -1 */
	uint32_t context;
	int64_t created;
	uint64_t bytes; /* that it may take, of a budget */

	/* under the lock of @models */
	unsigned users;
	double idle_since;
};

/* How to load, and what loading it is to tell. */
struct served_params { /* what its pointers lead to outlives the model, but @name and @path */
	const struct models_options *options;
	struct stoker_device *device;
	struct metrics *metrics;
	const char *name, *path;
	uint64_t memory; /* as struct stoker_model_params has it */
	int (*progress)(void *user, uint64_t done, uint64_t total);
	void *user;
};

/* 0 or -errno. */
int served_load(const struct served_params *params, struct served **m, struct stoker_error *err);
/* Nobody uses it any more. */
void served_free(struct served **m);
/* What loading it would come to: its file is opened in @gguf, which is to be closed. */
int served_foresee(const struct served_params *params, struct stoker_gguf **gguf,
		   struct stoker_model_outlook *outlook, struct stoker_error *err);

#endif
