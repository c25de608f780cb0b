// SPDX-License-Identifier: MIT
/* Experts that are tensors of their own, equally far apart or anywhere in one file or two. */
#include "tiny.h"

#include <unistd.h>

enum { EXPERTS = 5, PROMPT = 9 };

/* Others between them, and an order that no converter has. */
static const char *const crossing[] = { "blk.0.ffn_up.1.weight",
					"blk.0.ffn_gate_inp.weight",
					"blk.0.ffn_up.0.weight",
					"blk.1.ffn_down.3.weight",
					"blk.1.ffn_gate.4.weight",
					"output.weight",
					NULL };

static float *run(const struct tiny *t, uint64_t memory, bool exact)
{
	struct stoker_error err;
	float *logits;

	tiny_write(tiny_path(), t);
	logits = tiny_logits(tiny_path(), PROMPT, memory, exact, &err);
	if (!logits)
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(logits);
	unlink(tiny_path());
	return logits;
}

static void test_same_wherever_they_are(void)
{
	static const char *const formats[] = { "F32", "Q8_0", "Q4_0" };
	static const uint64_t memories[] = { STOKER_MEMORY_MAX, STOKER_MEMORY_MIN };

	for (size_t f = 0; f < ARRAY_SIZE(formats); f++)
		for (int exact = 0; exact < 2; exact++) {
			struct tiny t = { .architecture = "llama",
					  .layers = 3,
					  .experts = EXPERTS,
					  .format = formats[f] };
			AUTO_FREE float *merged = run(&t, STOKER_MEMORY_MAX, exact);

			for (size_t i = 0; i < 4; i++) {
				t.apart = true;
				t.order = i < 2 ? NULL : crossing;
				AUTO_FREE float *apart = run(&t, memories[i % 2], exact);

				CU_ASSERT_EQUAL(memcmp(merged, apart, TINY_ROWS * sizeof(*apart)),
						0);
			}
		}
}

static void test_experts_that_are_not_there(void)
{
	struct tiny t = { .architecture = "llama", .layers = 2, .experts = 4, .apart = true };
	const struct tiny_tensor wrong = { "blk.1.ffn_up.2.weight", { 32, 64 }, 0 };
	const struct tiny_tensor more = { "blk.1.ffn_up.4.weight", { 64, 32 }, 0 };

	t.without = "blk.1.ffn_up.2.weight";
	tiny_expect(&t, -EINVAL, "tensor blk.1.ffn_up.2.weight is missing");
	t.without = "blk.1.ffn_up.0.weight";
	tiny_expect(&t, -EINVAL, "tensor blk.1.ffn_up_exps.weight is missing");
	t.without = NULL;
	t.tensors = &more;
	t.tensor_count = 1;
	tiny_expect(&t, -ENOTSUP, "tensor blk.1.ffn_up.4.weight isn't known");
	t.without = "blk.1.ffn_up.2.weight";
	t.tensors = &wrong;
	tiny_expect(&t, -ENOTSUP, "another type or shape");
}

void suite_scattered(void)
{
	TEST(test_same_wherever_they_are);
	TEST(test_experts_that_are_not_there);
}
