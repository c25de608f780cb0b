// SPDX-License-Identifier: MIT
/* Tensor formats: reference values, instruction sets against each other, quantizers. */
#include "unit.h"

#include "device/cpu/grids.h"
#include "quant/format.h"

/* The bytes that stand for two of sixteen entries are those of the codebook. */
static void test_halved_codebook(void)
{
	const uint16_t *entries = stoker_format_by_name("IQ1_S")->codebook;

	for (size_t i = 0; i < 2048; i++) {
		const bool later = i % 16 >= cpu_last_fours_iq1s[2][i / 16];

		CU_ASSERT_EQUAL(cpu_first_fours_iq1s[i], entries[i] & 255);
		CU_ASSERT_EQUAL(cpu_last_fours_iq1s[later][i / 16], entries[i] >> 8);
	}
}

static void test_registry(void)
{
	unsigned count = 0;

	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f)); count++) {
		CU_ASSERT_PTR_EQUAL(stoker_format_by_id(f->id), f);
		CU_ASSERT(f->id < FORMAT_IDS);
		CU_ASSERT_PTR_EQUAL(stoker_format_by_name(f->name), f);
	}
	CU_ASSERT_EQUAL(count, 28);
	CU_ASSERT_PTR_NULL(stoker_format_by_id(4));
	CU_ASSERT_PTR_NULL(stoker_format_by_name("Q9_9"));
	CU_ASSERT_PTR_EQUAL(stoker_format_by_name("q4_k"), stoker_format_by_id(12));
}

static void test_instruction_sets_agree(void)
{
	enum { BLOCKS = 33 };
	static uint8_t blocks[BLOCKS * 256 * 4];
	static float scalar[BLOCKS * 256], other[BLOCKS * 256];

	random_seed(2);
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		const size_t values = (size_t)BLOCKS * f->block_values;

		random_blocks(f, blocks, BLOCKS);
		stoker_decode(f, STOKER_ISA_SCALAR, blocks, scalar, values);
		for (int isa = 1; isa < STOKER_ISA_COUNT; isa++) {
			if (!stoker_isa_supported((enum stoker_isa)isa))
				continue;
			stoker_decode(f, (enum stoker_isa)isa, blocks, other, values);
			if (memcmp(scalar, other, values * sizeof(float)))
				CU_FAIL("instruction sets disagree");
		}
	}
}

/* Products choose their instructions by the range of codes that the registry tells. */
static void test_range_of_codes(void)
{
	enum { BLOCKS = 512 };
	static uint8_t blocks[BLOCKS * 256];
	static int8_t codes[BLOCKS * 256];
	static float numbers[2][BLOCKS * 16];

	random_seed(5);
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		const size_t values = f->group ? (size_t)BLOCKS * f->block_values : 0;
		int least = 0, most = 0;

		random_blocks(f, blocks, BLOCKS);
		if (values)
			f->unpack[STOKER_ISA_SCALAR](blocks, BLOCKS, codes, numbers[0], numbers[1]);
		for (size_t i = 0; i < values; i++) {
			least = MIN(least, codes[i]);
			most = MAX(most, codes[i]);
		}
		if (least != f->least || most != f->most) {
			printf("\n    %s: codes from %d to %d", f->name, least, most);
			CU_FAIL("not the range that the registry tells");
		}
	}
}

/* Values lie in a block from the lowest bits of its first byte up. */
static void test_order_of_few_bits(void)
{
	uint8_t ones[18] = { 0, 0x40 }, twos[18] = { 0, 0x40 }; /* d is 2 */
	float x[128], y[64];

	ones[2] = 0x01;
	ones[3] = 0x80;
	ones[17] = 0x40;
	twos[2] = 0xe4; /* codes 0, 1, 2, 3 */
	twos[17] = 0x80;
	for (int isa = 0; isa < STOKER_ISA_COUNT; isa++) {
		if (!stoker_isa_supported((enum stoker_isa)isa))
			continue;
		stoker_decode(stoker_format_by_name("Q1_0"), (enum stoker_isa)isa, ones, x, 128);
		for (int i = 0; i < 128; i++)
			CU_ASSERT_EQUAL(x[i], i == 0 || i == 15 || i == 126 ? 2 : -2);
		stoker_decode(stoker_format_by_name("Q2_0"), (enum stoker_isa)isa, twos, y, 64);
		for (int i = 0; i < 64; i++)
			CU_ASSERT_EQUAL(y[i], i == 1 ? 0 : i == 2 || i == 63 ? 2 : i == 3 ? 4 : -2);
	}
}

/* What was trained to a format's few values stays as it is. */
static void test_few_values_stay(void)
{
	static const char *const names[] = { "Q1_0", "Q2_0" };
	float x[256], y[256];
	uint8_t blocks[72];

	random_seed(6);
	for (int n = 0; n < 2; n++) {
		const struct stoker_format *f = stoker_format_by_name(names[n]);

		for (int i = 0; i < 256; i++)
			x[i] = n		  ? 0.375f * (float)((int)(random_u32() % 3) - 1)
			       : random_u32() & 1 ? 0.375f
						  : -0.375f;
		CU_ASSERT_EQUAL(stoker_format_encode(f, x, blocks, 256), 0);
		stoker_format_decode(f, blocks, y, 256);
		for (int i = 0; i < 256; i++)
			CU_ASSERT_EQUAL(x[i], y[i]);
	}
}

static void test_quantizer_edges(void)
{
	float x[256] = { 0 }, y[256];
	uint8_t block[1024];

	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		CU_ASSERT_EQUAL(stoker_format_encode(f, x, block, 256), 0);
		stoker_format_decode(f, block, y, 256);
		for (int i = 0; i < 256; i++)
			CU_ASSERT_EQUAL(y[i], 0);
		x[7] = INFINITY;
		CU_ASSERT_EQUAL(stoker_format_encode(f, x, block, 256), -EINVAL);
		x[7] = 0;
		if (f->block_values > 1)
			CU_ASSERT_EQUAL(stoker_format_encode(f, x, block, 255), -EINVAL);
	}
}

/* Rows are what they'd be alone; what can't be encoded is refused, each with its own error. */
static void test_encode_rows(void)
{
	static float x[4 * 512], importance[512];
	static uint8_t rows[4 * 512 * 4], row[512 * 4];

	random_seed(7);
	for (size_t i = 0; i < ARRAY_SIZE(x); i++)
		x[i] = random_float();
	for (size_t i = 0; i < ARRAY_SIZE(importance); i++)
		importance[i] = (float)(1 + i % 7);
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));) {
		const size_t bytes = stoker_format_bytes(f, 512);

		CU_ASSERT(stoker_format_can_encode(f));
		for (int weighted = 0; weighted < 2; weighted++) {
			const float *w = weighted ? importance : NULL;

			CU_ASSERT_EQUAL(stoker_format_encode_rows(f, x, w, 4, 512, rows), 0);
			for (size_t r = 0; r < 4; r++) {
				CU_ASSERT_EQUAL(stoker_format_encode_rows(f, x + 512 * r, w, 1, 512,
									  row),
						0);
				CU_ASSERT_EQUAL(memcmp(row, rows + bytes * r, bytes), 0);
			}
		}
		CU_ASSERT_EQUAL(stoker_format_encode_rows(f, x, NULL, 0, 512, rows), 0);
		importance[511] = -1;
		CU_ASSERT_EQUAL(stoker_format_encode_rows(f, x, importance, 4, 512, rows), -EDOM);
		importance[511] = NAN;
		CU_ASSERT_EQUAL(stoker_format_encode_rows(f, x, importance, 4, 512, rows), -EDOM);
		importance[511] = 1;
		x[2047] = NAN;
		CU_ASSERT_EQUAL(stoker_format_encode_rows(f, x, NULL, 4, 512, rows), -ERANGE);
		x[2047] = 0;
		if (f->block_values > 1)
			CU_ASSERT_EQUAL(stoker_format_encode_rows(f, x, NULL, 4, 511, rows),
					-EINVAL);
	}
}

static void test_reference_blocks(void)
{
	const char *folder = vectors_folder("formats");
	unsigned checked = 0;

	for (const struct stoker_format *f = NULL; folder && (f = stoker_format_next(f));) {
		AUTO_FREE uint8_t *blocks = NULL;
		AUTO_FREE float *wanted = NULL;
		AUTO_FREE float *got = NULL;
		size_t block_bytes, value_bytes;
		char path[512];

		snprintf(path, sizeof(path), "%s/formats/%s.blocks", folder, f->name);
		blocks = load_file(path, &block_bytes);
		snprintf(path, sizeof(path), "%s/formats/%s.f32", folder, f->name);
		wanted = load_file(path, &value_bytes);
		if (!blocks || !wanted)
			continue; /* there is no file for F32 */
		got = malloc(value_bytes);
		CU_ASSERT_PTR_NOT_NULL_FATAL(got);
		for (int isa = 0; isa < STOKER_ISA_COUNT; isa++) {
			if (!stoker_isa_supported((enum stoker_isa)isa))
				continue;
			stoker_decode(f, (enum stoker_isa)isa, blocks, got, value_bytes / 4);
			if (memcmp(got, wanted, value_bytes)) {
				printf("\n    %s differs", f->name);
				CU_FAIL("not bit-equal");
			}
		}
		checked++;
	}
	if (folder)
		CU_ASSERT_EQUAL(checked, 25);
}

void suite_formats(void)
{
	TEST(test_registry);
	TEST(test_instruction_sets_agree);
	TEST(test_range_of_codes);
	TEST(test_halved_codebook);
	TEST(test_order_of_few_bits);
	TEST(test_few_values_stay);
	TEST(test_quantizer_edges);
	TEST(test_encode_rows);
	TEST(test_reference_blocks);
}
