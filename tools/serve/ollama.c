// SPDX-License-Identifier: MIT
/* Ollama's API: POST /api/chat and /api/generate, and what is refused. */
#include "serve/ollama.h"

#include <stdlib.h>
#include <string.h>

#include "serve/chat.h"
#include "serve/http.h"
#include "serve/models.h"
#include "serve/native.h"
#include "serve/objects.h"
#include "serve/tell.h"
#include "serve/translate.h"
#include "tool.h"

/* A request while it is read and answered. */
struct telling {
	struct ollama_answer answer;
	struct answers answers; /* until they are told */
	const struct served *model;
	struct json_object *body; /* in OpenAI's form; texts and tools lie there */
	bool keep_context;	  /* "context" is told at the end: */
	uint32_t *prompt;	  /* these tokens, and those of */
	size_t prompt_count;
	struct text said;
};

static void free_telling(void *context)
{
	struct telling *t = context;

	ollama_free(&t->answer);
	json_object_put(t->body);
	free(t->prompt);
	text_free(&t->said);
	free(t);
}

static void add_tokens_to(struct json_object *list, const uint32_t *tokens, size_t count)
{
	for (size_t i = 0; i < count; i++)
		json_object_array_add(list, json_object_new_int64(tokens[i]));
}

/* The whole text as tokens, so that a client may go on with it. */
static void make_context(struct telling *t)
{
	struct stoker_error err;
	uint32_t *tokens = NULL;
	size_t count = 0;

	if (t->said.bytes && stoker_vocabulary_tokenize(served_vocabulary(t->model), t->said.data,
							t->said.bytes, 0, &tokens, &count, &err))
		return;
	t->answer.context = json_object_new_array();
	add_tokens_to(t->answer.context, t->prompt, t->prompt_count);
	add_tokens_to(t->answer.context, tokens, count);
	stoker_free(tokens);
}

static void tell(void *context, size_t which, const struct piece *piece,
		 const struct token_usage *usage, struct text *out)
{
	struct telling *t = context;

	(void)which, (void)usage;
	if (t->keep_context && piece->kind == PIECE_TEXT)
		text_add(&t->said, piece->text, piece->bytes);
	if (t->keep_context && piece->kind == PIECE_END)
		make_context(t);
	ollama_piece(&t->answer, piece, out);
}

static const struct teller teller = {
	.type = "application/x-ndjson",
	.piece = tell,
	.free = free_telling,
};

static bool take_model(struct exchange *x, struct telling *t, struct problem *p)
{
	const double begun = now_seconds();

	if (!field_text(t->body, "model", &t->answer.model, p) ||
	    !models_take(exchange_server(x), t->answer.model, &t->answers.model, p))
		return false;
	t->model = t->answer.served = t->answers.model;
	t->answer.load_seconds = now_seconds() - begun;
	if (!t->answer.model)
		t->answer.model = served_name(t->model);
	return true;
}

/* Nothing is asked but that the model be loaded, which it is now; or unloaded, but memory is the
 * server's business, and none is given back before somebody else needs it. */
static void reply_loaded(struct exchange *x, struct telling *t)
{
	struct text out = { .data = NULL };

	ollama_loaded(&t->answer, &out);
	reply_text(x, 200, "application/json", out.data, out.bytes);
	text_free(&out);
	answers_free(&t->answers);
	free_telling(t);
}

/* Nothing has been started: @p is the reply. */
static void reply(struct exchange *x, struct telling *t, bool stream, const struct problem *p)
{
	if (!t->answers.count) {
		reply_problem(x, p);
		answers_free(&t->answers);
		free_telling(t);
		return;
	}
	t->answer.whole = !stream;
	if (stream)
		tell_stream(&t->answers, &teller, t);
	else
		tell_whole(&t->answers, &teller, t);
}

static struct telling *begin(struct exchange *x)
{
	struct telling *t = calloc(1, sizeof(*t));
	struct problem p;

	if (!t) {
		problem_set(&p, 503, NULL, NULL, "out of memory");
		reply_problem(x, &p);
		return NULL;
	}
	t->answers.x = x;
	return t;
}

void ollama_chat(struct exchange *x)
{
	struct telling *t = begin(x);
	struct chat_request c = { .messages = NULL };
	struct problem p = { .status = 0 };
	bool ok, stream = false;

	if (!t)
		return;
	t->answer.chat = true;
	t->body = ollama_chat_to_openai(exchange_json(x), &p);
	ok = t->body && take_model(x, t, &p);
	if (ok && !json_object_array_length(field_of(t->body, "messages"))) {
		reply_loaded(x, t);
		return;
	}
	if (ok) {
		chat_begin(&c, t->model);
		ok = chat_read(t->body, &c, &p) && translated_thinking(t->body, &c, &p);
		c.chosen.n = 1;
		stream = c.chosen.stream || !c.chosen.stream_said;
	}
	if (ok)
		t->answers.count = chat_start(x, t->answers.model, &c, t->answers.g, &p);
	chat_free(&c);
	reply(x, t, stream, &p);
}

/* --- /api/generate ------------------------------------------------------------------------------
 */

/* @tokens behind those of a context; takes them over.  A mark that begins texts comes once. */
static bool set_prompt(struct telling *t, const uint32_t *tokens, size_t count,
		       struct json_object *context, struct problem *p)
{
	const struct stoker_vocabulary *v = served_vocabulary(t->model);
	const int64_t begin_id = stoker_vocabulary_special(v, STOKER_SPECIAL_BEGIN);
	const size_t before = context ? json_object_array_length(context) : 0;
	const size_t skip = before && count && tokens[0] == begin_id;

	t->prompt = malloc((before + count) * sizeof(*t->prompt) + 1);
	if (!t->prompt)
		return problem_set(p, 503, NULL, NULL, "out of memory");
	for (size_t i = 0; i < before; i++) {
		int64_t id;

		if (!value_int(p, "context", json_object_array_get_idx(context, i), 0,
			       stoker_vocabulary_size(v) - 1, &id))
			return false;
		t->prompt[i] = (uint32_t)id;
	}
	if (count > skip)
		memcpy(t->prompt + before, tokens + skip, (count - skip) * sizeof(*tokens));
	t->prompt_count = before + count - skip;
	return true;
}

static bool start_chat(struct telling *t, struct chat_request *c, struct problem *p)
{
	struct json_object *context = NULL;
	struct chat_prompt prompt = { .text = NULL }, whole;
	bool ok = field_list(exchange_json(t->answers.x), "context", &context, p) &&
		  chat_read(t->body, c, p) && translated_thinking(t->body, c, p) &&
		  chat_render(t->model, c, &prompt, p) &&
		  set_prompt(t, prompt.tokens, prompt.count, context, p);

	c->chosen.n = 1;
	t->keep_context = true;
	whole = prompt;
	whole.tokens = t->prompt;
	whole.count = t->prompt_count;
	ok = ok && chat_start_prompt(t->answers.x, t->answers.model, c, &whole, t->answers.g, p);
	chat_prompt_free(&prompt);
	return ok;
}

static bool start_tokens(struct telling *t, enum ollama_kind kind, struct chat_request *c,
			 struct problem *p)
{
	const struct stoker_vocabulary *v = served_vocabulary(t->model);
	struct chat_prompt prompt = { .text = NULL };
	bool ok;

	if (!fields_take(t->body, &c->chosen, p) || !chat_format(t->body, c, p))
		return false;
	c->chosen.n = 1;
	if (kind == OLLAMA_INFILL)
		ok = native_infill(v, t->body, native_prompt_room(t->model, &c->chosen),
				   &prompt.tokens, &prompt.count, p);
	else
		ok = native_tokens(v, field_of(t->body, "prompt"),
				   STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_SPECIAL, &prompt.tokens,
				   &prompt.count, p);
	ok = ok && chat_start_prompt(t->answers.x, t->answers.model, c, &prompt, t->answers.g, p);
	free(prompt.tokens);
	return ok;
}

/* Whether there is anything to go on from. */
static bool has_prompt(struct json_object *body)
{
	static const char *const texts[] = { "prompt", "suffix" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (json_object_get_string_len(field_of(body, texts[i])))
			return true;
	return false;
}

void ollama_generate(struct exchange *x)
{
	struct telling *t = begin(x);
	struct chat_request c = { .messages = NULL };
	struct problem p = { .status = 0 };
	enum ollama_kind kind;
	bool ok, stream;

	if (!t)
		return;
	t->body = ollama_generate_to_openai(exchange_json(x), &kind, &p);
	ok = t->body && take_model(x, t, &p);
	if (ok && !has_prompt(exchange_json(x))) {
		reply_loaded(x, t);
		return;
	}
	if (ok) {
		chat_begin(&c, t->model);
		t->answers.count = kind == OLLAMA_CHAT ? start_chat(t, &c, &p)
						       : start_tokens(t, kind, &c, &p);
	}
	stream = c.chosen.stream || !c.chosen.stream_said;
	chat_free(&c);
	reply(x, t, stream, &p);
}

void ollama_refused(struct exchange *x)
{
	struct problem p;

	problem_set(&p, 403, NULL, NULL,
		    "this server never fetches, makes or removes models; \"stoker pull\", \"stoker "
		    "rm\" and "
		    "\"stoker quantize\" do");
	reply_problem(x, &p);
}
