/* SPDX-License-Identifier: MIT */
/*
 * Requests of other dialects in OpenAI's form, as which the server carries all of them out.  Pure
 * functions: JSON to JSON.  What a dialect doesn't know about is passed on as it is, so that a
 * client may send what others do, too.
 */
#ifndef STOKER_SERVE_TRANSLATE_H
#define STOKER_SERVE_TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>

struct chat_request;
struct json_object;
struct problem;

/*
 * A new object for POST /v1/chat/completions, to be released with json_object_put().  NULL: @p says
 * what is wrong (400) and where, "messages.2.content.0".  @body isn't changed.
 */
struct json_object *anthropic_to_openai(struct json_object *body, struct problem *p);
struct json_object *ollama_chat_to_openai(struct json_object *body, struct problem *p);
/*
 * Of /api/generate: as a chat, or with "raw" or "suffix" what POST /completion and /infill take,
 * which *@kind says.
 */
enum ollama_kind { OLLAMA_CHAT, OLLAMA_RAW, OLLAMA_INFILL };
struct json_object *ollama_generate_to_openai(struct json_object *body, enum ollama_kind *kind,
					      struct problem *p);

/* What a translation says by "think", on top of chat_read(). */
bool translated_thinking(struct json_object *body, struct chat_request *c, struct problem *p);

/* A string of @o, which stands at @place, or NULL; false for another type. */
bool string_field(struct json_object *o, const char *place, const char *key,
		  struct json_object **value, struct problem *p);
/* 400: what stands at @place and @key, which may be NULL, isn't @wanted. */
bool wrong_field(struct problem *p, const char *place, const char *key, const char *wanted);
/* "reasoning_effort": what OpenAI has, of which the most isn't called "max". */
void add_effort(struct json_object *to, struct json_object *effort);
/* {"role": @role}, at the end of @list. */
struct json_object *add_message(struct json_object *list, const char *role);
/* All fields of @from but those in @without, which ends with NULL. */
struct json_object *fields_without(struct json_object *from, const char *const *without);

#endif
