// SPDX-License-Identifier: MIT
/* Who runs and who makes room: nobody is forgotten, and nobody makes room for ever. */
#include <sys/wait.h>
#include <unistd.h>

#include "answers.h"
#include "session/engine.h"

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

void add_engine_room(void)
{
	TEST(test_answer_in_prompt);
	TEST(test_free_in_child);
}
