// SPDX-License-Identifier: MIT
/*
 * Embeddings: multiplied with the output's matrix they are what sessions give as logits, of the
 * last or the first token or, as that is linear, in the mean.
 */
#include <glob.h>
#include <math.h>
#include <unistd.h>

#include "failing.h"
#include "state_memory.h"
#include "stoker/batch.h"
#include "stoker/engine.h"
#include "stoker/state.h"
#include "tiny.h"

enum { COUNT = 40, CONTEXT = 128, STEP = 16, SEQUENCES = 3 };

static const enum stoker_pooling poolings[] = { STOKER_POOLING_MEAN, STOKER_POOLING_LAST,
						STOKER_POOLING_CLS };

static struct stoker_device *device;
static struct stoker_model *model;
static struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
static float *matrix; /* of the output, vocabulary rows */
static uint32_t tokens[CONTEXT];

static void open_device(const char *name)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						     .threads = 2, .exact = 1 };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
}

static void read_matrix(const char *path)
{
	const struct stoker_gguf_tensor *t;
	struct stoker_gguf *gguf;

	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(path, &gguf, NULL), 0);
	t = stoker_gguf_find_tensor(gguf, "output.weight");
	if (!t)
		t = stoker_gguf_find_tensor(gguf, "token_embd.weight");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	AUTO_FREE uint8_t *blocks = malloc(t->bytes);

	matrix = malloc(t->ne[0] * t->ne[1] * sizeof(*matrix));
	CU_ASSERT_FATAL(blocks && matrix && t->ne[0] == info.embedding);
	CU_ASSERT_EQUAL(stoker_gguf_read(gguf, t, 0, blocks, t->bytes, NULL), 0);
	stoker_format_decode(t->format, blocks, matrix, t->ne[0] * t->ne[1]);
	stoker_gguf_close(&gguf);
}

static void load(const char *path)
{
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, path, NULL, &model, NULL), 0);
	stoker_model_info(model, &info);
	read_matrix(path);
	random_seed(5);
	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = random_u32() % info.vocabulary;
}

static void load_tiny(void)
{
	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	load(tiny_path());
	unlink(tiny_path());
}

static void unload(void)
{
	free(matrix);
	stoker_model_free(&model);
}

static struct stoker_session *session_of(enum stoker_pooling pooling)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT,
						      .batch = pooling ? STEP : CONTEXT,
						      .pooling = pooling };
	struct stoker_session *s = NULL;

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &s, NULL), 0);
	return s;
}

static void go_on(struct stoker_session *s, uint32_t count)
{
	CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, tokens + stoker_session_position(s), count,
						  STOKER_LOGITS_NONE, NULL),
			      0);
}

static bool near(const float *a, const float *b, size_t count, double tolerance)
{
	double most = 0, apart = 0;

	for (size_t i = 0; i < count; i++) {
		most = fmax(most, fabs((double)b[i]));
		apart = fmax(apart, fabs((double)(a[i] - b[i])));
	}
	return most > 0 && apart <= tolerance * most;
}

/* What a session without pooling makes of the first tokens' logits. */
static void pool_logits(enum stoker_pooling pooling, float *pooled)
{
	struct stoker_session *s = session_of(STOKER_POOLING_NONE);

	memset(pooled, 0, info.vocabulary * sizeof(*pooled));
	CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, tokens, COUNT, STOKER_LOGITS_ALL, NULL), 0);
	for (uint32_t r = 0; r < COUNT; r++) {
		const float *row = stoker_session_logits(s, r);
		const float part = pooling == STOKER_POOLING_MEAN   ? 1.0f / COUNT
				   : pooling == STOKER_POOLING_LAST ? r == COUNT - 1
								    : r == 0;

		for (uint32_t i = 0; i < info.vocabulary; i++)
			pooled[i] += part * row[i];
	}
	stoker_session_free(&s);
}

static void check_product(enum stoker_pooling pooling)
{
	struct stoker_session *s = session_of(pooling);
	AUTO_FREE float *embedding = malloc(info.embedding * sizeof(float));
	AUTO_FREE float *unit = malloc(info.embedding * sizeof(float));
	AUTO_FREE float *logits = malloc(info.vocabulary * sizeof(float));
	AUTO_FREE float *pooled = malloc(info.vocabulary * sizeof(float));
	double squares = 0;

	go_on(s, COUNT - 1);
	go_on(s, 1);
	CU_ASSERT_PTR_NULL(stoker_session_logits(s, 0));
	CU_ASSERT_EQUAL_FATAL(stoker_session_embedding(s, 0, embedding, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_embedding(s, 1, unit, NULL), 0);
	for (uint32_t r = 0; r < info.vocabulary; r++) {
		double sum = 0;

		for (uint32_t i = 0; i < info.embedding; i++)
			sum += (double)matrix[(size_t)r * info.embedding + i] *
			       (double)embedding[i];
		logits[r] = (float)sum;
	}
	pool_logits(pooling, pooled);
	CU_ASSERT(near(logits, pooled, info.vocabulary, 2e-4));
	const float scale = unit[0] / embedding[0];

	for (uint32_t i = 0; i < info.embedding; i++)
		squares += (double)unit[i] * (double)unit[i];
	CU_ASSERT(fabs(squares - 1) < 1e-5);
	for (uint32_t i = 0; i < info.embedding; i++)
		embedding[i] *= scale;
	CU_ASSERT(near(unit, embedding, info.embedding, 1e-4));
	stoker_session_free(&s);
}

static void check_model(const char *path)
{
	load(path);
	for (size_t i = 0; i < ARRAY_SIZE(poolings); i++)
		check_product(poolings[i]);
	unload();
}

static void test_architectures(void)
{
	const char *folder = vectors_folder("embeddings of all architectures");
	char pattern[512];
	glob_t found;

	for (int vulkan = 0; vulkan < 2; vulkan++) {
		if (vulkan && !vulkan_is_here())
			continue;
		open_device(vulkan ? "vulkan" : "cpu");
		for (size_t i = 0; i < TINY_CACHES; i++) {
			tiny_write(tiny_path(), &tiny_caches[i]);
			check_model(tiny_path());
			unlink(tiny_path());
		}
		snprintf(pattern, sizeof(pattern), "%s/models/*.gguf", folder);
		if (folder && !glob(pattern, 0, NULL, &found)) {
			for (size_t i = 0; i < found.gl_pathc; i++)
				check_model(found.gl_pathv[i]);
			globfree(&found);
		}
		stoker_device_close(&device);
	}
}

/* Sequences of different lengths in the same steps have what they have alone. */
static void check_together(enum stoker_pooling pooling)
{
	static const uint32_t ends[SEQUENCES][2] = { { 3, 5 }, { 1, 11 }, { 7, 10 } };
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = STEP,
						      .sequences = SEQUENCES + 1,
						      .pooling = pooling };
	struct stoker_sequence *q[SEQUENCES + 1];
	struct stoker_batch_part parts[SEQUENCES];
	struct stoker_session *s = session_of(pooling);
	struct stoker_batch *b;
	float got[TINY_EMBEDDING], wanted[TINY_EMBEDDING];

	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
	for (int i = 0; i < SEQUENCES; i++)
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &q[i], NULL), 0);
	for (int step = 0; step < 2; step++) {
		for (int i = 0; i < SEQUENCES; i++) {
			const uint32_t at = stoker_sequence_position(q[i]);

			parts[i] = (struct stoker_batch_part){ .sequence = q[i],
							       .tokens = tokens + 20 * i + at,
							       .count = ends[i][step] - at };
		}
		CU_ASSERT_EQUAL_FATAL(stoker_batch_eval(b, parts, sizeof(*parts), SEQUENCES, NULL),
				      0);
	}
	CU_ASSERT_PTR_NULL(stoker_batch_logits(b, 0));
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_copy(q[0], &q[SEQUENCES], NULL), 0);
	for (int i = 0; i <= SEQUENCES; i++) {
		const int of = i % SEQUENCES;

		CU_ASSERT_EQUAL(stoker_session_truncate(s, 0, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, tokens + 20 * of, ends[of][1],
							  STOKER_LOGITS_NONE, NULL),
				      0);
		CU_ASSERT_EQUAL(stoker_session_embedding(s, 1, wanted, NULL), 0);
		CU_ASSERT_EQUAL(stoker_sequence_embedding(q[i], 1, got, NULL), 0);
		CU_ASSERT(near(got, wanted, TINY_EMBEDDING, 1e-4));
	}
	for (int i = 0; i <= SEQUENCES; i++)
		stoker_sequence_free(&q[i]);
	stoker_batch_free(&b);
	stoker_session_free(&s);
}

static void test_together(void)
{
	for (int vulkan = 0; vulkan < 2; vulkan++) {
		if (vulkan && !vulkan_is_here())
			continue;
		open_device(vulkan ? "vulkan" : "cpu");
		load_tiny();
		for (size_t i = 0; i < ARRAY_SIZE(poolings); i++)
			check_together(poolings[i]);
		unload();
		stoker_device_close(&device);
	}
}

/* Whether it has one, and with @like the same one. */
static void expect(struct stoker_session *s, bool known, const float *like)
{
	struct stoker_error err = { .message = "" };
	float embedding[TINY_EMBEDDING];
	const int ret = stoker_session_embedding(s, 0, embedding, &err);

	CU_ASSERT_EQUAL(ret, known ? 0 : -EINVAL);
	CU_ASSERT(known || strstr(err.message, "embedding"));
	if (known && like)
		CU_ASSERT(near(embedding, like, TINY_EMBEDDING, 1e-4));
}

/* What is left of it when the context is cut, shifted, saved and restored. */
static void check_cut(enum stoker_pooling pooling)
{
	const bool first = pooling == STOKER_POOLING_CLS, last = pooling == STOKER_POOLING_LAST;
	struct stoker_session *s = session_of(pooling);
	struct state_memory m = state_memory_make();
	float whole[TINY_EMBEDDING];

	expect(s, false, NULL);
	go_on(s, 30);
	CU_ASSERT_EQUAL(stoker_session_embedding(s, 0, whole, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_save(s, state_memory_write, &m, NULL), 0);
	expect(s, true, whole);
	CU_ASSERT_EQUAL(stoker_session_truncate(s, 30, NULL), 0);
	expect(s, true, whole);
	CU_ASSERT_EQUAL(stoker_session_truncate(s, 20, NULL), 0);
	expect(s, first, NULL);
	go_on(s, 10);
	expect(s, first || last, whole);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 5, 10, 1, NULL), 0);
	expect(s, first, NULL);
	CU_ASSERT_EQUAL(stoker_session_remove(s, 0, 2, 1, NULL), 0);
	expect(s, false, NULL);
	go_on(s, 1);
	expect(s, last, NULL);
	CU_ASSERT_EQUAL(stoker_session_truncate(s, 0, NULL), 0);
	expect(s, false, NULL);
	go_on(s, 30);
	expect(s, true, whole);
	CU_ASSERT_EQUAL(stoker_session_truncate(s, 0, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_restore(s, state_memory_read, &m, m.bytes, NULL), 0);
	expect(s, false, NULL);
	go_on(s, 3);
	expect(s, last, NULL);
	stoker_session_free(&s);
	free(m.data);
}

static void test_cut(void)
{
	open_device("cpu");
	load_tiny();
	for (size_t i = 0; i < ARRAY_SIZE(poolings); i++)
		check_cut(poolings[i]);
	unload();
	stoker_device_close(&device);
}

/* With what others have computed there is a last token, but no mean. */
static void test_shared(void)
{
	open_device("cpu");
	load_tiny();
	for (size_t i = 0; i < ARRAY_SIZE(poolings); i++) {
		const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
							      .context = CONTEXT, .batch = CONTEXT,
							      .sequences = 2,
							      .pooling = poolings[i] };
		const bool last = poolings[i] == STOKER_POOLING_LAST;
		struct stoker_sequence *q, *r;
		struct stoker_batch *b;
		uint32_t known = 1;

		CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &q, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &r, NULL), 0);
		const struct stoker_batch_part part = { .sequence = q,
							.tokens = tokens,
							.count = 70 };

		CU_ASSERT_EQUAL(stoker_batch_eval(b, &part, sizeof(part), 1, NULL), 0);
		CU_ASSERT_EQUAL(stoker_sequence_share(q, 1, NULL), 0);
		CU_ASSERT_EQUAL(stoker_sequence_reuse(r, tokens, 70, 1, &known, NULL), 0);
		CU_ASSERT_EQUAL(known, last ? 64 : 0);
		stoker_sequence_free(&q);
		stoker_sequence_free(&r);
		stoker_batch_free(&b);
	}
	unload();
	stoker_device_close(&device);
}

static void test_misuse(void)
{
	const struct stoker_session_params unknown = { STOKER_SESSION_PARAMS_INIT, .pooling = 4 };
	const struct stoker_session_params mean = { STOKER_SESSION_PARAMS_INIT,
						    .pooling = STOKER_POOLING_MEAN };
	const struct stoker_engine_params pooled = { STOKER_ENGINE_PARAMS_INIT, .session = &mean };
	float embedding[TINY_EMBEDDING];
	struct stoker_engine *engine;
	struct stoker_session *s;
	struct stoker_error err;

	open_device("cpu");
	load_tiny();
	CU_ASSERT_EQUAL(info.embedding, TINY_EMBEDDING);
	CU_ASSERT_EQUAL(stoker_session_create(model, &unknown, &s, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "pooling 4"));
	CU_ASSERT_EQUAL(stoker_engine_create(model, &pooled, &engine, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "no embeddings"));
	s = session_of(STOKER_POOLING_NONE);
	go_on(s, 3);
	CU_ASSERT_EQUAL(stoker_session_embedding(s, 0, embedding, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "asked for"));
	stoker_session_free(&s);
	s = session_of(STOKER_POOLING_MEAN);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 3, STOKER_LOGITS_LAST, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "no logits"));
	go_on(s, 3);
	CU_ASSERT_EQUAL(stoker_session_embedding(s, 0, NULL, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_session_embedding(NULL, 0, embedding, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sequence_embedding(NULL, 0, embedding, &err), -EINVAL);
	stoker_session_free(&s);
	unload();
	stoker_device_close(&device);
}

static int run_once(float *embedding, struct stoker_error *err)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = STEP,
						      .pooling = STOKER_POOLING_MEAN };
	struct stoker_session *s;
	int ret = stoker_session_create(model, &params, &s, err);

	if (ret)
		return ret;
	ret = stoker_session_eval(s, tokens, COUNT, STOKER_LOGITS_NONE, err);
	if (!ret)
		ret = stoker_session_embedding(s, 1, embedding, err);
	stoker_session_free(&s);
	return ret;
}

static void test_allocations(void)
{
	float embedding[TINY_EMBEDDING];
	struct stoker_error err;
	unsigned failed = 0;
	bool more = true;

	open_device("cpu");
	failing_device(device);
	load_tiny();
	for (unsigned n = 0; more; n++) {
		failing_after(n);
		const int ret = run_once(embedding, &err);

		more = failing_end();
		failed += more;
		CU_ASSERT_EQUAL(ret, more ? -ENOMEM : 0);
	}
	CU_ASSERT(failed >= 8);
	unload();
	stoker_device_close(&device);
}

void suite_embedding(void)
{
	TEST(test_architectures);
	TEST(test_together);
	TEST(test_cut);
	TEST(test_shared);
	TEST(test_misuse);
	TEST(test_allocations);
}
