// SPDX-License-Identifier: MIT
/*
 * Hostile requests, told apart by the first byte: heads, files of keys, and bodies in each dialect.
 * What is refused has a status and a sentence that is JSON in every dialect; what isn't is within
 * the limits.
 */
#include <json-c/json.h>
#include <netinet/in.h>

#include "fuzz.h"
#include "sampling.h"
#include "serve/body.h"
#include "serve/chat.h"
#include "serve/guard.h"
#include "serve/responses.h"
#include "serve/translate.h"

/* In place of the program's, so that inputs do the same each time. */
uint32_t any_seed(void)
{
	return 1;
}

static void check_refusal(const struct problem *p)
{
	if ((p->status < 400 || p->status > 503) || !*p->message)
		abort();
	for (int dialect = DIALECT_OPENAI; dialect <= DIALECT_ANTHROPIC; dialect++) {
		struct text t = { 0 };
		struct json_object *object;

		problem_write(p, dialect, &t);
		object = json_tokener_parse(t.data);
		if (!object || !json_object_object_get(object, "error"))
			abort();
		json_object_put(object);
		text_free(&t);
	}
}

/* "NAME:VALUE" a line. */
static void read_head(char *text)
{
	static const struct string_list names = { { "chat.example" }, 1 };
	static const struct string_list origins = { { "https://app.example" }, 1 };
	const struct guard_rules rules = { .names = &names, .origins = &origins, .host = "::1" };
	static const char key[] = "sk-one";
	struct guard_head h = { 0 };
	struct problem p = { 0 };
	struct keys keys;
	char why[128], *rest;
	uint64_t salt;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, ':');

		if (value)
			*value++ = 0;
		guard_add_line(&h, line, value);
	}
	if (!guard_check_framing(&h, &p))
		check_refusal(&p);
	else if (h.lengths + h.encodings > 1 || h.hosts > 1)
		abort();
	if (!guard_check_names(&h, &rules, false, &p))
		check_refusal(&p);
	else if (h.host && !strcasestr(h.host, "localhost") && !strcasestr(h.host, "127.") &&
		 !strcasestr(h.host, "chat.example") && !strchr(h.host, '1'))
		abort();
	if (!keys_parse(&keys, key, strlen(key), why))
		abort();
	if (!keys_check(&keys, &h, &salt, &p))
		check_refusal(&p);
	else if (!salt || !(h.key ? strstr(h.key, key) || h.bearer : h.bearer != NULL))
		abort();
	keys_free(&keys);
}

static void read_keys(const char *text, size_t bytes)
{
	struct keys keys;
	char why[128] = "";

	if (!keys_parse(&keys, text, bytes, why) && (!*why || keys.count))
		abort();
	for (size_t i = 0; i < keys.count; i++)
		if (!keys.items[i].salt || !*keys.items[i].text)
			abort();
	keys_free(&keys);
}

/* As the endpoints do, up to where a model is needed. */
static void read_chat(unsigned how, struct json_object *body)
{
	struct json_object *chat = NULL;
	struct chat_request c = { .messages = NULL };
	enum ollama_kind kind;
	struct problem p = { 0 };
	bool ok;

	fields_begin(&c.chosen, NULL, NULL);
	switch (how) {
	case 'r':
		ok = responses_read(body, &c, &p);
		break;
	case 'a':
		chat = anthropic_to_openai(body, &p);
		ok = chat && chat_read(chat, &c, &p) && translated_thinking(body, &c, &p);
		break;
	case 'o':
		chat = ollama_chat_to_openai(body, &p);
		ok = chat && chat_read(chat, &c, &p);
		break;
	case 'g':
		chat = ollama_generate_to_openai(body, &kind, &p);
		ok = chat && (kind != OLLAMA_CHAT || chat_read(chat, &c, &p));
		break;
	default:
		ok = chat_read(body, &c, &p);
	}
	if (!ok)
		check_refusal(&p);
	else if (c.chosen.n < 1 || c.chosen.n > CHOICES_MAX || c.chosen.stop_count > STOPS_MAX ||
		 !(c.chosen.sampling.temperature >= 0))
		abort();
	chat_free(&c);
	json_object_put(chat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *body = NULL;
	struct problem p = { 0 };
	size_t values;
	char *text;

	if (!size)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		abort();
	if (data[0] == 'h')
		read_head(text);
	else if (data[0] == 'k')
		read_keys((const char *)data + 1, size - 1);
	else if (body_check((const char *)data + 1, size - 1, &values, &p) &&
		 body_parse((const char *)data + 1, size - 1, &body, &p))
		read_chat(data[0], body);
	else
		check_refusal(&p);
	json_object_put(body);
	free(text);
	return 0;
}
