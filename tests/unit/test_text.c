// SPDX-License-Identifier: MIT
/* Tokenizers, tokens back to text. */
#include "unit.h"

#include <unistd.h>

#include "text/vocabulary.h"

static char path[64];

/* A vocabulary-only file: bytes, some merges, special tokens. */
static struct stoker_vocabulary *small_vocabulary(void)
{
	static const char *const extra[] = { "he",	  "ll",		  "hell",	"hello",
					     "\xc4\xa0w", "<|im_start|>", "<|im_end|>", "<tag>" };
	static const char *const merge_text[] = { "h e", "l l", "he ll", "hell o", "\xc4\xa0 w" };
	static char bytes[256][3];
	struct stoker_string tokens[256 + ARRAY_SIZE(extra)], merges[ARRAY_SIZE(merge_text)];
	int32_t types[ARRAY_SIZE(tokens)];
	struct stoker_vocabulary *v = NULL;
	struct stoker_gguf_writer *w;
	struct stoker_error err;

	for (unsigned b = 0; b < 256; b++) {
		tokens[b] =
			(struct stoker_string){ bytes[b],
						utf8_encode(byte_character((uint8_t)b), bytes[b]) };
		types[b] = TOKEN_NORMAL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(extra); i++) {
		tokens[256 + i] = (struct stoker_string){ extra[i], strlen(extra[i]) };
		types[256 + i] = i < 5 ? TOKEN_NORMAL : i < 7 ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++)
		merges[i] = (struct stoker_string){ merge_text[i], strlen(merge_text[i]) };
	snprintf(path, sizeof(path), "/tmp/stoker-test-%d.gguf", getpid());
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "gpt2");
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.pre", "qwen2");
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", tokens, ARRAY_SIZE(tokens));
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, ARRAY_SIZE(types));
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.merges", merges, ARRAY_SIZE(merges));
	stoker_gguf_writer_put_u32(w, "tokenizer.ggml.bos_token_id", 261);
	stoker_gguf_writer_put_bool(w, "tokenizer.ggml.add_bos_token", 1);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	if (stoker_vocabulary_load(path, &v, &err))
		printf("\n    %s", err.message);
	unlink(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	return v;
}

static void expect_tokens(const struct stoker_vocabulary *v, const char *text, size_t bytes,
			  unsigned flags, const uint32_t *wanted, size_t count)
{
	uint32_t *tokens;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_tokenize(v, text, bytes, flags, &tokens, &n, NULL),
			      0);
	CU_ASSERT(n == count && (!n || !memcmp(tokens, wanted, n * sizeof(*tokens))));
	free(tokens);
}

static void test_merges_and_specials(void)
{
	struct stoker_vocabulary *v = small_vocabulary();

	expect_tokens(v, "hello world", 11, 0, (uint32_t[]){ 259, 260, 'o', 'r', 'l', 'd' }, 6);
	expect_tokens(v, "hell", 4, STOKER_TOKENIZE_ADD, (uint32_t[]){ 261, 258 }, 2);
	expect_tokens(v, "<|im_end|>", 10, STOKER_TOKENIZE_SPECIAL, (uint32_t[]){ 262 }, 1);
	expect_tokens(v, "a<tag>b", 7, 0, (uint32_t[]){ 'a', 263, 'b' }, 3);
	expect_tokens(v, "", 0, 0, NULL, 0);
	expect_tokens(v, "\0\xff", 2, 0, (uint32_t[]){ 0, 0xef, 0xbf, 0xbd }, 4);
	CU_ASSERT(stoker_vocabulary_is_end(v, 262));
	CU_ASSERT(!stoker_vocabulary_is_end(v, 'a'));
	CU_ASSERT(!stoker_vocabulary_is_end(v, 1000000));
	stoker_vocabulary_free(&v);
}

/* Whatever the bytes of valid UTF-8, tokens give them back. */
static void test_text_survives(void)
{
	struct stoker_vocabulary *v = small_vocabulary();
	unsigned wrong = 0;

	random_seed(4);
	for (int round = 0; round < 300; round++) {
		char text[256], back[1024];
		size_t bytes = 0, length = 0, count;
		uint32_t *tokens;

		for (uint32_t n = random_u32() % 40; n; n--) {
			const uint32_t kind = random_u32() % 4;
			uint32_t c = kind == 0	 ? (uint32_t) "hello  \n\t'1"[random_u32() % 11]
				     : kind == 1 ? random_u32() % 0x80
				     : kind == 2 ? random_u32() % 0xd800
						 : 0x10000 + random_u32() % 0x100000;

			bytes += utf8_encode(c, text + bytes);
		}
		if (memmem(text, bytes, "<tag>", 5))
			continue;
		CU_ASSERT_EQUAL_FATAL(
			stoker_vocabulary_tokenize(v, text, bytes, 0, &tokens, &count, NULL), 0);
		for (size_t i = 0; i < count; i++)
			length += stoker_vocabulary_text(v, tokens[i], 0, back + length,
							 sizeof(back) - length);
		wrong += length != bytes || memcmp(text, back, bytes);
		free(tokens);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	stoker_vocabulary_free(&v);
}

/* One word of half a million letters: no quadratic time, no stack. */
static void test_long_word(void)
{
	enum { LENGTH = 500000 };
	struct stoker_vocabulary *v = small_vocabulary();
	AUTO_FREE char *text = malloc(LENGTH);
	uint32_t *tokens = NULL;
	size_t count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, 'l', LENGTH);
	CU_ASSERT_EQUAL(stoker_vocabulary_tokenize(v, text, LENGTH, 0, &tokens, &count, NULL), 0);
	CU_ASSERT_EQUAL(count, LENGTH / 2);
	free(tokens);
	stoker_vocabulary_free(&v);
}

static void test_utf8(void)
{
	uint32_t c;
	char out[4];

	CU_ASSERT_EQUAL(utf8_decode("\xc3\xa9", 2, &c), 2);
	CU_ASSERT_EQUAL(c, 0xe9);
	CU_ASSERT_EQUAL(utf8_decode("\xc3", 1, &c), 0);
	CU_ASSERT_EQUAL(utf8_decode("\xc0\x80", 2, &c), 0);
	CU_ASSERT_EQUAL(utf8_decode("\xed\xa0\x80", 3, &c), 0);
	CU_ASSERT_EQUAL(utf8_decode("\xf4\x90\x80\x80", 4, &c), 0);
	for (uint32_t p = 0; p < 0x110000; p += 37)
		if (p < 0xd800 || p >= 0xe000)
			CU_ASSERT_FATAL(utf8_decode(out, utf8_encode(p, out), &c) && c == p);
	for (unsigned b = 0; b < 256; b++)
		CU_ASSERT_EQUAL(character_byte(byte_character((uint8_t)b)), (int)b);
}

/* Texts in FILE.inp are separated by a line; FILE.out has a line of ids for each. */
static void check_vocabulary_file(const char *folder, const char *name, unsigned *lines)
{
	static const char separator[] = "\n__ggml_vocab_test__\n";
	char file[600];
	AUTO_FREE char *texts = NULL;
	AUTO_FREE char *ids = NULL;
	struct stoker_vocabulary *v = NULL;
	size_t bytes, id_bytes;

	snprintf(file, sizeof(file), "%s/tokenizer/%s.gguf", folder, name);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(file, &v, NULL), 0);
	snprintf(file, sizeof(file), "%s/tokenizer/%s.gguf.inp", folder, name);
	texts = load_file(file, &bytes);
	snprintf(file, sizeof(file), "%s/tokenizer/%s.gguf.out", folder, name);
	ids = load_file(file, &id_bytes);
	CU_ASSERT_FATAL(texts && ids);
	char *line = ids;

	for (char *text = texts, *end = texts + bytes; text; (*lines)++) {
		char *next = memmem(text, (size_t)(end - text), separator, strlen(separator));
		uint32_t *tokens;
		size_t count, at = 0;
		bool same = true;

		CU_ASSERT_EQUAL_FATAL(
			stoker_vocabulary_tokenize(v, text, (size_t)((next ? next : end) - text), 0,
						   &tokens, &count, NULL),
			0);
		for (char *stop = line + strcspn(line, "\n"); line < stop; at++) {
			char *after;
			const unsigned long id = strtoul(line, &after, 10);

			if (after == line)
				break;
			same = same && at < count && tokens[at] == id;
			line = after + strspn(after, " ");
		}
		line += strcspn(line, "\n") + 1;
		if (!same || at != count) {
			printf("\n    %s: text %u differs", name, *lines + 1);
			CU_FAIL("wrong tokens");
		}
		free(tokens);
		text = next ? next + strlen(separator) : NULL;
	}
	stoker_vocabulary_free(&v);
}

static void test_reference_vocabularies(void)
{
	const char *folder = vectors_folder("tokenizers");
	unsigned lines = 0;

	if (!folder)
		return;
	check_vocabulary_file(folder, "ggml-vocab-gpt-2", &lines);
	check_vocabulary_file(folder, "ggml-vocab-deepseek-llm", &lines);
	check_vocabulary_file(folder, "ggml-vocab-llama-spm", &lines);
	CU_ASSERT_EQUAL(lines, 3 * 47);
}

void suite_text(void)
{
	TEST(test_merges_and_specials);
	TEST(test_text_survives);
	TEST(test_long_word);
	TEST(test_utf8);
	TEST(test_reference_vocabularies);
}
