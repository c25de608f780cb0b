// SPDX-License-Identifier: MIT
/* What the pager does with experts between their being read and being used, and who does it. */
#include "fakes.h"

#include <unistd.h>

/* Layers that all are prepared, or copied, in a pager with room for @experts of each. */
struct bed {
	struct stoker_device device;
	struct store_file file;
	struct pager_source layers[LAYERS];
	uint64_t shapes[LAYERS][PAGER_SLICES];
	struct fake_store *store;
	struct steps steps;
	struct stoker_pager *pager;
};

static void make_bed(struct bed *b, bool apart, bool concurrent, uint32_t experts)
{
	const bool failing = b->store != NULL;
	struct stoker_error err;

	if (!failing)
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
		.host_memory = pager_memory(b->layers, LAYERS, experts),
		.steps = { &b->steps, fake_prepare, fake_copy },
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
		struct bed b = { 0 };
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
		CU_ASSERT_EQUAL(b.steps.by_others, apart ? 0 : all);
		pager_destroy(&b.pager);
	}
}

/* Whoever would wait helps: with both there are steps by either. */
static void test_user_helps(void)
{
	struct bed b = { .steps.slow_us = 2000 };
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
		struct bed b = { .steps.failing = 3 };
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
		struct bed b = { 0 };
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

/* The end comes while reads and steps are under way, wanted or not. */
static void test_early_end(void)
{
	for (uint32_t i = 0; i < 40; i++) {
		struct bed b = { .steps.slow_us = 300 };
		uint32_t list[EXPERTS];
		struct stoker_expert at;

		for (uint32_t e = 0; e < EXPERTS; e++)
			list[e] = (e + i) % EXPERTS;
		make_bed(&b, i % 2, i / 2 % 2, 6);
		pager_predict(b.pager, 3, list, 4, true);
		CU_ASSERT(pager_acquire(b.pager, 1, list, 3) == 3);
		if (i % 3)
			CU_ASSERT_EQUAL(pager_get(b.pager, 1, list[i % 3], &at, NULL), 0);
		if (i % 5)
			for (uint32_t e = 0; e < 3; e++)
				pager_release(b.pager, 1, list[e]);
		/* slots are given to others while steps for what they held are under way */
		if (i % 5 == 2)
			CU_ASSERT(pager_acquire(b.pager, 3, list + 4, 6) > 0);
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
	TEST(test_early_end);
}
