// SPDX-License-Identifier: MIT
/* Which template makes a conversation's prompts: the file's, or one that is given. */
#include "tool.h"

#include "chat_template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_END = 64 };

/* "chatml, gemma, llama3", to be released with free(). */
static char *bundled_names(void)
{
	char *names = NULL;
	size_t length;
	FILE *out = open_memstream(&names, &length);
	const char *name;

	for (size_t i = 0; out && (name = stoker_template_bundled_name(i)); i++)
		fprintf(out, "%s%s", i ? ", " : "", name);
	if (out)
		fclose(out);
	return names;
}

static int complain(const char *what, const char *why)
{
	char *names = bundled_names();

	failf("%s: %s; --template takes a file, or one of %s", what, why, names ? names : "ours");
	free(names);
	return EXIT_FAILED;
}

static int open_given(const char *given, struct stoker_template **out)
{
	const char *source = stoker_template_bundled(given);
	struct stoker_error err;
	size_t bytes = 0;
	char *text = NULL;
	int ret;

	if (!source && access(given, F_OK))
		return complain(given, "neither a file nor the name of a template");
	if (!source) {
		text = read_file(given, &bytes);
		if (!text)
			return EXIT_FAILED;
	}
	ret = stoker_template_parse(source ? source : text, source ? strlen(source) : bytes, given,
				    out, &err);
	free(text);
	return ret ? fail(&err) : EXIT_OK;
}

int open_template(const char *given, const struct stoker_vocabulary *v, const char *model,
		  struct stoker_template **out)
{
	struct stoker_error err;
	int ret;

	if (given)
		return open_given(given, out);
	ret = stoker_template_load(v, NULL, out, &err);
	if (ret == -ENOENT)
		return complain(model, "the file has no chat template");
	return ret ? complain(model, err.message) : EXIT_OK;
}

char *end_of_turn(const struct stoker_template *t, const struct stoker_vocabulary *v,
		  const char *variables)
{
	static const char answer[] = "an answer of mine";
	const struct stoker_message messages[] = { { .role = "user", .content = "a question" },
						   { .role = "assistant", .content = answer } };
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .message_size = sizeof(struct stoker_message),
						     .messages = messages, .count = 2,
						     .variables = variables };
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	uint32_t *tokens = NULL;
	char *end = NULL;
	size_t count = 0;

	if (stoker_template_render(t, v, &input, &prompt, NULL))
		return NULL; /* one that doesn't like these messages may like others */
	const char *at = strstr(prompt.text, answer);

	if (at) {
		at += strlen(answer);
		at += strspn(at, " \t\r\n");
		end = strndup(at, strcspn(at, " \t\r\n"));
	}
	stoker_prompt_free(&prompt);
	if (end && *end &&
	    !stoker_vocabulary_tokenize(v, end, strlen(end), STOKER_TOKENIZE_SPECIAL, &tokens,
					&count, NULL) &&
	    count && !stoker_vocabulary_is_end(v, tokens[0]) && strlen(end) <= MAX_END) {
		free(tokens);
		return end;
	}
	free(tokens);
	free(end);
	return NULL;
}

bool are_variables(const char *json)
{
	struct json_object *o = json_tokener_parse(json);
	const bool ok = json_object_is_type(o, json_type_object);

	json_object_put(o);
	if (!ok)
		fputs("stoker: --kwargs takes a JSON object, such as '{\"enable_thinking\": "
		      "false}'\n",
		      stderr);
	return ok;
}
