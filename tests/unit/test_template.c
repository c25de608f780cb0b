// SPDX-License-Identifier: MIT
/*
 * Chat templates.  tests/data/templates.json has templates with what Python's Jinja2 makes of them,
 * set up as in Hugging Face's transformers, or with what our message says where that refuses them.
 */
#include "unit.h"

#include <time.h>
#include <unistd.h>

#include "text/vocabulary.h"

#define USER(text) "[{\"role\": \"user\", \"content\": \"" text "\"}]"

static const char two_messages[] = "[{\"role\": \"user\", \"content\": \"Hello big World!\"},"
				   " {\"role\": \"assistant\", \"content\": \"Hi\"}]";

static int render_string(const char *template, const struct stoker_vocabulary *v,
			 const struct stoker_template_input *input, struct stoker_prompt *p,
			 struct stoker_error *err)
{
	struct stoker_template *t;
	int ret = stoker_template_parse(template, strlen(template), "t", &t, err);

	*p = (struct stoker_prompt){ STOKER_PROMPT_INIT };
	if (!ret)
		ret = stoker_template_render(t, v, input, p, err);
	stoker_template_free(&t);
	return ret;
}

static void check_case(struct json_object *list)
{
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .messages_json = two_messages,
						     .variables = "{\"bos_token\": \"<s>\"}",
						     .answer = 1, .now = 1700000000 };
	const char *template = json_object_get_string(json_object_array_get_idx(list, 0));
	struct json_object *text = json_object_array_get_idx(list, 1);
	struct stoker_error err = { "" };
	struct stoker_prompt p = { STOKER_PROMPT_INIT };
	const int ret = render_string(template, NULL, &input, &p, &err);

	if (text) {
		const bool same = !ret && p.bytes == (size_t)json_object_get_string_len(text) &&
				  !memcmp(p.text, json_object_get_string(text), p.bytes);

		if (!same)
			printf("\n    %s\n    gives    %s\n    expected %s", template,
			       ret ? err.message : p.text, json_object_get_string(text));
		CU_ASSERT(same);
	} else {
		const char *message = json_object_get_string(json_object_array_get_idx(list, 2));

		if (!strstr(err.message, message))
			printf("\n    %s\n    fails with %s\n    expected   %s", template,
			       err.message, message);
		CU_ASSERT(ret == -EINVAL && strstr(err.message, message));
	}
	stoker_prompt_free(&p);
}

static void test_as_jinja(void)
{
	size_t bytes;
	AUTO_FREE char *data = load_file("tests/data/templates.json", &bytes);
	struct json_object *all = data ? json_tokener_parse(data) : NULL;

	CU_ASSERT_FATAL(json_object_is_type(all, json_type_array));
	CU_ASSERT(json_object_array_length(all) > 100);
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < json_object_array_length(all); i++)
		check_case(json_object_array_get_idx(all, i));
	json_object_put(all);
}

/* The output with what came from messages between < and >. */
static void expect_marks(const char *template, const char *messages, const char *wanted)
{
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .messages_json = messages,
						     .tools = "[{\"name\": \"T\"}]" };
	struct stoker_error err = { "" };
	struct stoker_prompt p = { STOKER_PROMPT_INIT };
	char shown[600];
	size_t n = 0;

	if (render_string(template, NULL, &input, &p, &err)) {
		printf("\n    %s", err.message);
		CU_FAIL("a template that doesn't run");
		return;
	}
	for (size_t i = 0, s = 0; i <= p.bytes && n + 4 < sizeof(shown); i++) {
		if (s < p.span_count && p.spans[s].end == i) {
			shown[n++] = '>';
			s++;
		}
		if (s < p.span_count && p.spans[s].begin == i)
			shown[n++] = '<';
		shown[n++] = p.text[i];
	}
	shown[n] = 0;
	if (strcmp(shown, wanted) != 0)
		printf("\n    %s\n    marks    %s\n    expected %s", template, shown, wanted);
	CU_ASSERT_STRING_EQUAL(shown, wanted);
	stoker_prompt_free(&p);
}

static void test_marks(void)
{
	static const struct {
		const char *template, *wanted;
	} cases[] = {
		{ "a{{ c }}b", "a<Ab Ba>b" },
		{ "{{ 'x' + c + 'y' ~ c }}", "x<Ab Ba>y<Ab Ba>" },
		{ "{{ c[1:4] }}|{{ c[::-1] }}|{{ c[0] }}|{{ ('x' + c)[0:2] }}",
		  "<b B>|<aB bA>|<A>|x<A>" },
		{ "{{ (' ' + c + ' ') | trim }}|{{ c.strip('A') }}", "<Ab Ba>|<b Ba>" },
		{ "{{ c.split(' ') | join('-') }}", "<Ab>-<Ba>" },
		{ "{{ c | replace('b', 'xy') }}|{{ 'a b' | replace(' ', c) }}",
		  "<A>xy< Ba>|a<Ab Ba>b" },
		{ "{{ c | upper }}|{{ c.lower() }}|{{ c.title() }}|{{ c | capitalize }}",
		  "<AB BA>|<ab ba>|<Ab Ba>|<Ab ba>" },
		{ "{{ 'x%sy' | format(c) }}|{{ 'x{}y'.format(c) }}|{{ '%s' % c }}",
		  "x<Ab Ba>y|x<Ab Ba>y|<Ab Ba>" },
		{ "{{ {'k': c} | tojson }}|{{ {'k': 'v'} | tojson }}",
		  "<{\"k\": \"Ab Ba\"}>|{\"k\": \"v\"}" },
		{ "{{ [c, 'x'] }}", "['<Ab Ba>', 'x']" },
		{ "{{ c | indent(2, true) }}|{{ (c ~ '\n' ~ c) | indent(1) }}",
		  "  <Ab Ba>|<Ab Ba>\n <Ab Ba>" },
		{ "{% set x %}<{{ c }}{% endset %}{{ x }}", "<<Ab Ba>" },
		{ "{% macro m(t) %}[{{ t }}]{% endmacro %}{{ m(c) }}", "[<Ab Ba>]" },
		{ "{% filter upper %}q{{ c }}{% endfilter %}", "Q<AB BA>" },
		{ "{% for x in c.split() %}{{ x }},{% endfor %}{{ c | length }}", "<Ab>,<Ba>,5" },
		{ "{% for k, v in tools[0].items() %}{{ k }}={{ v }}{% endfor %}{{ tools | tojson "
		  "}}",
		  "<name>=<T[{\"name\": \"T\"}]>" },
		{ "{{ c * 2 }}|{{ c.center(9, '.') }}|{{ c | e }}",
		  "<Ab BaAb Ba>|..<Ab Ba>..|<Ab Ba>" },
		{ "{{ '<|' + messages[0].role + '|>' }}", "<|user|>" },
		{ "{% set ns = namespace(t='') %}{% for i in range(3) %}{% set ns.t = ns.t + 'i' + "
		  "c[i] "
		  "%}{% endfor %}{{ ns.t }}",
		  "i<A>i<b>i< >" },
		/* what a message chooses to fill, to format or to wrap with is the message's */
		{ "{{ ('aaaa  ' ~ c[2:]) | wordwrap(8) }}", "aaaa\n<Ba>" },
		{ "{{ 'x'.center(3, c[0]) }}|{{ 'x'.ljust(3, c[0]) }}", "<A>x<A>|x<AA>" },
		{ "{{ strftime_now(c) }}|{{ strftime_now('x') }}", "<Ab Ba>|x" },
		{ "{{ ('{:' ~ c[0] ~ '<3}').format('x') }}|{{ '{:.<3}'.format('x') }}",
		  "<xAA>|x.." },
		{ "{{ (c ~ '%d') % 1 }}|{{ '%c' % 60 }}|{{ '%%' % () }}", "<Ab Ba>1|<<>|%" },
		{ "{% set ns = namespace(t='') %}{% for i in range(30) %}{% set ns.t = ns.t + 'i' "
		  "+ c[0] + c[1] %}{% endfor %}{{ ns.t[:9] }}|{{ (ns.t + 'x')[-4:] }}",
		  "i<Ab>i<Ab>i<Ab>|i<Ab>x" },
		{ "{{ c | list | last }}{{ c.partition(' ')[0] }}{{ c | first }}", "<aAbA>" },
	};
	char template[400];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(template, sizeof(template), "{%% set c = messages[0].content %%}%s",
			 cases[i].template);
		expect_marks(template, USER("Ab Ba"), cases[i].wanted);
	}
	/* a role that isn't known is a text like any other */
	expect_marks("<|{{ messages[0].role }}|>",
		     "[{\"role\": \"x|><|im_start\", \"content\": \"\"}]", "<|<x|><|im_start>|>");
}

/* Of this process: the machine may be busy. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A second at most on the machines of today, which one with older processors may take twice. */
#define LIMIT_NS (SANITIZED ? 5000000000u : 2000000000u)

static void expect_limit(const char *template)
{
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .messages_json = two_messages };
	struct stoker_error err = { "" };
	struct stoker_prompt p = { STOKER_PROMPT_INIT };
	const uint64_t begin = cpu_ns();
	const int ret = render_string(template, NULL, &input, &p, &err);

	if (ret != -E2BIG || cpu_ns() - begin > LIMIT_NS)
		printf("\n    %.200s: %d, %s, %.3f s", template, ret, err.message,
		       1e-9 * (double)(cpu_ns() - begin));
	CU_ASSERT_EQUAL(ret, -E2BIG);
	CU_ASSERT(strlen(err.message) > 10);
	CU_ASSERT(cpu_ns() - begin < LIMIT_NS);
	stoker_prompt_free(&p);
}

enum { FIRST_OF_LONG_TEXTS = 16 };

static void test_limits(void)
{
	static const char *const templates[] = {
		"{% for i in range(100000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
		"{% for i in range(100000) %}{% for j in range(100) %}xxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"{% endfor %}{% endfor %}",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
		"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
		"{{ 'a' * 1000000000 }}",
		"{{ 'ab' * 9223372036854775807 }}",
		"{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s "
		"+ "
		"ns.s %}{% endfor %}",
		"{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l "
		"%}{% endfor %}",
		"{{ ('a' * 10000) | replace('a', 'b' * 10000) }}",
		"{{ ('a' * 10000) | list | join('b' * 10000) }}",
		"{{ range(1000000) | list }}",
		"{{ '%99999d' % 1 * 200 }}",
		"{% set l = [] %}{% for i in range(3) %}{% set _ = l.append(l) %}{% endfor %}{{ l "
		"}}",
		"{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}",
		"{% set l = [] %}{% set k = [l] %}{% set _ = l.append(k) %}{{ [l] == l }}",
		"{% set l = [1] %}{% for x in l %}{% set _ = l.append(1) %}{% endfor %}",
		"{% set a = 'a' * 9999999 %}{% for i in range(100000) %}{{ 'b' in a }}{% endfor %}",
		"{% set a = 'a' * 9999999 %}{% for i in range(100000) %}{% set b = a | upper %}{% "
		"endfor %}",
		"{% set a = 'é' * 4999999 %}{% for i in range(100000) %}{{ a.isupper() or a is "
		"lower "
		"or a.find('x', 9) or (' ' + a).strip() == '' }}{% endfor %}",
		"{% set a = 'a' * 9999999 %}{% for i in range(100000) %}{% set b = a | "
		"replace('a', '') "
		"%}{% endfor %}",
		"{% set a = 'é' * 4999999 %}{% for i in range(100000) %}{% set b = "
		"a[7:].partition('x') "
		"%}{% endfor %}",
		"{% set a = '<' * 9999999 %}{% for i in range(100000) %}{% set b = a | striptags | "
		"e %}"
		"{% endfor %}",
		"{% set a = ['a' * 999999] * 9 %}{% for i in range(100000) %}{% set b = a | tojson "
		"| "
		"length %}{% set c = a | string %}{% endfor %}",
		"{{ ('a' * 1000000).strip('b' * 1000000 + 'a') }}",
		"{% set a = 'a' * 16000000 %}{% for i in range(100000) %}{{ ('a' * 8000000) in a "
		"}}{% endfor %}",
		"{% set l = [0.1234567890123456, 12345 * 5e-324] * 50000 %}{% for i in range(100) "
		"%}{% set a = l | string %}{% endfor %}",
		"{% for i in range(100000) %}{% set a = '%.300f' % 1e308 %}{% set a = 1e308 | "
		"round(300) %}{% endfor %}",
		"{% set f = '%c' * 140 %}{% for i in range(100000) %}{% set a = strftime_now(f) %}"
		"{% endfor %}",
		"{{ range(100000) | map(attribute='0' * 16000000) | list }}",
		"{{ ('[' + '{},' * 300000 + '0]') | from_json }}",
		"{% set a = ' ' * 16000000 %}{% for i in range(100000) %}{{ a | int }}{{ (a + '1') "
		"| from_json }}{% endfor %}",
		"{% set a = 'a b' * 3333333 %}{% for i in range(100000) %}{% set b = a.split() | "
		"length "
		"%}{% endfor %}",
		"{% set a = range(100000) | list %}{% for i in a %}{% set b = a | sort %}{% endfor "
		"%}",
		"{% set d = {} %}{% for i in range(100000) %}{% set _ = d.update({i: i}) %}{% set "
		"_ = "
		"d.pop(i) %}{% endfor %}{% for i in range(100000) %}{% set _ = d.update({i: i}) %}"
		"{% endfor %}{% for i in range(100000) %}{% set _ = d.pop(i) %}{% endfor %}",
		"{% set ns = namespace(t=()) %}{% for i in range(10000) %}{% set ns.t = (ns.t,) %}"
		"{% endfor %}{{ {ns.t: 1} }}",
		"{% set a = 'a' * 9999999 %}{% for i in range(100000) %}{{ 'aaaaaaaaaaab' in a or "
		"'baaaaaaaaaaa' in a or a.count('aaab') }}{% endfor %}",
		"{% set a = '<!' + '-' * 9999999 %}{% for i in range(100000) %}{% set b = a | "
		"striptags %}{% endfor %}",
		"{% set a = '9' * 9999999 %}{% for i in range(100000) %}{{ a | wordcount or "
		"a.isalnum() }}{% endfor %}",
		"{% set a = '<' * 999999 %}{% for i in range(100000) %}{% set b = a | urlencode "
		"%}{% endfor %}",
	};

	/* sanitizers look at a whole text for each step in it: of the long ones they see none */
	const size_t count = SANITIZED ? FIRST_OF_LONG_TEXTS : ARRAY_SIZE(templates);

	for (size_t i = 0; i < count; i++)
		expect_limit(templates[i]);
}

/* Numbers at the end of their range, and much that costs little. */
static void test_extremes(void)
{
	static const char *const cases[][2] = {
		{ "{{ 'ab'.center(-9223372036854775807 - 1) }}", "ab" },
		{ "{{ 'ab' | center(-9223372036854775807 - 1) }}", "ab" },
		{ "{{ '-b'.zfill(-9223372036854775807 - 1) }}", "-b" },
		{ "{{ '-b'.zfill(4) }}{{ 'b'.zfill(1) }}{{ '-'.zfill(1) }}", "-00bb-" },
		{ "{{ range(9223372036854775797, 9223372036854775807, 5)[10:] | list }}", "[]" },
		{ "{{ range(9223372036854775800, 9223372036854775807, 5) | list }}",
		  "[9223372036854775800, 9223372036854775805]" },
		{ "{{ range(9223372036854775805, 9223372036854775807, 5) | string | length > 9 }}",
		  "True" },
		{ "{{ [5e-324, 2.5, 1e22, 0.1, 123456789012345680.0, -0.0, 1.7976931348623157e308]"
		  " }}",
		  "[5e-324, 2.5, 1e+22, 0.1, 1.2345678901234568e+17, -0.0, "
		  "1.7976931348623157e+308]" },
		{ "{{ ('a' * 1000000) | title | length }}", "1000000" },
		{ "{% set ns = namespace(t='') %}{% for i in range(20000) %}{% set ns.t = ns.t + "
		  "messages[0].content + 'x' %}{% endfor %}{{ ns.t | length }}",
		  "340000" },
	};
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .messages_json = two_messages };
	struct stoker_error err = { "" };
	struct stoker_prompt p = { STOKER_PROMPT_INIT };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (render_string(cases[i][0], NULL, &input, &p, &err))
			printf("\n    %s", err.message);
		CU_ASSERT_PTR_NOT_NULL(p.text);
		if (p.text)
			CU_ASSERT_STRING_EQUAL(p.text, cases[i][1]);
		stoker_prompt_free(&p);
	}
}

/* Source that nests, by what opens and what closes it. */
static void test_deep_source(void)
{
	static const char *const pieces[][3] = {
		{ "{{ ", "(", "1" },
		{ "{{ ", "[", "1" },
		{ "{{ ", "not ", "1" },
		{ "{{ ", "-", "1" },
		{ "{{ ", "{1: ", "1" },
		{ "{{ ", "f(", "1" },
		{ "{{ a", ".b", " }}" },
		{ "{{ a", "|e", " }}" },
		{ "{{ 1", "+1", " }}" },
		{ "", "{% if 1 %}", "" },
		{ "{{ 1", " if 1 else 1", " }}" },
		{ "{% set ", "(", "a" },
	};
	enum { TIMES = 100000 };

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		AUTO_FREE char *text = malloc(TIMES * strlen(pieces[i][1]) + 100);
		struct stoker_template *t;
		struct stoker_error err;
		char *at;

		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		at = stpcpy(text, pieces[i][0]);
		for (int n = 0; n < TIMES; n++)
			at = stpcpy(at, pieces[i][1]);
		at = stpcpy(at, pieces[i][2]);
		CU_ASSERT(stoker_template_parse(text, (size_t)(at - text), "t", &t, &err) < 0);
		CU_ASSERT_PTR_NULL(t);
	}
}

static void test_input(void)
{
	static const struct stoker_message talk[] = {
		{ .role = "system", .content = "S" },
		{ .role = "assistant",
		  .reasoning_content = "R",
		  .tool_calls =
			  "[{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": 1.0}}}]" },
		{ .role = "tool", .content = "caf\xe9", .tool_call_id = "id", .name = "f" },
	};
	static const char template[] =
		"{% for m in messages %}{{ m.role }}:{{ m.content }}:{{ m.reasoning_content }}:"
		"{{ m.tool_calls[0].function if m.tool_calls }}:{{ m.tool_call_id }}:{{ m.name "
		"}}\n\n"
		"{% endfor %}{{ add_generation_prompt }}{{ tools }}";
	struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
					       .message_size = sizeof(struct stoker_message),
					       .messages = talk, .count = 3 };
	static const char *const bad[][2] = {
		{ "{", "messages: byte 1 of the JSON" },
		{ "{}", "a list is needed" },
		{ "[1]", "message 1 is no object but 'int'" },
		{ "[] x", "byte 3 of the JSON: something follows" },
		{ "[{\"a\": 99999999999999999999}]", "more than 64 bits" },
	};
	struct stoker_error err;
	struct stoker_prompt p = { STOKER_PROMPT_INIT };

	CU_ASSERT_EQUAL_FATAL(render_string(template, NULL, &input, &p, &err), 0);
	CU_ASSERT_STRING_EQUAL(p.text,
			       "system:S::::\n\n"
			       "assistant:None:R:{'name': 'f', 'arguments': {'a': 1.0}}::\n\n"
			       "tool:caf\xef\xbf\xbd:::id:f\n\nFalseNone");
	stoker_prompt_free(&p);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		input.messages_json = bad[i][0];
		CU_ASSERT_EQUAL(render_string("", NULL, &input, &p, &err), -EINVAL);
		if (!strstr(err.message, bad[i][1]))
			printf("\n    %s", err.message);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, bad[i][1]));
		stoker_prompt_free(&p);
	}
}

static void test_bundled(void)
{
	static const struct {
		const char *name, *prompt;
	} known[] = {
		{ "chatml",
		  "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
		  "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
		  "<|im_start|>assistant\n" },
		{ "gemma",
		  "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\n"
		  "Hello<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n"
		  "<start_of_turn>model\n" },
		{ "llama3", "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
			    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
			    "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>"
			    "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
			    "<|start_header_id|>assistant<|end_header_id|>\n\n" },
		{ "llama2",
		  "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] "
		  "Bye [/INST]" },
	};
	const struct stoker_template_input input = {
		STOKER_TEMPLATE_INPUT_INIT,
		.message_size = sizeof(struct stoker_message),
		.messages = (const struct stoker_message[]){ { "system", "Be brief." },
							     { "user", "Hi" },
							     { "assistant", "Hello" },
							     { "user", "Bye" } },
		.count = 4,
		.variables = "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}",
		.answer = 1
	};
	struct stoker_error err;
	struct stoker_prompt p = { STOKER_PROMPT_INIT };
	const char *name;

	for (size_t i = 0; (name = stoker_template_bundled_name(i)); i++) {
		CU_ASSERT_EQUAL(
			render_string(stoker_template_bundled(name), NULL, &input, &p, &err), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(p.text, "Be brief."));
		CU_ASSERT_PTR_NOT_NULL(strstr(p.text, "Bye"));
		CU_ASSERT(p.span_count >= 3);
		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			if (!strcmp(known[k].name, name))
				CU_ASSERT_STRING_EQUAL(p.text, known[k].prompt);
		stoker_prompt_free(&p);
	}
	CU_ASSERT_PTR_NULL(stoker_template_bundled("none"));
}

/* Bytes, special tokens, templates. */
static struct stoker_vocabulary *vocabulary_with_templates(void)
{
	static const char *const extra[] = { "<|im_start|>", "<|im_end|>", "<tag>", "ab",
					     "<｜User｜>" };
	static char bytes[256][3], path[64];
	struct stoker_string tokens[256 + ARRAY_SIZE(extra)];
	const struct stoker_string merge = { "a b", 3 };
	int32_t types[ARRAY_SIZE(tokens)];
	struct stoker_vocabulary *v = NULL;
	struct stoker_gguf_writer *w;

	for (unsigned b = 0; b < 256; b++) {
		tokens[b].data = bytes[b];
		tokens[b].length = utf8_encode(byte_character((uint8_t)b), bytes[b]);
		types[b] = TOKEN_NORMAL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(extra); i++) {
		tokens[256 + i] = (struct stoker_string){ extra[i], strlen(extra[i]) };
		types[256 + i] = i < 2		    ? TOKEN_CONTROL
				 : i == 2 || i == 4 ? TOKEN_USER_DEFINED
						    : TOKEN_NORMAL;
	}
	snprintf(path, sizeof(path), "/tmp/stoker-template-%d.gguf", getpid());
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "gpt2");
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.pre", "qwen2");
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", tokens, ARRAY_SIZE(tokens));
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, ARRAY_SIZE(types));
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.merges", &merge, 1);
	stoker_gguf_writer_put_u32(w, "tokenizer.ggml.bos_token_id", 256);
	stoker_gguf_writer_put_u32(w, "tokenizer.ggml.eos_token_id", 257);
	stoker_gguf_writer_put_bool(w, "tokenizer.ggml.add_bos_token", 1);
	stoker_gguf_writer_put_bool(w, "tokenizer.ggml.add_eos_token", 1);
	stoker_gguf_writer_put_string(w, "tokenizer.chat_template",
				      "{{ bos_token }}a{{ messages[0].content }}{{ eos_token }}");
	stoker_gguf_writer_put_string(w, "tokenizer.chat_template.turn",
				      "<｜User｜>{{ messages[0].content }}");
	stoker_gguf_writer_put_string(w, "tokenizer.chat_template.tool_use",
				      "{{ messages[0].content }}<tag>");
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(path, &v, NULL), 0);
	unlink(path);
	return v;
}

static void expect_ids(const struct stoker_vocabulary *v, const char *name, const char *content,
		       const uint32_t *wanted, size_t count)
{
	const struct stoker_message message = { .role = "user", .content = content };
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .message_size = sizeof(struct stoker_message),
						     .messages = &message, .count = 1 };
	struct stoker_template *t;
	struct stoker_prompt p = { STOKER_PROMPT_INIT };
	uint32_t *ids;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(stoker_template_load(v, name, &t, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_template_render(t, v, &input, &p, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_prompt_tokenize(v, &p, &ids, &n, NULL), 0);
	CU_ASSERT(n == count && !memcmp(ids, wanted, n * sizeof(*ids)));
	free(ids);
	stoker_prompt_free(&p);
	stoker_template_free(&t);
}

/* What somebody types stays text, and words go on over the border. */
static void test_tokens(void)
{
	struct stoker_vocabulary *v = vocabulary_with_templates();
	struct stoker_template *t;
	struct stoker_error err;
	uint32_t typed[16] = { 256 };

	for (size_t i = 0; i < 10; i++)
		typed[1 + i] = (uint32_t) "<|im_end|>"[i];
	typed[11] = 258;
	expect_ids(v, NULL, "b", (uint32_t[]){ 256, 259, 257 }, 3);
	expect_ids(v, NULL, "", (uint32_t[]){ 256, 'a', 257 }, 3);
	expect_ids(v, "tool_use", "<|im_end|>", typed, 12);
	expect_ids(v, "tool_use", "x<tag>", (uint32_t[]){ 256, 'x', 258, 258 }, 4);
	/* a marker of turns that is called user-defined */
	typed[1] = 260;
	for (size_t i = 0; i < 2; i++)
		typed[2 + i] = (uint32_t) "<x"[i];
	expect_ids(v, "turn", "<x", typed, 4);
	for (size_t i = 0; i < strlen("<｜User｜>"); i++)
		typed[2 + i] = (uint8_t) "<｜User｜>"[i];
	expect_ids(v, "turn", "<｜User｜>", typed, 2 + strlen("<｜User｜>"));
	/* half of one typed, the other half the template's */
	expect_ids(v, "tool_use", "<", (uint32_t[]){ 256, '<', 258 }, 3);
	CU_ASSERT_EQUAL(stoker_template_load(v, "rag", &t, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "tokenizer.chat_template.rag"));
	stoker_vocabulary_free(&v);
}

void suite_template(void)
{
	TEST(test_as_jinja);
	TEST(test_marks);
	TEST(test_limits);
	TEST(test_extremes);
	TEST(test_deep_source);
	TEST(test_input);
	TEST(test_bundled);
	TEST(test_tokens);
}
