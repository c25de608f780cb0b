// SPDX-License-Identifier: MIT
/* Answers in the forms of Anthropic's, Ollama's and llama-server's clients, piece by piece. */
#include "unit.h"

#include <string.h>

#include "serve/anthropic.h"
#include "serve/native.h"
#include "serve/ollama.h"

/* clang-format off */
#define TEXT(s) { .kind = PIECE_TEXT, .text = s, .bytes = sizeof(s) - 1 }
#define THOUGHT(s) { .kind = PIECE_REASONING, .text = s, .bytes = sizeof(s) - 1 }
#define CALL(i, n, x) { .kind = PIECE_CALL, .index = i, .name = n, .id = x }
#define ARGUMENTS(i, s) { .kind = PIECE_ARGUMENTS, .index = i, .text = s, .bytes = sizeof(s) - 1 }
#define END(f, s)                                                                 \
	{ .kind = PIECE_END, .finish = f, .stop = s,                              \
	  .usage = { .prompt = 9, .cached = 4, .generated = 5 },                  \
	  .timings = { .queued = 0.5, .prefill = 0.25, .decode = 1, .prompt = 9, \
		       .reused = 4, .generated = 5 } }
/* clang-format on */

static const struct piece answer[] = {
	THOUGHT("hm"),
	THOUGHT(" so"),
	TEXT("Let\n"),
	TEXT("\"us\""),
	TEXT(""),
	CALL(0, "f", "id0"),
	ARGUMENTS(0, "{\"a\""),
	ARGUMENTS(0, ":1}"),
	CALL(1, "g", "id1"),
	ARGUMENTS(1, "{}"),
	END(FINISH_CALLS, NULL),
};
enum { PIECES = sizeof(answer) / sizeof(*answer) };
static const struct piece stopped = END(FINISH_STOP, "x"), ended = END(FINISH_STOP, NULL),
			  cut = END(FINISH_LENGTH, NULL);

static void check(const struct text *got, const char *wanted)
{
	CU_ASSERT_FALSE(got->failed);
	if (!got->data || strcmp(got->data, wanted) != 0)
		printf("\n    %s\n    isn't\n    %s", got->data ? got->data : "", wanted);
	CU_ASSERT(got->data && !strcmp(got->data, wanted));
}

#define EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define DELTA(index, rest) EVENT("content_block_delta", ",\"index\":" index ",\"delta\":{" rest "}")
#define START(index, rest) \
	EVENT("content_block_start", ",\"index\":" index ",\"content_block\":{" rest "}")
#define STOP(index) EVENT("content_block_stop", ",\"index\":" index)
#define USAGE                                                              \
	"\"usage\":{\"input_tokens\":5,\"cache_creation_input_tokens\":0," \
	"\"cache_read_input_tokens\":4,\"output_tokens\":5}"

static void test_anthropic_events(void)
{
	struct anthropic_message m = { .id = "msg_1", .model = "a\"b" };
	struct text out = { .data = NULL };

	anthropic_start(&m, &answer[PIECES - 1].usage, &out);
	for (size_t i = 0; i < PIECES; i++)
		anthropic_piece(&m, &answer[i], &out);
	check(&out,
	      EVENT("message_start",
		    ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","
		    "\"model\":\"a\\\"b\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":"
		    "null," USAGE
		    "}") START("0",
			       "\"type\":\"thinking\",\"thinking\":\"\","
			       "\"signature\":\"\"") DELTA("0",
							   "\"type\":\"thinking_"
							   "delta\",\"thinking\":"
							   "\"hm\"") DELTA("0",
									   "\"type\":\"thinking_"
									   "delta\",\"thinking\":"
									   "\" so\"")
		      DELTA("0", "\"type\":\"signature_delta\",\"signature\":\"stoker\"") STOP(
			      "0") START("1", "\"type\":\"text\",\"text\":\"\"")
			      DELTA("1", "\"type\":\"text_delta\",\"text\":\"Let\\n\"") DELTA(
				      "1",
				      "\"type\":\"text_delta\",\"text\":"
				      "\"\\\"us\\\"\"") STOP("1") START("2", "\"type\":\"tool_"
									     "use\",\"id\":\"id0\","
									     "\"name\":\"f\","
									     "\"input\":{}")
				      DELTA("2", "\"type\":\"input_json_delta\","
						 "\"partial_json\":\"{\\\"a\\\"\"")
					      DELTA("2", "\"type\":\"input_json_delta\","
							 "\"partial_json\":\":1}\"") STOP("2")
						      START("3", "\"type\":\"tool_use\",\"id\":"
								 "\"id1\",\"name\":\"g\","
								 "\"input\":{}")
							      DELTA("3",
								    "\"type\":\"input_json_delta\","
								    "\"partial_json\":\"{}\"")
								      STOP("3") EVENT(
									      "message_delta",
									      ",\"delta\":{\"stop_"
									      "reason\":"
									      "\"tool_use\",\"stop_"
									      "sequence\":null}"
									      "," USAGE)
									      EVENT("message_stop",
										    ""));
	anthropic_free(&m);
	text_free(&out);
}

static void expect_stop(const struct piece *end, const char *reason, const char *sequence)
{
	struct anthropic_message m = { .id = "msg_1", .model = "m" };
	struct text out = { .data = NULL };
	char wanted[200];

	anthropic_piece(&m, end, &out);
	snprintf(wanted, sizeof(wanted), "\"stop_reason\":\"%s\",\"stop_sequence\":%s}", reason,
		 sequence);
	CU_ASSERT_PTR_NOT_NULL(strstr(out.data, wanted));
	text_free(&out);
}

static void test_anthropic_ends(void)
{
	const struct piece failed = { .kind = PIECE_FAILED,
				      .problem = { .status = 500, .message = "no \"luck\"" } };
	struct anthropic_message m = { .id = "msg_1", .model = "m" };
	struct text out = { .data = NULL };

	expect_stop(&stopped, "stop_sequence", "\"x\"");
	expect_stop(&ended, "end_turn", "null");
	expect_stop(&cut, "max_tokens", "null");
	anthropic_piece(&m, &failed, &out);
	check(&out, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","
		    "\"message\":\"no \\\"luck\\\"\"}}\n\n");
	text_clear(&out);
	anthropic_ping(&out);
	check(&out, EVENT("ping", ""));
	text_free(&out);
}

static void test_anthropic_whole(void)
{
	static const struct piece cut_off[] = { CALL(0, "f", NULL), ARGUMENTS(0, "{\"a\":[1") };
	struct anthropic_message m = { .id = "msg_1", .model = "m" };
	struct json_object *got, *wanted, *block;

	m.content = json_object_new_array();
	for (size_t i = 0; i < PIECES; i++)
		anthropic_piece(&m, &answer[i], NULL);
	got = anthropic_whole(&m, &answer[PIECES - 1]);
	wanted = json_tokener_parse(
		"{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\","
		"\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm "
		"so\",\"signature\":\"stoker\"},"
		"{\"type\":\"text\",\"text\":\"Let\\n\\\"us\\\"\"},{\"type\":\"tool_use\",\"id\":"
		"\"id0\","
		"\"name\":\"f\",\"input\":{\"a\":1}},{\"type\":\"tool_use\",\"id\":\"id1\","
		"\"name\":\"g\","
		"\"input\":{}}],\"stop_reason\":\"tool_use\",\"stop_sequence\":null," USAGE "}");
	CU_ASSERT(json_object_equal(got, wanted));
	json_object_put(got);
	json_object_put(wanted);
	anthropic_free(&m);
	/* within a call: no object, and an id of our own */
	m = (struct anthropic_message){ .model = "m", .content = json_object_new_array() };
	for (size_t i = 0; i < 2; i++)
		anthropic_piece(&m, &cut_off[i], NULL);
	anthropic_piece(&m, &cut, NULL);
	got = anthropic_whole(&m, &cut);
	block = json_object_array_get_idx(json_object_object_get(got, "content"), 0);
	CU_ASSERT_EQUAL(json_object_object_length(json_object_object_get(block, "input")), 0);
	CU_ASSERT_NSTRING_EQUAL(json_object_get_string(json_object_object_get(block, "id")),
				"toolu_", 6);
	json_object_put(got);
	anthropic_free(&m);
	/* given up in the middle: nothing is lost */
	m = (struct anthropic_message){ .model = "m", .content = json_object_new_array() };
	anthropic_piece(&m, &cut_off[0], NULL);
	anthropic_free(&m);
}

/* Each line is JSON; its "created_at" is a time and is taken out. */
static void check_lines(const struct text *got, const char *const *lines, size_t count)
{
	char *rest = got->data, *line;
	size_t n = 0;

	CU_ASSERT_EQUAL(got->data[got->bytes - 1], '\n');
	for (; (line = strsep(&rest, "\n")) && rest; n++) {
		struct json_object *o = json_tokener_parse(line), *wanted;
		const char *time = json_object_get_string(json_object_object_get(o, "created_at"));

		CU_ASSERT(time && strlen(time) == 30 && time[10] == 'T' && time[29] == 'Z');
		json_object_object_del(o, "created_at");
		wanted = json_tokener_parse(n < count ? lines[n] : "0");
		if (!json_object_equal(o, wanted))
			printf("\n    %s", line);
		CU_ASSERT(json_object_equal(o, wanted));
		json_object_put(o);
		json_object_put(wanted);
	}
	CU_ASSERT_EQUAL(n, count);
}

#define LINE(message) \
	"{\"model\":\"m\",\"message\":{\"role\":\"assistant\"," message "},\"done\":false}"
#define CALL_LINE(index, id, name, arguments)                                   \
	"{\"id\":\"" id "\",\"function\":{\"index\":" index ",\"name\":\"" name \
	"\",\"arguments\":" arguments "}}"
#define COUNTS                                                                                \
	"\"total_duration\":2750000000,\"load_duration\":1000000000,\"prompt_eval_count\":9," \
	"\"prompt_eval_duration\":250000000,\"eval_count\":5,\"eval_duration\":1000000000}"

static void test_ollama_lines(void)
{
	static const char *const lines[] = {
		LINE("\"content\":\"\",\"thinking\":\"hm\""),
		LINE("\"content\":\"\",\"thinking\":\" so\""),
		LINE("\"content\":\"Let\\n\""),
		LINE("\"content\":\"\\\"us\\\"\""),
		LINE("\"content\":\"\",\"tool_calls\":[" CALL_LINE("0", "id0", "f",
								   "{\"a\":1}") "]"),
		LINE("\"content\":\"\",\"tool_calls\":[" CALL_LINE("1", "id1", "g", "{}") "]"),
		"{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":"
		"true,"
		"\"done_reason\":\"stop\"," COUNTS,
	};
	static const char *const whole[] = {
		"{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":"
		"\"Let\\n\\\"us\\\"\","
		"\"thinking\":\"hm so\",\"tool_calls\":[" CALL_LINE(
			"0", "id0", "f",
			"{\"a\":1}") "," CALL_LINE("1", "id1", "g",
						   "{}") "]},\"done\":true,\"done_reason\":"
							 "\"stop\"," COUNTS,
	};
	struct ollama_answer a = { .model = "m", .chat = true, .load_seconds = 1 };
	struct text out = { .data = NULL };

	for (size_t i = 0; i < PIECES; i++)
		ollama_piece(&a, &answer[i], &out);
	check_lines(&out, lines, sizeof(lines) / sizeof(*lines));
	ollama_free(&a);
	text_clear(&out);
	a = (struct ollama_answer){ .model = "m", .chat = true, .whole = true, .load_seconds = 1 };
	for (size_t i = 0; i < PIECES; i++)
		ollama_piece(&a, &answer[i], &out);
	check_lines(&out, whole, 1);
	ollama_free(&a);
	text_free(&out);
}

static void test_ollama_generate(void)
{
	static const char *const lines[] = {
		"{\"model\":\"m\",\"response\":\"Let\\n\",\"done\":false}",
		"{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"length\","
		"\"context\":[1,2]," COUNTS,
	};
	static const char *const nothing[] = {
		"{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"load\"}",
	};
	struct ollama_answer a = { .model = "m", .load_seconds = 1 };
	struct text out = { .data = NULL };

	a.context = json_tokener_parse("[1,2]");
	ollama_piece(&a, &answer[2], &out);
	ollama_piece(&a, &cut, &out);
	check_lines(&out, lines, 2);
	text_clear(&out);
	ollama_loaded(&a, &out);
	check_lines(&out, nothing, 1);
	ollama_free(&a);
	text_free(&out);
}

#define TIMINGS                                                                          \
	"\"timings\":{\"cache_n\":4,\"prompt_n\":5,\"prompt_ms\":250.000,"               \
	"\"prompt_per_token_ms\":50.000,\"prompt_per_second\":20.000,\"predicted_n\":5," \
	"\"predicted_ms\":1000.000,\"predicted_per_token_ms\":200.000,"                  \
	"\"predicted_per_second\":5.000}"

static void test_native_answers(void)
{
	static const struct token_info tokens[] = { { .token = 7 }, { .token = 8 } };
	struct piece text = answer[2];
	struct native_answer a = { .return_tokens = true };
	struct text out = { .data = NULL };

	text.tokens = tokens;
	text.token_count = 2;
	text_puts(&a.prompt, "p");
	native_piece(&a, &text, &(struct token_usage){ .prompt = 9, .generated = 2 }, &out);
	native_piece(&a, &stopped, &stopped.usage, &out);
	check(&out,
	      "data: {\"index\":0,\"content\":\"Let\\n\",\"tokens\":[7,8],\"id_slot\":-1,"
	      "\"tokens_predicted\":2,\"tokens_evaluated\":9,\"stop\":false}\n\n"
	      "data: {\"index\":0,\"content\":\"\",\"tokens\":[],\"id_slot\":-1,"
	      "\"tokens_predicted\":5,\"tokens_evaluated\":9,\"stop\":true,\"model\":null,"
	      "\"prompt\":\"p\",\"has_new_line\":true,\"truncated\":false,\"stop_type\":\"word\","
	      "\"stopping_word\":\"x\",\"tokens_cached\":4," TIMINGS "}\n\n");
	native_free(&a);
	text_clear(&out);
	a = (struct native_answer){ .whole = true, .index = 3, .return_tokens = true };
	native_piece(&a, &text, &stopped.usage, &out);
	native_piece(&a, &text, &stopped.usage, &out);
	native_piece(&a, &cut, &cut.usage, &out);
	CU_ASSERT_EQUAL(out.bytes, 0);
	check(&a.reply,
	      "{\"index\":3,\"content\":\"Let\\nLet\\n\",\"tokens\":[7,8,7,8],\"id_slot\":-1,"
	      "\"tokens_predicted\":5,\"tokens_evaluated\":9,\"stop\":true,\"model\":null,"
	      "\"prompt\":\"\",\"has_new_line\":true,\"truncated\":false,\"stop_type\":\"limit\","
	      "\"stopping_word\":\"\",\"tokens_cached\":4," TIMINGS "}");
	native_free(&a);
	text_free(&out);
}

void suite_serve_replies(void)
{
	TEST(test_anthropic_events);
	TEST(test_anthropic_ends);
	TEST(test_anthropic_whole);
	TEST(test_ollama_lines);
	TEST(test_ollama_generate);
	TEST(test_native_answers);
}
