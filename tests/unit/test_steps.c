// SPDX-License-Identifier: MIT
/* What the pager does with experts between their being read and being used, and who does it. */
#include "fakes.h"

#include <unistd.h>

/*
 * Layers that all are prepared, or copied, in a pager with room for @experts of each; copies are
 * made of twice as many, and so taken from one another.
 */
struct bed {
	struct stoker_device device;
	struct store_file file;
	struct pager_source layers[LAYERS];
	uint64_t shapes[LAYERS][PAGER_SLICES];
	struct fake_store *store;
	struct steps steps;
	uint32_t threads;
	struct stoker_pager *pager;
};

static void make_bed(struct bed *b, bool apart, bool concurrent, uint32_t experts)
{
	struct stoker_error err;

	if (!b->store)
		b->store = fake_store_open(concurrent, 0, 7);
	random_seed(7);
	b->steps.user = pthread_self();
	b->file = (struct store_file){ .fd = -1, .path = "file" };
	b->device = (struct stoker_device){ .ops = apart ? &apart_ops : &plain_ops,
					    .max_memory = UINT64_MAX,
					    .shares_memory = !apart };
	lay_out_layers(b->layers, &b->file, 1);
	if (!apart)
		choose_shapes(b->layers, b->shapes, true);
	const struct pager_params params = {
		.device = &b->device,
		.store = &b->store->base,
		.layers = b->layers,
		.count = LAYERS,
		.least = USED,
		.memory = pager_memory(b->layers, LAYERS, experts),
		.host_memory = pager_memory(b->layers, LAYERS, 2 * experts),
		.steps = { .context = &b->steps, .prepare = fake_prepare, .copy = fake_copy },
		.threads = b->threads,
		.prefetch = PAGER_PREFETCH_ON,
	};

	CU_ASSERT_EQUAL_FATAL(pager_create(&params, &b->pager, &err), 0);
	pager_begin(b->pager, 1);
}

/* While the pager's user does something else, its thread takes in reads and does the steps. */
static void test_steps_overlap(void)
{
	static const uint32_t list[] = { 4, 1 };

	for (int apart = 0; apart < 2; apart++) {
		struct bed b = { .threads = 1 + 2 * (unsigned)apart };
		const unsigned all = 2 * PAGER_SLICES * (apart ? 1 : 4);
		struct stoker_expert at;

		make_bed(&b, apart, true, USED);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 1, list, 2), 2);
		for (int i = 0; i < 10000 && b.steps.count < all; i++)
			usleep(1000);
		CU_ASSERT_EQUAL(b.steps.count, all);
		for (uint32_t i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(pager_get(b.pager, 1, list[i], &at, NULL), 0);
			check_expert(&b.layers[1], list[i], &at);
			CU_ASSERT(pager_has(b.pager, 1, list[i]));
			pager_release(b.pager, 1, list[i]);
		}
		CU_ASSERT_EQUAL(b.steps.by_others, all);
		CU_ASSERT_EQUAL(b.steps.count, all);
		pager_destroy(&b.pager);
	}
}

/* Whoever would wait helps: with both there are steps by either. */
static void test_user_helps(void)
{
	struct bed b = { .steps.meet = true, .threads = 1 };
	uint32_t list[] = { 0, 1, 2 };
	struct stoker_expert at;

	make_bed(&b, false, true, USED);
	CU_ASSERT_EQUAL(pager_acquire(b.pager, 1, list, 3), 3);
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(pager_get(b.pager, 1, list[i], &at, NULL), 0);
		check_expert(&b.layers[1], list[i], &at);
		pager_release(b.pager, 1, list[i]);
	}
	CU_ASSERT_EQUAL(b.steps.count, 3 * PAGER_SLICES * 4);
	CU_ASSERT(b.steps.by_others > 0 && b.steps.by_others < b.steps.count);
	pager_destroy(&b.pager);
}

/* Reads and steps that fail are tried again, and those that went well aren't. */
static void test_steps_once(void)
{
	for (int concurrent = 0; concurrent < 2; concurrent++) {
		struct bed b = { .steps.failing = 3, .threads = (unsigned)concurrent };
		unsigned good = 0, failed = 0;

		b.store = fake_store_open(concurrent, 4, 5);
		b.store->error = -ETIMEDOUT;
		make_bed(&b, false, concurrent, 4);
		for (uint32_t round = 0; round < 400; round++) {
			const uint32_t expert = round / 8 % EXPERTS;
			struct stoker_error err = { "" };
			struct stoker_expert at;
			int ret;

			CU_ASSERT_EQUAL(pager_acquire(b.pager, 2, &expert, 1), 1);
			ret = pager_get(b.pager, 2, expert, &at, &err);
			/* the caller can tell which it was */
			CU_ASSERT(ret == 0 || ret == -ETIMEDOUT || ret == -ENOMEM);
			CU_ASSERT(ret != -ENOMEM || strstr(err.message, "no memory to lay out"));
			if (!ret)
				check_expert(&b.layers[2], expert, &at);
			good += !ret;
			failed += ret != 0;
			pager_release(b.pager, 2, expert);
		}
		CU_ASSERT(good > 50 && failed > 50);
		pager_destroy(&b.pager);
	}
}

/* Slots are used again in the order of their release, whatever that of their acquisition was. */
static void test_release_order(void)
{
	for (int apart = 0; apart < 2; apart++) {
		struct bed b = { .threads = 1 };
		uint32_t list[EXPERTS];
		struct stoker_expert at[EXPERTS], more;

		for (uint32_t i = 0; i < EXPERTS; i++)
			list[i] = i;
		make_bed(&b, apart, true, USED);
		/* the larger layer has a class of its own */
		const uint32_t room = pager_room(b.pager, 2);

		CU_ASSERT_EQUAL(room, USED);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 2, list, EXPERTS), room);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 2, list + room, 1), 0);
		for (uint32_t i = 0; i < room; i++)
			CU_ASSERT_EQUAL(pager_get(b.pager, 2, i, &at[i], NULL), 0);
		pager_release(b.pager, 2, 1);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 2, list + room, 2), 1);
		CU_ASSERT_EQUAL(pager_get(b.pager, 2, room, &more, NULL), 0);
		check_expert(&b.layers[2], 0, &at[0]);
		check_expert(&b.layers[2], 2, &at[2]);
		check_expert(&b.layers[2], room, &more);
		CU_ASSERT(!pager_has(b.pager, 2, 1));
		pager_release(b.pager, 2, 2);
		pager_release(b.pager, 2, room);
		pager_release(b.pager, 2, 0);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 2, list, room), room);
		for (uint32_t i = 0; i < room; i++)
			pager_release(b.pager, 2, i);
		pager_destroy(&b.pager);
	}
}

/* What is wanted is there: nobody waits for a read of something else. */
static void test_no_needless_wait(void)
{
	static const uint32_t wanted = 4, predicted = 9;
	struct bed b = { .steps = { .meet = true, .last = 4 * PAGER_SLICES }, .threads = 1 };
	struct stoker_expert at;

	b.store = fake_store_open(true, 0, 7);
	b.store->holds = true;
	/* the last step is the other thread's, and takes longer than the user's */
	b.steps.others_us = 20000;
	make_bed(&b, false, true, USED);
	pager_predict(b.pager, 3, &predicted, 1, true);
	CU_ASSERT_EQUAL(pager_acquire(b.pager, 1, &wanted, 1), 1);
	CU_ASSERT_EQUAL(pager_get(b.pager, 1, wanted, &at, NULL), 0);
	check_expert(&b.layers[1], wanted, &at);
	CU_ASSERT(b.steps.by_others > 0 && b.steps.by_others < b.steps.count);
	pager_release(b.pager, 1, wanted);
	CU_ASSERT(fake_store_let_go(b.store));
	pager_destroy(&b.pager);
}

/* Room that was given to what isn't wanted any more is had after the step that is under way. */
static void test_room_at_once(void)
{
	for (int apart = 0; apart < 2; apart++) {
		struct bed b = { .steps.slow_us = 200000, .threads = 1 };
		uint32_t list[EXPERTS];
		struct stoker_expert at;
		unsigned before;

		for (uint32_t i = 0; i < EXPERTS; i++)
			list[i] = i;
		make_bed(&b, apart, true, USED);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 2, list, USED), USED);
		for (int i = 0; i < 10000 && !b.steps.count; i++)
			usleep(1000);
		for (uint32_t i = 0; i < USED; i++)
			pager_release(b.pager, 2, i);
		before = b.steps.count;
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 2, list + USED, USED), USED);
		CU_ASSERT(b.steps.count - before <= 2);
		b.steps.slow_us = 0;
		for (uint32_t i = 0; i < USED; i++) {
			CU_ASSERT_EQUAL(pager_get(b.pager, 2, USED + i, &at, NULL), 0);
			check_expert(&b.layers[2], USED + i, &at);
			pager_release(b.pager, 2, USED + i);
		}
		pager_destroy(&b.pager);
	}
}

/* Where no thread can be had the pager's user does all of it, and sees it done when it asks. */
static void test_alone(void)
{
	static const uint32_t list[] = { 4, 1 };

	for (int apart = 0; apart < 2; apart++) {
		struct bed b = { 0 };
		struct stoker_expert at;
		bool ready = false;

		make_bed(&b, apart, false, USED);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 1, list, 2), 2);
		CU_ASSERT_EQUAL(pager_get(b.pager, 1, list[0], &at, NULL), 0);
		for (int i = 0; i < 1000 && !ready; i++)
			ready = pager_ready(b.pager, 1, list[1]);
		CU_ASSERT(ready);
		CU_ASSERT_EQUAL(pager_get(b.pager, 1, list[1], &at, NULL), 0);
		check_expert(&b.layers[1], list[1], &at);
		CU_ASSERT_EQUAL(b.steps.count, 2 * PAGER_SLICES * (apart ? 1 : 4));
		CU_ASSERT_EQUAL(b.steps.by_others, 0);
		for (uint32_t i = 0; i < 2; i++)
			pager_release(b.pager, 1, list[i]);
		pager_destroy(&b.pager);
	}
}

/* What a drive says isn't taken for what callers of the library know as something else. */
static void test_codes(void)
{
	static const int codes[][2] = { { -EINVAL, -EIO },
					{ -ENOSPC, -EIO },
					{ -ECANCELED, -EIO },
					{ -ENODATA, -EIO },
					{ -ETIMEDOUT, -ETIMEDOUT } };
	static const uint32_t wanted = 4;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct bed b = { .store = fake_store_open(false, 1, 7) };
		struct stoker_expert at;
		struct stoker_error err = { "" };

		b.store->error = codes[i][0];
		make_bed(&b, false, false, USED);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 1, &wanted, 1), 1);
		CU_ASSERT_EQUAL(pager_get(b.pager, 1, wanted, &at, &err), codes[i][1]);
		CU_ASSERT(strstr(err.message, "expert 4 of layer 1") != NULL);
		pager_release(b.pager, 1, wanted);
		pager_destroy(&b.pager);
	}
}

static void get_all(struct bed *b, uint32_t layer, const uint32_t *list, uint32_t count)
{
	struct stoker_expert at[EXPERTS];

	for (uint32_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL(pager_get(b->pager, layer, list[i], &at[i], NULL), 0);
	for (uint32_t i = 0; i < count; i++)
		check_expert(&b->layers[layer], list[i], &at[i]);
	for (uint32_t i = 0; i < count; i++)
		pager_release(b->pager, layer, list[i]);
}

/*
 * Experts are left while they are read and worked on, others come into their slots and copies, and
 * the end comes in the middle of it.
 */
static void test_early_end(void)
{
	for (uint32_t i = 0; i < 80; i++) {
		struct bed b = { .steps.slow_us = 300, .threads = 1 + i % 3 };
		uint32_t list[EXPERTS];
		struct stoker_expert at;

		for (uint32_t e = 0; e < EXPERTS; e++)
			list[e] = (e + i) % EXPERTS;
		b.store = fake_store_open(i / 2 % 2, 0, i);
		b.store->slow_us = 200;
		make_bed(&b, i % 2, i / 2 % 2, USED);
		const uint32_t room = pager_room(b.pager, 1);

		for (uint32_t round = 0; round < 6; round++) {
			const uint32_t layer = 1 + 2 * (round % 2);

			if (round % 3 == 0)
				pager_predict(b.pager, 4 - layer, list, 4, true);
			CU_ASSERT_EQUAL(pager_acquire(b.pager, layer, list + round, room), room);
			CU_ASSERT_EQUAL(pager_get(b.pager, layer, list[round + (i + round) % room],
						  &at, NULL),
					0);
			check_expert(&b.layers[layer], list[round + (i + round) % room], &at);
			for (uint32_t e = 0; e < room; e++)
				pager_release(b.pager, layer, list[round + e]);
		}
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 1, list, room), room);
		get_all(&b, 1, list, room);
		pager_predict(b.pager, 3, list, 4, true);
		CU_ASSERT_EQUAL(pager_acquire(b.pager, 1, list + 3, 3), 3);
		if (i % 3)
			CU_ASSERT_EQUAL(pager_get(b.pager, 1, list[3 + i % 3], &at, NULL), 0);
		if (i % 5)
			for (uint32_t e = 0; e < 3; e++)
				pager_release(b.pager, 1, list[3 + e]);
		pager_end(b.pager, false);
		pager_destroy(&b.pager);
	}
}

void add_steps_tests(void)
{
	TEST(test_steps_overlap);
	TEST(test_user_helps);
	TEST(test_steps_once);
	TEST(test_release_order);
	TEST(test_no_needless_wait);
	TEST(test_room_at_once);
	TEST(test_alone);
	TEST(test_codes);
	TEST(test_early_end);
}
