// SPDX-License-Identifier: MIT
/* Requests for a chat: what is taken from them, and what is refused. */
#include "unit.h"

#include <pthread.h>

#include "serve/chat.h"
#include "serve/forms.h"
#include "serve/gbnf.h"

static struct chat_request request;
static struct problem problem;
static struct json_object *body;

static void release(void)
{
	chat_free(&request);
	json_object_put(body);
	body = NULL;
}

static bool read_request(const char *json)
{
	release();
	body = json_tokener_parse(json);
	problem = (struct problem){ .status = 0 };
	fields_begin(&request.chosen, NULL, NULL);
	return body && chat_read(body, &request, &problem);
}

/* Other fields beside a message that is fine. */
static bool read_with(const char *fields)
{
	char json[4096];

	snprintf(json, sizeof(json),
		 "{\"messages\": [{\"role\": \"user\", \"content\": \"hello\"}], %s}", fields);
	return read_request(json);
}

static void expect_problem(bool ok, const char *json, const char *param, const char *why)
{
	if (ok || !strstr(problem.message, why))
		printf("\n    %s: \"%s\" lacks \"%s\"", json, problem.message, why);
	CU_ASSERT_FALSE(ok);
	CU_ASSERT_EQUAL(problem.status, 400);
	CU_ASSERT_STRING_EQUAL(problem.param ? problem.param : "", param);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.message, why));
}

static void refused_messages(const char *list, const char *why)
{
	char json[2048];

	snprintf(json, sizeof(json), "{\"messages\": %s}", list);
	expect_problem(read_request(json), list, "messages", why);
}

static void refused_with(const char *fields, const char *param, const char *why)
{
	expect_problem(read_with(fields), fields, param, why);
}

static void expect_messages(const char *list, const char *expected)
{
	char json[2048];

	snprintf(json, sizeof(json), "{\"messages\": %s}", list);
	CU_ASSERT_TRUE(read_request(json));
	if (problem.status)
		printf("\n    %s: %s", list, problem.message);
	CU_ASSERT_STRING_EQUAL(
		json_object_to_json_string_ext(request.messages, JSON_C_TO_STRING_PLAIN), expected);
}

static void test_messages(void)
{
	expect_messages("[{\"role\":\"user\",\"content\":\"a\",\"x\":1,\"name\":\"n\"}]",
			"[{\"role\":\"user\",\"content\":\"a\",\"name\":\"n\"}]");
	expect_messages("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
			"{\"type\":\"input_text\",\"text\":\"b\"}]}]",
			"[{\"role\":\"user\",\"content\":\"a\\nb\"}]");
	expect_messages("[{\"role\":\"user\",\"content\":[]}]",
			"[{\"role\":\"user\",\"content\":\"\"}]");
	expect_messages("[{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"r\"},"
			"{\"role\":\"user\",\"content\":\"b\",\"reasoning\":\"r\"}]",
			"[{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"r\"},"
			"{\"role\":\"user\",\"content\":\"b\"}]");
	expect_messages("[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\","
			"\"type\":\"function\",\"function\":{\"name\":\"f\","
			"\"arguments\":\"{}\"}}]},"
			"{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"r\"}]",
			"[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":"
			"{\"name\":\"f\",\"arguments\":\"{}\"},\"id\":\"1\",\"type\":\"function\"}"
			"]},{\"role\":\"tool\",\"content\":\"r\",\"tool_call_id\":\"1\"}]");
	release();
}

static void test_hostile_messages(void)
{
	expect_problem(read_request("{}"), "{}", "messages", "missing");
	refused_messages("[]", "empty");
	refused_messages("{}", "a list");
	refused_messages("\"hello\"", "a list");
	refused_messages("[5]", "messages[0] has to be an object");
	refused_messages("[{}]", "messages[0] has no role");
	refused_messages("[{\"role\":5}]", "messages[0].role is a number");
	refused_messages("[{\"role\":\"boss\",\"content\":\"\"}]", "the role \"boss\"");
	refused_messages("[{\"role\":\"user\"}]", "has no content");
	refused_messages("[{\"role\":\"user\",\"content\":null}]", "has no content");
	refused_messages("[{\"role\":\"assistant\",\"tool_calls\":[]}]", "has no content");
	refused_messages("[{\"role\":\"user\",\"content\":5}]", "messages[0].content is a number");
	refused_messages("[{\"role\":\"user\",\"content\":\"a\\u0000b\"}]", "NUL");
	refused_messages("[{\"role\":\"user\",\"content\":[5]}]", "content[0] has to be an object");
	refused_messages("[{\"role\":\"user\",\"content\":[{}]}]", "has no type");
	refused_messages("[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "has no text");
	refused_messages("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
			 "{\"type\":\"image_url\",\"image_url\":{\"url\":\"file:///etc\"}}]}]",
			 "messages[0].content[1] is of type image_url");
	refused_messages("[{\"role\":\"assistant\",\"tool_calls\":5}]", "a list");
	refused_messages("[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "has no function");
	refused_messages("[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{}}]}]",
			 "tool_calls[0] doesn't name");
	refused_messages("[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
			 "\"arguments\":[]}}]}]",
			 "arguments is a list");
	refused_messages("[{\"role\":\"tool\",\"content\":\"a\",\"tool_call_id\":5}]",
			 "tool_call_id is a number");
	refused_messages("[{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":5}]",
			 "reasoning_content is a number");
	release();
}

#define TOOL "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}"

static void test_tools(void)
{
	CU_ASSERT_TRUE(read_with("\"tools\": [" TOOL "]"));
	CU_ASSERT_TRUE(request.tools && request.choice == CHOICE_AUTO && !request.one_call);
	CU_ASSERT_TRUE(read_with("\"tools\": [" TOOL "], \"tool_choice\": \"required\","
				 "\"parallel_tool_calls\": false"));
	CU_ASSERT_TRUE(request.choice == CHOICE_REQUIRED && request.one_call);
	CU_ASSERT_TRUE(read_with("\"tools\": [" TOOL "], \"tool_choice\": "
				 "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"));
	CU_ASSERT_EQUAL(request.choice, CHOICE_NAMED);
	CU_ASSERT_STRING_EQUAL(request.tool_name, "f");
	CU_ASSERT_TRUE(read_with("\"tools\": [], \"tool_choice\": \"none\""));
	CU_ASSERT_TRUE(!request.tools && request.choice == CHOICE_NONE);
	refused_with("\"tools\": {}", "tools", "a list");
	refused_with("\"tools\": [5]", "tools", "tools[0] has to be an object");
	refused_with("\"tools\": [{\"type\":\"web_search\"}]", "tools", "of type function");
	refused_with("\"tools\": [{\"type\":\"function\"}]", "tools", "has no function");
	refused_with("\"tools\": [{\"type\":\"function\",\"function\":{}}]", "tools", "name");
	refused_with("\"tools\": [{\"type\":\"function\",\"function\":{\"name\":\"f\","
		     "\"parameters\":[]}}]",
		     "tools", "parameters");
	refused_with("\"tool_choice\": \"required\"", "tool_choice", "no tools");
	refused_with("\"tool_choice\": \"any\"", "tool_choice", "\"any\"");
	refused_with("\"tool_choice\": 5", "tool_choice", "is a number");
	refused_with("\"tools\": [" TOOL "], \"tool_choice\": "
		     "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}",
		     "tool_choice", "isn't among the tools");
	refused_with("\"tool_choice\": {\"type\":\"function\"}", "tool_choice", "name");
	refused_with("\"parallel_tool_calls\": 1", "parallel_tool_calls", "true or false");
	release();
}

static void test_thinking(void)
{
	CU_ASSERT_TRUE(read_with("\"reasoning_effort\": \"high\""));
	CU_ASSERT_EQUAL(request.think, SWITCH_ON);
	CU_ASSERT_STRING_EQUAL(request.reasoning_effort, "high");
	CU_ASSERT_TRUE(read_with("\"reasoning\": {\"effort\": \"none\"}"));
	CU_ASSERT_EQUAL(request.think, SWITCH_OFF);
	CU_ASSERT_TRUE(read_with("\"enable_thinking\": true, \"reasoning_format\": \"none\""));
	CU_ASSERT_TRUE(request.think == SWITCH_ON && request.keep_tags);
	CU_ASSERT_TRUE(read_with("\"chat_template_kwargs\": {\"enable_thinking\": false}"));
	CU_ASSERT_FALSE(json_object_get_boolean(field_of(request.variables, "enable_thinking")));
	refused_with("\"reasoning_effort\": \"a lot\"", "reasoning_effort", "a lot");
	refused_with("\"reasoning_effort\": 5", "reasoning_effort", "is a number");
	refused_with("\"reasoning\": \"high\"", "reasoning", "an object");
	refused_with("\"reasoning_format\": \"x\"", "reasoning_format", "\"x\"");
	refused_with("\"chat_template_kwargs\": []", "chat_template_kwargs", "an object");
	release();
}

#define SCHEMA "{\"type\":\"object\"}"

static void test_formats(void)
{
	CU_ASSERT_TRUE(read_with("\"response_format\": {\"type\": \"text\"}, \"grammar\": \"\""));
	CU_ASSERT_EQUAL(request.format, FORMAT_TEXT);
	CU_ASSERT_TRUE(read_with("\"response_format\": {\"type\": \"json_object\"}"));
	CU_ASSERT_EQUAL(request.format, FORMAT_JSON);
	CU_ASSERT_TRUE(read_with("\"response_format\": {\"type\": \"json_schema\","
				 "\"json_schema\": {\"name\": \"n\", \"strict\": true,"
				 "\"schema\": " SCHEMA "}}"));
	CU_ASSERT_TRUE(request.format == FORMAT_SCHEMA && request.schema);
	CU_ASSERT_TRUE(read_with("\"response_format\": {\"type\": \"json_object\","
				 "\"schema\": " SCHEMA "}"));
	CU_ASSERT_EQUAL(request.format, FORMAT_SCHEMA);
	CU_ASSERT_TRUE(read_with("\"json_schema\": " SCHEMA));
	CU_ASSERT_EQUAL(request.format, FORMAT_SCHEMA);
	CU_ASSERT_TRUE(read_with("\"guided_regex\": \"[a-z]+\""));
	CU_ASSERT_EQUAL(request.format, FORMAT_REGEX);
	CU_ASSERT_TRUE(read_with("\"structured_outputs\": {\"choice\": [\"a\\\"b\", \"\\n\"]}"));
	CU_ASSERT_EQUAL(request.format, FORMAT_GRAMMAR);
	CU_ASSERT_STRING_EQUAL(request.source, "root ::= \"a\\x22b\" | \"\\x0A\"");
	refused_with("\"response_format\": \"json\"", "response_format", "an object");
	refused_with("\"response_format\": {\"type\": \"xml\"}", "response_format", "\"xml\"");
	refused_with("\"response_format\": {}", "response_format", "of type");
	refused_with("\"response_format\": {\"type\": \"json_schema\"}", "response_format",
		     "no schema");
	refused_with("\"response_format\": {\"type\": \"json_schema\", \"schema\": []}",
		     "response_format", "an object");
	refused_with("\"grammar\": 5", "grammar", "a string");
	refused_with("\"guided_choice\": []", "guided_choice", "list of strings");
	refused_with("\"guided_choice\": [5]", "guided_choice", "a string");
	refused_with("\"grammar\": \"root ::= a\", \"json_schema\": " SCHEMA, "grammar",
		     "isn't the only");
	release();
}

static void test_going_on(void)
{
	CU_ASSERT_TRUE(read_with("\"logprobs\": true, \"top_logprobs\": 2"));
	CU_ASSERT_TRUE(request.chosen.log_probabilities && request.chosen.top == 2);
	CU_ASSERT_EQUAL(request.go_on, SWITCH_UNSET);
	CU_ASSERT_TRUE(read_with("\"continue_final_message\": true,"
				 "\"add_generation_prompt\": false"));
	CU_ASSERT_EQUAL(request.go_on, SWITCH_ON);
	CU_ASSERT_TRUE(read_with("\"add_generation_prompt\": true"));
	CU_ASSERT_EQUAL(request.go_on, SWITCH_OFF);
	refused_with("\"continue_final_message\": true, \"add_generation_prompt\": true",
		     "continue_final_message", "together");
	refused_with("\"top_logprobs\": 2", "top_logprobs", "needs logprobs");
	refused_with("\"logprobs\": 2", "logprobs", "true or false");
	release();
}

/* A grammar is compiled once for those that ask for it, and kept or freed when they have gone. */
static void test_forms(void)
{
	struct form *a, *b, *many[40];
	char source[64];

	CU_ASSERT_TRUE(form_take(NULL, FORM_SCHEMA, SCHEMA, "response_format", &a, &problem));
	CU_ASSERT_TRUE(form_take(NULL, FORM_SCHEMA, SCHEMA, "response_format", &b, &problem));
	CU_ASSERT_PTR_EQUAL(a, b);
	form_release(&b);
	CU_ASSERT_PTR_NULL(b);
	CU_ASSERT_TRUE(form_take(NULL, FORM_REGEX, "a+", "r", &b, &problem));
	CU_ASSERT_PTR_NOT_EQUAL(form_grammar(a), form_grammar(b));
	form_release(&b);
	/* many others push it out, while it is in use */
	for (int i = 0; i < 40; i++) {
		snprintf(source, sizeof(source), "root ::= \"%d\"", i);
		CU_ASSERT_TRUE(
			form_take(NULL, FORM_GRAMMAR, source, "grammar", &many[i], &problem));
	}
	CU_ASSERT_TRUE(form_take(NULL, FORM_SCHEMA, SCHEMA, "response_format", &b, &problem));
	CU_ASSERT_PTR_NOT_EQUAL(a, b);
	forms_forget(NULL); /* which doesn't take them from who has them */
	CU_ASSERT_PTR_NOT_NULL(form_grammar(b));
	form_release(&a);
	form_release(&b);
	for (int i = 0; i < 40; i++)
		form_release(&many[i]);
	expect_problem(form_take(NULL, FORM_SCHEMA, "{\"type\":\"object\",\"dependentSchemas\":{}}",
				 "response_format", &a, &problem),
		       "dependentSchemas", "response_format", "dependentSchemas");
	expect_problem(form_take(NULL, FORM_GRAMMAR, "root ::= (", "grammar", &a, &problem),
		       "root ::= (", "grammar", "grammar: ");
}

static void *take_many(void *unused)
{
	struct problem p;
	char source[64];

	(void)unused;
	for (unsigned i = 0; i < 500; i++) {
		struct form *f;

		snprintf(source, sizeof(source), "root ::= \"%u\"", i * 7 % 50);
		if (!form_take(NULL, FORM_GRAMMAR, source, "grammar", &f, &p))
			return (void *)1;
		if (i % 100 == 99)
			forms_forget(NULL);
		form_release(&f);
	}
	return NULL;
}

/* Several threads at once, while forms are pushed out and forgotten. */
static void test_forms_in_threads(void)
{
	pthread_t threads[4];
	void *failed;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_many, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &failed);
		CU_ASSERT_PTR_NULL(failed);
	}
}

static bool matches(struct stoker_grammar *g, const char *text)
{
	struct stoker_matcher *m;
	bool ok;

	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(g, &m, NULL), 0);
	ok = !stoker_matcher_accept_text(m, text, strlen(text), NULL) && stoker_matcher_may_end(m);
	stoker_matcher_free(&m);
	return ok;
}

/* Rules of two grammars that are called the same stay apart. */
static void test_either(void)
{
	static const char a[] =
		"root ::= \"root\\\"\" item{1,2} # item\nitem ::= [item\\]] | \"-\"",
			  b[] = "item ::= \"x\" | other\nroot ::= item item\nother ::= \"y\"\n";
	struct text both = { .data = NULL };
	struct stoker_grammar *g;
	struct stoker_error err;

	gbnf_either(a, b, &both);
	if (stoker_grammar_compile(NULL, both.data, both.bytes, &g, &err))
		CU_FAIL_FATAL(err.message);
	CU_ASSERT_TRUE(matches(g, "root\"i-"));
	CU_ASSERT_TRUE(matches(g, "root\"]"));
	CU_ASSERT_TRUE(matches(g, "xy"));
	CU_ASSERT_FALSE(matches(g, "root\"x"));
	CU_ASSERT_FALSE(matches(g, "x"));
	stoker_grammar_free(&g);
	text_free(&both);
}

void suite_serve_chat(void)
{
	TEST(test_messages);
	TEST(test_hostile_messages);
	TEST(test_tools);
	TEST(test_thinking);
	TEST(test_formats);
	TEST(test_going_on);
	TEST(test_forms);
	TEST(test_forms_in_threads);
	TEST(test_either);
}
