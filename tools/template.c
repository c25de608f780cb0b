// SPDX-License-Identifier: MIT
/* stoker template: the prompt that a model would get; and the option --template of those who talk.
 */
#include "tool.h"

#include "chat_template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

static const char sample[] = "[{\"role\": \"user\", \"content\": \"Hello\"},"
			     " {\"role\": \"assistant\", \"content\": \"Hi there\"},"
			     " {\"role\": \"user\", \"content\": \"How are you?\"}]";

struct rendering {
	const char *model, *template, *messages, *tools, *kwargs, *pre;
	bool no_answer, json;
	struct stoker_vocabulary *vocabulary;
	struct stoker_template *parsed;
	char *messages_text, *tools_text;
};

static char *read_json(const char *path)
{
	size_t bytes;
	char *text = read_file(path, &bytes);

	if (text && strlen(text) != bytes) {
		failf("%s: byte %zu is a NUL, which JSON doesn't have", path, strlen(text));
		free(text);
		return NULL;
	}
	return text;
}

static int load(struct rendering *r)
{
	struct stoker_gguf *gguf = NULL;
	struct stoker_error err;
	int status = EXIT_OK;

	if (r->model) {
		if (stoker_gguf_open(r->model, &gguf, &err))
			return fail(&err);
		status = load_vocabulary(gguf, r->pre, &r->vocabulary);
		stoker_gguf_close(&gguf);
	}
	if (!status)
		status = open_template(r->template, r->vocabulary, r->model, &r->parsed);
	if (!status && r->messages && !(r->messages_text = read_json(r->messages)))
		status = EXIT_FAILED;
	if (!status && r->tools && !(r->tools_text = read_json(r->tools)))
		status = EXIT_FAILED;
	return status;
}

static int print(const struct rendering *r, const struct stoker_prompt *p)
{
	struct json_object *root, *spans;
	struct stoker_error err;
	uint32_t *ids = NULL;
	size_t count = 0;

	if (!r->json) {
		show_text(stdout, p->text, p->bytes);
		return fflush(stdout) ? failf("can't write: %s", strerror(errno)) : EXIT_OK;
	}
	if (r->vocabulary && stoker_prompt_tokenize(r->vocabulary, p, &ids, &count, &err))
		return fail(&err);
	root = json_object_new_object();
	spans = json_object_new_array();
	json_object_object_add(root, "prompt", json_object_new_string_len(p->text, (int)p->bytes));
	for (size_t i = 0; i < p->span_count; i++) {
		struct json_object *span = json_object_new_object();

		json_object_object_add(span, "begin",
				       json_object_new_int64((int64_t)p->spans[i].begin));
		json_object_object_add(span, "end",
				       json_object_new_int64((int64_t)p->spans[i].end));
		json_object_array_add(spans, span);
	}
	json_object_object_add(root, "from_messages", spans);
	if (r->vocabulary)
		add_tokens(root, r->vocabulary, ids, count);
	free(ids);
	return print_json(stdout, root);
}

static int render(struct rendering *r)
{
	const struct stoker_template_input input = {
		STOKER_TEMPLATE_INPUT_INIT,
		.messages_json = r->messages_text ? r->messages_text : sample,
		.tools = r->tools_text,
		.variables = r->kwargs,
		.answer = !r->no_answer,
	};
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	struct stoker_error err;
	int status;

	if (stoker_template_render(r->parsed, r->vocabulary, &input, &prompt, &err))
		return fail(&err);
	status = print(r, &prompt);
	stoker_prompt_free(&prompt);
	return status;
}

int verb_template(int argc, char **argv)
{
	struct rendering r = { 0 };
	const struct option options[] = {
		MODEL_OPTION(&r.model),
		TEMPLATE_OPTIONS(&r.template, &r.kwargs),
		{ "messages", 0, OPTION_STRING, &r.messages, "FILE",
		  "a list of messages in JSON, - for standard input (a short sample)" },
		{ "tools", 0, OPTION_STRING, &r.tools, "FILE", "a list of tools in JSON" },
		{ "no-generation-prompt", 0, OPTION_FLAG, &r.no_answer, NULL,
		  "end behind the last message" },
		VOCABULARY_OPTION(&r.pre),
		{ "json", 0, OPTION_FLAG, &r.json, NULL,
		  "with what the messages wrote, and the model's tokens, as JSON" },
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "template [FILE] [OPTION]...",
		.description =
			"Prints the prompt that a model would get: a conversation, written as the "
			"model's chat template has it. Messages and tools are JSON as in OpenAI's "
			"interface. In JSON, from_messages has the bytes of the prompt in which "
			"control tokens mean nothing, as messages, tools or variables wrote them. "
			"Bundled templates: alpaca, chatml, deepseek, gemma, llama2, llama3, "
			"mistral, phi3, vicuna, zephyr.",
		.options = options,
		.model = &r.model,
		.model_optional = true,
	};
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (!r.model && !r.template) {
		fputs("stoker: a model or --template is needed\n", stderr);
		return EXIT_USAGE;
	}
	if (r.kwargs && !are_variables(r.kwargs))
		return EXIT_USAGE;
	status = load(&r);
	if (!status)
		status = render(&r);
	free(r.messages_text);
	free(r.tools_text);
	stoker_template_free(&r.parsed);
	stoker_vocabulary_free(&r.vocabulary);
	return status;
}
