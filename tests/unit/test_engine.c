// SPDX-License-Identifier: MIT
/* The engine: requests together get what they get alone, whatever happens to others. */
#include <unistd.h>

#include "answers.h"
#include "base/isa.h"

enum { REQUESTS = 12, MOST = 40 };

/* The same by a session that samples the most likely token. */
static void check_session(const struct answer *a)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = STEP };
	struct stoker_session *s;

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(engine_model, &params, &s, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, a->prompt, a->count, STOKER_LOGITS_LAST, NULL), 0);
	for (uint32_t i = 0; i < a->told; i++) {
		const float *logits = stoker_session_logits(s, 0);
		uint32_t best = 0;
		double sum = 0;

		for (uint32_t t = 1; t < engine_vocabulary; t++)
			best = logits[t] > logits[best] ? t : best;
		for (uint32_t t = 0; t < engine_vocabulary; t++)
			sum += exp((double)logits[t] - (double)logits[best]);
		CU_ASSERT_EQUAL_FATAL(best, a->tokens[i]);
		CU_ASSERT_DOUBLE_EQUAL(a->chances[i], -log(sum), 1e-5);
		CU_ASSERT_EQUAL(stoker_session_eval(s, &best, 1, STOKER_LOGITS_LAST, NULL), 0);
	}
	stoker_session_free(&s);
}

/* @count requests, alone and then up to @most at a time. */
static void check_together(uint32_t count, uint32_t most)
{
	static struct answer alone[REQUESTS], together[REQUESTS];
	struct stoker_engine *e = engine_open(1, 0, true);

	for (uint32_t i = 0; i < count; i++) {
		struct answer *a = &alone[i];

		answer_make(a, 1 + random_u32() % (i % 3 ? 30 : 300), 1 + random_u32() % MOST);
		a->priority = random_u32() % 3;
		if (i % 2)
			a->sampling = (struct stoker_sampler_params){ STOKER_SAMPLER_PARAMS_INIT,
								      .temperature = 1, .seed = i };
		CU_ASSERT_EQUAL_FATAL(answer_submit(e, a, NULL), 0);
		answers_finish(e, a, 1);
		CU_ASSERT_EQUAL(a->done.finish, STOKER_FINISH_LENGTH);
		CU_ASSERT_EQUAL(a->told, a->max_tokens);
		if (i % 2 == 0)
			check_session(a);
	}
	stoker_engine_free(&e);
	for (uint32_t sequences = 2; sequences <= most; sequences *= 2) {
		/* at last with fewer pages than those that may run want together */
		e = sequences == 16 ? engine_open_tight(sequences, 2, true)
				    : engine_open(sequences, 0, true);
		memcpy(together, alone, sizeof(together));
		for (uint32_t i = 0; i < count; i++)
			CU_ASSERT_EQUAL(answer_submit(e, &together[i], NULL), 0);
		answers_finish(e, together, count);
		for (uint32_t i = 0; i < count; i++)
			answer_check_alike(&alone[i], &together[i]);
		stoker_engine_free(&e);
	}
}

static void test_together(void)
{
	const char *folder = vectors_folder("requests together with recurrent layers");
	char path[512];

	random_seed(11);
	for (size_t i = 0; i < TINY_CACHES; i++) {
		engine_load_tiny(&tiny_caches[i]);
		check_together(REQUESTS, 16);
		engine_unload();
	}
	snprintf(path, sizeof(path), "%s/models/lfm2moe.gguf", folder);
	if (!folder)
		return;
	engine_load(path);
	check_together(REQUESTS, 16);
	engine_unload();
}

static void check_together_on(const char *device, const struct tiny *tiny)
{
	tiny_write(tiny_path(), tiny);
	engine_load_on(device, tiny_path());
	unlink(tiny_path());
	check_together(5, 4);
	engine_unload();
}

/* The same with fewer instructions, and on Vulkan. */
static void test_devices(void)
{
	random_seed(18);
	for (size_t i = 0; i < TINY_CACHES; i++) {
		for (int isa = 0; isa < STOKER_ISA_COUNT; isa++) {
			if (!stoker_isa_supported((enum stoker_isa)isa) ||
			    (enum stoker_isa)isa == stoker_isa_detect())
				continue;
			setenv("STOKER_ISA", stoker_isa_name((enum stoker_isa)isa), 1);
			check_together_on("cpu", &tiny_caches[i]);
			unsetenv("STOKER_ISA");
		}
		if (!SANITIZED && vulkan_is_here()) /* whose threads are not ours */
			check_together_on("vulkan", &tiny_caches[i]);
	}
}

enum { SHARED = 300 };

/* Prompts with the same beginning: it's read once, and every text is what it is alone. */
static void check_shared(bool deterministic, bool recurrent)
{
	static struct answer alone[REQUESTS], together[REQUESTS];
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	struct stoker_engine *e = engine_open(1, 0, true);

	for (uint32_t i = 0; i < REQUESTS; i++) {
		answer_make(&alone[i], SHARED + 1 + random_u32() % 60, 20);
		alone[i].salt = i == 3;
		memcpy(alone[i].prompt, alone[0].prompt, SHARED * sizeof(uint32_t));
		CU_ASSERT_EQUAL_FATAL(answer_submit(e, &alone[i], NULL), 0);
		answers_finish(e, &alone[i], 1);
	}
	stoker_engine_free(&e);
	e = engine_open(5, 0, deterministic);
	memcpy(together, alone, sizeof(together));
	for (uint32_t i = 0; i < REQUESTS; i++)
		CU_ASSERT_EQUAL(answer_submit(e, &together[i], NULL), 0);
	answers_finish(e, together, REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		const struct stoker_request_timings *t = &together[i].done.timings;

		if (deterministic)
			answer_check_alike(&alone[i], &together[i]);
		CU_ASSERT(together[i].told == 20 && t->reused < t->prompt);
		CU_ASSERT(t->reused % (deterministic ? STEP : 1) == 0);
		CU_ASSERT(i != 3 || !t->reused);
	}
	stoker_engine_stats(e, &stats);
	CU_ASSERT(stats.reused >=
		  (recurrent ? 4 : REQUESTS - 2) * (uint64_t)(SHARED - SHARED % STEP));
	CU_ASSERT(stats.pages.used == 0 && stats.pages.shared == 0 && stats.pages.kept > 0);
	CU_ASSERT(stats.pages.kept <= stats.pages.limit);
	/* and when nobody runs any more */
	memcpy(&together[0], &alone[0], sizeof(together[0]));
	CU_ASSERT_EQUAL(answer_submit(e, &together[0], NULL), 0);
	answers_finish(e, together, 1);
	CU_ASSERT(recurrent || together[0].done.timings.reused >= SHARED - SHARED % STEP);
	stoker_engine_free(&e);
}

static void test_shared(void)
{
	const char *folder = vectors_folder("shared beginnings with recurrent layers");
	char path[512];

	random_seed(13);
	snprintf(path, sizeof(path), "%s/models/lfm2moe.gguf", folder);
	if (folder) {
		engine_load(path);
		check_shared(true, true);
		check_shared(false, true);
		engine_unload();
	}
	for (size_t i = 0; i < TINY_CACHES; i++) {
		engine_load_tiny(&tiny_caches[i]);
		check_shared(true, false);
		check_shared(false, false);
		engine_unload();
	}
}

/* Without deterministic all rows share products; every request still gets its own. */
static void test_many(void)
{
	static struct answer answers[REQUESTS * 4];
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	struct stoker_engine *e;
	uint64_t generated = 0, steps = 0, least = 0, most = 0;

	engine_load_tiny(&engine_plain);
	e = engine_open(5, 0, false);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		answer_make(&answers[i], 1 + random_u32() % 350, 1 + random_u32() % MOST);
		generated += answers[i].max_tokens;
		CU_ASSERT_EQUAL(answer_submit(e, &answers[i], NULL), 0);
	}
	answers_finish(e, answers, ARRAY_SIZE(answers));
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		CU_ASSERT_EQUAL(answers[i].told, answers[i].max_tokens);
	stoker_engine_stats(e, &stats);
	CU_ASSERT(stats.generated == generated && !stats.running && !stats.waiting);
	CU_ASSERT(stats.sequences == 5 && stats.steps > 0 && stats.largest_gap > 0);
	for (unsigned i = 0; i < STOKER_STEP_SIZES; i++) {
		steps += stats.step_sizes[i];
		least += stats.step_sizes[i] * (i ? (1ull << (i - 1)) + 1 : 1);
		most += stats.step_sizes[i] << i;
	}
	CU_ASSERT_EQUAL(steps, stats.steps);
	CU_ASSERT(stats.step_rows >= least && stats.step_rows <= most && least > 0);
	stoker_engine_free(&e);
	engine_unload();
}

static const struct stoker_session_params too_many = { STOKER_SESSION_PARAMS_INIT,
						       .sequences = 1 << 20 },
					  too_long = { STOKER_SESSION_PARAMS_INIT,
						       .context = UINT32_MAX };
static const struct stoker_engine_params impossible[] = {
	{ STOKER_ENGINE_PARAMS_INIT, .session = &too_many },
	{ STOKER_ENGINE_PARAMS_INIT, .session = &too_long },
	{ STOKER_ENGINE_PARAMS_INIT, .queue = UINT32_MAX },
	{ STOKER_ENGINE_PARAMS_INIT, .max_gap = -1 },
	{ STOKER_ENGINE_PARAMS_INIT, .max_gap = NAN },
};

static void test_arguments(void)
{
	static struct answer answers[5];
	static const uint32_t tokens[CONTEXT], large = 1 << 30;
	static const struct stoker_sampler_params hot = { STOKER_SAMPLER_PARAMS_INIT,
							  .temperature = -1 };
	const struct {
		struct stoker_request request;
		int ret;
	} bad[] = {
		{ { STOKER_REQUEST_INIT, .count = 3 }, -EINVAL },
		{ { STOKER_REQUEST_INIT, .tokens = tokens }, -EINVAL },
		{ { STOKER_REQUEST_INIT, .tokens = &large, .count = 1 }, -EINVAL },
		{ { STOKER_REQUEST_INIT, .tokens = tokens, .count = 1, .priority = 7 }, -EINVAL },
		{ { STOKER_REQUEST_INIT, .tokens = tokens, .count = 1, .stop_count = 1 }, -EINVAL },
		{ { STOKER_REQUEST_INIT, .tokens = tokens, .count = 1, .stop = tokens,
		    .stop_count = 65 },
		  -EINVAL },
		{ { STOKER_REQUEST_INIT, .tokens = tokens, .count = 1, .top_count = 21 }, -EINVAL },
		{ { STOKER_REQUEST_INIT, .tokens = tokens, .count = 1, .sampling = &hot },
		  -EINVAL },
		{ { STOKER_REQUEST_INIT, .tokens = tokens, .count = CONTEXT }, -ENOSPC },
	};
	struct stoker_event event = { STOKER_EVENT_INIT };
	struct stoker_engine *e;
	struct stoker_error err;
	uint64_t id;

	CU_ASSERT_EQUAL(stoker_engine_create(NULL, NULL, &e, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_engine_create(NULL, NULL, NULL, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_engine_submit(NULL, &bad[0].request, &id, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_engine_event(NULL, &event), -EINVAL);
	CU_ASSERT_EQUAL(stoker_engine_fd(NULL), -EINVAL);
	stoker_engine_cancel(NULL, 1);
	stoker_engine_stats(NULL, NULL);
	stoker_engine_free(NULL);
	engine_load_tiny(&engine_plain);
	for (size_t i = 0; i < ARRAY_SIZE(impossible); i++)
		CU_ASSERT_EQUAL(stoker_engine_create(engine_model, &impossible[i], &e, &err),
				-EINVAL);
	e = engine_open(1, 2, false);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err.message[0] = 0;
		CU_ASSERT_EQUAL(stoker_engine_submit(e, &bad[i].request, &id, &err), bad[i].ret);
		CU_ASSERT(err.message[0]);
	}
	CU_ASSERT_EQUAL(stoker_engine_submit(e, NULL, &id, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_engine_submit(e, &bad[0].request, NULL, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_engine_event(e, NULL), -EINVAL);
	CU_ASSERT_EQUAL(stoker_engine_event(e, &event), -EAGAIN);
	engine_gate(true);
	for (int i = 0; i < 5; i++) {
		answer_make(&answers[i], 5, 3);
		CU_ASSERT_EQUAL(answer_submit(e, &answers[i], &err), i < 3 ? 0 : -EAGAIN);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "3 requests"));
	engine_gate(false);
	answers_finish(e, answers, 3);
	/* one that stops at what it would say first, and one that fills the context */
	const uint32_t stop = answers[0].tokens[0];
	const struct stoker_request stops = { STOKER_REQUEST_INIT, .tokens = answers[0].prompt,
					      .count = 5, .stop = &stop, .stop_count = 1 };

	CU_ASSERT_EQUAL(stoker_engine_submit(e, &stops, &answers[0].id, NULL), 0);
	answers[0].told = answers[0].done.id = 0;
	answers_finish(e, answers, 1);
	CU_ASSERT(answers[0].done.finish == STOKER_FINISH_STOP && answers[0].done.token == stop);
	answer_make(&answers[1], CONTEXT - 9, 0);
	CU_ASSERT_EQUAL(answer_submit(e, &answers[1], NULL), 0);
	answers_finish(e, answers + 1, 1);
	CU_ASSERT(answers[1].done.finish == STOKER_FINISH_CONTEXT && answers[1].told == 9);
	stoker_engine_free(&e);
	engine_unload();
}

/* Cancelled while it waits, while its prompt is read, while it generates, and when it's over. */
static void test_cancel(void)
{
	static struct answer a[3];
	struct stoker_engine *e;

	engine_load_tiny(&engine_plain);
	e = engine_open(1, 0, false);
	for (uint32_t state = 0; state < 3; state++) {
		answer_make(&a[0], state == 1 ? 300 : 3, 300);
		answer_make(&a[1], 4, 5);
		answer_make(&a[2], 4, 5);
		engine_gate_behind(state < 2 ? 0 : 4);
		CU_ASSERT_EQUAL(answer_submit(e, &a[0], NULL), 0);
		engine_wait_for_step();
		CU_ASSERT_EQUAL(answer_submit(e, &a[1], NULL), 0);
		CU_ASSERT_EQUAL(answer_submit(e, &a[2], NULL), 0);
		stoker_engine_cancel(e, a[state ? 0 : 1].id);
		stoker_engine_cancel(e, a[state ? 0 : 1].id);
		stoker_engine_cancel(e, 12345);
		if (!state) {
			answers_finish(e, a + 1, 1); /* at once, though a step is going on */
			CU_ASSERT(a[1].done.status == -ECANCELED && !a[1].told);
			stoker_engine_cancel(e, a[0].id);
		}
		engine_gate(false);
		answers_finish(e, a, 3);
		CU_ASSERT(a[0].done.status == -ECANCELED && a[0].told < 300);
		CU_ASSERT(state != 1 || !a[0].told);
		CU_ASSERT(state != 2 || a[0].told);
		CU_ASSERT_EQUAL(a[0].done.finish, STOKER_FINISH_FAILED);
		CU_ASSERT(a[2].done.status == 0 && a[2].told == 5);
		stoker_engine_cancel(e, a[2].id);
	}
	stoker_engine_free(&e);
	engine_unload();
}

/* One of a lower class makes room, is computed again, and nothing is told twice. */
static void check_preemption(bool tight)
{
	static struct answer alone[2], a[2];
	struct stoker_engine *e = tight ? engine_open_tight(3, 1, true) : engine_open(1, 0, true);

	for (int i = 0; i < 2; i++) {
		answer_make(&alone[i], 170, 60);
		alone[i].sampling = (struct stoker_sampler_params){ STOKER_SAMPLER_PARAMS_INIT,
								    .temperature = 1, .seed = 3 };
		alone[i].priority = i ? STOKER_PRIORITY_INTERACTIVE : STOKER_PRIORITY_BATCH;
		CU_ASSERT_EQUAL(answer_submit(e, &alone[i], NULL), 0);
		answers_finish(e, &alone[i], 1);
	}
	for (int generates = 0; generates < 2; generates++) {
		memcpy(a, alone, sizeof(a));
		engine_gate(!generates);
		CU_ASSERT_EQUAL(answer_submit(e, &a[0], NULL), 0);
		if (!generates)
			engine_wait_for_step();
		while (generates && a[0].told < 7 && answer_take(e, a, 1))
			;
		CU_ASSERT_EQUAL(answer_submit(e, &a[1], NULL), 0);
		engine_gate(false);
		answers_finish(e, a, 2);
		answer_check_alike(&alone[0], &a[0]);
		answer_check_alike(&alone[1], &a[1]);
		CU_ASSERT_EQUAL(a[1].done.timings.preempted, 0);
		CU_ASSERT(generates || a[0].done.timings.preempted == 1);
	}
	stoker_engine_free(&e);
}

static void test_preemption(void)
{
	random_seed(12);
	for (size_t i = 0; i < TINY_CACHES; i++) {
		engine_load_tiny(&tiny_caches[i]);
		check_preemption(false);
		check_preemption(true);
		engine_unload();
	}
}

void suite_engine(void)
{
	add_engine_plans();
	TEST(test_arguments);
	TEST(test_together);
	TEST(test_devices);
	TEST(test_shared);
	TEST(test_many);
	TEST(test_cancel);
	TEST(test_preemption);
	add_engine_life();
	add_engine_room();
	add_engine_turns();
}
