// SPDX-License-Identifier: MIT
/* Half floats, sizes and the thread pool. */
#include "unit.h"

#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* The value of a half by the definition of IEEE 754. */
static double half_value(uint16_t h)
{
	const int exponent = h >> 10 & 31, mantissa = h & 1023;
	const double magnitude = exponent == 0	  ? ldexp(mantissa, -24)
				 : exponent == 31 ? (mantissa ? NAN : INFINITY)
						  : ldexp(1024 + mantissa, exponent - 25);

	return h & 0x8000 ? -magnitude : magnitude;
}

static void test_every_half(void)
{
	unsigned wrong = 0;

	for (uint32_t h = 0; h < 65536; h++) {
		const float f = f16_to_f32((uint16_t)h);
		const double exact = half_value((uint16_t)h);

		if (isnan(exact))
			wrong += !isnan(f) || !isnan(f16_to_f32(f32_to_f16(f)));
		else
			wrong += (double)f != exact || f32_to_f16(f) != h;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void test_half_rounding(void)
{
	unsigned wrong = 0;

	random_seed(1);
	for (int i = 0; i < 200000; i++) {
		const uint32_t bits = random_u32();
		const float f = float_of_bits(bits);
		const uint16_t h = f32_to_f16(f);

		if (isnan(f))
			continue;
		/* neither neighbour is nearer */
		const double error = fabs(half_value(h) - (double)f);

		if (isinf(half_value(h)))
			wrong += fabs((double)f) < 65520;
		else
			wrong += (h & 0x7fff &&
				  fabs(half_value((uint16_t)(h - 1)) - (double)f) < error) ||
				 (!isinf(half_value((uint16_t)(h + 1))) &&
				  fabs(half_value((uint16_t)(h + 1)) - (double)f) < error);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(f32_to_f16(65519.99f), 0x7bff);
	CU_ASSERT_EQUAL(f32_to_f16(65520), 0x7c00);
	CU_ASSERT_EQUAL(f32_to_bf16(1.00390625f), 0x3f80); /* a tie goes to even */
	CU_ASSERT_EQUAL(f32_to_bf16(1.01171875f), 0x3f82);
}

static void test_sizes(void)
{
	char text[16];

	CU_ASSERT_STRING_EQUAL(stoker_human_size(1023, text), "1023 B");
	CU_ASSERT_STRING_EQUAL(stoker_human_size(8804682957u, text), "8.2 GiB");
}

struct counting {
	_Atomic uint64_t sum, broken;
};

static void count(void *context, unsigned thread, size_t begin, size_t end)
{
	struct counting *c = context;

	/* whole chunks only */
	atomic_fetch_add(&c->broken,
			 begin % 7 || (end % 7 && end != 1000 && end != 100) || thread >= 5);
	for (size_t i = begin; i < end; i++)
		atomic_fetch_add(&c->sum, i);
}

static void test_pool(void)
{
	struct stoker_error err;

	for (unsigned threads = 1; threads <= 5; threads++) {
		struct stoker_pool *pool;

		CU_ASSERT_EQUAL_FATAL(stoker_pool_create(threads, &pool, &err), 0);
		CU_ASSERT_EQUAL(stoker_pool_threads(pool), threads);
		for (unsigned run = 0; run < 300; run++) {
			struct counting c = { 0 };

			stoker_pool_run(pool, 1000, 7, count, &c);
			if (c.sum != 499500 || c.broken) {
				CU_FAIL("lost work");
				break;
			}
		}
		stoker_pool_destroy(&pool);
		CU_ASSERT_PTR_NULL(pool);
	}
}

struct holding {
	struct stoker_pool *pool;
	_Atomic size_t done;
};

/* The first call takes as long as all others together. */
static void hold_first(void *context, unsigned thread, size_t begin, size_t end)
{
	struct holding *h = context;

	(void)thread;
	while (begin == 0 && h->done + end < 100)
		sched_yield();
	h->done += end - begin;
}

static void test_pool_shares_what_is_left(void)
{
	for (unsigned threads = 2; threads <= 4; threads++) {
		struct holding h = { 0 };

		CU_ASSERT_EQUAL_FATAL(stoker_pool_create(threads, &h.pool, NULL), 0);
		stoker_pool_run(h.pool, 100, 1, hold_first, &h);
		CU_ASSERT_EQUAL(h.done, 100);
		stoker_pool_destroy(&h.pool);
	}
}

static void *run_many(void *pool)
{
	for (unsigned run = 0; run < 200; run++) {
		struct counting c = { 0 };

		stoker_pool_run(pool, 100, 7, count, &c);
		CU_ASSERT_EQUAL(c.sum, 4950);
	}
	return NULL;
}

static void test_pool_callers_take_turns(void)
{
	struct stoker_pool *pool;
	pthread_t other;

	CU_ASSERT_EQUAL_FATAL(stoker_pool_create(3, &pool, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, run_many, pool), 0);
	run_many(pool);
	pthread_join(other, NULL);
	stoker_pool_destroy(&pool);
	CU_ASSERT(stoker_usable_cpus() >= 1);
	CU_ASSERT_EQUAL(stoker_pool_create(100000, &pool, NULL), -EINVAL);
}

void suite_base(void)
{
	TEST(test_every_half);
	TEST(test_half_rounding);
	TEST(test_sizes);
	TEST(test_pool);
	TEST(test_pool_shares_what_is_left);
	TEST(test_pool_callers_take_turns);
}
