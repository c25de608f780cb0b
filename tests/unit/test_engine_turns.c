// SPDX-License-Identifier: MIT
/*
 * Conversations with recurrent layers: a turn costs what is new in it, as the engine keeps
 * checkpoints where the next one can go on.
 */
#include "answers.h"
#include "engine/engine.h"

enum { ROWS = 256 }; /* of a step: prompts have ends of their own */

static const char *const recurrent[] = { "lfm2moe", "qwen35moe" };

static struct stoker_engine *open_engine(uint32_t sequences)
{
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT,
						       .context = CONTEXT, .batch = ROWS,
						       .sequences = sequences };
	const struct stoker_engine_params params = { STOKER_ENGINE_PARAMS_INIT,
						     .session = &session };
	struct stoker_engine *e;

	CU_ASSERT_EQUAL_FATAL(stoker_engine_create(engine_model, &params, &e, NULL), 0);
	return e;
}

static void ask(struct stoker_engine *e, struct answer *a)
{
	CU_ASSERT_EQUAL_FATAL(answer_submit(e, a, NULL), 0);
	answers_finish(e, a, 1);
	CU_ASSERT_EQUAL(a->told, a->max_tokens);
}

/* Goes on where it was computed, with what was said and @count tokens more. */
static void next_turn(struct answer *a, uint32_t count, uint32_t max_tokens)
{
	const struct answer before = *a;

	answer_make(a, before.count + before.told + count, max_tokens);
	memcpy(a->prompt, before.prompt, before.count * sizeof(*a->prompt));
	memcpy(a->prompt + before.count, before.tokens, before.told * sizeof(*a->prompt));
}

/* The first token is as likely as it is without a checkpoint. */
static void check_alone(const struct answer *a)
{
	static struct answer alone;
	struct stoker_engine *e = open_engine(1);

	alone = *a;
	ask(e, &alone);
	CU_ASSERT_EQUAL(alone.done.timings.reused, 0);
	CU_ASSERT_EQUAL(alone.tokens[0], a->tokens[0]);
	CU_ASSERT_DOUBLE_EQUAL(alone.chances[0], a->chances[0], 1e-3);
	stoker_engine_free(&e);
}

/* A prompt and an answer of so many tokens, and how many the next turn needn't compute. */
static void check_turn(uint32_t prompt, uint32_t answer, uint32_t known)
{
	static struct answer a;
	struct stoker_engine *e = open_engine(2);

	answer_make(&a, prompt, answer);
	ask(e, &a);
	next_turn(&a, 30, 3);
	ask(e, &a);
	CU_ASSERT_EQUAL(a.done.timings.reused, known);
	check_alone(&a);
	stoker_engine_free(&e);
}

/* What a turn left behind is there for another one, whoever was somewhere else meanwhile. */
static void check_cut(void)
{
	static struct answer a, other;
	struct stoker_engine *e = open_engine(2);

	answer_make(&a, 300, 3);
	ask(e, &a);
	/* a shorter beginning is alike, but there is no checkpoint there: the first makes one */
	for (uint32_t i = 0; i < 3; i++) {
		answer_make(&other, 200, 3);
		memcpy(other.prompt, a.prompt, 150 * sizeof(*a.prompt));
		ask(e, &other);
		CU_ASSERT_EQUAL(other.done.timings.reused, i ? 128 : 0);
		check_alone(&other);
	}
	next_turn(&a, 30, 3);
	ask(e, &a);
	CU_ASSERT_EQUAL(a.done.timings.reused, 256);
	stoker_engine_free(&e);
}

/* Two that begin alike come together: what they have in common is computed once. */
static void check_waiting(void)
{
	static struct answer a[3];
	struct stoker_engine *e = open_engine(3);
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };

	answer_make(&a[0], 5, 3);
	answer_make(&a[1], 300, 3);
	answer_make(&a[2], 250, 3);
	memcpy(a[2].prompt, a[1].prompt, 150 * sizeof(*a[1].prompt));
	engine_gate(true);
	CU_ASSERT_EQUAL_FATAL(answer_submit(e, &a[0], NULL), 0);
	engine_wait_for_step();
	CU_ASSERT_EQUAL_FATAL(answer_submit(e, &a[1], NULL), 0);
	CU_ASSERT_EQUAL_FATAL(answer_submit(e, &a[2], NULL), 0);
	engine_gate(false);
	answers_finish(e, a, 3);
	CU_ASSERT_EQUAL(a[1].done.timings.reused, 0);
	CU_ASSERT_EQUAL(a[2].done.timings.reused, 128);
	check_alone(&a[2]);
	stoker_engine_stats(e, &stats);
	CU_ASSERT(stats.pages.used == 0 && stats.pages.kept > 0 && stats.pages.shared == 0);
	stoker_engine_free(&e);
}

/* Where a sequence can have only one it's its prompt's; answers have those that are left. */
static void check_few(void)
{
	static struct answer a, other;
	struct stoker_engine *e = open_engine(2);
	struct checkpoints *c = &e->step.checkpoints; /* nobody computes yet */

	c->each = 1;
	c->count = 2;
	answer_make(&a, 150, 100);
	ask(e, &a);
	CU_ASSERT(c->all[0].users == 1 && c->all[1].users == 1);
	CU_ASSERT(!c->all[0].passing && c->all[0].position == 128);
	CU_ASSERT(c->all[1].passing && c->all[1].position == 192);
	next_turn(&a, 30, 3);
	ask(e, &a);
	CU_ASSERT_EQUAL(a.done.timings.reused, 192);
	answer_make(&other, 150, 3);
	ask(e, &other);
	CU_ASSERT_EQUAL(other.done.timings.reused, 0);
	next_turn(&a, 30, 3);
	ask(e, &a);
	CU_ASSERT_EQUAL(a.done.timings.reused, 256);
	for (uint32_t i = 0; i < 2; i++) {
		answer_make(&other, 150, 100);
		ask(e, &other);
	}
	answer_make(&other, 200, 3);
	memcpy(other.prompt, a.prompt, 200 * sizeof(*a.prompt));
	ask(e, &other);
	CU_ASSERT_EQUAL(other.done.timings.reused, 0);
	stoker_engine_free(&e);
}

/* Pages that give way take checkpoints along. */
static void check_eviction(void)
{
	static struct answer a;
	struct stoker_engine *e = engine_open_tight(2, 1, false);
	struct checkpoints *c = &e->step.checkpoints;

	for (uint32_t i = 0; i < 8; i++) {
		uint32_t used = 0;

		answer_make(&a, 380, 3);
		ask(e, &a);
		for (uint32_t k = 0; k < c->count; k++)
			used += c->all[k].users;
		CU_ASSERT(used > 0 && used <= e->step.pages.size.pages);
	}
	stoker_engine_free(&e);
}

static void test_turns(void)
{
	const char *folder = vectors_folder("conversations with recurrent layers");
	char path[512];

	random_seed(17);
	for (size_t i = 0; folder && i < ARRAY_SIZE(recurrent); i++) {
		snprintf(path, sizeof(path), "%s/models/%s.gguf", folder, recurrent[i]);
		engine_load(path);
		check_turn(20, 20, 0); /* not a page */
		check_turn(20, 100, 64);
		check_turn(65, 2, 64);
		check_turn(150, 20, 128);
		check_turn(100, 200, 256);
		check_cut();
		check_waiting();
		check_few();
		check_eviction();
		engine_unload();
	}
}

void add_engine_turns(void)
{
	TEST(test_turns);
}
