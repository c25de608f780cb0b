// SPDX-License-Identifier: MIT
/*
 * What the tests against Python programs ask the library many times: a JSON object a line on
 * standard input, one a line on standard output, in the same order.
 *
 *   batch tokens MODEL        {"text": T, "special": false} -> {"ids": [...]}
 *   batch templates [MODEL]   {"template": T, "messages": M, "tools": O, "variables": V,
 *                             "answer": true, "now": N} -> {"text": T, "spans": [[begin, end],
 * ...]} and "ids" with a model's vocabulary.  M, O and V are texts in JSON.
 *
 * Whatever the library refuses is {"error": MESSAGE}.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>
#include <stoker/template.h>

static struct json_object *failure(const struct stoker_error *err)
{
	struct json_object *out = json_object_new_object();

	json_object_object_add(out, "error", json_object_new_string(err->message));
	return out;
}

static struct json_object *id_list(const uint32_t *ids, size_t count)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(list, json_object_new_int64(ids[i]));
	return list;
}

static bool flag(struct json_object *in, const char *name)
{
	return json_object_get_boolean(json_object_object_get(in, name));
}

static const char *string(struct json_object *in, const char *name)
{
	return json_object_get_string(json_object_object_get(in, name));
}

static struct json_object *tokens(const struct stoker_vocabulary *v, struct json_object *in)
{
	struct json_object *text = json_object_object_get(in, "text"), *out;
	const unsigned flags = flag(in, "special") ? STOKER_TOKENIZE_SPECIAL : 0;
	struct stoker_error err;
	uint32_t *ids;
	size_t count;

	if (stoker_tokenize(v, json_object_get_string(text),
			    (size_t)json_object_get_string_len(text), flags, &ids, &count, &err))
		return failure(&err);
	out = json_object_new_object();
	json_object_object_add(out, "ids", id_list(ids, count));
	free(ids);
	return out;
}

static struct json_object *spans(const struct stoker_prompt *prompt)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < prompt->span_count; i++) {
		struct json_object *span = json_object_new_array();

		json_object_array_add(span, json_object_new_int64((int64_t)prompt->spans[i].begin));
		json_object_array_add(span, json_object_new_int64((int64_t)prompt->spans[i].end));
		json_object_array_add(list, span);
	}
	return list;
}

static struct json_object *rendered(const struct stoker_vocabulary *v,
				    const struct stoker_template *t, struct json_object *in)
{
	const struct stoker_template_input input = {
		.messages_json = string(in, "messages"),
		.tools = string(in, "tools"),
		.variables = string(in, "variables"),
		.answer = flag(in, "answer"),
		.now = json_object_get_int64(json_object_object_get(in, "now")),
	};
	struct stoker_prompt prompt = { 0 };
	struct json_object *out;
	struct stoker_error err;
	uint32_t *ids = NULL;
	size_t count;

	if (stoker_template_render(t, v, &input, &prompt, &err))
		return failure(&err);
	if (v && stoker_prompt_tokenize(v, &prompt, &ids, &count, &err)) {
		stoker_prompt_free(&prompt);
		return failure(&err);
	}
	out = json_object_new_object();
	json_object_object_add(out, "text",
			       json_object_new_string_len(prompt.text, (int)prompt.bytes));
	json_object_object_add(out, "spans", spans(&prompt));
	if (v)
		json_object_object_add(out, "ids", id_list(ids, count));
	free(ids);
	stoker_prompt_free(&prompt);
	return out;
}

/* A template that stays the same from line to line is parsed once. */
static struct json_object *templates(const struct stoker_vocabulary *v, struct json_object *in,
				     struct stoker_template **t)
{
	struct json_object *text = json_object_object_get(in, "template");
	const size_t bytes = (size_t)json_object_get_string_len(text);
	const char *source = json_object_get_string(text);
	struct stoker_error err;

	if (!*t || strcmp(stoker_template_source(*t), source)) {
		stoker_template_free(t);
		if (stoker_template_parse(source, bytes, "template", t, &err))
			return failure(&err);
	}
	return rendered(v, *t, in);
}

int main(int argc, char **argv)
{
	const bool render = argc > 1 && !strcmp(argv[1], "templates");
	struct stoker_vocabulary *v = NULL;
	struct stoker_template *t = NULL;
	struct stoker_error err;
	char *line = NULL;
	size_t room = 0;
	int status = 0;

	if (!(render && argc <= 3) && !(argc == 3 && !strcmp(argv[1], "tokens"))) {
		fprintf(stderr, "usage: %s tokens MODEL, or %s templates [MODEL]\n", argv[0],
			argv[0]);
		return 2;
	}
	if (argc > 2 && stoker_vocabulary_load(argv[2], &v, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	while (!status && getline(&line, &room, stdin) > 0) {
		struct json_object *in = json_tokener_parse(line), *out;

		out = render ? templates(v, in, &t) : tokens(v, in);
		status = puts(json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN)) < 0 ||
			 fflush(stdout);
		json_object_put(out);
		json_object_put(in);
	}
	free(line);
	stoker_template_free(&t);
	stoker_vocabulary_free(&v);
	return status;
}
