// SPDX-License-Identifier: MIT
/* Calls without memory: each allocation fails once, what was asked for fails with it, nothing is
 * lost. */
#include <errno.h>

#include "calls_feed.h"
#include "failing.h"
#include "serve/problem.h"
#include "unit.h"

static int no_text(void *context, enum part part, const char *text, size_t bytes)
{
	(void)context;
	(void)part;
	(void)text;
	(void)bytes;
	return 0;
}

static int no_call(void *context, unsigned index, const char *name, const char *id)
{
	(void)context;
	(void)index;
	(void)name;
	(void)id;
	return 0;
}

static int no_arguments(void *context, unsigned index, const char *json, size_t bytes)
{
	(void)context;
	(void)index;
	(void)json;
	(void)bytes;
	return 0;
}

static int read_all(const struct call_family *f, struct json_object *tools, const char *stream)
{
	static const struct call_sink sink = { no_text, no_call, no_arguments };
	const struct call_reader_params params = { .family = f,
						   .tools = tools,
						   .split_reasoning = true };
	struct call_reader *r = call_reader_create(&params, &sink, NULL);
	int ret = r ? 0 : -ENOMEM;

	while (!ret && *stream) {
		const size_t n = MIN(strlen(stream), 7);

		ret = call_reader_text(r, stream, n);
		stream += n;
	}
	if (!ret)
		ret = call_reader_end(r);
	call_reader_free(r);
	return ret;
}

static void test_reading(void)
{
	static const struct {
		const char *family, *stream;
	} samples[] = {
		{ "hermes", "So.\n<tool_call>{\"arguments\": {\"city\": \"a\\nb\"}, \"name\": "
			    "\"get_weather\"}</tool_call> Done" },
		{ "qwen3-coder", "<tool_call><function=get_weather><parameter=deep>{\"a\": 1}"
				 "</parameter><parameter=city>x</parameter></function>" },
		{ "lfm2", "<|tool_call_start|>[get_weather(city='x', days=3)]<|tool_call_end|>" },
	};
	struct json_object *tools = json_tokener_parse(two_tools);

	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		bool failed = true;

		for (unsigned n = 0; failed && n < 1000; n++) {
			failing_after(n);
			const int ret = read_all(family_called(samples[i].family), tools,
						 samples[i].stream);

			failed = failing_end();
			CU_ASSERT_EQUAL(ret, failed ? -ENOMEM : 0);
		}
		CU_ASSERT(!failed);
	}
	json_object_put(tools);
}

static void test_grammars(void)
{
	static const char *const names[] = { "hermes", "glm", "lfm2", "gemma-4", "gpt-oss" };
	struct json_object *tools = json_tokener_parse(two_tools);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		bool failed = true;

		for (unsigned n = 0; failed && n < 5000; n++) {
			struct call_grammar g;
			struct problem p = { 0 };

			failing_after(n);
			const bool ok = call_grammar(family_called(names[i]), NULL, tools,
						     CALL_AUTO, NULL, true, &g, &p);

			failed = failing_end();
			CU_ASSERT_EQUAL(ok, !failed);
			CU_ASSERT(ok || p.status == 500);
			if (ok)
				call_grammar_free(&g);
		}
		CU_ASSERT(!failed);
	}
	json_object_put(tools);
}

static void test_messages(void)
{
	static const struct call_support supports[] = {
		{ .calls = true,
		  .results = true,
		  .tools = true,
		  .text_arguments = true,
		  .short_ids = true,
		  .one_call = true },
		{ .calls = false },
	};
	static const char conversation[] =
		"[{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", "
		"\"content\": "
		"null, \"tool_calls\": [{\"id\": \"call_one_and_only\", \"type\": \"function\", "
		"\"function\": {\"name\": \"now\", \"arguments\": {\"a\": 1}}}]}, {\"role\": "
		"\"tool\", \"tool_call_id\": \"call_one_and_only\", \"content\": \"Rain\"}]";
	struct json_object *messages = json_tokener_parse(conversation);
	struct json_object *tools = json_tokener_parse(two_tools);

	for (int i = 0; i < 2; i++) {
		struct call_support s = supports[i];
		bool failed = true;

		s.family = family_called("generic");
		for (unsigned n = 0; failed && n < 1000; n++) {
			struct json_object *out;
			struct problem p = { 0 };
			bool show;

			failing_after(n);
			const bool ok = call_messages(&s, messages, tools, &out, &show, &p);

			failed = failing_end();
			CU_ASSERT_EQUAL(ok, !failed);
			CU_ASSERT(ok || p.status == 500);
			if (ok)
				json_object_put(out);
		}
		CU_ASSERT(!failed);
	}
	json_object_put(messages);
	json_object_put(tools);
}

void add_calls_memory(void)
{
	TEST(test_reading);
	TEST(test_grammars);
	TEST(test_messages);
}
