// SPDX-License-Identifier: MIT
/* llama-server's own endpoints: POST /completion and /infill. */
#include "serve/native.h"

#include <stdlib.h>
#include <string.h>

#include "serve/chat.h"
#include "serve/tell.h"
#include "serve/translate.h"

/* Several prompts of a request have an answer each. */
struct telling {
	struct native_answer answers[CHOICES_MAX];
	size_t count;
	bool several;		    /* the reply is a list */
	bool nothing;		    /* the prompt is to be read, and no more */
	struct json_object *fields; /* "response_fields" of a whole reply; NULL: all */
};

static void free_telling(void *context)
{
	struct telling *t = context;

	for (size_t i = 0; i < t->count; i++)
		native_free(&t->answers[i]);
	json_object_put(t->fields);
	free(t);
}

/* Where "timings/prompt_n" leads; NULL: nowhere. */
static struct json_object *follow(struct json_object *o, const char *path)
{
	char name[64];

	while (o && path) {
		const char *slash = strchr(path, '/');
		const size_t n = slash ? (size_t)(slash - path) : strlen(path);

		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = 0;
		o = field_of(o, name);
		path = slash ? slash + 1 : NULL;
	}
	return o;
}

/* Some read a few fields of large replies. */
static void choose_fields(const struct text *reply, struct json_object *fields, struct text *out)
{
	struct json_object *all = json_tokener_parse(reply->data);
	struct json_object *some = json_object_new_object();

	for (size_t i = 0; i < json_object_array_length(fields); i++) {
		struct json_object *name = json_object_array_get_idx(fields, i);
		struct json_object *value = follow(all, json_object_get_string(name));

		if (value)
			json_object_object_add(some, json_object_get_string(name),
					       json_object_get(value));
	}
	text_puts(out, json_object_to_json_string_ext(
			       some, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(some);
	json_object_put(all);
}

static void tell(void *context, size_t which, const struct piece *piece,
		 const struct token_usage *usage, struct text *out)
{
	struct telling *t = context;
	struct native_answer *a = &t->answers[which];
	struct token_usage read = *usage;
	struct piece end = *piece;

	if (t->nothing && piece->kind != PIECE_FAILED) {
		if (piece->kind != PIECE_END)
			return;
		read.generated = end.usage.generated = end.timings.generated = 0;
		end.finish = FINISH_LENGTH;
		end.stop = NULL;
	}
	native_piece(a, &end, &read, out);
}

/* Whole answers come in the order of their prompts. */
static void finish(void *context, struct text *out)
{
	struct telling *t = context;

	text_puts(out, t->several ? "[" : "");
	for (size_t i = 0; i < t->count; i++) {
		const struct text *reply = &t->answers[i].reply;

		text_puts(out, i ? "," : "");
		out->failed |= reply->failed || !reply->data;
		if (out->failed)
			break;
		if (t->fields)
			choose_fields(reply, t->fields, out);
		else
			text_add(out, reply->data, reply->bytes);
	}
	text_puts(out, t->several ? "]" : "");
}

static const struct teller teller = {
	.type = "text/event-stream",
	.piece = tell,
	.finish = finish,
	.ping = openai_ping,
	.free = free_telling,
};

/* --- what is asked ------------------------------------------------------------------------------
 */

/* A list without numbers is several prompts. */
static bool is_several(struct json_object *prompt)
{
	if (!json_object_is_type(prompt, json_type_array) || !json_object_array_length(prompt))
		return false;
	for (size_t i = 0; i < json_object_array_length(prompt); i++)
		if (json_object_is_type(json_object_array_get_idx(prompt, i), json_type_int))
			return false;
	return true;
}

/* The answer's form, and what else isn't in the table of fields. */
static bool read_rest(struct json_object *body, struct telling *t, struct chat_request *c,
		      struct problem *p)
{
	struct json_object *fields = NULL;
	bool tokens = false;

	if (!chat_format(body, c, p) || !field_bool(body, "return_tokens", &tokens, p) ||
	    !field_list(body, "response_fields", &fields, p))
		return false;
	for (size_t i = 0; fields && i < json_object_array_length(fields); i++)
		if (!json_object_is_type(json_object_array_get_idx(fields, i), json_type_string))
			return value_wrong(p, "response_fields", fields, "a list of strings");
	t->fields = fields && json_object_array_length(fields) ? json_object_get(fields) : NULL;
	t->nothing = c->chosen.limited && !c->chosen.max_tokens;
	if (t->nothing)
		c->chosen.max_tokens = 1;
	for (size_t i = 0; i < CHOICES_MAX; i++) {
		t->answers[i].probabilities = c->chosen.log_probabilities;
		t->answers[i].return_tokens = tokens || c->chosen.stream;
		t->answers[i].whole = !c->chosen.stream;
	}
	/* pieces have tokens then, which streams always tell */
	c->chosen.log_probabilities |= tokens || c->chosen.stream;
	c->chosen.n = 1;
	return true;
}

/* What is shown as the prompt. */
static void show_prompt(struct native_answer *a, const uint32_t *tokens, size_t count)
{
	for (size_t i = 0; i < count; i++)
		token_text(a->model, tokens[i], &a->prompt);
}

static bool start(struct answers *answers, struct telling *t, const struct chat_request *c,
		  uint32_t *tokens, size_t count, struct problem *p)
{
	const struct chat_prompt prompt = { .tokens = tokens, .count = count };
	struct native_answer *a = &t->answers[t->count];

	a->model = answers->model;
	a->index = (unsigned)t->count;
	a->settings = native_settings(&c->chosen, answers->model);
	show_prompt(a, tokens, count);
	t->count++;
	if (!chat_start_prompt(answers->x, answers->model, c, &prompt, &answers->g[answers->count],
			       p))
		return false;
	answers->count++;
	return true;
}

static bool start_all(struct answers *answers, struct telling *t, const struct chat_request *c,
		      struct json_object *prompt, struct problem *p)
{
	const struct stoker_vocabulary *v = served_vocabulary(answers->model);
	const size_t prompts = is_several(prompt) ? json_object_array_length(prompt) : 1;
	bool ok = true;

	t->several = is_several(prompt);
	if (prompts > CHOICES_MAX)
		return problem_set(p, 400, "prompt", NULL, "%zu prompts, the limit is %d", prompts,
				   CHOICES_MAX);
	for (size_t i = 0; ok && i < prompts; i++) {
		struct json_object *one = t->several ? json_object_array_get_idx(prompt, i)
						     : prompt;
		uint32_t *tokens = NULL;
		size_t count;

		ok = native_tokens(v, one, STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_SPECIAL, &tokens,
				   &count, p) &&
		     start(answers, t, c, tokens, count, p);
		free(tokens);
	}
	return ok;
}

static bool start_fill(struct answers *answers, struct telling *t, const struct chat_request *c,
		       struct json_object *body, struct problem *p)
{
	const struct stoker_vocabulary *v = served_vocabulary(answers->model);
	uint32_t *tokens = NULL;
	size_t count;
	bool ok = native_infill(v, body, native_prompt_room(answers->model, &c->chosen), &tokens,
				&count, p) &&
		  start(answers, t, c, tokens, count, p);

	free(tokens);
	return ok;
}

/* A body that asks for the sampler that only llama-server has: without the list of samplers, of
 * which that is one. */
static struct json_object *without_infill(struct json_object *body)
{
	static const char *const names[] = { "samplers", NULL };
	struct json_object *list = field_of(body, "samplers");

	for (size_t i = 0;
	     json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
	     i++) {
		struct json_object *name = json_object_array_get_idx(list, i);

		if (name && !strcmp(json_object_get_string(name), "infill"))
			return fields_without(body, names);
	}
	return json_object_get(body);
}

static void complete(struct exchange *x, bool fill)
{
	struct answers answers = { .x = x, .each = 1 };
	struct chat_request c = { .messages = NULL };
	struct json_object *body = without_infill(exchange_json(x));
	struct telling *t = calloc(1, sizeof(*t));
	struct problem p = { .status = 0 };
	const char *name = NULL;
	bool ok = t || problem_set(&p, 503, NULL, NULL, "out of memory");
	bool stream;

	ok = ok && field_text(body, "model", &name, &p) &&
	     models_take(exchange_server(x), name, &answers.model, &p);
	if (ok) {
		chat_begin(&c, answers.model);
		ok = fields_take(body, &c.chosen, &p) && read_rest(body, t, &c, &p) &&
		     (fill ? start_fill(&answers, t, &c, body, &p)
			   : start_all(&answers, t, &c, field_of(body, "prompt"), &p));
	}
	stream = c.chosen.stream;
	chat_free(&c);
	json_object_put(body);
	if (!ok) {
		reply_problem(x, &p);
		answers_free(&answers);
		if (t)
			free_telling(t);
	} else if (stream) {
		tell_stream(&answers, &teller, t);
	} else {
		tell_whole(&answers, &teller, t);
	}
}

void native_completion(struct exchange *x)
{
	complete(x, false);
}

void native_fill(struct exchange *x)
{
	complete(x, true);
}
