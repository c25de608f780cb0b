/* SPDX-License-Identifier: MIT */
/* llama-server's own endpoints: /completion, /infill, /tokenize, /detokenize, /apply-template. */
#ifndef STOKER_SERVE_NATIVE_H
#define STOKER_SERVE_NATIVE_H

#include <json-c/json.h>

#include "serve/fields.h"
#include "serve/generation.h"
#include "serve/text.h"

struct exchange;

/* One answer of several that a request may have. */
struct native_answer {
	struct served *model; /* that spells tokens; borrowed */
	unsigned index;
	bool whole;		      /* one object at the end; otherwise events */
	bool return_tokens;	      /* "tokens" is filled in */
	bool probabilities;	      /* of tokens */
	bool new_line;		      /* there was one in the text */
	struct json_object *settings; /* "generation_settings"; may be NULL */
	struct text prompt;	      /* as it was read */
	/* of a whole answer: text, "tokens", their probabilities, and the object */
	struct text content, tokens, told, reply;
};

/* Appends events "data: {...}", or for the end of a whole answer its object to @reply.  @usage: of
 * now. */
void native_piece(struct native_answer *a, const struct piece *piece,
		  const struct token_usage *usage, struct text *out);
void native_free(struct native_answer *a);
/* What was chosen, as "generation_settings". */
struct json_object *native_settings(const struct chosen *c, const struct served *m);

/*
 * A prompt of /completion: a text, a list of tokens, or one of both; @flags are those of
 * stoker_vocabulary_tokenize().  false: 400 or 500, and @tokens is as it was.  It belongs to the
 * caller, free().
 */
bool native_tokens(const struct stoker_vocabulary *v, struct json_object *prompt, unsigned flags,
		   uint32_t **tokens, size_t *count, struct problem *p);
/* Tokens that a prompt may have, beside those that are to be generated. */
uint32_t native_prompt_room(const struct served *m, const struct chosen *c);
/*
 * What is to be filled in between input_prefix and input_suffix, behind the files of input_extra;
 * false: 400, or 501 for a model without tokens for it.
 */
bool native_infill(const struct stoker_vocabulary *v, struct json_object *body, uint32_t room,
		   uint32_t **tokens, size_t *count, struct problem *p);

/* Handlers of routes. */
void native_completion(struct exchange *x);
void native_fill(struct exchange *x);
void native_tokenize(struct exchange *x);
void native_detokenize(struct exchange *x);
void native_apply_template(struct exchange *x);

#endif
