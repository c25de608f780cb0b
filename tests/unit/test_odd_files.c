// SPDX-License-Identifier: MIT
/* What people give for a model and isn't a whole one: told apart by what it says. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[4][160];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 160, "%s/%s", folder, name);
	return p;
}

static void write_bytes(const char *path, const void *data, size_t bytes)
{
	FILE *f = fopen(path, "wbe");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(data, 1, bytes, f), bytes);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void expect_refusal(const char *path, int code, const char *mention)
{
	struct stoker_error err = { .message = "" };
	struct stoker_gguf *g;
	const int ret = stoker_gguf_open(path, &g, &err);

	if (ret != code || !strstr(err.message, mention) || g) {
		printf("\n    %s: got %d \"%s\", expected %d \"%s\"", path, ret, err.message, code,
		       mention);
		CU_FAIL("wrong verdict");
	}
	stoker_gguf_close(&g);
}

static void test_escaping(void)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
		  "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "a\033]52;c;x\007\n\t\r\x7f", "a\\x1b]52;c;x\\x07\\n\\t\\r\\x7f" },
		{ "\xc2\x9b"
		  "31m",
		  "\\u009b31m" },
		{ "\xe2\x80\xae"
		  "abc\xe2\x81\xa9\xe2\x80\xa8",
		  "\\u202eabc\\u2069\\u2028" },
		{ "\xff\xc3(\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80",
		  "\\xff\\xc3(\\xed\\xa0\\x80\\xc0\\x80"
		  "\\xf4\\x90\\x80\\x80" },
		{ "\xe2\x82", "\\xe2\\x82" },
	};
	struct stoker_error err;
	char out[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CU_ASSERT_EQUAL(stoker_escape(out, sizeof(out), cases[i].text,
					      strlen(cases[i].text)),
				strlen(cases[i].shown));
		CU_ASSERT_STRING_EQUAL(out, cases[i].shown);
		stoker_fail(&err, -EINVAL, "%s", cases[i].text);
		CU_ASSERT_STRING_EQUAL(err.message, cases[i].shown);
	}
	CU_ASSERT_EQUAL(stoker_escape(out, sizeof(out), "a\0b", 3), 6);
	CU_ASSERT_STRING_EQUAL(out, "a\\x00b");
	/* whole characters and whole escapes only */
	CU_ASSERT_EQUAL(stoker_escape(out, 5, "ab\033", 3), 2);
	CU_ASSERT_EQUAL(stoker_escape(out, 4, "a\xe2\x82\xac", 4), 1);
	CU_ASSERT_EQUAL(stoker_escape(out, 1, "abc", 3), 0);
	/* a message that is too long isn't cut inside of a character either */
	char euros[600] = "";

	for (int i = 0; i < 190; i++)
		strcat(euros, "\xe2\x82\xac");
	for (int pad = 0; pad < 3; pad++) {
		stoker_fail(&err, -EINVAL, "%.*s%s", pad, "xx", euros);
		CU_ASSERT_PTR_NULL(strchr(err.message, '\\'));
		CU_ASSERT(strlen(err.message) > 470);
	}
}

static void test_other_files(void)
{
	static const struct {
		const char *bytes;
		size_t count;
		const char *said;
	} files[] = {
#define FILE_OF(text, said) { text, sizeof(text) - 1, said }
		FILE_OF("", "the file is empty"),
		FILE_OF("\0\0\0\0\0\0\0\0", "begins with zeros: an unfinished download?"),
		FILE_OF("GGU", "text (\"GGU\")"),
		FILE_OF("version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
			"git lfs pull"),
		FILE_OF("<!DOCTYPE html>\n<html>", "a web page (\"<!DOCTYPE html>\")"),
		FILE_OF("\xef\xbb\xbf \n<HTML lang=\"en\">", "a web page"),
		FILE_OF("{\"error\":\"gated\"}\n", "JSON (\"{\"error\":\"gated\"}\")"),
		FILE_OF("Entry not found", "text (\"Entry not found\")"),
		FILE_OF("bad \xc2\x9b"
			"1m",
			"\\u009b"),
		FILE_OF("\x10\0\0\0\0\0\0\0{\"__metadata__\":", "safetensors"),
		FILE_OF("PK\003\004\0\0", "PyTorch"),
		FILE_OF("\200\002}q", "PyTorch"),
		FILE_OF("\037\213\010", "gzip"),
		FILE_OF("\050\265\057\375\0", "zstd"),
		FILE_OF("tjgg\003\0\0\0", "before August 2023"),
		FILE_OF("lmgg", "before August 2023"),
		FILE_OF("algg\001", "LoRA"),
		FILE_OF("GGUF\001\0\0\0\0\0\0\0", "GGUF version 1"),
		FILE_OF("GGUF\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "version 3 in big-endian"),
		FILE_OF("GGUF\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "version 2 in big-endian"),
		FILE_OF("GGUF\003\0\0\0\1\0\0", "an unfinished download?"),
		FILE_OF("\001\002\003\004\005", "not a GGUF file"),
	};
	uint8_t tar[512] = "name";

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const char *path = in_folder("other.gguf");
		const bool version = files[i].count > 8 && !strncmp(files[i].bytes, "GGUF", 4) &&
				     !strstr(files[i].said, "unfinished");

		/* of version 1 and others the counts are looked at no more */
		write_bytes(path, files[i].bytes, files[i].count);
		if (version && files[i].count < 24)
			truncate(path, 24);
		expect_refusal(path, version ? -ENOTSUP : -EINVAL, files[i].said);
	}
	memcpy(tar + 257, "ustar", 5);
	write_bytes(in_folder("other.gguf"), tar, sizeof(tar));
	expect_refusal(in_folder("other.gguf"), -EINVAL, "tar");
	expect_refusal(folder, -EISDIR, "a folder");
	expect_refusal("-", -ENOENT, "standard input");
	expect_refusal("https://example.org/x.gguf", -ENOENT, "address");
	expect_refusal(in_folder("no\033file"), -ENOENT, "no\\x1bfile");
	unlink(in_folder("other.gguf"));
}

static void test_types_of_others(void)
{
	static const struct {
		uint8_t id;
		const char *said;
	} types[] = {
		{ 4, "unsupported type 4 (Q4_2, withdrawn" },
		{ 26, "I32" },
		{ 31, "Q4_0_4_4" },
		{ 33, "Q4_0_8_8, withdrawn in 2024: fetch the same model in Q4_0" },
		{ 36, "IQ4_NL_4_4" },
		{ 38, "IQ4_NL" },
		{ 139, "IQ4_K, a type of ik_llama.cpp" },
		{ 158, "IQ1_KT" },
		{ 210, "ik_llama.cpp" },
		{ 77, "unsupported type 77" },
	};
	const char *path = in_folder("type.gguf");
	const uint64_t shape[1] = { 32 };
	const float values[32] = { 0 };
	struct stoker_gguf_writer *w;
	uint8_t *file;
	size_t bytes;

	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	stoker_gguf_writer_put_tensor(w, "vector", stoker_format_by_name("F32"), 1, shape);
	stoker_gguf_writer_write(w, values, sizeof(values), NULL);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	file = load_file(path, &bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	uint8_t *type = (uint8_t *)memmem(file, bytes, "vector", 6) + 6 + 4 + 8;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		type[0] = types[i].id;
		write_bytes(path, file, bytes);
		expect_refusal(path, -ENOTSUP, types[i].said);
	}
	free(file);
	unlink(path);
}

/* Tensors @first to @last of "t0", "t1" ..., with keys of a part unless @count is 0. */
static void write_part(const char *path, uint32_t no, uint32_t count, uint32_t tensors,
		       uint32_t first, uint32_t last)
{
	const uint64_t shape[1] = { 64 };
	const float values[64] = { 1 };
	struct stoker_gguf_writer *w;
	char name[16];

	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	stoker_gguf_writer_put_string(w, "general.architecture", "llama");
	if (count) {
		stoker_gguf_writer_put_u32(w, "split.no", no);
		stoker_gguf_writer_put_u32(w, "split.count", count);
		if (tensors)
			stoker_gguf_writer_put_u32(w, "split.tensors.count", tensors);
	}
	for (uint32_t i = first; i <= last; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		stoker_gguf_writer_put_tensor(w, name, stoker_format_by_name("F32"), 1, shape);
	}
	for (uint32_t i = first; i <= last; i++)
		stoker_gguf_writer_write(w, values, sizeof(values), NULL);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
}

static void test_parts(void)
{
	const char *one = in_folder("m-00001-of-00002.gguf");
	const char *two = in_folder("m-00002-of-00002.gguf");
	const char *all = in_folder("all.gguf");
	struct stoker_gguf *g;
	uint8_t *a, *b;
	size_t a_bytes, b_bytes;

	/* whole, but the keys of its parts were left */
	write_part(all, 0, 2, 4, 0, 3);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(all, &g, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_file_count(g), 1);
	CU_ASSERT_EQUAL(stoker_gguf_tensor_count(g), 4);
	stoker_gguf_close(&g);
	write_part(all, 0, 2, 5, 0, 3);
	expect_refusal(all, -EINVAL, "first of 2 files but not named");

	write_part(one, 0, 2, 4, 0, 1);
	expect_refusal(one, -ENOENT, "part 2 of 2");
	write_part(two, 1, 2, 4, 2, 3);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(one, &g, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_tensor_count(g), 4);
	stoker_gguf_close(&g);
	expect_refusal(two, -EINVAL, "this is file 2 of a split model");
	/* put together with cat */
	a = load_file(one, &a_bytes);
	b = load_file(two, &b_bytes);
	CU_ASSERT_FATAL(a && b);
	a = realloc(a, a_bytes + b_bytes);
	memcpy(a + a_bytes, b, b_bytes);
	write_bytes(all, a, a_bytes + b_bytes);
	expect_refusal(all, -EINVAL, "put together in one file");
	free(a);
	free(b);
	/* a part that lacks a tensor, or has one too many */
	write_part(two, 1, 2, 4, 2, 2);
	expect_refusal(one, -EINVAL, "hold 3 tensors, split.tensors.count is 4");
	write_part(two, 1, 2, 4, 2, 4);
	expect_refusal(one, -EINVAL, "hold 5 tensors, split.tensors.count is 4");
	/* of another model */
	write_part(two, 1, 2, 7, 2, 3);
	expect_refusal(one, -EINVAL, "split.tensors.count is 7, the first part's is 4");
	write_part(two, 1, 3, 4, 2, 3);
	expect_refusal(one, -EINVAL, "split.count is 3, the first part's is 2");
	/* old parts don't say how many tensors there are */
	write_part(one, 0, 2, 0, 0, 1);
	write_part(two, 1, 2, 0, 2, 3);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(one, &g, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_tensor_count(g), 4);
	stoker_gguf_close(&g);
	unlink(one);
	unlink(two);
	unlink(all);
}

static void test_unfinished(void)
{
	enum { BYTES = 1 << 18 };
	const char *path = in_folder("part.gguf");
	const uint64_t shape[1] = { BYTES / 4 };
	struct stoker_gguf_writer *w;
	struct stoker_gguf *g;
	uint64_t holes = 1;
	char early[96];
	struct stat st;
	float *values = malloc(BYTES);

	CU_ASSERT_PTR_NOT_NULL_FATAL(values);
	for (size_t i = 0; i < BYTES / 4; i++)
		values[i] = 1;
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	for (int i = 0; i < 3; i++)
		stoker_gguf_writer_put_tensor(w,
					      i == 0   ? "first"
					      : i == 1 ? "second"
						       : "third",
					      stoker_format_by_name("F32"), 1, shape);
	for (int i = 0; i < 3; i++)
		stoker_gguf_writer_write(w, values, BYTES, NULL);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	free(values);
	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(path, &g, NULL), 0);
	CU_ASSERT_PTR_NULL(stoker_gguf_find_hole(g, &holes));
	CU_ASSERT_EQUAL(holes, 0);
	stoker_gguf_close(&g);
	CU_ASSERT_EQUAL(truncate(path, st.st_size - 1), 0);
	snprintf(early, sizeof(early), "ends early, %lld of %lld bytes: an unfinished download?",
		 (long long)st.st_size - 1, (long long)st.st_size);
	expect_refusal(path, -EINVAL, early);
	/* the rest of the second and all of the third one are still to come */
	CU_ASSERT_EQUAL(truncate(path, st.st_size - BYTES - BYTES / 2), 0);
	expect_refusal(path, -EINVAL, "tensor second");
	CU_ASSERT_EQUAL(truncate(path, st.st_size), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(path, &g, NULL), 0);
	const struct stoker_gguf_tensor *t = stoker_gguf_find_hole(g, &holes);

	if (holes) { /* the file system says so */
		CU_ASSERT(holes >= BYTES && holes <= BYTES + BYTES / 2);
		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		CU_ASSERT(!strcmp(t->name, "third") || !strcmp(t->name, "second"));
	}
	stoker_gguf_close(&g);
	unlink(path);
}

static void test_nothing_is_left(void)
{
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

void suite_odd_files(void)
{
	snprintf(folder, sizeof(folder), "/tmp/stoker-odd-%d", getpid());
	mkdir(folder, 0700);
	TEST(test_escaping);
	TEST(test_other_files);
	TEST(test_types_of_others);
	TEST(test_parts);
	TEST(test_unfinished);
	TEST(test_nothing_is_left);
}
