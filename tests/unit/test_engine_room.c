// SPDX-License-Identifier: MIT
/* Who runs and who makes room: nobody is forgotten, and nobody makes room for ever. */
#include <sys/wait.h>
#include <unistd.h>

#include "answers.h"
#include "engine/engine.h"

enum { LONG_AGO = 1 }; /* ns of the clock that requests are timed by */

/*
 * One of the lowest class runs when one of the highest comes.  @waited: it has waited long enough
 * to be as important; otherwise it has run for as long, makes room once, and isn't next again at
 * once.
 */
static void check_aged(bool waited)
{
	static struct answer a[2];
	struct stoker_engine *e = engine_open(1, 0, false);

	answer_make(&a[0], 30, 20);
	a[0].priority = STOKER_PRIORITY_BATCH;
	answer_make(&a[1], 20, 20);
	a[1].priority = STOKER_PRIORITY_INTERACTIVE;
	engine_gate(true);
	CU_ASSERT_EQUAL(answer_submit(e, &a[0], NULL), 0);
	engine_wait_for_step();
	pthread_mutex_lock(&e->lock);
	e->running.of[0]->submitted = LONG_AGO;
	if (!waited)
		e->running.of[0]->resumed = LONG_AGO;
	pthread_mutex_unlock(&e->lock);
	CU_ASSERT_EQUAL(answer_submit(e, &a[1], NULL), 0);
	engine_gate(false);
	answers_finish(e, a, 2);
	CU_ASSERT(a[0].told == 20 && a[1].told == 20);
	CU_ASSERT_EQUAL(a[0].done.timings.preempted, !waited);
	stoker_engine_free(&e);
}

static void test_aged(void)
{
	engine_load_tiny(&engine_plain);
	check_aged(false);
	check_aged(true);
	engine_unload();
}

/* Sequences at most, and pages for fewer of them in full length, all kinds of which are short. */
static void check_short(uint32_t sequences, uint32_t full, enum stoker_kv_type kv)
{
	static struct answer a[24];
	struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT, .context = CONTEXT,
						 .batch = STEP, .sequences = full, .kv = kv };
	const struct stoker_engine_params params = { STOKER_ENGINE_PARAMS_INIT,
						     .session = &session };
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	struct stoker_engine *e;
	struct stoker_error err;

	/* heads of some sizes have no codes */
	if (stoker_engine_create(engine_model, &params, &e, &err) == -EINVAL)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	session.cache_bytes = e->step.pages.bound;
	stoker_engine_free(&e);
	session.sequences = sequences;
	CU_ASSERT_EQUAL_FATAL(stoker_engine_create(engine_model, &params, &e, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		answer_make(&a[i], 1 + random_u32() % (i % 4 ? 100 : CONTEXT - 1),
			    i % 3 ? 1 + random_u32() % 40 : 0);
		a[i].priority = random_u32() % 3;
		a[i].salt = random_u32() % 2;
		if (i % 5 == 0) /* some begin as others do */
			memcpy(a[i].prompt, a[i / 2].prompt,
			       MIN(a[i].count, a[i / 2].count) * sizeof(*a[i].prompt));
		CU_ASSERT_EQUAL(answer_submit(e, &a[i], NULL), 0);
		if (i % 7 == 6)
			stoker_engine_cancel(e, a[i].id);
	}
	answers_finish(e, a, ARRAY_SIZE(a));
	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		if (i % 7 == 6)
			continue;
		CU_ASSERT_EQUAL(a[i].done.status, 0);
		CU_ASSERT_EQUAL(a[i].told, a[i].max_tokens
						   ? MIN(a[i].max_tokens, CONTEXT - a[i].count)
						   : CONTEXT - a[i].count);
	}
	stoker_engine_stats(e, &stats);
	CU_ASSERT(!stats.running && !stats.waiting);
	stoker_engine_free(&e);
}

static void test_short(void)
{
	random_seed(14);
	for (size_t i = 0; i < TINY_CACHES; i++) {
		engine_load_tiny(&tiny_caches[i]);
		for (uint32_t full = 1; full <= 3; full++)
			check_short(full == 2 ? 9 : 4, full,
				    full == 3 ? STOKER_KV_TYPE_Q8_0 : STOKER_KV_TYPE_DEFAULT);
		check_short(1, 1, STOKER_KV_TYPE_Q8_0);
		engine_unload();
	}
}

/*
 * Somebody was promised pages that can't be had: the others go on without it, rather than all begin
 * anew each time.
 */
static void test_promises(void)
{
	static struct answer a[2];
	struct stoker_engine *e;

	engine_load_tiny(&engine_plain);
	e = engine_open(2, 0, false);
	answer_make(&a[0], 100, 200);
	answer_make(&a[1], 60, 200);
	engine_gate(true);
	CU_ASSERT_EQUAL(answer_submit(e, &a[0], NULL), 0);
	engine_wait_for_step();
	/* what nobody knows of: of these pages there are never enough for both */
	e->step.pages.pools[PAGES_FULL].most = 5;
	CU_ASSERT_EQUAL(answer_submit(e, &a[1], NULL), 0);
	engine_gate(false);
	answers_finish(e, a, 2);
	for (int i = 0; i < 2; i++)
		CU_ASSERT(a[i].told == 200 && a[i].done.status == 0);
	CU_ASSERT(!a[0].done.timings.preempted && a[1].done.timings.preempted == 1);
	stoker_engine_free(&e);
	engine_unload();
}

/*
 * With deterministic, one that made room computes its answer one by one again, though somebody had
 * all of it in a prompt.
 */
static void test_answer_in_prompt(void)
{
	static struct answer alone, a[2];
	struct stoker_engine *e;

	random_seed(15);
	for (size_t i = 0; i < TINY_CACHES; i++) {
		engine_load_tiny(&tiny_caches[i]);
		e = engine_open(1, 0, true);
		answer_make(&alone, 70, 200);
		alone.priority = STOKER_PRIORITY_BATCH;
		CU_ASSERT_EQUAL(answer_submit(e, &alone, NULL), 0);
		answers_finish(e, &alone, 1);
		stoker_engine_free(&e);
		e = engine_open(1, 0, true);
		memcpy(&a[0], &alone, sizeof(alone));
		CU_ASSERT_EQUAL(answer_submit(e, &a[0], NULL), 0);
		while (a[0].told < 5 && answer_take(e, a, 1))
			;
		answer_make(&a[1], 200, 1);
		memcpy(a[1].prompt, alone.prompt, 70 * sizeof(*alone.prompt));
		memcpy(a[1].prompt + 70, alone.tokens, 130 * sizeof(*alone.tokens));
		a[1].priority = STOKER_PRIORITY_INTERACTIVE;
		CU_ASSERT_EQUAL(answer_submit(e, &a[1], NULL), 0);
		answers_finish(e, a, 2);
		answer_check_alike(&alone, &a[0]);
		stoker_engine_free(&e);
		engine_unload();
	}
}

/* What the thread was changing when its process forked isn't looked at in the other one. */
static void test_free_in_child(void)
{
	static struct answer a;
	struct stoker_engine *e;
	int status = -1;
	pid_t pid;

	engine_load_tiny(&engine_plain);
	e = engine_open(2, 0, false);
	answer_make(&a, 20, 30);
	CU_ASSERT_EQUAL(answer_submit(e, &a, NULL), 0);
	pid = fork();
	if (!pid) {
		alarm(60);
		memset(&e->running, 0xff, sizeof(e->running));
		memset(&e->waiting, 0xff, sizeof(e->waiting));
		memset(&e->step.pages, 0xff, sizeof(e->step.pages));
		e->first_ready = (struct request *)(void *)&status;
		stoker_engine_free(&e);
		_exit(e != NULL);
	}
	CU_ASSERT(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	answers_finish(e, &a, 1);
	CU_ASSERT_EQUAL(a.told, 30);
	stoker_engine_free(&e);
	engine_unload();
}

/* However many may see a page, entries of the prefix cache don't take all memory. */
static void test_entries(void)
{
	static const uint32_t tokens[KV_PAGE_ROWS + 1];
	struct stoker_engine *e;
	struct sequence q;

	engine_load_tiny(&engine_plain);
	e = engine_open(2, 0, false); /* nobody else uses its step as long as there is no request */
	const uint32_t most = 2 * 2 * e->step.pages.size.pages;
	const struct step_part part = { .sequence = &q, .tokens = tokens, .rows = KV_PAGE_ROWS };

	CU_ASSERT_EQUAL_FATAL(sequence_create(&e->step, false, &q, NULL), 0);
	CU_ASSERT_EQUAL(step_reserve_pages(&e->step, &part, 1, NULL), 0);
	CU_ASSERT_EQUAL(step_run(&e->step, &part, 1, NULL, NULL), 0);
	for (uint32_t salt = 0; salt < 3 * most; salt++) {
		CU_ASSERT_EQUAL(prefix_keep(&e->step, &q, salt, NULL), 0);
		CU_ASSERT(e->step.prefix.count == MIN(salt + 1, most));
	}
	struct stoker_pages pages;

	/* the page is counted once, whoever keeps it beside the sequence */
	const uint64_t page = e->step.pages.size.page_bytes[PAGES_FULL];

	pages_tell(&e->step.pages, &pages);
	CU_ASSERT(pages.used == page && pages.shared == page && pages.kept == 0);
	CU_ASSERT_EQUAL(pages.limit, e->step.pages.bound);
	CU_ASSERT_EQUAL(prefix_match(&e->step, tokens, ARRAY_SIZE(tokens), 3 * most - 1), 64);
	CU_ASSERT_EQUAL(prefix_match(&e->step, tokens, ARRAY_SIZE(tokens), 0), 0);
	sequence_destroy(&e->step, &q);
	pages_tell(&e->step.pages, &pages);
	CU_ASSERT(pages.used == 0 && pages.shared == page && pages.kept == page);
	while (prefix_drop(&e->step.prefix, &e->step.pages, false))
		;
	pages_tell(&e->step.pages, &pages);
	CU_ASSERT(pages.used == 0 && pages.shared == 0 && pages.kept == 0);
	stoker_engine_free(&e);
	engine_unload();
}

void add_engine_room(void)
{
	TEST(test_aged);
	TEST(test_short);
	TEST(test_promises);
	TEST(test_answer_in_prompt);
	TEST(test_free_in_child);
	TEST(test_entries);
}
