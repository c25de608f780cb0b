// SPDX-License-Identifier: MIT
/* Calls of tools told apart from text, as each family of models writes them. */
#include "calls_feed.h"

#include "unit.h"

#define CITY "{\"city\": \"Par\\\"is\"}"

struct sample {
	const char *family, *stream, *shown;
};

static void expect(const struct sample *s)
{
	static struct fed fed;
	static char shown[FED_ROOM];

	for (size_t piece = 0; piece < 60; piece++)
		for (int round = 0; round < (piece ? 1 : 10); round++) {
			feed(family_called(s->family), two_tools, "", s->stream, strlen(s->stream),
			     piece, &fed);
			fed_show(&fed, shown, sizeof(shown));
			if (strcmp(shown, s->shown))
				printf("\n    %s by %zu: \"%s\"\n    gives    %s\n    expected %s",
				       s->family, piece, s->stream, shown, s->shown);
			CU_ASSERT_STRING_EQUAL(shown, s->shown);
		}
	fed_free(&fed);
}

#define EXPECT(samples)                                                         \
	do {                                                                    \
		for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) \
			expect(&samples[i]);                                    \
	} while (0)

static void test_objects(void)
{
	static const struct sample samples[] = {
		{ "hermes",
		  "I look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": " CITY
		  "}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": "
		  "{}}\n</tool_call>",
		  "I look.[get_weather||" CITY "][now||{}]" },
		/* the mark that closes is forgotten, keys come in another order */
		{ "hermes", "<tool_call>{\"arguments\": " CITY ", \"name\": \"get_weather\"}",
		  "[get_weather||" CITY "]" },
		{ "hermes", "<tool_call>{\"name\": \"now\"}</tool_call> Done.", "Done.[now||{}]" },
		{ "hermes",
		  "<tool_call>{\"name\": \"get_weather\", \"arguments\": "
		  "\"{\\\"city\\\": \\\"a\\\"}\"}</tool_call>",
		  "[get_weather||{\"city\": \"a\"}]" },
		{ "hermes",
		  "<tool_call>{\"type\": \"function\", \"function\": {\"name\": \"now\", "
		  "\"arguments\": {}}, \"id\": \"x\"}</tool_call>",
		  "[now||{}]" },
		{ "hermes", "<tool_call>{\"name\": \"now\", \"arguments\": null}</tool_call>",
		  "[now||{}]" },
		{ "mistral",
		  "\1[TOOL_CALLS]\2[{\"name\": \"get_weather\", \"arguments\": " CITY
		  ", \"id\": \"abcdefghi\"}, {\"name\": \"now\", \"arguments\": {}}]",
		  "[get_weather||" CITY "][now||{}]" },
		{ "command-r7b",
		  "\1<|START_ACTION|>\2[\n    {\"tool_call_id\": \"0\", \"tool_name\": "
		  "\"get_weather\", \"parameters\": " CITY
		  "},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"now\", \"parameters\": "
		  "{}}\n]\1<|END_ACTION|>\2",
		  "[get_weather|0|" CITY "][now|1|{}]" },
		{ "llama-3", "{\"name\": \"get_weather\", \"parameters\": " CITY "}",
		  "[get_weather||" CITY "]" },
		{ "llama-3",
		  "\1<|python_tag|>\2{\"name\": \"now\", \"parameters\": {}}; {\"name\": "
		  "\"get_weather\", \"parameters\": " CITY "}",
		  "[now||{}][get_weather||" CITY "]" },
		{ "apertus",
		  "\1<|tools_prefix|>\2[{\"get_weather\": " CITY
		  "}, {\"now\": {}}]\1<|tools_suffix|>\2",
		  "[get_weather||" CITY "][now||{}]" },
		{ "generic",
		  "{\"tool_calls\": [{\"name\": \"get_weather\", \"arguments\": " CITY
		  "}, {\"name\": \"now\", \"arguments\": {}}]}",
		  "[get_weather||" CITY "][now||{}]" },
		{ "generic", "```json\n{\"name\": \"now\", \"arguments\": {}}\n```", "[now||{}]" },
		{ "generic",
		  " { \"tool_calls\" : [ {\"name\": \"now\", \"arguments\": {} } ] } So.",
		  "So.[now||{}]" },
		{ "generic", "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>",
		  "[now||{}]" },
	};

	EXPECT(samples);
}

static void test_names_apart(void)
{
	static const struct sample samples[] = {
		{ "mistral-args",
		  "Well. \1[TOOL_CALLS]\2get_weather\1[ARGS]\2" CITY
		  "\1[TOOL_CALLS]\2now\1[ARGS]\2{}",
		  "Well.[get_weather||" CITY "][now||{}]" },
		{ "mistral-3.2", "\1[TOOL_CALLS]\2get_weather\1[CALL_ID]\2abcdefghi\1[ARGS]\2" CITY,
		  "[get_weather|abcdefghi|" CITY "]" },
		{ "deepseek-v3.1",
		  "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>" CITY
		  "<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜>"
		  "<｜tool▁calls▁end｜>",
		  "[get_weather||" CITY "][now||{}]" },
		{ "deepseek-v3",
		  "\1<｜tool▁calls▁begin｜>\2\1<｜tool▁call▁begin｜>\2function"
		  "\1<｜tool▁sep｜>\2get_weather\n```json\n" CITY
		  "\n```\1<｜tool▁call▁end｜>\2\1<｜tool▁calls▁end｜>\2",
		  "[get_weather||" CITY "]" },
		{ "kimi-k2",
		  "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
		  "<|tool_call_argument_begin|>" CITY
		  "<|tool_call_end|><|tool_call_begin|>functions.now:1"
		  "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
		  "[get_weather|functions.get_weather:0|" CITY "][now|functions.now:1|{}]" },
		{ "solar-open",
		  "<|tool_calls|><|tool_call:begin|>ab12<|tool_call:name|>now<|tool_call:args|>{}"
		  "<|tool_call:end|><|calls|>",
		  "[now|ab12|{}]" },
		{ "functionary-3.1",
		  "<function=get_weather>" CITY "</function><function=now>{}</function>",
		  "[get_weather||" CITY "][now||{}]" },
	};

	EXPECT(samples);
}

static void test_harmony(void)
{
	static const struct sample samples[] = {
		{ "gpt-oss",
		  "\1<|channel|>\2analysis\1<|message|>\2Hm.\1<|end|>\2\1<|start|>\2assistant"
		  "\1<|channel|>\2commentary to=functions.get_weather "
		  "\1<|constrain|>\2json\1<|message|>\2" CITY "\1<|call|>\2",
		  "[get_weather||" CITY "]" },
		{ "gpt-oss",
		  "\1<|start|>\2assistant to=functions.now\1<|channel|>\2commentary "
		  "json\1<|message|>\2{}\1<|call|>\2",
		  "[now||{}]" },
		{ "gpt-oss", "\1<|channel|>\2final\1<|message|>\2Hello\1<|return|>\2", "Hello" },
		{ "gpt-oss", "Plain.", "Plain." },
		/* another header without its first mark */
		{ "gpt-oss",
		  "\1<|channel|>\2analysis\1<|message|>\2Hm.\1<|end|>\2 to=functions.now"
		  "\1<|channel|>\2commentary\1<|message|>\2{}",
		  "[now||{}]" },
	};
	static struct fed fed;
	static const char stream[] = " to=functions.now\1<|channel|>\2commentary "
				     "json\1<|message|>\2{}\1<|call|>\2";
	static const char thought[] = "\1<|channel|>\2analysis\1<|message|>\2Hm.\1<|end|>\2"
				      "\1<|start|>\2assistant\1<|channel|>\2final\1<|message|>\2"
				      "to=functions.now is no call";

	EXPECT(samples);
	for (size_t piece = 0; piece < 20; piece++) {
		feed(family_called("gpt-oss"), two_tools, "<|start|>assistant", stream,
		     strlen(stream), piece, &fed);
		CU_ASSERT_STRING_EQUAL(fed.names[0], "now");
		CU_ASSERT(fed.count == 1 && !fed.text[0]);
		feed(family_called("gpt-oss"), two_tools, "<|start|>assistant", thought,
		     strlen(thought), piece, &fed);
		CU_ASSERT_STRING_EQUAL(fed.reasoning, "Hm.");
		CU_ASSERT_STRING_EQUAL(fed.text, "to=functions.now is no call");
		feed(family_called("gpt-oss"), two_tools, "<|start|>assistant", " to be", 6, piece,
		     &fed);
		CU_ASSERT_STRING_EQUAL(fed.text, " to be");
	}
	fed_free(&fed);
}

static void test_tags(void)
{
#define ALL "{\"city\":\"Par\\\"is\\nx\",\"days\":3,\"deep\":{\"a\": [1, true]},\"ok\":true}"
	static const struct sample samples[] = {
		{ "qwen3-coder",
		  "<tool_call>\n<function=get_weather>\n<parameter=city>\nPar\"is\nx\n</"
		  "parameter>\n"
		  "<parameter=days>\n3\n</parameter>\n<parameter=deep>\n{\"a\": [1, true]}\n"
		  "</parameter>\n<parameter=ok>\nTrue\n</parameter>\n</function>\n</tool_call>\n"
		  "<tool_call>\n<function=now>\n</function>\n</tool_call>",
		  "[get_weather||" ALL "][now||{}]" },
		/* begins too late, ends too early, and what isn't an integer stays a string */
		{ "qwen3-coder",
		  "<function=get_weather>\n<parameter=days>\n3 or 4\n</parameter>\nThat is all.",
		  "That is all.[get_weather||{\"days\":\"3 or 4\"}]" },
		{ "qwen3-coder",
		  "<tool_call><function=get_weather><parameter=city>\n\n a < b </p \n\n"
		  "</parameter></function></tool_call>",
		  "[get_weather||{\"city\":\"\\n a < b </p \\n\"}]" },
		{ "glm",
		  "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Par\"is\nx</"
		  "arg_value>"
		  "\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n<arg_key>deep</arg_key>\n"
		  "<arg_value>{\"a\": [1, true]}</arg_value>\n<arg_key>ok</arg_key>\n"
		  "<arg_value>true</arg_value>\n</tool_call>\n<tool_call>now\n</tool_call>",
		  "[get_weather||" ALL "][now||{}]" },
		{ "glm",
		  "<tool_call>get_weather<arg_key>days</arg_key><arg_value>7</arg_value>"
		  "</tool_call><tool_call>now</tool_call>",
		  "[get_weather||{\"days\":7}][now||{}]" },
		{ "minimax-m2",
		  "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter "
		  "name=\"city\">Paris</parameter>\n</invoke>\n<invoke name=\"now\">\n</invoke>\n"
		  "</minimax:tool_call>",
		  "[get_weather||{\"city\":\"Paris\"}][now||{}]" },
		{ "deepseek-v3.2",
		  "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
		  "<｜DSML｜parameter name=\"city\" string=\"true\">7</｜DSML｜parameter>\n"
		  "<｜DSML｜parameter name=\"deep\" string=\"false\">[7]</｜DSML｜parameter>\n"
		  "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
		  "[get_weather||{\"city\":\"7\",\"deep\":[7]}]" },
		{ "minicpm-5",
		  "<function name=\"get_weather\"><param "
		  "name=\"city\"><![CDATA[a</param>]]></param>"
		  "<param name=\"ok\">False</param></function>\n<function name=\"now\"></function>",
		  "[get_weather||{\"city\":\"a</param>\",\"ok\":false}][now||{}]" },
		{ "kimi-k3",
		  "<|open|>tools<|sep|><|open|>call tool=\"get_weather\" index=\"1\"<|sep|><|open|>"
		  "argument key=\"city\" type=\"string\"<|sep|>5<|close|>argument<|sep|><|close|>"
		  "call<|sep|><|close|>tools<|sep|>",
		  "[get_weather|1|{\"city\":\"5\"}]" },
	};

	EXPECT(samples);
}

static void test_python(void)
{
	static const struct sample samples[] = {
		{ "lfm2",
		  "\1<|tool_call_start|>\2[get_weather(city='Par\"is\nx', days=3, deep={'a': [1, "
		  "None]}, ok=True), now()]\1<|tool_call_end|>\2Sure.",
		  "Sure.[get_weather||{\"city\":\"Par\\\"is\\nx\",\"days\":3,\"deep\":{\"a\": "
		  "[1, "
		  "null]},\"ok\":true}][now||{}]" },
		{ "lfm2", "<|tool_call_start|>[now()]<|tool_call_end|>", "[now||{}]" },
		{ "gemma-4",
		  "<|tool_call>call:get_weather{city:<|\"|>Par\"is\\<|\"|>,days:3,deep:{a:[1,true,"
		  "<|\"|>z<|\"|>]},ok:true}<tool_call|><|tool_call>call:now{}<tool_call|>",
		  "[get_weather||{\"city\":\"Par\\\"is\\\\\",\"days\":3,\"deep\":{\"a\":[1,true,"
		  "\"z\"]},\"ok\":true}][now||{}]" },
		{ "functiongemma",
		  "<start_function_call>call:get_weather{city:<escape>a<b<escape>}"
		  "<end_function_call>",
		  "[get_weather||{\"city\":\"a<b\"}]" },
	};

	EXPECT(samples);
}

/* What isn't a call comes out as it came in. */
static void test_no_calls(void)
{
	static const char *const streams[] = {
		"",
		"Hello",
		" \n\n ",
		"{\"answer\": 1} and more",
		"<tool_call>",
		"<tool_call> is a mark",
		"a <tool_call>{\"name\": \"unknown\", \"arguments\": {}}</tool_call> b",
		"<tool_call>{\"name\": \"get_weather\", \"arguments\": 7}</tool_call>",
		"<tool_call>{\"name\": \"get_weather\", \"arguments\": {bad}}</tool_call>",
		"<tool_call>{\"arguments\": {\"a\": [",
		"<tool_call><function=unknown></function></tool_call>",
		"<tool_call><function=get_weather>what</function></tool_call>",
		"[TOOL_CALLS]what[ARGS]{}",
		"[TOOL_CALLS][{}]",
		"{\"tool_calls\": []}",
		"{\"name\": \"Bob\", \"age\": 7}",
		"```json\n[1, 2]\n```",
		"<|tool_call_start|>[f(x)]<|tool_call_end|>",
		"<|tool_call_start|>[get_weather(\"x\")]<|tool_call_end|>",
		"<|tool_call>call:get_weather[]<tool_call|>",
		"<minimax:tool_call><invoke name=\"x\"></invoke>",
		"<tool_call>get_weather<arg_key>city</arg_key>no value",
	};
	static struct fed fed;
	const struct call_family *f;

	for (size_t k = 0; (f = call_family_at(k)); k++)
		for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++)
			for (size_t piece = 0; piece < 20; piece++) {
				feed(f, two_tools, "", streams[i], strlen(streams[i]), piece, &fed);
				if (fed.count || strcmp(fed.text, streams[i]))
					printf("\n    %s, \"%s\" by %zu: %u, \"%s\"", f->name,
					       streams[i], piece, fed.count, fed.text);
				CU_ASSERT(!fed.count && !strcmp(fed.text, streams[i]));
			}
	fed_free(&fed);
}

static void test_reasoning(void)
{
	static const char stream[] = "<think>\nA <tool_call> maybe\n</think>\n\nYes.\n<tool_call>\n"
				     "{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
	static struct fed fed;

	for (size_t piece = 0; piece < 60; piece++) {
		feed(family_called("hermes"), two_tools, "", stream, strlen(stream), piece, &fed);
		CU_ASSERT_STRING_EQUAL(fed.reasoning, "A <tool_call> maybe");
		CU_ASSERT_STRING_EQUAL(fed.text, "Yes.");
		CU_ASSERT(fed.count == 1 && !strcmp(fed.arguments[0], "{}"));
		feed(NULL, two_tools, "<think>\n", stream, strlen(stream), piece, &fed);
		CU_ASSERT(!fed.count && strstr(fed.text, "<tool_call>"));
	}
	fed_free(&fed);
}

/* Arguments come as they are written, not at the end. */
static void test_streamed(void)
{
	static const struct {
		const char *family, *stream;
	} streams[] = {
		{ "hermes", "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": "
			    "\"abcdefghijklmnopqrstuvwxyz\"}}" },
		{ "qwen3-coder", "<tool_call><function=get_weather><parameter=city>"
				 "abcdefghijklmnopqrstuvwxyz</parameter></function>" },
		{ "lfm2", "<|tool_call_start|>[get_weather(city='abcdefghijklmnopqrstuvwxyz')]" },
		{ "gemma-4",
		  "<|tool_call>call:get_weather{city:<|\"|>abcdefghijklmnopqrstuvwxyz<|\"|>}" },
	};
	static struct fed fed;

	for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
		feed(family_called(streams[i].family), two_tools, "", streams[i].stream,
		     strlen(streams[i].stream), 1, &fed);
		CU_ASSERT(fed.count == 1 && fed.pieces > 20);
	}
	fed_free(&fed);
}

/* Memory and time are bounded whatever comes. */
static void test_hostile(void)
{
	static char stream[FED_ROOM - 1];
	static const char *const patterns[] = {
		"<tool_call>",
		"<tool_call>{\"arguments\": {\"a\": \"",
		"<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"a\": {",
		"<tool_call><function=get_weather><parameter=deep>[",
		" ",
		"<",
		"{\"tool_calls\": [",
		"<|tool_call>call:get_weather{a:[",
		"<tool_call>get_weather<arg_key>",
	};
	static struct fed fed;
	const struct call_family *f;

	for (size_t k = 0; (f = call_family_at(k)); k++)
		for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
			const size_t n = strlen(patterns[i]);

			for (size_t at = 0; at < sizeof(stream) - 1; at++)
				stream[at] = patterns[i][at % n];
			feed(f, two_tools, "", stream, sizeof(stream) - 1, 700, &fed);
			if (!fed.count)
				CU_ASSERT_EQUAL(strlen(fed.text), sizeof(stream) - 1);
		}
	fed_free(&fed);
}

void suite_calls(void)
{
	CU_add_suite("calls", NULL, NULL);
	TEST(test_objects);
	TEST(test_names_apart);
	TEST(test_harmony);
	TEST(test_tags);
	TEST(test_python);
	TEST(test_no_calls);
	TEST(test_reasoning);
	TEST(test_streamed);
	TEST(test_hostile);
	add_calls_grammar();
	add_calls_memory();
	add_calls_messages();
	add_calls_templates();
}
