// SPDX-License-Identifier: MIT
/* States: what is restored goes on as what was saved, and what is damaged changes nothing. */
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "device/device.h"
#include "failing.h"
#include "session/state.h"
#include "state_memory.h"
#include "stoker/state.h"
#include "tiny.h"

enum { CONTEXT = 400, BATCH = 64, PROMPT = 150, MORE = 20 };

static struct stoker_device *device;
static struct stoker_model *model;
static uint32_t vocabulary, tokens[CONTEXT];

static void open_device(const char *name, bool exact)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						     .threads = 2, .exact = exact };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
}

static void load(const char *path)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, NULL, &model, NULL), 0);
	stoker_model_info(model, &info);
	vocabulary = info.vocabulary;
	random_seed(3);
	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = random_u32() % MIN(vocabulary, 200u);
}

static struct stoker_session *session_of(uint32_t context, enum stoker_kv_type kv)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = context, .batch = BATCH,
						      .kv = kv };
	struct stoker_session *s;

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &s, NULL), 0);
	return s;
}

static void go_on(struct stoker_session *s, uint32_t count)
{
	CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, tokens + stoker_session_position(s), count,
						  STOKER_LOGITS_LAST, NULL),
			      0);
}

static int restore(struct stoker_session *s, struct state_memory *m, struct stoker_error *err)
{
	m->at = 0;
	return stoker_session_restore(s, state_memory_read, m, m->bytes, err);
}

/* Both have the same context: they go on alike. */
static void check_alike(struct stoker_session *a, struct stoker_session *b)
{
	size_t n, m;
	const uint32_t *x = stoker_session_tokens(a, &n), *y = stoker_session_tokens(b, &m);

	CU_ASSERT_FATAL(n == m && !memcmp(x, y, n * sizeof(*x)));
	for (int i = 0; i < 4; i++) {
		go_on(a, i == 1 ? MORE : 1);
		go_on(b, i == 1 ? MORE : 1);
		CU_ASSERT(!memcmp(stoker_session_logits(a, 0), stoker_session_logits(b, 0),
				  vocabulary * sizeof(float)));
	}
}

/* @ring: contexts so large that windows have one. */
static void check_round(const char *path, bool ring)
{
	const uint32_t contexts[] = { ring ? 8 * CONTEXT : CONTEXT, ring ? 6 * CONTEXT : 300 };
	struct state_memory m = state_memory_make();
	struct stoker_session *a, *b;
	struct stoker_error err = { .message = "" };

	load(path);
	a = session_of(contexts[0], STOKER_KV_TYPE_DEFAULT);
	b = session_of(contexts[1], STOKER_KV_TYPE_DEFAULT);
	go_on(a, PROMPT);
	go_on(a, 1);
	CU_ASSERT_EQUAL(stoker_session_save(a, state_memory_write, &m, &err), 0);
	CU_ASSERT_EQUAL_FATAL(restore(b, &m, &err), 0);
	CU_ASSERT_PTR_NULL(stoker_session_logits(b, 0));
	for (uint32_t i = ring ? PROMPT : 0; i <= PROMPT; i++)
		CU_ASSERT_EQUAL(stoker_session_reachable(b, i), stoker_session_reachable(a, i));
	check_alike(a, b);
	/* back to before the end, as an answer that is asked for again */
	const uint32_t back = stoker_session_reachable(a, PROMPT);

	CU_ASSERT_EQUAL(stoker_session_truncate(a, back, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_truncate(b, back, NULL), 0);
	check_alike(a, b);
	/* saved when it has been cut, and restored where there was something */
	CU_ASSERT_EQUAL(stoker_session_truncate(a, stoker_session_reachable(a, back), NULL), 0);
	m.bytes = 0;
	CU_ASSERT_EQUAL(stoker_session_save(a, state_memory_write, &m, &err), 0);
	CU_ASSERT_EQUAL(restore(b, &m, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "empty context"));
	CU_ASSERT_EQUAL(stoker_session_truncate(b, 0, NULL), 0);
	CU_ASSERT_EQUAL(restore(b, &m, &err), 0);
	check_alike(a, b);
	stoker_session_free(&a);
	stoker_session_free(&b);
	stoker_model_free(&model);
	free(m.data);
}

static void test_round_trip(void)
{
	const char *folder = vectors_folder("states of all architectures");
	char pattern[512];
	glob_t found;

	for (int vulkan = 0; vulkan < 2; vulkan++) {
		if (vulkan && !vulkan_is_here())
			continue;
		open_device(vulkan ? "vulkan" : "cpu", false);
		for (size_t i = 0; i < TINY_CACHES; i++) {
			tiny_write(tiny_path(), &tiny_caches[i]);
			check_round(tiny_path(), false);
			check_round(tiny_path(), true);
			unlink(tiny_path());
		}
		snprintf(pattern, sizeof(pattern), "%s/models/%s.gguf", folder, "*");
		if (folder && !glob(pattern, 0, NULL, &found)) {
			for (size_t i = 0; i < found.gl_pathc; i++)
				check_round(found.gl_pathv[i], i % 2);
			globfree(&found);
		}
		stoker_device_close(&device);
	}
}

/* Refused with @mention; nothing is in the session then, and it is as good as new. */
static void expect(struct stoker_session *s, struct state_memory *m, int ret, const char *mention)
{
	struct stoker_error err = { .message = "" };

	CU_ASSERT_EQUAL(restore(s, m, &err), ret);
	if (!strstr(err.message, mention))
		printf("\n    \"%s\" doesn't have \"%s\"", err.message, mention);
	CU_ASSERT(strstr(err.message, mention) && !strchr(err.message, '\n'));
	CU_ASSERT_EQUAL(stoker_session_position(s), 0);
}

static void refresh_head(struct state_memory *m)
{
	struct state_head *h = (struct state_head *)(void *)m->data;

	h->crc = stoker_crc32c(0, h, offsetof(struct state_head, crc));
}

static void check_damage(const char *path)
{
	struct state_memory m = state_memory_make();
	struct stoker_session *a, *b;
	size_t whole;

	load(path);
	a = session_of(CONTEXT, STOKER_KV_TYPE_DEFAULT);
	b = session_of(CONTEXT, STOKER_KV_TYPE_DEFAULT);
	go_on(a, PROMPT);
	CU_ASSERT_EQUAL(stoker_session_save(a, state_memory_write, &m, NULL), 0);
	whole = m.bytes;
	for (size_t i = 0; i < whole; i += i < 1000 ? 1 : 1 + random_u32() % (whole / 100)) {
		const uint8_t bit = (uint8_t)(1 << random_u32() % 8);
		struct stoker_error err = { .message = "" };

		m.data[i] ^= bit;
		CU_ASSERT(restore(b, &m, &err) < 0 && err.message[0]);
		CU_ASSERT_EQUAL(stoker_session_position(b), 0);
		m.data[i] ^= bit;
	}
	for (size_t n = 0; n < 200; n++) {
		m.bytes = n < 100 ? n : whole - 1 - random_u32() % (whole - 100);
		expect(b, &m, -EINVAL, "the state is damaged");
		m.at = 0;
		CU_ASSERT_EQUAL(stoker_session_restore(b, state_memory_read, &m, UINT64_MAX, NULL),
				-EINVAL);
		CU_ASSERT_EQUAL(stoker_session_position(b), 0);
	}
	m.bytes = whole;
	/* heads that are as they were written, but by somebody else */
	struct state_head *h = (struct state_head *)(void *)m.data, good = *h;

#define WRONG(member, value, ret, mention)   \
	do {                                 \
		h->member = value;           \
		refresh_head(&m);            \
		expect(b, &m, ret, mention); \
		*h = good;                   \
	} while (0)
	WRONG(magic[0], 'x', -EINVAL, "isn't a state");
	WRONG(version, 2, -ENOTSUP, "version 2, this library reads 3");
	WRONG(version, 4, -ENOTSUP, "version 4, this library reads 3");
	WRONG(byte_order, 0x04030201, -ENOTSUP, "byte order");
	WRONG(model[1], 1, -EINVAL, "another model");
	WRONG(rotation, 1, -ENOTSUP, "scaled");
	WRONG(keys, 77, -ENOTSUP, "keys in another type");
	WRONG(row_bytes, UINT64_MAX, -ENOTSUP, "bytes for a position");
	WRONG(slot_bytes, 1, -ENOTSUP, "recurrent layers");
	WRONG(position, CONTEXT + 1, -ENOSPC, "room for 400");
	WRONG(position, UINT32_MAX, -ENOSPC, "room for 400");
	WRONG(position, PROMPT + 1, -EINVAL, "bytes, 151 tokens make");
	WRONG(window_page, UINT32_MAX, -EINVAL, "windows begin at page");
	WRONG(checkpoint_count, UINT32_MAX, -EINVAL, "4294967295 checkpoints");
	WRONG(checkpoints[h->checkpoint_count], 1, -EINVAL, "is at 1 of 150 tokens");
	if (h->checkpoint_count) {
		WRONG(checkpoints[0], PROMPT, -EINVAL, "checkpoint 0 is at 150 of 150 tokens");
		WRONG(checkpoint_count, good.checkpoint_count - 1, -EINVAL, "is at");
	} else {
		WRONG(checkpoint_count, 1, -EINVAL, h->slot_bytes ? "is at 0" : "1 checkpoints");
	}
	WRONG(shifted, 2, -EINVAL, "keys turned from 0 on (2)");
	WRONG(shifted_from, 1, -EINVAL, "keys turned from 1 on (0)");
	h->shifted = 1;
	WRONG(shifted_from, PROMPT, -EINVAL, "keys turned from 150 on (1), of 150 tokens");
#undef WRONG
	/* and after all that */
	CU_ASSERT_EQUAL(restore(b, &m, NULL), 0);
	check_alike(a, b);
	stoker_session_free(&a);
	stoker_session_free(&b);
	a = session_of(PROMPT - 1, STOKER_KV_TYPE_DEFAULT);
	expect(a, &m, -ENOSPC, "the state has 150 tokens, the context has room for 149");
	stoker_session_free(&a);
	stoker_model_free(&model);
	free(m.data);
}

static void test_damage(void)
{
	const char *folder = vectors_folder("damaged states of recurrent layers");
	char path[512];

	open_device("cpu", true);
	tiny_write(tiny_path(), &tiny_caches[TINY_WINDOW]);
	check_damage(tiny_path());
	unlink(tiny_path());
	snprintf(path, sizeof(path), "%s/models/lfm2moe.gguf", folder ? folder : "");
	if (folder)
		check_damage(path);
	stoker_device_close(&device);
}

/* States of other models and caches, and of sequences. */
static void test_others(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = BATCH,
						      .sequences = 2 };
	struct state_memory m = state_memory_make();
	struct stoker_sequence *q, *r;
	struct stoker_session *s;
	struct stoker_batch *b;
	struct stoker_error err;

	open_device("cpu", false);
	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	load(tiny_path());
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &q, NULL), 0);
	const struct stoker_batch_part part = { q, tokens, 50, STOKER_LOGITS_LAST };

	CU_ASSERT_EQUAL_FATAL(stoker_batch_eval(b, &part, sizeof(part), 1, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_save(q, state_memory_write, &m, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &r, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_restore(r, state_memory_read, &m, m.bytes, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_position(r), 50);
	m.at = 0;
	CU_ASSERT_EQUAL(stoker_sequence_restore(r, state_memory_read, &m, m.bytes, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sequence_position(r), 50);
	CU_ASSERT_EQUAL(stoker_sequence_save(NULL, state_memory_write, &m, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sequence_save(q, NULL, &m, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_session_restore(NULL, state_memory_read, &m, 0, &err), -EINVAL);
	/* a write that fails */
	m.room = m.bytes + 5000;
	CU_ASSERT_EQUAL(stoker_sequence_save(q, state_memory_write, &m, &err), -EFBIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "can't be written after"));
	m.bytes = 0;
	CU_ASSERT_EQUAL(stoker_sequence_save(q, state_memory_write, &m, &err), 0);
	stoker_sequence_free(&q);
	stoker_sequence_free(&r);
	stoker_batch_free(&b);
	s = session_of(CONTEXT, STOKER_KV_TYPE_F32);
	expect(s, &m, -ENOTSUP, "keys in F16 and values in F16, the session F32 and F32");
	stoker_session_free(&s);
	stoker_model_free(&model);
	/* the same shapes, another model */
	tiny_write(tiny_path(), &(struct tiny){ .architecture = "qwen2", .layers = 2 });
	load(tiny_path());
	s = session_of(CONTEXT, STOKER_KV_TYPE_DEFAULT);
	expect(s, &m, -EINVAL, "the state is of another model");
	stoker_session_free(&s);
	stoker_model_free(&model);
	stoker_device_close(&device);
	unlink(tiny_path());
	free(m.data);
}

static void check_allocations(const char *path)
{
	struct state_memory m = state_memory_make();
	struct stoker_session *s, *r;
	struct stoker_error err;
	unsigned failed = 0;
	bool more = true;

	failing_device(device);
	load(path);
	s = session_of(CONTEXT, STOKER_KV_TYPE_DEFAULT);
	r = session_of(CONTEXT, STOKER_KV_TYPE_DEFAULT);
	go_on(s, PROMPT);
	for (unsigned n = 0; more; n++) {
		m.bytes = 0;
		failing_after(n);
		const int ret = stoker_session_save(s, state_memory_write, &m, &err);

		more = failing_end();
		failed += more;
		CU_ASSERT_EQUAL(ret, more ? -ENOMEM : 0);
	}
	more = true;
	for (unsigned n = 0; more; n++) {
		failing_after(n);
		const int ret = restore(r, &m, &err);

		more = failing_end();
		failed += more;
		CU_ASSERT_EQUAL(ret, more ? -ENOMEM : 0);
		CU_ASSERT_EQUAL(stoker_session_position(r), more ? 0 : PROMPT);
	}
	CU_ASSERT(failed >= 6);
	check_alike(s, r);
	stoker_session_free(&s);
	stoker_session_free(&r);
	stoker_model_free(&model);
	free(m.data);
}

static void test_allocations(void)
{
	const char *folder = vectors_folder("allocations for states of recurrent layers");
	char path[512];

	open_device("cpu", true);
	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	check_allocations(tiny_path());
	unlink(tiny_path());
	stoker_device_close(&device);
	if (!folder)
		return;
	open_device("cpu", true);
	snprintf(path, sizeof(path), "%s/models/qwen35moe.gguf", folder);
	check_allocations(path);
	stoker_device_close(&device);
}

/* A link stays one; what isn't a file is neither waited for nor replaced. */
static void check_other_files(struct stoker_session *a, struct stoker_session *b, const char *path)
{
	char link[96];
	struct stoker_error err = { .message = "" };
	struct stat s;

	snprintf(link, sizeof(link), "%s-link", path);
	CU_ASSERT_EQUAL_FATAL(symlink(path, link), 0);
	CU_ASSERT_EQUAL(stoker_session_save_file(a, link, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "leads nowhere"));
	CU_ASSERT_EQUAL(stoker_session_save_file(a, path, NULL), 0);
	CU_ASSERT(!stat(path, &s) && !truncate(path, 5));
	CU_ASSERT_EQUAL(stoker_session_save_file(a, link, NULL), 0);
	CU_ASSERT(!lstat(link, &s) && S_ISLNK(s.st_mode));
	CU_ASSERT_EQUAL(stoker_session_restore_file(b, path, NULL), 0);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(stoker_session_truncate(b, 0, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_restore_file(b, path, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "not a regular file"));
	CU_ASSERT_EQUAL(stoker_session_save_file(a, path, &err), -EINVAL);
	CU_ASSERT(!lstat(path, &s) && S_ISFIFO(s.st_mode));
	unlink(path);
	unlink(link);
}

/* As long as a name can be; the second time beside the first one. */
static void check_long_name(struct stoker_session *a)
{
	char path[300] = "/tmp/", part[300];
	struct stat s;

	memset(path + 5, 'n', 255);
	snprintf(path + 5, 24, "stoker-state-%d-", (int)getpid());
	path[strlen(path)] = 'n';
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(stoker_session_save_file(a, path, NULL), 0);
	CU_ASSERT(strlen(path) == 260 && !stat(path, &s));
	unlink(path);
	path[260] = 'n';
	snprintf(part, sizeof(part), "%s", path);
	CU_ASSERT_EQUAL(stoker_session_save_file(a, part, NULL), -ENAMETOOLONG);
}

static void test_files(void)
{
	char path[64], nowhere[96];
	struct stoker_session *a, *b;
	struct stoker_error err;
	struct stat s;
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/stoker-state-%d", (int)getpid());
	snprintf(nowhere, sizeof(nowhere), "%s/none/state", path);
	open_device("cpu", false);
	tiny_write(tiny_path(), &tiny_caches[TINY_LATENT]);
	load(tiny_path());
	unlink(tiny_path());
	a = session_of(CONTEXT, STOKER_KV_TYPE_DEFAULT);
	b = session_of(CONTEXT, STOKER_KV_TYPE_DEFAULT);
	CU_ASSERT_EQUAL(stoker_session_restore_file(b, path, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, path));
	go_on(a, 30);
	CU_ASSERT_EQUAL(stoker_session_save_file(a, path, NULL), 0);
	CU_ASSERT(!stat(path, &s) && (s.st_mode & 0777) == 0600);
	go_on(a, 30);
	CU_ASSERT_EQUAL(stoker_session_save_file(a, path, NULL), 0);
	check_long_name(a);
	CU_ASSERT_EQUAL(stoker_session_save_file(a, nowhere, &err), -ENOTDIR);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, nowhere));
	CU_ASSERT_EQUAL(stoker_session_restore_file(b, path, NULL), 0);
	check_alike(a, b);
	CU_ASSERT_EQUAL(stoker_session_truncate(b, 0, NULL), 0);
	f = fopen(path, "re+");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(!fseek(f, 500, SEEK_SET) && putc('x', f) == 'x' && putc('y', f) == 'y');
	fclose(f);
	CU_ASSERT_EQUAL(stoker_session_restore_file(b, path, &err), -EINVAL);
	CU_ASSERT(strstr(err.message, path) && strstr(err.message, "checksum"));
	CU_ASSERT_EQUAL(stoker_session_restore_file(b, "/dev/null", &err), -EINVAL);
	unlink(path);
	check_other_files(a, b, path);
	stoker_session_free(&a);
	stoker_session_free(&b);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

static void test_checksum(void)
{
	enum { BYTES = 100000 };
	uint8_t *data = malloc(BYTES);

	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	CU_ASSERT_EQUAL(stoker_crc32c(0, "123456789", 9), 0xe3069283);
	random_seed(7);
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (uint8_t)random_u32();
	for (int i = 0; i < 100; i++) {
		const size_t first = random_u32() % 9, bytes = random_u32() % (BYTES - 8);
		const size_t cut = random_u32() % (bytes + 1);
		const uint32_t crc = stoker_crc32c_plain(i, data + first, bytes);

		CU_ASSERT_EQUAL(stoker_crc32c(i, data + first, bytes), crc);
		CU_ASSERT_EQUAL(stoker_crc32c(stoker_crc32c(i, data + first, cut),
					      data + first + cut, bytes - cut),
				crc);
	}
	free(data);
}

void suite_state(void)
{
	TEST(test_checksum);
	TEST(test_round_trip);
	TEST(test_damage);
	TEST(test_others);
	TEST(test_allocations);
	TEST(test_files);
	add_state_pages();
	add_state_killed();
}
