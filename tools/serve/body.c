// SPDX-License-Identifier: MIT
/* The bodies of requests. */
#include "serve/body.h"

#include <string.h>

struct body_size {
	size_t depth, values;
};

/* Says nothing of whether it is JSON. */
static struct body_size measure(const char *data, size_t bytes)
{
	struct body_size size = { .values = 1 };
	size_t depth = 0;
	bool string = false;

	for (size_t i = 0; i < bytes; i++) {
		switch (data[i]) {
		case '"':
			string = !string;
			break;
		case '\\':
			i += string;
			break;
		case '[':
		case '{':
			if (!string && ++depth > size.depth)
				size.depth = depth;
			size.values += !string;
			break;
		case ']':
		case '}':
			depth -= !string && depth;
			break;
		case ',':
		case ':':
			size.values += !string;
			break;
		}
	}
	return size;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* json-c takes some words that aren't JSON, NaN among them.  NULL: there is none. */
static const char *find_odd_word(const char *data, size_t bytes, size_t *length)
{
	static const char *const known[] = { "true", "false", "null", "e", "E" };
	bool string = false;

	for (size_t i = 0; i < bytes; i++) {
		bool odd = true;

		string ^= data[i] == '"';
		i += string && data[i] == '\\';
		if (string || !is_letter(data[i]))
			continue;
		for (*length = 1; i + *length < bytes && is_letter(data[i + *length]);)
			++*length;
		for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++)
			odd &= strlen(known[k]) != *length ||
			       memcmp(known[k], data + i, *length) != 0;
		if (odd)
			return data + i;
		i += *length - 1;
	}
	return NULL;
}

static bool parse(struct json_tokener *tokener, const char *data, size_t bytes,
		  struct json_object **object, struct problem *p)
{
	enum json_tokener_error error;
	size_t end;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*object = json_tokener_parse_ex(tokener, data, (int)bytes);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	if (error == json_tokener_continue)
		return problem_set(p, 400, NULL, NULL, "the body ends in the middle of its JSON");
	if (error != json_tokener_success)
		return problem_set(p, 400, NULL, NULL, "the body isn't JSON: %s at byte %zu",
				   json_tokener_error_desc(error), end);
	for (; end < bytes; end++)
		if (!data[end] || !strchr(" \t\r\n", data[end]))
			return problem_set(p, 400, NULL, NULL,
					   "the body goes on behind its JSON, at byte %zu", end);
	if (!json_object_is_type(*object, json_type_object))
		return problem_set(p, 400, NULL, NULL, "the body has to be a JSON object");
	return true;
}

bool body_check(const char *data, size_t bytes, size_t *values, struct problem *p)
{
	const struct body_size size = measure(data, bytes);
	size_t begin = 0, length;
	const char *odd;

	*values = size.values;
	if (!bytes)
		return problem_set(p, 400, NULL, NULL, "a JSON object is needed as the body");
	while (begin < bytes && data[begin] && strchr(" \t\r\n", data[begin]))
		begin++;
	if (begin < bytes && data[begin] != '{' && data[begin] != '[')
		return problem_set(p, 400, NULL, NULL, "the body has to be a JSON object");
	if (size.depth > BODY_DEPTH)
		return problem_set(p, 400, NULL, NULL,
				   "the body's JSON is nested %zu deep, %d is the most", size.depth,
				   BODY_DEPTH);
	if (size.values > BODY_VALUES)
		return problem_set(p, 400, NULL, NULL,
				   "the body's JSON has about %zu values, %d are the most",
				   size.values, BODY_VALUES);
	odd = find_odd_word(data, bytes, &length);
	if (odd)
		return problem_set(p, 400, NULL, NULL, "the body isn't JSON: %.*s at byte %zu",
				   length < 20 ? (int)length : 20, odd, (size_t)(odd - data));
	return true;
}

bool body_parse(const char *data, size_t bytes, struct json_object **object, struct problem *p)
{
	struct json_tokener *tokener = json_tokener_new_ex(BODY_DEPTH + 1);
	bool ok;

	*object = NULL;
	if (!tokener)
		return problem_set(p, 503, NULL, NULL, "there is no memory for this request");
	ok = parse(tokener, data, bytes, object, p);
	json_tokener_free(tokener);
	if (!ok) {
		json_object_put(*object);
		*object = NULL;
	}
	return ok;
}
