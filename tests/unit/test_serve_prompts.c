// SPDX-License-Identifier: MIT
/* Prompts of texts and tokens, and with a gap, become tokens. */
#include "unit.h"

#include <string.h>
#include <unistd.h>

#include "serve/native.h"

enum { BEGIN = 1, BYTE = 3, PREFIX = 259, SUFFIX, MIDDLE, REPOSITORY, FILE_MARK };
enum { CONTROL = 3, BYTE_TOKEN = 6 }; /* tokenizer.ggml.token_type */

static const char *const marks[] = { "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
				     "<|repo_name|>", "<|file_sep|>" };

/* A token a byte, and @count of the marks. */
static struct stoker_vocabulary *open_vocabulary(size_t count)
{
	char names[256][8], path[] = "/tmp/stoker-prompts-XXXXXX";
	struct stoker_string tokens[264] = { { "<unk>", 5 }, { "<s>", 3 }, { "</s>", 4 } };
	int32_t types[264] = { 2, CONTROL, CONTROL };
	float scores[264] = { 0 };
	struct stoker_vocabulary *v = NULL;
	struct stoker_gguf_writer *w;
	struct stoker_error err;

	close(mkstemp(path));
	for (unsigned b = 0; b < 256; b++) {
		tokens[BYTE + b].data = names[b];
		tokens[BYTE + b].length = (size_t)snprintf(names[b], 8, "<0x%02X>", b);
		types[BYTE + b] = BYTE_TOKEN;
	}
	for (size_t i = 0; i < count; i++) {
		tokens[PREFIX + i] = (struct stoker_string){ marks[i], strlen(marks[i]) };
		types[PREFIX + i] = CONTROL;
	}
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "llama");
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", tokens, PREFIX + count);
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, PREFIX + count);
	stoker_gguf_writer_put_f32s(w, "tokenizer.ggml.scores", scores, PREFIX + count);
	stoker_gguf_writer_put_u32(w, "tokenizer.ggml.bos_token_id", BEGIN);
	stoker_gguf_writer_put_bool(w, "tokenizer.ggml.add_bos_token", 1);
	stoker_gguf_writer_put_bool(w, "tokenizer.ggml.add_space_prefix", 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(path, &v, &err), 0);
	unlink(path);
	return v;
}

/* Bytes as themselves, others as letters: b begins, P S M, R, F. */
static void expect_tokens(const uint32_t *tokens, size_t count, const char *wanted)
{
	char got[256];

	CU_ASSERT_FATAL(count < sizeof(got));
	for (size_t i = 0; i < count; i++)
		got[i] = tokens[i] == BEGIN    ? 'b'
			 : tokens[i] >= PREFIX ? "PSMRF"[tokens[i] - PREFIX]
					       : (char)(tokens[i] - BYTE);
	got[count] = 0;
	if (strcmp(got, wanted) != 0)
		printf("\n    %s isn't %s", got, wanted);
	CU_ASSERT_STRING_EQUAL(got, wanted);
}

static void expect(const struct stoker_vocabulary *v, const char *json, unsigned flags,
		   const char *wanted)
{
	struct json_object *prompt = json_tokener_parse(json);
	struct problem p = { .status = 0 };
	uint32_t *tokens;
	size_t count;

	CU_ASSERT_FATAL(native_tokens(v, prompt, flags, &tokens, &count, &p));
	expect_tokens(tokens, count, wanted);
	free(tokens);
	json_object_put(prompt);
}

static void expect_refused(const struct stoker_vocabulary *v, const char *json, const char *why)
{
	struct json_object *prompt = json_tokener_parse(json);
	struct problem p = { .status = 0 };
	uint32_t *tokens = NULL;
	size_t count;

	CU_ASSERT_FALSE(native_tokens(v, prompt, 0, &tokens, &count, &p));
	CU_ASSERT_PTR_NULL(tokens); /* nothing that the caller could free once more */
	CU_ASSERT_EQUAL(p.status, 400);
	if (!strstr(p.message, why))
		printf("\n    \"%s\" lacks \"%s\"", p.message, why);
	CU_ASSERT_PTR_NOT_NULL(strstr(p.message, why));
	json_object_put(prompt);
}

static void test_prompts(void)
{
	struct stoker_vocabulary *v = open_vocabulary(5);
	const unsigned both = STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_SPECIAL;

	expect(v, "\"hi\"", 0, "hi");
	expect(v, "\"hi\"", both, "bhi");
	expect(v, "\"h<|file_sep|>\"", both, "bhF");
	expect(v, "\"<s>\"", 0, "<s>");
	expect(v, "[107, 108]", both, "hi");
	expect(v, "[107, \"i<s>\"]", both, "hib");
	expect(v, "[\"h\", 108, \"!\"]", both, "bhi!");
	expect(v, "[\"h\", 108]", STOKER_TOKENIZE_SPECIAL, "hi");
	expect(v, "{\"prompt_string\": \"hi\", \"multimodal_data\": []}", both, "bhi");
	expect(v, "\"\"", 0, "");
	expect_refused(v, "null", "prompt is null");
	expect_refused(v, "7", "prompt is a number");
	expect_refused(v, "[264]", "264");
	expect_refused(v, "[107, 264]", "264");
	expect_refused(v, "[\"h\", -1]", "-1");
	expect_refused(v, "[-1]", "-1");
	expect_refused(v, "[1.5]", "prompt");
	expect_refused(v, "[[1]]", "prompt");
	expect_refused(v, "{\"prompt_string\": \"a\", \"multimodal_data\": [\"x\"]}", "only text");
	expect_refused(v, "{}", "prompt is null");
	stoker_vocabulary_free(&v);
}

static void expect_filled(const struct stoker_vocabulary *v, const char *json, uint32_t room,
			  const char *wanted)
{
	struct json_object *body = json_tokener_parse(json);
	struct problem p = { .status = 0 };
	uint32_t *tokens;
	size_t count;

	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	CU_ASSERT_FATAL(native_infill(v, body, room, &tokens, &count, &p));
	expect_tokens(tokens, count, wanted);
	free(tokens);
	json_object_put(body);
}

static void expect_unfilled(const struct stoker_vocabulary *v, const char *json, unsigned status,
			    const char *why)
{
	struct json_object *body = json_tokener_parse(json);
	struct problem p = { .status = 0 };
	uint32_t *tokens;
	size_t count;

	CU_ASSERT_FALSE(native_infill(v, body, 99, &tokens, &count, &p));
	CU_ASSERT_EQUAL(p.status, status);
	CU_ASSERT_PTR_NOT_NULL(strstr(p.message, why));
	json_object_put(body);
}

#define GAP "\"input_prefix\": \"abcdefgh\", \"input_suffix\": \"stuvwxyz\""

static void test_gaps(void)
{
	struct stoker_vocabulary *plain = open_vocabulary(3), *full = open_vocabulary(5),
				 *none = open_vocabulary(2);

	expect_filled(plain, "{" GAP "}", 99, "bPabcdefghSstuvwxyzM");
	expect_filled(plain, "{" GAP ", \"prompt\": \"!\"}", 99, "bPabcdefgh!SstuvwxyzM");
	expect_filled(plain, "{" GAP ", \"input_extra\": [{\"text\": \"x\"}]}", 99,
		      "b\n\n---\xe2\x96\x81snippet\xe2\x96\x81---\n\nxPabcdefghSstuvwxyzM");
	expect_filled(full, "{" GAP "}", 99, "bRmyproject\nFfilename\nPabcdefghSstuvwxyzM");
	expect_filled(full,
		      "{" GAP ", \"input_extra\": [{\"text\": \"x\", \"filename\": \"n\"}, "
		      "{\"text\": \"y\"}]}",
		      99, "bRmyproject\nFn\nxFtmp\nyFfilename\nPabcdefghSstuvwxyzM");
	/* marks in texts are texts */
	expect_filled(plain, "{\"input_prefix\": \"<s>\", \"input_suffix\": \"\"}", 99, "bP<s>SM");
	/* what is nearest to the gap stays; then the last of what is before it */
	expect_filled(full, "{" GAP "}", 25, "bname\nPabcdefghSstuvwxyzM");
	expect_filled(full, "{" GAP "}", 16, "bPabcdefghSstuvM");
	expect_filled(full, "{" GAP "}", 12, "bPcdefghSstM");
	expect_filled(full, "{\"input_prefix\": \"a\", \"input_suffix\": \"stuvwxyz\"}", 12,
		      "bPaSstuvwxyM");
	expect_filled(full, "{" GAP "}", 2, "bPSM");
	expect_unfilled(none, "{" GAP "}", 501, "no tokens");
	expect_unfilled(plain, "{\"input_suffix\": \"\"}", 400, "input_prefix");
	expect_unfilled(plain, "{\"input_prefix\": \"\"}", 400, "input_suffix");
	expect_unfilled(plain, "{" GAP ", \"prompt\": 7}", 400, "prompt");
	expect_unfilled(plain, "{" GAP ", \"input_extra\": {}}", 400, "input_extra");
	expect_unfilled(plain, "{" GAP ", \"input_extra\": [{}]}", 400, "input_extra");
	expect_unfilled(plain, "{" GAP ", \"input_extra\": [{\"text\": \"\", \"filename\": 1}]}",
			400, "filename");
	stoker_vocabulary_free(&none);
	stoker_vocabulary_free(&plain);
	stoker_vocabulary_free(&full);
}

void suite_serve_prompts(void)
{
	TEST(test_prompts);
	TEST(test_gaps);
}
