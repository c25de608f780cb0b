/* SPDX-License-Identifier: MIT */
/**
 * stoker/template.h - chat templates: from messages to the prompt a model was trained on.
 *
 * GGUF files carry their template as a Jinja program.  It is run, in a sandbox: no files, no
 * imports, bounded steps, depth and output.  Every fragment of the result carries whether the
 * template wrote it or a message did; stoker_prompt_tokenize() finds control tokens in the former
 * alone, so that nobody types one.
 *
 * Thread-safety: a template is constant and may be shared; a prompt belongs to its caller.
 */
#ifndef STOKER_TEMPLATE_H
#define STOKER_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/text.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_template;

/**
 * stoker_template_load() - the template of a model's file
 * @vocabulary: of the model
 * @name: NULL for the file's default, or "tool_use" and the like for tokenizer.chat_template.NAME
 * @out: receives it; release it with stoker_template_free()
 *
 * Return: 0; -ENOENT when the file has none; -EINVAL for one that can't be parsed, with the line
 * and its text; -ENOMEM.
 */
STOKER_API int stoker_template_load(const struct stoker_vocabulary *vocabulary, const char *name,
				    struct stoker_template **out, struct stoker_error *err);

/**
 * stoker_template_parse() - a template of the caller's
 * @source: @bytes of a Jinja program in UTF-8
 * @name: for messages; a file's name
 *
 * Return: as stoker_template_load().
 */
STOKER_API int stoker_template_parse(const char *source, size_t bytes, const char *name,
				     struct stoker_template **out, struct stoker_error *err);

/**
 * stoker_template_bundled() - a template of this library's, for files that have none
 * @name: "chatml", "llama3", "gemma", ...
 *
 * Return: its source; NULL for another name.
 */
STOKER_API const char *stoker_template_bundled(const char *name);

/** stoker_template_bundled_name() - the name of number @index, NULL behind the last. */
STOKER_API const char *stoker_template_bundled_name(size_t index);

/** stoker_template_free() - release and clear; NULL is fine. */
STOKER_API void stoker_template_free(struct stoker_template **t);

/** stoker_template_source() - the program's text. */
STOKER_API const char *stoker_template_source(const struct stoker_template *t);

/**
 * struct stoker_message - one turn of a conversation
 * @role: "system", "developer", "user", "assistant", "tool"
 * @content: NUL-terminated; NULL is none's null
 * @reasoning_content: what an assistant thought; NULL: left out
 * @tool_calls: of an assistant, a JSON list in OpenAI's form; NULL: left out
 * @tool_call_id: of a tool's result; NULL: left out
 * @name: of a tool or a participant; NULL: left out
 */
struct stoker_message {
	const char *role, *content, *reasoning_content, *tool_calls, *tool_call_id, *name;
};

/**
 * struct stoker_template_input - what a template is told
 * @size: STOKER_TEMPLATE_INPUT_INIT
 * @messages: @count turns of @message_size bytes, sizeof(struct stoker_message)
 * @messages_json: instead of @messages, a JSON list in OpenAI's form; NULL: none
 * @tools: a JSON list of tools in OpenAI's form; NULL: none
 * @variables: a JSON object of further variables (enable_thinking, bos_token); NULL: none
 * @answer: nonzero: add_generation_prompt, the beginning of the assistant's turn
 * @now: what strftime_now() says, in seconds since 1970, local time; 0: the clock
 */
struct stoker_template_input {
	size_t size;
	const struct stoker_message *messages;
	size_t message_size, count;
	const char *messages_json, *tools, *variables;
	int answer;
	int64_t now;
};
#define STOKER_TEMPLATE_INPUT_INIT STOKER_SIZE_OF(struct stoker_template_input)

/** struct stoker_span - bytes [begin, end) of a prompt that come from a message */
struct stoker_span {
	size_t begin, end;
};

/**
 * struct stoker_prompt - a rendered template
 * @size: STOKER_PROMPT_INIT
 * @text: NUL-terminated, @bytes long, UTF-8
 * @spans: @span_count stretches that messages, tools and variables wrote, in order, apart
 */
struct stoker_prompt {
	size_t size;
	char *text;
	size_t bytes;
	struct stoker_span *spans;
	size_t span_count;
};
#define STOKER_PROMPT_INIT STOKER_SIZE_OF(struct stoker_prompt)

/**
 * stoker_template_render() - run a template
 * @vocabulary: gives bos_token and eos_token; NULL: both are empty unless @input has them
 * @prompt: receives the result; release it with stoker_prompt_free()
 *
 * Return: 0; -EINVAL for JSON that isn't what it should be, for what the template itself refuses
 * (raise_exception) and for its errors, with line and text; -E2BIG when it needs too many steps,
 * too deep a nesting or too much output; -ENOMEM.
 */
STOKER_API int stoker_template_render(const struct stoker_template *t,
				      const struct stoker_vocabulary *vocabulary,
				      const struct stoker_template_input *input,
				      struct stoker_prompt *prompt, struct stoker_error *err);

/** stoker_prompt_free() - release what a prompt holds and clear it. */
STOKER_API void stoker_prompt_free(struct stoker_prompt *prompt);

/**
 * stoker_prompt_tokenize() - a prompt's token ids
 * @tokens: receives an array to be released with stoker_free()
 * @count: receives its length
 *
 * Control tokens are those that the template spelled out, whole, itself.  A token that begins a
 * text is put in front if the file asks for it and the template hasn't done it; no end is added.
 *
 * Return: as stoker_vocabulary_tokenize().
 */
STOKER_API int stoker_prompt_tokenize(const struct stoker_vocabulary *vocabulary,
				      const struct stoker_prompt *prompt, uint32_t **tokens,
				      size_t *count, struct stoker_error *err);

#ifdef __cplusplus
}
#endif

#endif
