/* SPDX-License-Identifier: MIT */
/* The models that a server has: which there are, those that are loaded, and who uses them. */
#ifndef STOKER_SERVE_MODELS_H
#define STOKER_SERVE_MODELS_H

#include <stoker/stoker.h>

#include "serve/problem.h"

struct metrics;
struct models;
struct models_options;
struct server;
struct served;

/*
 * Looks for the files, and has a thread load the first one, unless it is to be late.  An exit
 * status, after a complaint.  @options and @metrics outlive it.  models_close(), when nobody has a
 * model any more, cancels what is being loaded.
 */
int models_open(const struct models_options *options, struct metrics *metrics, struct models **m);
void models_close(struct models **m);
/* What is being loaded is cancelled, and nothing is loaded any more: who waits for it gets a 503.
 */
void models_stop(struct models *m);

/* For /health: what the first one is doing. */
enum models_state { MODELS_LOADING, MODELS_READY, MODELS_FAILED };
struct models_progress {
	enum models_state state;
	uint64_t done, total; /* bytes; 0: not known yet */
	char message[1024];   /* of FAILED */
};
void models_progress(struct models *m, struct models_progress *out);

/*
 * The model that a request names, NULL or "": the first; with one alone any name will do, and
 * ":latest" behind a name says nothing.  Loads it if need be, which others' leaving may have to
 * make room for. false: 404 model_not_found, 503 while the first one is loaded or there is no
 * memory, 500.
 */
bool models_take(struct server *s, const char *name, struct served **m, struct problem *p);
bool models_take_of(struct models *models, const char *name, struct served **m, struct problem *p);
void models_keep(struct served *m); /* one reference more */
void models_release(struct served **m);

const char *served_name(const struct served *m);
const struct stoker_vocabulary *served_vocabulary(const struct served *m);
/* @name: NULL, or "tool_use" for that one if the file has it, else the same. */
const struct stoker_template *served_template(const struct served *m, const char *name);
/* What --kwargs says, a JSON object; NULL: nothing. */
const char *served_variables(const struct served *m);
const struct stoker_gguf *served_gguf(const struct served *m);
struct stoker_model *served_model(const struct served *m);
struct stoker_engine *served_engine(const struct served *m);
/* Of the file and the command line; a seed that wasn't said is UINT64_MAX.  What pointers lead to
 * lives as long as the model. */
const struct stoker_sampler_params *served_defaults(const struct served *m);
uint32_t served_context(const struct served *m);
/* What the template writes behind an answer and no token of the vocabulary says, or NULL; a
 * generation ends there by itself. */
const char *served_end_of_turn(const struct served *m);
/* When it was made: seconds since 1970, of its file. */
int64_t served_created(const struct served *m);

/* A model that there is, loaded or not. */
struct model_entry {
	const char *name, *path;
	uint64_t bytes;
	int64_t created;
	struct served *served; /* NULL: isn't loaded; lives until the callback returns */
	double idle_seconds;   /* of a loaded one that nobody uses */
};
void models_each(struct models *m, void (*each)(void *context, const struct model_entry *entry),
		 void *context);
/* Without loading it, and without @served; false: 404. */
bool models_find(struct models *m, const char *name, struct model_entry *entry, struct problem *p);
struct details;
/* What its file says; false when it can't be read. */
bool models_details(struct models *m, const struct model_entry *of, struct details *out);

#endif
