// SPDX-License-Identifier: MIT
/* Grammars of calls: each family's, read back by its reader. */
#include "calls_feed.h"

#include "serve/problem.h"
#include "unit.h"

enum { MAX_WALK = 3000 };

struct stoker_matcher *calls_matcher(const struct call_family *f, const char *tools,
				     enum call_choice choice, const char *name, bool parallel)
{
	struct json_object *list = json_tokener_parse(tools);
	struct stoker_grammar *grammar;
	struct stoker_matcher *m;
	struct call_grammar g;
	struct problem p = { 0 };
	struct stoker_error err = { "" };
	int ret;

	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
	if (!call_grammar(f, NULL, list, choice, name, parallel, &g, &p))
		printf("\n    %s: %s", f->name, p.message);
	CU_ASSERT_EQUAL_FATAL(p.status, 0);
	ret = stoker_grammar_compile(NULL, g.gbnf, strlen(g.gbnf), &grammar, &err);
	if (ret)
		printf("\n    %s: %s\n%s", f->name, err.message, g.gbnf);
	CU_ASSERT_EQUAL_FATAL(ret, 0);
	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(grammar, &m, &err), 0);
	stoker_grammar_free(&grammar);
	call_grammar_free(&g);
	json_object_put(list);
	return m;
}

static bool accepts(const struct call_family *f, const char *text)
{
	struct stoker_matcher *m = calls_matcher(f, two_tools, CALL_REQUIRED, NULL, true);
	size_t matched = 0;
	const bool ok = !stoker_matcher_accept_text(m, text, strlen(text), &matched) &&
			stoker_matcher_may_end(m);

	if (!ok)
		printf("\n    %s: %.*s<HERE>%s", f->name, (int)matched, text, text + matched);
	stoker_matcher_free(&m);
	return ok;
}

/* What templates write, but for marks of harmony, which are in a header. */
static void test_accepted(void)
{
	static const struct {
		const char *family, *text;
	} samples[] = {
		{ "hermes", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
			    "\"P\", \"ok\": true}}\n</tool_call>\n<tool_call>\n{\"name\": "
			    "\"now\", \"arguments\": {}}\n</tool_call>" },
		{ "qwen3-coder",
		  "<tool_call>\n<function=get_weather>\n<parameter=city>\n<a </param> <</b\n"
		  "</parameter>\n<parameter=days>\n3\n</parameter>\n<parameter=ok>\nTrue\n"
		  "</parameter>\n</function>\n</tool_call>" },
		{ "glm", "<tool_call>get_weather<arg_key>city</arg_key><arg_value>P</arg_value>"
			 "</tool_call><tool_call>now</tool_call>" },
		{ "glm", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>P</arg_value>"
			 "\n</tool_call>\n<tool_call>now\n</tool_call>" },
		{ "mistral", "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}, \"id\": "
			     "\"abcdefghi\"}]" },
		{ "mistral-args", "[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]now[ARGS]{}" },
		{ "llama-3", "{\"name\": \"now\", \"parameters\": {}}" },
		{ "lfm2", "<|tool_call_start|>[get_weather(city='Par\"is\n', days=3, "
			  "deep={\"a\": [1]}, ok=True), now()]<|tool_call_end|>" },
		{ "gemma-4", "<|tool_call>call:get_weather{city:<|\"|>P<b><|\"|>,deep:{a:[1,"
			     "<|\"|>z<|\"|>]}}<tool_call|><|tool_call>call:now{}<tool_call|>" },
		{ "generic", "{\"tool_calls\": [{\"name\": \"now\", \"arguments\": {}}]}" },
		{ "gpt-oss", "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
			     "<|channel|>commentary to=functions.now <|constrain|>json"
			     "<|message|>{}" },
		{ "gpt-oss", " to=functions.now<|channel|>commentary json<|message|>{}" },
	};

	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		CU_ASSERT(accepts(family_called(samples[i].family), samples[i].text));
}

/* A header has the tool's name and something else apart. */
static void test_header(void)
{
	static const char *const wrong[] = {
		" to=functions.nowjson<|message|>{}",
		"<|channel|>analysis<|message|>Hm.<|end|> to=functions.now<|message|>{}",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct stoker_matcher *m = calls_matcher(family_called("gpt-oss"), two_tools,
							 CALL_REQUIRED, NULL, true);

		CU_ASSERT_NOT_EQUAL(stoker_matcher_accept_text(m, wrong[i], strlen(wrong[i]), NULL),
				    0);
		stoker_matcher_free(&m);
	}
}

/* Which tool, and how many calls. */
static void test_choices(void)
{
	static const char one[] =
		"<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
	static const struct {
		enum call_choice choice;
		const char *name;
		bool parallel, once, twice;
	} choices[] = {
		{ CALL_REQUIRED, NULL, true, true, true },
		{ CALL_REQUIRED, NULL, false, true, false },
		{ CALL_NAMED, "now", true, true, false },
		{ CALL_NAMED, "get_weather", true, false, false },
	};

	for (size_t i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
		struct stoker_matcher *m = calls_matcher(family_called("hermes"), two_tools,
							 choices[i].choice, choices[i].name,
							 choices[i].parallel);
		int ret = stoker_matcher_accept_text(m, one, sizeof(one) - 1, NULL);

		CU_ASSERT_EQUAL(!ret && stoker_matcher_may_end(m), choices[i].once);
		ret = stoker_matcher_accept_text(m, one, sizeof(one) - 1, NULL);
		CU_ASSERT_EQUAL(!ret && stoker_matcher_may_end(m), choices[i].twice);
		stoker_matcher_free(&m);
	}
}

/* What switches a grammar on is what its texts begin with. */
static void test_triggers(void)
{
	struct json_object *tools = json_tokener_parse(two_tools);
	const struct call_family *f;

	for (size_t k = 0; (f = call_family_at(k)); k++) {
		struct call_grammar g;
		struct problem p;

		CU_ASSERT_FATAL(call_grammar(f, NULL, tools, CALL_AUTO, NULL, true, &g, &p));
		CU_ASSERT(g.trigger_text_count && !g.trigger_token_count);
		for (size_t i = 0; i < g.trigger_text_count; i++) {
			struct stoker_grammar *grammar;
			struct stoker_matcher *m;
			const char *text = g.trigger_texts[i];

			CU_ASSERT_EQUAL_FATAL(stoker_grammar_compile(NULL, g.gbnf, strlen(g.gbnf),
								     &grammar, NULL),
					      0);
			CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(grammar, &m, NULL), 0);
			CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, text, strlen(text), NULL), 0);
			stoker_matcher_free(&m);
			stoker_grammar_free(&grammar);
		}
		if (!strcmp(f->name, "llama-3"))
			CU_ASSERT(g.trigger_text_count == 2 &&
				  !strcmp(g.trigger_texts[1], "{\"name\": \"now\""));
		if (!strcmp(f->name, "firefunction-2"))
			CU_ASSERT_STRING_EQUAL(g.trigger_texts[0], "functools[");
		call_grammar_free(&g);
	}
	json_object_put(tools);
}

/* Marks that are control tokens, which have no text. */
static void test_control_tokens(void)
{
	static const struct call_family f = { "t",
					      STYLE_OBJECT,
					      .begin = { "<s>" },
					      .end = { "x</s>" },
					      .name_key = "name",
					      .args_key = "arguments" };
	struct json_object *tools = json_tokener_parse(two_tools);
	struct stoker_vocabulary *v;
	struct stoker_grammar *grammar;
	struct stoker_matcher *m;
	struct call_grammar g;
	struct problem p;
	struct stoker_error err;
	const char text[] = "{\"name\": \"now\", \"arguments\": {}}x";

	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load("tests/data/containers/plain.gguf", &v, &err),
			      0);
	CU_ASSERT_FATAL(call_grammar(&f, v, tools, CALL_AUTO, NULL, false, &g, &p));
	CU_ASSERT(!g.trigger_text_count && g.trigger_token_count == 1 && g.trigger_tokens[0] == 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(g.gbnf, "root ::= <[1]> call \"x\" <[2]>"));
	CU_ASSERT_EQUAL_FATAL(stoker_grammar_compile(v, g.gbnf, strlen(g.gbnf), &grammar, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_matcher_create(grammar, &m, &err), 0);
	CU_ASSERT_EQUAL(stoker_matcher_accept(m, 1), 0);
	CU_ASSERT_EQUAL(stoker_matcher_accept_text(m, text, strlen(text), NULL), 0);
	CU_ASSERT_EQUAL(stoker_matcher_allows(m, 2), 1);
	CU_ASSERT_EQUAL(stoker_matcher_allows(m, 1), 0);
	stoker_matcher_free(&m);
	stoker_grammar_free(&grammar);
	call_grammar_free(&g);
	stoker_vocabulary_free(&v);
	json_object_put(tools);
}

/* --- random walks -------------------------------------------------------------------------------
 */

/* Characters by which something ends come more often. */
static const char *random_character(void)
{
	static const char *const all[] = {
		"\"", "}",  "]", ")", ",",  ":", "<", ">",	  "/", "'", "{", "[", "(",
		"=",  " ",  "a", "b", "\\", "n", "t", "\n",	  "0", "1", "7", "|", "-",
		".",  "\t", "u", "_", "x",  "A", "e", "\xc3\xa4", "r", "s", "f", "l", "z",
	};

	return all[random_u32() % (random_u32() % 2 ? sizeof(all) / sizeof(*all) : 6)];
}

/* The one argument that is any text. */
static bool in_city(const struct call_family *f, const char *text)
{
	const char *last = NULL;

	for (const char *at = text; (at = strstr(at, f->key_open)); at++)
		last = at + strlen(f->key_open);
	return last && !strncmp(last, "city", 4);
}

/* The whole mark that ends a text, which single characters rarely make. */
static bool mark_step(const struct call_family *f, struct stoker_matcher *m, char *out)
{
	const char *mark = f->harmony ? "<|end|>" : f->value_close ? f->value_close : f->quote;
	char line[64];

	if (!mark || random_u32() % 4)
		return false;
	/* inside JSON it would be taken for the end, as nothing there can hide it */
	if (f->harmony ? strstr(out, "to=") != NULL : f->value_close && !in_city(f, out))
		return false;
	snprintf(line, sizeof(line), "%s%s", f->lines ? "\n" : "", mark);
	if (stoker_matcher_accept_text(m, line, strlen(line), NULL))
		return false;
	strcat(out, line);
	return true;
}

static bool any_step(struct stoker_matcher *m, char *out)
{
	for (int tries = 0; tries < 20; tries++) {
		const char *c = random_character();

		if (!stoker_matcher_accept_text(m, c, strlen(c), NULL)) {
			strcat(out, c);
			return true;
		}
	}
	for (char c = '!'; c <= '~'; c++)
		if (!stoker_matcher_accept_text(m, &c, 1, NULL)) {
			out[strlen(out) + 1] = 0;
			out[strlen(out)] = c;
			return true;
		}
	for (const char *c = " \n\xef\xbd\x9c\xe2\x96\x81"; *c; c++)
		if (!stoker_matcher_accept_text(m, c, 1, NULL)) {
			out[strlen(out) + 1] = 0;
			out[strlen(out)] = *c;
			return true;
		}
	return false;
}

static bool walk(const struct call_family *f, struct stoker_matcher *m, char *out)
{
	out[0] = 0;
	stoker_matcher_reset(m);
	while (strlen(out) < MAX_WALK) {
		if (stoker_matcher_may_end(m) && random_u32() % 2)
			return true;
		if (!mark_step(f, m, out) && !any_step(m, out))
			return stoker_matcher_may_end(m);
	}
	return false;
}

/* Marks of harmony as control tokens. */
static void mark_controls(const char *text, char *out)
{
	for (; *text; text++) {
		const char *end = !strncmp(text, "<|", 2) ? strstr(text + 2, "|>") : NULL;

		if (end && end - text < 16) {
			out += sprintf(out, "\1%.*s\2", (int)(end + 2 - text), text);
			text = end + 1;
		} else {
			*out++ = *text;
		}
	}
	*out = 0;
}

static bool read_back(const struct call_family *f, const char *text)
{
	static struct fed fed;
	static char marked[2 * MAX_WALK];
	bool ok = true;

	strcpy(marked, text);
	if (f->harmony)
		mark_controls(text, marked);
	feed(f, two_tools, f->harmony ? "<|start|>assistant" : "", marked, strlen(marked), 0, &fed);
	ok = fed.count && !fed.text[0];
	for (unsigned i = 0; i < fed.count && i < FED_CALLS; i++) {
		struct json_object *o = json_tokener_parse(fed.arguments[i]);

		ok = ok && json_object_is_type(o, json_type_object);
		json_object_put(o);
	}
	if (!ok) {
		static char shown[FED_ROOM];

		fed_show(&fed, shown, sizeof(shown));
		printf("\n    %s: %s\n    is read as %s", f->name, text, shown);
	}
	fed_free(&fed);
	return ok;
}

static void test_walks(void)
{
	static char text[MAX_WALK + 64];
	const struct call_family *f;

	random_seed(1);
	for (size_t k = 0; (f = call_family_at(k)); k++) {
		struct stoker_matcher *m = calls_matcher(f, two_tools, CALL_REQUIRED, NULL, true);
		int complete = 0;

		for (int i = 0; i < 12; i++)
			if (walk(f, m, text)) {
				complete++;
				CU_ASSERT(read_back(f, text));
			}
		if (complete < 3)
			printf("\n    %s: only %d walks came to an end", f->name, complete);
		CU_ASSERT(complete >= 3);
		stoker_matcher_free(&m);
	}
}

void add_calls_grammar(void)
{
	TEST(test_accepted);
	TEST(test_header);
	TEST(test_control_tokens);
	TEST(test_choices);
	TEST(test_triggers);
	TEST(test_walks);
}
