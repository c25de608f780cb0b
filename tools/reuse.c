// SPDX-License-Identifier: MIT
/* How much of a session's context the next prompt can go on from. */
#include "reuse.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PIECE = 1024 };

/* Tokens of a list that spell one stretch of text. */
struct piece {
	const uint32_t *tokens;
	size_t left, taken, bytes;
	char text[MAX_PIECE];
};

/* What may be a token of its own with the same text as others: those aren't taken for each other.
 */
static bool looks_like_mark(const char *text, size_t n)
{
	return n > 2 && (*text == '<' || *text == '[') &&
	       (text[n - 1] == '>' || text[n - 1] == ']');
}

/* The next token's text; false for one that isn't plain text, or at the end. */
static bool extend(const struct stoker_vocabulary *v, struct piece *p)
{
	size_t n;

	if (p->taken == p->left)
		return false;
	n = stoker_vocabulary_text(v, p->tokens[p->taken], 0, p->text + p->bytes,
				   MAX_PIECE - p->bytes);
	if (!n || n > MAX_PIECE - p->bytes || looks_like_mark(p->text + p->bytes, n))
		return false;
	p->taken++;
	p->bytes += n;
	return true;
}

/* As few tokens of either list as spell the same text. */
static bool spell_the_same(const struct stoker_vocabulary *v, struct piece *a, struct piece *b)
{
	do {
		struct piece *shorter = a->bytes <= b->bytes ? a : b;

		if (!extend(v, shorter))
			return false;
		if (memcmp(a->text, b->text, a->bytes < b->bytes ? a->bytes : b->bytes) != 0)
			return false;
	} while (a->bytes != b->bytes);
	return true;
}

size_t reuse_context(const struct stoker_vocabulary *v, const uint32_t *context, size_t held,
		     uint32_t **tokens, size_t *count)
{
	size_t c = 0, t = 0;

	while (c < held && t + 1 < *count) {
		if (context[c] == (*tokens)[t]) {
			c++;
			t++;
			continue;
		}
		struct piece a = { .tokens = context + c, .left = held - c };
		struct piece b = { .tokens = *tokens + t, .left = *count - 1 - t };

		if (!spell_the_same(v, &a, &b))
			break;
		c += a.taken;
		t += b.taken;
	}
	uint32_t *joined = malloc((c + *count - t) * sizeof(*joined));

	if (!joined)
		return 0; /* the prompt as it is, from the beginning */
	if (c)
		memcpy(joined, context, c * sizeof(*joined));
	memcpy(joined + c, *tokens + t, (*count - t) * sizeof(*joined));
	*count += c - t;
	free(*tokens);
	*tokens = joined;
	return c;
}

size_t reuse_session(struct stoker_session *session, const struct stoker_vocabulary *v,
		     uint32_t **tokens, size_t *count)
{
	size_t held, same;
	const uint32_t *context = stoker_session_tokens(session, &held);

	same = reuse_context(v, context, held, tokens, count);
	same = stoker_session_reachable(session, (uint32_t)same);
	return stoker_session_truncate(session, (uint32_t)same, NULL) ? 0 : same;
}
