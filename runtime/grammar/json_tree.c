// SPDX-License-Identifier: MIT
/* See json_tree.h: reading JSON (RFC 8259). */
#include "grammar/json_tree.h"

#include "grammar/decimal.h"
#include "text/vocabulary.h"

struct json_reader {
	struct translation *t;
	const char *text;
	size_t bytes, at;
	uint32_t ids;
	unsigned nesting;
};

static _Noreturn void fail(const struct json_reader *r, size_t at, const char *what)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at && i < r->bytes; i++) {
		column = r->text[i] == '\n' ? 1 : column + ((r->text[i] & 0xc0) != 0x80);
		line += r->text[i] == '\n';
	}
	translation_fail(r->t, -EINVAL, "the schema isn't JSON: line %zu, column %zu: %s", line,
			 column, what);
}

static char peek(const struct json_reader *r)
{
	return r->at < r->bytes ? r->text[r->at] : 0;
}

static void skip_space(struct json_reader *r)
{
	while (peek(r) && strchr(" \t\r\n", peek(r)))
		r->at++;
}

static uint32_t read_unit(struct json_reader *r, size_t from)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++, r->at++) {
		if (ascii_hex_digit(peek(r)) < 0)
			fail(r, from, "\\u has four hexadecimal digits behind it");
		value = value << 4 | (uint32_t)ascii_hex_digit(peek(r));
	}
	return value;
}

/* A backslash stands here. */
static uint32_t read_escape(struct json_reader *r)
{
	static const char letters[] = "\"\\/bfnrt", lettered[] = "\"\\/\b\f\n\r\t";
	const size_t from = r->at++;
	const char c = peek(r), *letter = c ? strchr(letters, c) : NULL;
	uint32_t unit, low;

	r->at++;
	if (letter)
		return (uint8_t)lettered[letter - letters];
	if (c != 'u')
		fail(r, from, "an unknown escape");
	unit = read_unit(r, from);
	if (unit < 0xd800 || unit >= 0xe000)
		return unit;
	if (unit >= 0xdc00 || r->bytes - r->at < 6 || memcmp(r->text + r->at, "\\u", 2) != 0)
		fail(r, from, "half of a surrogate pair");
	r->at += 2;
	low = read_unit(r, from);
	if (low < 0xdc00 || low >= 0xe000)
		fail(r, from, "half of a surrogate pair");
	return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static const char *read_string(struct json_reader *r, size_t *bytes)
{
	const size_t from = r->at++;
	size_t end = r->at, n = 0;
	char *out;

	while (end < r->bytes && r->text[end] != '"')
		end += r->text[end] == '\\' ? 2 : 1;
	if (end >= r->bytes)
		fail(r, from, "the string that begins here isn't closed");
	out = translation_alloc(r->t, end - r->at + 1);
	while (r->at < end) {
		uint32_t c = 0;
		const size_t length = utf8_decode(r->text + r->at, end - r->at, &c);

		if (!length)
			fail(r, r->at, "a byte that isn't UTF-8");
		if (c < 32)
			fail(r, r->at, "a control character in a string");
		if (c == '\\')
			c = read_escape(r);
		else
			r->at += length;
		n += utf8_encode(c, out + n);
	}
	r->at = end + 1;
	out[n] = 0;
	*bytes = n;
	return out;
}

static void read_digits(struct json_reader *r)
{
	if (!ascii_is_digit(peek(r)))
		fail(r, r->at, "a digit is expected");
	while (ascii_is_digit(peek(r)))
		r->at++;
}

static void read_number(struct json_reader *r, struct json *v)
{
	const size_t from = r->at;

	r->at += peek(r) == '-';
	if (peek(r) == '0')
		r->at++;
	else
		read_digits(r);
	if (peek(r) == '.') {
		r->at++;
		read_digits(r);
	}
	if (peek(r) == 'e' || peek(r) == 'E') {
		r->at++;
		r->at += peek(r) == '+' || peek(r) == '-';
		read_digits(r);
	}
	v->kind = JSON_NUMBER;
	v->text = r->text + from;
	v->bytes = r->at - from;
}

static void read_word(struct json_reader *r, struct json *v)
{
	static const struct {
		const char *word;
		enum json_kind kind;
	} words[] = { { "null", JSON_NULL }, { "false", JSON_FALSE }, { "true", JSON_TRUE } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const size_t n = strlen(words[i].word);

		if (r->bytes - r->at >= n && !memcmp(r->text + r->at, words[i].word, n)) {
			v->kind = words[i].kind;
			r->at += n;
			return;
		}
	}
	fail(r, r->at, r->at < r->bytes ? "a value is expected" : "it isn't complete");
}

static int compare_keys(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	const int order = memcmp(a, b, MIN(a_bytes, b_bytes));

	return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int by_key(const void *a, const void *b)
{
	const struct json *x = *(const struct json *const *)a, *y = *(const struct json *const *)b;

	return compare_keys(x->key, x->key_bytes, y->key, y->key_bytes);
}

static void sort_members(struct json_reader *r, struct json *v)
{
	size_t n = 0;

	v->sorted = translation_alloc(r->t, v->count * sizeof(*v->sorted));
	for (const struct json *m = v->first; m; m = m->next)
		v->sorted[n++] = m;
	qsort(v->sorted, n, sizeof(*v->sorted), by_key);
	for (size_t i = 1; i < n; i++)
		if (!by_key(&v->sorted[i - 1], &v->sorted[i]))
			translation_fail(r->t, -EINVAL, "the key \"%.80s\" is twice in %s",
					 v->sorted[i]->key, json_pointer(r->t, v));
}

static struct json *read_value(struct json_reader *r, const struct json *parent, const char *key,
			       size_t key_bytes);

/* Elements or members up to the bracket that closes them. */
static void read_list(struct json_reader *r, struct json *v)
{
	const bool object = r->text[r->at] == '{';
	const char close = object ? '}' : ']';
	struct json *last = NULL;

	v->kind = object ? JSON_OBJECT : JSON_ARRAY;
	if (++r->nesting > TRANSLATION_NESTING)
		translation_fail(r->t, -E2BIG, "the schema nests deeper than %d levels",
				 TRANSLATION_NESTING);
	r->at++;
	skip_space(r);
	while (last || peek(r) != close) {
		const char *key = NULL;
		size_t key_bytes = 0;
		struct json *one;

		if (object) {
			if (peek(r) != '"')
				fail(r, r->at, "a key is expected");
			key = read_string(r, &key_bytes);
			skip_space(r);
			if (peek(r) != ':')
				fail(r, r->at, "\":\" is expected");
			r->at++;
		}
		one = read_value(r, v, key, key_bytes);
		v->count++;
		if (last)
			last->next = one;
		else
			v->first = one;
		last = one;
		if (peek(r) == close)
			break;
		if (peek(r) != ',')
			fail(r, r->at,
			     r->at < r->bytes ? "\",\" is expected" : "it isn't complete");
		r->at++;
		skip_space(r);
	}
	r->at++;
	r->nesting--;
	if (object)
		sort_members(r, v);
}

/* A value and the blanks around it. */
static struct json *read_value(struct json_reader *r, const struct json *parent, const char *key,
			       size_t key_bytes)
{
	struct json *v = translation_alloc(r->t, sizeof(*v));

	*v = (struct json){ .id = r->ids++,
			    .key = key,
			    .key_bytes = key_bytes,
			    .parent = parent,
			    .index = parent ? parent->count : 0 };
	skip_space(r);
	switch (peek(r)) {
	case '"':
		v->kind = JSON_STRING;
		v->text = read_string(r, &v->bytes);
		break;
	case '{':
	case '[':
		read_list(r, v);
		break;
	default:
		if (peek(r) == '-' || ascii_is_digit(peek(r)))
			read_number(r, v);
		else
			read_word(r, v);
	}
	skip_space(r);
	return v;
}

struct json *json_parse(struct translation *t, const char *text, size_t bytes)
{
	struct json_reader r = { .t = t, .text = text, .bytes = bytes };
	struct json *v = read_value(&r, NULL, NULL, 0);

	if (r.at < bytes)
		fail(&r, r.at, "something follows its end");
	return v;
}

const struct json *json_member(const struct json *object, const char *key, size_t bytes)
{
	size_t low = 0, high = object && object->kind == JSON_OBJECT ? object->count : 0;

	while (low < high) {
		const size_t middle = (low + high) / 2;
		const struct json *m = object->sorted[middle];
		const int order = compare_keys(key, bytes, m->key, m->key_bytes);

		if (!order)
			return m;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
	return json_member(object, key, strlen(key));
}

bool json_equal(struct translation *t, const struct json *a, const struct json *b)
{
	const struct json *x = a->first, *y = b->first;

	translation_step(t, 1 + MIN(a->bytes, b->bytes) / 64);
	if (a->kind != b->kind || a->count != b->count)
		return false;
	if (a->kind == JSON_STRING)
		return a->bytes == b->bytes && !memcmp(a->text, b->text, a->bytes);
	if (a->kind == JSON_NUMBER)
		return decimal_same(t, a, b);
	if (a->kind == JSON_ARRAY)
		for (; x; x = x->next, y = y->next)
			if (!json_equal(t, x, y))
				return false;
	if (a->kind == JSON_OBJECT) {
		for (; x; x = x->next) {
			y = json_member(b, x->key, x->key_bytes);
			if (!y || !json_equal(t, x, y))
				return false;
		}
	}
	return true;
}

const char *json_pointer(struct translation *t, const struct json *at)
{
	enum { ROOM = 200 };
	char *out = translation_alloc(t, ROOM + 1);
	size_t n = ROOM;

	out[n] = 0;
	for (; at->parent; at = at->parent) {
		char number[16];
		const bool member = at->parent->kind == JSON_OBJECT;
		const char *part = member ? at->key : number;
		size_t bytes = member ? at->key_bytes : 0;

		if (!member)
			for (uint32_t i = at->index; i || !bytes; i /= 10) {
				memmove(number + 1, number, bytes++);
				number[0] = (char)('0' + i % 10);
			}
		while (bytes && n > 8) {
			const char c = part[--bytes];

			if (c == '~' || c == '/')
				out[--n] = c == '~' ? '0' : '1';
			out[--n] = c == '/' ? '~' : c;
		}
		if (n <= 8) { /* its end is what tells it from others */
			while ((out[n] & 0xc0) == 0x80)
				n++;
			memcpy(out + n - 4, "#...", 4);
			return out + n - 4;
		}
		out[--n] = '/';
	}
	out[--n] = '#';
	return out + n;
}
