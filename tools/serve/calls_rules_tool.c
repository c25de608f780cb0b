// SPDX-License-Identifier: MIT
/* GBNF of one tool's arguments, in each way that models write them. */
#include "serve/calls_rules.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>

#include "serve/calls_families.h"
#include "serve/calls_tools.h"

/* What the rules of one tool are made from. */
struct work {
	const struct call_family *f;
	const struct stoker_vocabulary *vocabulary;
	struct json_object *tool;
	struct text *out; /* the rules */
	size_t number;	  /* of the tool */
	struct rules_left *left;
	struct stoker_error *err;
	int ret;
};

static struct json_object *properties(struct json_object *schema)
{
	struct json_object *p;

	if (!schema || !json_object_object_get_ex(schema, "properties", &p) ||
	    !json_object_is_type(p, json_type_object))
		return NULL;
	return p;
}

static bool is_required(struct json_object *schema, const char *key)
{
	struct json_object *list;

	if (!json_object_object_get_ex(schema, "required", &list) ||
	    !json_object_is_type(list, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(list, i));

		if (name && !strcmp(name, key))
			return true;
	}
	return false;
}

/* --- all arguments as JSON ----------------------------------------------------------------------
 */

/* Without a type nothing says that arguments are an object, and without properties nothing which.
 */
static struct json_object *object_schema(struct json_object *schema)
{
	struct json_object *copy = NULL, *all = properties(schema);

	if (!schema)
		return json_tokener_parse("{\"type\": \"object\", \"maxProperties\": 0}");
	if (json_object_deep_copy(schema, &copy, NULL))
		return NULL;
	if (!json_object_object_length(copy))
		json_object_object_add(copy, "maxProperties", json_object_new_int(0));
	if (!json_object_object_get_ex(copy, "type", NULL) &&
	    (all || json_object_object_get_ex(copy, "maxProperties", NULL)))
		json_object_object_add(copy, "type", json_object_new_string("object"));
	if (all && !json_object_object_length(all) &&
	    !json_object_object_get_ex(copy, "additionalProperties", NULL))
		json_object_object_add(copy, "additionalProperties", json_object_new_boolean(0));
	json_object_object_del(copy, "strict");
	return copy;
}

/* A tool that didn't ask for more is content with any object. */
static bool is_strict(struct json_object *tool)
{
	struct json_object *strict;

	return json_object_object_get_ex(tool, "strict", &strict) &&
	       json_object_get_boolean(strict);
}

/* Takes these rules from what is left; false: they are too much. */
static bool within(struct rules_left *left, const char *rules)
{
	const size_t bytes = strlen(rules);
	size_t repeated = 0;

	for (const char *at = rules; (at = strchr(at, '{')); at++) {
		const char *most = strpbrk(at, ",}");

		if (most && *most == ',' && most[1] != '}')
			at = most;
		repeated += strtoul(at + 1, NULL, 10);
	}
	if (bytes > left->bytes || repeated > left->repeated)
		return false;
	left->bytes -= bytes;
	left->repeated -= repeated;
	return true;
}

static void schema_rules(struct work *w, const char *prefix, struct json_object *schema,
			 const char *otherwise)
{
	const size_t before = w->out->bytes;
	int ret = schema ? rules_of_schema(w->out, prefix, schema, w->err) : -ENOMEM;

	if (!ret && !w->out->failed && !within(w->left, w->out->data + before))
		ret = -E2BIG;
	if (ret == -E2BIG && is_strict(w->tool))
		snprintf(w->err->message, sizeof(w->err->message),
			 "the schema becomes too large a grammar");
	if (ret && (is_strict(w->tool) || ret == -ENOMEM)) {
		w->ret = ret;
	} else if (ret) {
		w->out->bytes = before;
		text_printf(w->out, "%sroot ::= %s\n", prefix, otherwise);
	}
}

static void json_arguments(struct work *w)
{
	struct json_object *schema = object_schema(tool_parameters(w->tool));
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "t%zu-", w->number);
	schema_rules(w, prefix, schema, "any-object");
	json_object_put(schema);
}

/* --- one argument -------------------------------------------------------------------------------
 */

/* The schema of an argument where it stands alone: what it refers to has to come along. */
static struct json_object *standing_alone(struct work *w, struct json_object *schema)
{
	static const char *const shared[] = { "$defs", "definitions" };
	struct json_object *all = tool_parameters(w->tool), *copy = NULL, *defs;

	if (json_object_deep_copy(schema, &copy, NULL))
		return NULL;
	for (int i = 0; i < 2; i++)
		if (json_object_object_get_ex(all, shared[i], &defs) &&
		    !json_object_object_get_ex(copy, shared[i], NULL))
			json_object_object_add(copy, shared[i], json_object_get(defs));
	return copy;
}

/* Strings of "enum" or "const", as they are; false: there are none, or others too. */
static bool fixed_strings(struct json_object *schema, struct text *out, const char *quote,
			  const struct stoker_vocabulary *vocabulary)
{
	struct json_object *list, *one;
	size_t count = 1;
	const bool many = json_object_object_get_ex(schema, "enum", &list) &&
			  json_object_is_type(list, json_type_array);

	if (many)
		count = json_object_array_length(list);
	else if (!json_object_object_get_ex(schema, "const", &one))
		return false;
	if (!count)
		return false;
	text_puts(out, "( ");
	for (size_t i = 0; i < count; i++) {
		if (many)
			one = json_object_array_get_idx(list, i);
		if (i)
			text_puts(out, "| ");
		rule_mark(out, vocabulary, quote);
		text_puts(out, "\"\" ");
		rule_literal(out, json_object_get_string(one));
		rule_mark(out, vocabulary, quote);
	}
	text_puts(out, ") ");
	return true;
}

static bool is_type(struct json_object *schema, const char *type)
{
	struct json_object *v;

	return json_object_object_get_ex(schema, "type", &v) &&
	       json_object_is_type(v, json_type_string) && !strcmp(json_object_get_string(v), type);
}

/* A value that isn't a string as a rule of its own, whose name is written. */
static void value_rule(struct work *w, struct json_object *schema, size_t index, struct text *out)
{
	struct json_object *alone;
	char prefix[64];

	if (is_type(schema, "boolean")) {
		text_puts(out, "boolean ");
		return;
	}
	if (w->f->style == STYLE_LOOSE && !is_type(schema, "integer") &&
	    !is_type(schema, "number")) {
		text_puts(out, is_type(schema, "object")  ? "loose-object "
			       : is_type(schema, "array") ? "loose-list "
							  : "loose ");
		return;
	}
	snprintf(prefix, sizeof(prefix), "t%zu-%zu-", w->number, index);
	alone = standing_alone(w, schema);
	schema_rules(w, prefix, alone, "any-any");
	json_object_put(alone);
	text_printf(out, "%sroot ", prefix);
}

static void string_value(struct work *w, struct json_object *schema, struct text *out)
{
	const struct call_family *f = w->f;

	if (f->style == STYLE_TAGS) {
		if (!fixed_strings(schema, out, "", w->vocabulary))
			text_puts(out, "body ");
	} else if (f->style == STYLE_LOOSE) {
		if (!fixed_strings(schema, out, f->quote, w->vocabulary))
			text_puts(out, "loose-string ");
	} else if (!fixed_strings(schema, out, "'", NULL)) {
		text_puts(out, "python-string ");
	}
}

/* --- a tag for each argument --------------------------------------------------------------------
 */

static void tag_argument(struct work *w, const char *key, struct json_object *schema, size_t index,
			 struct text *out)
{
	const struct call_family *f = w->f;
	const bool string = argument_type(w->tool, schema) != ARGUMENT_VALUE;

	rule_mark(out, w->vocabulary, f->key_open);
	rule_literal(out, key);
	rule_mark(out, w->vocabulary, f->key_close);
	if (f->key_tail) {
		if (string)
			rule_literal(out, f->string_key);
		else
			text_puts(out, "other-key ");
		rule_mark(out, w->vocabulary, f->key_tail);
	}
	if (f->value_open) {
		text_puts(out, "gap ");
		rule_mark(out, w->vocabulary, f->value_open);
	}
	if (f->lines)
		text_puts(out, "\"\\n\" ");
	if (string)
		string_value(w, schema, out);
	else
		value_rule(w, schema, index, out);
	if (f->lines)
		text_puts(out, "\"\\n\" ");
	rule_mark(out, w->vocabulary, f->value_close);
	text_puts(out, "gap ");
}

static void tag_arguments(struct work *w)
{
	struct json_object *schema = tool_parameters(w->tool), *all = properties(schema);
	struct text rule = { 0 };
	size_t index = 0;

	text_printf(&rule, "t%zu-root ::= gap ", w->number);
	if (all) {
		json_object_object_foreach(all, key, its)
		{
			const bool required = is_required(schema, key);

			if (!required)
				text_puts(&rule, "( ");
			tag_argument(w, key, its, index++, &rule);
			if (!required)
				text_puts(&rule, ")? ");
		}
	}
	text_puts(&rule, "\n");
	text_add(w->out, rule.data, rule.bytes);
	w->out->failed = w->out->failed || rule.failed;
	text_free(&rule);
}

/* --- arguments with commas between --------------------------------------------------------------
 */

/*
 * Argument @index and those behind it are a rule: once for when one has come before, so that a
 * comma is due, once for when none has.
 */
static void list_argument(struct work *w, const char *key, struct json_object *schema, size_t index,
			  bool required, struct text *out)
{
	const bool python = w->f->style == STYLE_PYTHON;
	struct text argument = { 0 };

	rule_literal(&argument, key);
	text_puts(&argument, python ? "\"=\" " : "\":\" ");
	if (argument_type(w->tool, schema) != ARGUMENT_VALUE)
		string_value(w, schema, &argument);
	else
		value_rule(w, schema, index, &argument);
	for (int some = 0; some < 2; some++) {
		text_printf(out, "t%zu-%s%zu ::= %s%s t%zu-some%zu ", w->number,
			    some ? "some" : "none", index, some ? "\",\" \" \"? " : "",
			    argument.data ? argument.data : "", w->number, index + 1);
		if (!required)
			text_printf(out, "| t%zu-%s%zu", w->number, some ? "some" : "none",
				    index + 1);
		text_puts(out, "\n");
	}
	out->failed = out->failed || argument.failed;
	text_free(&argument);
}

static void list_arguments(struct work *w)
{
	struct json_object *schema = tool_parameters(w->tool), *all = properties(schema);
	const bool python = w->f->style == STYLE_PYTHON;
	size_t index = 0;

	text_printf(w->out, "t%zu-root ::= %s t%zu-none0 %s\n", w->number, python ? "" : "\"{\"",
		    w->number, python ? "\")\"" : "\"}\"");
	if (all) {
		json_object_object_foreach(all, key, its)
		{
			list_argument(w, key, its, index, is_required(schema, key), w->out);
			index++;
		}
	}
	text_printf(w->out, "t%zu-none%zu ::= \"\"\n", w->number, index);
	if (index)
		text_printf(w->out, "t%zu-some%zu ::= \"\"\n", w->number, index);
}

int rules_of_tool(struct text *out, const struct call_family *f,
		  const struct stoker_vocabulary *vocabulary, struct json_object *tool,
		  size_t number, struct rules_left *left, struct stoker_error *err)
{
	struct work w = { .f = f,
			  .vocabulary = vocabulary,
			  .tool = tool,
			  .out = out,
			  .number = number,
			  .left = left,
			  .err = err };

	if (f->style == STYLE_TAGS)
		tag_arguments(&w);
	else if (f->style == STYLE_PYTHON || f->style == STYLE_LOOSE)
		list_arguments(&w);
	else
		json_arguments(&w);
	return out->failed ? -ENOMEM : w.ret;
}

/* --- what all tools share -----------------------------------------------------------------------
 */

static void loose_rules(struct text *out, const struct call_family *f,
			const struct stoker_vocabulary *vocabulary)
{
	text_puts(out, "loose-string ::= ");
	rule_mark(out, vocabulary, f->quote);
	rule_until(out, vocabulary, f->quote);
	rule_mark(out, vocabulary, f->quote);
	text_puts(out,
		  "\nloose ::= loose-string | any-number | boolean | \"null\" | \"None\" | "
		  "loose-list | loose-object\n"
		  "loose-list ::= \"[\" ( loose ( \",\" loose )* )? \"]\"\n"
		  "loose-object ::= \"{\" ( loose-key \":\" loose ( \",\" loose-key \":\" loose )* "
		  ")? \"}\"\n"
		  "loose-key ::= [A-Za-z0-9_.$]{1,64}\n"
		  "any-number ::= \"-\"? ( \"0\" | [1-9] [0-9]{0,17} ) ( \".\" [0-9]{1,18} )?\n");
}

int rules_shared(struct text *out, const struct call_family *f,
		 const struct stoker_vocabulary *vocabulary, struct stoker_error *err)
{
	struct json_object *any =
		json_tokener_parse("{\"type\": [\"object\", \"array\", \"string\", \"number\", "
				   "\"boolean\", \"null\"]}");
	struct json_object *object = json_tokener_parse("{\"type\": \"object\"}");
	int ret = any && object ? 0 : -ENOMEM;

	if (!ret)
		ret = rules_of_schema(out, "any-", any, err);
	if (!ret)
		ret = rules_of_schema(out, "any-object-", object, err);
	json_object_put(any);
	json_object_put(object);
	if (ret)
		return ret;
	text_puts(out, "any-any ::= any-root\nany-object ::= any-object-root\n");
	if (f->style == STYLE_TAGS || f->style == STYLE_PYTHON || f->style == STYLE_LOOSE)
		text_puts(out, "boolean ::= \"true\" | \"false\" | \"True\" | \"False\"\n");
	if (f->style == STYLE_LOOSE)
		loose_rules(out, f, vocabulary);
	if (f->style == STYLE_PYTHON)
		text_puts(out, "escape ::= \"\\\\\" [\"'\\\\/bfnrt]\n"
			       "python-string ::= \"'\" ( [^'\\\\] | escape )* \"'\" | "
			       "\"\\\"\" ( [^\"\\\\] | escape )* \"\\\"\"\n");
	if (f->style == STYLE_TAGS) {
		text_puts(out, "body ::= ");
		rule_until(out, vocabulary, f->value_close);
		text_puts(out, "\n");
	}
	return out->failed ? -ENOMEM : 0;
}
