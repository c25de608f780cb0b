// SPDX-License-Identifier: MIT
/* States and pages: of sequences that began with others', and of rings of different sizes. */
#include <sys/wait.h>
#include <unistd.h>

#include "session/state.h"
#include "state_memory.h"
#include "tiny.h"

enum { CONTEXT = 1664, STEP = 64, SEQUENCES = 3 };

static struct stoker_device *device;
static struct stoker_model *model;
static struct stoker_batch *batch;
static uint32_t vocabulary, tokens[CONTEXT];

static const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = CONTEXT,
						     .batch = STEP, .sequences = SEQUENCES };

static void open_all(const char *name)
{
	const struct stoker_device_params with = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						   .threads = 2 };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&with, &device, NULL), 0);
	tiny_write(tiny_path(), &tiny_caches[TINY_WINDOW]);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, tiny_path(), NULL, &model, NULL), 0);
	unlink(tiny_path());
	stoker_model_info(model, &info);
	vocabulary = info.vocabulary;
	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = (i * 7 + i / 11) % MIN(vocabulary, 200u);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &batch, NULL), 0);
}

static void close_all(void)
{
	stoker_batch_free(&batch);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

static struct stoker_sequence *begin(uint32_t count, uint32_t expected)
{
	struct stoker_sequence *q = NULL;
	uint32_t positions;

	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(batch, &q, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_reuse(q, tokens, count, 1, &positions, NULL), 0);
	CU_ASSERT_EQUAL(positions, expected);
	return q;
}

static void eval(struct stoker_sequence *q, uint32_t end)
{
	for (uint32_t at = stoker_sequence_position(q), n; at < end; at += n) {
		n = MIN(end - at, (uint32_t)STEP);
		const struct stoker_batch_part part = { q, tokens + at, n, STOKER_LOGITS_LAST };

		CU_ASSERT_EQUAL_FATAL(stoker_batch_eval(batch, &part, sizeof(part), 1, NULL), 0);
	}
}

/* Both go on alike. */
static void check_alike(struct stoker_sequence *a, struct stoker_sequence *b)
{
	const uint32_t end = stoker_sequence_position(a) + 30;
	float *wanted = malloc(vocabulary * sizeof(*wanted));

	CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_position(b), end - 30);
	eval(a, end);
	memcpy(wanted, stoker_batch_logits(batch, 0), vocabulary * sizeof(*wanted));
	eval(b, end);
	CU_ASSERT(!memcmp(stoker_batch_logits(batch, 0), wanted, vocabulary * sizeof(*wanted)));
	free(wanted);
}

/* A ring has of a shared context what its end sees, and nothing in entries before. */
static void test_shared(void)
{
	struct state_memory m = state_memory_make();
	struct stoker_sequence *q, *r;
	struct stoker_error err = { .message = "" };

	for (int vulkan = 0; vulkan < 2; vulkan++) {
		if (vulkan && !vulkan_is_here())
			continue;
		open_all(vulkan ? "vulkan" : "cpu");
		q = begin(640, 0);
		eval(q, 640);
		CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
		stoker_sequence_free(&q);
		q = begin(513, 512);
		for (int i = 0; i < 2; i++) {
			m.bytes = m.at = 0;
			CU_ASSERT_EQUAL(stoker_sequence_save(q, state_memory_write, &m, &err), 0);
			CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(batch, &r, NULL), 0);
			CU_ASSERT_EQUAL(stoker_sequence_restore(r, state_memory_read, &m, m.bytes,
								&err),
					0);
			if (*err.message)
				printf("\n    %s", err.message);
			check_alike(q, r);
			stoker_sequence_free(&r);
		}
		stoker_sequence_free(&q);
		close_all();
	}
	free(m.data);
}

/* Fills it to the end of its context; the end of a ring is all that the state has of it. */
static void save_full(struct state_memory *m)
{
	struct step s;
	struct sequence q;

	CU_ASSERT_EQUAL_FATAL(step_create(model, &params, false, &s, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(sequence_create(&s, false, &q, NULL), 0);
	for (uint32_t at = 0; at < CONTEXT - 32; at += 32) {
		const struct step_part part = { .sequence = &q, .tokens = tokens + at, .rows = 32 };

		s.logit_rows = 0;
		CU_ASSERT_EQUAL_FATAL(step_run(&s, &part, 1, NULL, NULL), 0);
	}
	q.last_page++; /* as one that went on, and came back */
	CU_ASSERT_EQUAL(sequence_save(&s, &q, state_memory_write, m, NULL), 0);
	sequence_destroy(&s, &q);
	step_destroy(&s);
}

/* A ring that is larger than that of who saved: pages that layers without windows have are shared.
 */
static void test_larger_ring(void)
{
	struct state_memory m = state_memory_make();
	struct stoker_sequence *q, *r;

	open_all("cpu");
	save_full(&m);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(batch, &q, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_restore(q, state_memory_read, &m, m.bytes, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
	r = begin(CONTEXT, CONTEXT - 64);
	eval(r, CONTEXT - 32);
	check_alike(q, r);
	stoker_sequence_free(&q);
	stoker_sequence_free(&r);
	close_all();
	free(m.data);
}

/* A callback that goes on in a child, where the device may not work. */
struct forking {
	struct state_memory *m;
	pid_t child;
};

static int write_forking(void *user, const void *data, size_t bytes)
{
	struct forking *f = user;

	if (f->child < 0) {
		f->child = fork();
		if (!f->child)
			alarm(20);
	}
	return state_memory_write(f->m, data, bytes);
}

static int read_forking(void *user, void *data, size_t bytes)
{
	struct forking *f = user;

	if (f->child < 0) {
		f->child = fork();
		if (!f->child)
			alarm(20);
	}
	return state_memory_read(f->m, data, bytes);
}

static void check_child(struct forking *f, int ret, int expected)
{
	int status = -1;

	if (!f->child)
		_exit(ret == expected ? 0 : 1);
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT_EQUAL(waitpid(f->child, &status, 0), f->child);
	CU_ASSERT_EQUAL(status, 0);
}

static void test_forks(void)
{
	struct state_memory m = state_memory_make();
	struct forking f = { .m = &m };
	struct stoker_sequence *q, *r;

	for (int vulkan = 0; vulkan < 2; vulkan++) {
		const int expected = vulkan ? -ENOTSUP : 0;

		if (vulkan && !vulkan_is_here())
			continue;
		open_all(vulkan ? "vulkan" : "cpu");
		q = begin(100, 0);
		eval(q, 100);
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(batch, &r, NULL), 0);
		m.bytes = m.at = 0;
		f.child = -1;
		check_child(&f, stoker_sequence_save(q, write_forking, &f, NULL), expected);
		f.child = -1;
		check_child(&f, stoker_sequence_restore(r, read_forking, &f, m.bytes, NULL),
			    expected);
		check_alike(q, r);
		stoker_sequence_free(&q);
		stoker_sequence_free(&r);
		close_all();
	}
	free(m.data);
}

void add_state_pages(void)
{
	TEST(test_shared);
	TEST(test_larger_ring);
	TEST(test_forks);
}
