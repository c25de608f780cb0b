// SPDX-License-Identifier: MIT
/* llama-server's own endpoints: POST /tokenize, /detokenize and /apply-template. */
#include <stdlib.h>

#include <utf8proc.h>

#include "serve/chat.h"
#include "serve/native.h"
#include "serve/openai.h"

static bool is_text(const struct text *t)
{
	utf8proc_int32_t character;

	for (size_t i = 0; i < t->bytes;) {
		const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)t->data + i,
							    (utf8proc_ssize_t)(t->bytes - i),
							    &character);

		if (n <= 0)
			return false;
		i += (size_t)n;
	}
	return true;
}

/* A text, or its bytes where it isn't whole characters. */
static struct json_object *piece_of(const struct served *m, uint32_t token)
{
	struct text t = { .data = NULL };
	struct json_object *piece;

	token_text(m, token, &t);
	if (is_text(&t)) {
		piece = json_object_new_string_len(t.bytes ? t.data : "", (int)t.bytes);
	} else {
		piece = json_object_new_array();
		for (size_t i = 0; i < t.bytes; i++)
			json_object_array_add(piece, json_object_new_int((unsigned char)t.data[i]));
	}
	text_free(&t);
	return piece;
}

static struct json_object *list_tokens(const struct served *m, const uint32_t *tokens, size_t count,
				       bool pieces)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++) {
		struct json_object *id = json_object_new_int64(tokens[i]), *both;

		if (!pieces) {
			json_object_array_add(list, id);
			continue;
		}
		both = json_object_new_object();
		json_object_object_add(both, "id", id);
		json_object_object_add(both, "piece", piece_of(m, tokens[i]));
		json_object_array_add(list, both);
	}
	return list;
}

void native_tokenize(struct exchange *x)
{
	struct json_object *body = exchange_json(x), *content = field_of(body, "content"), *reply;
	bool add = false, special = true, pieces = false;
	struct problem p = { .status = 0 };
	struct served *m = NULL;
	uint32_t *tokens = NULL;
	size_t count = 0;

	if (!openai_model(x, &m))
		return;
	if (field_bool(body, "add_special", &add, &p) &&
	    field_bool(body, "parse_special", &special, &p) &&
	    field_bool(body, "with_pieces", &pieces, &p) &&
	    (!content || native_tokens(served_vocabulary(m), content,
				       (add ? STOKER_TOKENIZE_ADD : 0u) |
					       (special ? STOKER_TOKENIZE_SPECIAL : 0u),
				       &tokens, &count, &p))) {
		reply = json_object_new_object();
		json_object_object_add(reply, "tokens", list_tokens(m, tokens, count, pieces));
		reply_json(x, 200, reply);
	} else {
		reply_problem(x, &p);
	}
	free(tokens);
	models_release(&m);
}

void native_detokenize(struct exchange *x)
{
	struct json_object *tokens = NULL;
	struct text content = { .data = NULL }, out = { .data = NULL };
	struct problem p = { .status = 0 };
	struct served *m = NULL;
	bool ok;

	if (!openai_model(x, &m))
		return;
	ok = field_list(exchange_json(x), "tokens", &tokens, &p);
	for (size_t i = 0; ok && tokens && i < json_object_array_length(tokens); i++) {
		int64_t id;

		ok = value_int(&p, "tokens", json_object_array_get_idx(tokens, i), 0,
			       stoker_vocabulary_size(served_vocabulary(m)) - 1, &id);
		if (ok)
			token_text(m, (uint32_t)id, &content);
	}
	text_puts(&out, "{\"content\":");
	text_json(&out, content.data, content.bytes);
	text_puts(&out, "}");
	if (ok && (content.failed || out.failed))
		ok = problem_set(&p, 503, NULL, NULL, "out of memory");
	if (ok)
		reply_text(x, 200, "application/json", out.data, out.bytes);
	else
		reply_problem(x, &p);
	text_free(&content);
	text_free(&out);
	models_release(&m);
}

void native_apply_template(struct exchange *x)
{
	struct chat_request c = { .messages = NULL };
	struct chat_prompt prompt = { .text = NULL };
	struct problem p = { .status = 0 };
	struct served *m = NULL;
	struct json_object *reply;

	if (!openai_model(x, &m))
		return;
	chat_begin(&c, m);
	if (chat_read(exchange_json(x), &c, &p) && chat_render(m, &c, &prompt, &p)) {
		reply = json_object_new_object();
		json_object_object_add(reply, "prompt",
				       json_object_new_string_len(prompt.text, (int)prompt.bytes));
		reply_json(x, 200, reply);
	} else {
		reply_problem(x, &p);
	}
	chat_prompt_free(&prompt);
	chat_free(&c);
	models_release(&m);
}
