// SPDX-License-Identifier: MIT
/* Values as text: Python's str() and repr(). */
#include "text/template/interpreter.h"

#include <stdio.h>

static void put_code(struct job *j, struct output *o, uint32_t c, const struct text *t, size_t at)
{
	char code[16];

	if (c < 0x100)
		snprintf(code, sizeof(code), "\\x%02x", c);
	else if (c < 0x10000)
		snprintf(code, sizeof(code), "\\u%04x", c);
	else
		snprintf(code, sizeof(code), "\\U%08x", c);
	put_like(j, o, code, strlen(code), t, at);
}

static void put_quoted(struct job *j, struct output *o, const struct text *t)
{
	const bool twice = memchr(t->data, '\'', t->bytes) && !memchr(t->data, '"', t->bytes);
	const char quote = twice ? '"' : '\'';
	size_t done = 0, escapes = 0, n;
	uint32_t c;

	job_work(j, SLOW * t->bytes);
	put(j, o, &quote, 1);
	for (size_t i = 0; i < t->bytes; i += n) {
		const char *code = NULL;

		n = character_at(t, i, &c);
		if (c == '\\' || c == (uint32_t)quote)
			code = c == '\\' ? "\\\\" : "\\'";
		else if (c == '\n')
			code = "\\n";
		else if (c == '\r')
			code = "\\r";
		else if (c == '\t')
			code = "\\t";
		else if (is_printable(c))
			continue;
		put_part(j, o, t, done, i);
		if (code)
			put_like(j, o, code, 2, t, i);
		else
			put_code(j, o, c, t, i);
		done = i + n;
		escapes++;
	}
	job_step(j, escapes);
	put_part(j, o, t, done, t->bytes);
	put(j, o, &quote, 1);
}

static void put_items(struct job *j, struct output *o, const struct sequence *s)
{
	for (size_t i = 0; i < s->count; i++) {
		job_step(j, 1);
		if (i)
			put_string(j, o, ", ");
		print_repr(j, o, s->items[i]);
	}
}

/* As near as it gets to what the range was made with. */
static int64_t range_end(const struct sequence *s)
{
	int64_t end;

	return !s->count || __builtin_add_overflow(sequence_at(s, s->count - 1).integer, s->step,
						   &end)
		       ? (s->count ? s->step < 0 ? INT64_MIN : INT64_MAX : s->start)
		       : end;
}

static void put_sequence(struct job *j, struct output *o, const struct sequence *s)
{
	char text[100];

	switch (s->flavour) {
	case FLAVOUR_LIST:
		put_string(j, o, "[");
		put_items(j, o, s);
		put_string(j, o, "]");
		return;
	case FLAVOUR_TUPLE:
	case FLAVOUR_GROUP:
		put_string(j, o, "(");
		put_items(j, o, s);
		put_string(j, o, s->count == 1 ? ",)" : ")");
		return;
	case FLAVOUR_RANGE:
		snprintf(text, sizeof(text),
			 s->step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)",
			 (long long)s->start, (long long)range_end(s), (long long)s->step);
		put_string(j, o, text);
		return;
	case FLAVOUR_ITERATOR:
		put_string(j, o, "<generator object>");
		return;
	default:
		put_string(j, o,
			   s->flavour == FLAVOUR_KEYS	  ? "dict_keys(["
			   : s->flavour == FLAVOUR_VALUES ? "dict_values(["
							  : "dict_items([");
		put_items(j, o, s);
		put_string(j, o, "])");
	}
}

static void put_dict(struct job *j, struct output *o, const struct dict *d)
{
	put_string(j, o, "{");
	for (size_t i = 0; i < d->count; i++) {
		job_step(j, 1);
		if (i)
			put_string(j, o, ", ");
		print_repr(j, o, d->entries[i].key);
		put_string(j, o, ": ");
		print_repr(j, o, d->entries[i].value);
	}
	put_string(j, o, "}");
}

void print_repr(struct job *j, struct output *o, struct value v)
{
	char text[64];

	job_enter(j);
	switch (v.kind) {
	case VALUE_UNDEFINED:
	case VALUE_ABSENT:
		put_string(j, o, "Undefined");
		break;
	case VALUE_NONE:
		put_string(j, o, "None");
		break;
	case VALUE_BOOL:
		put_string(j, o, v.truth ? "True" : "False");
		break;
	case VALUE_INT:
		put(j, o, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v.integer));
		break;
	case VALUE_FLOAT:
		put(j, o, text, real_repr(j, v.real, text));
		break;
	case VALUE_TEXT:
		if (v.text->safe)
			put_string(j, o, "Markup(");
		put_quoted(j, o, v.text);
		if (v.text->safe)
			put_string(j, o, ")");
		break;
	case VALUE_SEQUENCE:
		put_sequence(j, o, v.sequence);
		break;
	case VALUE_NAMESPACE:
	case VALUE_DICT:
		if (v.kind == VALUE_NAMESPACE)
			put_string(j, o, "<Namespace ");
		put_dict(j, o, v.dict);
		if (v.kind == VALUE_NAMESPACE)
			put_string(j, o, ">");
		break;
	case VALUE_MACRO:
		put_string(j, o, "<Macro ");
		if (v.macro->node->text)
			put_quoted(j, o, v.macro->node->text);
		else
			put_string(j, o, "anonymous");
		put_string(j, o, ">");
		break;
	default:
		put_string(j, o, "<");
		put_string(j, o, type_name(v));
		put_string(j, o, ">");
	}
	job_leave(j);
}

void print_value(struct job *j, struct output *o, struct value v)
{
	if (v.kind == VALUE_TEXT)
		put_text(j, o, v.text);
	else if (v.kind != VALUE_UNDEFINED && v.kind != VALUE_ABSENT)
		print_repr(j, o, v);
}

const struct text *to_text(struct job *j, struct value v)
{
	struct output o = { 0 };

	if (v.kind == VALUE_TEXT)
		return v.text;
	print_value(j, &o, v);
	return output_text(j, &o);
}

const struct text *repr_text(struct job *j, struct value v)
{
	struct output o = { 0 };

	print_repr(j, &o, v);
	return output_text(j, &o);
}
