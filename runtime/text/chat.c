// SPDX-License-Identifier: MIT
/*
 * Chat templates.  Files carry Jinja programs; rather than run them, the families in use are
 * recognised by strings that only their templates contain, and written out from a table.
 */
#include "text/vocabulary.h"

#include <stdio.h>

#include "stoker/template.h"

/* In the affixes, \1 is the role's name and \2 the end-of-text token. */
struct affixes {
	const char *before, *after;
};

struct family {
	const char *name;
	const char *marks[3]; /* all of them occur in the template */
	struct affixes system, user, assistant;
	const char *begin, *answer; /* before everything; what the assistant's turn begins with */
	bool trim;		    /* white space around contents */
	bool system_in_user;	    /* the system text goes before the first user text */
};

#define SAME(before, after)                   \
	{ before, after }, { before, after }, \
	{                                     \
		before, after                 \
	}

/* clang-format off */
static const struct family families[] = {
	{ "phi4", { "<|im_start|>", "<|im_sep|>" },
	  SAME("<|im_start|>\1<|im_sep|>", "<|im_end|>"),
	  .answer = "<|im_start|>assistant<|im_sep|>" },
	{ "chatml", { "<|im_start|>" },
	  SAME("<|im_start|>\1\n", "<|im_end|>\n"), .answer = "<|im_start|>assistant\n" },
	{ "mistral-v7", { "[INST]", "[SYSTEM_PROMPT]" },
	  { "[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]" }, { "[INST] ", "[/INST]" }, { " ", "</s>" } },
	{ "mistral-v3-tekken", { "[AVAILABLE_TOOLS]", "\"[INST]\"" },
	  { "", "\n\n" }, { "[INST]", "[/INST]" }, { "", "</s>" }, .system_in_user = true },
	{ "mistral-v1", { "[AVAILABLE_TOOLS]", " [INST]" },
	  { "", "\n\n" }, { " [INST] ", " [/INST]" }, { " ", "</s>" }, .system_in_user = true },
	{ "mistral-v3", { "[AVAILABLE_TOOLS]", "[INST]" },
	  { "", "\n\n" }, { "[INST] ", "[/INST]" }, { " ", "</s>" }, .system_in_user = true },
	{ "llama2", { "[INST]" },
	  { "<<SYS>>\n", "\n<</SYS>>\n\n" }, { "[INST] ", " [/INST]" }, { " ", " </s>" },
	  .system_in_user = true },
	{ "phi3", { "<|assistant|>", "<|end|>" },
	  SAME("<|\1|>\n", "<|end|>\n"), .answer = "<|assistant|>\n" },
	{ "chatglm4", { "[gMASK]<sop>" },
	  SAME("<|\1|>\n", ""), .begin = "[gMASK]<sop>", .answer = "<|assistant|>" },
	{ "falcon3", { "<|assistant|>", "<|user|>", "</s>" },
	  SAME("<|\1|>\n", "\n"), .answer = "<|assistant|>\n" },
	{ "tulu", { "<|assistant|>", "<|user|>" },
	  { "<|system|>\n", "\n" }, { "<|user|>\n", "\n" }, { "<|assistant|>\n", "\2\n" },
	  .answer = "<|assistant|>\n" },
	{ "gemma", { "<start_of_turn>" },
	  { "", "\n\n" }, { "<start_of_turn>user\n", "<end_of_turn>\n" },
	  { "<start_of_turn>model\n", "<end_of_turn>\n" }, .answer = "<start_of_turn>model\n",
	  .trim = true, .system_in_user = true },
	{ "openchat", { "GPT4 Correct " },
	  { "", "<|end_of_turn|>" }, { "GPT4 Correct User: ", "<|end_of_turn|>" },
	  { "GPT4 Correct Assistant: ", "<|end_of_turn|>" }, .answer = "GPT4 Correct Assistant:" },
	{ "vicuna", { "USER: ", "ASSISTANT: " },
	  { "", "\n\n" }, { "USER: ", "\n" }, { "ASSISTANT: ", "</s>\n" }, .answer = "ASSISTANT:" },
	{ "deepseek", { "### Instruction:", "<|EOT|>" },
	  { "", "" }, { "### Instruction:\n", "\n" }, { "### Response:\n", "\n<|EOT|>\n" },
	  .answer = "### Response:\n" },
	{ "command-r", { "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>" },
	  { "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>", "<|END_OF_TURN_TOKEN|>" },
	  { "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "<|END_OF_TURN_TOKEN|>" },
	  { "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>" },
	  .answer = "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", .trim = true },
	{ "llama3", { "<|start_header_id|>", "<|end_header_id|>" },
	  SAME("<|start_header_id|>\1<|end_header_id|>\n\n", "<|eot_id|>"),
	  .answer = "<|start_header_id|>assistant<|end_header_id|>\n\n", .trim = true },
	{ "llama4", { "<|header_start|>", "<|header_end|>" },
	  SAME("<|header_start|>\1<|header_end|>\n\n", "<|eot|>"),
	  .answer = "<|header_start|>assistant<|header_end|>\n\n", .trim = true },
	{ "deepseek3", { "<｜Assistant｜>", "<｜User｜>" },
	  { "", "\n\n" }, { "<｜User｜>", "" }, { "<｜Assistant｜>", "<｜end▁of▁sentence｜>" },
	  .answer = "<｜Assistant｜>" },
	{ "deepseek2", { "'Assistant: ' + message['content'] + eos_token" },
	  { "", "\n\n" }, { "User: ", "\n\n" }, { "Assistant: ", "<｜end▁of▁sentence｜>" },
	  .answer = "Assistant:" },
	{ "exaone3", { "[|system|]", "[|assistant|]", "[|endofturn|]" },
	  { "[|system|]", "[|endofturn|]\n" }, { "[|user|]", "\n" },
	  { "[|assistant|]", "[|endofturn|]\n" }, .answer = "[|assistant|]", .trim = true },
	{ "granite", { "<|start_of_role|>" },
	  SAME("<|start_of_role|>\1<|end_of_role|>", "<|end_of_text|>\n"),
	  .answer = "<|start_of_role|>assistant<|end_of_role|>" },
	{ "gpt-oss", { "<|start|>", "<|channel|>" },
	  { "<|start|>developer<|message|># Instructions\n\n", "\n\n<|end|>" },
	  { "<|start|>user<|message|>", "<|end|>" },
	  { "<|start|>assistant<|channel|>final<|message|>", "<|end|>" },
	  .begin = "<|start|>system<|message|>You are ChatGPT, a large language model trained by "
		   "OpenAI.\nKnowledge cutoff: 2024-06\n\nReasoning: medium\n\n# Valid channels: "
		   "analysis, commentary, final. Channel must be included for every message.<|end|>",
	  .answer = "<|start|>assistant" },
	{ "kimi-k2", { "<|im_assistant|>assistant<|im_middle|>" },
	  { "<|im_system|>system<|im_middle|>", "<|im_end|>" },
	  { "<|im_user|>user<|im_middle|>", "<|im_end|>" },
	  { "<|im_assistant|>assistant<|im_middle|>", "<|im_end|>" },
	  .answer = "<|im_assistant|>assistant<|im_middle|>" },
	{ "seed-oss", { "<seed:bos>" },
	  SAME("<seed:bos>\1\n", "<seed:eos>"), .answer = "<seed:bos>assistant\n" },
};
/* clang-format on */

static const struct family *find_family(const struct stoker_vocabulary *v)
{
	for (size_t i = 0; v->chat_template && i < ARRAY_SIZE(families); i++) {
		const struct family *f = &families[i];
		bool all = true;

		for (size_t m = 0; m < ARRAY_SIZE(f->marks) && f->marks[m]; m++)
			all = all && strstr(v->chat_template, f->marks[m]);
		if (all)
			return f;
	}
	return NULL;
}

const char *stoker_chat_format(const struct stoker_vocabulary *v)
{
	const struct family *f = find_family(v);

	return f ? f->name : NULL;
}

static void put_affix(FILE *out, const struct stoker_vocabulary *v, const char *text,
		      const char *role)
{
	for (; text && *text; text++) {
		if (*text == '\1')
			fputs(role, out);
		else if (*text == '\2' && v->eos >= 0)
			fwrite(v->tokens[v->eos].text.data, 1, v->tokens[v->eos].text.length, out);
		else if (*text != '\2')
			fputc(*text, out);
	}
}

static void put_content(FILE *out, const char *text, bool trim)
{
	size_t n = strlen(text);

	if (trim) {
		const size_t skip = strspn(text, " \t\r\n");

		text += skip;
		n -= skip;
		while (n && strchr(" \t\r\n", text[n - 1]))
			n--;
	}
	fwrite(text, 1, n, out);
}

int stoker_chat_apply(const struct stoker_vocabulary *v, const struct stoker_message *messages,
		      size_t count, int answer, char **prompt, struct stoker_error *err)
{
	const struct family *f = find_family(v);
	const char *system = NULL;
	size_t length;
	FILE *out;

	*prompt = NULL;
	if (!f)
		return stoker_fail(err, -ENOTSUP, "%s",
				   v->chat_template
					   ? "the file's chat template isn't of a known family"
					   : "the file has no chat template");
	out = open_memstream(prompt, &length);
	if (!out)
		return stoker_fail(err, -ENOMEM, "out of memory");
	put_affix(out, v, f->begin, "");
	for (size_t i = 0; i < count; i++) {
		const char *role = messages[i].role;
		const bool is_system = !strcmp(role, "system"), is_user = !strcmp(role, "user");
		const struct affixes *a = is_system ? &f->system
					  : is_user ? &f->user
						    : &f->assistant;

		if (!is_system && !is_user && strcmp(role, "assistant")) {
			fclose(out);
			free(*prompt);
			*prompt = NULL;
			return stoker_fail(err, -EINVAL,
					   "message %zu has the role \"%.40s\"; known are system, "
					   "user, assistant",
					   i + 1, role);
		}
		if (is_system && f->system_in_user && i + 1 < count &&
		    !strcmp(messages[i + 1].role, "user")) {
			system = messages[i].content;
			continue;
		}
		if (is_system && f->system_in_user) {
			fclose(out);
			free(*prompt);
			*prompt = NULL;
			return stoker_fail(err, -EINVAL,
					   "message %zu: with this template a system message goes "
					   "before a user's",
					   i + 1);
		}
		put_affix(out, v, a->before, role);
		if (is_user && system) {
			put_affix(out, v, f->system.before, "system");
			put_content(out, system, f->trim);
			put_affix(out, v, f->system.after, "system");
			system = NULL;
		}
		put_content(out, messages[i].content, f->trim);
		put_affix(out, v, a->after, role);
	}
	if (answer)
		put_affix(out, v, f->answer, "assistant");
	if (fclose(out)) {
		free(*prompt);
		*prompt = NULL;
		return stoker_fail(err, -ENOMEM, "out of memory");
	}
	return 0;
}
