// SPDX-License-Identifier: MIT
/* Conversations with calls as templates want them. */
#include "calls_feed.h"

#include "serve/problem.h"
#include "unit.h"

/* Of a template's source without tools, with them, and one that is particular. */
static const char hermes[] =
	"{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}"
	"{% for m in messages %}<{{ m.role }}>{{ m.content }}"
	"{% for c in m.tool_calls or [] %}<tool_call>\n{\"name\": \"{{ c.function.name }}\", "
	"\"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}{% endfor %}";
static const char particular[] =
	"{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}"
	"{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
	"<{{ m.role }} {{ m.name }}>"
	"{% if m.tool_call_id and m.tool_call_id | length != 9 %}{{ raise_exception('id') }}"
	"{% endif %}{% if m.content is none %}{% if m.tool_calls | length != 1 %}"
	"{{ raise_exception('one') }}{% endif %}[TOOL_CALLS]{{ m.tool_calls[0].function.name }}"
	"[ARGS]{{ m.tool_calls[0].function.arguments + '' }}{% else %}{{ m.content }}{% endif %}"
	"{% endfor %}";

static const char conversation[] =
	"[{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": null, "
	"\"tool_calls\": [{\"id\": \"call_one_and_only\", \"type\": \"function\", \"function\": "
	"{\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"P\\\"}\"}}, {\"id\": "
	"\"call_two_and_only\", \"type\": \"function\", \"function\": {\"name\": \"now\", "
	"\"arguments\": {}}}]}, {\"role\": \"tool\", \"tool_call_id\": \"call_one_and_only\", "
	"\"content\": \"Rain\"}, {\"role\": \"tool\", \"tool_call_id\": \"call_two_and_only\", "
	"\"content\": [{\"type\": \"text\", \"text\": \"Noon\"}]}]";

static struct stoker_template *parsed(const char *source, struct call_support *s)
{
	struct stoker_template *t;
	struct stoker_error err;

	CU_ASSERT_EQUAL_FATAL(stoker_template_parse(source, strlen(source), "t", &t, &err), 0);
	call_support_of(t, NULL, s);
	return t;
}

/* What a template makes of the conversation. */
static char *shown(const char *source, const char *json, bool with_tools, struct call_support *s)
{
	struct stoker_template *t = parsed(source, s);
	struct json_object *messages = json_tokener_parse(json), *out;
	struct json_object *tools = with_tools ? json_tokener_parse(two_tools) : NULL;
	struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT };
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	struct stoker_error err = { "" };
	struct problem p;
	char *text;
	bool show;

	CU_ASSERT_FATAL(call_messages(s, messages, tools, &out, &show, &p));
	input.messages_json = json_object_to_json_string(out);
	input.tools = show ? two_tools : NULL;
	if (stoker_template_render(t, NULL, &input, &prompt, &err))
		printf("\n    %s", err.message);
	text = prompt.text ? strdup(prompt.text) : calloc(1, 1);
	stoker_prompt_free(&prompt);
	json_object_put(out);
	json_object_put(messages);
	json_object_put(tools);
	stoker_template_free(&t);
	return text;
}

static void test_support(void)
{
	struct call_support s;
	struct stoker_template *t = parsed(hermes, &s);

	CU_ASSERT_STRING_EQUAL(call_family_name(s.family), "hermes");
	CU_ASSERT(s.tools && s.calls && s.results && s.system);
	CU_ASSERT(!s.text_arguments && !s.null_content && !s.short_ids && !s.one_call);
	stoker_template_free(&t);
	t = parsed(particular, &s);
	CU_ASSERT_STRING_EQUAL(call_family_name(s.family), "mistral-args");
	CU_ASSERT(s.tools && s.calls && s.results && !s.system);
	CU_ASSERT(s.text_arguments && s.null_content && s.short_ids && s.one_call);
	stoker_template_free(&t);
	t = parsed(stoker_template_bundled("chatml"), &s);
	CU_ASSERT_STRING_EQUAL(call_family_name(s.family), "generic");
	CU_ASSERT(!s.tools && !s.calls);
	stoker_template_free(&t);
}

static void test_as_wanted(void)
{
	struct call_support s;
	AUTO_FREE char *text = shown(hermes, conversation, true, &s);
	AUTO_FREE char *other = shown(particular, conversation, true, &s);

	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"name\": \"get_weather\", \"arguments\": {\"city\": "
					    "\"P\"}}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"arguments\": {}}\n</tool_call><tool>Rain<tool>"));
	CU_ASSERT_PTR_NOT_NULL(strstr(other, "<assistant >[TOOL_CALLS]get_weather[ARGS]{\"city\": "
					     "\"P\"}<tool get_weather>Rain<assistant >[TOOL_CALLS]"
					     "now[ARGS]{}<tool now>"));
}

/* Arguments that are none, and some that were cut off. */
static void test_odd_arguments(void)
{
	static const char *const odd[][2] = {
		{ "\"\"", "\"arguments\": {}}" },
		{ "null", "\"arguments\": {}}" },
		{ "\" \\n\"", "\"arguments\": {}}" },
		{ "\"{\\\"city\\\": \\\"P\"",
		  "\"arguments\": {\"arguments\": \"{\\\"city\\\": \\\"P\"}}" },
		{ "\"[1]\"", "\"arguments\": {\"arguments\": \"[1]\"}}" },
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		struct call_support s;
		char json[512];

		snprintf(json, sizeof(json),
			 "[{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", "
			 "\"content\": \"\", \"tool_calls\": [{\"id\": \"a\", \"type\": "
			 "\"function\", "
			 "\"function\": {\"name\": \"now\", \"arguments\": %s}}]}]",
			 odd[i][0]);
		AUTO_FREE char *text = shown(hermes, json, true, &s);

		if (!strstr(text, odd[i][1]))
			printf("\n    %s", text);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, odd[i][1]));
	}
}

/* Tools, calls and results where a template knows of none. */
static void test_explained(void)
{
	static const char talked[] = "[{\"role\": \"system\", \"content\": \"Be brief.\"}, "
				     "{\"role\": \"user\", \"content\": \"Hi\"}]";
	const char *chatml = stoker_template_bundled("chatml");
	struct call_support s;
	AUTO_FREE char *text = shown(chatml, conversation, true, &s);
	AUTO_FREE char *brief = shown(chatml, talked, true, &s);
	AUTO_FREE char *none = shown(chatml, talked, false, &s);

	CU_ASSERT_PTR_NOT_NULL(strstr(text, "<|im_start|>system\nYou can call tools."));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "\n{\"name\": \"get_weather\", \"description\": \"W\","));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "assistant\n{\"tool_calls\": [{\"name\": "
					    "\"get_weather\", \"arguments\": {\"city\": \"P\"}}, "
					    "{\"name\": \"now\", \"arguments\": {}}]}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "user\nThe tool get_weather answered:\nRain\n"
					    "The tool now answered:\nNoon"));
	CU_ASSERT_PTR_NOT_NULL(strstr(brief, "system\nBe brief.\n\nYou can call tools."));
	CU_ASSERT_PTR_NULL(strstr(none, "tools"));
}

static void test_refused(void)
{
	static const char strict[] =
		"[{\"function\": {\"name\": \"f\", \"strict\": true, \"parameters\": {\"type\": "
		"\"object\", \"properties\": {\"a\": {\"type\": \"string\", \"contains\": 7}}}}}]";
	struct json_object *tools = json_tokener_parse(strict), *loose;
	struct call_grammar g;
	struct problem p = { 0 };
	const struct call_family *f = family_called("hermes");

	CU_ASSERT(!call_grammar(f, NULL, tools, CALL_AUTO, NULL, true, &g, &p));
	CU_ASSERT(p.status == 400 && strstr(p.message, "tools[0], f: ") &&
		  strstr(p.message, "contains"));
	loose = json_object_array_get_idx(tools, 0);
	json_object_object_del(json_object_object_get(loose, "function"), "strict");
	CU_ASSERT(call_grammar(f, NULL, tools, CALL_AUTO, NULL, true, &g, &p));
	CU_ASSERT(g.trigger_text_count == 1 && !strcmp(g.trigger_texts[0], "<tool_call>"));
	call_grammar_free(&g);
	CU_ASSERT(!call_grammar(f, NULL, tools, CALL_NAMED, "g", true, &g, &p));
	CU_ASSERT(p.status == 400 && strstr(p.message, "no tool g"));
	json_object_put(tools);
}

/* Schemas that would be more than a grammar can be: the last tools take any object. */
static void test_many(void)
{
	struct json_object *tools = json_object_new_array();
	struct call_grammar g;
	struct problem p = { 0 };

	for (int i = 0; i < 64; i++) {
		char tool[512];

		snprintf(
			tool, sizeof(tool),
			"{\"function\": {\"name\": \"tool%d\", \"parameters\": {\"type\": "
			"\"object\", \"properties\": {\"a\": {\"type\": \"string\", \"maxLength\": "
			"5000}, \"b\": {\"type\": \"array\", \"items\": {\"type\": \"string\", "
			"\"maxLength\": 1900}, \"maxItems\": 1000}}}}}",
			i);
		json_object_array_add(tools, json_tokener_parse(tool));
	}
	for (int named = 0; named < 2; named++) {
		const struct call_family *f;

		for (size_t k = 0; (f = call_family_at(k)); k++) {
			struct stoker_grammar *grammar;
			struct stoker_error err = { "" };

			CU_ASSERT(call_grammar(f, NULL, tools, named ? CALL_NAMED : CALL_AUTO,
					       "tool63", true, &g, &p));
			CU_ASSERT_EQUAL(stoker_grammar_compile(NULL, g.gbnf, strlen(g.gbnf),
							       &grammar, &err),
					0);
			stoker_grammar_free(&grammar);
			call_grammar_free(&g);
		}
	}
	json_object_put(tools);
}

void add_calls_messages(void)
{
	TEST(test_support);
	TEST(test_as_wanted);
	TEST(test_odd_arguments);
	TEST(test_explained);
	TEST(test_refused);
	TEST(test_many);
}
