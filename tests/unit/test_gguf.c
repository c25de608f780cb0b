// SPDX-License-Identifier: MIT
/* The container: round trips, and a malformed file for each check. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gguf/container.h"

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"

static char path[64];

static void put_head(struct stoker_gguf_writer *w, const uint64_t *shape)
{
	static const char *const words[] = { "alpha", "", "gamma" };
	struct stoker_string strings[3];
	const int32_t numbers[] = { -1, 2, 3 };

	for (int i = 0; i < 3; i++)
		strings[i] = (struct stoker_string){ words[i], strlen(words[i]) };
	stoker_gguf_writer_put_string(w, "general.architecture", "llama");
	stoker_gguf_writer_put_u32(w, "a.number", 7);
	stoker_gguf_writer_put_f32(w, "a.float", 0.5f);
	stoker_gguf_writer_put_bool(w, "a.flag", 1);
	stoker_gguf_writer_put_strings(w, "a.strings", strings, 3);
	stoker_gguf_writer_put_i32s(w, "a.numbers", numbers, 3);
	stoker_gguf_writer_put_tensor(w, "first", stoker_format_by_name("F32"), 3, shape);
	stoker_gguf_writer_put_tensor(w, "twice", stoker_format_by_name("Q8_0"), 2, shape);
}

static void write_sample(void)
{
	const uint64_t shape[3] = { 64, 3, 2 };
	struct stoker_gguf_writer *w;
	float values[384];
	uint8_t blocks[1024];

	snprintf(path, sizeof(path), "/tmp/stoker-test-%d.gguf", getpid());
	for (int i = 0; i < 384; i++)
		values[i] = (float)i;
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	put_head(w, shape);
	CU_ASSERT_EQUAL(stoker_gguf_writer_write(w, values, 1000, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_writer_write(w, values + 250, 537, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_gguf_writer_write(w, values + 250, 536, NULL), 0);
	stoker_format_encode(stoker_format_by_name("Q8_0"), values, blocks, 192);
	CU_ASSERT_EQUAL(stoker_gguf_writer_write(w, blocks, 204, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
}

static void test_round_trip(void)
{
	const struct stoker_gguf_tensor *t;
	struct stoker_string strings[3];
	struct stoker_gguf *g;
	uint64_t number = 0;
	int64_t signed_number = 0;
	double real = 0;
	float value;

	write_sample();
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(path, &g, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_version(g), 3);
	CU_ASSERT_EQUAL(stoker_gguf_key_count(g), 6);
	CU_ASSERT_EQUAL(stoker_gguf_u64(g, stoker_gguf_find(g, "a.number"), 0, &number), 0);
	CU_ASSERT_EQUAL(number, 7);
	CU_ASSERT_EQUAL(stoker_gguf_u64(g, stoker_gguf_find(g, "a.float"), 0, &number), -EINVAL);
	CU_ASSERT_EQUAL(stoker_gguf_f64(g, stoker_gguf_find(g, "a.float"), 0, &real), 0);
	CU_ASSERT_EQUAL(real, 0.5);
	CU_ASSERT_EQUAL(stoker_gguf_i64(g, stoker_gguf_find(g, "a.numbers"), 0, &signed_number), 0);
	CU_ASSERT_EQUAL(signed_number, -1);
	CU_ASSERT_EQUAL(stoker_gguf_u64(g, stoker_gguf_find(g, "a.numbers"), 0, &number), -EINVAL);
	CU_ASSERT_EQUAL(stoker_gguf_u64(g, stoker_gguf_find(g, "a.numbers"), 3, &number), -ERANGE);
	CU_ASSERT_EQUAL(stoker_gguf_strings(g, stoker_gguf_find(g, "a.strings"), strings), 0);
	CU_ASSERT(strings[1].length == 0 && strings[2].length == 5 &&
		  !memcmp(strings[2].data, "gamma", 5));
	CU_ASSERT_PTR_NULL(stoker_gguf_find(g, "a.nothing"));
	t = stoker_gguf_find_tensor(g, "first");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT(t->bytes == 1536 && t->ne[2] == 2 && t->ne[3] == 1);
	CU_ASSERT_EQUAL(stoker_gguf_read(g, t, 4 * 383, &value, 4, NULL), 0);
	CU_ASSERT_EQUAL(value, 383);
	CU_ASSERT_EQUAL(stoker_gguf_read(g, t, 4 * 383 + 1, &value, 4, NULL), -ERANGE);
	stoker_gguf_close(&g);
	CU_ASSERT_PTR_NULL(g);
	unlink(path);
}

/* Tensors' part of the head and what was read ahead of it are given back, and keys still read. */
static void test_what_is_kept(void)
{
	const struct stoker_gguf_key *key;
	struct stoker_string strings[3];
	struct stoker_gguf *g;

	write_sample();
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(path, &g, NULL), 0);
	key = stoker_gguf_find(g, "a.numbers"); /* the last one: three of 4 bytes */
	CU_ASSERT_PTR_EQUAL(g->files[0].head + g->files[0].head_bytes,
			    ((const struct key *)key)->value + 12 + 12);
	CU_ASSERT(g->files[0].head_bytes < g->files[0].data);
	CU_ASSERT_EQUAL(stoker_gguf_strings(g, stoker_gguf_find(g, "a.strings"), strings), 0);
	CU_ASSERT(strings[0].length == 5 && !memcmp(strings[0].data, "alpha", 5));
	stoker_gguf_close(&g);
	unlink(path);
}

/* It goes with the last who needs it. */
static void test_who_needs_what(void)
{
	struct stoker_gguf *g, *other;

	write_sample();
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(path, &g, NULL), 0);
	other = gguf_share(g);
	stoker_gguf_close(&g);
	CU_ASSERT_PTR_NULL(g);
	CU_ASSERT_PTR_NOT_NULL(stoker_gguf_find(other, "a.strings"));
	CU_ASSERT_STRING_EQUAL(stoker_gguf_file(other, 0, NULL, NULL), path);
	stoker_gguf_close(&other);
	unlink(path);
}

/* From a descriptor, which stays the caller's. */
static void test_descriptors(void)
{
	static const char split[] = "tests/data/containers/split-00001-of-00002.gguf";
	struct stoker_error err = { "" };
	struct stoker_gguf *g;
	int fd[2];

	write_sample();
	fd[0] = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	CU_ASSERT_FATAL(fd[0] >= 0 && lseek(fd[0], 7, SEEK_SET) == 7);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open_fd(fd[0], &g, &err), 0);
	CU_ASSERT_EQUAL(close(fd[0]), 0);
	CU_ASSERT_PTR_NOT_NULL(stoker_gguf_find(g, "a.strings"));
	CU_ASSERT_PTR_NOT_NULL(strstr(stoker_gguf_file(g, 0, NULL, NULL), "descriptor "));
	stoker_gguf_close(&g);
	CU_ASSERT_EQUAL(stoker_gguf_open_fd(fd[0], &g, &err), -EBADF);
	CU_ASSERT_PTR_NULL(g);
	CU_ASSERT_EQUAL(stoker_gguf_open_fd(-1, &g, &err), -EBADF);
	CU_ASSERT_EQUAL(stoker_gguf_open_fd(0, NULL, &err), -EINVAL);
	CU_ASSERT_FATAL(!pipe(fd));
	CU_ASSERT(stoker_gguf_open_fd(fd[0], &g, &err) < 0 && *err.message);
	close(fd[0]);
	close(fd[1]);
	fd[0] = open(split, O_RDONLY | O_CLOEXEC);
	if (fd[0] >= 0) {
		CU_ASSERT_EQUAL(stoker_gguf_open_fd(fd[0], &g, &err), -ENOTSUP);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "the first of 2 files"));
		close(fd[0]);
	}
}

/* Writes @bytes as a file and opens it; the message has to contain @mention. */
static int open_bytes(const uint8_t *data, size_t bytes, struct stoker_gguf **g,
		      struct stoker_error *err)
{
	FILE *f = fopen(path, "wbe");

	*g = NULL;
	err->message[0] = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(data, 1, bytes, f);
	fclose(f);
	return stoker_gguf_open(path, g, err);
}

static void expect_error(const uint8_t *data, size_t bytes, int code, const char *mention)
{
	struct stoker_gguf *g;
	struct stoker_error err;
	const int ret = open_bytes(data, bytes, &g, &err);

	if (ret != code || !strstr(err.message, mention) || g) {
		printf("\n    got %d \"%s\", expected %d \"%s\"", ret, err.message, code, mention);
		CU_FAIL("wrong verdict");
	}
	stoker_gguf_close(&g);
}

static uint8_t *find(uint8_t *data, size_t bytes, const char *text)
{
	uint8_t *at = memmem(data, bytes, text, strlen(text));

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	return at;
}

static void test_malformed(void)
{
	AUTO_FREE uint8_t *good = NULL;
	AUTO_FREE uint8_t *bad = NULL;
	uint8_t *tensor, *key;
	size_t bytes;

	write_sample();
	good = load_file(path, &bytes);
	bad = malloc(bytes);
	CU_ASSERT_FATAL(good && bad);
#define RESET() memcpy(bad, good, bytes)
	RESET();
	bad[0] = 'X';
	expect_error(bad, bytes, -EINVAL, "not a GGUF file");
	RESET();
	bad[4] = 1;
	expect_error(bad, bytes, -ENOTSUP, "version 1");
	RESET();
	memcpy(bad + 4, "\0\0\0\3", 4);
	expect_error(bad, bytes, -ENOTSUP, "big-endian");
	RESET();
	memset(bad + 8, 255, 8);
	expect_error(bad, bytes, -EINVAL, "limits");
	RESET();
	memset(bad + 24, 255, 7);
	expect_error(bad, bytes, -EINVAL, "metadata key");
	RESET();
	find(bad, bytes, "a.number")[2] = '\n';
	expect_error(bad, bytes, -EINVAL, "control character");
	RESET();
	key = find(bad, bytes, "a.number");
	memcpy(key, "a.strinx", 8);
	key[8] = 77;
	expect_error(bad, bytes, -EINVAL, "unknown value type 77");
	RESET();
	memset(find(bad, bytes, "a.numbers") + 9 + 4 + 4, 255, 8);
	expect_error(bad, bytes, -EINVAL, "a.numbers");
	RESET();
	memcpy(find(bad, bytes, "twice"), "first", 5);
	expect_error(bad, bytes, -EINVAL, "tensor first appears twice");
	RESET();
	tensor = find(bad, bytes, "first") + 5;
	tensor[0] = 9;
	expect_error(bad, bytes, -EINVAL, "9 dimensions");
	RESET();
	memset(find(bad, bytes, "first") + 9, 0, 8);
	expect_error(bad, bytes, -EINVAL, "dimension 0 is 0");
	RESET();
	memset(find(bad, bytes, "first") + 9, 255, 4);
	expect_error(bad, bytes, -EINVAL, "first");
	RESET();
	find(bad, bytes, "first")[5 + 4 + 24] = 4;
	expect_error(bad, bytes, -ENOTSUP, "unsupported type 4");
	RESET();
	find(bad, bytes, "twice")[5 + 4] = 63;
	expect_error(bad, bytes, -EINVAL, "blocks of 32");
	RESET();
	find(bad, bytes, "twice")[5 + 4 + 16 + 4] ^= 1;
	expect_error(bad, bytes, -EINVAL, "isn't aligned to 32");
	RESET();
	memcpy(find(bad, bytes, "twice") + 5 + 4 + 16 + 4, "\x20\0", 2);
	expect_error(bad, bytes, -EINVAL, "begins inside of tensor first");
	RESET();
	expect_error(bad, bytes - 64, -EINVAL, "end beyond");
	for (size_t cut = 0; cut < 400; cut += 7)
		expect_error(good, cut, -EINVAL, "");
	unlink(path);
#undef RESET
}

/* A fork writes other blocks under the number of Q2_0: where these fit exactly, the error says so.
 */
static void test_blocks_of_a_fork(void)
{
	const uint64_t shape[2] = { 256, 64 };
	const struct stoker_format *f = stoker_format_by_name("Q2_0");
	const size_t ours = stoker_format_bytes(f, 256 * 64), theirs = 256 * 64 / 128 * 34;
	static uint8_t blocks[256 * 64];
	struct stoker_gguf_writer *w;
	AUTO_FREE uint8_t *file = NULL;
	struct stoker_error err;
	struct stoker_gguf *g;
	uint8_t *offset;
	uint64_t at;
	size_t bytes;

	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	stoker_gguf_writer_put_tensor(w, "first", f, 2, shape);
	stoker_gguf_writer_put_tensor(w, "other", f, 2, shape);
	CU_ASSERT_EQUAL(stoker_gguf_writer_write(w, blocks, ours, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_writer_write(w, blocks, ours, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	file = load_file(path, &bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	offset = find(file, bytes, "other") + 5 + 4 + 16 + 4;

	/* the last tensor alone */
	expect_error(file, bytes - (ours - theirs), -EINVAL, "tensor other: 4608 bytes of Q2_0");
	expect_error(file, bytes - (ours - theirs), -EINVAL, "blocks of 128 values in 34 bytes");
	expect_error(file, bytes - ours, -EINVAL, "end beyond");
	/* one of ours that was cut short */
	CU_ASSERT_EQUAL(open_bytes(file, bytes - 64, &g, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "end beyond"));
	CU_ASSERT_PTR_NULL(strstr(err.message, "another program"));
	/* both */
	memcpy(&at, offset, sizeof(at));
	CU_ASSERT_EQUAL(at, ours);
	at = theirs;
	memcpy(offset, &at, sizeof(at));
	expect_error(file, bytes - (ours - theirs), -EINVAL, "tensor first, 4608 bytes of Q2_0");
	expect_error(file, bytes - (ours - theirs), -EINVAL, "blocks of 128 values in 34 bytes");
	/* neither fits */
	at = theirs - 32;
	memcpy(offset, &at, sizeof(at));
	expect_error(file, bytes, -EINVAL, "begins inside of tensor first");
	unlink(path);
}

static void test_writer_failures(void)
{
	const uint64_t shape[1] = { 4 };
	struct stoker_gguf_writer *w;
	struct stoker_error err;

	CU_ASSERT_EQUAL(stoker_gguf_writer_open("/nonexistent/x.gguf", &w, &err), -ENOENT);
	CU_ASSERT_PTR_NULL(w);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, &err), 0);
	stoker_gguf_writer_put_tensor(w, "t", stoker_format_by_name("F32"), 1, shape);
	CU_ASSERT_EQUAL(stoker_gguf_writer_finish(&w, 1, &err), -EINVAL);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
}

static void test_measured(void)
{
	const uint64_t shape[3] = { 64, 3, 2 };
	struct stoker_gguf_writer *w;
	struct stat st;

	write_sample();
	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_measure(&w), 0);
	CU_ASSERT_EQUAL(stoker_gguf_writer_head(w), 32);
	put_head(w, shape);
	/* each tensor's data is filled up to the alignment */
	CU_ASSERT_EQUAL(stoker_gguf_writer_head(w) + 1536 + 224, st.st_size);
	CU_ASSERT_EQUAL(stoker_gguf_writer_write(w, shape, sizeof(shape), NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	CU_ASSERT_PTR_NULL(w);
	/* what can't be written has no length */
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_measure(&w), 0);
	stoker_gguf_writer_put_string(w, "key", NULL);
	CU_ASSERT_EQUAL(stoker_gguf_writer_head(w), 0);
	CU_ASSERT_EQUAL(stoker_gguf_writer_finish(&w, 0, NULL), -EINVAL);
	unlink(path);
}

static void tokenize(const struct stoker_vocabulary *v)
{
	uint32_t *ids;
	size_t count;

	CU_ASSERT_EQUAL_FATAL(
		stoker_vocabulary_tokenize(v, "And God said", 12, 0, &ids, &count, NULL), 0);
	CU_ASSERT(count > 0);
	free(ids);
}

static void evaluate(struct stoker_model *model, const struct stoker_session_params *params)
{
	static const uint32_t tokens[] = { 1, 39, 37, 32, 45, 72, 75, 207, 8, 141, 43, 117 };
	struct stoker_session *s;

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, params, &s, NULL), 0);
	CU_ASSERT_EQUAL(
		stoker_session_eval(s, tokens, ARRAY_SIZE(tokens), STOKER_LOGITS_LAST, NULL), 0);
	stoker_session_free(&s);
}

/* Whoever is closed first, the others go on with the container that they share. */
static void test_shared_container(void)
{
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT, .context = 64,
						       .batch = 16 };
	const struct stoker_device_params device_params = { STOKER_DEVICE_PARAMS_INIT,
							    .name = "cpu", .threads = 2 };
	/* paged, so that files are read from when the caller has closed them */
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT,
						    .memory = STOKER_MEMORY_MIN,
						    .session = &session };
	struct stoker_device *device;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device_params, &device, NULL), 0);
	for (unsigned order = 0; order < 3; order++) {
		struct stoker_vocabulary *v;
		struct stoker_gguf *gguf;
		struct stoker_model *model;

		CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(DEMO, &gguf, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load_gguf(gguf, &v, NULL), 0);
		if (order == 0)
			stoker_vocabulary_free(&v);
		CU_ASSERT_EQUAL_FATAL(stoker_model_load_gguf(device, gguf, &params, &model, NULL),
				      0);
		if (order == 1)
			stoker_model_free(&model);
		else
			stoker_gguf_close(&gguf);
		if (v)
			tokenize(v);
		if (model)
			evaluate(model, &session);
		if (order == 2)
			stoker_model_free(&model);
		if (gguf)
			CU_ASSERT_PTR_NOT_NULL(stoker_gguf_find(gguf, "general.architecture"));
		stoker_gguf_close(&gguf);
		if (v)
			tokenize(v);
		stoker_vocabulary_free(&v);
		stoker_model_free(&model);
	}
	stoker_device_close(&device);
}

void suite_gguf(void)
{
	TEST(test_shared_container);
	TEST(test_measured);
	TEST(test_round_trip);
	TEST(test_what_is_kept);
	TEST(test_who_needs_what);
	TEST(test_descriptors);
	TEST(test_malformed);
	TEST(test_blocks_of_a_fork);
	TEST(test_writer_failures);
}
