// SPDX-License-Identifier: MIT
/* How much of a context the next prompt goes on from. */
#include "unit.h"

#include <unistd.h>

#include "reuse.h"
#include "text/vocabulary.h"

enum { HE = 256, LL, HELL, HELLO, MARK, TAG };

/* Bytes, merges up to "hello", a control token. */
static struct stoker_vocabulary *vocabulary(void)
{
	static const char *const extra[] = { "he", "ll", "hell", "hello", "<|im_end|>", "<tag>" };
	static const char *const merge_text[] = { "h e", "l l", "he ll", "hell o" };
	static char bytes[256][3];
	struct stoker_string tokens[256 + ARRAY_SIZE(extra)], merges[ARRAY_SIZE(merge_text)];
	int32_t types[ARRAY_SIZE(tokens)];
	struct stoker_vocabulary *v = NULL;
	struct stoker_gguf_writer *w;
	char path[64];

	for (unsigned b = 0; b < 256; b++) {
		const size_t n = utf8_encode(byte_character((uint8_t)b), bytes[b]);

		tokens[b] = (struct stoker_string){ bytes[b], n };
		types[b] = TOKEN_NORMAL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(extra); i++) {
		tokens[256 + i] = (struct stoker_string){ extra[i], strlen(extra[i]) };
		types[256 + i] = i < 4 ? TOKEN_NORMAL : i == 4 ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(merges); i++)
		merges[i] = (struct stoker_string){ merge_text[i], strlen(merge_text[i]) };
	snprintf(path, sizeof(path), "/tmp/stoker-reuse-%d.gguf", getpid());
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "gpt2");
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.pre", "qwen2");
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", tokens, ARRAY_SIZE(tokens));
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, ARRAY_SIZE(types));
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.merges", merges, ARRAY_SIZE(merges));
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(path, &v, NULL), 0);
	unlink(path);
	return v;
}

struct ids {
	size_t count;
	uint32_t ids[8];
};

static void expect(const struct stoker_vocabulary *v, struct ids context, struct ids prompt,
		   size_t same, struct ids wanted)
{
	uint32_t *tokens = malloc(sizeof(prompt.ids));
	size_t count = prompt.count;

	memcpy(tokens, prompt.ids, sizeof(prompt.ids));
	CU_ASSERT_EQUAL(reuse_context(v, context.ids, context.count, &tokens, &count), same);
	CU_ASSERT_EQUAL_FATAL(count, wanted.count);
	CU_ASSERT(!memcmp(tokens, wanted.ids, count * sizeof(*tokens)));
	free(tokens);
}

#define IDS(...)                                         \
	(struct ids)                                     \
	{                                                \
		sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, \
		{                                        \
			__VA_ARGS__                      \
		}                                        \
	}

static void test_reuse(void)
{
	struct stoker_vocabulary *v = vocabulary();
	const struct ids nothing = { .count = 0 };

	/* the same tokens; one is left to compute */
	expect(v, nothing, IDS('a', 'b'), 0, IDS('a', 'b'));
	expect(v, IDS('a', 'b'), IDS('a', 'b', 'c'), 2, IDS('a', 'b', 'c'));
	expect(v, IDS('a', 'b', 'c'), IDS('a', 'b', 'c'), 2, IDS('a', 'b', 'c'));
	expect(v, IDS('a', 'b', 'c'), IDS('a', 'x'), 1, IDS('a', 'x'));
	expect(v, IDS('a'), IDS('a'), 0, IDS('a'));
	/* the same text, spelled another way */
	expect(v, IDS('a', 'h', 'e', LL, 'o'), IDS('a', HELLO, MARK), 5,
	       IDS('a', 'h', 'e', LL, 'o', MARK));
	expect(v, IDS('a', HELL, 'o'), IDS('a', HELLO, MARK), 3, IDS('a', HELL, 'o', MARK));
	expect(v, IDS(HELLO, 'x'), IDS(HE, LL, 'o', 'x', 'y'), 2, IDS(HELLO, 'x', 'y'));
	expect(v, IDS('h', 'e', 'x', HELL, 'o'), IDS(HE, 'x', HELLO, 'y'), 5,
	       IDS('h', 'e', 'x', HELL, 'o', 'y'));
	/* it goes another way within a token, or ends there */
	expect(v, IDS('h', 'e', 'x'), IDS(HELLO, 'x'), 0, IDS(HELLO, 'x'));
	expect(v, IDS('a', 'h', 'e'), IDS('a', HELLO, 'x'), 1, IDS('a', HELLO, 'x'));
	expect(v, IDS('a', HELLO), IDS('a', HE, LL), 1, IDS('a', HE, LL));
	/* what a user spelled never becomes the mark that it looks like, nor the other way round */
	expect(v, IDS('a', MARK, 'b'), IDS('a', '<', '|', 'i', 'm', 'b'), 1,
	       IDS('a', '<', '|', 'i', 'm', 'b'));
	expect(v, IDS('<', 't', 'a', 'g', '>'), IDS(TAG, 'x'), 0, IDS(TAG, 'x'));
	expect(v, IDS(TAG, 'x'), IDS('<', 't', 'a', 'g', '>', 'x', 'y'), 0,
	       IDS('<', 't', 'a', 'g', '>', 'x', 'y'));
	stoker_vocabulary_free(&v);
}

void suite_reuse(void)
{
	TEST(test_reuse);
}
