// SPDX-License-Identifier: MIT
/* What a template makes of tools and of calls, found by having it write small conversations. */
#include "serve/calls.h"

#include <stdio.h>
#include <string.h>

#include <stoker/stoker.h>

#include "serve/calls_families.h"

#define TOOL                                                                                      \
	"[{\"type\": \"function\", \"function\": {\"name\": \"probe_tool\", \"description\": "    \
	"\"probe_text\", \"parameters\": {\"type\": \"object\", \"properties\": {\"probe_key\": " \
	"{\"type\": \"string\", \"description\": \"probe_key\"}}, \"required\": "                 \
	"[\"probe_key\"]}}}]"
#define USER "{\"role\": \"user\", \"content\": \"Hi\"}"
#define SHORT_ID "abc012345"
#define LONG_ID "call_0123456789abcdef"
#define OBJECT "{\"probe_key\": \"probe_value\"}"
#define TEXT "\"{\\\"probe_key\\\": \\\"probe_value\\\"}\""
#define CALL(id, arguments)                                                                      \
	"{\"id\": \"" id "\", \"type\": \"function\", \"function\": {\"name\": \"probe_call\", " \
	"\"arguments\": " arguments "}}"
#define ASSISTANT(content, calls) \
	"{\"role\": \"assistant\", \"content\": " content ", \"tool_calls\": [" calls "]}"

#define RESULT                                                                                \
	"{\"role\": \"tool\", \"tool_call_id\": \"" SHORT_ID "\", \"name\": \"probe_call\", " \
	"\"content\": \"probe_result\"}"

struct probe {
	const struct stoker_template *t;
	const struct stoker_vocabulary *vocabulary;
	struct stoker_prompt prompt;
};

/* The text lives until the next probe; NULL: the template refuses. */
static const char *render(struct probe *p, const char *messages, const char *tools)
{
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .messages_json = messages, .tools = tools,
						     .answer = 1 };

	stoker_prompt_free(&p->prompt);
	p->prompt = (struct stoker_prompt){ STOKER_PROMPT_INIT };
	if (stoker_template_render(p->t, p->vocabulary, &input, &p->prompt, NULL))
		return NULL;
	return p->prompt.text;
}

/* Whether a call is written, and with arguments that are neither Python nor quoted twice. */
static bool call_is_fine(const char *text)
{
	return text && strstr(text, "probe_call") && strstr(text, "probe_value") &&
	       !strstr(text, "\\\"probe_key") && !strstr(text, "{'probe_key'");
}

static bool writes_calls(struct probe *p, struct call_support *s)
{
	static const struct {
		const char *message;
		bool text_arguments, null_content;
	} ways[] = {
		{ ASSISTANT("\"\"", CALL(SHORT_ID, OBJECT)), false, false },
		{ ASSISTANT("\"\"", CALL(SHORT_ID, TEXT)), true, false },
		{ ASSISTANT("null", CALL(SHORT_ID, OBJECT)), false, true },
		{ ASSISTANT("null", CALL(SHORT_ID, TEXT)), true, true },
	};

	/* some write none without tools, or without a result */
	for (int more = 0; more < 4; more++)
		for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
			char messages[1024];

			snprintf(messages, sizeof(messages), "[" USER ", %s%s]", ways[i].message,
				 more & 2 ? ", " RESULT : "");
			if (!call_is_fine(render(p, messages, more & 1 ? TOOL : NULL)))
				continue;
			s->text_arguments = ways[i].text_arguments;
			s->null_content = ways[i].null_content;
			return true;
		}
	return false;
}

/* A conversation with a call, as this template takes it. */
static const char *with_call(struct probe *p, const struct call_support *s, const char *ids,
			     bool twice)
{
	const char *content = s->null_content ? "null" : "\"\"";
	const char *arguments = s->text_arguments ? TEXT : OBJECT;
	char call[256], messages[2048];

	snprintf(call, sizeof(call),
		 "{\"id\": \"%s\", \"type\": \"function\", \"function\": {\"name\": "
		 "\"probe_call\", \"arguments\": %s}}",
		 ids, arguments);
	snprintf(messages, sizeof(messages),
		 "[" USER ", {\"role\": \"assistant\", \"content\": %s, \"tool_calls\": "
		 "[%s%s%s]}, {\"role\": \"tool\", \"tool_call_id\": \"%s\", \"name\": "
		 "\"probe_call\", \"content\": \"probe_result\"}]",
		 content, call, twice ? ", " : "", twice ? call : "", ids);
	return render(p, messages, TOOL);
}

static bool takes_system(struct probe *p)
{
	static const char messages[] =
		"[{\"role\": \"system\", \"content\": \"probe_system\"}, " USER "]";
	const char *text = render(p, messages, NULL);

	if (!text)
		text = render(p, messages, TOOL);
	return text && strstr(text, "probe_system");
}

void call_support_of(const struct stoker_template *t, const struct stoker_vocabulary *vocabulary,
		     struct call_support *out)
{
	struct probe p = { .t = t, .vocabulary = vocabulary, .prompt = { STOKER_PROMPT_INIT } };
	const char *text = render(&p, "[" USER "]", TOOL);

	*out = (struct call_support){ .family = call_family_of(stoker_template_source(t)) };
	out->tools = text && strstr(text, "probe_tool") && strstr(text, "probe_text");
	out->system = takes_system(&p);
	out->calls = writes_calls(&p, out);
	if (out->calls) {
		text = with_call(&p, out, SHORT_ID, false);
		out->results = text && strstr(text, "probe_result");
		out->short_ids = text && !with_call(&p, out, LONG_ID, false);
		out->one_call = text && !with_call(&p, out, SHORT_ID, true);
	} else if (out->tools) { /* where there are none, another role's name is just printed */
		text = render(&p,
			      "[" USER ", {\"role\": \"assistant\", \"content\": \"So.\"}, " RESULT
			      "]",
			      TOOL);
		out->results = text && strstr(text, "probe_result");
	}
	stoker_prompt_free(&p.prompt);
}
