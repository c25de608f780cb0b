// SPDX-License-Identifier: MIT
/* SentencePiece's byte pair encoding: pieces join by the score of what they become. */
#include "text/vocabulary.h"

static const char space[] = "\xe2\x96\x81"; /* U+2581 stands for a space */

static bool score_rank(const struct stoker_vocabulary *v, const char *left, size_t left_bytes,
		       size_t right_bytes, float *rank)
{
	const uint32_t id = find_piece(v, left, left_bytes + right_bytes);

	if (id == NO_TOKEN)
		return false;
	*rank = -v->tokens[id].score;
	return true;
}

static size_t escape(const char *text, size_t bytes, bool prefix, char *out)
{
	size_t n = 0;

	if (prefix)
		n += 3, memcpy(out, space, 3);
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == ' ') {
			memcpy(out + n, space, 3);
			n += 3;
		} else {
			out[n++] = text[i];
		}
	}
	return n;
}

static void add_piece(const struct stoker_vocabulary *v, const char *text, size_t bytes,
		      struct token_list *out)
{
	uint32_t id = find_piece(v, text, bytes);

	if (id != NO_TOKEN) {
		token_list_add(out, id);
		return;
	}
	for (size_t i = 0; i < bytes; i++) {
		id = find_byte_token(v, (uint8_t)text[i]);
		if (id == NO_TOKEN)
			id = find_piece(v, text + i, 1);
		if (id == NO_TOKEN && v->unknown >= 0)
			id = (uint32_t)v->unknown;
		if (id != NO_TOKEN)
			token_list_add(out, id);
	}
}

int encode_spm(const struct stoker_vocabulary *v, const char *text, size_t bytes, bool prefix,
	       struct token_list *out, struct stoker_error *err)
{
	static const uint8_t by_lead[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4 };
	AUTO_FREE char *escaped = malloc(3 * (bytes + 1));
	AUTO_FREE uint32_t *lengths = malloc((3 * bytes + 4) * sizeof(*lengths));
	size_t length, count = 0, at = 0;
	int ret;

	if (!escaped || !lengths)
		return stoker_fail(err, -ENOMEM, "out of memory");
	length = escape(text, bytes, prefix, escaped);
	for (size_t i = 0; i < length; i += lengths[count++])
		lengths[count] =
			(uint32_t)MIN((size_t)by_lead[(uint8_t)escaped[i] >> 4], length - i);
	ret = merge_pieces(v, escaped, lengths, &count, score_rank, err);
	for (size_t i = 0; i < count && !ret; at += lengths[i++])
		add_piece(v, escaped + at, lengths[i], out);
	return ret;
}
