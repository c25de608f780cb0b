// SPDX-License-Identifier: MIT
/* What a $ref names: a place in the same document. */
#include "grammar/schema.h"

/* "#" is where the nearest schema around begins that has an $id, or the document. */
static const struct json *resource(const struct json *at)
{
	for (; at->parent; at = at->parent) {
		const struct json *id = json_get(at, "$id");

		id = id ? id : json_get(at, "id");
		if (id && id->kind == JSON_STRING && id->text[0] != '#') /* that names a place */
			break;
	}
	return at;
}

/* Undoes %41, as in any URI, of the @bytes. */
static size_t decode_percent(char *text, size_t bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++) {
		const bool code = text[i] == '%' && i + 2 < bytes &&
				  ascii_hex_digit(text[i + 1]) >= 0 &&
				  ascii_hex_digit(text[i + 2]) >= 0;

		text[n++] = code ? (char)(16 * ascii_hex_digit(text[i + 1]) +
					  ascii_hex_digit(text[i + 2]))
				 : text[i];
		i += code ? 2 : 0;
	}
	return n;
}

/* The first part of a JSON pointer, ~0 and ~1 undone; returns how much of it that was. */
static size_t next_part(const char *pointer, size_t bytes, char *part, size_t *length)
{
	size_t i = 0, n = 0;

	for (; i < bytes && pointer[i] != '/'; i++) {
		const char next = i + 1 < bytes ? pointer[i + 1] : 0;

		if (pointer[i] == '~' && (next == '0' || next == '1'))
			part[n++] = pointer[++i] == '0' ? '~' : '/';
		else
			part[n++] = pointer[i];
	}
	*length = n;
	return i;
}

static const struct json *element(const struct json *array, const char *part, size_t length)
{
	const struct json *e = array->first;
	uint64_t index = 0;

	if (!length || length > 9 || (length > 1 && part[0] == '0'))
		return NULL;
	for (size_t i = 0; i < length; i++) {
		if (!ascii_is_digit(part[i]))
			return NULL;
		index = 10 * index + (uint64_t)(part[i] - '0');
	}
	while (e && index--)
		e = e->next;
	return e;
}

const struct json *schema_target(struct schema *s, const struct json *reference)
{
	char *pointer = translation_alloc(s->t, reference->bytes + 1);
	char *part = translation_alloc(s->t, reference->bytes + 1);
	const struct json *at = resource(reference->parent);
	size_t bytes = reference->bytes, used = 1, length;

	translation_step(s->t, 16 + bytes / 64);
	memcpy(pointer, reference->text, bytes);
	if (!bytes || pointer[0] != '#')
		refuse(s, reference, "names another document");
	bytes = decode_percent(pointer, bytes);
	if (bytes > 1 && pointer[1] != '/')
		refuse(s, reference, "names an anchor, not a place");
	while (at && used < bytes) {
		used++;
		used += next_part(pointer + used, bytes - used, part, &length);
		at = at->kind == JSON_ARRAY ? element(at, part, length)
					    : json_member(at, part, length);
	}
	if (!at)
		refuse(s, reference, "names nothing that is there");
	return at;
}
