/* SPDX-License-Identifier: MIT */
/* What the files of a sampler share: candidates, the text so far, the stages. */
#ifndef STOKER_SAMPLING_H
#define STOKER_SAMPLING_H

#include <float.h>

#include "base/base.h"
#include "stoker/sampler.h"

enum {
	DEFAULT_LAST = 64,
	MAX_LAST = 1 << 16,
	MAX_BIASES = 1 << 16,
	MAX_BREAKERS = 32,
	MAX_BREAKER = 64, /* bytes */
};

/* --- candidates.c: the tokens that may be chosen
 * -------------------------------------------------- */

struct candidate {
	float logit, weight;
	uint32_t token, key; /* key: what they are sorted by */
};

/*
 * All of the vocabulary as plain logits at first, which are cheap to change and to search; a list
 * from when a stage has taken the first ones away.  The list holds no logit of minus infinity, and
 * never becomes empty.
 */
struct candidates {
	float *logits; /* of @vocabulary tokens */
	float *tops;   /* the highest of each block of logits */
	uint32_t vocabulary, logit_room;
	bool listed;
	struct candidate *list, *spare;
	uint32_t count, room, spare_room;
};

/* Copies the logits; what isn't a number becomes minus infinity. */
int candidates_begin(struct candidates *c, const float *logits, uint32_t count);
/* Before there is a list. */
void candidates_change(struct candidates *c, uint32_t token, float logit);
/* Before there is a list: tokens whose bit isn't set go; there are bits for all. */
void candidates_mask(struct candidates *c, const uint32_t *bits);
void candidates_free(struct candidates *c);
/* The highest logit's first token; the logit may be minus infinity. */
uint32_t candidates_best(const struct candidates *c, float *logit);
/* Of the list or the vocabulary, whichever there is. */
float candidates_top(const struct candidates *c);
/* Keeps those of at least this logit; makes the list. */
int candidates_above(struct candidates *c, float least);
/* Keeps the @k best; of equal ones which come first. */
int candidates_keep(struct candidates *c, uint32_t k);
/* Brings the @n best to the front, the best first; equal ones stay in their order. */
int candidates_sort(struct candidates *c, uint32_t n);
/* Sorts the whole list by key, the smallest first; equal ones stay in their order. */
int candidates_sort_keys(struct candidates *c);
/* The sum of exp(logit - top); a list keeps these as its weights. */
double candidates_weigh(struct candidates *c);
/* Where the weights, added up, come above @left, which is below their sum; its weight. */
uint32_t candidates_pick(const struct candidates *c, double left, double *weight);
/* Divides all logits. */
void candidates_divide(struct candidates *c, double divisor);

/* A finite logit stays finite whatever is added to it. */
static inline float clamp_logit(double logit)
{
	return (float)(logit > (double)FLT_MAX	  ? (double)FLT_MAX
		       : logit < -(double)FLT_MAX ? -(double)FLT_MAX
						  : logit);
}

/* --- history.c: the text so far, and what is taken off for repeating it
 * ---------------------------- */

/* Looked for in bytes or tokens as they come (Knuth, Morris and Pratt, 1977). */
struct pattern {
	uint32_t *symbols; /* bytes or token ids */
	uint32_t *back;	   /* how many symbols still match when the one behind this doesn't */
	uint32_t length;
	uint32_t matched; /* so far */
};

int pattern_of_bytes(struct pattern *p, const char *text, size_t bytes);
int pattern_of_ids(struct pattern *p, const uint32_t *ids, size_t count);
void pattern_free(struct pattern *p);
int pattern_clone(struct pattern *to, const struct pattern *from);
/* Whether the pattern ends with this symbol; @matched is how much of it came before. */
bool pattern_step(const struct pattern *p, uint32_t *matched, uint32_t symbol);

struct said {
	uint32_t token;
	bool breaks; /* a breaker ends in it */
};

struct history {
	struct said *ring;
	uint32_t room, count, next;
	const struct stoker_vocabulary *vocabulary;
	struct pattern breakers[MAX_BREAKERS];
	uint32_t breaker_count;
	/* token to number, open addressing; made for each sample */
	struct tally {
		uint32_t token, number;
	} * tally;
	uint32_t tally_room;
	uint32_t *reversed, *matches; /* of dry */
};

int history_create(struct history *h, const struct stoker_sampler_params *p);
int history_clone(struct history *to, const struct history *from);
void history_reset(struct history *h);
void history_free(struct history *h);
void history_add(struct history *h, uint32_t token);

/* The stages that change logits. */
void take_penalties(struct history *h, const struct stoker_sampler_params *p, struct candidates *c);
void take_dry(struct history *h, const struct stoker_sampler_params *p, struct candidates *c);

/* --- stages.c: those that take candidates away, and drawing
 * --------------------------------------- */

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): one 64-bit state, full period. */
double random_share(uint64_t *state); /* from 0, below 1 */

int cut_top_n_sigma(const struct stoker_sampler_params *p, struct candidates *c);
int cut_typical(const struct stoker_sampler_params *p, struct candidates *c);
int cut_top_p(const struct stoker_sampler_params *p, struct candidates *c);
int cut_min_p(const struct stoker_sampler_params *p, struct candidates *c);
int cut_xtc(const struct stoker_sampler_params *p, struct candidates *c, uint64_t *random);
int even_out(const struct stoker_sampler_params *p, struct candidates *c);
/* @mu is mirostat's state: the surprise that is still let through, in bits. */
int cut_mirostat(const struct stoker_sampler_params *p, struct candidates *c, double mu);
/* The one drawn, and its surprise in bits. */
void draw(struct candidates *c, uint64_t *random, uint32_t *token, double *surprise);

/* --- reasoning.c
 * ----------------------------------------------------------------------------------- */

struct reasoning {
	bool used;
	int32_t budget, left;
	enum stoker_reasoning_state state;
	const struct stoker_vocabulary *vocabulary;
	struct pattern start, end;
	bool start_is_text, end_is_text;
	uint32_t *forced;
	uint32_t forced_count, forced_next;
	uint32_t open;	   /* bytes that a character which has begun still lacks */
	uint32_t patience; /* tokens that it may take yet */
};

int reasoning_create(struct reasoning *r, const struct stoker_sampler_params *p,
		     struct stoker_error *err);
int reasoning_clone(struct reasoning *to, const struct reasoning *from);
void reasoning_reset(struct reasoning *r);
void reasoning_free(struct reasoning *r);
void reasoning_accept(struct reasoning *r, uint32_t token);
/* A text begins with this prompt, which may have opened reasoning. */
void reasoning_begin(struct reasoning *r, const uint32_t *tokens, size_t count);
/* The token that has to come now. */
bool reasoning_forces(const struct reasoning *r, uint32_t *token);
/* Between the tags. */
bool reasoning_goes_on(const struct reasoning *r);
/* The token that begins reasoning, or UINT32_MAX where that is a text or can't be now. */
uint32_t reasoning_opener(const struct reasoning *r);

/* --- custom_stages.c
 * ------------------------------------------------------------------------------- */

enum { MAX_CUSTOM = 8 };

struct custom_stages {
	struct stoker_custom_stage of[MAX_CUSTOM];
	size_t count;
	float *logits; /* as the stages leave them */
	uint32_t room;
	bool failed; /* one of them, the last time */
};

int custom_add(struct custom_stages *c, const struct stoker_custom_stage *stage,
	       struct stoker_error *err);
int custom_clone(struct custom_stages *to, const struct custom_stages *from,
		 struct stoker_error *err);
void custom_free(struct custom_stages *c);
void custom_reset(struct custom_stages *c);
void custom_begin(struct custom_stages *c, const uint32_t *tokens, size_t count);
void custom_accept(struct custom_stages *c, uint32_t token);
/* Has *@logits point at what the stages made of them. */
int custom_apply(struct custom_stages *c, const float **logits, uint32_t count);

/* --- sampler_params.c
 * ------------------------------------------------------------------------------ */

/* Checks @p, and spells out in it what zeros stand for. */
int sampler_params_settle(struct stoker_sampler_params *p, struct stoker_error *err);

#endif
