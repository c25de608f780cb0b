// SPDX-License-Identifier: MIT
/* WordPiece, as BERT has it: normalise, cut into words, take the longest pieces from the left. */
#include <utf8proc.h>

#include "text/vocabulary.h"

/* CJK ideographs are words of their own. */
static bool is_ideograph(uint32_t c)
{
	static const uint32_t ranges[][2] = {
		{ 0x4e00, 0x9fff },   { 0x3400, 0x4dbf },   { 0x20000, 0x2a6df },
		{ 0x2a700, 0x2b73f }, { 0x2b740, 0x2b81f }, { 0x2b920, 0x2ceaf },
		{ 0xf900, 0xfaff },   { 0x2f800, 0x2fa1f },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

static bool stands_alone(uint32_t c)
{
	const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);

	return (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO) ||
	       is_ideograph(c) || (c < 128 && strchr("$+<=>^~|`", (int)c) && c);
}

static bool is_dropped(const struct stoker_vocabulary *v, uint32_t c)
{
	const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);

	return c == 0 || c == 0xfffd ||
	       (category >= UTF8PROC_CATEGORY_CC && category <= UTF8PROC_CATEGORY_CO) ||
	       (v->strip_accents && category >= UTF8PROC_CATEGORY_MN &&
		category <= UTF8PROC_CATEGORY_ME);
}

/* The first character of the canonical decomposition. */
static uint32_t without_accent(uint32_t c)
{
	utf8proc_int32_t parts[32];
	int boundary = 0;
	const utf8proc_ssize_t n = utf8proc_decompose_char(
		(utf8proc_int32_t)c, parts, ARRAY_SIZE(parts), UTF8PROC_DECOMPOSE, &boundary);

	return n > 0 && n <= (utf8proc_ssize_t)ARRAY_SIZE(parts) ? (uint32_t)parts[0] : c;
}

/* @word begins with U+2581; either all of its pieces are found or it is unknown. */
static void encode_word(const struct stoker_vocabulary *v, const char *word, size_t bytes,
			struct token_list *out)
{
	const size_t before = out->count;

	for (size_t at = 0, n; at < bytes; at += n) {
		uint32_t id = NO_TOKEN;

		for (n = MIN(bytes - at, v->longest); n; n--) {
			id = find_piece(v, word + at, n);
			if (id != NO_TOKEN)
				break;
		}
		if (id == NO_TOKEN) {
			out->count = before;
			if (v->unknown >= 0)
				token_list_add(out, (uint32_t)v->unknown);
			return;
		}
		token_list_add(out, id);
	}
}

int encode_wpm(const struct stoker_vocabulary *v, const char *text, size_t bytes,
	       struct token_list *out, struct stoker_error *err)
{
	AUTO_FREE char *word = malloc(4 * bytes + 8);
	const size_t prefix = 3; /* U+2581 */
	size_t length = prefix;

	if (!word)
		return stoker_fail(err, -ENOMEM, "out of memory");
	memcpy(word, "\xe2\x96\x81", prefix);
	for (size_t i = 0; i < bytes;) {
		uint32_t c;
		size_t n = utf8_decode(text + i, bytes - i, &c);

		if (!n) {
			c = 0xfffd;
			n = 1;
		}
		i += n;
		if (v->strip_accents)
			c = without_accent(c);
		const bool space = is_white_space(c), dropped = !space && is_dropped(v, c);

		if (!space && !dropped && v->lowercase)
			c = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
		const bool alone = !space && !dropped && stands_alone(c);

		if ((space || alone) && length > prefix) {
			encode_word(v, word, length, out);
			length = prefix;
		}
		if (!space && !dropped)
			length += utf8_encode(c, word + length);
		if (alone) {
			encode_word(v, word, length, out);
			length = prefix;
		}
	}
	if (length > prefix)
		encode_word(v, word, length, out);
	return 0;
}
