/* SPDX-License-Identifier: MIT */
/* Parts of "stoker bench serve". */
#ifndef STOKER_TOOL_BENCH_SERVE_H
#define STOKER_TOOL_BENCH_SERVE_H

#include <sys/types.h>

#include "bench/serve_client.h"
#include "tool.h"

enum { MOST_LEVELS = 16 };

struct serve_options {
	const char *loads, *clients, *against, *model, *pin, *device, *memory;
	uint64_t prompt, tokens, requests, arrive, shared, turns, threads, seed;
	double rate, goal_ttft, goal_tpot;
	bool chat, json;
};

struct serve_bench {
	const struct serve_options *options;
	struct target target;
	char model[256];      /* as the server calls it */
	double words_a_token; /* of prompts made of words() */
	double words_beside;  /* tokens of a prompt that none of them is */
	uint64_t seed;	      /* of what chance decides */
	unsigned levels[MOST_LEVELS], most;
	size_t level_count;
	double capacity;	  /* requests a second, 0: not known */
	pid_t server;		  /* ours, 0: none */
	int output;		  /* what it says */
	struct json_object *list; /* of figures */
	bool complained;
};

struct load {
	const char *name, *about;
	int (*run)(struct serve_bench *b, const struct load *load);
};

/* 0 to 1. */
double chance(struct serve_bench *b);
/* Common words that chance chooses, about so many tokens; NULL without memory. */
char *words(struct serve_bench *b, uint64_t tokens);
/* Bodies of requests, streamed with usage; they take what they are given.  NULL: no memory. */
char *completion_body(const struct serve_bench *b, char *prompt, uint64_t tokens);
const char *completion_path(const struct serve_bench *b);
struct json_object *message(const char *role, char *content);
char *chat_body(const struct serve_bench *b, struct json_object *messages, uint64_t tokens,
		struct json_object *format);

/* A reply that is over goes into @f. */
void note_reply(struct serve_bench *b, struct figures *f, const struct client *c, double now);
/* Prints them or puts them aside for JSON. */
void report(struct serve_bench *b, struct figures *f);
double server_seconds(const struct serve_bench *b);

/* Loads; an exit status. */
int load_concurrent(struct serve_bench *b, const struct load *load);
int load_schema(struct serve_bench *b, const struct load *load);
int load_disconnect(struct serve_bench *b, const struct load *load);
int load_poisson(struct serve_bench *b, const struct load *load);
int load_mixed(struct serve_bench *b, const struct load *load);
int load_prefix(struct serve_bench *b, const struct load *load);
int load_chat(struct serve_bench *b, const struct load *load);

/* A server of our own with so many sequences of so many tokens, in @memory (NULL: all of it). */
int server_start(struct serve_bench *b, uint64_t sequences, uint64_t context, const char *memory);
void server_stop(struct serve_bench *b);
/* Waits until it answers, asks for the model's name and how long words are. */
int server_meet(struct serve_bench *b);

#endif
