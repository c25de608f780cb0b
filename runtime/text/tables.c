// SPDX-License-Identifier: MIT
/* Small tables of tokenizers: UTF-8, lists of tokens, maps from strings to numbers. */
#include "text/vocabulary.h"

size_t utf8_decode(const char *text, size_t bytes, uint32_t *code_point)
{
	const unsigned char *s = (const unsigned char *)text;
	const size_t n = s[0] < 0x80   ? 1
			 : s[0] < 0xc2 ? 0
			 : s[0] < 0xe0 ? 2
			 : s[0] < 0xf0 ? 3
			 : s[0] < 0xf5 ? 4
				       : 0;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

	if (n == 0 || n > bytes)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
	    (n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	*code_point = c;
	return n;
}

size_t utf8_encode(uint32_t c, char out[4])
{
	const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(lead[n] | c);
	return n;
}

void token_list_add(struct token_list *list, uint32_t id)
{
	if (list->count == list->room) {
		const size_t room = 2 * list->room + 64;
		uint32_t *more = list->failed ? NULL : realloc(list->ids, room * sizeof(*more));

		if (!more) {
			list->failed = true;
			return;
		}
		list->ids = more;
		list->room = room;
	}
	list->ids[list->count++] = id;
}

static uint64_t hash(const char *text, size_t length)
{
	uint64_t h = HASH_BEGIN;

	for (size_t i = 0; i < length; i++)
		h = hash_step(h, text[i]);
	return hash_end(h);
}

int string_map_create(struct string_map *map, size_t count)
{
	size_t room = 16;

	while (room < 2 * count)
		room *= 2;
	map->keys = malloc(room * sizeof(*map->keys));
	map->values = malloc(room * sizeof(*map->values));
	map->mask = room - 1;
	if (!map->keys || !map->values)
		return -ENOMEM;
	memset(map->values, 0xff, room * sizeof(*map->values));
	return 0;
}

/* Where @text is, or where it belongs. */
static size_t string_map_place(const struct string_map *map, uint64_t h, const char *text,
			       size_t length)
{
	size_t i = h & map->mask;

	while (map->values[i] != UINT32_MAX &&
	       (map->keys[i].length != length || memcmp(map->keys[i].data, text, length)))
		i = (i + 1) & map->mask;
	return i;
}

uint32_t string_map_find(const struct string_map *map, uint64_t h, const char *text, size_t length)
{
	return map->values ? map->values[string_map_place(map, h, text, length)] : UINT32_MAX;
}

uint32_t string_map_get(const struct string_map *map, const char *text, size_t length)
{
	return string_map_find(map, hash(text, length), text, length);
}

void string_map_put(struct string_map *map, struct stoker_string key, uint32_t value)
{
	const size_t i = string_map_place(map, hash(key.data, key.length), key.data, key.length);

	if (map->values[i] == UINT32_MAX) {
		map->keys[i] = key;
		map->values[i] = value;
	}
}

void string_map_free(struct string_map *map)
{
	free(map->keys);
	free(map->values);
}
