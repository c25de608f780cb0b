// SPDX-License-Identifier: MIT
/* Byte-level byte pair encoding, as introduced with GPT-2. */
#include "text/vocabulary.h"

/* Printable Latin-1 stands for itself, the other 68 bytes for U+0100 and up in their order. */
static bool stands_for_itself(unsigned c)
{
	return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

unsigned byte_character(uint8_t byte)
{
	unsigned extra = 0;

	if (stands_for_itself(byte))
		return byte;
	for (unsigned b = 0; b < byte; b++)
		extra += !stands_for_itself(b);
	return 256 + extra;
}

int character_byte(unsigned c)
{
	unsigned extra = 256;

	if (c < 256)
		return stands_for_itself(c) ? (int)c : -1;
	for (unsigned b = 0; b < 256; b++)
		if (!stands_for_itself(b) && extra++ == c)
			return (int)b;
	return -1;
}

static bool merge_rank(const struct stoker_vocabulary *v, const char *left, size_t left_bytes,
		       size_t right_bytes, float *rank)
{
	char key[512];
	uint32_t found;

	if (left_bytes + right_bytes + 1 > sizeof(key))
		return false;
	memcpy(key, left, left_bytes);
	key[left_bytes] = ' ';
	memcpy(key + left_bytes + 1, left + left_bytes, right_bytes);
	found = string_map_get(&v->ranks, key, left_bytes + right_bytes + 1);
	*rank = (float)found;
	return found != NO_TOKEN;
}

static void add_piece(const struct stoker_vocabulary *v, const char *text, size_t bytes,
		      struct token_list *out)
{
	const uint32_t id = find_piece(v, text, bytes);

	if (id != NO_TOKEN) {
		token_list_add(out, id);
		return;
	}
	for (size_t i = 0, n; i < bytes; i += n) {
		uint32_t c;

		n = MAX(utf8_decode(text + i, bytes - i, &c), (size_t)1);
		const uint32_t byte = find_piece(v, text + i, n);

		if (byte != NO_TOKEN)
			token_list_add(out, byte);
	}
}

/* Whether the vocabulary has a token for each byte; asked once for each. */
struct known_bytes {
	enum { NOT_ASKED, KNOWN, UNKNOWN } of[256];
};

static bool is_known(const struct stoker_vocabulary *v, struct known_bytes *known, uint8_t byte,
		     const char *mapped, size_t bytes)
{
	if (known->of[byte] == NOT_ASKED)
		known->of[byte] = find_piece(v, mapped, bytes) != NO_TOKEN ? KNOWN : UNKNOWN;
	return known->of[byte] == KNOWN;
}

/*
 * @mapped and @lengths have room for the word: two bytes and one length a byte.  Bytes without a
 * token are left out before pieces are merged, as those who train models do, so that their
 * neighbours come together.
 */
static int encode_word(const struct stoker_vocabulary *v, const char *word, size_t bytes,
		       char *mapped, uint32_t *lengths, struct known_bytes *known,
		       struct token_list *out, struct stoker_error *err)
{
	size_t count = 0, total = 0, at = 0;
	uint32_t whole;
	int ret;

	for (size_t i = 0; i < bytes; i++) {
		const uint8_t byte = (uint8_t)word[i];
		const uint32_t n = (uint32_t)utf8_encode(byte_character(byte), mapped + total);

		if (!is_known(v, known, byte, mapped + total, n))
			continue;
		lengths[count++] = n;
		total += n;
	}
	whole = v->ignore_merges && count == bytes ? find_piece(v, mapped, total) : NO_TOKEN;
	if (whole != NO_TOKEN) {
		token_list_add(out, whole);
		return 0;
	}
	ret = merge_pieces(v, mapped, lengths, &count, merge_rank, err);
	for (size_t i = 0; i < count && !ret; at += lengths[i++])
		add_piece(v, mapped + at, lengths[i], out);
	return ret;
}

/* Invalid bytes become U+FFFD: three bytes for one at most. */
static size_t make_valid(const char *text, size_t bytes, char *out)
{
	size_t length = 0;

	for (size_t i = 0; i < bytes;) {
		uint32_t c;
		const size_t n = utf8_decode(text + i, bytes - i, &c);

		if (n) {
			memcpy(out + length, text + i, n);
			length += n;
			i += n;
		} else {
			length += utf8_encode(0xfffd, out + length);
			i++;
		}
	}
	return length;
}

int encode_bpe(const struct stoker_vocabulary *v, const char *text, size_t bytes,
	       struct token_list *out, struct stoker_error *err)
{
	AUTO_FREE char *valid = malloc(3 * bytes + 1);
	AUTO_FREE size_t *words = NULL;
	AUTO_FREE char *mapped = NULL;
	AUTO_FREE uint32_t *lengths = NULL;
	struct known_bytes known = { 0 };
	size_t count, length, most = 0, at = 0;
	int ret;

	if (!valid)
		return stoker_fail(err, -ENOMEM, "out of memory");
	length = make_valid(text, bytes, valid);
	ret = words_split(v->words, valid, length, &words, &count, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < count; i++)
		most = MAX(most, words[i]);
	mapped = malloc(2 * most + 4);
	lengths = malloc((most + 1) * sizeof(*lengths));
	if (!mapped || !lengths)
		return stoker_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count && !ret; at += words[i++])
		ret = encode_word(v, valid + at, words[i], mapped, lengths, &known, out, err);
	return ret;
}
