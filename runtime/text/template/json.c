// SPDX-License-Identifier: MIT
/* JSON text to values, by json-c, and values to JSON text, as Python's json.dumps() has it. */
#include "text/template/text.h"

#include <json-c/json.h>
#include <stdio.h>

/* Texts by which templates build control tokens: '<|' + message.role + '|>'. */
static const char *const plain_roles[] = {
	"system",  "developer",	  "user",	   "assistant", "tool",	       "function",
	"ipython", "model",	  "human",	   "gpt",	"observation", "context",
	"critic",  "environment", "tool_response", "root",	"platform",    "latest_reminder",
};

const struct text *known_role(struct job *j, const char *role, size_t bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(plain_roles); i++)
		if (bytes == strlen(plain_roles[i]) && !memcmp(role, plain_roles[i], bytes))
			return constant(j, plain_roles[i]);
	return NULL;
}

struct conversion {
	struct job *j;
	bool marked;
	unsigned depth;
};

static struct value json_text(const struct conversion *c, struct json_object *o, bool role)
{
	const char *s = json_object_get_string(o);
	const size_t bytes = (size_t)json_object_get_string_len(o);

	const struct text *t = role ? known_role(c->j, s, bytes) : NULL;

	return text_value(t ? t : new_text(c->j, s, bytes, c->marked));
}

static struct value convert(struct conversion *c, struct json_object *o, bool role)
{
	struct sequence *list;
	struct dict *d;

	if (++c->depth > MAX_NESTING)
		job_fail(c->j, -E2BIG, "the JSON nests deeper than %d levels", MAX_NESTING);
	switch (json_object_get_type(o)) {
	case json_type_boolean:
		c->depth--;
		return boolean(json_object_get_boolean(o));
	case json_type_double:
		c->depth--;
		return real(json_object_get_double(o));
	case json_type_int:
		if (json_object_get_int64(o) == INT64_MAX || json_object_get_int64(o) == INT64_MIN)
			job_fail(c->j, -EINVAL, "a whole number in the JSON has more than 64 bits");
		c->depth--;
		return integer(json_object_get_int64(o));
	case json_type_string:
		c->depth--;
		return json_text(c, o, role);
	case json_type_array:
		list = new_sequence(c->j, FLAVOUR_LIST, json_object_array_length(o));
		for (size_t i = 0; i < json_object_array_length(o); i++)
			sequence_add(c->j, list,
				     convert(c, json_object_array_get_idx(o, i), false));
		c->depth--;
		return sequence_value(list);
	case json_type_object:
		d = new_dict(c->j);
		json_object_object_foreach(o, key, value)
		{
			const bool is_role = !strcmp(key, "role");
			const struct text *t = new_text(c->j, key, strlen(key), c->marked);

			dict_set(c->j, d, text_value(t), convert(c, value, is_role));
		}
		c->depth--;
		return dict_value(d);
	default:
		c->depth--;
		return NONE;
	}
}

/*
 * About what json-c will take: an object has a table from the beginning on, also one without
 * members.
 */
static size_t parsed_bytes(const char *data, size_t bytes)
{
	enum { OF_OBJECT = 800, OF_LIST = 400, OF_ELEMENT = 96 };
	size_t total = bytes;
	bool inside = false;

	for (size_t i = 0; i < bytes; i++) {
		if (data[i] == '"')
			inside = !inside;
		else if (inside)
			i += data[i] == '\\';
		else
			total += data[i] == '{'	  ? OF_OBJECT
				 : data[i] == '[' ? OF_LIST
				 : data[i] == ',' ? OF_ELEMENT
						  : 0;
	}
	return total;
}

struct value from_json(struct job *j, const char *data, size_t bytes, const char *what, bool marked)
{
	struct conversion c = { .j = j, .marked = marked };
	struct json_tokener *tokener = json_tokener_new_ex(MAX_NESTING);
	enum json_tokener_error error;
	struct json_object *o;
	struct value v;
	size_t used;

	if (!tokener)
		job_fail(j, -ENOMEM, "out of memory");
	if (bytes > MAX_OUTPUT || parsed_bytes(data, bytes) > MAX_MEMORY) {
		json_tokener_free(tokener);
		if (bytes > MAX_OUTPUT)
			job_fail(j, -E2BIG, "%s: JSON of %zu bytes, limit %d", what, bytes,
				 MAX_OUTPUT);
		job_fail(j, -E2BIG, "%s: JSON of so many values needs more than %d MiB of memory",
			 what, MAX_MEMORY >> 20);
	}
	o = json_tokener_parse_ex(tokener, data, (int)bytes);
	error = json_tokener_get_error(tokener);
	used = json_tokener_get_parse_end(tokener);
	if (error == json_tokener_continue) { /* a number at the end */
		json_object_put(o);
		o = json_tokener_parse_ex(tokener, "", 1);
		error = json_tokener_get_error(tokener);
		used = bytes;
	}
	json_tokener_free(tokener);
	while (used < bytes && strchr(" \t\r\n", data[used]) && data[used])
		used++;
	if (error || used < bytes) {
		json_object_put(o);
		job_fail(j, -EINVAL, "%s: byte %zu of the JSON: %s", what, used,
			 error == json_tokener_continue ? "it isn't complete"
			 : error			? json_tokener_error_desc(error)
							: "something follows its end");
	}
	j->parsed = o; /* released by an error, too */
	v = convert(&c, o, false);
	release_json(j);
	return v;
}

void release_json(struct job *j)
{
	json_object_put(j->parsed);
	j->parsed = NULL;
}

struct dump {
	struct job *j;
	struct output o;
	const struct json_options *options;
	size_t level;
	bool marked;
};

static void put_json_text(struct dump *d, const struct text *t)
{
	const bool ascii = d->options->ascii;
	size_t done = 0, escapes = 0, n;
	char code[16];
	uint32_t c;

	put_string(d->j, &d->o, "\"");
	for (size_t i = 0; i < t->bytes; i += n) {
		static const char names[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
		const char *known;

		n = character_at(t, i, &c);
		if (c >= 32 && c != '"' && c != '\\' && (!ascii || c < 127))
			continue;
		known = c < 128 && c ? memchr(names, (int)c, sizeof(names) - 1) : NULL;
		put_part(d->j, &d->o, t, done, i);
		done = i + n;
		if (known)
			snprintf(code, sizeof(code), "\\%c", letters[known - names]);
		else if (c >= 0x10000)
			snprintf(code, sizeof(code), "\\u%04x\\u%04x",
				 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
		else
			snprintf(code, sizeof(code), "\\u%04x", c);
		put_like(d->j, &d->o, code, strlen(code), t, i);
		escapes++;
	}
	job_step(d->j, escapes);
	put_part(d->j, &d->o, t, done, t->bytes);
	put_string(d->j, &d->o, "\"");
	d->marked = d->marked || is_marked(t);
	job_work(d->j, SLOW * t->bytes);
}

static void put_real(struct dump *d, double number)
{
	char text[40];
	const size_t n = real_repr(d->j, number, text);

	put_string(d->j, &d->o,
		   !strcmp(text, "nan")	   ? "NaN"
		   : !strcmp(text, "inf")  ? "Infinity"
		   : !strcmp(text, "-inf") ? "-Infinity"
					   : "");
	if (n && (text[n - 1] >= '0' && text[n - 1] <= '9'))
		put(d->j, &d->o, text, n);
}

static void new_line(struct dump *d)
{
	if (!d->options->indent_text)
		return;
	put_string(d->j, &d->o, "\n");
	for (size_t i = 0; i < d->level; i++)
		put_text(d->j, &d->o, d->options->indent_text);
}

static void put_json(struct dump *d, struct value v);

static void put_list(struct dump *d, const struct sequence *s)
{
	if (!s->count) {
		put_string(d->j, &d->o, "[]");
		return;
	}
	put_string(d->j, &d->o, "[");
	d->level++;
	for (size_t i = 0; i < s->count; i++) {
		if (i)
			put_text(d->j, &d->o, d->options->item);
		new_line(d);
		put_json(d, sequence_at(s, i));
	}
	d->level--;
	new_line(d);
	put_string(d->j, &d->o, "]");
}

static void put_key(struct dump *d, struct value key)
{
	if (key.kind == VALUE_TEXT) {
		put_json_text(d, key.text);
		return;
	}
	if (!is_number(key) && key.kind != VALUE_NONE)
		job_fail(d->j, -EINVAL, "keys must be str, int, float, bool or None, not %s",
			 type_name(key));
	put_string(d->j, &d->o, "\"");
	put_json(d, key);
	put_string(d->j, &d->o, "\"");
}

static void put_object(struct dump *d, const struct dict *dict)
{
	struct sequence *order = new_sequence(d->j, FLAVOUR_LIST, dict->count);
	struct value *keys = job_alloc(d->j, dict->count * sizeof(*keys));

	if (!dict->count) {
		put_string(d->j, &d->o, "{}");
		return;
	}
	for (size_t i = 0; i < dict->count; i++) {
		order->items[order->count++] = integer((int64_t)i);
		keys[i] = dict->entries[i].key;
	}
	if (d->options->sort)
		sort_values(d->j, order->items, keys, dict->count, false);
	put_string(d->j, &d->o, "{");
	d->level++;
	for (size_t i = 0; i < order->count; i++) {
		const struct entry *e = &dict->entries[order->items[i].integer];

		if (i)
			put_text(d->j, &d->o, d->options->item);
		new_line(d);
		put_key(d, e->key);
		put_text(d->j, &d->o, d->options->key);
		put_json(d, e->value);
	}
	d->level--;
	new_line(d);
	put_string(d->j, &d->o, "}");
}

static void put_json(struct dump *d, struct value v)
{
	char number[32];

	job_step(d->j, 1);
	job_enter(d->j);
	switch (v.kind) {
	case VALUE_NONE:
		put_string(d->j, &d->o, "null");
		break;
	case VALUE_BOOL:
		put_string(d->j, &d->o, v.truth ? "true" : "false");
		break;
	case VALUE_INT:
		snprintf(number, sizeof(number), "%lld", (long long)v.integer);
		put_string(d->j, &d->o, number);
		break;
	case VALUE_FLOAT:
		put_real(d, v.real);
		break;
	case VALUE_TEXT:
		put_json_text(d, v.text);
		break;
	case VALUE_DICT:
		put_object(d, v.dict);
		break;
	case VALUE_SEQUENCE:
		if (is_flavour(v, FLAVOUR_LIST) || is_tuple(v)) {
			put_list(d, v.sequence);
			break;
		}
		__attribute__((fallthrough));
	default:
		job_fail(d->j, -EINVAL, "Object of type %s is not JSON serializable", type_name(v));
	}
	job_leave(d->j);
}

const struct text *to_json(struct job *j, struct value v, const struct json_options *options)
{
	struct dump d = { .j = j, .options = options };

	put_json(&d, v);
	/* quotes and braces of a message's data are not the template's to be taken for anything */
	if (d.marked)
		mark_from(j, &d.o, 0);
	return output_text(j, &d.o);
}
