// SPDX-License-Identifier: MIT
/* Contexts that sequences share with later ones: they give the logits of computing them again. */
#include <glob.h>
#include <unistd.h>

#include "device/device.h"
#include "failing.h"
#include "model/session_size.h"
#include "session/pages.h"
#include "tiny.h"

enum { CONTEXT = 1600, STEP = 64, SEQUENCES = 3, LONG = 640 };

static struct stoker_device *device;
static struct stoker_model *model;
static struct stoker_batch *batch;
static uint32_t vocabulary, tokens[CONTEXT];
static const char *file;

static void open_device(const char *name)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						     .threads = 2 };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
}

/* A batch that has pages for so many sequences of the largest context. */
static void open_batch(const char *path, double sequences, uint32_t step, bool deterministic)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = CONTEXT,
						.batch = step, .sequences = SEQUENCES,
						.deterministic = deterministic };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	file = path;
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, NULL, &model, NULL), 0);
	stoker_model_info(model, &info);
	vocabulary = info.vocabulary;
	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = (i * 7 + i / 11) % MIN(vocabulary, 200u);
	const struct cache_size size =
		model_cache_size(model, model_kv_formats(model, &params), CONTEXT, step, NULL);

	params.cache_bytes =
		(uint64_t)(sequences * (double)(cache_bytes(&size) - cache_rest_bytes(&size)));
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &batch, NULL), 0);
}

static void close_batch(void)
{
	stoker_batch_free(&batch);
	stoker_model_free(&model);
}

static void open_tiny(int cache, double sequences)
{
	open_device("cpu");
	tiny_write(tiny_path(), &tiny_caches[cache]);
	open_batch(tiny_path(), sequences, STEP, false);
	unlink(tiny_path());
}

static struct stoker_sequence *begin(uint64_t salt, uint32_t count, uint32_t expected)
{
	struct stoker_sequence *q = NULL;
	uint32_t positions = UINT32_MAX;
	size_t has;

	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(batch, &q, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_reuse(q, tokens, count, salt, &positions, NULL), 0);
	CU_ASSERT_EQUAL(positions, expected);
	CU_ASSERT_EQUAL(stoker_sequence_position(q), positions);
	CU_ASSERT(!memcmp(stoker_sequence_tokens(q, &has), tokens, positions * sizeof(*tokens)));
	return q;
}

/* Up to @end in steps that end at multiples of @chunk; logits of the last. */
static int eval(struct stoker_sequence *q, uint32_t end, uint32_t chunk, float *logits)
{
	int ret = 0;

	for (uint32_t at = stoker_sequence_position(q), n; at < end && !ret; at += n) {
		n = MIN(chunk - at % chunk, end - at);
		const struct stoker_batch_part part = { .sequence = q,
							.tokens = tokens + at,
							.count = n,
							.logits = STOKER_LOGITS_LAST };

		ret = stoker_batch_eval(batch, &part, sizeof(part), 1, NULL);
	}
	if (!ret && logits)
		memcpy(logits, stoker_batch_logits(batch, 0), vocabulary * sizeof(*logits));
	return ret;
}

static void end(struct stoker_sequence *q)
{
	stoker_sequence_free(&q);
}

static void test_matching(void)
{
	struct stoker_sequence *q;

	open_tiny(TINY_FULL, SEQUENCES);
	q = begin(1, 500, 0);
	CU_ASSERT_EQUAL(stoker_sequence_reuse(NULL, tokens, 5, 1, NULL, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sequence_reuse(q, NULL, 5, 1, NULL, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sequence_reuse(q, NULL, 0, 1, NULL, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(NULL, 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(eval(q, 50, STEP, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	end(begin(1, 500, 0)); /* not a page yet */
	CU_ASSERT_EQUAL(stoker_sequence_reuse(q, tokens, 500, 1, NULL, NULL), -EINVAL);
	CU_ASSERT_EQUAL(eval(q, 200, STEP, NULL), 0);
	end(begin(1, 500, 0)); /* not shared yet */
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	end(begin(1, 500, 192));
	end(begin(2, 500, 0)); /* somebody else's */
	end(begin(1, 193, 192));
	end(begin(1, 192, 128)); /* the last token is always computed */
	end(begin(1, 65, 64));
	end(begin(1, 64, 0));
	end(q);
	/* where texts differ it ends, and one that goes on differently has what it went on with */
	q = begin(1, 500, 192);
	tokens[130]++;
	end(begin(1, 500, 128));
	tokens[130]--;
	tokens[0]++;
	end(begin(1, 500, 0));
	tokens[0]--;
	CU_ASSERT_EQUAL(stoker_sequence_truncate(q, 100, NULL), 0);
	tokens[100]++;
	CU_ASSERT_EQUAL(eval(q, 260, STEP, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	end(begin(1, 500, 256));
	tokens[100]--;
	end(begin(1, 500, 192));
	end(q);
	close_batch();
	stoker_device_close(&device);
}

/* Where memory is short what hasn't been used for longest goes, its end first. */
static void test_giving_way(void)
{
	struct stoker_sequence *q, *other;

	open_tiny(TINY_FULL, 1); /* 25 pages */
	q = begin(1, LONG, 0);
	CU_ASSERT_EQUAL(eval(q, LONG, STEP, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	end(q);
	q = begin(2, LONG, 0);
	CU_ASSERT_EQUAL(eval(q, LONG, STEP, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 2, NULL), 0);
	end(q);
	end(begin(1, CONTEXT, LONG)); /* is used later */
	q = begin(3, CONTEXT, 0);
	CU_ASSERT_EQUAL(eval(q, 7 * 64, STEP, NULL), 0);
	end(begin(2, CONTEXT, 8 * 64));
	end(begin(1, CONTEXT, LONG));
	/* a sequence's pages stay, all others may go */
	other = begin(1, CONTEXT, LONG);
	CU_ASSERT_EQUAL(eval(q, 15 * 64, STEP, NULL), 0);
	CU_ASSERT_EQUAL(eval(q, 16 * 64, STEP, NULL), -ENOSPC);
	CU_ASSERT_EQUAL(stoker_sequence_position(q), 15 * 64);
	end(other);
	CU_ASSERT_EQUAL(eval(q, CONTEXT, STEP, NULL), 0);
	end(begin(1, CONTEXT, 0));
	end(begin(2, CONTEXT, 0));
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 3, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_truncate(q, 0, NULL), 0);
	tokens[0]++;
	CU_ASSERT_EQUAL(eval(q, CONTEXT, STEP, NULL), 0);
	end(q);
	close_batch();
	stoker_device_close(&device);
}

/* Pages of rings that are shared give way, too, and a sequence never waits for its own. */
static void test_rings(void)
{
	struct stoker_sequence *q[SEQUENCES];

	open_tiny(TINY_WINDOW, SEQUENCES);
	for (uint32_t i = 0; i < SEQUENCES; i++) {
		q[i] = begin(i, CONTEXT, 0);
		for (uint32_t at = STEP; at <= LONG; at += STEP) {
			CU_ASSERT_EQUAL(eval(q[i], at, STEP, NULL), 0);
			CU_ASSERT_EQUAL(stoker_sequence_share(q[i], i, NULL), 0);
		}
	}
	for (uint32_t i = 0; i < SEQUENCES; i++)
		end(q[i]);
	for (uint32_t i = 0; i < SEQUENCES; i++)
		q[i] = begin(i, CONTEXT, LONG);
	for (uint32_t i = 0; i < SEQUENCES; i++) {
		/* what lies before the window isn't there */
		CU_ASSERT_EQUAL(stoker_sequence_truncate(q[i], 64, NULL), -ENOTSUP);
		CU_ASSERT_EQUAL(eval(q[i], CONTEXT, STEP, NULL), 0);
	}
	for (uint32_t i = 0; i < SEQUENCES; i++)
		end(q[i]);
	close_batch();
	stoker_device_close(&device);
}

/* Only what was computed in chunks from the beginning on. */
static void test_deterministic(void)
{
	struct stoker_sequence *q;

	open_device("cpu");
	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	open_batch(tiny_path(), SEQUENCES, 130, true); /* in chunks of 128 */
	q = begin(1, 500, 0);
	CU_ASSERT_EQUAL(eval(q, 300, 128, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	end(begin(1, 500, 256));
	end(begin(1, 256, 128));
	CU_ASSERT_EQUAL(stoker_sequence_truncate(q, 200, NULL), 0);
	CU_ASSERT_EQUAL(eval(q, 384, 128, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 2, NULL), 0);
	end(begin(2, 500, 128));
	end(q);
	q = begin(1, 500, 256);
	CU_ASSERT_EQUAL(eval(q, 384, 128, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	end(begin(1, 500, 384));
	end(q);
	q = begin(3, 500, 0);
	CU_ASSERT_EQUAL(eval(q, 500, 64, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 3, NULL), 0);
	end(begin(3, 500, 0));
	end(q);
	close_batch();
	open_batch(tiny_path(), SEQUENCES, 50, true);
	unlink(tiny_path());
	q = begin(1, 500, 0);
	CU_ASSERT_EQUAL(eval(q, 200, 50, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	end(begin(1, 500, 0));
	end(q);
	close_batch();
	stoker_device_close(&device);
}

/* What others go on with is what they would have computed. */
static void check_logits(const char *path)
{
	const uint32_t shared = device->runs_at_once ? 1000 : 200, all = shared + 37;
	const uint32_t known = shared / 64 * 64;
	struct stoker_sequence *first, *second;
	float *wanted, *got;

	open_batch(path, SEQUENCES, STEP, false);
	wanted = malloc(vocabulary * sizeof(*wanted));
	got = malloc(vocabulary * sizeof(*got));
	CU_ASSERT_FATAL(wanted && got);
	first = begin(9, all, 0);
	CU_ASSERT_EQUAL(eval(first, shared, STEP, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(first, 9, NULL), 0);
	CU_ASSERT_EQUAL(eval(first, all, STEP, NULL), 0);
	end(first);
	first = begin(0, all, 0);
	CU_ASSERT_EQUAL(eval(first, all, STEP, wanted), 0);
	second = begin(9, all, known);
	CU_ASSERT_EQUAL(eval(second, all, STEP, got), 0);
	if (memcmp(got, wanted, vocabulary * sizeof(*got)))
		printf("\n    %s, %s: a hit changes logits", path, device->description);
	CU_ASSERT(!memcmp(got, wanted, vocabulary * sizeof(*got)));
	/* the others' rows don't matter */
	end(first);
	CU_ASSERT_EQUAL(eval(second, all + 50, STEP, NULL), 0);
	first = begin(9, all, known);
	CU_ASSERT_EQUAL(eval(first, all, STEP, got), 0);
	CU_ASSERT(!memcmp(got, wanted, vocabulary * sizeof(*got)));
	end(first);
	end(second);
	free(wanted);
	free(got);
	close_batch();
}

static void test_logits(void)
{
	const char *folder = vectors_folder("shared contexts");
	char pattern[512];
	glob_t found;

	for (int vulkan = 0; vulkan < 2; vulkan++) {
		if (vulkan && !vulkan_is_here())
			continue;
		open_device(vulkan ? "vulkan" : "cpu");
		for (size_t i = 0; i < TINY_CACHES; i++) {
			tiny_write(tiny_path(), &tiny_caches[i]);
			check_logits(tiny_path());
			unlink(tiny_path());
		}
		snprintf(pattern, sizeof(pattern), "%s/models/%s.gguf", folder,
			 vulkan ? "[dl]*" : "*");
		if (folder && !glob(pattern, 0, NULL, &found)) {
			for (size_t i = 0; i < found.gl_pathc; i++)
				check_logits(found.gl_pathv[i]);
			globfree(&found);
		}
		stoker_device_close(&device);
	}
}

/* Memory that can't be had while a context is shared: what is there is as good as before. */
static void test_allocations(void)
{
	struct stoker_sequence *q;
	unsigned faults = 0;

	open_tiny(TINY_FULL, SEQUENCES);
	q = begin(1, 500, 0);
	CU_ASSERT_EQUAL(eval(q, 400, STEP, NULL), 0);
	for (unsigned n = 0;; n++) {
		failing_after(n);
		const int ret = stoker_sequence_share(q, 1, NULL);

		if (!failing_end()) {
			CU_ASSERT_EQUAL(ret, 0);
			break;
		}
		CU_ASSERT_EQUAL(ret, -ENOMEM);
		faults++;
	}
	CU_ASSERT(faults >= 4);
	end(begin(1, 500, 384));
	end(q);
	close_batch();
	stoker_device_close(&device);
}

void add_batch_prefix(void)
{
	TEST(test_matching);
	TEST(test_giving_way);
	TEST(test_rings);
	TEST(test_deterministic);
	TEST(test_logits);
	TEST(test_allocations);
}
