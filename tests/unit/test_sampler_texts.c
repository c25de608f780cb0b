// SPDX-License-Identifier: MIT
/* Sampling with a vocabulary: reasoning budgets, dry's breakers, suppressed tokens. */
#include "unit.h"

#include <unistd.h>

/* A vocabulary with tags as tokens of their own, letters, and all bytes. */
enum { THINK = 259, END_THINK, LETTER_A, TWO_LINES = LETTER_A + 26, VOCABULARY };

static struct stoker_vocabulary *vocabulary_with(void (*put)(struct stoker_gguf_writer *w),
						 struct stoker_error *err)
{
	static char spelled[256][8], letters[26][2];
	char path[] = "/tmp/stoker-sampler-XXXXXX";
	struct stoker_string texts[VOCABULARY];
	struct stoker_vocabulary *v = NULL;
	float scores[VOCABULARY] = { 0 };
	int32_t types[VOCABULARY];
	struct stoker_gguf_writer *w;
	const int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	for (uint32_t i = 0; i < VOCABULARY; i++) {
		static const char *const named[] = { "<unk>", "<s>", "</s>" };
		const char *text = "<think>";

		types[i] = i == 0 ? 2 : i < 3 ? 3 : i < THINK ? 6 : i < LETTER_A ? 3 : 1;
		if (i < 3) {
			text = named[i];
		} else if (i < THINK) {
			snprintf(spelled[i - 3], 8, "<0x%02X>", i - 3);
			text = spelled[i - 3];
		} else if (i == END_THINK) {
			text = "</think>";
		} else if (i == TWO_LINES) {
			text = ":\n";
		} else if (i >= LETTER_A) {
			letters[i - LETTER_A][0] = (char)('a' + i - LETTER_A);
			text = letters[i - LETTER_A];
		}
		texts[i] = (struct stoker_string){ text, strlen(text) };
	}
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, err), 0);
	stoker_gguf_writer_put_string(w, "general.architecture", "llama");
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "llama");
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", texts, VOCABULARY);
	stoker_gguf_writer_put_f32s(w, "tokenizer.ggml.scores", scores, VOCABULARY);
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, VOCABULARY);
	stoker_gguf_writer_put_bool(w, "tokenizer.ggml.add_space_prefix", 0);
	if (put)
		put(w);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, err), 0);
	stoker_vocabulary_load(path, &v, err);
	unlink(path);
	return v;
}

static struct stoker_vocabulary *vocabulary(void)
{
	struct stoker_error err = { "" };
	struct stoker_vocabulary *v = vocabulary_with(NULL, &err);

	if (!v)
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	return v;
}

static uint32_t byte(unsigned b)
{
	return 3 + b;
}

/* Samples greedily where @wish is the most likely token. */
static uint32_t next(struct stoker_sampler *s, uint32_t wish)
{
	float logits[VOCABULARY + 8];
	uint32_t token = UINT32_MAX;

	for (uint32_t i = 0; i < VOCABULARY + 8; i++)
		logits[i] = i < VOCABULARY ? 0 : 100;
	logits[wish] = 10;
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, VOCABULARY + 8, &token), 0);
	return token;
}

static void say(struct stoker_sampler *s, const char *text)
{
	for (; *text; text++)
		CU_ASSERT_EQUAL(next(s, byte((uint8_t)*text)), byte((uint8_t)*text));
}

static struct stoker_sampler *thinker(const struct stoker_vocabulary *v, const char *start,
				      int32_t budget, const char *message)
{
	const struct stoker_reasoning_params r = { STOKER_REASONING_PARAMS_INIT, .budget = budget,
						   .start = start, .end = "</think>",
						   .message = message };
	const struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .vocabulary = v,
						 .reasoning = &r };
	struct stoker_sampler *s = NULL;
	struct stoker_error err;

	if (stoker_sampler_create(&p, &s, &err))
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static void test_reasoning_budget(void)
{
	struct stoker_vocabulary *v = vocabulary();
	struct stoker_sampler *s = thinker(v, "<think>", 3, "ok"), *copy;
	const uint32_t x = LETTER_A + 23;

	stoker_vocabulary_free(&v); /* samplers keep it */
	/* rows beyond the vocabulary are never chosen, though their logits are the highest */
	CU_ASSERT_EQUAL(next(s, x), x);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	CU_ASSERT_EQUAL(next(s, THINK), THINK);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_COUNTING);
	CU_ASSERT_EQUAL(next(s, x), x);
	CU_ASSERT_EQUAL(next(s, x), x);
	/* the third token begins a character of four bytes */
	CU_ASSERT_EQUAL(next(s, byte(0xf0)), byte(0xf0));
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_FINISHING);
	CU_ASSERT_EQUAL(next(s, byte(0x9f)), byte(0x9f));
	CU_ASSERT_EQUAL(next(s, byte(0x98)), byte(0x98));
	CU_ASSERT_EQUAL(next(s, byte(0x80)), byte(0x80));
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_FORCING);
	CU_ASSERT_EQUAL(next(s, x), LETTER_A + 14);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_clone(s, &copy, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct stoker_sampler *which = i ? copy : s;

		CU_ASSERT_EQUAL(next(which, x), LETTER_A + 10);
		CU_ASSERT_EQUAL(next(which, x), END_THINK);
		CU_ASSERT_EQUAL(stoker_sampler_reasoning(which), STOKER_REASONING_DONE);
		CU_ASSERT_EQUAL(next(which, x), x);
	}
	/* another start has a budget of its own, and an end in time isn't touched */
	CU_ASSERT_EQUAL(next(s, THINK), THINK);
	CU_ASSERT_EQUAL(next(s, x), x);
	CU_ASSERT_EQUAL(next(s, END_THINK), END_THINK);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_DONE);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(next(s, x), x);
	stoker_sampler_reset(s);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	stoker_sampler_free(&s);
	stoker_sampler_free(&copy);
}

/* Tags as the model likes to cut them: letter by letter, with other text in the same token. */
static void test_reasoning_tags_in_pieces(void)
{
	struct stoker_vocabulary *v = vocabulary();
	const uint32_t prompt[] = { 1, THINK, byte('\n'), byte(' ') },
		       question[] = { 1, THINK, byte('?'), byte('\n') };
	struct stoker_sampler *s = thinker(v, "[[go]]", 0, NULL);

	say(s, "[[go]");
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	say(s, "[[[go]]");
	CU_ASSERT_EQUAL(next(s, LETTER_A), END_THINK);
	CU_ASSERT_EQUAL(next(s, LETTER_A), LETTER_A);
	stoker_sampler_free(&s);
	/* a tag that is a token isn't meant when it is spelled out */
	s = thinker(v, "<think>", 0, NULL);
	say(s, "write <think> and </think> around it");
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_IDLE);
	/* a prompt that ends with the tag has begun; one that asks about it hasn't */
	stoker_sampler_begin(s, prompt, 4);
	CU_ASSERT_EQUAL(next(s, LETTER_A), END_THINK);
	stoker_sampler_begin(s, question, 4);
	CU_ASSERT_EQUAL(next(s, LETTER_A), LETTER_A);
	stoker_sampler_free(&s);

	s = thinker(v, "<think>", -1, NULL);
	stoker_sampler_begin(s, prompt, 2);
	for (int i = 0; i < 300; i++)
		CU_ASSERT_EQUAL(next(s, LETTER_A), LETTER_A);
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_COUNTING);
	say(s, "</t</think>");
	CU_ASSERT_EQUAL(stoker_sampler_reasoning(s), STOKER_REASONING_DONE);
	stoker_sampler_free(&s);

	/* a character that never ends is waited for no longer than a character can be */
	s = thinker(v, "<think>", 1, NULL);
	CU_ASSERT_EQUAL(next(s, THINK), THINK);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(next(s, byte(0xf0)), byte(0xf0));
	CU_ASSERT_EQUAL(next(s, byte(0xf0)), END_THINK);
	stoker_sampler_free(&s);
	stoker_vocabulary_free(&v);
}

static void test_reasoning_by_ids(void)
{
	struct stoker_vocabulary *v = vocabulary();
	const uint32_t start[] = { LETTER_A, LETTER_A, LETTER_A + 1 }, end[] = { 5, 6 },
		       beyond[] = { VOCABULARY };
	struct stoker_reasoning_params r = { STOKER_REASONING_PARAMS_INIT, .start_ids = start,
					     .start_count = 3, .end_ids = end, .end_count = 2 };
	const struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .vocabulary = v,
						 .reasoning = &r };
	struct stoker_sampler *s;
	struct stoker_error err;
	float few[6] = { 1 };
	uint32_t token;

	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
	for (int i = 0; i < 3; i++)
		next(s, LETTER_A); /* "aaab" holds "aab" */
	next(s, LETTER_A + 1);
	CU_ASSERT_EQUAL(next(s, LETTER_A), 5);
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, few, 6, &token), -EINVAL);
	CU_ASSERT_EQUAL(next(s, LETTER_A), 6);
	CU_ASSERT_EQUAL(next(s, LETTER_A), LETTER_A);
	stoker_sampler_free(&s);
	r.end_ids = beyond;
	r.end_count = 1;
	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "the vocabulary has 288"));
	r = (struct stoker_reasoning_params){ STOKER_REASONING_PARAMS_INIT, .start = "",
					      .end = "x" };
	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, &err), -EINVAL);
	r = (struct stoker_reasoning_params){ STOKER_REASONING_PARAMS_INIT, .start = "x",
					      .end = NULL };
	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "the end of reasoning has 0"));
	stoker_vocabulary_free(&v);
}

/* "ab ab" goes on with what followed "ab", unless a breaker stands between. */
static void test_dry_breakers(void)
{
	static const char *const lines[] = { ":\n" };
	struct stoker_vocabulary *v = vocabulary();
	const uint32_t a = LETTER_A, b = a + 1, c = a + 2;

	for (int way = 0; way < 4; way++) {
		const struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT,
							 .vocabulary = v, .dry_multiplier = 50,
							 .dry_breakers = way == 3 ? lines : NULL,
							 .dry_breaker_count = way == 3 };
		const uint32_t text[] = { a, b, c, way == 1 ? byte('*') : a, a, b };
		const uint32_t pieces[] = { a, b, c, byte(':'), byte('\n'), a, b };
		const uint32_t told[] = { a, b, TWO_LINES, c, a, b };
		struct stoker_sampler *s;

		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
		if (way == 2) /* a breaker may come again */
			stoker_sampler_begin(s, told, 6);
		else if (way == 3)
			stoker_sampler_begin(s, pieces, 7);
		else
			stoker_sampler_begin(s, text, 6);
		if (way == 0)
			CU_ASSERT_NOT_EQUAL(next(s, c), c);
		if (way == 1)
			CU_ASSERT_NOT_EQUAL(next(s, c), c); /* "ab" comes after the breaker */
		if (way == 2)
			CU_ASSERT_EQUAL(next(s, TWO_LINES), TWO_LINES);
		if (way == 3)
			CU_ASSERT_NOT_EQUAL(next(s, c), c);
		stoker_sampler_begin(s, way == 3 ? pieces : text, way == 3 ? 5 : 4);
		if (way == 3) { /* nothing reaches over the two tokens that make the breaker */
			stoker_sampler_accept(s, b);
			CU_ASSERT_EQUAL(next(s, c), c);
		}
		stoker_sampler_free(&s);
	}
	stoker_vocabulary_free(&v);
}

static void put_suppressed(struct stoker_gguf_writer *w)
{
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.suppress_tokens",
				    (const int32_t[]){ LETTER_A, LETTER_A + 2, -1, VOCABULARY }, 4);
}

static void put_suppressed_text(struct stoker_gguf_writer *w)
{
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.suppress_tokens", "a");
}

static void put_suppressed_often(struct stoker_gguf_writer *w)
{
	static const int32_t ids[VOCABULARY + 1];

	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.suppress_tokens", ids, VOCABULARY + 1);
}

/* The file says which tokens never come, beside the caller's biases. */
static void test_suppressed_tokens(void)
{
	const struct stoker_logit_bias more = { LETTER_A + 1, -INFINITY };
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .biases = &more,
					   .bias_count = 1 };
	struct stoker_sampler *s, *copy;
	struct stoker_vocabulary *v;
	struct stoker_error err;

	v = vocabulary_with(put_suppressed, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	p.vocabulary = v;
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_clone(s, &copy, &err), 0);
	for (uint32_t i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(next(s, LETTER_A + i) == LETTER_A + i, i > 2);
		CU_ASSERT_EQUAL(next(copy, LETTER_A + i) == LETTER_A + i, i > 2);
	}
	stoker_sampler_free(&s);
	stoker_sampler_free(&copy);
	stoker_vocabulary_free(&v);
	CU_ASSERT_PTR_NULL(vocabulary_with(put_suppressed_text, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "suppress_tokens isn't a list of ids"));
	CU_ASSERT_PTR_NULL(vocabulary_with(put_suppressed_often, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "288 tokens, but"));
}

void add_sampler_texts(void)
{
	TEST(test_reasoning_budget);
	TEST(test_reasoning_tags_in_pieces);
	TEST(test_reasoning_by_ids);
	TEST(test_dry_breakers);
	TEST(test_suppressed_tokens);
}
