// SPDX-License-Identifier: MIT
/* Models that don't fit: the same logits as with all of it in memory, and what goes wrong. */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

/* The thread sanitizer takes a hundred times as long. */
#if defined(__SANITIZE_THREAD__)
enum { MODELS = 2 };
#else
enum { MODELS = 11 };
#endif

static const char bundled[] = "tools/demo-model/stoker-demo-Q4_K.gguf";

/* What the last model took, and a few slots more, so that there is room to read ahead. */
static uint64_t some_more;

static float *logits_of(const char *path, const char *device_name, uint64_t memory,
			const char *store, const char *prefetch, size_t *count,
			struct stoker_error *err)
{
	const struct stoker_device_params device_params = { STOKER_DEVICE_PARAMS_INIT,
							    .name = device_name, .threads = 2 };
	const struct stoker_session_params session_params = { STOKER_SESSION_PARAMS_INIT,
							      .context = 64, .batch = 32 };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .memory = memory,
						    .session = &session_params, .store = store,
						    .prefetch = prefetch };
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_session *s = NULL;
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };
	uint32_t tokens[40];
	float *logits = NULL;
	int ret = stoker_device_open(&device_params, &device, err);

	for (uint32_t i = 0; i < ARRAY_SIZE(tokens); i++)
		tokens[i] = 5 + i * 7 % 200;
	if (!ret)
		ret = stoker_model_load(device, path, &params, &model, err);
	if (!ret)
		ret = stoker_session_create(model, &session_params, &s, err);
	if (!ret) {
		stoker_model_info(model, &info);
		*count = ARRAY_SIZE(tokens) * info.vocabulary;
		logits = malloc(*count * sizeof(*logits));
		/* many rows, few rows, single ones */
		for (uint32_t at = 0, n; at < ARRAY_SIZE(tokens) && !ret; at += n) {
			n = at == 0 ? 24 : at < 30 ? 3 : 1;
			ret = stoker_session_eval(s, tokens + at, n, STOKER_LOGITS_ALL, err);
			for (uint32_t row = 0; row < n && !ret; row++)
				memcpy(logits + (size_t)(at + row) * info.vocabulary,
				       stoker_session_logits(s, row),
				       info.vocabulary * sizeof(*logits));
		}
		CU_ASSERT_EQUAL(stoker_model_paging(model, &paging),
				memory != STOKER_MEMORY_MAX && info.experts ? 0 : -ENOENT);
		if (memory != STOKER_MEMORY_MAX && info.experts)
			some_more = paging.memory + 3 * (paging.slot_bytes / paging.slots);
	}
	stoker_session_free(&s);
	stoker_model_free(&model);
	if (device)
		stoker_device_close(&device);
	if (ret) {
		free(logits);
		return NULL;
	}
	return logits;
}

static void check_lossless(const char *path, const char *device)
{
	/* the fewest slots, and a few more */
	static const struct {
		const char *store, *prefetch;
		bool more;
	} ways[] = { { "threads", "off" },
		     { "uring", "off" },
		     { "uring", "on" },
		     { "uring", "on", true },
		     { "threads", "on", true } };
	struct stoker_error err;
	size_t count = 0, paged_count = 0;
	float *resident = logits_of(path, device, STOKER_MEMORY_MAX, NULL, NULL, &count, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(resident);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		float *paged = logits_of(path, device, ways[i].more ? some_more : STOKER_MEMORY_MIN,
					 ways[i].store, ways[i].prefetch, &paged_count, &err);

		if (!paged && strstr(err.message, "io_uring")) {
			skip("paging through io_uring", err.message);
			continue;
		}
		if (!paged) {
			printf("\n    %s on %s: %s", path, device, err.message);
			CU_FAIL("paged");
			continue;
		}
		if (count != paged_count || memcmp(resident, paged, count * sizeof(*paged))) {
			printf("\n    %s on %s through %s: other logits", path, device,
			       ways[i].store);
			CU_FAIL("not lossless");
		}
		free(paged);
	}
	free(resident);
}

static void test_lossless(void)
{
	static const char *const models[] = { "mixtral",   "olmoe",	    "qwen2moe",
					      "deepseek2", "gpt-oss",	    "glm4moe",
					      "lfm2moe",   "qwen35moe",	    "smallthinker",
					      "qwen3moe",  "deepseek2-lite" };
	const char *vectors = vectors_folder("paged reference models");
	char path[600];

	for (int vulkan = 0; vulkan <= vulkan_is_here(); vulkan++) {
		const char *device = vulkan ? "vulkan" : "cpu";

		check_lossless(bundled, device);
		if (vulkan) {
			char words[128];

			snprintf(words, sizeof(words), "separate,%s", vulkan_words());
			setenv("STOKER_VULKAN", words, 1);
			check_lossless(bundled, device);
			for (size_t i = 0; i < 4 && vectors; i++) {
				snprintf(path, sizeof(path), "%s/models/%s.gguf", vectors,
					 models[i]);
				check_lossless(path, device);
			}
			setenv("STOKER_VULKAN", vulkan_words(), 1);
		}
		for (size_t i = 0; i < MODELS && vectors; i++) {
			snprintf(path, sizeof(path), "%s/models/%s.gguf", vectors, models[i]);
			check_lossless(path, device);
		}
	}
}

/* 2000 tokens, most of whose experts are read anew, with and without what is read ahead. */
static void test_growth(void)
{
	const struct stoker_session_params session_params = { STOKER_SESSION_PARAMS_INIT,
							      .context = 256, .batch = 32 };
	struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .memory = STOKER_MEMORY_MIN,
					      .session = &session_params, .prefetch = "on" };
	const struct stoker_device_params device_params = { STOKER_DEVICE_PARAMS_INIT,
							    .name = "cpu", .threads = 2 };
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *s;
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };
	struct stoker_error err;
	long begin = 0;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device_params, &device, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, bundled, &params, &model, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_paging(model, &paging), 0);
	params.memory = paging.memory + 3 * (paging.slot_bytes / paging.slots);
	stoker_model_free(&model);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, bundled, &params, &model, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &session_params, &s, &err), 0);
	for (uint32_t i = 0; i < 2000; i++) {
		const uint32_t token = i * 2654435761u % 2000;

		if (i % 250 == 0)
			CU_ASSERT_EQUAL(stoker_session_truncate(s, 0, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, &token, 1, STOKER_LOGITS_LAST, &err),
				      0);
		if (i == 300)
			begin = resident_kib();
	}
	CU_ASSERT(begin > 0);
	CU_ASSERT(resident_kib() - begin < (SANITIZED ? 65536 : 1024));
	CU_ASSERT_EQUAL(stoker_model_paging(model, &paging), 0);
	CU_ASSERT(paging.prefetched_used > 0 && paging.prefetched >= paging.prefetched_used);
	CU_ASSERT(2 * paging.predicted_right > paging.predicted);
	stoker_session_free(&s);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

static bool copy_file(const char *from, const char *to)
{
	size_t bytes;
	char *data = load_file(from, &bytes);
	FILE *f = fopen(to, "wbe");
	const bool good = data && f && fwrite(data, 1, bytes, f) == bytes;

	if (f)
		fclose(f);
	free(data);
	return good;
}

static const struct timespec *times_of(const struct stat *st, struct timespec times[2])
{
	times[0] = st->st_atim;
	times[1] = st->st_mtim;
	return times;
}

/* Another program writes to the file: in place, or as long as it was, before or while it is read.
 */
static void test_changed_while_running(void)
{
	const struct stoker_device_params device_params = { STOKER_DEVICE_PARAMS_INIT,
							    .threads = 2 };
	const struct stoker_session_params session_params = { STOKER_SESSION_PARAMS_INIT,
							      .context = 64 };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT,
						    .memory = STOKER_MEMORY_MIN,
						    .session = &session_params };
	static const uint32_t tokens[] = { 10, 20, 30, 40, 50, 60, 70, 80 };
	char path[] = "/tmp/stoker-changed-XXXXXX", other[40];
	struct stoker_error err = { "" };
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *s;
	struct stoker_gguf *gguf;
	const int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0 && copy_file(bundled, path));
	snprintf(other, sizeof(other), "%s.renamed", path);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device_params, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, &params, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &session_params, &s, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 8, STOKER_LOGITS_LAST, NULL), 0);
	/* what doesn't change its bytes is no change */
	CU_ASSERT(!chmod(path, 0400) && !rename(path, other) && !link(other, path));
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 8, STOKER_LOGITS_LAST, &err), 0);
	CU_ASSERT_EQUAL(pwrite(fd, "?", 1, 1 << 20), 1);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 8, STOKER_LOGITS_LAST, &err), -EIO);
	CU_ASSERT(strstr(err.message, path) && strstr(err.message, "expert") &&
		  strstr(err.message, "the file has changed since it was opened"));
	stoker_session_free(&s);
	stoker_model_free(&model);

	/* between opening and loading, and between opening and reading */
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(path, &gguf, NULL), 0);
	CU_ASSERT_EQUAL(pwrite(fd, "!", 1, 1 << 20), 1);
	CU_ASSERT_EQUAL(futimens(fd, (const struct timespec[2]){ { 1, 0 }, { 1, 0 } }), 0);
	CU_ASSERT_EQUAL(stoker_model_load_gguf(device, gguf, NULL, &model, &err), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "has changed since it was opened"));
	CU_ASSERT_EQUAL(stoker_gguf_read(gguf, stoker_gguf_tensor(gguf, 0), 0, other, 16, &err),
			-EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "has changed since it was opened"));
	stoker_gguf_close(&gguf);
	snprintf(other, sizeof(other), "%s.renamed", path);
	unlink(other);
	stoker_device_close(&device);
	close(fd);
	unlink(path);
}

/* The file loses its end while the model runs: an error, and then it goes on where it can. */
static void test_truncated_while_running(void)
{
	const struct stoker_device_params device_params = { STOKER_DEVICE_PARAMS_INIT,
							    .threads = 2 };
	const struct stoker_session_params session_params = { STOKER_SESSION_PARAMS_INIT,
							      .context = 64 };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT,
						    .memory = STOKER_MEMORY_MIN,
						    .session = &session_params };
	static const uint32_t tokens[] = { 10, 20, 30, 40, 50, 60, 70, 80 };
	char path[] = "/tmp/stoker-truncated-XXXXXX";
	struct stoker_error err = { "" };
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *s;
	struct timespec times[2];
	struct stat st;
	const int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0 && copy_file(bundled, path) && !fstat(fd, &st));
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device_params, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, &params, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &session_params, &s, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 8, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(ftruncate(fd, st.st_size / 3), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 8, STOKER_LOGITS_LAST, &err), -EIO);
	CU_ASSERT(strstr(err.message, path) && strstr(err.message, "expert") &&
		  strstr(err.message, "layer"));
	CU_ASSERT(copy_file(bundled, path));
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 8, STOKER_LOGITS_LAST, &err), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "has changed since it was opened"));
	CU_ASSERT_EQUAL(futimens(fd, times_of(&st, times)), 0); /* it's the same again */
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 8, STOKER_LOGITS_LAST, &err), 0);
	stoker_session_free(&s);
	stoker_model_free(&model);
	stoker_device_close(&device);
	close(fd);
	unlink(path);
}

static void test_too_little_memory(void)
{
	struct stoker_error err = { "" };
	size_t count;

	CU_ASSERT_PTR_NULL(logits_of(bundled, "cpu", 3 << 20, NULL, NULL, &count, &err));
	CU_ASSERT(strstr(err.message, "needs at least") && strstr(err.message, "3.0 MiB"));
	CU_ASSERT_PTR_NULL(
		logits_of(bundled, "cpu", STOKER_MEMORY_MIN, "tape", NULL, &count, &err));
	CU_ASSERT(strstr(err.message, "no store \"tape\"") != NULL);
	/* nothing to page */
	CU_ASSERT_PTR_NULL(logits_of("tests/data/containers/plain.gguf", "cpu", 1000, NULL, NULL,
				     &count, &err));
}

/* A session of its own on the model that two threads share. */
struct share {
	struct stoker_model *model;
	float *logits;
	int ret;
};

static void *evaluate(void *argument)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 64,
						      .batch = 32 };
	struct share *share = argument;
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_session *s = NULL;
	uint32_t tokens[40];

	stoker_model_info(share->model, &info);
	for (uint32_t i = 0; i < ARRAY_SIZE(tokens); i++)
		tokens[i] = 5 + i * 7 % 200;
	share->logits = calloc(info.vocabulary, sizeof(float));
	share->ret = stoker_session_create(share->model, &params, &s, NULL);
	for (uint32_t at = 0, n; at < ARRAY_SIZE(tokens) && !share->ret; at += n) {
		n = at == 0 ? 24 : 1;
		share->ret = stoker_session_eval(s, tokens + at, n, STOKER_LOGITS_LAST, NULL);
	}
	if (!share->ret)
		memcpy(share->logits, stoker_session_logits(s, 0), info.vocabulary * sizeof(float));
	stoker_session_free(&s);
	return NULL;
}

/* Two sessions whose tokens take turns in the same slots. */
static void test_two_sessions(void)
{
	const struct stoker_session_params session_params = { STOKER_SESSION_PARAMS_INIT,
							      .context = 64, .batch = 32 };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT,
						    .memory = STOKER_MEMORY_MIN,
						    .session = &session_params, .prefetch = "on" };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	for (int vulkan = 0; vulkan <= vulkan_is_here(); vulkan++) {
		const struct stoker_device_params device_params = {
			STOKER_DEVICE_PARAMS_INIT, .name = vulkan ? "vulkan" : "cpu", .threads = 2
		};
		struct stoker_device *device;
		struct stoker_model *model;
		struct share alone, shares[2];
		pthread_t threads[2];

		CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device_params, &device, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, bundled, &params, &model, NULL), 0);
		stoker_model_info(model, &info);
		alone.model = model;
		evaluate(&alone);
		CU_ASSERT_EQUAL(alone.ret, 0);
		for (int i = 0; i < 2; i++) {
			shares[i].model = model;
			CU_ASSERT_FATAL(!pthread_create(&threads[i], NULL, evaluate, &shares[i]));
		}
		for (int i = 0; i < 2; i++) {
			pthread_join(threads[i], NULL);
			CU_ASSERT_EQUAL(shares[i].ret, 0);
			CU_ASSERT(!memcmp(shares[i].logits, alone.logits,
					  info.vocabulary * sizeof(float)));
			free(shares[i].logits);
		}
		free(alone.logits);
		stoker_model_free(&model);
		stoker_device_close(&device);
	}
}

void suite_paging(void)
{
	TEST(test_lossless);
	TEST(test_growth);
	TEST(test_two_sessions);
	TEST(test_changed_while_running);
	TEST(test_truncated_while_running);
	TEST(test_too_little_memory);
}
