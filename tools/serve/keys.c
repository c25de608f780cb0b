// SPDX-License-Identifier: MIT
/* API keys. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "serve/guard.h"

static bool add_key(struct keys *keys, const char *text, size_t bytes, char why[128])
{
	struct key *items;

	if (bytes >= KEY_BYTES || keys->count == KEYS_MOST || memchr(text, 0, bytes)) {
		snprintf(why, 128, "there can be %d keys of up to %d characters", KEYS_MOST,
			 KEY_BYTES - 1);
		return false;
	}
	items = realloc(keys->items, (keys->count + 1) * sizeof(*items));
	if (!items) {
		snprintf(why, 128, "out of memory");
		return false;
	}
	keys->items = items;
	items[keys->count] = (struct key){ .salt = 0 };
	memcpy(items[keys->count].text, text, bytes);
	/* 0 is everybody's */
	while (!items[keys->count].salt)
		if (getrandom(&items[keys->count].salt, sizeof(items->salt), 0) < 0) {
			snprintf(why, 128, "there are no random numbers");
			return false;
		}
	keys->count++;
	return true;
}

bool keys_parse(struct keys *keys, const char *text, size_t bytes, char why[128])
{
	const char *end = text + bytes;

	*keys = (struct keys){ 0 };
	while (text < end) {
		const char *line = memchr(text, '\n', (size_t)(end - text));
		const char *next = line ? line + 1 : end;
		size_t length = (size_t)((line ? line : end) - text);

		while (length && strchr(" \t\r", text[length - 1]) && text[length - 1])
			length--;
		while (length && (*text == ' ' || *text == '\t')) {
			text++;
			length--;
		}
		if (length && *text != '#' && !add_key(keys, text, length, why)) {
			keys_free(keys);
			return false;
		}
		text = next;
	}
	if (!keys->count)
		snprintf(why, 128, "there is no key in it");
	return keys->count;
}

void keys_free(struct keys *keys)
{
	if (keys->items)
		explicit_bzero(keys->items, keys->count * sizeof(*keys->items));
	free(keys->items);
	*keys = (struct keys){ 0 };
}

/* What the request has; NULL: nothing. */
static const char *find_key(const struct guard_head *h)
{
	const char *key = h->key;

	if (h->bearer && !strncasecmp(h->bearer, "Bearer ", 7)) {
		key = h->bearer + 7;
		key += strspn(key, " ");
	}
	return key;
}

bool keys_check(const struct keys *keys, const struct guard_head *h, uint64_t *salt,
		struct problem *p)
{
	const char *key = find_key(h);
	char padded[KEY_BYTES] = "";
	uint64_t found = 0;

	*salt = 0;
	if (!keys->count)
		return true;
	if (!key || strlen(key) >= KEY_BYTES)
		key = "";
	memcpy(padded, key, strlen(key));
	for (size_t i = 0; i < keys->count; i++) {
		const volatile char *mine = keys->items[i].text;
		unsigned differ = 0;

		for (size_t k = 0; k < KEY_BYTES; k++)
			differ |= (unsigned char)(mine[k] ^ padded[k]);
		/* all ones where they are the same */
		found |= keys->items[i].salt & ((uint64_t)(differ != 0) - 1) &
			 ((uint64_t)(found != 0) - 1);
	}
	explicit_bzero(padded, sizeof(padded));
	*salt = found;
	if (found)
		return true;
	return problem_set(
		p, 401, NULL, "invalid_api_key",
		*key ? "that API key isn't one of this server's"
		     : "an API key is needed: Authorization: Bearer KEY, or x-api-key: KEY");
}
