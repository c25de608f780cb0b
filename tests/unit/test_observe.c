// SPDX-License-Identifier: MIT
/* What an observer of a device sees of a model's products. */
#include "tiny.h"

#include <math.h>
#include <unistd.h>

#include <stoker/unstable/observe.h>

enum { LAYERS = 2, EXPERTS = 5, PROMPT = 9, NAMES = 64 };

/* Of each tensor: rows that its matrices were multiplied with, and the sum of their squares. */
struct seen {
	char name[64];
	uint32_t columns, matrices, rows;
	double squares;
};

struct watch {
	struct seen seen[NAMES];
	size_t count;
	float *logits;
};

static void see(void *context, const struct stoker_product *p)
{
	struct watch *w = context;
	struct seen *s = w->seen;

	while (s < w->seen + w->count && strcmp(s->name, p->tensor) != 0)
		s++;
	CU_ASSERT_FATAL(s < w->seen + NAMES);
	if (s == w->seen + w->count) {
		snprintf(s->name, sizeof(s->name), "%s", p->tensor);
		s->columns = p->columns;
		s->matrices = p->matrices;
		w->count++;
	}
	CU_ASSERT_EQUAL(s->columns, p->columns);
	CU_ASSERT(p->matrix < p->matrices);
	s->rows += p->rows;
	for (uint32_t r = 0; r < p->rows; r++)
		for (uint32_t i = 0; i < p->columns; i++)
			s->squares += pow((double)p->x[r * p->stride + i], 2);
}

static const struct seen *find(const struct watch *w, const char *name)
{
	for (size_t i = 0; i < w->count; i++)
		if (!strcmp(w->seen[i].name, name))
			return &w->seen[i];
	return NULL;
}

static void run(const struct tiny *t, uint64_t memory, unsigned threads, bool exact, bool watching,
		struct watch *w)
{
	const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT, .threads = threads,
						     .exact = exact };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .memory = memory };
	const struct stoker_observer observer = { .product = see, .user = w };
	struct stoker_device *d;
	struct stoker_model *m;
	struct stoker_session *s;
	struct stoker_error err;
	uint32_t tokens[PROMPT];

	*w = (struct watch){ .logits = calloc(TINY_ROWS, sizeof(float)) };
	for (uint32_t i = 0; i < PROMPT; i++)
		tokens[i] = (i * 7 + 3) % TINY_ROWS;
	tiny_write(tiny_path(), t);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device, &d, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(d, tiny_path(), &params, &m, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(m, NULL, &s, &err), 0);
	if (watching)
		CU_ASSERT_EQUAL(stoker_device_observe(d, &observer, &err), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, PROMPT, STOKER_LOGITS_LAST, &err), 0);
	memcpy(w->logits, stoker_session_logits(s, 0), TINY_ROWS * sizeof(float));
	/* what comes after it ended isn't seen */
	CU_ASSERT_EQUAL(stoker_device_observe(d, NULL, &err), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 1, STOKER_LOGITS_LAST, &err), 0);
	stoker_session_free(&s);
	stoker_model_free(&m);
	stoker_device_close(&d);
	unlink(tiny_path());
}

/* The rows of every product, whatever they are read as, and that seeing them changes nothing. */
static void test_dense(void)
{
	static const char *const formats[] = { "F32", "Q8_0", "Q4_0" };
	static const char *const names[] = { "attn_q",	 "attn_k", "attn_v",  "attn_output",
					     "ffn_gate", "ffn_up", "ffn_down" };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(formats); i++) {
		const struct tiny t = { .architecture = "llama",
					.layers = LAYERS,
					.format = formats[i / 2] };
		struct watch off, on;

		run(&t, 0, 1 + i % 2, i % 2, false, &off);
		run(&t, 0, 1 + i % 2, i % 2, true, &on);
		CU_ASSERT_EQUAL(off.count, 0);
		CU_ASSERT_EQUAL(memcmp(off.logits, on.logits, TINY_ROWS * sizeof(float)), 0);
		for (size_t k = 0; k < LAYERS * ARRAY_SIZE(names); k++) {
			char name[64];

			snprintf(name, sizeof(name), "blk.%zu.%s.weight", k / ARRAY_SIZE(names),
				 names[k % ARRAY_SIZE(names)]);
			const struct seen *s = find(&on, name);

			CU_ASSERT_PTR_NOT_NULL_FATAL(s);
			CU_ASSERT_EQUAL(s->rows, PROMPT);
			CU_ASSERT_EQUAL(s->matrices, 1);
			CU_ASSERT(s->squares > 0 && isfinite(s->squares));
		}
		CU_ASSERT_EQUAL(find(&on, "blk.0.attn_q.weight")->squares,
				find(&on, "blk.0.attn_k.weight")->squares);
		free(off.logits);
		free(on.logits);
	}
}

/* Each expert sees the rows that chose it, in memory or paged, together or apart. */
static void test_experts(void)
{
	struct watch first = { .count = 0 }, w;

	for (int i = 0; i < 8; i++) {
		const struct tiny t = { .architecture = "llama",
					.layers = LAYERS,
					.experts = EXPERTS,
					.apart = i & 1,
					.format = "Q8_0" };
		const char *up = t.apart ? "blk.1.ffn_up.0.weight" : "blk.1.ffn_up_exps.weight",
			   *down = t.apart ? "blk.1.ffn_down.0.weight"
					   : "blk.1.ffn_down_exps.weight";

		run(&t, i & 2 ? STOKER_MEMORY_MIN : STOKER_MEMORY_MAX, 1 + (i & 4) / 4, false, true,
		    &w);
		CU_ASSERT_PTR_NOT_NULL_FATAL(find(&w, up));
		CU_ASSERT_PTR_NOT_NULL_FATAL(find(&w, down));
		CU_ASSERT_EQUAL(find(&w, up)->rows, 2 * PROMPT);
		CU_ASSERT_EQUAL(find(&w, down)->rows, 2 * PROMPT);
		CU_ASSERT_EQUAL(find(&w, down)->matrices, EXPERTS);
		if (!i) {
			first = w;
			continue;
		}
		CU_ASSERT_DOUBLE_EQUAL(find(&w, down)->squares,
				       find(&first, "blk.1.ffn_down_exps.weight")->squares,
				       1e-9 * find(&w, down)->squares);
		free(w.logits);
	}
	free(first.logits);
}

static void test_refusals(void)
{
	const struct stoker_observer observer = { .product = see };
	struct stoker_error err;

	CU_ASSERT_EQUAL(stoker_device_observe(NULL, &observer, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_device_observe(NULL, NULL, NULL), -EINVAL);
}

void suite_observe(void)
{
	TEST(test_dense);
	TEST(test_experts);
	TEST(test_refusals);
}
