// SPDX-License-Identifier: MIT
/* Texts that end an answer, found however it is cut into pieces. */
#include "serve/stops.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct stops {
	char **texts;
	size_t count;
	const char *found;
	char *data; /* what was handed out last, and behind it what is held back */
	size_t out, bytes, room;
};

struct stops *stops_create(const char *const *texts, size_t count)
{
	struct stops *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->texts = calloc(count + 1, sizeof(*s->texts));
	for (size_t i = 0; s->texts && i < count; i++) {
		s->texts[i] = strdup(texts[i]);
		if (!s->texts[i])
			break;
		s->count++;
	}
	if (s->count == count && s->texts)
		return s;
	stops_free(s);
	return NULL;
}

void stops_free(struct stops *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->texts[i]);
	free(s->texts);
	free(s->data);
	free(s);
}

/* Behind what was handed out before, which goes. */
static bool append(struct stops *s, const char *text, size_t bytes)
{
	s->bytes -= s->out;
	if (s->bytes)
		memmove(s->data, s->data + s->out, s->bytes);
	s->out = 0;
	if (s->bytes + bytes + 1 > s->room) {
		const size_t room = 2 * (s->bytes + bytes) + 256;
		char *more = realloc(s->data, room);

		if (!more)
			return false;
		s->data = more;
		s->room = room;
	}
	if (bytes)
		memcpy(s->data + s->bytes, text, bytes);
	s->bytes += bytes;
	return true;
}

/* The one that is complete first, and of those the longest, as if bytes had come one by one. */
static bool find(struct stops *s, size_t *at)
{
	size_t best_end = SIZE_MAX, best = 0;

	for (size_t i = 0; i < s->count; i++) {
		const size_t n = strlen(s->texts[i]);
		const char *hit = memmem(s->data, s->bytes, s->texts[i], n);
		const size_t begin = hit ? (size_t)(hit - s->data) : 0;

		if (!hit || begin + n > best_end || (begin + n == best_end && begin >= best))
			continue;
		best = begin;
		best_end = begin + n;
		s->found = s->texts[i];
	}
	*at = best;
	return s->found != NULL;
}

/* Bytes at the end that a text may begin with. */
static size_t held(const struct stops *s)
{
	size_t most = 0;

	for (size_t i = 0; i < s->count; i++) {
		size_t n = strlen(s->texts[i]) - 1;

		n = n < s->bytes ? n : s->bytes;
		while (n > most && memcmp(s->data + s->bytes - n, s->texts[i], n) != 0)
			n--;
		most = n > most ? n : most;
	}
	return most;
}

bool stops_text(struct stops *s, const char *text, size_t bytes, const char **out, size_t *settled)
{
	*out = "";
	*settled = 0;
	if (s->found)
		return true;
	if (!append(s, text, bytes))
		return false;
	if (!find(s, settled))
		*settled = s->bytes - held(s);
	s->out = *settled;
	*out = s->data;
	return true;
}

void stops_end(struct stops *s, const char **out, size_t *settled)
{
	*out = "";
	*settled = 0;
	if (s->found || !s->data)
		return;
	*out = s->data + s->out;
	*settled = s->bytes - s->out;
	s->out = s->bytes;
}

const char *stops_found(const struct stops *s)
{
	return s->found;
}
