// SPDX-License-Identifier: MIT
/* Small tables of tokenizers: UTF-8, lists of tokens, maps from strings to numbers. */
#include <sys/random.h>
#include <utf8proc.h>

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

bool is_white_space(uint32_t c)
{
	const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);

	return (c >= 9 && c <= 13) || c == 0x85 ||
	       (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP);
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

static inline uint64_t rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void sip_round(uint64_t s[4])
{
	s[0] += s[1];
	s[2] += s[3];
	s[1] = rotate(s[1], 13) ^ s[0];
	s[3] = rotate(s[3], 16) ^ s[2];
	s[0] = rotate(s[0], 32) + s[3];
	s[2] += s[1];
	s[3] = rotate(s[3], 21) ^ s[0];
	s[1] = rotate(s[1], 17) ^ s[2];
	s[2] = rotate(s[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012): who doesn't know the key can't make strings collide.
 */
static uint64_t hash(const struct string_map *map, const char *text, size_t length)
{
	const uint64_t a = map->secret[0], b = map->secret[1];
	uint64_t s[4] = { a ^ 0x736f6d6570736575u, b ^ 0x646f72616e646f6du, a ^ 0x6c7967656e657261u,
			  b ^ 0x7465646279746573u };
	size_t at = 0;

	for (;; at += 8) {
		const bool last = length - at < 8;
		uint64_t word = last ? (uint64_t)length << 56 : 0;

		memcpy(&word, text + at, last ? length - at : 8);
		s[3] ^= word;
		sip_round(s);
		s[0] ^= word;
		if (last)
			break;
	}
	s[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(s);
	return s[0] ^ s[1] ^ s[2] ^ s[3];
}

int string_map_create(struct string_map *map, size_t count)
{
	size_t room = 16;

	while (room < 2 * count)
		room *= 2;
	/* without the kernel's help, an address that is random in its own way */
	if (getrandom(map->secret, sizeof(map->secret), GRND_NONBLOCK) != sizeof(map->secret))
		map->secret[0] = (uint64_t)(uintptr_t)map;
	map->keys = malloc(room * sizeof(*map->keys));
	map->values = malloc(room * sizeof(*map->values));
	map->mask = room - 1;
	if (!map->keys || !map->values)
		return -ENOMEM;
	memset(map->values, 0xff, room * sizeof(*map->values));
	return 0;
}

/* Where @text is, or where it belongs. */
static size_t string_map_place(const struct string_map *map, const char *text, size_t length)
{
	size_t i = hash(map, text, length) & map->mask;

	while (map->values[i] != UINT32_MAX &&
	       (map->keys[i].length != length || memcmp(map->keys[i].data, text, length)))
		i = (i + 1) & map->mask;
	return i;
}

uint32_t string_map_get(const struct string_map *map, const char *text, size_t length)
{
	return map->values ? map->values[string_map_place(map, text, length)] : UINT32_MAX;
}

void string_map_put(struct string_map *map, struct stoker_string key, uint32_t value)
{
	const size_t i = string_map_place(map, key.data, key.length);

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
