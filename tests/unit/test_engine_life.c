// SPDX-License-Identifier: MIT
/* The engine's end, in whatever it is doing; processes that are forked off; failures; threads. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answers.h"
#include "device/device.h"
#include "failing.h"

/* Whatever is going on, and whatever wasn't taken. */
static void test_free(void)
{
	static struct answer a[6];
	struct stoker_engine *e;

	engine_load_tiny(&engine_plain);
	for (int i = 0; i < 6; i++) {
		e = engine_open(2, 0, false);
		engine_gate(i == 1);
		for (int k = 0; k < i; k++) {
			answer_make(&a[k], k % 2 ? 200 : 2, 300);
			CU_ASSERT_EQUAL(answer_submit(e, &a[k], NULL), 0);
		}
		while (i == 3 && a[0].told < 3 && answer_take(e, a, 3))
			;
		if (i == 1) {
			engine_wait_for_step();
			engine_gate(false);
		}
		if (i == 5)
			stoker_model_free(&engine_model);
		stoker_engine_free(&e);
		CU_ASSERT_PTR_NULL(e);
	}
	engine_unload();
}

static int use_in_child(struct stoker_engine *e)
{
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	struct stoker_event event = { STOKER_EVENT_INIT };
	uint64_t id;
	static struct answer a;

	answer_make(&a, 3, 3);
	if (stoker_engine_fd(e) != -ENOTSUP || stoker_engine_event(e, &event) != -ENOTSUP)
		return 1;
	if (answer_submit(e, &a, NULL) != -ENOTSUP)
		return 2;
	id = a.id;
	stoker_engine_cancel(e, id);
	stoker_engine_stats(e, &stats);
	if (stats.sequences)
		return 3;
	stoker_engine_free(&e);
	return e ? 4 : 0;
}

/* The child has no thread of the engine's; what it does isn't seen by the parent. */
static void test_fork(void)
{
	static struct answer a[2];
	struct stoker_engine *e;
	int status = -1;
	pid_t pid;

	engine_load_tiny(&engine_plain);
	e = engine_open(1, 0, false);
	for (int i = 0; i < 2; i++) {
		answer_make(&a[i], 20, 100);
		CU_ASSERT_EQUAL(answer_submit(e, &a[i], NULL), 0);
	}
	while (a[0].told < 2 && answer_take(e, a, 2))
		;
	pid = fork();
	if (!pid) {
		alarm(60);
		_exit(use_in_child(e));
	}
	CU_ASSERT(pid > 0 && waitpid(pid, &status, 0) == pid);
	CU_ASSERT_EQUAL(status, 0);
	answers_finish(e, a, 2);
	CU_ASSERT(a[0].told == 100 && a[1].told == 100);
	stoker_engine_free(&e);
	engine_unload();
}

/* Every allocation fails in turn, the thread's too: a call or a request says so, others go on. */
static void check_allocations(bool create)
{
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT,
						       .context = CONTEXT, .batch = STEP,
						       .sequences = 2 };
	const struct stoker_engine_params params = { STOKER_ENGINE_PARAMS_INIT,
						     .session = &session };
	static struct answer a;
	unsigned faults = 0, unnoticed = 0;
	bool failed = true;

	for (unsigned n = 0; failed; n++) {
		struct stoker_engine *e = NULL;
		struct stoker_error err = { .message = "" };
		int ret;

		if (create)
			failing_after(n);
		ret = stoker_engine_create(engine_model, &params, &e, &err);
		if (create)
			failed = failing_end();
		CU_ASSERT_EQUAL(ret, create && failed ? -ENOMEM : 0);
		answer_make(&a, 100, 3);
		a.sampling.temperature = 1;
		if (!create)
			failing_after(n);
		if (e) {
			ret = answer_submit(e, &a, &err);
			if (!ret)
				answers_finish(e, &a, 1);
			if (!create)
				failed = failing_end();
			ret = ret ? ret : a.done.status;
			/* without memory to keep its beginning for others a request goes on */
			CU_ASSERT(ret == (failed && !create ? -ENOMEM : 0) || (!ret && n > 4));
			unnoticed += failed && !ret && !create;
			if (ret) {
				CU_ASSERT(err.message[0] || a.done.error.message[0]);
				CU_ASSERT_EQUAL(answer_submit(e, &a, NULL), 0);
				answers_finish(e, &a, 1);
				CU_ASSERT_EQUAL(a.done.status, 0);
			}
		}
		faults += failed;
		stoker_engine_free(&e);
	}
	CU_ASSERT(faults >= 8 && unnoticed <= 3);
}

static void test_allocations(void)
{
	engine_load_tiny(&engine_plain);
	failing_device(engine_device);
	check_allocations(true);
	check_allocations(false);
	engine_unload();
}

static const struct stoker_device_ops *roomy_ops;
static atomic_uint refused; /* so many blocks of pages can't be had, */
static atomic_uint granted; /* behind so many that can */
static atomic_bool held;    /* nobody gets any meanwhile */

/* Whether there was one to take. */
static bool take_one(atomic_uint *of)
{
	unsigned left = atomic_load(of);

	while (left && !atomic_compare_exchange_weak(of, &left, left - 1))
		;
	return left;
}

static int refuse(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
		  struct stoker_error *err)
{
	while (atomic_load(&held))
		sched_yield();
	return !take_one(&granted) && take_one(&refused)
		       ? stoker_fail(err, -ENOSPC, "no pages, for a test")
		       : roomy_ops->memory_create(d, bytes, m, err);
}

/* A step without pages: one makes room and is computed again; who is alone is told. */
static void test_crowded(void)
{
	static struct answer alone[2], a[2];
	struct stoker_device_ops ops;
	struct stoker_engine *e;

	random_seed(14);
	engine_load_tiny(&engine_plain);
	roomy_ops = engine_device->ops;
	ops = *roomy_ops;
	ops.memory_create = refuse;
	engine_device->ops = &ops;
	e = engine_open(1, 0, true);
	for (int i = 0; i < 2; i++) {
		answer_make(&alone[i], 70, 200);
		CU_ASSERT_EQUAL(answer_submit(e, &alone[i], NULL), 0);
		answers_finish(e, &alone[i], 1);
	}
	stoker_engine_free(&e);
	for (int forever = 0; forever < 2; forever++) {
		e = engine_open(2, 0, true);
		memcpy(a, alone, sizeof(a));
		/* once: when both have their prompts' two pages, and one wants a third */
		atomic_store(&granted, forever ? 0 : 4);
		atomic_store(&refused, forever ? UINT32_MAX : 1);
		atomic_store(&held, true);
		for (int i = 0; i < 2; i++)
			CU_ASSERT_EQUAL(answer_submit(e, &a[i], NULL), 0);
		atomic_store(&held, false);
		answers_finish(e, a, 2);
		atomic_store(&granted, 0);
		atomic_store(&refused, 0);
		for (int i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(a[i].done.status, forever ? -ENOSPC : 0);
			if (!forever)
				answer_check_alike(&alone[i], &a[i]);
		}
		CU_ASSERT(forever || a[0].done.timings.preempted || a[1].done.timings.preempted);
		/* the memory is there when it is again */
		memcpy(a, alone, sizeof(a));
		CU_ASSERT_EQUAL(answer_submit(e, &a[0], NULL), 0);
		answers_finish(e, a, 1);
		answer_check_alike(&alone[0], &a[0]);
		stoker_engine_free(&e);
	}
	engine_unload();
}

static struct stoker_engine *shared;
static atomic_uint accepted;

static void *client(void *unused)
{
	static const uint32_t prompt[40] = { 1, 2, 3 };
	const struct stoker_request request = { STOKER_REQUEST_INIT, .tokens = prompt, .count = 40,
						.max_tokens = 9 };
	uint64_t id;

	(void)unused;
	for (unsigned i = 0; i < 30; i++) {
		if (!stoker_engine_submit(shared, &request, &id, NULL)) {
			atomic_fetch_add(&accepted, 1);
			if (i % 3 == 0)
				stoker_engine_cancel(shared, id);
		}
	}
	return NULL;
}

static void test_threads(void)
{
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	struct stoker_event event = { STOKER_EVENT_INIT };
	pthread_t threads[3];
	unsigned over = 0;

	engine_load_tiny(&engine_plain);
	shared = engine_open(4, 20, false);
	atomic_store(&accepted, 0);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, client, NULL), 0);
	for (int joined = 0; joined < 3 || over < atomic_load(&accepted);) {
		struct pollfd p = { .fd = stoker_engine_fd(shared), .events = POLLIN };

		poll(&p, 1, 10);
		while (!stoker_engine_event(shared, &event)) {
			over += event.type == STOKER_EVENT_DONE;
			CU_ASSERT(event.status == 0 || event.status == -ECANCELED);
		}
		stoker_engine_stats(shared, &stats);
		CU_ASSERT(stats.running <= 4 && stats.waiting <= 24);
		if (joined < 3)
			pthread_join(threads[joined++], NULL);
	}
	CU_ASSERT(over >= 24);
	stoker_engine_free(&shared);
	engine_unload();
}

void add_engine_life(void)
{
	TEST(test_free);
	TEST(test_fork);
	TEST(test_allocations);
	TEST(test_crowded);
	TEST(test_threads);
}
