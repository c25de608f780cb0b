// SPDX-License-Identifier: MIT
/* Half floats and sizes. */
#include "unit.h"

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

void suite_base(void)
{
	TEST(test_every_half);
	TEST(test_half_rounding);
	TEST(test_sizes);
}
