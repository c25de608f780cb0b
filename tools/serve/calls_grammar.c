// SPDX-License-Identifier: MIT
/* The texts that are calls of tools, as a grammar, and what such a text begins with. */
#include "serve/calls.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>

#include "serve/calls_families.h"
#include "serve/calls_rules.h"
#include "serve/calls_tools.h"
#include "serve/problem.h"

enum { TRIGGERS = 64, TRIGGER_BYTES = 256 }; /* a sampler's limits */

struct work {
	const struct call_family *f;
	const struct stoker_vocabulary *vocabulary;
	struct text *out;
	bool lazy; /* what comes before the trigger isn't described */
};

static void mark(struct work *w, const char *s)
{
	if (s)
		rule_mark(w->out, w->vocabulary, s);
}

/* Nothing, or a blank, or lines and indentation, between the marks of JSON. */
static const char *blank(const struct call_family *f)
{
	return f->indented ? "ws " : "\" \"? ";
}

/* --- one call -----------------------------------------------------------------------------------
 */

static void object_call(struct work *w, const char *name, size_t number)
{
	const struct call_family *f = w->f;
	const char *ws = blank(f), *edge = f->indented ? "ws " : "";
	struct text *out = w->out;

	text_printf(out, "\"{\" %s", edge);
	if (f->id_key && f->id_number)
		text_printf(out, "\"\\\"%s\\\":\" %s\"\\\"\" [0-9]{1,2} \"\\\",\" %s", f->id_key,
			    ws, ws);
	text_printf(out, "\"\\\"%s\\\":\" %s\"\\\"\" ", f->name_key, ws);
	rule_literal(out, name);
	text_printf(out, "\"\\\",\" %s\"\\\"%s\\\":\" %st%zu-root ", ws, f->args_key, ws, number);
	if (f->id_key && !f->id_number)
		text_printf(out, "( \",\" %s\"\\\"%s\\\":\" %s\"\\\"\" [A-Za-z0-9]{9} \"\\\"\" )? ",
			    ws, f->id_key, ws);
	text_printf(out, "%s\"}\" ", edge);
}

static void keyed_call(struct work *w, const char *name, size_t number)
{
	text_puts(w->out, "\"{\\\"\" ");
	rule_literal(w->out, name);
	text_printf(w->out, "\"\\\":\" \" \"? t%zu-root \"}\" ", number);
}

static void named_call(struct work *w, const char *name, size_t number)
{
	const struct call_family *f = w->f;
	struct text *out = w->out;

	if (f->id_first)
		text_puts(out, "[A-Za-z0-9_]{1,32} ");
	mark(w, f->name_open);
	mark(w, f->name_prefix);
	rule_literal(out, name);
	if (f->name_is_id)
		text_puts(out, "\":\" [0-9]{1,2} ");
	mark(w, f->id_open);
	if (f->id_open)
		text_puts(out, f->id_number ? "[0-9]{1,2} " : "[A-Za-z0-9]{9} ");
	if (f->name_ends[0])
		text_puts(out, "gap ");
	else if (f->style != STYLE_LOOSE)
		mark(w, f->name_close);
	text_printf(out, "t%zu-root ", number);
	mark(w, f->args_close);
}

/* Behind "functions." in a message's header. */
static void harmony_call(struct work *w, const char *name, size_t number)
{
	rule_literal(w->out, name);
	text_puts(w->out, "to-message ");
	text_printf(w->out, "t%zu-root ", number);
}

static void call_rule(struct work *w, struct json_object *tool, size_t number)
{
	const struct call_family *f = w->f;
	const char *name = tool_name(tool);

	text_printf(w->out, "call%zu ::= ", number);
	if (f->harmony) {
		harmony_call(w, name, number);
	} else {
		mark(w, f->open);
		if (f->open && f->gap)
			text_puts(w->out, "gap ");
		if (f->style == STYLE_OBJECT)
			object_call(w, name, number);
		else if (f->style == STYLE_KEYED)
			keyed_call(w, name, number);
		else
			named_call(w, name, number);
		if (f->close && f->gap)
			text_puts(w->out, "gap ");
		mark(w, f->close);
	}
	text_puts(w->out, "\n");
}

/* --- all of them --------------------------------------------------------------------------------
 */

/* Marks of messages are told by their tokens, whatever kind of tokens these are. */
static void token(struct work *w, const char *name, bool others)
{
	const int64_t id = w->vocabulary ? stoker_vocabulary_find(w->vocabulary, name, strlen(name))
					 : -1;

	if (id < 0 && others)
		rule_until(w->out, NULL, name);
	else if (id < 0)
		rule_literal(w->out, name);
	else
		text_printf(w->out, others ? "!<[%lld]>* " : "<[%lld]> ", (long long)id);
}

/* A message may have been thought of before, in a message of its own or one that isn't the
 * grammar's; then another header comes. */
static void harmony_root(struct work *w)
{
	struct text *out = w->out;

	text_puts(out, "to-message ::= ( ");
	token(w, "<|channel|>", false);
	text_puts(out, "\"commentary\" )? ( \" \"? ");
	token(w, "<|constrain|>", false);
	text_puts(out, "\"json\" | \" json\" | \" \" )? ");
	token(w, "<|message|>", false);
	text_puts(out, "\nroot ::= ");
	if (w->lazy) {
		text_puts(out, "\"to=functions.\" call\n");
		return;
	}
	text_puts(out, "( ");
	token(w, "<|channel|>", false);
	text_puts(out, "\"analysis\" ");
	token(w, "<|message|>", false);
	token(w, "<|end|>", true);
	token(w, "<|end|>", false);
	token(w, "<|start|>", false);
	text_puts(out, "\"assistant\" | ( ");
	token(w, "<|start|>", false);
	text_puts(out, "\"assistant\" )? ) ( ");
	token(w, "<|channel|>", false);
	text_puts(out, "\"commentary\" )? \" to=functions.\" call\n");
}

static void root_rule(struct work *w, bool parallel)
{
	const struct call_family *f = w->f;
	const bool many = parallel && !f->one;
	struct text *out = w->out;

	if (f->harmony) {
		harmony_root(w);
		return;
	}
	text_puts(out, "root ::= ");
	mark(w, f->begin[0]);
	if (f->begin[0] && f->gap)
		text_puts(out, "gap ");
	if (f->list)
		text_printf(out, "%s\"[\" %s", f->begin[0] ? blank(f) : "",
			    f->indented ? "ws " : "");
	text_puts(out, "call ");
	if (many && f->list)
		text_printf(out, "( \",\" %scall )* ", blank(f));
	else if (many && f->between)
		text_puts(out, "( between call )* ");
	else if (many)
		text_puts(out, "call* ");
	if (f->list)
		text_printf(out, "%s\"]\" ", f->indented ? "ws " : "");
	if (f->end[0] && f->gap)
		text_puts(out, "gap ");
	mark(w, f->end[0]);
	text_puts(out, "\n");
}

static void frame_rules(struct work *w)
{
	static const char *const others[] = { "number", "boolean", "object",
					      "array",	"null",	   "integer" };
	const struct call_family *f = w->f;
	struct text *out = w->out;

	text_puts(out, "gap ::= ");
	if (f->gap) {
		rule_literal(out, f->gap);
		text_puts(out, "{0,2}");
	} else {
		text_puts(out, "\"\"");
	}
	text_puts(out, "\nws ::= [ \\n]{0,40}\n");
	if (f->between) {
		text_puts(out, "between ::= ");
		rule_literal(out, f->between);
		text_puts(out, "?\n");
	}
	if (!f->key_tail)
		return;
	text_puts(out, "other-key ::= ");
	if (f->other_key) {
		rule_literal(out, f->other_key);
	} else {
		for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
			text_printf(out, "%s\" type=\\\"%s\\\"\" ", i ? "| " : "", others[i]);
	}
	text_puts(out, "\n");
}

static bool add_trigger(struct call_grammar *g, const char *format, const char *a, const char *b)
{
	const char **more =
		realloc(g->trigger_texts, (g->trigger_text_count + 1) * sizeof(*g->trigger_texts));
	char text[TRIGGER_BYTES + 1];

	if (!more)
		return false;
	g->trigger_texts = more;
	snprintf(text, sizeof(text), format, a, b);
	more[g->trigger_text_count] = strdup(text);
	return more[g->trigger_text_count++];
}

/* Without marks a call begins as any JSON may, up to the tool's name. */
static bool trigger_names(struct json_object *tools, struct call_grammar *g)
{
	bool ok = true;

	for (size_t i = 0; ok && i < tool_count(tools) && g->trigger_text_count < TRIGGERS; i++) {
		const char *name = tool_name(tool_at(tools, i));

		ok = !name || add_trigger(g, "{\"name\": \"%s%s", name, "\"");
	}
	return ok;
}

/* What switches the grammar on: the first mark, or of it what is text.  A bracket tells a list from
 * a text that has the word. */
static bool set_triggers(struct work *w, struct json_object *tools, struct call_grammar *g)
{
	const struct call_family *f = w->f;
	const char *first = f->harmony	   ? "to=functions."
			    : f->begin[0]  ? f->begin[0]
			    : f->open	   ? f->open
			    : f->name_open ? f->name_open
					   : NULL;
	const bool bracket = first && f->list && !f->indented && !f->at_start;
	char text[TRIGGER_BYTES + 1];
	uint32_t token;
	size_t bytes;

	if (!first)
		return trigger_names(tools, g);
	if (!mark_begins_with_token(w->vocabulary, first, &token, &bytes)) {
		snprintf(text, sizeof(text), "%.*s", (int)bytes, first);
		return add_trigger(g, "%s%s", text, bracket && !first[bytes] ? "[" : "");
	}
	g->trigger_tokens = malloc(sizeof(*g->trigger_tokens));
	if (!g->trigger_tokens)
		return false;
	g->trigger_tokens[g->trigger_token_count++] = token;
	return true;
}

/* Rules of each tool that may be called, and "call" for any of them. */
static bool tool_rules(struct work *w, struct json_object *tools, const char *only,
		       struct problem *p)
{
	struct text calls = { 0 };
	struct rules_left left = { RULES_BYTES, RULES_REPEATED };
	struct stoker_error err = { "" };
	size_t found = 0;
	bool ok = true;
	int ret;

	for (size_t i = 0; ok && i < tool_count(tools); i++) {
		struct json_object *tool = tool_at(tools, i);
		const char *name = tool_name(tool);

		if (!name || (only && strcmp(name, only) != 0))
			continue;
		text_printf(&calls, "%scall%zu", found++ ? " | " : "call ::= ", i);
		call_rule(w, tool, i);
		ret = rules_of_tool(w->out, w->f, w->vocabulary, tool, i, &left, &err);
		if (ret == -ENOMEM)
			ok = problem_set(p, 500, NULL, NULL, "out of memory");
		else if (ret)
			ok = problem_set(p, 400, "tools", NULL, "tools[%zu], %.64s: %s", i, name,
					 err.message);
	}
	text_add(w->out, calls.data, calls.bytes);
	text_puts(w->out, "\n");
	w->out->failed = w->out->failed || calls.failed;
	text_free(&calls);
	if (ok && !found)
		ok = problem_set(p, 400, only ? "tool_choice" : "tools", NULL,
				 only ? "there is no tool %.64s" : "there are no tools",
				 only ? only : "");
	return ok;
}

bool call_grammar(const struct call_family *f, const struct stoker_vocabulary *vocabulary,
		  struct json_object *tools, enum call_choice choice, const char *name,
		  bool parallel, struct call_grammar *out, struct problem *p)
{
	struct text gbnf = { 0 };
	struct work w = {
		.f = f, .vocabulary = vocabulary, .out = &gbnf, .lazy = choice == CALL_AUTO
	};
	struct stoker_error err = { "" };
	bool ok;

	*out = (struct call_grammar){ 0 };
	root_rule(&w, parallel && choice != CALL_NAMED);
	frame_rules(&w);
	ok = tool_rules(&w, tools, choice == CALL_NAMED ? name : NULL, p);
	if (ok && rules_shared(&gbnf, f, vocabulary, &err))
		ok = problem_set(p, 500, NULL, NULL, "%s", err.message);
	if (ok && ((choice == CALL_AUTO && !set_triggers(&w, tools, out)) || gbnf.failed))
		ok = problem_set(p, 500, NULL, NULL, "out of memory");
	if (!ok) {
		text_free(&gbnf);
		call_grammar_free(out);
		return false;
	}
	out->gbnf = gbnf.data;
	return true;
}

void call_grammar_free(struct call_grammar *g)
{
	for (size_t i = 0; i < g->trigger_text_count; i++)
		free((char *)g->trigger_texts[i]);
	free(g->trigger_texts);
	free(g->trigger_tokens);
	free(g->gbnf);
	*g = (struct call_grammar){ 0 };
}
