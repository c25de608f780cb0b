// SPDX-License-Identifier: MIT
/* Requests of /v1/responses: items become messages, tools take the older form. */
#include "unit.h"

#include "serve/responses.h"

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
	return body && responses_read(body, &request, &problem);
}

static void refused(const char *json, const char *param, const char *why)
{
	const bool ok = read_request(json);

	if (ok || !strstr(problem.message, why))
		printf("\n    %s: \"%s\" lacks \"%s\"", json, problem.message, why);
	CU_ASSERT_FALSE(ok);
	CU_ASSERT_EQUAL(problem.status, 400);
	CU_ASSERT_STRING_EQUAL(problem.param ? problem.param : "", param);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem.message, why));
}

static void expect(const char *json, struct json_object **what, const char *expected)
{
	CU_ASSERT_TRUE(read_request(json));
	if (problem.status)
		printf("\n    %s: %s", json, problem.message);
	CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(*what, JSON_C_TO_STRING_PLAIN),
			       expected);
}

static void test_input(void)
{
	expect("{\"input\": \"hello\", \"instructions\": \"be kind\"}", &request.messages,
	       "[{\"role\":\"system\",\"content\":\"be kind\"},"
	       "{\"role\":\"user\",\"content\":\"hello\"}]");
	expect("{\"input\": [{\"role\":\"developer\",\"content\":\"d\"},{\"type\":\"message\","
	       "\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"hello\"}]}]}",
	       &request.messages,
	       "[{\"role\":\"developer\",\"content\":\"d\"},"
	       "{\"role\":\"user\",\"content\":\"hello\"}]");
	release();
}

/* What an assistant thought, said and called is one message. */
static void test_turn(void)
{
	expect("{\"input\": [{\"role\":\"user\",\"content\":\"a\"},"
	       "{\"type\":\"reasoning\",\"id\":\"r\",\"summary\":[{\"type\":\"summary_text\","
	       "\"text\":\"hm\"}]},"
	       "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":"
	       "\"output_text\",\"text\":\"b\"}]},"
	       "{\"type\":\"function_call\",\"call_id\":\"1\",\"name\":\"f\",\"arguments\":\"{}\"},"
	       "{\"type\":\"function_call\",\"call_id\":\"2\",\"name\":\"g\",\"arguments\":\"{}\"},"
	       "{\"type\":\"function_call_output\",\"call_id\":\"1\",\"output\":\"x\"},"
	       "{\"type\":\"function_call_output\",\"call_id\":\"2\",\"output\":\"y\"},"
	       "{\"type\":\"reasoning\",\"summary\":[]},"
	       "{\"role\":\"assistant\",\"content\":\"c\"},"
	       "{\"role\":\"assistant\",\"content\":\"d\"},"
	       "{\"role\":\"user\",\"content\":\"e\"}]}",
	       &request.messages,
	       "[{\"role\":\"user\",\"content\":\"a\"},"
	       "{\"role\":\"assistant\",\"content\":\"b\",\"tool_calls\":["
	       "{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},\"id\":\"1\",\"type\":"
	       "\"function\"},"
	       "{\"function\":{\"name\":\"g\",\"arguments\":\"{}\"},\"id\":\"2\",\"type\":"
	       "\"function\"}],\"reasoning_content\":\"hm\"},"
	       "{\"role\":\"tool\",\"content\":\"x\",\"tool_call_id\":\"1\"},"
	       "{\"role\":\"tool\",\"content\":\"y\",\"tool_call_id\":\"2\"},"
	       "{\"role\":\"assistant\",\"content\":\"c\"},"
	       "{\"role\":\"assistant\",\"content\":\"d\"},"
	       "{\"role\":\"user\",\"content\":\"e\"}]");
	release();
}

static void test_settings(void)
{
	expect("{\"input\": \"a\", \"tools\": [{\"type\":\"function\",\"name\":\"f\","
	       "\"parameters\":{},\"strict\":true}], \"tool_choice\":{\"type\":\"function\","
	       "\"name\":\"f\"},\"parallel_tool_calls\":false}",
	       &request.tools,
	       "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{},"
	       "\"strict\":true}}]");
	CU_ASSERT_TRUE(request.choice == CHOICE_NAMED && request.one_call);
	CU_ASSERT_TRUE(read_request(
		"{\"input\": \"a\", \"text\": {\"format\": {\"type\": \"json_schema\","
		"\"name\": \"n\", \"schema\": {}}}, \"reasoning\": {\"effort\": \"low\"},"
		"\"max_output_tokens\": 5, \"n\": 3, \"store\": true,"
		"\"previous_response_id\": null,"
		"\"include\": [\"message.output_text.logprobs\"]}"));
	CU_ASSERT_EQUAL(request.format, FORMAT_SCHEMA);
	CU_ASSERT_EQUAL(request.think, SWITCH_ON);
	CU_ASSERT_EQUAL(request.chosen.max_tokens, 5);
	CU_ASSERT_EQUAL(request.chosen.n, 1);
	CU_ASSERT_TRUE(request.chosen.log_probabilities);
	release();
}

static void test_refused(void)
{
	refused("{}", "input", "missing");
	refused("{\"input\": 5}", "input", "a string or a list");
	refused("{\"input\": []}", "input", "empty");
	refused("{\"input\": [5]}", "input", "a number");
	refused("{\"input\": [{}]}", "input", "no role");
	refused("{\"input\": [{\"type\":\"item_reference\",\"id\":\"x\"}]}", "input",
		"\"item_reference\"");
	refused("{\"input\": [{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]}",
		"input", "of type input_image");
	refused("{\"input\": [{\"role\":\"user\",\"content\":5}]}", "input", "is a number");
	refused("{\"input\": [{\"type\":\"function_call\",\"name\":\"f\"}]}", "input", "call_id");
	refused("{\"input\": [{\"type\":\"function_call_output\",\"call_id\":\"f\"}]}", "input",
		"output");
	refused("{\"input\": [{\"type\":\"reasoning\",\"summary\":[5]}]}", "input", "an object");
	refused("{\"input\": [{\"type\":\"reasoning\",\"summary\":[{}]}]}", "input", "text");
	refused("{\"input\": [{\"type\":\"reasoning\",\"summary\":5}]}", "summary", "a list");
	refused("{\"input\": \"a\", \"instructions\": 5}", "instructions", "a string");
	refused("{\"input\": \"a\", \"previous_response_id\": \"resp_1\"}", "previous_response_id",
		"keeps no responses");
	refused("{\"input\": \"a\", \"conversation\": \"c\"}", "conversation", "supported");
	refused("{\"input\": \"a\", \"background\": true}", "background", "supported");
	refused("{\"input\": \"a\", \"tools\": [{\"type\":\"web_search\"}]}", "tools",
		"\"web_search\"");
	refused("{\"input\": \"a\", \"tools\": [{\"type\":\"function\"}]}", "tools", "name");
	refused("{\"input\": \"a\", \"tools\": [5]}", "tools", "an object");
	refused("{\"input\": \"a\", \"text\": 5}", "text", "an object");
	refused("{\"input\": \"a\", \"text\": {\"format\": {\"type\": \"x\"}}}", "text.format",
		"\"x\"");
	refused("{\"input\": \"a\", \"reasoning\": {\"effort\": \"x\"}}", "effort", "\"x\"");
	refused("{\"input\": \"a\", \"include\": [5]}", "include", "a string");
	release();
}

void suite_serve_responses(void)
{
	TEST(test_input);
	TEST(test_turn);
	TEST(test_settings);
	TEST(test_refused);
}
