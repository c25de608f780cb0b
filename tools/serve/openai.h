/* SPDX-License-Identifier: MIT */
/* What the endpoints of OpenAI's API have in common: several answers at a time, and parts of what
 * is written about them. */
#ifndef STOKER_SERVE_OPENAI_H
#define STOKER_SERVE_OPENAI_H

#include <json-c/json.h>

#include "serve/fields.h"
#include "serve/generation.h"
#include "serve/http.h"
#include "serve/models.h"
#include "serve/text.h"

/* The answers to one request, while they come. */
struct answers {
	struct exchange *x;
	struct served *model;
	struct generation *g[CHOICES_MAX];
	size_t count, ended;
	size_t each; /* so many have a prompt in common, one behind the other; 0: all */
	struct token_usage usage; /* of those that have ended, together; of each prompt once */
	struct stoker_request_timings timings; /* of the last that ended */
	struct json_object *tools;	       /* held for the generations */
};

/* The next piece of any of them; false when all have ended.  PIECE_NONE: time is up. */
bool answers_next(struct answers *a, int wait_ms, size_t *which, struct piece *piece);
/* For struct source and exchange_watch(): ends all of them. */
void answers_cancel(void *answers);
void answers_free(struct answers *a);

/* "PREFIX" and 24 letters and digits that nobody guesses. */
enum { ID_BYTES = 48 };
void openai_id(char id[ID_BYTES], const char *prefix);
#define OPENAI_FINGERPRINT "stoker-" STOKER_VERSION

/* {"prompt_tokens": ...} */
void openai_usage(struct text *out, const struct token_usage *u);
/* {"prompt_n": ...}, as llama-server has it */
void openai_timings(struct text *out, const struct stoker_request_timings *t);
/* {"token": ..., "logprob": ..., "bytes": ..., "top_logprobs": [...]}, ... without brackets */
void openai_log_probabilities(struct text *out, const struct served *m,
			      const struct token_info *tokens, size_t count);
/* A number of JSON; what isn't finite is as small as can be. */
void openai_number(struct text *out, double value);
const char *openai_finish(enum finish finish);

/* The model that the body names; false after the reply. */
bool openai_model(struct exchange *x, struct served **m);

/* Lines of an event stream, "data: " before and an empty line behind. */
void openai_event_begin(struct text *out);
void openai_event_end(struct text *out);
/* {"error": ...} as an event: nothing follows it. */
void openai_event_problem(struct text *out, const struct problem *p);
/* A comment, for struct source. */
void openai_ping(void *context, struct text *out);

void openai_chat_post(struct exchange *x);
void openai_completions_post(struct exchange *x);
void openai_responses_post(struct exchange *x);

#endif
