// SPDX-License-Identifier: MIT
/* The pager: random schedules on a store that reorders, delays and fails; models that don't fit. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pager/pager.h"

/* The thread sanitizer takes a hundred times as long. */
#if defined(__SANITIZE_THREAD__)
enum { SCHEDULES = 100, MODELS = 2 };
#else
enum { SCHEDULES = 1000, MODELS = 11 };
#endif

static const char bundled[] = "tools/demo-model/stoker-demo-Q4_K.gguf";

/* --- a store without a drive ---------------------------------------------------------------------
 */

enum { FAKE_MAX = 4096 };

struct fake_store {
	struct stoker_store base;
	struct store_read *pending[FAKE_MAX]; /* not in the order of their arrival */
	size_t count;
	unsigned failing; /* one read of so many fails, 0: none */
};

/* What a file holds at @offset. */
static uint8_t content(uint64_t offset)
{
	return (uint8_t)(offset * 2654435761u >> 13);
}

static void fake_submit(struct stoker_store *s, struct store_read **reads, size_t count,
			enum store_priority priority)
{
	struct fake_store *f = (struct fake_store *)s;

	for (size_t i = 0; i < count; i++) {
		CU_ASSERT_FATAL(f->count < FAKE_MAX);
		/* until it's complete the memory may hold anything */
		memset(reads[i]->dst, 0xee, reads[i]->bytes);
		reads[i]->priority = priority;
		f->pending[f->count++] = reads[i];
	}
}

/* Some that are prefetched have begun, others not. */
static size_t fake_withdraw(struct stoker_store *s, struct store_read **out, size_t max)
{
	struct fake_store *f = (struct fake_store *)s;
	size_t count = 0;

	for (size_t i = f->count; i-- > 0 && count < max;)
		if (f->pending[i]->priority == STORE_PREFETCH && random_u32() % 2) {
			out[count++] = f->pending[i];
			f->pending[i] = f->pending[--f->count];
		}
	return count;
}

static size_t fake_complete(struct stoker_store *s, struct store_read **out, size_t max, bool wait)
{
	struct fake_store *f = (struct fake_store *)s;
	size_t count = 0;

	while (f->count && count < max && ((wait && !count) || random_u32() % 3)) {
		const size_t i = random_u32() % f->count;
		struct store_read *r = f->pending[i];

		f->pending[i] = f->pending[--f->count];
		r->result = f->failing && random_u32() % f->failing == 0 ? -EIO : 0;
		for (uint64_t b = 0; b < r->bytes && !r->result; b++)
			((uint8_t *)r->dst)[b] = content(r->offset + b);
		out[count++] = r;
	}
	return count;
}

static void fake_destroy(struct stoker_store *s)
{
	free(s);
}

static const struct stoker_store_ops fake_ops = { "fake", fake_destroy, fake_submit, fake_complete,
						  fake_withdraw };

/* --- a device that only has memory
 * -----------------------------------------------------------------
 */

static int plain_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			struct stoker_error *err)
{
	void *p = aligned_alloc(64, round_up(bytes, 64));

	(void)d;
	if (!p)
		return stoker_fail(err, -ENOMEM, "out of memory");
	*m = (struct stoker_memory){ .at = (uintptr_t)p, .bytes = bytes, .host = p };
	return 0;
}

static void plain_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	(void)d;
	free(m->host);
}

/* Whoever looks at it afterwards shall see that it's gone. */
static void plain_discard(struct stoker_device *d, void *host, uint64_t bytes)
{
	(void)d;
	memset(host, 0xdd, bytes);
}

enum { TILED = 0x5a };
static unsigned tile_failing; /* one time in so many, 0: never */

/* Doing it twice undoes it. */
static int plain_tile(struct stoker_device *d, const struct stoker_weight *w,
		      struct stoker_error *err)
{
	(void)d;
	CU_ASSERT(w->tiled && w->count == 1);
	if (tile_failing && random_u32() % tile_failing == 0)
		return stoker_fail(err, -ENOMEM, "no memory to lay out an expert of the file");
	for (uint32_t i = 0; i < w->in; i++)
		((uint8_t *)(uintptr_t)w->at)[i] ^= TILED;
	return 0;
}

static const struct stoker_device_ops plain_ops = { .memory_create = plain_create,
						    .memory_destroy = plain_destroy,
						    .discard = plain_discard,
						    .tile = plain_tile };

/* Memory that the host doesn't see, or so it says. */
static int apart_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			struct stoker_error *err)
{
	const int ret = plain_create(d, bytes, m, err);

	m->private = m->host;
	m->host = NULL;
	return ret;
}

static void apart_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	(void)d;
	free(m->private);
}

static int apart_write(struct stoker_device *d, stoker_address dst, const void *src, uint64_t bytes,
		       struct stoker_error *err)
{
	(void)d;
	(void)err;
	memcpy((void *)(uintptr_t)dst, src, bytes);
	return 0;
}

static const struct stoker_device_ops apart_ops = { .memory_create = apart_create,
						    .memory_destroy = apart_destroy,
						    .write = apart_write };

/* --- schedules -----------------------------------------------------------------------------------
 */

enum { LAYERS = 4, EXPERTS = 12, USED = 3 };

static void holds(const struct pager_source *l, uint32_t expert, const struct stoker_expert *at)
{
	const stoker_address place[PAGER_SLICES] = { at->gate, at->up, at->down };

	for (int i = 0; i < PAGER_SLICES; i++) {
		const struct pager_slice *s = &l->slice[i];
		const uint8_t *data = (const uint8_t *)(uintptr_t)place[i];
		bool same = true;

		for (uint64_t b = 0; b < s->bytes; b++)
			same = same && data[b] == (content(s->offset + expert * s->stride + b) ^
						   (s->weight && s->weight->tiled ? TILED : 0));
		CU_ASSERT(same);
	}
}

/* One layer's experts as a device takes them: wanted in waves, used in order, released. */
static void use_layer(struct stoker_pager *p, const struct pager_source *layers, uint32_t number,
		      unsigned *failed)
{
	struct stoker_expert_source *s = pager_source(p, number);
	uint32_t list[EXPERTS], count = 1 + random_u32() % EXPERTS, wanted = 0;
	struct stoker_expert at[EXPERTS];

	for (uint32_t i = 0; i < EXPERTS; i++)
		list[i] = i;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t k = i + random_u32() % (EXPERTS - i), other = list[i];

		list[i] = list[k];
		list[k] = other;
	}
	for (uint32_t done = 0, end; done < count; done = end) {
		const uint32_t taken = s->want(s, list + wanted, count - wanted);
		struct stoker_error err = { "" };

		CU_ASSERT_FATAL(taken > 0 || wanted > done || wanted == count);
		wanted += taken;
		for (end = done; end < wanted; end++) {
			if (end > done && !s->ready(s, list[end]))
				break;
			if (s->get(s, list[end], &at[end], &err)) {
				CU_ASSERT(strstr(err.message, "expert") &&
					  strstr(err.message, "file"));
				at[end].gate = 0;
				++*failed;
			}
		}
		/* what was given stays until it's released, whatever else happens */
		for (uint32_t i = done; i < end; i++)
			if (at[i].gate)
				holds(&layers[number], list[i], &at[i]);
		for (uint32_t i = done; i < end; i++)
			s->release(s, list[i]);
	}
}

/* Some guesses at a layer's experts, now or for when the layer before has what it wants. */
static void foresee_layer(struct stoker_pager *p, uint32_t number)
{
	struct stoker_expert_source *s = pager_source(p, number);
	uint32_t list[EXPERTS], count = random_u32() % EXPERTS;

	for (uint32_t i = 0; i < count; i++)
		list[i] = (i * 5 + number) % EXPERTS;
	if (s && random_u32() % 3)
		s->foresee(s, list, count, random_u32() % 2);
}

/* Two classes of layers that begin at @at of a file; the first layer has no experts. */
static void lay_out(struct pager_source *layers, const struct store_file *file, uint64_t at)
{
	for (uint32_t i = 1; i < LAYERS; i++) {
		layers[i].experts = EXPERTS;
		for (int k = 0; k < PAGER_SLICES; k++) {
			const uint64_t bytes = 700 + 300 * (uint64_t)k + (i == 2 ? 9000 : 0);

			layers[i].slice[k] = (struct pager_slice){
				.file = file, .offset = at, .stride = bytes + 13, .bytes = bytes
			};
			at += EXPERTS * (bytes + 13) + 100;
		}
	}
}

/* How many experts couldn't be had. */
static unsigned run_schedule(uint64_t seed, unsigned failing)
{
	struct stoker_weight weights[LAYERS][PAGER_SLICES];
	const bool apart = seed / 3 % 2;
	struct stoker_device device = { .ops = apart ? &apart_ops : &plain_ops,
					.max_memory = UINT64_MAX,
					.shares_memory = !apart };
	const struct store_file file = { .fd = -1, .path = "file" };
	struct pager_source layers[LAYERS] = { 0 };
	struct fake_store *store = calloc(1, sizeof(*store));
	static const char *const policies[] = { NULL, "lru", "quota" };
	struct stoker_pager *pager;
	struct stoker_error err;
	uint64_t at = 1 + seed % 5000;
	unsigned failed = 0;

	random_seed(seed);
	store->base.ops = &fake_ops;
	store->failing = failing;
	lay_out(layers, &file, at);
	/* a third layer's gate is missing */
	layers[3].slice[0].bytes = 0;
	tile_failing = failing;
	for (uint32_t i = 0; i < LAYERS && !apart; i++)
		for (int k = 0; k < PAGER_SLICES; k++) {
			weights[i][k] = (struct stoker_weight){
				.in = (uint32_t)layers[i].slice[k].bytes,
				.tiled = layers[i].slice[k].bytes && random_u32() % 3,
			};
			layers[i].slice[k].weight = &weights[i][k];
		}
	const uint64_t all = pager_memory(layers, LAYERS, EXPERTS);
	const uint64_t memory = all * (USED + random_u32() % EXPERTS) / EXPERTS;

	const struct pager_params params = {
		.device = &device,
		.store = &store->base,
		.layers = layers,
		.count = LAYERS,
		.least = USED,
		.memory = memory,
		.host_memory = all * (USED + random_u32() % EXPERTS) / EXPERTS,
		.policy = policies[seed % 3],
		.foresight = PAGER_FORESIGHT_ON,
	};

	if (pager_create(&params, &pager, &err)) {
		CU_FAIL("pager_create");
		return 0;
	}
	CU_ASSERT_PTR_NULL(pager_source(pager, 0));
	for (int round = 0; round < 12; round++) {
		pager_begin(pager, 1 + random_u32() % 6);
		for (uint32_t i = 1; i < LAYERS; i++) {
			/* as it should be, and what no device does: guesses at any layer */
			foresee_layer(pager,
				      random_u32() % 4 ? (i + 1) % LAYERS : random_u32() % LAYERS);
			use_layer(pager, layers, i, &failed);
		}
		pager_end(pager);
	}
	CU_ASSERT(failing || failed == 0);
	const struct pager_stats stats = pager_stats(pager);

	CU_ASSERT(stats.slot_bytes <= (apart ? params.host_memory : memory));
	CU_ASSERT(stats.hits + stats.misses > 0);
	CU_ASSERT(stats.foreseen >= stats.foreseen_used);
	pager_destroy(&pager);
	return failed;
}

static void test_schedules(void)
{
	unsigned failed = 0;

	for (uint64_t seed = 1; seed <= SCHEDULES; seed++)
		failed += run_schedule(seed, seed % 4 ? 0 : 20);
	CU_ASSERT(failed > SCHEDULES / 10);
}

/* --- models --------------------------------------------------------------------------------------
 */

/* What the last model took, and a few slots more, so that there is room to read ahead. */
static uint64_t some_more;

static float *logits_of(const char *path, const char *device_name, uint64_t memory,
			const char *store, const char *prefetch, size_t *count,
			struct stoker_error *err)
{
	const struct stoker_device_params device_params = { .name = device_name, .threads = 2 };
	const struct stoker_session_params session_params = { .context = 64, .batch = 32 };
	const struct stoker_model_params params = {
		.memory = memory, .session = &session_params, .store = store, .prefetch = prefetch
	};
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_session *s = NULL;
	struct stoker_model_info info;
	struct stoker_paging paging;
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

/* A machine that is short of memory for a while. */
static void test_pressure(void)
{
	char path[] = "/tmp/stoker-pressure-XXXXXX", meminfo[] = "/tmp/stoker-meminfo-XXXXXX";
	const int fd = mkstemp(path), fd2 = mkstemp(meminfo);
	struct stoker_device device = { .ops = &plain_ops,
					.max_memory = UINT64_MAX,
					.shares_memory = true };
	const struct store_file file = { .fd = -1, .path = "file" };
	struct pager_source layers[LAYERS] = { 0 };
	struct fake_store *store = calloc(1, sizeof(*store));
	struct stoker_pager *pager;
	struct stoker_error err;
	uint64_t all, slots;
	unsigned failed = 0;

	CU_ASSERT_FATAL(fd >= 0 && fd2 >= 0);
	close(fd);
	close(fd2);
	random_seed(1);
	store->base.ops = &fake_ops;
	lay_out(layers, &file, 1);
	const struct pager_params params = {
		.device = &device,
		.store = &store->base,
		.layers = layers,
		.count = LAYERS,
		.least = USED,
		.memory = pager_memory(layers, LAYERS, EXPERTS),
		.pressure = path,
		.meminfo = meminfo,
		.look_ns = 1,
	};

	CU_ASSERT_EQUAL_FATAL(pager_create(&params, &pager, &err), 0);
	all = pager_stats(pager).slots;
	for (int step = 0; step < 1300; step++) {
		/* in the second hundred programs wait, but for limits of their own */
		const bool waits = step >= 100 && step < 300, is_short = step >= 200;

		if (step % 100 == 0) {
			FILE *f = fopen(path, "we");

			CU_ASSERT_PTR_NOT_NULL_FATAL(f);
			fprintf(f, "some avg10=%s avg60=3.00 avg300=1.00 total=123\n",
				waits ? "40.21" : "0.00");
			fclose(f);
			f = fopen(meminfo, "we");
			CU_ASSERT_PTR_NOT_NULL_FATAL(f);
			fprintf(f, "MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  %d kB\n",
				is_short ? 50 : 500);
			fclose(f);
		}
		pager_begin(pager, 1);
		for (uint32_t i = 1; i < LAYERS; i++)
			use_layer(pager, layers, i, &failed);
		pager_end(pager);
		slots = pager_stats(pager).slots;
		CU_ASSERT(step >= 200 || slots == all);
		CU_ASSERT(step != 299 || (slots >= 2 * USED && slots < all / 3));
	}
	CU_ASSERT_EQUAL(slots, all);
	CU_ASSERT_EQUAL(failed, 0);
	pager_destroy(&pager);
	remove(path);
	remove(meminfo);
}

/* --- memory over time ----------------------------------------------------------------------------
 */

/* 2000 tokens, most of whose experts are read anew, with and without what is read ahead. */
static void test_growth(void)
{
	const struct stoker_session_params session_params = { .context = 256, .batch = 32 };
	struct stoker_model_params params = { .memory = STOKER_MEMORY_MIN,
					      .session = &session_params,
					      .prefetch = "on" };
	const struct stoker_device_params device_params = { .name = "cpu", .threads = 2 };
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *s;
	struct stoker_paging paging;
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
			CU_ASSERT_EQUAL(stoker_session_truncate(s, 0), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, &token, 1, STOKER_LOGITS_LAST, &err),
				      0);
		if (i == 300)
			begin = resident_kib();
	}
	CU_ASSERT(begin > 0);
	CU_ASSERT(resident_kib() - begin < (SANITIZED ? 65536 : 1024));
	CU_ASSERT_EQUAL(stoker_model_paging(model, &paging), 0);
	CU_ASSERT(paging.prefetched_used > 0 && paging.prefetched >= paging.prefetched_used);
	CU_ASSERT(2 * paging.foreseen_right > paging.foreseen);
	stoker_session_free(&s);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

/* --- what goes wrong -----------------------------------------------------------------------------
 */

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

/* The file loses its end while the model runs: an error, and then it goes on where it can. */
static void test_truncated_while_running(void)
{
	const struct stoker_device_params device_params = { .threads = 2 };
	const struct stoker_session_params session_params = { .context = 64 };
	const struct stoker_model_params params = { .memory = STOKER_MEMORY_MIN,
						    .session = &session_params };
	static const uint32_t tokens[] = { 10, 20, 30, 40, 50, 60, 70, 80 };
	char path[] = "/tmp/stoker-truncated-XXXXXX";
	struct stoker_error err = { "" };
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *s;
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

void suite_pager(void)
{
	TEST(test_schedules);
	TEST(test_lossless);
	TEST(test_pressure);
	TEST(test_growth);
	TEST(test_truncated_while_running);
	TEST(test_too_little_memory);
}
