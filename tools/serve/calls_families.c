// SPDX-License-Identifier: MIT
/* The families of models that call tools, and by which marks of a template they are known. */
#include "serve/calls_families.h"

#include <string.h>

#include "serve/calls.h"

#define BAR "\xef\xbd\x9c"   /* DeepSeek's vertical bar */
#define UNDER "\xe2\x96\x81" /* and its space */
#define DEEPSEEK(word) "<" BAR "tool" UNDER word BAR ">"
#define DSML(text) BAR "DSML" BAR text
#define HY(word) "<" word ":opensource>"

static const struct call_family families[] = {
	{ "hermes", STYLE_OBJECT, .open = "<tool_call>", .close = "</tool_call>",
	  .name_key = "name", .args_key = "arguments", .gap = "\n", .between = "\n" },
	{ "qwen3-coder", STYLE_TAGS, .open = "<tool_call>", .close = "</tool_call>",
	  .name_open = "<function=", .name_close = ">", .args_close = "</function>",
	  .key_open = "<parameter=", .key_close = ">", .value_close = "</parameter>", .lines = true,
	  .gap = "\n", .between = "\n" },
	{ "seed-oss", STYLE_TAGS, .open = "<seed:tool_call>", .close = "</seed:tool_call>",
	  .name_open = "<function=", .name_close = ">", .args_close = "</function>",
	  .key_open = "<parameter=", .key_close = ">", .value_close = "</parameter>", .gap = "\n",
	  .between = "\n" },
	{ "glm", STYLE_TAGS, .open = "<tool_call>", .close = "</tool_call>", .name_close = "\n",
	  .name_ends = { "<arg_key>", "</tool_call>" }, .key_open = "<arg_key>",
	  .key_close = "</arg_key>", .value_open = "<arg_value>", .value_close = "</arg_value>",
	  .gap = "\n", .between = "\n" },
	{ "hunyuan-3", STYLE_TAGS, .begin = { HY("tool_calls") }, .end = { HY("/tool_calls") },
	  .open = HY("tool_call"), .close = HY("/tool_call"), .name_close = HY("tool_sep"),
	  .key_open = HY("arg_key"), .key_close = HY("/arg_key"), .value_open = HY("arg_value"),
	  .value_close = HY("/arg_value"), .gap = "\n", .between = "\n" },
	{ "minimax-m2", STYLE_TAGS, .begin = { "<minimax:tool_call>" },
	  .end = { "</minimax:tool_call>" }, .name_open = "<invoke name=\"", .name_close = "\">",
	  .args_close = "</invoke>", .key_open = "<parameter name=\"", .key_close = "\">",
	  .value_close = "</parameter>", .gap = "\n", .between = "\n" },
	{ "muse", STYLE_TAGS, .one = true, .begin = { "<atem:function_calls>" },
	  .end = { "</atem:function_calls>" }, .name_open = "<atem:invoke name=\"",
	  .name_close = "\">", .args_close = "</atem:invoke>",
	  .key_open = "<atem:parameter name=\"", .key_close = "\">",
	  .value_close = "</atem:parameter>", .gap = "\n", .between = "\n" },
	{ "minicpm-5", STYLE_TAGS, .name_open = "<function name=\"", .name_close = "\">",
	  .args_close = "</function>", .key_open = "<param name=\"", .key_close = "\">",
	  .value_close = "</param>", .wrap_open = "<![CDATA[", .wrap_close = "]]>",
	  .between = "\n" },
	{ "kimi-k3", STYLE_TAGS, .begin = { "<|open|>tools<|sep|>" },
	  .end = { "<|close|>tools<|sep|>" }, .name_open = "<|open|>call tool=\"",
	  .id_open = "\" index=\"", .name_close = "\"<|sep|>", .id_number = true,
	  .args_close = "<|close|>call<|sep|>", .key_open = "<|open|>argument key=\"",
	  .key_close = "\"", .key_tail = "<|sep|>", .string_key = " type=\"string\"",
	  .value_close = "<|close|>argument<|sep|>" },
	{ "deepseek-v3.2", STYLE_TAGS, .begin = { "<" DSML("function_calls>") },
	  .end = { "</" DSML("function_calls>") }, .name_open = "<" DSML("invoke name=\""),
	  .name_close = "\">", .args_close = "</" DSML("invoke>"),
	  .key_open = "<" DSML("parameter name=\""), .key_close = "\"", .key_tail = ">",
	  .string_key = " string=\"true\"", .other_key = " string=\"false\"",
	  .value_close = "</" DSML("parameter>"), .gap = "\n", .between = "\n" },
	{ "deepseek-v4", STYLE_TAGS, .begin = { "<" DSML("tool_calls>") },
	  .end = { "</" DSML("tool_calls>") }, .name_open = "<" DSML("invoke name=\""),
	  .name_close = "\">", .args_close = "</" DSML("invoke>"),
	  .key_open = "<" DSML("parameter name=\""), .key_close = "\"", .key_tail = ">",
	  .string_key = " string=\"true\"", .other_key = " string=\"false\"",
	  .value_close = "</" DSML("parameter>"), .gap = "\n", .between = "\n" },
	{ "deepseek-v3.1", STYLE_NAMED, .begin = { DEEPSEEK("calls" UNDER "begin") },
	  .end = { DEEPSEEK("calls" UNDER "end") }, .open = DEEPSEEK("call" UNDER "begin"),
	  .name_close = DEEPSEEK("sep"), .close = DEEPSEEK("call" UNDER "end") },
	{ "deepseek-v3", STYLE_NAMED, .begin = { DEEPSEEK("calls" UNDER "begin") },
	  .end = { DEEPSEEK("calls" UNDER "end") },
	  .open = DEEPSEEK("call" UNDER "begin") "function" DEEPSEEK("sep"),
	  .name_close = "\n```json\n", .args_close = "\n```", .close = DEEPSEEK("call" UNDER "end"),
	  .between = "\n" },
	{ "kimi-k2", STYLE_NAMED, .begin = { "<|tool_calls_section_begin|>" },
	  .end = { "<|tool_calls_section_end|>" }, .open = "<|tool_call_begin|>",
	  .name_prefix = "functions.", .name_is_id = true,
	  .name_close = "<|tool_call_argument_begin|>", .close = "<|tool_call_end|>" },
	{ "solar-open", STYLE_NAMED, .begin = { "<|tool_calls|>" }, .end = { "<|calls|>" },
	  .open = "<|tool_call:begin|>", .id_first = true, .name_open = "<|tool_call:name|>",
	  .name_close = "<|tool_call:args|>", .close = "<|tool_call:end|>" },
	{ "functionary-3.1", STYLE_NAMED, .open = "<function=", .name_close = ">",
	  .close = "</function>" },
	{ "mistral-3.2", STYLE_NAMED, .open = "[TOOL_CALLS]", .id_open = "[CALL_ID]",
	  .name_close = "[ARGS]" },
	{ "mistral-args", STYLE_NAMED, .open = "[TOOL_CALLS]", .name_close = "[ARGS]" },
	{ "gpt-oss", STYLE_NAMED, .harmony = true, .one = true },
	{ "mistral", STYLE_OBJECT, .begin = { "[TOOL_CALLS]" }, .list = true, .name_key = "name",
	  .args_key = "arguments", .id_key = "id" },
	{ "command-r7b", STYLE_OBJECT, .begin = { "<|START_ACTION|>" }, .end = { "<|END_ACTION|>" },
	  .list = true, .name_key = "tool_name", .args_key = "parameters", .id_key = "tool_call_id",
	  .id_number = true, .indented = true },
	{ "command-r-plus", STYLE_OBJECT, .begin = { "Action:\n```json" }, .end = { "```" },
	  .list = true, .name_key = "tool_name", .args_key = "parameters", .indented = true },
	{ "granite-3", STYLE_OBJECT, .begin = { "<|tool_call|>", "<tool_call>" }, .list = true,
	  .name_key = "name", .args_key = "arguments" },
	{ "phi-4-mini", STYLE_OBJECT, .begin = { "<|tool_call|>", "functools" },
	  .end = { "<|/tool_call|>" }, .list = true, .name_key = "name", .args_key = "arguments" },
	{ "nemotron-2", STYLE_OBJECT, .begin = { "<TOOLCALL>" }, .end = { "</TOOLCALL>" },
	  .list = true, .name_key = "name", .args_key = "arguments" },
	{ "tool-calls-list", STYLE_OBJECT, .begin = { "<tool_calls>" }, .end = { "</tool_calls>" },
	  .list = true, .name_key = "name", .args_key = "arguments", .id_key = "id" },
	{ "minimax-m1", STYLE_OBJECT, .begin = { "<tool_calls>" }, .end = { "</tool_calls>" },
	  .name_key = "name", .args_key = "arguments", .gap = "\n", .between = "\n" },
	{ "firefunction-2", STYLE_OBJECT, .begin = { "functools" }, .list = true,
	  .name_key = "name", .args_key = "arguments" },
	{ "gigachat-3.1", STYLE_OBJECT, .open = "<|function_call|>", .one = true,
	  .name_key = "name", .args_key = "arguments" },
	{ "gigachat-3", STYLE_OBJECT, .open = "function call<|role_sep|>\n", .one = true,
	  .name_key = "name", .args_key = "arguments" },
	{ "apertus", STYLE_KEYED, .begin = { "<|tools_prefix|>" }, .end = { "<|tools_suffix|>" },
	  .list = true },
	{ "lfm2", STYLE_PYTHON, .begin = { "<|tool_call_start|>" }, .end = { "<|tool_call_end|>" },
	  .list = true, .name_close = "(" },
	{ "gemma-4", STYLE_LOOSE, .open = "<|tool_call>", .close = "<tool_call|>",
	  .name_prefix = "call:", .name_close = "{", .quote = "<|\"|>" },
	{ "functiongemma", STYLE_LOOSE, .open = "<start_function_call>",
	  .close = "<end_function_call>", .name_prefix = "call:", .name_close = "{",
	  .quote = "<escape>" },
	{ "llama-3", STYLE_OBJECT, .begin = { NULL, "<|python_tag|>" }, .at_start = true,
	  .one = true, .name_key = "name", .args_key = "parameters" },
	{ "generic", STYLE_OBJECT, .begin = { "{\"tool_calls\":", "<tool_call>" },
	  .end = { "}", "</tool_call>", "```" }, .list = true, .at_start = true, .name_key = "name",
	  .args_key = "arguments" },
};

enum { FAMILIES = sizeof(families) / sizeof(*families) };

/* The first row whose marks a source has all says the family. */
static const struct {
	const char *family, *marks[3];
} signs[] = {
	{ "generic", { "]<]minimax[>[" } }, /* arguments as nested tags, which aren't read */
	{ "deepseek-v3.2", { "DSML", "function_calls>" } },
	{ "deepseek-v4", { "DSML", "tool_calls" } },
	{ "deepseek-v3", { DEEPSEEK("calls" UNDER "begin"), "```json" } },
	{ "deepseek-v3.1", { DEEPSEEK("calls" UNDER "begin") } },
	{ "kimi-k2", { "<|tool_calls_section_begin|>" } },
	{ "kimi-k3", { "<|open|>", "<|sep|>", "argument" } },
	{ "minimax-m2", { "<minimax:tool_call>" } },
	{ "muse", { "<atem:function_calls>" } },
	{ "hunyuan-3", { "tool_sep", "arg_key" } },
	{ "glm", { "<arg_key>" } },
	{ "seed-oss", { "<seed:tool_call>" } },
	{ "qwen3-coder", { "<function=", "<parameter=" } },
	{ "functionary-3.1", { "<function=", "</function>" } },
	{ "functionary-3.1", { "<function", "{start_tag}=" } },
	{ "minicpm-5", { "<function name=\"", "<param name=\"" } },
	{ "mistral-3.2", { "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]" } },
	{ "mistral-args", { "[TOOL_CALLS]", "[ARGS]" } },
	{ "mistral", { "[TOOL_CALLS]" } },
	{ "gpt-oss", { "<|channel|>", "commentary" } },
	{ "solar-open", { "<|tool_call:begin|>" } },
	{ "command-r7b", { "<|START_ACTION|>" } },
	{ "command-r-plus", { "Action:\\n```json" } },
	{ "gemma-4", { "<|tool_call>" } },
	{ "functiongemma", { "<start_function_call>" } },
	{ "apertus", { "<|tools_prefix|>" } },
	{ "lfm2", { "<|tool_call_start|>" } },
	{ "lfm2", { "<|tool_list_start|>" } },
	{ "lfm2", { "List of tools: [", "<|im_start|>" } },
	{ "nemotron-2", { "<TOOLCALL>" } },
	{ "gigachat-3.1", { "<|function_call|>" } },
	{ "gigachat-3", { "function call", "<|role_sep|>" } },
	{ "tool-calls-list", { "<tool_calls>[" } },
	{ "tool-calls-list", { "<tool_calls>", "hy_" } },
	{ "minimax-m1", { "<tool_calls>" } },
	{ "firefunction-2", { "functools" } },
	{ "phi-4-mini", { "<|tool|>" } },
	{ "granite-3", { "<|tool_call|>" } },
	{ "hermes", { "<tool_call>" } },
	{ "llama-3", { "<|start_header_id|>", "\"parameters\": " } },
};

static bool has_all(const char *source, const char *const marks[3])
{
	for (int i = 0; i < 3 && marks[i]; i++)
		if (!strstr(source, marks[i]))
			return false;
	return true;
}

static const struct call_family *family_named(const char *name)
{
	for (size_t i = 0; i < FAMILIES; i++)
		if (!strcmp(families[i].name, name))
			return &families[i];
	return NULL;
}

const struct call_family *call_family_of(const char *template_source)
{
	for (size_t i = 0; template_source && i < sizeof(signs) / sizeof(*signs); i++)
		if (has_all(template_source, signs[i].marks))
			return family_named(signs[i].family);
	return &families[FAMILIES - 1];
}

const struct call_family *call_family_at(size_t index)
{
	return index < FAMILIES ? &families[index] : NULL;
}

const char *call_family_name(const struct call_family *f)
{
	return f->name;
}
