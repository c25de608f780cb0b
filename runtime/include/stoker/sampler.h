/* SPDX-License-Identifier: MIT */
/**
 * stoker/sampler.h - choosing the next token from a model's logits.
 *
 * What happens to a row of logits, in this order:
 *
 *	1. A reasoning budget that is used up forces its tokens; nothing else is asked.
 *	2. Stages of the program's own (stoker_sampler_add()) change the logits.
 *	3. Logits that aren't a number count as minus infinity, as do those beyond the
 *	   vocabulary and of tokens that a grammar doesn't allow, and biases are added.
 *	   If a logit is plus infinity now, the first of them is the choice.
 *	4. The stages, see enum stoker_sampler_stage: penalties and dry change logits, the
 *	   others take candidates away, temperature evens out what is left.
 *	5. One of the candidates is drawn by its probability.
 *
 * With temperature 0 the most likely token (the first of equals) is taken after penalties and dry,
 * without the other stages and without anything random.  Mirostat takes the place of all stages but
 * temperature.  Stages don't make a finite logit infinite, and at least one candidate stays.
 *
 * Threads: a sampler belongs to one thread at a time, a second one in stoker_sampler_sample() gets
 * -EBUSY; several samplers may be used at once.
 */
#ifndef STOKER_SAMPLER_H
#define STOKER_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/grammar.h"
#include "stoker/text.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_gguf;

/**
 * enum stoker_sampler_stage - in the usual order; the names are those of stoker_sampler_order()
 * @STOKER_STAGE_NONE: ends a list
 * @STOKER_STAGE_PENALTIES: "penalties", of tokens that came up lately
 * @STOKER_STAGE_DRY: "dry", of tokens that would go on with a repetition
 * @STOKER_STAGE_TOP_N_SIGMA: "top_n_sigma", keeps logits near the best (arXiv:2411.07641)
 * @STOKER_STAGE_TOP_K: "top_k", keeps the k most likely
 * @STOKER_STAGE_TYPICAL: "typ_p", keeps those whose surprise is near what is expected
 *	(arXiv:2202.00666)
 * @STOKER_STAGE_TOP_P: "top_p", keeps the most likely that together reach p (arXiv:1904.09751)
 * @STOKER_STAGE_MIN_P: "min_p", keeps those at least p times as likely as the best
 *	(arXiv:2407.01082)
 * @STOKER_STAGE_XTC: "xtc", now and then drops all likely ones but the least likely of them
 * @STOKER_STAGE_TEMPERATURE: "temperature", divides logits
 */
enum stoker_sampler_stage {
	STOKER_STAGE_NONE,
	STOKER_STAGE_PENALTIES,
	STOKER_STAGE_DRY,
	STOKER_STAGE_TOP_N_SIGMA,
	STOKER_STAGE_TOP_K,
	STOKER_STAGE_TYPICAL,
	STOKER_STAGE_TOP_P,
	STOKER_STAGE_MIN_P,
	STOKER_STAGE_XTC,
	STOKER_STAGE_TEMPERATURE,
};

/* Room of a list of stages, with its end. */
enum { STOKER_STAGES_MAX = 16 };

/**
 * struct stoker_logit_bias - what is added to one token's logit
 * @token: below the vocabulary's size
 * @bias: minus infinity: the token is never chosen
 */
struct stoker_logit_bias {
	uint32_t token;
	float bias;
};

/**
 * struct stoker_reasoning_params - how long a model may think
 * @size: STOKER_REASONING_PARAMS_INIT
 * @budget: tokens between the tags, 0: it ends at once, less than 0: without limit
 * @start: text that begins reasoning, "<think>" for instance: as the token of that name, or where
 *	the vocabulary has none, however it is cut into tokens.  NULL with @start_count
 * @end: text that ends it, however it is cut; NULL with @end_count
 * @message: said before the end when the budget is used up; may be NULL
 * @start_ids: @start_count tokens in place of @start
 * @start_count: 0: @start counts
 * @end_ids: @end_count tokens in place of @end
 * @end_count: 0: @end counts
 *
 * Once the budget is used up, a character that has begun is finished (at most three tokens), then
 * the tokens of message and end tag are forced.  Another start tag begins a budget anew.
 */
struct stoker_reasoning_params {
	size_t size;
	int32_t budget;
	const char *start, *end, *message;
	const uint32_t *start_ids, *end_ids;
	size_t start_count, end_count;
};
#define STOKER_REASONING_PARAMS_INIT STOKER_SIZE_OF(struct stoker_reasoning_params)

/** enum stoker_reasoning_state - where a reasoning budget is */
enum stoker_reasoning_state {
	STOKER_REASONING_IDLE,	    /* no start tag yet */
	STOKER_REASONING_COUNTING,  /* inside */
	STOKER_REASONING_FINISHING, /* used up, a character isn't complete */
	STOKER_REASONING_FORCING,   /* message and end tag are being forced */
	STOKER_REASONING_DONE,	    /* behind the end tag */
};

/**
 * struct stoker_sampler_params - how the next token is chosen; zeros are greedy
 * @size: STOKER_SAMPLER_PARAMS_INIT
 * @temperature: 0 takes the most likely token
 * @top_k: keep the k most likely, 0: all
 * @top_p: 0 or 1: all
 * @min_p: 0: all
 * @repeat_penalty: divide positive logits of recent tokens by it and multiply negative ones, 0 or
 *	1: off (arXiv:1909.05858)
 * @repeat_last: how many tokens are recent for the three penalties, 0: 64; limit 65536,
 *	UINT32_MAX stands for it
 * @seed: the same seed gives the same choices
 * @presence_penalty: taken off the logit of each recent token
 * @frequency_penalty: taken off as often as it came up
 * @typical_p: 0 or 1: all
 * @top_n_sigma: keep logits at most so many standard deviations below the best, 0 or less: all
 * @xtc_probability: how often xtc acts, 0: never
 * @xtc_threshold: probability from which a token is likely; above 0.5 no two are.  0: 0.1
 * @dynamic_range: the temperature moves by as much as this up and down with the candidates' entropy
 * @dynamic_exponent: how entropy maps to temperature, 0: 1
 * @dry_multiplier: what is taken off for the shortest repetition, 0: off
 * @dry_base: times this for each token more, 0: 1.75
 * @dry_allowed_length: repetitions shorter than this are free, 0: 2
 * @dry_last: how many tokens are looked at, as @repeat_last
 * @dry_breakers: @dry_breaker_count texts over which no repetition reaches; NULL: newline, colon,
 *	double quote, asterisk
 * @dry_breaker_count: at most 32, of at most 64 bytes
 * @mirostat: 1 or 2: that version (arXiv:2007.14966) in place of all stages but temperature
 * @mirostat_tau: surprise aimed at, in bits, 0: 5
 * @mirostat_eta: how fast it adapts, 0: 0.1
 * @biases: @bias_count of them, each token once or several times
 * @bias_count: at most 65536
 * @stages: which, in which order, up to STOKER_STAGE_NONE; none: all in the usual order.  Each at
 *	most once
 * @vocabulary: for dry's breakers, for reasoning, and so that no token is chosen that lies beyond
 *	it, as rows of logits may be longer, or that the file suppresses.  May be NULL without the
 *	former two; the sampler keeps it alive
 * @reasoning: NULL: none
 * @grammar: what the text may be (stoker/grammar.h), NULL: anything.  Of @vocabulary, or one
 *	like it; the sampler keeps it alive
 * @trigger_texts: @trigger_text_count texts of 1 to 256 bytes that switch the grammar on,
 *	however they are cut into tokens.  What the grammar describes begins with the trigger.
 *	Without triggers it is on from the beginning
 * @trigger_text_count: at most 64 triggers in all
 * @trigger_tokens: @trigger_token_count tokens that do the same
 * @trigger_token_count: of them
 *
 * What stands between the tags of @reasoning isn't the grammar's, and in what is the grammar's
 * there are no tags; but a start tag that is a token is allowed where its text would begin.
 * The choice is as if tokens that aren't allowed had no chance from the beginning: all stages
 * see what is left, and one random number is drawn for a token.  Greedy sampling asks about the
 * best token first, which comes to the same.  While a trigger is waited for, tokens that have
 * it with something wrong behind it are left out only when one of them would be chosen.
 *
 * What the other pointers lead to is copied.  All numbers are finite, shares from 0
 *to 1.
 */
struct stoker_sampler_params {
	size_t size;
	float temperature, top_p, min_p, repeat_penalty;
	uint32_t top_k, repeat_last;
	uint64_t seed;
	float presence_penalty, frequency_penalty;
	float typical_p, top_n_sigma;
	float xtc_probability, xtc_threshold;
	float dynamic_range, dynamic_exponent;
	float dry_multiplier, dry_base;
	uint32_t dry_allowed_length, dry_last;
	const char *const *dry_breakers;
	size_t dry_breaker_count;
	uint32_t mirostat;
	float mirostat_tau, mirostat_eta;
	const struct stoker_logit_bias *biases;
	size_t bias_count;
	uint8_t stages[STOKER_STAGES_MAX];
	const struct stoker_vocabulary *vocabulary;
	const struct stoker_reasoning_params *reasoning;
	const struct stoker_grammar *grammar;
	const char *const *trigger_texts;
	size_t trigger_text_count;
	const uint32_t *trigger_tokens;
	size_t trigger_token_count;
};
#define STOKER_SAMPLER_PARAMS_INIT STOKER_SIZE_OF(struct stoker_sampler_params)

struct stoker_sampler;

/**
 * stoker_sampler_defaults() - what programs for GGUF files take when nothing is said
 * @params: receives temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, the rest off; what stages
 *	that are off would take when they are turned on is spelled out
 *
 * Return: 0 or -EINVAL.
 */
STOKER_API int stoker_sampler_defaults(struct stoker_sampler_params *params);

/**
 * stoker_sampler_model_defaults() - what a file says about how it wants to be sampled
 * @gguf: its keys "general.sampling.*": sequence (as stoker_sampler_order() takes it), temp, top_k,
 *	top_p, min_p, xtc_probability, xtc_threshold, penalty_last_n, penalty_repeat, mirostat,
 *	mirostat_tau, mirostat_eta; others of that name are ignored
 * @params: what the file names is replaced
 *
 * Return: 0; -EINVAL for a value of the wrong type or beyond its limits, @params may have changed.
 */
STOKER_API int stoker_sampler_model_defaults(const struct stoker_gguf *gguf,
					     struct stoker_sampler_params *params,
					     struct stoker_error *err);

/**
 * stoker_sampler_order() - stages by their names
 * @names: NUL-terminated, separated by semicolons: "penalties;top_k;typ_p;temperature"; a hyphen
 *	may stand for an underscore
 * @stages: receives them
 *
 * Return: 0; -EINVAL for a name that isn't known, comes twice, or when there is none.
 */
STOKER_API int stoker_sampler_order(const char *names, uint8_t stages[STOKER_STAGES_MAX],
				    struct stoker_error *err);

/** stoker_sampler_stage_name() - what stoker_sampler_order() calls a stage, or NULL. */
STOKER_API const char *stoker_sampler_stage_name(enum stoker_sampler_stage stage);

/**
 * stoker_sampler_create() - check the parameters and make a sampler
 * @params: NULL: greedy
 * @sampler: receives it; release it with stoker_sampler_free()
 *
 * Return: 0; -EINVAL for impossible values, named in @err with their limits; -ENOMEM.
 */
STOKER_API int stoker_sampler_create(const struct stoker_sampler_params *params,
				     struct stoker_sampler **sampler, struct stoker_error *err);

/**
 * stoker_sampler_free() - release and clear; NULL is fine
 *
 * In a callback of the stoker_session_generate() that uses it, it goes when that returns.
 */
STOKER_API void stoker_sampler_free(struct stoker_sampler **sampler);

/**
 * stoker_sampler_clone() - a second sampler in the same state
 * @from: isn't changed; nobody else may use it meanwhile
 * @sampler: receives the copy, which makes the same choices as @from from here on
 *
 * Return: 0; -EINVAL; -ENOMEM; -ENOTSUP when a stage of the program's can't be copied, or what its
 * clone returned.
 */
STOKER_API int stoker_sampler_clone(const struct stoker_sampler *from,
				    struct stoker_sampler **sampler, struct stoker_error *err);

/**
 * struct stoker_custom_stage - a stage of sampling that the program brings
 * @size: STOKER_CUSTOM_STAGE_INIT
 * @apply: changes @count logits, those of the model, before all that the library does with them;
 *	minus infinity takes a token away.  0, or a negative errno that sampling then returns
 * @accept: told of each token of the text once it's settled; may be NULL
 * @begin: told of a prompt, see stoker_sampler_begin(); may be NULL
 * @reset: as after stoker_sampler_add(); may be NULL
 * @clone: gives what a copy of the sampler is handed for @user.  0 or a negative errno.  NULL: the
 *	same one, or if there is @free no copy is made
 * @free: the sampler goes; may be NULL
 * @user: handed to all of these
 *
 * They are called by who calls what they are about.  Of a request to an engine @begin is called by
 * stoker_engine_submit(), @apply and @accept by the engine's thread, which goes on when they have
 * returned, and @free by whoever takes the request's last event or frees the engine.  They make no
 * calls on the sampler but freeing it, which happens when the call returns.
 */
struct stoker_custom_stage {
	size_t size;
	int (*apply)(void *user, float *logits, uint32_t count);
	void (*accept)(void *user, uint32_t token);
	void (*begin)(void *user, const uint32_t *tokens, size_t count);
	void (*reset)(void *user);
	int (*clone)(void *user, void **copy);
	void (*free)(void *user);
	void *user;
};
#define STOKER_CUSTOM_STAGE_INIT STOKER_SIZE_OF(struct stoker_custom_stage)

/**
 * stoker_sampler_add() - one more stage of the program's, behind those that were added before
 * @stage: copied
 *
 * Return: 0; -EINVAL without @stage's size or apply; -ENOSPC for a ninth one; -EBUSY.  After a
 * failure @stage's free isn't called.
 */
STOKER_API int stoker_sampler_add(struct stoker_sampler *sampler,
				  const struct stoker_custom_stage *stage,
				  struct stoker_error *err);

/** stoker_sampler_reset() - as after stoker_sampler_create(): seed, history, everything. */
STOKER_API void stoker_sampler_reset(struct stoker_sampler *sampler);

/**
 * stoker_sampler_accept() - tell about a token of the text that wasn't sampled
 *
 * Penalties, dry, the reasoning budget and the grammar take it as if it had been chosen, but that a
 * grammar takes no notice of what it doesn't allow.  What stoker_sampler_sample() chose it knows
 * already.
 */
STOKER_API void stoker_sampler_accept(struct stoker_sampler *sampler, uint32_t token);

/**
 * stoker_sampler_begin() - a text begins, with this prompt
 * @tokens: @count of them, all that the context holds or will hold
 *
 * The history becomes the prompt; the random numbers and mirostat go on.  A grammar begins behind
 * it, and a reasoning budget starts anew: the prompt has begun reasoning if its last text is the
 * start tag, white space behind it aside.  What stands before, a question about the tag for
 * instance, doesn't count.
 */
STOKER_API void stoker_sampler_begin(struct stoker_sampler *sampler, const uint32_t *tokens,
				     size_t count);

/**
 * stoker_sampler_sample() - choose a token and remember it
 * @logits: @count floats, any values
 * @token: receives the choice, below @count and the vocabulary's size; untouched on failure
 *
 * Takes time in proportion to @count.
 *
 * Return: 0; -EINVAL when @count is 0, or not above a token that the reasoning budget forces; -EDOM
 * when no logit is above minus infinity, of the tokens that a grammar allows if there is one;
 * -E2BIG when the grammar can be read in too many ways; -EBUSY; -ENOMEM; what a stage of the
 * program's returned.  After a failure the sampler is as before.
 */
STOKER_API int stoker_sampler_sample(struct stoker_sampler *sampler, const float *logits,
				     uint32_t count, uint32_t *token);

/** stoker_sampler_reasoning() - IDLE without a reasoning budget. */
STOKER_API enum stoker_reasoning_state
stoker_sampler_reasoning(const struct stoker_sampler *sampler);

#ifdef __cplusplus
}
#endif

#endif
