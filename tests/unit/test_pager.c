// SPDX-License-Identifier: MIT
/* The pager by itself: random schedules on a store that reorders, delays and fails; pressure. */
#include "fakes.h"

#include <unistd.h>

/* The thread sanitizer takes a hundred times as long. */
#if defined(__SANITIZE_THREAD__)
enum { SCHEDULES = 100 };
#else
enum { SCHEDULES = 1000 };
#endif

/* One layer's experts as the model takes them: acquired in waves, used in order, released. */
static void use_layer(struct stoker_pager *p, const struct pager_source *layers, uint32_t number,
		      unsigned *failed)
{
	uint32_t list[EXPERTS], count = 1 + random_u32() % EXPERTS, wanted = 0;
	struct stoker_expert at[EXPERTS];

	for (uint32_t i = 0; i < EXPERTS; i++)
		list[i] = i;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t k = i + random_u32() % (EXPERTS - i), other = list[i];

		list[i] = list[k];
		list[k] = other;
	}
	for (uint32_t done = 0, end; done < count; done = end) {
		const uint32_t taken = pager_acquire(p, number, list + wanted, count - wanted);
		struct stoker_error err = { "" };

		CU_ASSERT_FATAL(taken > 0 || wanted > done || wanted == count);
		wanted += taken;
		for (end = done; end < wanted; end++) {
			if (end > done && !pager_ready(p, number, list[end]))
				break;
			if (pager_get(p, number, list[end], &at[end], &err)) {
				CU_ASSERT(strstr(err.message, "expert") &&
					  strstr(err.message, "file"));
				at[end].up = 0;
				++*failed;
			}
		}
		/* what was given stays until it's released, whatever else happens */
		for (uint32_t i = done; i < end; i++)
			if (at[i].up)
				check_expert(&layers[number], list[i], &at[i]);
		for (uint32_t i = done; i < end; i++)
			pager_release(p, number, list[i]);
	}
}

/* Some guesses at a layer's experts, now or for when the layer before has what it wants. */
static void predict_layer(struct stoker_pager *p, uint32_t number)
{
	uint32_t list[EXPERTS], count = random_u32() % EXPERTS;

	for (uint32_t i = 0; i < count; i++)
		list[i] = (i * 5 + number) % EXPERTS;
	if (number && random_u32() % 3)
		pager_predict(p, number, list, count, random_u32() % 2);
}

/* How many experts couldn't be had. */
static unsigned run_schedule(uint64_t seed, unsigned failing)
{
	uint64_t shapes[LAYERS][PAGER_SLICES];
	const bool apart = seed / 3 % 2;
	struct stoker_device device = { .ops = apart ? &apart_ops : &plain_ops,
					.max_memory = UINT64_MAX,
					.shares_memory = !apart };
	const struct store_file file = { .fd = -1, .path = "file" };
	struct pager_source layers[LAYERS] = { 0 };
	struct fake_store *store = fake_store_open(seed / 6 % 2, failing, seed);
	static const char *const policies[] = { NULL, "lru", "quota" };
	struct steps steps = { .user = pthread_self(), .failing = failing };
	struct stoker_pager *pager;
	struct stoker_error err;
	uint64_t at = 1 + seed % 5000;
	unsigned failed = 0;

	random_seed(seed);
	lay_out_layers(layers, &file, at);
	/* a third layer's gate is missing */
	layers[3].slice[0].bytes = 0;
	if (!apart)
		choose_shapes(layers, shapes, false);
	const uint64_t all = pager_memory(layers, LAYERS, EXPERTS);
	const uint64_t memory = all * (USED + random_u32() % EXPERTS) / EXPERTS;

	const struct pager_params params = {
		.device = &device,
		.store = &store->base,
		.layers = layers,
		.count = LAYERS,
		.least = USED,
		.memory = memory,
		.host_memory = all * (USED + random_u32() % EXPERTS) / EXPERTS,
		.steps = { .context = &steps,
			   .prepare = fake_prepare,
			   .prepare_whole = seed % 2 ? fake_prepare_whole : NULL,
			   .copy = fake_copy },
		.threads = (uint32_t)(seed / 12 % 3),
		.few_rows = seed / 36 % 2 ? 4 : 0,
		.policy = policies[seed % 3],
		.prefetch = PAGER_PREFETCH_ON,
	};

	if (pager_create(&params, &pager, &err)) {
		CU_FAIL("pager_create");
		return 0;
	}
	for (int round = 0; round < 12; round++) {
		pager_begin(pager, 1 + random_u32() % 6);
		for (uint32_t i = 1; i < LAYERS; i++) {
			/* as it should be, and what no model does: guesses at any layer */
			predict_layer(pager,
				      random_u32() % 4 ? (i + 1) % LAYERS : random_u32() % LAYERS);
			use_layer(pager, layers, i, &failed);
		}
		pager_end(pager, true);
	}
	CU_ASSERT(failing || failed == 0);
	const struct pager_stats stats = pager_stats(pager);

	CU_ASSERT(stats.slot_bytes <= (apart ? params.host_memory : memory));
	CU_ASSERT(stats.hits + stats.misses > 0);
	CU_ASSERT(stats.prefetched >= stats.prefetched_used);
	pager_destroy(&pager);
	return failed;
}

static void test_schedules(void)
{
	unsigned failed = 0;

	for (uint64_t seed = 1; seed <= SCHEDULES; seed++)
		failed += run_schedule(seed, seed % 4 ? 0 : 20);
	CU_ASSERT(failed > SCHEDULES / 10);
}

/* A machine that is short of memory for a while. */
void test_pressure(void)
{
	char path[] = "/tmp/stoker-pressure-XXXXXX", meminfo[] = "/tmp/stoker-meminfo-XXXXXX";
	const int fd = mkstemp(path), fd2 = mkstemp(meminfo);
	struct stoker_device device = { .ops = &plain_ops,
					.max_memory = UINT64_MAX,
					.shares_memory = true };
	const struct store_file file = { .fd = -1, .path = "file" };
	struct pager_source layers[LAYERS] = { 0 };
	struct fake_store *store = fake_store_open(false, 0, 1);
	struct stoker_pager *pager;
	struct stoker_error err;
	uint64_t all, slots;
	unsigned failed = 0;

	CU_ASSERT_FATAL(fd >= 0 && fd2 >= 0);
	close(fd);
	close(fd2);
	random_seed(1);
	lay_out_layers(layers, &file, 1);
	const struct pager_params params = {
		.device = &device,
		.store = &store->base,
		.layers = layers,
		.count = LAYERS,
		.least = USED,
		.memory = pager_memory(layers, LAYERS, EXPERTS),
		.pressure = path,
		.meminfo = meminfo,
		.look_ns = 1,
	};

	CU_ASSERT_EQUAL_FATAL(pager_create(&params, &pager, &err), 0);
	all = pager_stats(pager).slots;
	for (int step = 0; step < 1300; step++) {
		/* in the second hundred programs wait, but for limits of their own */
		const bool waits = step >= 100 && step < 300, is_short = step >= 200;

		if (step % 100 == 0) {
			FILE *f = fopen(path, "we");

			CU_ASSERT_PTR_NOT_NULL_FATAL(f);
			fprintf(f, "some avg10=%s avg60=3.00 avg300=1.00 total=123\n",
				waits ? "40.21" : "0.00");
			fclose(f);
			f = fopen(meminfo, "we");
			CU_ASSERT_PTR_NOT_NULL_FATAL(f);
			fprintf(f, "MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  %d kB\n",
				is_short ? 50 : 500);
			fclose(f);
		}
		pager_begin(pager, 1);
		for (uint32_t i = 1; i < LAYERS; i++)
			use_layer(pager, layers, i, &failed);
		pager_end(pager, true);
		slots = pager_stats(pager).slots;
		CU_ASSERT(step >= 200 || slots == all);
		CU_ASSERT(step != 299 || (slots >= 2 * USED && slots < all / 3));
	}
	CU_ASSERT_EQUAL(slots, all);
	CU_ASSERT_EQUAL(failed, 0);
	pager_destroy(&pager);
	remove(path);
	remove(meminfo);
}

void suite_pager(void)
{
	TEST(test_schedules);
	TEST(test_pressure);
	add_steps_tests();
}
