// SPDX-License-Identifier: MIT
/* Several sequences that are computed together: each is what it is alone. */
#include <glob.h>
#include <unistd.h>

#include "device/device.h"
#include "tiny.h"

enum { SEQUENCES = 16, CONTEXT = 200, STEP = 48, CHUNKS = 7 };

/* What a sequence is to evaluate, and the logits of its chunks' last tokens when it is alone. */
struct story {
	uint32_t tokens[CONTEXT], chunks[CHUNKS];
	float *logits;
	uint32_t done, position; /* chunks and tokens so far */
};

static struct stoker_device *device;
static struct stoker_model *model;
static uint32_t vocabulary;
static const char *file;
static struct story stories[SEQUENCES];
static uint32_t told; /* of them */

/* Prompts in one or two chunks, single tokens after them or before. */
static void make_stories(void)
{
	for (uint32_t s = 0; s < told; s++) {
		struct story *t = &stories[s];

		for (uint32_t i = 0; i < CONTEXT; i++)
			t->tokens[i] = random_u32() % MIN(vocabulary, 200u);
		for (uint32_t i = 0; i < CHUNKS; i++)
			t->chunks[i] = i < 2 && random_u32() % 4 ? 1 + random_u32() % 31 : 1;
		t->logits = malloc(CHUNKS * vocabulary * sizeof(float));
		CU_ASSERT_PTR_NOT_NULL_FATAL(t->logits);
	}
}

static void free_stories(void)
{
	for (uint32_t s = 0; s < SEQUENCES; s++)
		free(stories[s].logits);
	memset(stories, 0, sizeof(stories));
}

static void tell_alone(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = STEP };
	struct stoker_session *s;

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &s, NULL), 0);
	for (uint32_t i = 0; i < told; i++) {
		struct story *t = &stories[i];
		const uint32_t *tokens = t->tokens;

		CU_ASSERT_EQUAL(stoker_session_truncate(s, 0, NULL), 0);
		for (uint32_t c = 0; c < CHUNKS; tokens += t->chunks[c++]) {
			CU_ASSERT_EQUAL_FATAL(stoker_session_eval(s, tokens, t->chunks[c],
								  STOKER_LOGITS_LAST, NULL),
					      0);
			memcpy(t->logits + (size_t)c * vocabulary, stoker_session_logits(s, 0),
			       vocabulary * sizeof(float));
		}
	}
	stoker_session_free(&s);
}

/* The largest difference of a row of logits from what the next chunk gave alone. */
static float off_by(const struct story *t, const float *logits)
{
	const float *wanted = t->logits + (size_t)t->done * vocabulary;
	float most = 0;

	if (!logits)
		return INFINITY;
	if (!memcmp(logits, wanted, vocabulary * sizeof(*logits)))
		return 0;
	for (uint32_t i = 0; i < vocabulary; i++)
		most = fmaxf(most, fabsf(logits[i] - wanted[i]));
	return most > 0 ? most : INFINITY; /* NaNs */
}

/* A step of sequences that chance chooses, until all stories are told; how far off the worst is. */
static float tell_together(struct stoker_batch *b, struct stoker_sequence **sequences)
{
	struct stoker_batch_part parts[SEQUENCES];
	uint32_t of[SEQUENCES], left = told * CHUNKS;
	struct stoker_error err;
	float worst = 0;

	for (uint32_t s = 0; s < told; s++)
		stories[s].done = stories[s].position = 0;
	while (left) {
		const uint32_t first = random_u32() % told, often = 1 + random_u32() % 4;
		uint32_t count = 0, rows = 0;

		for (uint32_t i = 0; i < told; i++) {
			const uint32_t s = (first + i) % told;
			struct story *t = &stories[s];

			if (t->done == CHUNKS || random_u32() % often ||
			    rows + t->chunks[t->done] > STEP)
				continue;
			rows += t->chunks[t->done];
			of[count] = s;
			parts[count++] =
				(struct stoker_batch_part){ .sequence = sequences[s],
							    .tokens = t->tokens + t->position,
							    .count = t->chunks[t->done],
							    .logits = STOKER_LOGITS_LAST };
		}
		if (!count)
			continue;
		if (stoker_batch_eval(b, parts, sizeof(*parts), count, &err)) {
			printf("\n    %s: %s", file, err.message);
			CU_FAIL_FATAL("a step fails");
		}
		for (uint32_t i = 0; i < count; i++) {
			struct story *t = &stories[of[i]];

			worst = fmaxf(worst, off_by(t, stoker_batch_logits(b, i)));
			t->position += t->chunks[t->done++];
			CU_ASSERT_EQUAL(stoker_sequence_position(sequences[of[i]]), t->position);
		}
		CU_ASSERT_PTR_NULL(stoker_batch_logits(b, count));
		left -= count;
	}
	return worst;
}

/* So many schedules of the same stories; @limit: how far off they may be. */
static void check_schedules(unsigned schedules, bool deterministic, float limit)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = STEP,
						      .sequences = SEQUENCES,
						      .deterministic = deterministic };
	struct stoker_sequence *sequences[SEQUENCES];
	struct stoker_batch *b;
	float worst = 0;

	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
	for (unsigned i = 0; i < schedules; i++) {
		/* half of the sequences have had a life before */
		for (uint32_t s = 0; s < told; s++)
			if (!i || s % 2)
				CU_ASSERT_EQUAL(stoker_sequence_create(b, &sequences[s], NULL), 0);
		worst = fmaxf(worst, tell_together(b, sequences));
		for (uint32_t s = 0; s < told; s++)
			if (i + 1 == schedules || s % 2)
				stoker_sequence_free(&sequences[s]);
			else
				CU_ASSERT_EQUAL(stoker_sequence_truncate(sequences[s], 0, NULL), 0);
	}
	stoker_batch_free(&b);
	if (worst > limit)
		printf("\n    %s, %s: %g off together", file, device->description, worst);
	CU_ASSERT(worst <= limit);
}

static bool load(const char *path)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_error err;

	file = path;
	if (stoker_model_load(device, path, NULL, &model, &err)) {
		printf("\n    %s", err.message);
		CU_FAIL("a model doesn't load");
		return false;
	}
	stoker_model_info(model, &info);
	vocabulary = info.vocabulary;
	return true;
}

static void check_model(const char *path, unsigned schedules)
{
	if (!load(path))
		return;
	make_stories();
	tell_alone();
	check_schedules(schedules, true, 0);
	/* sums in another order: exact, so that no code is rounded the other way */
	check_schedules(1, false, device->exact ? 2e-3f : INFINITY);
	free_stories();
	stoker_model_free(&model);
}

/* Of a long run: how many schedules, and which models alone. */
static unsigned schedules_or(unsigned usual)
{
	const char *text = getenv("STOKER_TEST_SCHEDULES");

	return text ? (unsigned)strtoul(text, NULL, 10) : usual;
}

static const char *only_models(void)
{
	return getenv("STOKER_TEST_MODELS");
}

static void check_models(unsigned schedules)
{
	const char *folder = vectors_folder("batches");
	char pattern[512];
	glob_t found;

	/* latent and recurrent layers, windows and codes are enough for devices that take long */
	const char *const which =
		device->runs_at_once
			? only_models() ? only_models() : "{models,quantized}/*"
			: "{models/{deepseek2,gpt-oss,lfm2moe,qwen35moe},quantized/*moe*Q4_K_M}";

	told = device->runs_at_once ? SEQUENCES : SEQUENCES / 2;
	for (size_t i = 0; i < TINY_CACHES && !only_models(); i++) {
		tiny_write(tiny_path(), &tiny_caches[i]);
		check_model(tiny_path(), (device->runs_at_once ? 4 : 2) * schedules);
		unlink(tiny_path());
	}
	if (!folder)
		return;
	snprintf(pattern, sizeof(pattern), "%s/%s.gguf", folder, which);
	CU_ASSERT_EQUAL_FATAL(glob(pattern, GLOB_BRACE, NULL, &found), 0);
	CU_ASSERT(found.gl_pathc >= 5 || only_models());
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_model(found.gl_pathv[i], schedules);
	globfree(&found);
}

static void open_device(const char *name, bool exact)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						     .threads = 2, .exact = exact };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
}

static void test_schedules(void)
{
	static const struct {
		const char *name;
		bool exact;
		unsigned schedules;
	} devices[] = { { "cpu", false, 6 }, { "cpu", true, 1 }, { "vulkan", false, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		if (!strcmp(devices[i].name, "vulkan") &&
		    (getenv("STOKER_TEST_SCHEDULES") || !vulkan_is_here()))
			continue;
		random_seed(7);
		open_device(devices[i].name, devices[i].exact);
		check_models(schedules_or(devices[i].schedules));
		stoker_device_close(&device);
	}
}

/* The last logits of @count tokens behind what the sequence has. */
static void go_on(struct stoker_batch *b, struct stoker_sequence *q, const uint32_t *tokens,
		  uint32_t count, float *logits)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct stoker_batch_part part = { .sequence = q,
							.tokens = tokens + i,
							.count = 1,
							.logits = STOKER_LOGITS_LAST };

		CU_ASSERT_EQUAL_FATAL(stoker_batch_eval(b, &part, sizeof(part), 1, NULL), 0);
	}
	memcpy(logits, stoker_batch_logits(b, 0), vocabulary * sizeof(*logits));
}

enum { BRANCHES = 5, TRUNK = 70, BRANCH = 75 };

/* Copies of a sequence, and of a copy, go on differently; one outlives what it came from. */
static void check_copies(const char *path)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = STEP,
						      .sequences = BRANCHES };
	uint32_t tokens[BRANCHES][TRUNK + BRANCH];
	struct stoker_sequence *q[BRANCHES];
	struct stoker_batch *b;
	float *wanted, *got, *unused;
	size_t count;

	if (!load(path))
		return;
	const size_t bytes = vocabulary * sizeof(float);

	wanted = malloc(BRANCHES * bytes);
	got = malloc(bytes);
	unused = malloc(bytes);
	CU_ASSERT_FATAL(wanted && got && unused);
	for (uint32_t i = 0; i < BRANCHES; i++)
		for (uint32_t t = 0; t < TRUNK + BRANCH; t++)
			tokens[i][t] =
				(t < TRUNK ? t * 7 : t * 5 + i * (t + 3)) % MIN(vocabulary, 200u);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &b, NULL), 0);
	for (uint32_t i = 0; i < BRANCHES; i++) {
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &q[i], NULL), 0);
		go_on(b, q[i], tokens[i], TRUNK + BRANCH, wanted + i * vocabulary);
		stoker_sequence_free(&q[i]);
	}
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(b, &q[0], NULL), 0);
	go_on(b, q[0], tokens[0], TRUNK, unused);
	for (uint32_t i = 1; i < BRANCHES; i++) {
		CU_ASSERT_EQUAL_FATAL(stoker_sequence_copy(q[i / 2], &q[i], NULL), 0);
		CU_ASSERT(!memcmp(stoker_sequence_tokens(q[i], &count), tokens[0],
				  TRUNK * sizeof(uint32_t)));
		CU_ASSERT_EQUAL(count, TRUNK);
	}
	for (uint32_t i = 0; i < BRANCHES; i++) {
		go_on(b, q[i], tokens[i] + TRUNK, BRANCH, got);
		if (memcmp(got, wanted + i * vocabulary, bytes))
			printf("\n    %s, %s: copy %u", path, device->description, i);
		CU_ASSERT(!memcmp(got, wanted + i * vocabulary, bytes));
		if (i == 1)
			stoker_sequence_free(&q[0]);
		/* where it can go back it is what it was */
		if (i > 1 && !stoker_sequence_truncate(q[i], TRUNK + 3, NULL)) {
			go_on(b, q[i], tokens[i] + TRUNK + 3, BRANCH - 3, got);
			CU_ASSERT(!memcmp(got, wanted + i * vocabulary, bytes));
		}
	}
	stoker_batch_free(&b); /* goes with its sequences */
	for (uint32_t i = 0; i < BRANCHES; i++)
		stoker_sequence_free(&q[i]);
	free(wanted);
	free(got);
	free(unused);
	stoker_model_free(&model);
}

static void test_copies(void)
{
	const char *folder = vectors_folder("copies of sequences");
	char pattern[512];
	glob_t found;

	for (int vulkan = 0; vulkan < 2; vulkan++) {
		if (vulkan && !vulkan_is_here())
			continue;
		open_device(vulkan ? "vulkan" : "cpu", false);
		tiny_write(tiny_path(), &tiny_caches[TINY_WINDOW]);
		check_copies(tiny_path());
		unlink(tiny_path());
		snprintf(pattern, sizeof(pattern), "%s/models/%s.gguf", folder,
			 vulkan ? "[dl]*" : "*");
		if (folder && !glob(pattern, 0, NULL, &found)) {
			for (size_t i = 0; i < found.gl_pathc; i++)
				check_copies(found.gl_pathv[i]);
			globfree(&found);
		}
		stoker_device_close(&device);
	}
}

void suite_batch(void)
{
	add_batch_calls();
	add_batch_memory();
	add_batch_prefix();
	add_batch_random();
	add_checkpoints();
	add_shift();
	TEST(test_copies);
}

void suite_schedules(void)
{
	TEST(test_schedules);
}
