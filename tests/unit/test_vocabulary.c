// SPDX-License-Identifier: MIT
/* What a tokenizer's keys may be, special tokens by name, and cutting texts at them. */
#include "unit.h"

#include <unistd.h>

#include "text/vocabulary.h"

enum kind { BYTES, SPM };

/* A vocabulary with one entry a byte, and @extra tokens of one type; tests add keys and finish. */
struct draft {
	struct stoker_gguf_writer *w;
	char path[64];
	enum kind kind;
	const char *pre;	   /* NULL: none */
	const char *const *merges; /* NULL-terminated; NULL: one that joins nothing */
};

enum { FIRST_EXTRA = 259 };

static void begin_draft(struct draft *d, const char *const *extra, int32_t type)
{
	static char names[256][8];
	static const char *const before[] = { "<unk>", "<s>", "</s>" };
	struct stoker_string tokens[400];
	float scores[400] = { 0 };
	int32_t types[400] = { TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_CONTROL };
	size_t n = 3;

	for (size_t i = 0; i < 3; i++)
		tokens[i] = (struct stoker_string){ before[i], strlen(before[i]) };
	for (unsigned b = 0; b < 256; b++, n++) {
		const size_t length = d->kind == BYTES
					      ? utf8_encode(byte_character((uint8_t)b), names[b])
					      : (size_t)snprintf(names[b], 8, "<0x%02X>", b);

		tokens[n] = (struct stoker_string){ names[b], length };
		types[n] = d->kind == BYTES ? TOKEN_NORMAL : TOKEN_BYTE;
	}
	for (; *extra; extra++, n++) {
		tokens[n] = (struct stoker_string){ *extra, strlen(*extra) };
		types[n] = type;
		scores[n] = (float)tokens[n].length;
	}
	snprintf(d->path, sizeof(d->path), "/tmp/stoker-test-%d.gguf", getpid());
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(d->path, &d->w, NULL), 0);
	stoker_gguf_writer_put_string(d->w, "tokenizer.ggml.model",
				      d->kind == BYTES ? "gpt2" : "llama");
	stoker_gguf_writer_put_strings(d->w, "tokenizer.ggml.tokens", tokens, n);
	stoker_gguf_writer_put_i32s(d->w, "tokenizer.ggml.token_type", types, n);
	stoker_gguf_writer_put_f32s(d->w, "tokenizer.ggml.scores", scores, n);
	if (d->pre)
		stoker_gguf_writer_put_string(d->w, "tokenizer.ggml.pre", d->pre);
	if (d->kind == SPM)
		stoker_gguf_writer_put_bool(d->w, "tokenizer.ggml.add_space_prefix", 0);
	if (d->kind == BYTES) {
		struct stoker_string merges[8] = { { "Z Z", 3 } };
		size_t count = !d->merges;

		for (; d->merges && d->merges[count]; count++)
			merges[count] = (struct stoker_string){ d->merges[count],
								strlen(d->merges[count]) };
		stoker_gguf_writer_put_strings(d->w, "tokenizer.ggml.merges", merges, count);
	}
}

/* 0 or what loading says, in @err. */
static int end_draft(struct draft *d, const char *pre, struct stoker_vocabulary **v,
		     struct stoker_error *err)
{
	struct stoker_gguf *g = NULL;
	int ret;

	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&d->w, 1, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(d->path, &g, err), 0);
	unlink(d->path);
	ret = stoker_vocabulary_load_named(g, pre, v, err);
	stoker_gguf_close(&g);
	return ret;
}

static struct stoker_vocabulary *made(struct draft *d)
{
	struct stoker_vocabulary *v = NULL;
	struct stoker_error err;

	if (end_draft(d, NULL, &v, &err))
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	return v;
}

static void expect_refused(struct draft *d, const char *key)
{
	struct stoker_vocabulary *v = NULL;
	struct stoker_error err = { "" };

	CU_ASSERT_EQUAL(end_draft(d, NULL, &v, &err), -EINVAL);
	CU_ASSERT_PTR_NULL(v);
	if (!strstr(err.message, key)) {
		printf("\n    \"%s\" doesn't name %s", err.message, key);
		CU_FAIL("unclear message");
	}
}

static bool gives(const struct stoker_vocabulary *v, const char *text, unsigned flags,
		  const uint32_t *wanted, size_t count)
{
	uint32_t *tokens = NULL;
	size_t n = 0;
	bool same;

	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_tokenize(v, text, strlen(text), flags, &tokens, &n, NULL), 0);
	same = n == count && (!n || !memcmp(tokens, wanted, n * sizeof(*tokens)));
	for (size_t i = 0; !same && i < n; i++)
		printf("%s%u", i ? " " : "\n    ", tokens[i]);
	free(tokens);
	return same;
}

#define GIVES(v, text, flags, ...)                               \
	gives(v, text, flags, (const uint32_t[]){ __VA_ARGS__ }, \
	      sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

/* The token of a byte. */
static uint32_t byte(char c)
{
	return 3 + (uint8_t)c;
}

static void test_control_by_name(void)
{
	static const char *const extra[] = {
		"<|im_start|>",	    "<|im_end|>", "<|fim_prefix|>", "<end_of_turn>",
		"<|tool_response>", "<PRE>",	  "[EOT]",	    NULL
	};
	static const int32_t types[] = { TOKEN_NORMAL, TOKEN_USER_DEFINED, TOKEN_UNUSED,
					 TOKEN_CONTROL };

	for (unsigned kind = BYTES; kind <= SPM; kind++)
		for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
			struct draft d = { .kind = kind, .pre = "qwen2" };

			begin_draft(&d, extra, types[t]);
			struct stoker_vocabulary *v = made(&d);

			for (uint32_t i = 1; extra[i]; i++) {
				char text[64], out[64];

				snprintf(text, sizeof(text), "a%sb", extra[i]);
				CU_ASSERT(GIVES(v, text, STOKER_TOKENIZE_SPECIAL, byte('a'),
						FIRST_EXTRA + i, byte('b')));
				/* typed by a user it is text, whatever pieces could be joined to */
				uint32_t *tokens;
				size_t n;

				CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_tokenize(v, text,
										 strlen(text), 0,
										 &tokens, &n, NULL),
						      0);
				CU_ASSERT_EQUAL(n, strlen(text));
				free(tokens);
				CU_ASSERT_EQUAL(stoker_vocabulary_text(v, FIRST_EXTRA + i, 0, out,
								       sizeof(out)),
						0);
				CU_ASSERT_EQUAL(stoker_vocabulary_is_end(v, FIRST_EXTRA + i),
						i != 2 && i != 5);
			}
			CU_ASSERT(!stoker_vocabulary_is_end(v, FIRST_EXTRA));
			stoker_vocabulary_free(&v);
		}
}

/* "</s>" is a tag of HTML where it's typed as such; channels are shown, but nobody can type them.
 */
static void test_other_names(void)
{
	static const char *const extra[] = { "<|channel|>", "<|end|>", "<|return|>", "<|call|>",
					     NULL };
	struct draft d = { .kind = BYTES, .pre = "gpt-4o" };
	struct stoker_vocabulary *v;
	char out[16];

	begin_draft(&d, extra, TOKEN_CONTROL);
	v = made(&d);
	CU_ASSERT(GIVES(v, "<|channel|>", STOKER_TOKENIZE_SPECIAL, FIRST_EXTRA));
	CU_ASSERT(GIVES(v, "<|channel|>", 0, byte(60), byte(124), byte(99), byte(104), byte(97),
			byte(110), byte(110), byte(101), byte(108), byte(124), byte(62)));
	CU_ASSERT_EQUAL(stoker_vocabulary_text(v, FIRST_EXTRA, 0, out, sizeof(out)), 11);
	CU_ASSERT(!stoker_vocabulary_is_end(v, FIRST_EXTRA + 1));
	CU_ASSERT_EQUAL(stoker_vocabulary_text(v, FIRST_EXTRA + 1, 0, out, sizeof(out)), 7);
	CU_ASSERT(stoker_vocabulary_is_end(v, FIRST_EXTRA + 2));
	stoker_vocabulary_free(&v);
}

static void test_stripping(void)
{
	static const char *const extra[] = { "<|user|>", "<|end|>", "<|endoftext|>", NULL };
	static const struct {
		const char *name;
		bool strips;
	} names[] = { { "Phi3", true },
		      { "Phi 3.5 mini instruct", true },
		      { "My phi-3 tune", true },
		      { "Phi-4", false },
		      { "Dolphin 3", false },
		      { "Delphi3", false },
		      { "phi-2 version 3", false } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct draft d = { .kind = SPM };
		const uint32_t user = FIRST_EXTRA, end = user + 1, text = user + 2;

		begin_draft(&d, extra, TOKEN_CONTROL);
		stoker_gguf_writer_put_string(d.w, "general.name", names[i].name);
		struct stoker_vocabulary *v = made(&d);

		if (names[i].strips) {
			CU_ASSERT(GIVES(v,
					"<|user|>\n \t\xc2\xa0\xe3\x80\x80"
					"a\n<|end|>\n\n",
					STOKER_TOKENIZE_SPECIAL, user, byte('a'), byte('\n'), end));
			CU_ASSERT(GIVES(v, "<|user|> <|end|> <s>\n", STOKER_TOKENIZE_SPECIAL, user,
					end, 1, byte('\n')));
			CU_ASSERT(GIVES(v, "</s>\n<|endoftext|>\n", STOKER_TOKENIZE_SPECIAL, 2,
					text, byte('\n')));
			/* half a character isn't white space */
			CU_ASSERT(GIVES(v, "<|user|>\xe3\x80", STOKER_TOKENIZE_SPECIAL, user,
					byte('\xe3'), byte('\x80')));
		} else {
			CU_ASSERT(GIVES(v, "<|user|>\na", STOKER_TOKENIZE_SPECIAL, user, byte('\n'),
					byte('a')));
		}
		stoker_vocabulary_free(&v);
	}
	struct draft d = { .kind = BYTES, .pre = "jina-v2-code" };

	begin_draft(&d, (const char *const[]){ "<mask>", NULL }, TOKEN_CONTROL);
	struct stoker_vocabulary *v = made(&d);

	CU_ASSERT(GIVES(v, "a \xe2\x80\x83\n<mask> b", STOKER_TOKENIZE_SPECIAL, byte('a'),
			FIRST_EXTRA, byte(' '), byte('b')));
	CU_ASSERT(GIVES(v, " <mask>", STOKER_TOKENIZE_SPECIAL, FIRST_EXTRA));
	stoker_vocabulary_free(&v);
}

/* The leftmost token, of those that begin there the longest; as a search without tricks finds them.
 */
static void test_longest_special(void)
{
	static const char *const extra[] = { "<a", "<a>",  "<a><b>", "b><", "><a",
					     "aa", "aaaa", "<",	     NULL };
	struct draft d = { .kind = BYTES, .pre = "gpt-2" };
	struct stoker_vocabulary *v;
	unsigned wrong = 0;

	begin_draft(&d, extra, TOKEN_CONTROL);
	v = made(&d);
	CU_ASSERT(GIVES(v, "<a><b><c", STOKER_TOKENIZE_SPECIAL, FIRST_EXTRA + 2, FIRST_EXTRA + 7,
			byte('c')));
	CU_ASSERT(GIVES(v, "aaaaaaa", STOKER_TOKENIZE_SPECIAL, FIRST_EXTRA + 6, FIRST_EXTRA + 5,
			byte('a')));
	random_seed(11);
	for (int round = 0; round < 2000; round++) {
		char text[32] = "";
		uint32_t wanted[32];
		size_t n = 0;
		const size_t bytes = random_u32() % 30;

		for (size_t i = 0; i < bytes; i++)
			text[i] = "<a>b "[random_u32() % 5];
		for (size_t at = 0, length; at < bytes; at += length) {
			length = 1;
			wanted[n] = byte(text[at]);
			for (uint32_t e = 0; extra[e]; e++)
				if (strlen(extra[e]) >= length &&
				    !strncmp(text + at, extra[e], strlen(extra[e]))) {
					length = strlen(extra[e]);
					wanted[n] = FIRST_EXTRA + e;
				}
			n++;
		}
		wrong += !gives(v, text, STOKER_TOKENIZE_SPECIAL, wanted, n);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	stoker_vocabulary_free(&v);
}

/* Ten thousand special tokens, in a text that names most: time grows with the text alone. */
static void test_many_specials(void)
{
	enum { COUNT = 20000, ROOM = 16 };
	AUTO_FREE char *names = calloc(COUNT, ROOM);
	AUTO_FREE char *text = calloc(COUNT, ROOM);
	AUTO_FREE struct stoker_string *tokens = calloc(COUNT, sizeof(*tokens));
	AUTO_FREE int32_t *types = calloc(COUNT, sizeof(*types));
	struct stoker_vocabulary *v = NULL;
	struct stoker_gguf_writer *w;
	uint32_t *ids = NULL;
	size_t count = 0, wrong = 0, bytes = 0;
	char path[64];

	CU_ASSERT_FATAL(names && text && tokens && types);
	for (uint32_t i = 0; i < COUNT; i++) {
		const int n = snprintf(names + i * ROOM, ROOM, "<tool %u>", i);

		tokens[i] = (struct stoker_string){ names + i * ROOM, (size_t)n };
		types[i] = TOKEN_CONTROL;
		memcpy(text + bytes, names + i * ROOM, (size_t)n);
		bytes += (size_t)n;
	}
	snprintf(path, sizeof(path), "/tmp/stoker-test-%d.gguf", getpid());
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "llama");
	stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", tokens, COUNT);
	stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, COUNT);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(path, &v, NULL), 0);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_tokenize(v, text, bytes, STOKER_TOKENIZE_SPECIAL,
							 &ids, &count, NULL),
			      0);
	CU_ASSERT_EQUAL_FATAL(count, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		wrong += ids[i] != i;
	CU_ASSERT_EQUAL(wrong, 0);
	free(ids);
	stoker_vocabulary_free(&v);
}

static void test_ends(void)
{
	static const char *const extra[] = { "<x>", "<y>", "<z>", NULL };
	const int32_t list[] = { FIRST_EXTRA + 1, FIRST_EXTRA, -1, 100000 };
	struct draft d = { .kind = BYTES, .pre = "gpt-2" };
	struct stoker_vocabulary *v;

	begin_draft(&d, extra, TOKEN_CONTROL);
	stoker_gguf_writer_put_i32s(d.w, "tokenizer.ggml.eos_token_id", list, 4);
	stoker_gguf_writer_put_bool(d.w, "tokenizer.ggml.add_eos_token", 1);
	v = made(&d);
	CU_ASSERT(stoker_vocabulary_is_end(v, FIRST_EXTRA));
	CU_ASSERT(stoker_vocabulary_is_end(v, FIRST_EXTRA + 1));
	CU_ASSERT(!stoker_vocabulary_is_end(v, FIRST_EXTRA + 2));
	/* a text that is to go on has no end, the first of the list ends others */
	CU_ASSERT(GIVES(v, "a", STOKER_TOKENIZE_ADD, byte('a')));
	CU_ASSERT(GIVES(v, "a", STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_ADD_END, byte('a'),
			FIRST_EXTRA + 1));
	CU_ASSERT_PTR_NOT_NULL_FATAL(stoker_vocabulary_warning(v, 0));
	CU_ASSERT_PTR_NOT_NULL(strstr(stoker_vocabulary_warning(v, 0), "100000"));
	CU_ASSERT_PTR_NULL(stoker_vocabulary_warning(v, 1));
	stoker_vocabulary_free(&v);

	/* as a name */
	begin_draft(&d, extra, TOKEN_CONTROL);
	stoker_gguf_writer_put_string(d.w, "tokenizer.ggml.eos_token_id", "<z>");
	v = made(&d);
	CU_ASSERT(stoker_vocabulary_is_end(v, FIRST_EXTRA + 2));
	stoker_vocabulary_free(&v);

	/* missing, and not a word about it: nothing but names ends */
	begin_draft(&d, extra, TOKEN_CONTROL);
	v = made(&d);
	for (uint32_t i = 0; i < stoker_vocabulary_size(v); i++)
		CU_ASSERT_EQUAL(stoker_vocabulary_is_end(v, i), i == 2);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_BEGIN), -1);
	stoker_vocabulary_free(&v);
}

/* Which tokens play parts: by their names, or as the file says. */
static void test_parts(void)
{
	static const char *const extra[] = { "<|im_end|>",     "<|fim_middle|>",
					     "<PRE>",	       "<|file_sep|>",
					     "<|fim_prefix|>", "a",
					     "<|repo_name|>",  NULL };
	static const enum stoker_special none[] = {
		STOKER_SPECIAL_BEGIN,	       STOKER_SPECIAL_SEPARATOR,   STOKER_SPECIAL_PADDING,
		STOKER_SPECIAL_END_OF_MESSAGE, STOKER_SPECIAL_FILL_SUFFIX, STOKER_SPECIAL_FILL_PAD
	};
	struct draft d = { .kind = BYTES };
	struct stoker_vocabulary *v;

	begin_draft(&d, extra, TOKEN_CONTROL);
	v = made(&d);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		CU_ASSERT_EQUAL(stoker_vocabulary_special(v, none[i]), -1);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_END), 2);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_END_OF_TURN), FIRST_EXTRA);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_FILL_MIDDLE), FIRST_EXTRA + 1);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_FILL_PREFIX), FIRST_EXTRA + 4);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_FILE), FIRST_EXTRA + 3);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_REPOSITORY), FIRST_EXTRA + 6);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, (enum stoker_special)99), -1);
	CU_ASSERT_EQUAL(stoker_vocabulary_find(v, "<PRE>", 5), FIRST_EXTRA + 2);
	CU_ASSERT_EQUAL(stoker_vocabulary_find(v, "<PRE>", 4), -1);
	stoker_vocabulary_free(&v);

	begin_draft(&d, extra, TOKEN_CONTROL);
	stoker_gguf_writer_put_u32(d.w, "tokenizer.ggml.fim_pre_token_id", FIRST_EXTRA + 5);
	stoker_gguf_writer_put_u32(d.w, "tokenizer.ggml.prefix_token_id", FIRST_EXTRA);
	stoker_gguf_writer_put_u32(d.w, "tokenizer.ggml.eot_token_id", FIRST_EXTRA + 3);
	stoker_gguf_writer_put_u32(d.w, "tokenizer.ggml.padding_token_id", 7);
	v = made(&d);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_FILL_PREFIX), FIRST_EXTRA + 5);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_END_OF_TURN), FIRST_EXTRA + 3);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_PADDING), 7);
	stoker_vocabulary_free(&v);

	begin_draft(&d, extra, TOKEN_CONTROL);
	stoker_gguf_writer_put_string(d.w, "tokenizer.ggml.padding_token_id", "no number");
	v = made(&d);
	CU_ASSERT_EQUAL(stoker_vocabulary_special(v, STOKER_SPECIAL_PADDING), -1);
	CU_ASSERT_PTR_NULL(stoker_vocabulary_warning(v, 1));
	stoker_vocabulary_free(&v);
}

static void put_text(struct stoker_gguf_writer *w, const char *key)
{
	stoker_gguf_writer_put_string(w, key, "false");
}

static void put_real(struct stoker_gguf_writer *w, const char *key)
{
	stoker_gguf_writer_put_f32(w, key, 1);
}

static void put_two(struct stoker_gguf_writer *w, const char *key)
{
	stoker_gguf_writer_put_u32(w, key, 2);
}

static void put_true(struct stoker_gguf_writer *w, const char *key)
{
	stoker_gguf_writer_put_bool(w, key, 1);
}

static void put_reals(struct stoker_gguf_writer *w, const char *key)
{
	stoker_gguf_writer_put_f32s(w, key, (float[]){ 1, 2 }, 2);
}

static void test_wrong_kinds(void)
{
	static const struct {
		const char *key;
		void (*put)(struct stoker_gguf_writer *w, const char *key);
	} cases[] = {
		{ "add_bos_token", put_text },	  { "add_bos_token", put_two },
		{ "add_eos_token", put_real },	  { "add_space_prefix", put_reals },
		{ "bos_token_id", put_text },	  { "eos_token_id", put_real },
		{ "eos_token_id", put_reals },	  { "eos_token_id", put_true },
		{ "eot_token_id", put_text },	  { "unknown_token_id", put_reals },
		{ "fim_pre_token_id", put_real }, { "pre", put_two },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct draft d = { .kind = BYTES };
		char key[64];

		snprintf(key, sizeof(key), "tokenizer.ggml.%s", cases[i].key);
		begin_draft(&d, (const char *const[]){ "x", NULL }, TOKEN_CONTROL);
		cases[i].put(d.w, key);
		expect_refused(&d, key);
	}
	struct draft d = { .kind = SPM };

	begin_draft(&d, (const char *const[]){ NULL }, 0);
	put_two(d.w, "tokenizer.chat_template");
	expect_refused(&d, "tokenizer.chat_template");
	/* numbers for truth are fine */
	begin_draft(&d, (const char *const[]){ NULL }, 0);
	stoker_gguf_writer_put_u32(d.w, "tokenizer.ggml.add_bos_token", 1);
	struct stoker_vocabulary *v = made(&d);

	CU_ASSERT(GIVES(v, "a", STOKER_TOKENIZE_ADD, 1, byte('a')));
	stoker_vocabulary_free(&v);
}

static void test_merges(void)
{
	static const char *const none[] = { NULL }, *const glued[] = { "h e", "hell", NULL },
				 *const half[] = { "h ", NULL };
	static const char *const words[] = { "he", NULL };
	struct draft d = { .kind = BYTES, .pre = "gpt-2", .merges = glued };
	struct stoker_vocabulary *v;

	begin_draft(&d, words, TOKEN_NORMAL);
	expect_refused(&d, "number 1, \"hell\"");
	d.merges = half;
	begin_draft(&d, words, TOKEN_NORMAL);
	expect_refused(&d, "tokenizer.ggml.merges");
	d.merges = none;
	begin_draft(&d, words, TOKEN_NORMAL);
	expect_refused(&d, "tokenizer.ggml.merges is empty");
	/* nothing to merge, nothing missing */
	begin_draft(&d, words, TOKEN_CONTROL);
	v = made(&d);
	CU_ASSERT(GIVES(v, "he", 0, byte('h'), byte('e')));
	stoker_vocabulary_free(&v);
}

static void test_pretokenizer(void)
{
	static const char *const extra[] = { "20", "24", NULL }, *const merges[] = { "2 0", "2 4",
										     NULL };
	struct draft d = { .kind = BYTES, .merges = merges };
	struct stoker_vocabulary *v = NULL;
	struct stoker_error err;

	for (int i = 0; i < 2; i++) {
		d.pre = i ? "" : NULL;
		begin_draft(&d, extra, TOKEN_NORMAL);
		v = made(&d);
		CU_ASSERT_PTR_NOT_NULL_FATAL(stoker_vocabulary_warning(v, 0));
		CU_ASSERT_PTR_NOT_NULL(
			strstr(stoker_vocabulary_warning(v, 0), "tokenizer.ggml.pre"));
		CU_ASSERT_PTR_NULL(stoker_vocabulary_warning(v, 1));
		stoker_vocabulary_free(&v);
	}
	d.pre = NULL;
	begin_draft(&d, extra, TOKEN_NORMAL);
	CU_ASSERT_EQUAL_FATAL(end_draft(&d, "qwen2", &v, &err), 0);
	CU_ASSERT_PTR_NULL(stoker_vocabulary_warning(v, 0));
	CU_ASSERT(GIVES(v, "20", 0, byte('2'), byte('0')));
	stoker_vocabulary_free(&v);
	begin_draft(&d, extra, TOKEN_NORMAL);
	CU_ASSERT_EQUAL(end_draft(&d, "no-such", &v, &err), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "no-such"));
}

/* Whatever their length, strings are found in a map, and no others. */
static void test_string_map(void)
{
	struct string_map map;
	char text[700];
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	CU_ASSERT_EQUAL_FATAL(string_map_create(&map, 300), 0);
	for (uint32_t n = 0; n < 300; n++)
		string_map_put(&map, (struct stoker_string){ text, n }, n);
	for (uint32_t n = 0; n < 300; n++)
		wrong += string_map_get(&map, text, n) != n;
	for (uint32_t n = 1; n < 200; n++)
		wrong += string_map_get(&map, text + 300 + n, n) != NO_TOKEN;
	CU_ASSERT_EQUAL(wrong, 0);
	string_map_free(&map);
}

void suite_vocabulary(void)
{
	TEST(test_control_by_name);
	TEST(test_other_names);
	TEST(test_stripping);
	TEST(test_longest_special);
	TEST(test_many_specials);
	TEST(test_ends);
	TEST(test_wrong_kinds);
	TEST(test_merges);
	TEST(test_pretokenizer);
	TEST(test_parts);
	TEST(test_string_map);
}
