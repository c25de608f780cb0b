// SPDX-License-Identifier: MIT
/* What the engine puts into a step: prompts' shares, rows that fit a time, turns. */
#include "engine/engine.h"
#include "unit.h"

enum { MOST = 8, SECOND = 1000000000 };

static struct request requests[MOST], *running[MOST];
static struct step_part parts[MOST];
static struct request *served[MOST];
static uint32_t tokens[1 << 16];

/* An engine whose requests are prompts of so many tokens. */
static struct stoker_engine make(uint32_t count, uint32_t prompt, uint32_t batch)
{
	const struct stoker_engine e = { .sequences = MOST,
					 .max_gap = 0.1,
					 .step.batch = batch,
					 .parts = parts,
					 .served = served,
					 .running = {
						 .of = running, .count = count, .room = MOST } };

	for (uint32_t i = 0; i < count; i++) {
		requests[i] = (struct request){
			.id = i + 1, .tokens = tokens, .prompt = prompt, .count = prompt, .limit = 9
		};
		running[i] = &requests[i];
	}
	return e;
}

/* Plans and carries out; rows of the step. */
static uint32_t go(struct stoker_engine *e)
{
	uint32_t rows = 0;

	engine_plan(e, SECOND);
	for (uint32_t i = 0; i < e->part_count; i++) {
		struct request *r = served[i];

		rows += parts[i].rows;
		CU_ASSERT(parts[i].rows && parts[i].sequence == &r->sequence);
		CU_ASSERT_EQUAL(parts[i].logit_rows,
				r->sequence.position + parts[i].rows == r->count);
		r->sequence.position += parts[i].rows;
		if (r->sequence.position == r->count)
			r->count++;
	}
	CU_ASSERT(e->chunk || rows <= e->step.batch);
	return rows;
}

static void test_shares(void)
{
	struct stoker_engine e = make(3, 20000, 512);

	requests[0].priority = STOKER_PRIORITY_BATCH;
	requests[2].priority = STOKER_PRIORITY_INTERACTIVE;
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(go(&e), 512);
	CU_ASSERT_DOUBLE_EQUAL(requests[0].sequence.position, 20 * 512 / 7, 64);
	CU_ASSERT_DOUBLE_EQUAL(requests[1].sequence.position, 20 * 512 * 2 / 7, 64);
	CU_ASSERT_DOUBLE_EQUAL(requests[2].sequence.position, 20 * 512 * 4 / 7, 64);
	/* waiting raises the class */
	CU_ASSERT_EQUAL(request_weight(&requests[0], 0), 1);
	requests[0].submitted = 1;
	CU_ASSERT_EQUAL(request_weight(&requests[0], 11ull * SECOND), 2);
	CU_ASSERT_EQUAL(request_weight(&requests[0], 21ull * SECOND), 4);
	CU_ASSERT_EQUAL(request_weight(&requests[0], 9000ull * SECOND), 4);
	CU_ASSERT_EQUAL(request_weight(&requests[2], 9000ull * SECOND), 4);
}

/* Small steps still reach everybody; who generates is always in. */
static void test_turns(void)
{
	struct stoker_engine e = make(6, 100, 16);

	for (uint32_t i = 3; i < 6; i++)
		requests[i].sequence.position = 99;
	for (int i = 0; i < 24; i++) {
		CU_ASSERT(go(&e) > 0);
		for (uint32_t k = 3; k < 6; k++)
			CU_ASSERT_EQUAL(requests[k].count, 101u + (uint32_t)i);
	}
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT(requests[i].count > 100);
	/* more of them than a step has rows: each as often as the others */
	e = make(6, 2, 4);
	for (uint32_t i = 0; i < 6; i++)
		requests[i].sequence.position = 1;
	for (int i = 0; i < 30; i++)
		CU_ASSERT_EQUAL(go(&e), 4);
	for (uint32_t i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(requests[i].count, 22);
	/* and a prompt is read beside them, with what the others leave it */
	e = make(6, 100, 8);
	for (uint32_t i = 1; i < 6; i++)
		requests[i].sequence.position = 99;
	for (uint32_t batch = 2; batch <= 6; batch++) {
		const uint32_t before = requests[0].sequence.position;

		e.step.batch = batch;
		CU_ASSERT_EQUAL(go(&e), batch);
		CU_ASSERT(requests[0].sequence.position > before);
	}
	/* with a limit some go on while the others wait */
	e = make(6, 2, 8);
	for (uint32_t i = 0; i < 6; i++)
		requests[i].sequence.position = 1;
	e.pace.limit = 2;
	for (int i = 0; i < 3 * PACE_SLICE; i++)
		CU_ASSERT_EQUAL(go(&e), 2);
	for (uint32_t i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(requests[i].count, 2 + PACE_SLICE);
}

/* Alone or not, chunks end at the same positions, and what was generated comes one by one. */
static void test_cuts(void)
{
	struct stoker_engine e = make(3, 600, 512);

	e.chunk = 256;
	requests[1].sequence.position = 599;
	requests[2].sequence.position = 550; /* made room when it had generated 30 */
	requests[2].prompt = 570;
	for (int i = 0; i < 40; i++) {
		const uint32_t before = requests[0].sequence.position;

		go(&e);
		if (requests[0].count == 600)
			CU_ASSERT(requests[0].sequence.position == before ||
				  requests[0].sequence.position % 256 == 0);
		if (requests[2].sequence.position > 570 && requests[2].count == 600)
			CU_ASSERT(requests[2].rows <= 1);
	}
	CU_ASSERT(requests[0].count > 600 && requests[2].count > 600);
	CU_ASSERT_EQUAL(requests[1].count, 640);
}

static void test_times(void)
{
	struct pace p = { .steps = 0 };

	/* nothing is known: few */
	CU_ASSERT_EQUAL(pace_prompt_rows(&p, 4, 512, 0.1), 16);
	pace_note(&p, 4, 0.004);
	CU_ASSERT_EQUAL(pace_prompt_rows(&p, 4, 512, 0.1), 16);
	/* a row of many takes 0.5 ms: 200 of them in the time, found in steps that double */
	for (uint32_t i = 0, rows = 16; i < 8; i++) {
		pace_note(&p, 4 + rows, 0.0005 * (4 + rows));
		const uint32_t next = pace_prompt_rows(&p, 4, 512, 0.1);

		CU_ASSERT(next >= rows && next <= 4 * rows);
		rows = next;
		CU_ASSERT(i < 4 || rows == 192);
	}
	/* slower at once, faster again after a while */
	pace_note(&p, 200, 0.4);
	CU_ASSERT(pace_prompt_rows(&p, 4, 512, 0.1) <= 128);
	for (int i = 0; i < 20; i++)
		pace_note(&p, 200, 0.1);
	CU_ASSERT(pace_prompt_rows(&p, 4, 512, 0.1) >= 160);
	/* never more than there is room for, nor nothing */
	CU_ASSERT_EQUAL(pace_prompt_rows(&p, 4, 20, 0.1), 16);
	CU_ASSERT_EQUAL(pace_prompt_rows(&p, 4, 10, 0.1), 6);
	CU_ASSERT_EQUAL(pace_prompt_rows(&p, 10, 10, 0.1), 0);
	CU_ASSERT_EQUAL(pace_prompt_rows(&p, 4, 512, 1e-9), 16);
	CU_ASSERT_EQUAL(pace_prompt_rows(&p, 4, 65536, 1e9), 496);
	pace_note(&p, 512, 0.5);
	CU_ASSERT_EQUAL(pace_prompt_rows(&p, 4, 65536, 1e9), 512);
}

/* The first step of a few rows is slow, as it's recorded: larger ones aren't faster for that. */
static void test_slow_beginning(void)
{
	struct pace p = { .steps = 0 };

	pace_note(&p, 512, 0.256);
	pace_note(&p, 4, 0.012);
	for (int i = 0; i < 20; i++) {
		pace_note(&p, 4, 0.003);
		CU_ASSERT(pace_prompt_rows(&p, 4, 512, 0.1) <= 200);
	}
}

/* A drive that @reads experts a step for each sequence, more than fit for many. */
static double step_seconds(uint32_t rows, uint32_t fit)
{
	return 0.001 * rows + 0.01 * rows * (rows > fit ? 4 : 1);
}

static void test_stalls(void)
{
	for (uint32_t fit = 1; fit <= 8; fit *= 2) {
		struct pace p = { .steps = 0 };
		double rows_done = 0, seconds = 0;

		for (int i = 0; i < 1000; i++) {
			const uint32_t rows = p.limit ? p.limit : 8;
			const double s = step_seconds(rows, fit);

			pace_note(&p, rows, s);
			pace_note_stall(&p, rows, 8, s, s - 0.001 * rows);
			CU_ASSERT(p.limit >= 1 && p.limit <= 8);
			rows_done += i >= 500 ? rows : 0;
			seconds += i >= 500 ? s : 0;
		}
		/* as fast as one alone, or nearly */
		CU_ASSERT(rows_done / seconds >= 0.9 / step_seconds(1, fit));
		/* and none is held back when nobody waits any more */
		for (int i = 0; i < 100; i++)
			pace_note_stall(&p, p.limit, 8, 1, 0);
		CU_ASSERT_EQUAL(p.limit, 8);
	}
}

void add_engine_plans(void)
{
	TEST(test_shares);
	TEST(test_turns);
	TEST(test_cuts);
	TEST(test_times);
	TEST(test_slow_beginning);
	TEST(test_stalls);
}
