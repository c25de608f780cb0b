// SPDX-License-Identifier: MIT
/* Calls of batches and sequences: what they refuse, what fails, who may make them, shared pages. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "device/device.h"
#include "failing.h"
#include "session/pages.h"
#include "tiny.h"

static struct stoker_device *device;
static struct stoker_model *model;
static uint32_t vocabulary;

static void open_device(bool exact)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 2, .exact = exact };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
}

static void load(const char *path)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, NULL, &model, NULL), 0);
	stoker_model_info(model, &info);
	vocabulary = info.vocabulary;
}

static uint32_t used(const struct page_pool *pool)
{
	return pool->count - pool->unused_count;
}

/* A page is somebody's own before it is written to, and is given back when nobody has it. */
static void test_sharing(void)
{
	const struct cache_size size = {
		.page_bytes = { 4096, 4096 }, .slot_bytes = 64, .pages = 8, .ring = 3, .window = 70
	};
	struct page_tables a, b, c;
	struct pages p;

	open_device(false);
	CU_ASSERT_EQUAL_FATAL(pages_create(device, &size, 2, 0, &p, NULL), 0);
	const struct page_pool *full = &p.pools[PAGES_FULL], *ring = &p.pools[PAGES_WINDOW];

	CU_ASSERT(used(full) == 0 && used(ring) == 0);
	CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &a, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &b, NULL), 0);
	CU_ASSERT_EQUAL(pages_add(&p, false, &c, NULL), -ENOSPC);
	CU_ASSERT_EQUAL(used(full), 0);
	CU_ASSERT_EQUAL(pages_prepare(&p, &a, 0, 65, NULL), 0);
	CU_ASSERT(used(full) == 2 && used(ring) == 2);
	memset((void *)(uintptr_t)a.of[PAGES_FULL].addresses[1], 0x5a, 4096);
	pages_share(&p, &a, &b);
	CU_ASSERT_EQUAL(used(full), 2);
	CU_ASSERT_EQUAL(a.of[PAGES_FULL].addresses[0], b.of[PAGES_FULL].addresses[0]);
	CU_ASSERT_EQUAL(pages_prepare(&p, &b, 65, 66, NULL), 0);
	CU_ASSERT_EQUAL(a.of[PAGES_FULL].addresses[0], b.of[PAGES_FULL].addresses[0]);
	CU_ASSERT_NOT_EQUAL(a.of[PAGES_FULL].addresses[1], b.of[PAGES_FULL].addresses[1]);
	CU_ASSERT(!memcmp((void *)(uintptr_t)a.of[PAGES_FULL].addresses[1],
			  (void *)(uintptr_t)b.of[PAGES_FULL].addresses[1], 4096));
	CU_ASSERT(used(full) == 3 && used(ring) == 3);
	CU_ASSERT_EQUAL(pages_prepare(&p, &a, 65, 66, NULL), 0); /* nobody else's now */
	CU_ASSERT_EQUAL(used(full), 3);
	/* a ring's entries that stand again and again change together */
	CU_ASSERT_EQUAL(b.of[PAGES_WINDOW].addresses[1], b.of[PAGES_WINDOW].addresses[4]);
	pages_cut(&p, &b, 64);
	CU_ASSERT(used(full) == 2 && used(ring) == 3);
	pages_remove(&p, &a);
	CU_ASSERT_EQUAL(used(full), 1); /* the first is still b's */
	pages_cut(&p, &b, 0);
	CU_ASSERT(used(full) == 0 && used(ring) == 0);
	/* as many as there can be: all of them shared, then all written to */
	CU_ASSERT_EQUAL_FATAL(pages_add(&p, false, &a, NULL), 0);
	CU_ASSERT_EQUAL(pages_prepare(&p, &b, 0, 512, NULL), 0);
	pages_share(&p, &b, &a);
	CU_ASSERT_EQUAL(pages_prepare(&p, &a, 0, 512, NULL), 0);
	CU_ASSERT(used(full) == 16 && used(ring) == 6);
	pages_remove(&p, &a);
	pages_remove(&p, &b);
	CU_ASSERT(used(full) == 0 && used(ring) == 0);
	pages_destroy(&p);
	stoker_device_close(&device);
}

static const struct tiny plain = { .architecture = "llama", .layers = 2 };

static int step_of(struct stoker_batch *b, struct stoker_sequence *q, const uint32_t *tokens,
		   size_t count, enum stoker_logits logits, struct stoker_error *err)
{
	const struct stoker_batch_part part = {
		.sequence = q, .tokens = tokens, .count = count, .logits = logits
	};

	return stoker_batch_eval(b, &part, sizeof(part), 1, err);
}

static void test_arguments(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 20,
						      .batch = 8, .sequences = 2 };
	static const uint32_t tokens[9], wrong = TINY_ROWS;
	struct stoker_batch *b, *other;
	struct stoker_sequence *q, *r, *foreign;
	struct stoker_error err;

	open_device(true);
	tiny_write(tiny_path(), &plain);
	load(tiny_path());
	unlink(tiny_path());
	CU_ASSERT_EQUAL(
		stoker_batch_create(model,
				    &(struct stoker_session_params){ STOKER_SESSION_PARAMS_INIT,
								     .sequences = 1u << 31 },
				    &b, &err),
		-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "2147483648 sequences"));
	CU_ASSERT_EQUAL(stoker_batch_create(NULL, &params, &b, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_batch_create(model, &params, NULL, &err), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &other, NULL), 0);
	stoker_model_free(&model);
	CU_ASSERT_EQUAL(stoker_sequence_create(b, &q, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_create(b, &r, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_create(other, &foreign, NULL), 0);
	stoker_batch_free(&other);
	CU_ASSERT_PTR_NULL(other);

	struct stoker_sequence *more = q;

	CU_ASSERT_EQUAL(stoker_sequence_create(b, &more, &err), -ENOSPC);
	CU_ASSERT_PTR_NULL(more);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "room for 2 sequences"));
	CU_ASSERT_EQUAL(stoker_sequence_copy(q, &more, &err), -ENOSPC);

	/* what is wrong with any part leaves all as they were */
	const struct stoker_batch_part twice[] = { { q, tokens, 1, STOKER_LOGITS_LAST },
						   { r, tokens, 2, STOKER_LOGITS_LAST },
						   { q, tokens, 1, STOKER_LOGITS_LAST } };
	const struct stoker_batch_part bad[] = { twice[0], { r, &wrong, 1, STOKER_LOGITS_LAST } };
	const struct stoker_batch_part of_other[] = { twice[0],
						      { foreign, tokens, 1, STOKER_LOGITS_LAST } };
	const struct stoker_batch_part many[] = { twice[0], { r, tokens, 8, STOKER_LOGITS_LAST } };

	CU_ASSERT_EQUAL(stoker_batch_eval(b, twice, sizeof(*twice), 3, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "part 2: its sequence comes twice"));
	CU_ASSERT_EQUAL(stoker_batch_eval(b, bad, sizeof(*bad), 2, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "token 32"));
	CU_ASSERT_EQUAL(stoker_batch_eval(b, of_other, sizeof(*of_other), 2, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_batch_eval(b, many, sizeof(*many), 2, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "a step of 9 tokens, it takes 8"));
	CU_ASSERT_EQUAL(stoker_batch_eval(b, twice, sizeof(*twice), 0, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_batch_eval(b, NULL, sizeof(struct stoker_batch_part), 1, &err),
			-EINVAL);
	CU_ASSERT_EQUAL(stoker_batch_eval(NULL, twice, sizeof(*twice), 1, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sequence_position(q) + stoker_sequence_position(r), 0);
	CU_ASSERT_PTR_NULL(stoker_batch_logits(b, 0));

	CU_ASSERT_EQUAL(stoker_batch_eval(b, twice, sizeof(*twice), 2, &err), 0);
	CU_ASSERT(stoker_batch_logits(b, 1) && !stoker_batch_logits(b, 2));
	CU_ASSERT_EQUAL(step_of(b, r, tokens, 8, STOKER_LOGITS_ALL, &err), 0);
	CU_ASSERT(stoker_batch_logits(b, 7) && !stoker_batch_logits(b, 8));
	CU_ASSERT_EQUAL(step_of(b, r, tokens, 8, STOKER_LOGITS_NONE, &err), 0);
	CU_ASSERT_PTR_NULL(stoker_batch_logits(b, 0));
	CU_ASSERT_EQUAL(step_of(b, r, tokens, 3, STOKER_LOGITS_LAST, &err), -ENOSPC);
	CU_ASSERT_EQUAL(stoker_sequence_position(r), 18);
	CU_ASSERT_EQUAL(stoker_sequence_truncate(r, 19, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sequence_truncate(NULL, 0, &err), -EINVAL);
	stoker_sequence_free(&foreign);
	stoker_sequence_free(&q);
	CU_ASSERT_EQUAL(stoker_sequence_copy(r, &q, &err), 0);
	stoker_batch_free(&b);
	stoker_sequence_free(&r);
	CU_ASSERT_EQUAL(stoker_sequence_position(q), 18);
	stoker_sequence_free(&q);
	stoker_sequence_free(NULL);
	stoker_device_close(&device);
}

/* Every allocation of every call fails in turn: the call says so and can be made again. */
static void check_allocations(const char *path, bool recurrent)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 100,
						      .batch = 70, .sequences = 3 };
	uint32_t tokens[100] = { 1, 2, 3 };
	unsigned faults[7] = { 0 };
	float *wanted;

	open_device(true);
	failing_device(device);
	load(path);
	wanted = malloc(vocabulary * sizeof(*wanted));
	for (unsigned n = 0, stage = 0; stage < ARRAY_SIZE(faults); n++) {
		struct stoker_batch *b = NULL;
		struct stoker_sequence *q = NULL, *copy = NULL;
		struct stoker_error err = { .message = "" };
		int ret = 0;

		/* those before @stage succeed; the one that is @stage fails at allocation @n */
		for (unsigned at = 0; at <= stage && !ret; at++) {
			if (at == stage)
				failing_after(n);
			switch (at) {
			case 0:
				ret = stoker_batch_create(model, &params, &b, &err);
				break;
			case 1:
				ret = stoker_sequence_create(b, &q, &err);
				break;
			case 2:
				ret = step_of(b, q, tokens, 70, STOKER_LOGITS_ALL, &err);
				break;
			case 3:
				ret = stoker_sequence_copy(q, &copy, &err);
				break;
			case 4:
				ret = step_of(b, copy, tokens, 1, STOKER_LOGITS_LAST, &err);
				break;
			case 5:
				ret = stoker_sequence_remove(copy, 10, 30, 1, &err);
				if (ret == -ENOTSUP && recurrent)
					ret = 0;
				break;
			default:
				ret = stoker_sequence_truncate(q, 0, &err);
				break;
			}
		}
		const bool failed = failing_end();

		CU_ASSERT_EQUAL(ret, failed ? -ENOMEM : 0);
		CU_ASSERT(!failed || err.message[0]);
		faults[stage] += failed;
		/* what is there is as good as before */
		if (q && stage >= 2) {
			if (stoker_sequence_position(q) == 0)
				CU_ASSERT_EQUAL(step_of(b, q, tokens, 70, STOKER_LOGITS_ALL, &err),
						0);
			CU_ASSERT_EQUAL(step_of(b, q, tokens, 1, STOKER_LOGITS_LAST, &err), 0);
			if (n == 0 && stage == 2)
				memcpy(wanted, stoker_batch_logits(b, 0),
				       vocabulary * sizeof(*wanted));
			CU_ASSERT(!memcmp(wanted, stoker_batch_logits(b, 0),
					  vocabulary * sizeof(*wanted)));
		}
		stoker_sequence_free(&copy);
		stoker_sequence_free(&q);
		stoker_batch_free(&b);
		if (!failed) {
			stage++;
			n = UINT32_MAX;
		}
	}
	CU_ASSERT(faults[0] >= 7 && faults[1] >= 3 && faults[2] >= 4 && faults[3] >= 3);
	CU_ASSERT(faults[5] >= (recurrent ? 0 : 5));
	free(wanted);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

static void test_allocations(void)
{
	const char *folder = vectors_folder("allocations that fail with recurrent layers");
	char path[512];

	tiny_write(tiny_path(), &plain);
	check_allocations(tiny_path(), false);
	unlink(tiny_path());
	snprintf(path, sizeof(path), "%s/models/qwen35moe.gguf", folder);
	if (folder)
		check_allocations(path, true);
}

static atomic_bool stop;
static atomic_uint unexpected;

/* Another user of the batch: is told so, or has its turn. */
static void *interfere(void *batch)
{
	struct stoker_sequence *q;

	for (unsigned n = 0; n < 100 || !atomic_load(&stop); n++) {
		const int ret = stoker_sequence_create(batch, &q, NULL);

		if (ret && ret != -EBUSY)
			atomic_fetch_add(&unexpected, 1);
		sched_yield();
		stoker_sequence_free(&q); /* now, or when the step is done */
	}
	return NULL;
}

/* A second thread gets -EBUSY or its turn; what it releases during a step goes after that. */
static void test_threads(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 100,
						      .sequences = 3 };
	struct stoker_sequence *q, *last;
	struct stoker_batch *b;
	uint32_t tokens[60] = { 1 };
	pthread_t thread;
	unsigned done = 0;

	open_device(true);
	tiny_write(tiny_path(), &plain);
	load(tiny_path());
	unlink(tiny_path());
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &q, NULL), 0);
	atomic_store(&stop, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, interfere, b), 0);
	for (unsigned n = 0; n < 100000 && done < 50; n++)
		if (!stoker_sequence_truncate(q, 0, NULL))
			done += step_of(b, q, tokens, 60, STOKER_LOGITS_LAST, NULL) == 0;
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT(done > 0);
	CU_ASSERT_EQUAL(atomic_load(&unexpected), 0);
	/* nothing is left of those that were released */
	CU_ASSERT_EQUAL(stoker_sequence_create(b, &last, NULL), 0);
	stoker_sequence_free(&q);
	CU_ASSERT_EQUAL(stoker_sequence_create(b, &q, NULL), 0);
	stoker_batch_free(&b);
	stoker_sequence_free(&q);
	stoker_sequence_free(&last);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

void add_batch_calls(void)
{
	TEST(test_sharing);
	TEST(test_arguments);
	TEST(test_allocations);
	TEST(test_threads);
}
