/* SPDX-License-Identifier: MIT */
/* What the verbs of the program share. */
#ifndef STOKER_TOOL_H
#define STOKER_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>
#include <stoker/stoker.h>

/* Exit statuses, in stoker(1) too. */
enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 130 };

struct verb {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
};

/*
 * Options.  Each is "--NAME VALUE", "--NAME=VALUE", or "-L VALUE"; flags take no value.  What is
 * left over are operands.
 */
enum option_kind { OPTION_FLAG, OPTION_STRING, OPTION_UINT, OPTION_FLOAT, OPTION_LIST };

struct option {
	const char *name; /* without dashes */
	char letter;	  /* 0: none */
	enum option_kind kind;
	void *value; /* bool, const char *, uint64_t, double, struct string_list */
	const char *argument, *help;
};

struct string_list {
	const char *items[32];
	size_t count;
};

/*
 * A verb that is about a model takes its file with -m, or as a word among the operands, of which
 * @operands_min and @operands_max count the others.
 */
struct usage {
	const char *synopsis, *description;
	const struct option *options; /* ends with a NULL name */
	size_t operands_min, operands_max;
	const char **model; /* where -m puts it; NULL: the verb is about no model */
	size_t model_at;    /* operands before that word */
	bool model_optional;
};

#define MODEL_OPTION(model)                                      \
	{                                                        \
		"model", 'm', OPTION_STRING, (model), "FILE",    \
			"the model, which may be a word as well" \
	}

/*
 * Parses, and handles --help.  Returns the number of operands but the model, moved to the front of
 * argv[1...], or -1 after printing help (*status 0) or a complaint (*status EXIT_USAGE).
 */
int parse_options(const struct usage *usage, int argc, char **argv, int *status);

/*
 * A model's name, as "stoker list" or "stoker pull" has it, becomes its file's path; a file that is
 * there keeps its own.  An exit status, after a complaint.
 */
int resolve_model(const char **model);

/* The nearest to @wrong of the names considered; @best stays NULL when none is near. */
struct guess {
	const char *wrong, *best;
	unsigned distance;
};
void guess_consider(struct guess *guess, const char *name);

/* Prints "stoker: MESSAGE" and returns EXIT_FAILED. */
int fail(const struct stoker_error *err);
int failf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The options that say where and how to compute. */
struct compute_options {
	const char *device;
	uint64_t threads;
	bool exact;
	const char *memory, *host_memory, *store, *policy, *prefetch;
};

#define COMPUTE_OPTIONS(c)                                                                         \
	{ "device", 0, OPTION_STRING, &(c)->device, "NAME", "compute on this device (cpu)" },      \
		{ "threads",	 't', OPTION_UINT,                                                 \
		  &(c)->threads, "N", "CPU threads, 0: as many as allowed" },                      \
		{ "memory",	0,	OPTION_STRING,                                             \
		  &(c)->memory, "SIZE", "keep to this much, experts on the drive: 6G, min, max" }, \
		{ "host-memory",                                                                   \
		  0,                                                                               \
		  OPTION_STRING,                                                                   \
		  &(c)->host_memory,                                                               \
		  "SIZE",                                                                          \
		  "for a GPU with memory of its own, which --memory is about: keep experts on "    \
		  "their way in this much" },                                                      \
		{ "store",     0,      OPTION_STRING,                                              \
		  &(c)->store, "NAME", "read experts by uring, threads or kmod" },                 \
		{ "policy",	0,	OPTION_STRING,                                             \
		  &(c)->policy, "NAME", "which experts stay: frequency, lru or quota" },           \
		{ "prefetch",	  0,	  OPTION_STRING,                                           \
		  &(c)->prefetch, "WHEN", "read experts ahead: auto, on or off (auto)" },          \
	{                                                                                          \
		"exact", 0, OPTION_FLAG, &(c)->exact, NULL,                                        \
			"32-bit float activations, for verification"                               \
	}

int open_device(const struct compute_options *c, struct stoker_device **device);

/* "0.5" in any locale; false for what isn't a finite number. */
bool parse_number(const char *text, double *value);
/*
 * "6G", "6GB", "6GiB" are the same, "1.5g", "300M", "4096" bytes: a K is always 1024.  0 when it
 * isn't a size.
 */
uint64_t parse_size(const char *text);
/* What to say of one that isn't. */
#define SIZES "there are 6G, 1.5GiB, 500M, or bytes"
/* The budget that --memory asks for.  An exit status, after a complaint. */
int memory_budget(const struct compute_options *c, uint64_t *budget);

/* Says on standard error when tensors of the file were never written. */
void warn_of_holes(const struct stoker_gguf *gguf);
/* Loads with a progress bar on a terminal once it takes over a second; within a budget, or 0 or
 * -errno and no complaint. */
int load_within(const struct compute_options *c, uint64_t budget, struct stoker_device *device,
		struct stoker_gguf *gguf, const struct stoker_session_params *session,
		struct stoker_model **model, struct stoker_error *err);
/* From a file that is open, or by its path; an exit status, after a complaint. */
int load_open_model(const struct compute_options *c, struct stoker_device *device,
		    struct stoker_gguf *gguf, const struct stoker_session_params *session,
		    struct stoker_model **model);
int load_model(const struct compute_options *c, struct stoker_device *device, const char *path,
	       const struct stoker_session_params *session, struct stoker_model **model);

/* What stands in for the pre-tokenizer that a file doesn't name, or names wrongly. */
#define VOCABULARY_OPTION(pre)                                                        \
	{                                                                             \
		"pre", 0, OPTION_STRING, (pre), "NAME",                               \
			"cut words as this pre-tokenizer does: llama-bpe, qwen2, ..." \
	}
/* Its vocabulary; what is doubtful about it goes to standard error.  An exit status, after a
 * complaint. */
int load_vocabulary(struct stoker_gguf *gguf, const char *pre, struct stoker_vocabulary **v);

/* As "tokens": ids and texts. */
void add_tokens(struct json_object *root, const struct stoker_vocabulary *v, const uint32_t *ids,
		size_t count);

/* How paging went so far, a line on standard error, or an object in JSON; nothing when all is in
 * memory. */
void print_paging(const struct stoker_model *model, uint64_t tokens);
void add_paging(struct json_object *root, const struct stoker_model *model);

/* What "stoker plan" last found for this file: tokens/s in @memory bytes; 0: it didn't. */
double planned_rate(const char *path, uint64_t memory);

/* Of all files of a model; @largest, which may be NULL, is the path of the one with most of it. */
uint64_t model_bytes(const struct stoker_gguf *gguf, const char **largest);

/* What a key has; of a list up to @limit elements. */
struct json_object *key_value(const struct stoker_gguf *g, const struct stoker_gguf_key *key,
			      uint64_t limit);

/* The metadata of @in; without what depends on the tensors' format if that is another. */
void copy_keys(const struct stoker_gguf *in, struct stoker_gguf_writer *out, bool other_format);
/* Writing over a file that is being read would leave nothing to go back to. */
bool is_input(const struct stoker_gguf *in, const char *out);

/* How keys and values are kept. */
struct kv_options {
	const char *both, *keys, *values;
};

#define KV_OPTIONS(o)                                                                                   \
	{ "kv",	      0,      OPTION_STRING,                                                            \
	  &(o)->both, "TYPE", "cache type: f16 (default), f32, q8_0, q5_0, q4_0" },                     \
		{ "kv-k", 0, OPTION_STRING, &(o)->keys, "TYPE", "that of keys, which need more bits" }, \
	{                                                                                               \
		"kv-v", 0, OPTION_STRING, &(o)->values, "TYPE", "that of values"                        \
	}
/* A usage error's exit status after a complaint. */
int parse_kv(const struct kv_options *o, struct stoker_session_params *params);

/* The whole of a file, "-" for standard input; a NUL follows the data. */
char *read_file(const char *path, size_t *bytes);
/* Likewise, but it's a failure when there is nothing in it. */
char *read_text(const char *path, size_t *bytes);

/* "1,2,3", or "@FILE" with such a list; commas and white space separate. */
int parse_tokens(const char *text, uint32_t **tokens, size_t *count);

/*
 * As text for others, to be released with free(): UTF-8 and finite numbers whatever is in it, as
 * print_json() says.  NULL without memory.
 */
char *clean_json(struct json_object *object, int flags);
/*
 * Pretty JSON and a newline to @out; drops the reference.  Whatever strings hold, it's UTF-8:
 * U+FFFD stands for each byte that isn't; null stands for what isn't a finite number.
 */
int print_json(FILE *out, struct json_object *object);

double now_seconds(void);
/* Highest resident memory of this process so far, in bytes. */
uint64_t peak_memory(void);
const char *human_size(uint64_t bytes, char out[16]);

/* SIGINT cancels @session; a second one ends the process.  NULL restores the default. */
void cancel_on_interrupt(struct stoker_session *session);
bool interrupted(void);
/* A file to be removed when a second signal ends the process; NULL: none any more. */
void remove_on_signal(const char *path);
/* The exit status that says which signal ended the program: 130 or 143. */
int interrupt_status(void);

int verb_bench(int argc, char **argv);
int verb_embed(int argc, char **argv);
int verb_eval(int argc, char **argv);
int verb_grammar(int argc, char **argv);
int verb_imatrix(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_pack(int argc, char **argv);
int verb_perplexity(int argc, char **argv);
int verb_plan(int argc, char **argv);
int verb_pull(int argc, char **argv);
int verb_replay(int argc, char **argv);
int verb_quantize(int argc, char **argv);
int verb_rm(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_serve(int argc, char **argv);
int verb_synth(int argc, char **argv);
int verb_template(int argc, char **argv);
int verb_tokenize(int argc, char **argv);

#endif
