/* SPDX-License-Identifier: MIT */
/*
 * What a request says about sampling, lengths and the like: one table of all names that the
 * dialects have, with the type and the range of each.  What is wrong is refused with 400, naming
 * field, value and limits; null is as if it weren't there; names that aren't known are ignored.
 */
#ifndef STOKER_SERVE_FIELDS_H
#define STOKER_SERVE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>
#include <stoker/stoker.h>

#include "serve/field.h"

enum { STOPS_MAX = 16, STOP_BYTES_MAX = 256, BREAKERS_MAX = 32, CHOICES_MAX = 32 };

/*
 * What was chosen.  Texts lie in the JSON that was read, which has to stay; @sampling has pointers
 * into the rest of the struct, which may not be moved.
 */
struct chosen {
	struct stoker_sampler_params sampling; /* no grammar, no reasoning */
	struct stoker_logit_bias *biases;
	size_t bias_room;
	const char *breakers[BREAKERS_MAX];
	const char *stop[STOPS_MAX];
	size_t stop_count;
	bool seeded;	     /* the request says the seed; otherwise it is a random one */
	bool limited;	     /* it says how many tokens, see @max_tokens; otherwise all that fit */
	uint32_t max_tokens; /* may be 0 where @limited: nothing but reading the prompt */
	uint32_t n;	     /* answers, 1 to CHOICES_MAX */
	bool log_probabilities;
	uint32_t top; /* so many of the likeliest, up to STOKER_TOP_MAX */
	bool ignore_end;
	bool stream, stream_said;
	bool include_usage; /* of stream_options */
	enum stoker_priority priority;
	int32_t reasoning_budget; /* -1: none */
};

/* Before anything is read: what holds when nothing is said, see served_defaults(). */
void fields_begin(struct chosen *out, const struct stoker_vocabulary *v,
		  const struct stoker_sampler_params *defaults);
/*
 * What an object says; may be called again with another one (Ollama's "options"), whose fields then
 * come on top.
 */
bool fields_take(struct json_object *o, struct chosen *out, struct problem *p);
/* Releases what @out owns. */
void fields_free(struct chosen *out);

/* fields_begin() with what the file and the command line say, and fields_take(). */
struct served;
bool fields_read(struct json_object *body, const struct served *m, struct chosen *out,
		 struct problem *p);

/* What "logit_bias" says, the table's row for it. */
bool read_logit_bias(struct chosen *out, const char *name, struct json_object *value,
		     struct problem *p);

#endif
