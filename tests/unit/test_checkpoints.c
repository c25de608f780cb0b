// SPDX-License-Identifier: MIT
/* Sequences with recurrent layers go back to what they were: to checkpoints, and only there. */
#include "model/forward.h"
#include "tiny.h"

enum { CONTEXT = 1200, BATCH = 256 };

static struct stoker_device *device;
static struct stoker_model *model;
static struct stoker_session *session;
static uint32_t tokens[CONTEXT], vocabulary;
static float *wanted;

static void open_model(const struct stoker_device_params *params, const char *name)
{
	const struct stoker_session_params with = { STOKER_SESSION_PARAMS_INIT, .context = CONTEXT,
						    .batch = BATCH };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	char path[512];

	snprintf(path, sizeof(path), "%s/models/%s.gguf", vectors_folder("checkpoints"), name);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(params, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, NULL, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &with, &session, NULL), 0);
	stoker_model_info(model, &info);
	vocabulary = info.vocabulary;
	wanted = malloc(vocabulary * sizeof(*wanted));
	CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
	random_seed(11);
	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = random_u32() % MIN(vocabulary, 200u);
}

static void close_model(void)
{
	free(wanted);
	stoker_session_free(&session);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

/* The next @count of the tokens; @other: different ones. */
static void go_on(uint32_t count, bool other)
{
	const uint32_t at = stoker_session_position(session);
	uint32_t list[CONTEXT];

	for (uint32_t i = 0; i < count; i++)
		list[i] = tokens[at + i] ^ other;
	CU_ASSERT_EQUAL_FATAL(stoker_session_eval(session, list, count, STOKER_LOGITS_LAST, NULL),
			      0);
}

static void keep_logits(void)
{
	memcpy(wanted, stoker_session_logits(session, 0), vocabulary * sizeof(*wanted));
}

static bool same_logits(void)
{
	return !memcmp(wanted, stoker_session_logits(session, 0), vocabulary * sizeof(*wanted));
}

/* Back to where it can go, at or before @position, which is @to. */
static void go_back(uint32_t position, uint32_t to)
{
	CU_ASSERT_EQUAL(stoker_session_reachable(session, position), to);
	if (to != position)
		CU_ASSERT_EQUAL(stoker_session_truncate(session, position, NULL), -ENOTSUP);
	CU_ASSERT_EQUAL(stoker_session_truncate(session, to, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_position(session), to);
}

static void check_conversation(void)
{
	/* a short prompt has none but the beginning */
	go_on(20, false);
	keep_logits();
	go_back(19, 0);
	go_on(20, false);
	CU_ASSERT(same_logits());
	/* of a long one the last page's beginning is kept: an answer can be had again */
	go_back(0, 0);
	go_on(150, false);
	keep_logits();
	go_back(149, 128);
	go_on(22, true);
	CU_ASSERT(!same_logits());
	go_back(149, 128);
	go_on(22, false);
	CU_ASSERT(same_logits());
	/* an answer, and the next message, which begins where the answer ended */
	for (uint32_t i = 0; i < 10; i++)
		go_on(1, false);
	go_on(5, false);
	keep_logits();
	go_on(1, false);
	go_back(164, 160);
	go_on(5, false);
	CU_ASSERT(same_logits());
	/* what comes after a cut isn't known to what comes before it */
	go_back(160, 160);
	go_back(159, 128);
	CU_ASSERT_EQUAL(stoker_session_reachable(session, CONTEXT), 128);
	go_on(40, true);
	CU_ASSERT_EQUAL(stoker_session_reachable(session, 160), 128);
	go_back(0, 0);
	CU_ASSERT_EQUAL(stoker_session_reachable(session, CONTEXT), 0);
}

/* There are never more than there is room for, the last ones among them. */
static void check_many(void)
{
	uint32_t kept = 0, at;

	for (uint32_t i = 0; i < 100; i++) {
		go_on(2, false);
		go_on(1, false);
	}
	go_on(100, false); /* up to 384 */
	go_on(300, false);
	keep_logits();
	CU_ASSERT_EQUAL(stoker_session_position(session), 700);
	for (at = stoker_session_reachable(session, 699); at;
	     at = stoker_session_reachable(session, at - 1))
		kept++;
	CU_ASSERT(kept > 8 && kept <= CHECKPOINTS_EACH);
	CU_ASSERT_EQUAL(stoker_session_reachable(session, 699), 640);
	CU_ASSERT_EQUAL(stoker_session_reachable(session, 639), 400);
	CU_ASSERT(stoker_session_reachable(session, 150) > 0);
	go_back(660, 640);
	go_on(60, false);
	CU_ASSERT(same_logits());
	for (uint32_t i = 0; i < 400; i++)
		go_on(1, false);
	CU_ASSERT_EQUAL(stoker_session_reachable(session, 1099), 1024);
	CU_ASSERT_EQUAL(stoker_session_reachable(session, 1023), 768);
}

static void check_model(const struct stoker_device_params *params, const char *name)
{
	open_model(params, name);
	check_conversation();
	check_many();
	close_model();
}

static void test_going_back(void)
{
	if (!vectors_folder("checkpoints"))
		return;
	check_model(&(struct stoker_device_params){ STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						    .threads = 2 },
		    "qwen35moe");
	check_model(&(struct stoker_device_params){ STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						    .threads = 1, .exact = true },
		    "lfm2moe");
	if (vulkan_is_here())
		check_model(&(struct stoker_device_params){ STOKER_DEVICE_PARAMS_INIT,
							    .name = "vulkan" },
			    "qwen35moe");
}

static struct stoker_sequence *sequence_of(struct stoker_batch *batch)
{
	struct stoker_sequence *q;

	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(batch, &q, NULL), 0);
	return q;
}

static void step(struct stoker_batch *batch, struct stoker_sequence *q, uint32_t count)
{
	const struct stoker_batch_part part = { .sequence = q,
						.tokens = tokens + stoker_sequence_position(q),
						.count = count,
						.logits = STOKER_LOGITS_LAST };

	CU_ASSERT_EQUAL_FATAL(stoker_batch_eval(batch, &part, sizeof(part), 1, NULL), 0);
}

/* Copies go back to what they have in common, whichever of them is there still. */
static void test_copies(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = BATCH,
						      .sequences = 3 };
	struct stoker_sequence *a, *b, *c;
	struct stoker_batch *batch;
	uint64_t with, before = 0;

	if (!vectors_folder("checkpoints"))
		return;
	open_model(&(struct stoker_device_params){ STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						   .threads = 1 },
		   "qwen35moe");
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &batch, NULL), 0);
	for (int turn = 0; turn < 30; turn++) { /* none is lost on the way */
		a = sequence_of(batch);
		step(batch, a, 128);
		step(batch, a, 30);
		memcpy(wanted, stoker_batch_logits(batch, 0), vocabulary * sizeof(*wanted));
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_copy(a, &b, NULL), 0);
		/* a copy of what has been cut and not been used since */
		CU_ASSERT_EQUAL(stoker_sequence_truncate(a, 128, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_copy(a, &c, NULL), 0);
		if (turn % 2)
			stoker_sequence_free(&a);
		step(batch, c, 30);
		CU_ASSERT(!memcmp(wanted, stoker_batch_logits(batch, 0),
				  vocabulary * sizeof(*wanted)));
		CU_ASSERT_EQUAL(stoker_sequence_reachable(b, 157), 128);
		CU_ASSERT_EQUAL(stoker_sequence_truncate(b, 128, NULL), 0);
		step(batch, b, 30);
		CU_ASSERT(!memcmp(wanted, stoker_batch_logits(batch, 0),
				  vocabulary * sizeof(*wanted)));
		stoker_sequence_free(&a);
		stoker_sequence_free(&b);
		stoker_sequence_free(&c);
		stoker_batch_bytes(batch, &with, NULL);
		CU_ASSERT(!before || with == before);
		before = with;
	}
	stoker_batch_free(&batch);
	close_model();
}

/* Memory is bounded for the largest states, and nobody goes without. */
static void test_sizes(void)
{
	const struct cache_size none = { .pages = 10 }, small = { .slot_bytes = 160 << 10 },
				large = { .slot_bytes = 66 << 20 };

	CU_ASSERT_EQUAL(cache_checkpoints(&none, 4), 0);
	CU_ASSERT_EQUAL(cache_checkpoints(&small, 1), CHECKPOINTS_EACH);
	CU_ASSERT_EQUAL(cache_checkpoints(&small, 8), 8 * CHECKPOINTS_EACH);
	CU_ASSERT_EQUAL(cache_checkpoints(&large, 1), 3);
	CU_ASSERT_EQUAL(cache_checkpoints(&large, 16), 16);
}

void add_checkpoints(void)
{
	TEST(test_going_back);
	TEST(test_copies);
	TEST(test_sizes);
}
