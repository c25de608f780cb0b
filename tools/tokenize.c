// SPDX-License-Identifier: MIT
/* stoker tokenize: standard input to token ids on one line. */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

/* Pieces of characters, which a text can't show. */
static void add_bytes(struct json_object *token, const char *text, size_t n)
{
	struct json_object *list;
	char *clean = clean_text(text, n);
	const bool whole = clean && strlen(clean) == n && !memcmp(clean, text, n);

	free(clean);
	if (whole)
		return;
	list = json_object_new_array();
	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, json_object_new_int64((uint8_t)text[i]));
	json_object_object_add(token, "bytes", list);
}

static struct json_object *token_object(const struct stoker_vocabulary *v, uint32_t id)
{
	struct json_object *token = json_object_new_object();
	char text[512];
	const size_t whole = stoker_vocabulary_text(v, id, 1, text, sizeof(text));
	const size_t n = whole < sizeof(text) ? whole : sizeof(text);

	json_object_object_add(token, "id", json_object_new_int64(id));
	json_object_object_add(token, "text", json_object_new_string_len(text, (int)n));
	add_bytes(token, text, n);
	return token;
}

void add_tokens(struct json_object *root, const struct stoker_vocabulary *v, const uint32_t *ids,
		size_t count)
{
	struct json_object *list = json_object_new_array();
	/* an object takes a kilobyte, so that the same tokens of a long text share theirs */
	struct json_object **known =
		calloc(stoker_vocabulary_size(v) + 1, sizeof(struct json_object *));

	for (size_t i = 0; i < count; i++) {
		struct json_object **token = known ? &known[ids[i]] : NULL;

		if (token && *token)
			json_object_get(*token);
		else if (token)
			*token = token_object(v, ids[i]);
		json_object_array_add(list, token ? *token : token_object(v, ids[i]));
	}
	free(known);
	json_object_object_add(root, "tokens", list);
}

static int print_ids(const struct stoker_vocabulary *v, const uint32_t *ids, size_t count,
		     bool json)
{
	if (!json) {
		for (size_t i = 0; i < count; i++)
			printf("%s%u", i ? " " : "", ids[i]);
		putchar('\n');
		return fflush(stdout) ? failf("can't write: %s", strerror(errno)) : EXIT_OK;
	}
	struct json_object *root = json_object_new_object();

	add_tokens(root, v, ids, count);
	return print_json(stdout, root);
}

int verb_tokenize(int argc, char **argv)
{
	const char *model = NULL, *file = "-", *pre = NULL;
	bool special = false, json = false;
	const struct option options[] = {
		MODEL_OPTION(&model),
		{ "file", 'f', OPTION_STRING, &file, "FILE",
		  "read this instead of standard input" },
		{ "special", 0, OPTION_FLAG, &special, NULL,
		  "recognise special tokens; begin and end as the file says" },
		VOCABULARY_OPTION(&pre),
		{ "json", 0, OPTION_FLAG, &json, NULL,
		  "ids and texts as JSON, bytes where a text isn't whole characters" },
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "tokenize FILE [OPTION]... < TEXT",
		.description = "Prints the token ids of standard input, taken byte for byte. FILE "
			       "is a model, or has nothing but a vocabulary.",
		.options = options,
		.model = &model,
	};
	const unsigned all = STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_ADD_END |
			     STOKER_TOKENIZE_SPECIAL;
	struct stoker_vocabulary *v = NULL;
	struct stoker_gguf *gguf = NULL;
	struct stoker_error err;
	uint32_t *ids = NULL;
	size_t bytes, count;
	char *text = NULL;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (stoker_gguf_open(model, &gguf, &err))
		return fail(&err);
	status = load_vocabulary(gguf, pre, &v);
	stoker_gguf_close(&gguf);
	if (!status) {
		text = read_file(file, &bytes);
		status = text ? EXIT_OK : EXIT_FAILED;
	}
	if (!status && !bytes)
		failf("%s: there is no text", strcmp(file, "-") ? file : "standard input");
	if (!status &&
	    stoker_vocabulary_tokenize(v, text, bytes, special ? all : 0, &ids, &count, &err))
		status = fail(&err);
	if (!status)
		status = print_ids(v, ids, count, json);
	free(ids);
	free(text);
	stoker_vocabulary_free(&v);
	return status;
}
