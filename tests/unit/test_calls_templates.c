// SPDX-License-Identifier: MIT
/*
 * Models' templates write calls; what they write is read back, and their family's grammar takes it.
 * They are in a folder that STOKER_TEST_TEMPLATES names: llama.cpp's models/templates for instance.
 */
#include "calls_feed.h"

#include <dirent.h>

#include "serve/problem.h"
#include "unit.h"

#define CALL_ONE                                                                              \
	"{\"id\": \"call_0123456789abcd\", \"type\": \"function\", \"function\": {\"name\": " \
	"\"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"New \\\\\\\"York\\\", "         \
	"\\\"days\\\": 3, "                                                                   \
	"\\\"deep\\\": {\\\"a\\\": [1, true, \\\"z\\\"]}, \\\"ok\\\": true}\"}}"
#define CALL_TWO                                                                              \
	"{\"id\": \"call_0123456789abce\", \"type\": \"function\", \"function\": {\"name\": " \
	"\"now\", \"arguments\": \"{}\"}}"

struct shown {
	char *text;
	size_t answer; /* where what the assistant wrote begins */
};

static char *render(const struct stoker_template *t, struct json_object *messages, bool tools,
		    bool answer)
{
	const struct stoker_template_input input = {
		STOKER_TEMPLATE_INPUT_INIT, .messages_json = json_object_to_json_string(messages),
		.tools = tools ? two_tools : NULL, .answer = answer, .now = 1700000000
	};
	struct stoker_prompt p = { STOKER_PROMPT_INIT };
	struct stoker_error err = { "" };
	char *text = NULL;

	if (stoker_template_render(t, NULL, &input, &p, &err))
		printf("\n    %s", err.message);
	else
		text = strdup(p.text);
	stoker_prompt_free(&p);
	return text;
}

/* The conversation as the template wants it, and what it makes of it. */
static char *render_chat(const struct stoker_template *t, const struct call_support *s,
			 const char *json, bool answer)
{
	struct json_object *messages = json_tokener_parse(json), *out;
	struct json_object *tools = json_tokener_parse(two_tools);
	struct problem p = { 0 };
	bool show;
	char *text;

	CU_ASSERT_FATAL(messages && tools);
	CU_ASSERT_FATAL(call_messages(s, messages, tools, &out, &show, &p));
	text = render(t, out, show, answer);
	json_object_put(out);
	json_object_put(messages);
	json_object_put(tools);
	return text;
}

/* Marks of harmony as control tokens. */
static void mark_controls(const char *text, char *out, size_t room)
{
	size_t n = 0;

	for (; *text && n + 20 < room; text++) {
		const char *end = !strncmp(text, "<|", 2) ? strstr(text + 2, "|>") : NULL;

		if (end && end - text < 16) {
			n += (size_t)sprintf(out + n, "\1%.*s\2", (int)(end + 2 - text), text);
			text = end + 1;
		} else {
			out[n++] = *text;
		}
	}
	out[n] = 0;
}

static bool same_arguments(const char *json, const char *wanted)
{
	struct json_object *a = json_tokener_parse(json), *b = json_tokener_parse(wanted);
	const bool same = a && b && json_object_equal(a, b);

	json_object_put(a);
	json_object_put(b);
	return same;
}

/* Where the first mark of the family is, or a bracket where there needs none. */
static const char *calls_begin(const struct call_family *f, const char *text)
{
	const char *const marks[] = { f->begin[0], f->open, f->name_open,
				      f->harmony ? " to=" : NULL, f->at_start ? "{" : NULL };
	const char *first = NULL;

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		const char *at = marks[i] ? strstr(text, marks[i]) : NULL;

		if (at && (!first || at < first))
			first = at;
	}
	return first;
}

/* The grammar takes all the calls, and what is behind them isn't one. */
static bool grammar_takes(const char *name, const struct call_support *s, const char *text)
{
	/* Python's objects, and JSON over several lines, which no grammar here has */
	static const char *const others[] = { "seed-oss", "minicpm-5", "command-r-plus" };
	const char *begin = calls_begin(s->family, text);
	struct stoker_matcher *m;
	size_t matched = 0;
	bool ok;

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strcmp(s->family->name, others[i]))
			return true;
	if (!begin)
		return false;
	if (s->family->end[0] && !strstr(begin, s->family->end[0]))
		return true; /* of one call it writes no end */
	m = calls_matcher(s->family, two_tools, CALL_REQUIRED, NULL, true);
	stoker_matcher_accept_text(m, begin, strlen(begin), &matched);
	for (;; matched--) { /* another mark may begin as one of the family's */
		stoker_matcher_reset(m);
		stoker_matcher_accept_text(m, begin, matched, NULL);
		ok = stoker_matcher_may_end(m);
		if (ok || !matched)
			break;
	}
	ok = ok && !strstr(begin + matched, "now");
	if (!ok)
		printf("\n    %s, %s: %.*s<HERE>%s", name, s->family->name, (int)matched, begin,
		       begin + matched);
	stoker_matcher_free(&m);
	return ok;
}

/* @count calls, written behind what a prompt ends with. */
static bool round_trip(const char *name, const struct stoker_template *t,
		       const struct call_support *s, unsigned count)
{
	static const char *const conversations[] = {
		"[{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", "
		"\"content\": null, \"tool_calls\": [" CALL_ONE "]}]",
		"[{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", "
		"\"content\": null, \"tool_calls\": [" CALL_ONE ", " CALL_TWO "]}]",
	};
	static const char wanted[] = "{\"city\": \"New \\\"York\", \"days\": 3, \"deep\": "
				     "{\"a\": [1, true, \"z\"]}, \"ok\": true}";
	static struct fed fed;
	static char marked[FED_ROOM];
	AUTO_FREE char *before =
		render_chat(t, s, "[{\"role\": \"user\", \"content\": \"Hi\"}]", true);
	AUTO_FREE char *all = render_chat(t, s, conversations[count - 1], false);
	size_t from = 0;
	bool ok;

	if (!before || !all)
		return false;
	while (before[from] && before[from] == all[from])
		from++;
	/* not in the middle of a mark */
	while (from && (all[from - 1] != '>' && all[from - 1] != '\n' && before[from]))
		from--;
	snprintf(marked, sizeof(marked), "%s", all + from);
	if (s->family->harmony)
		mark_controls(all + from, marked, sizeof(marked));
	feed(s->family, two_tools, s->family->harmony ? "<|start|>assistant" : "", marked,
	     strlen(marked), 0, &fed);
	ok = fed.count == count && !strcmp(fed.names[0], "get_weather") &&
	     same_arguments(fed.arguments[0], wanted) &&
	     (count == 1 || same_arguments(fed.arguments[1], "{}"));
	if (!ok) {
		static char shown[FED_ROOM];

		fed_show(&fed, shown, sizeof(shown));
		printf("\n    %s, %s: %s\n    is read as %s", name, s->family->name, all + from,
		       shown);
	}
	fed_free(&fed);
	return ok && grammar_takes(name, s, all + from);
}

/* Not where it writes what no family has, or refuses everything. */
static bool knows_form(const struct stoker_template *t, const struct call_support *s)
{
	AUTO_FREE char *text =
		render_chat(t, s, "[{\"role\": \"user\", \"content\": \"Hi\"}]", true);

	return text && !(s->calls && !strcmp(s->family->name, "generic"));
}

static void check_template(const char *path, const char *name)
{
	size_t bytes;
	AUTO_FREE char *source = load_file(path, &bytes);
	struct stoker_template *t;
	struct stoker_error err;
	struct call_support s;

	if (!source || stoker_template_parse(source, bytes, name, &t, &err)) {
		CU_FAIL("a template that can't be read");
		return;
	}
	call_support_of(t, NULL, &s);
	if (getenv("STOKER_TEST_VERBOSE"))
		printf("\n    %-55s %-15s%s%s%s%s%s%s%s%s", name, s.family->name,
		       s.tools ? " tools" : "", s.calls ? " calls" : "",
		       s.results ? " results" : "", s.text_arguments ? " text" : "",
		       s.null_content ? " null" : "", s.short_ids ? " short" : "",
		       s.one_call ? " one" : "", s.system ? "" : " no-system");
	if (knows_form(t, &s)) {
		CU_ASSERT(round_trip(name, t, &s, 1));
		if (!s.one_call && !s.family->one)
			CU_ASSERT(round_trip(name, t, &s, 2));
	}
	stoker_template_free(&t);
}

static void test_models_templates(void)
{
	const char *folder = getenv("STOKER_TEST_TEMPLATES");
	DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *e;

	if (!dir) {
		skip("calls in models' templates", "STOKER_TEST_TEMPLATES names no folder of them");
		return;
	}
	while ((e = readdir(dir))) {
		char path[1024];

		if (!strstr(e->d_name, ".jinja"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		check_template(path, e->d_name);
	}
	closedir(dir);
}

void add_calls_templates(void)
{
	TEST(test_models_templates);
}
