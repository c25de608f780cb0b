// SPDX-License-Identifier: MIT
/* The memory of sequences' pages: it comes when needed, within a bound, and goes again. */
#include <unistd.h>

#include "device/device.h"
#include "failing.h"
#include "model/session_size.h"
#include "root.h"
#include "session/pages.h"
#include "tiny.h"

static struct stoker_device *device;

static void open_device(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 2, .exact = true };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
}

static uint32_t used(const struct page_pool *pool)
{
	return pool->count - pool->unused_count;
}

enum { PAGE = 64 << 10, RING_PAGE = 16 << 10, MORE = 40 };

static const struct cache_size ringed = {
	.page_bytes = { PAGE, RING_PAGE }, .slot_bytes = 64, .pages = 40, .ring = 4, .window = 70
};

/* Blocks come with the pages that are written to; when they are unused all but one go. */
static void test_blocks(void)
{
	const uint64_t bound = 64 << 20;
	struct page_tables t[3];
	struct pages p;

	open_device();
	CU_ASSERT_EQUAL_FATAL(pages_create(device, &ringed, 40, bound, &p, NULL), 0);
	const uint64_t rest = pages_bytes(&p);
	const struct page_pool *full = &p.pools[PAGES_FULL];

	CU_ASSERT(rest < 1 << 20);
	CU_ASSERT_EQUAL(pages_left(&p), bound);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &t[i], NULL), 0);
		/* rings, of which not all can have one, take what they use */
		CU_ASSERT_EQUAL(pages_bytes(&p), rest + (uint64_t)i * ((2 << 20) + 4 * RING_PAGE));
		CU_ASSERT_EQUAL(pages_needed(&p, &t[i], 0, 30 * 64), 30 * PAGE + 4 * RING_PAGE);
		CU_ASSERT_EQUAL(pages_prepare(&p, &t[i], 0, 30 * 64, NULL), 0);
		CU_ASSERT_EQUAL(pages_needed(&p, &t[i], 0, 30 * 64 + 1), PAGE);
		CU_ASSERT_EQUAL(pages_left(&p), bound - (i + 1) * (30 * PAGE + 4 * RING_PAGE));
	}
	/* two pages of the first block's that were left are the second's */
	CU_ASSERT(used(full) == 90 && full->count == 96);
	pages_remove(&p, &t[0]);
	CU_ASSERT_EQUAL(full->count, 96);
	pages_remove(&p, &t[2]);
	CU_ASSERT_EQUAL(full->count, 96); /* one that is unused stays */
	pages_remove(&p, &t[1]);
	CU_ASSERT(full->count == 32 && used(full) == 0);
	CU_ASSERT_EQUAL(pages_left(&p), bound);
	pages_destroy(&p);
	stoker_device_close(&device);
}

/* No more than the bound, for both kinds of pages; what can't be had leaves everything. */
static void test_bound(void)
{
	const uint64_t each = 40 * PAGE + 4 * RING_PAGE, bound = each + 2 * PAGE;
	struct stoker_error err = { .message = "" };
	struct page_tables a, b;
	struct pages p;

	open_device();
	CU_ASSERT_EQUAL(pages_create(device, &ringed, 2, each - 1, &p, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "2560 positions takes 2.6 MiB"));
	CU_ASSERT_EQUAL_FATAL(pages_create(device, &ringed, 2, bound, &p, NULL), 0);
	const uint64_t rest = pages_bytes(&p);

	CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &a, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &b, NULL), 0);
	CU_ASSERT_EQUAL(pages_prepare(&p, &a, 0, 1, NULL), 0);
	CU_ASSERT_EQUAL(pages_prepare(&p, &b, 0, 39 * 64, NULL), 0); /* the ring isn't forgotten */
	CU_ASSERT_EQUAL(pages_prepare(&p, &a, 1, 3 * 64, &err), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "are left of the 2.7 MiB"));
	CU_ASSERT(a.of[PAGES_FULL].pages[0] != NO_PAGE && a.of[PAGES_FULL].pages[1] == NO_PAGE);
	CU_ASSERT(pages_bytes(&p) - rest <= bound);
	pages_cut(&p, &b, 64);
	CU_ASSERT_EQUAL(pages_prepare(&p, &a, 1, 39 * 64, &err), 0);
	CU_ASSERT(pages_bytes(&p) - rest <= bound);
	pages_remove(&p, &b);
	pages_remove(&p, &a);
	/* either alone has what it needs, whatever there was before */
	CU_ASSERT_EQUAL_FATAL(pages_add(&p, true, &a, NULL), 0);
	CU_ASSERT(used(&p.pools[PAGES_FULL]) == 40 && used(&p.pools[PAGES_WINDOW]) == 4);
	CU_ASSERT(pages_bytes(&p) - rest <= bound);
	pages_remove(&p, &a);
	pages_destroy(&p);

	/* memory for more than sequences need is for full pages */
	CU_ASSERT_EQUAL_FATAL(pages_create(device, &ringed, 2, 2 * each + 3 * PAGE, &p, NULL), 0);
	CU_ASSERT(p.pools[PAGES_FULL].most == 83 && p.pools[PAGES_WINDOW].most == 8);
	pages_destroy(&p);
	stoker_device_close(&device);
}

/* However memory was cut up for others, a sequence that is left alone gets to its end. */
static void test_alone(void)
{
	/* the second: devices round memory up */
	static const struct cache_size sizes[] = {
		{ .page_bytes = { 4096, 4096 }, .pages = 1000, .ring = 10, .window = 70 },
		{ .page_bytes = { 6528 }, .pages = 500 },
	};

	open_device();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const uint64_t bound = cache_bytes(&sizes[i]) - cache_rest_bytes(&sizes[i]);
		const uint32_t end = sizes[i].pages * 64;
		struct page_tables t[5];
		struct pages p;

		CU_ASSERT_EQUAL_FATAL(pages_create(device, &sizes[i], 5, bound, &p, NULL), 0);
		const uint64_t rest = pages_bytes(&p);

		for (int k = 0; k < 5; k++)
			CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &t[k], NULL), 0);
		for (uint32_t at = 0; at < 5 * 64; at += 64)
			for (int k = 0; k < 5; k++)
				CU_ASSERT_EQUAL(pages_prepare(&p, &t[k], at, at + 64, NULL), 0);
		for (uint32_t at = 5 * 64; !pages_prepare(&p, &t[0], at, at + 64, NULL); at += 64)
			;
		for (int k = 0; k < 5; k++)
			if (k != 2)
				pages_remove(&p, &t[k]);
		for (uint32_t at = 5 * 64; at < end; at += 64)
			CU_ASSERT_EQUAL_FATAL(pages_prepare(&p, &t[2], at, at + 64, NULL), 0);
		CU_ASSERT(pages_bytes(&p) - rest <= bound);
		pages_remove(&p, &t[2]);
		CU_ASSERT_EQUAL(pages_left(&p), bound);
		pages_destroy(&p);
	}
	stoker_device_close(&device);
}

/* Pages that several sequences of a step share: the last of them to write keeps its own. */
static void test_counting(void)
{
	uint32_t want[PAGE_KINDS] = { 0 };
	struct page_tables t[3];
	struct pages p;

	open_device();
	CU_ASSERT_EQUAL_FATAL(pages_create(device, &ringed, 3, 0, &p, NULL), 0);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &t[i], NULL), 0);
	CU_ASSERT_EQUAL(pages_prepare(&p, &t[0], 0, 100, NULL), 0);
	pages_share(&p, &t[0], &t[1]);
	pages_share(&p, &t[0], &t[2]);
	pages_count(&p, &t[0], 100, 101, want);
	CU_ASSERT(want[PAGES_FULL] == 1 && want[PAGES_WINDOW] == 1);
	pages_count(&p, &t[1], 100, 101, want);
	pages_count(&p, &t[2], 100, 101, want);
	CU_ASSERT(want[PAGES_FULL] == 2 && want[PAGES_WINDOW] == 2);
	for (int i = 0; i < 3; i++)
		pages_counted(&p, &t[i], 100, 101);
	CU_ASSERT_EQUAL(pages_needed(&p, &t[2], 100, 150), 2 * (PAGE + RING_PAGE));
	/* a ring has as many as it has */
	CU_ASSERT_EQUAL(pages_needed(&p, &t[2], 100, 40 * 64), 39 * PAGE + 4 * RING_PAGE);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(pages_prepare(&p, &t[i], 100, 101, NULL), 0);
	CU_ASSERT_EQUAL(used(&p.pools[PAGES_FULL]), 4);
	CU_ASSERT_EQUAL(used(&p.pools[PAGES_WINDOW]), 4);
	for (int i = 0; i < 3; i++)
		pages_remove(&p, &t[i]);
	CU_ASSERT_EQUAL(used(&p.pools[PAGES_FULL]) + used(&p.pools[PAGES_WINDOW]), 0);
	pages_destroy(&p);
	stoker_device_close(&device);
}

/* A step for which memory fails midway changes nothing; blocks that did come are used later. */
static void test_failing(void)
{
	struct page_tables t;
	struct pages p;
	unsigned faults = 0;

	open_device();
	failing_device(device);
	CU_ASSERT_EQUAL_FATAL(pages_create(device, &ringed, 3, 0, &p, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &t, NULL), 0);
	for (unsigned n = 0;; n++) {
		failing_after(n);
		const int ret = pages_prepare(&p, &t, 0, MORE * 64, NULL);

		if (!failing_end()) {
			CU_ASSERT_EQUAL(ret, 0);
			break;
		}
		CU_ASSERT_EQUAL(ret, -ENOMEM);
		CU_ASSERT_EQUAL(used(&p.pools[PAGES_FULL]) + used(&p.pools[PAGES_WINDOW]), 0);
		CU_ASSERT_EQUAL(t.of[PAGES_FULL].pages[0], NO_PAGE);
		faults++;
	}
	CU_ASSERT(faults >= 3);
	CU_ASSERT(used(&p.pools[PAGES_FULL]) == MORE && used(&p.pools[PAGES_WINDOW]) == 4);
	pages_remove(&p, &t);
	pages_destroy(&p);
	stoker_device_close(&device);
}

enum { CONTEXT = 640, STEP = 64, SEQUENCES = 4 };

static uint64_t pages_of_sequence(const struct stoker_model *m)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT };
	const struct cache_size size =
		model_cache_size(m, model_kv_formats(m, &params), CONTEXT, STEP, NULL);

	return cache_bytes(&size) - cache_rest_bytes(&size);
}

static int append(struct stoker_batch *b, struct stoker_sequence **q, uint32_t count,
		  const uint32_t *tokens, uint32_t rows, struct stoker_error *err)
{
	struct stoker_batch_part parts[SEQUENCES];

	for (uint32_t i = 0; i < count; i++)
		parts[i] = (struct stoker_batch_part){ .sequence = q[i],
						       .tokens = tokens,
						       .count = rows,
						       .logits = STOKER_LOGITS_LAST };
	return stoker_batch_eval(b, parts, sizeof(*parts), count, err);
}

/* More sequences than fit at full length: a step that doesn't fit is refused as a whole. */
static void check_full(bool deterministic)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = CONTEXT,
						.batch = STEP, .sequences = SEQUENCES,
						.deterministic = deterministic };
	struct stoker_sequence *q[SEQUENCES];
	struct stoker_model *model;
	struct stoker_batch *b;
	struct stoker_error err = { .message = "" };
	uint32_t tokens[CONTEXT], position = 0;
	float wanted[TINY_ROWS], got[TINY_ROWS];
	uint64_t bytes, full;

	open_device();
	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, tiny_path(), NULL, &model, NULL), 0);
	unlink(tiny_path());
	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = (i * 7 + i / 11) % TINY_ROWS;
	params.cache_bytes = pages_of_sequence(model) - 1;
	CU_ASSERT_EQUAL(stoker_batch_create(model, &params, &b, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "a sequence of 640 positions takes"));
	params.cache_bytes = 2 * pages_of_sequence(model);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
	stoker_model_free(&model);
	for (uint32_t i = 0; i < SEQUENCES; i++)
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &q[i], NULL), 0);
	stoker_batch_bytes(b, &bytes, NULL);
	/* 5 pages each fit, which 320 tokens fill */
	while (!append(b, q, SEQUENCES, tokens + position, 16, &err))
		position += 16;
	CU_ASSERT_EQUAL(position, 320);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "0 B are left of the"));
	CU_ASSERT_EQUAL(append(b, q, SEQUENCES, tokens + position, 16, &err), -ENOSPC);
	stoker_batch_bytes(b, &full, NULL);
	CU_ASSERT(full > bytes && full - bytes <= params.cache_bytes);
	for (uint32_t i = 0; i < SEQUENCES; i++)
		CU_ASSERT_EQUAL(stoker_sequence_position(q[i]), 320);
	stoker_sequence_free(&q[3]);
	stoker_sequence_free(&q[2]);
	CU_ASSERT_EQUAL(append(b, q, 2, tokens + position, 16, &err), 0);
	memcpy(wanted, stoker_batch_logits(b, 1), sizeof(wanted));
	/* with pages that were others' it is the same */
	CU_ASSERT_EQUAL(stoker_sequence_truncate(q[0], 0, &err), 0);
	for (position = 0; position <= 320; position += 16)
		CU_ASSERT_EQUAL(append(b, q, 1, tokens + position, 16, &err), 0);
	memcpy(got, stoker_batch_logits(b, 0), sizeof(got));
	for (uint32_t i = 0; i < TINY_ROWS; i++)
		CU_ASSERT_DOUBLE_EQUAL(got[i], wanted[i], 2e-3);
	stoker_sequence_free(&q[0]);
	stoker_sequence_free(&q[1]);
	stoker_batch_bytes(b, &full, NULL);
	CU_ASSERT(full - bytes < params.cache_bytes / 2);
	stoker_batch_free(&b);
	stoker_device_close(&device);
}

static void test_full(void)
{
	check_full(false);
	check_full(true);
}

static const struct tiny mixture = { .architecture = "llama", .layers = 3, .experts = 8 };

static int load_within(uint64_t memory, uint32_t sequences, struct stoker_model **model,
		       struct stoker_error *err)
{
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT,
						       .context = CONTEXT, .sequences = sequences };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .memory = memory,
						    .session = &session };

	return stoker_model_load(device, tiny_path(), &params, model, err);
}

/* What a budget has for sequences they share, and together they never take more. */
static void test_budget(void)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = CONTEXT,
						.sequences = 1 };
	struct stoker_error err = { .message = "" };
	struct stoker_model *model;
	struct stoker_model_paging one = { STOKER_MODEL_PAGING_INIT },
				   many = { STOKER_MODEL_PAGING_INIT };
	struct stoker_sequence *q[16];
	struct stoker_batch *b, *other;
	uint32_t tokens[CONTEXT] = { 0 };
	uint64_t cache, scratch;

	open_device();
	tiny_write(tiny_path(), &mixture);
	CU_ASSERT_EQUAL_FATAL(load_within(STOKER_MEMORY_MIN, 1, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_paging(model, &one), 0);
	stoker_model_free(&model);

	/* too little for the caches of all, and for steps of the usual size */
	const uint64_t memory = one.memory + one.cache / 2;

	CU_ASSERT_EQUAL_FATAL(load_within(memory, 16, &model, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_paging(model, &many), 0);
	CU_ASSERT(many.dense + many.cache + many.buffers + many.slot_bytes <= memory);
	params.sequences = 16;
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, &err), 0);
	CU_ASSERT(stoker_batch_rows(b) >= 16 && stoker_batch_rows(b) < MODEL_BATCH);
	CU_ASSERT_EQUAL(stoker_batch_create(model, &params, &other, &err), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "16 sequences need"));
	stoker_model_free(&model);
	for (uint32_t i = 0; i < 16; i++) {
		int ret = stoker_sequence_create(b, &q[i], &err);

		for (uint32_t at = 0, n; at < CONTEXT && !ret; at += n) {
			n = MIN(stoker_batch_rows(b), CONTEXT - at);
			ret = append(b, &q[i], 1, tokens, n, &err);
		}
		stoker_batch_bytes(b, &cache, &scratch);
		CU_ASSERT(cache <= many.cache && cache + scratch <= many.cache + many.buffers);
		CU_ASSERT(i ? ret == 0 || ret == -ENOSPC : !ret);
		if (i % 2)
			stoker_sequence_free(&q[i]);
	}
	for (uint32_t i = 0; i < 16; i++)
		stoker_sequence_free(&q[i]);
	stoker_batch_free(&b);
	stoker_device_close(&device);

	open_device();
	CU_ASSERT_EQUAL(load_within(one.memory / 2, 64, &model, &err), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "isn't enough memory, this needs at least"));
	CU_ASSERT_EQUAL_FATAL(load_within(STOKER_MEMORY_MIN, 1, &model, NULL), 0);
	params.sequences = 64;
	CU_ASSERT_EQUAL(stoker_batch_create(model, &params, &b, &err), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "64 sequences need"));
	/* what one gives back another may have */
	params.sequences = 1;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(stoker_batch_create(model, &params, &b, &err), 0);
		stoker_batch_free(&b);
	}
	stoker_model_free(&model);
	unlink(tiny_path());
	stoker_device_close(&device);
}

static int try_batch(struct stoker_model *model, uint32_t context, uint32_t sequences,
		     struct stoker_error *err)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = context, .batch = 16,
						      .sequences = sequences };
	struct stoker_batch *batch = NULL;
	const int ret = stoker_batch_create(model, &params, &batch, err);

	CU_ASSERT_EQUAL(!ret, batch != NULL);
	stoker_batch_free(&batch);
	return ret;
}

static struct stoker_model *load_for(uint32_t context, uint32_t sequences, uint64_t memory)
{
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT,
						       .context = context, .batch = 16,
						       .sequences = sequences };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .memory = memory,
						    .session = &session };
	struct stoker_gguf *gguf;
	struct stoker_model *model;

	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(tiny_path(), &gguf, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(model_load(device, gguf, &params, root, &model, NULL), 0);
	stoker_gguf_close(&gguf);
	return model;
}

/* Without a budget sequences have what is left beside the model, together, and no more. */
static void test_left(void)
{
	enum { LONG = 1 << 20 };
	const struct stoker_session_params one = { STOKER_SESSION_PARAMS_INIT, .context = LONG,
						   .batch = 16, .sequences = 1 };
	struct stoker_error err = { .message = "" };
	struct stoker_batch *first;
	struct stoker_model *model;

	root_make();
	root_write("/proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable: 64000000 kB\n");
	open_device();
	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	model = load_for(LONG, 1, STOKER_MEMORY_AUTO);
	const uint64_t each = model->needs.cache + model->needs.buffers;
	char text[128];

	stoker_model_free(&model);
	/* there is room for one of them, but not for two */
	snprintf(text, sizeof(text), "MemTotal: 64000000 kB\nMemAvailable: %llu kB\n",
		 (unsigned long long)(each * 5 / 3) >> 10);
	root_write("/proc/meminfo", text);
	model = load_for(512, 4, STOKER_MEMORY_AUTO);
	CU_ASSERT_EQUAL(model->memory, 0);
	CU_ASSERT_EQUAL(try_batch(model, LONG, 64, &err), -ENOMEM);
	CU_ASSERT(err.needed > 32 * (each - model->needs.buffers) && err.available < 2 * each);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "64 sequences need"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "are left"));
	CU_ASSERT_EQUAL(try_batch(model, 512, 4, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &one, &first, &err), 0);
	CU_ASSERT_EQUAL(try_batch(model, LONG, 1, &err), -ENOMEM);
	stoker_batch_free(&first);
	CU_ASSERT_EQUAL(try_batch(model, LONG, 1, &err), 0);
	CU_ASSERT_EQUAL(atomic_load(&model->taken), 0);
	stoker_model_free(&model);

	/* loaded for more than there is room for: they share pages, and one may have all it needs
	 */
	model = load_for(LONG, 64, STOKER_MEMORY_AUTO);
	CU_ASSERT_EQUAL(model->memory, 0);
	CU_ASSERT(model->cache_limit && model->needs.cache < 2 * each);
	CU_ASSERT_EQUAL(try_batch(model, LONG, 64, &err), 0);
	CU_ASSERT_EQUAL(try_batch(model, 2 * LONG - 1, 1, &err), -ENOMEM);
	stoker_model_free(&model);

	/* who asks for no limit has none */
	model = load_for(512, 4, STOKER_MEMORY_MAX);
	CU_ASSERT_EQUAL(try_batch(model, LONG, 64, &err), 0);
	stoker_model_free(&model);
	unlink(tiny_path());
	stoker_device_close(&device);
	root_remove();
}

/* A plain session isn't made for several sequences. */
static void test_session(void)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 20,
						.sequences = 1 };
	struct stoker_model *model;
	struct stoker_session *s;
	uint64_t scratch[2];

	open_device();
	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, tiny_path(), NULL, &model, NULL), 0);
	unlink(tiny_path());
	for (int i = 0; i < 2; i++, params.sequences = 16) {
		CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &s, NULL), 0);
		stoker_session_bytes(s, NULL, &scratch[i]);
		stoker_session_free(&s);
	}
	CU_ASSERT_EQUAL(scratch[0], scratch[1]);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

void add_batch_memory(void)
{
	TEST(test_blocks);
	TEST(test_bound);
	TEST(test_alone);
	TEST(test_counting);
	TEST(test_failing);
	TEST(test_full);
	TEST(test_budget);
	TEST(test_left);
	TEST(test_session);
}
