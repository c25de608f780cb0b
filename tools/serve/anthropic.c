// SPDX-License-Identifier: MIT
/* Anthropic's Messages API: POST /v1/messages, and counting the tokens of such a request. */
#include "serve/anthropic.h"

#include <stdlib.h>

#include "serve/chat.h"
#include "serve/http.h"
#include "serve/models.h"
#include "serve/objects.h"
#include "serve/tell.h"
#include "serve/translate.h"

/* A request while it is answered. */
struct telling {
	struct anthropic_message message;
	struct json_object *body; /* in OpenAI's form; texts and tools lie there */
};

static void begin(void *context, const struct token_usage *usage, struct text *out)
{
	struct telling *t = context;

	anthropic_start(&t->message, usage, out);
}

static void tell(void *context, size_t which, const struct piece *piece,
		 const struct token_usage *usage, struct text *out)
{
	struct telling *t = context;
	struct json_object *whole;

	(void)which, (void)usage;
	if (!t->message.content) {
		anthropic_piece(&t->message, piece, out);
		return;
	}
	anthropic_piece(&t->message, piece, NULL);
	if (piece->kind != PIECE_END)
		return;
	out->failed |= t->message.text.failed;
	whole = anthropic_whole(&t->message, piece);
	text_puts(out, json_object_to_json_string_ext(
			       whole, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(whole);
}

static void ping(void *context, struct text *out)
{
	(void)context;
	anthropic_ping(out);
}

static void free_telling(void *context)
{
	struct telling *t = context;

	anthropic_free(&t->message);
	json_object_put(t->body);
	free(t);
}

static const struct teller teller = {
	.type = "text/event-stream",
	.begin = begin,
	.piece = tell,
	.ping = ping,
	.free = free_telling,
};

/* The model, and what is asked of it: chat_free() and models_release() them in any case. */
static bool read_request(struct exchange *x, struct served **m, struct json_object **body,
			 struct chat_request *c, struct problem *p)
{
	const char *name = NULL;

	*body = anthropic_to_openai(exchange_json(x), p);
	if (!*body || !field_text(*body, "model", &name, p) ||
	    !models_take(exchange_server(x), name, m, p))
		return false;
	chat_begin(c, *m);
	if (!chat_read(*body, c, p) || !translated_thinking(*body, c, p))
		return false;
	c->chosen.n = 1;
	return true;
}

void anthropic_messages(struct exchange *x)
{
	struct telling *t = calloc(1, sizeof(*t));
	struct answers answers = { .x = x };
	struct chat_request c = { .messages = NULL };
	struct problem p = { .status = 0 };
	bool stream;

	if (!t)
		problem_set(&p, 503, NULL, NULL, "out of memory");
	else if (read_request(x, &answers.model, &t->body, &c, &p))
		answers.count = chat_start(x, answers.model, &c, answers.g, &p);
	stream = c.chosen.stream;
	chat_free(&c);
	if (!answers.count) {
		reply_problem(x, &p);
		answers_free(&answers);
		if (t)
			free_telling(t);
		return;
	}
	openai_id(t->message.id, "msg_");
	t->message.model = served_name(answers.model);
	if (stream) {
		tell_stream(&answers, &teller, t);
		return;
	}
	t->message.content = json_object_new_array();
	tell_whole(&answers, &teller, t);
}

void anthropic_count_tokens(struct exchange *x)
{
	struct chat_request c = { .messages = NULL };
	struct chat_prompt prompt = { .text = NULL };
	struct json_object *body = NULL, *reply;
	struct problem p = { .status = 0 };
	struct served *m = NULL;

	if (read_request(x, &m, &body, &c, &p) && chat_render(m, &c, &prompt, &p)) {
		reply = json_object_new_object();
		object_count(reply, "input_tokens", (int64_t)prompt.count);
		reply_json(x, 200, reply);
	} else {
		reply_problem(x, &p);
	}
	chat_prompt_free(&prompt);
	chat_free(&c);
	json_object_put(body);
	models_release(&m);
}
