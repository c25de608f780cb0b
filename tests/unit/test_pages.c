// SPDX-License-Identifier: MIT
/* Pages of a session's cache: results don't depend on where they are, nor on what is beside them.
 */
#include <glob.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device/device.h"
#include "session/pages.h"
#include "session/session.h"
#include "tiny.h"

enum { CONTEXT = 1600, BATCH = 37, SINGLES = 5, MOST_PAGES = 25 };

static struct stoker_device *device;
static uint32_t prompt_tokens; /* that are evaluated before single ones */
static const char *file;

/* What is done with a session's pages before the prompt, and before each single token. */
struct way {
	void (*begin)(struct page_table *t);
	void (*step)(struct page_table *t);
	bool maps;
};

static struct mapping {
	void *at;
	size_t bytes;
} mappings[PAGE_KINDS * MOST_PAGES];
static size_t mapped;
static struct stoker_memory elsewhere;

static void write_table(struct page_table *t)
{
	CU_ASSERT_EQUAL_FATAL(pages_write_table(device, t, NULL), 0);
}

static void reverse(struct page_table *t)
{
	for (uint32_t i = 0; i < t->turn / 2; i++) {
		const stoker_address other = t->addresses[i];

		t->addresses[i] = t->addresses[t->turn - 1 - i];
		t->addresses[t->turn - 1 - i] = other;
	}
	for (uint32_t i = t->turn; i < t->count; i++)
		t->addresses[i] = t->addresses[i - t->turn];
	write_table(t);
}

/* Every page goes to where another one was, and the first is somewhere else each time. */
static void move(struct page_table *t)
{
	const stoker_address first = t->count ? t->addresses[0] : 0;
	uint8_t *contents = malloc(t->count * t->page_bytes + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(contents);
	for (uint32_t i = 0; i < t->turn; i++)
		CU_ASSERT_EQUAL(device->ops->read(device, contents + i * t->page_bytes,
						  t->addresses[i], t->page_bytes, NULL),
				0);
	for (uint32_t i = 0; i < t->count; i++)
		t->addresses[i] = i >= t->turn	    ? t->addresses[i - t->turn]
				  : i + 1 < t->turn ? t->addresses[i + 1]
						    : first;
	for (uint32_t i = 0; i < t->turn; i++)
		CU_ASSERT_EQUAL(device->ops->write(device, t->addresses[i],
						   contents + i * t->page_bytes, t->page_bytes,
						   NULL),
				0);
	free(contents);
	write_table(t);
}

/* To mappings of their own, between some that trap. */
static void fence(struct page_table *t)
{
	const size_t unit = (size_t)sysconf(_SC_PAGESIZE), bytes = t->page_bytes + 2 * unit;
	uint8_t *p;

	CU_ASSERT_FATAL(t->count <= MOST_PAGES && t->page_bytes % unit == 0);
	for (uint32_t i = 0; i < t->count; i++) {
		if (i >= t->turn) {
			t->addresses[i] = t->addresses[i - t->turn];
			continue;
		}
		p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CU_ASSERT_FATAL(p != MAP_FAILED);
		mappings[mapped++] = (struct mapping){ p, bytes };
		CU_ASSERT_EQUAL(mprotect(p + unit, t->page_bytes, PROT_READ | PROT_WRITE), 0);
		/* nothing depends on what there was before */
		memset(p + unit, 0xff, t->page_bytes);
		t->addresses[i] = (uintptr_t)p + unit;
	}
	write_table(t);
}

static void unfence(void)
{
	for (; mapped; mapped--)
		munmap(mappings[mapped - 1].at, mappings[mapped - 1].bytes);
}

/* No ring any more: a page for all positions. */
static void unroll(struct page_table *t)
{
	if (t->turn == t->count)
		return;
	CU_ASSERT_EQUAL_FATAL(
		device->ops->memory_create(device, t->count * t->page_bytes, &elsewhere, NULL), 0);
	for (uint32_t i = 0; i < t->count; i++)
		t->addresses[i] = elsewhere.at + i * t->page_bytes;
	write_table(t);
}

static void all_tables(struct stoker_session *s, void (*change)(struct page_table *t))
{
	for (int kind = 0; kind < PAGE_KINDS && change; kind++)
		if (session_tables(s)->of[kind].count)
			change(&session_tables(s)->of[kind]);
}

/* Logits of a prompt's last token and of those after it; @logits has room for all. */
static void evaluate(struct stoker_model *model, const struct way *way, float *logits)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = BATCH };
	const uint32_t vocabulary = model->vocabulary;
	uint32_t tokens[CONTEXT];
	struct stoker_session *s;
	struct stoker_error err;

	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = (i * 7 + i / 11) % MIN(vocabulary, 200u);
	if (stoker_session_create(model, &params, &s, &err)) {
		printf("\n    %s: %s", file, err.message);
		CU_FAIL_FATAL("no session");
	}
	all_tables(s, way->begin);
	for (uint32_t i = 0; i <= SINGLES; i++) {
		if (i)
			all_tables(s, way->step);
		CU_ASSERT_EQUAL(stoker_session_eval(s, i ? tokens + prompt_tokens + i : tokens,
						    i ? 1 : prompt_tokens, STOKER_LOGITS_LAST,
						    NULL),
				0);
		memcpy(logits + (size_t)i * vocabulary, stoker_session_logits(s, 0),
		       vocabulary * sizeof(*logits));
	}
	stoker_session_free(&s);
	unfence();
	device->ops->memory_destroy(device, &elsewhere);
}

static void check_ways(const char *path)
{
	static const struct way ways[] = {
		{ NULL, NULL, false },	 { reverse, NULL, false }, { NULL, move, false },
		{ unroll, NULL, false }, { fence, NULL, true },
	};
	struct stoker_model *model;
	struct stoker_error err;

	file = path;
	if (stoker_model_load(device, path, NULL, &model, &err)) {
		printf("\n    %s", err.message);
		CU_FAIL("a model doesn't load");
		return;
	}
	const size_t bytes = (SINGLES + 1) * model->vocabulary * sizeof(float);
	AUTO_FREE float *wanted = malloc(bytes), *got = malloc(bytes);

	CU_ASSERT_FATAL(wanted && got);
	evaluate(model, &ways[0], wanted);
	for (size_t i = 1; i < ARRAY_SIZE(ways); i++) {
		if (ways[i].maps && !device->runs_at_once)
			continue; /* its memory isn't this process's */
		evaluate(model, &ways[i], got);
		if (memcmp(got, wanted, bytes))
			printf("\n    %s, %s: pages elsewhere, way %zu, change logits", path,
			       device->description, i);
		CU_ASSERT(!memcmp(got, wanted, bytes));
	}
	stoker_model_free(&model);
}

/* A ring of 3 pages for the positions of a window and a batch. */
static const struct tiny_key window[] = { TINY_NUMBER("attention.sliding_window", 45) };
static const struct tiny windowed = {
	.architecture = "gemma3", .layers = 7, .keys = window, .key_count = ARRAY_SIZE(window)
};

/* Full attention, windows whose begin is within a page, a cache of latent vectors. */
static void check_tiny(void)
{
	const struct tiny models[] = {
		{ .architecture = "llama", .layers = 2 },
		windowed,
		{ .architecture = "deepseek2", .layers = 2, .latent = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
		tiny_write(tiny_path(), &models[i]);
		prompt_tokens = device->runs_at_once ? 700 : 260;
		check_ways(tiny_path());
		unlink(tiny_path());
	}
}

/* All architectures, those with recurrent layers among them. */
static void check_vectors(void)
{
	const char *folder = vectors_folder("pages");
	char pattern[512];
	glob_t found;

	if (!folder)
		return;
	snprintf(pattern, sizeof(pattern), "%s/models/*.gguf", folder);
	CU_ASSERT_EQUAL_FATAL(glob(pattern, 0, NULL, &found), 0);
	prompt_tokens = 130;
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_ways(found.gl_pathv[i]);
	globfree(&found);
}

static void test_placing(void)
{
	static const struct {
		const char *name;
		bool exact;
	} devices[] = { { "cpu", false }, { "cpu", true }, { "vulkan", false } };

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT,
							     .name = devices[i].name, .threads = 2,
							     .exact = devices[i].exact };

		if (!strcmp(params.name, "vulkan") && !vulkan_is_here())
			continue;
		CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
		check_tiny();
		if (!params.exact)
			check_vectors();
		stoker_device_close(&device);
	}
}

/* A session goes back as far as a ring reaches, and says where that ends. */
static void test_going_back(void)
{
	const struct stoker_device_params cpu = { STOKER_DEVICE_PARAMS_INIT, .threads = 1,
						  .exact = true };
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT, .batch = BATCH };
	const uint32_t all = 700;
	uint32_t tokens[CONTEXT], reached = 0;
	float wanted[TINY_ROWS];
	struct stoker_model *model;
	struct stoker_session *s;

	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = (i * 7 + i / 11) % TINY_ROWS;
	tiny_write(tiny_path(), &windowed);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&cpu, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, tiny_path(), NULL, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &s, NULL), 0);
	CU_ASSERT_EQUAL(session_tables(s)->of[PAGES_WINDOW].turn, 3);
	CU_ASSERT_EQUAL(session_tables(s)->of[PAGES_FULL].turn, (CONTEXT + 63) / 64);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, all, STOKER_LOGITS_LAST, NULL), 0);
	memcpy(wanted, stoker_session_logits(s, 0), sizeof(wanted));
	for (uint32_t back = 1; back < all; back++) {
		if (stoker_session_truncate(s, all - back, NULL) == -ENOTSUP) {
			CU_ASSERT_EQUAL(stoker_session_position(s), all);
			continue;
		}
		CU_ASSERT_EQUAL(stoker_session_position(s), all - back);
		CU_ASSERT_EQUAL(reached, back - 1); /* all that are nearer can be reached, too */
		reached = back;
		/* token by token, as rows of a batch needn't have the same bits */
		for (uint32_t i = all - back; i < all; i++)
			CU_ASSERT_EQUAL(
				stoker_session_eval(s, tokens + i, 1, STOKER_LOGITS_LAST, NULL), 0);
		for (uint32_t i = 0; i < TINY_ROWS; i++)
			CU_ASSERT_DOUBLE_EQUAL(stoker_session_logits(s, 0)[i], wanted[i], 1e-3);
	}
	CU_ASSERT(reached >= BATCH && reached < 3 * KV_PAGE_ROWS);
	CU_ASSERT_EQUAL(stoker_session_truncate(s, 0, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, all, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT(!memcmp(stoker_session_logits(s, 0), wanted, sizeof(wanted)));
	stoker_session_free(&s);
	stoker_model_free(&model);
	stoker_device_close(&device);
	unlink(tiny_path());
}

/* Caches of real models' shapes, F16, at 131,072 positions, in MiB. */
static void test_shapes(void)
{
	static const struct {
		uint32_t layers, period, kv_heads, head, window, most;
	} shapes[] = {
		{ 48, 6, 8, 256, 1024, 8704 }, /* Gemma 3 12B */
		{ 24, 2, 8, 64, 128, 3174 },   /* gpt-oss-20b */
	};

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct stoker_model m = { .layer_count = shapes[i].layers };

		m.layers = calloc(m.layer_count, sizeof(*m.layers));
		CU_ASSERT_PTR_NOT_NULL_FATAL(m.layers);
		for (uint32_t l = 0; l < m.layer_count; l++) {
			m.layers[l].mixer = MIXER_ATTENTION;
			m.layers[l].kv_heads = shapes[i].kv_heads;
			m.layers[l].key_size = m.layers[l].value_size = shapes[i].head;
			m.layers[l].window = (l + 1) % shapes[i].period ? shapes[i].window : 0;
		}
		const struct kv_formats kv = { STOKER_KV_F16, STOKER_KV_F16 };
		const struct cache_size size = model_cache_size(&m, kv, 131072, 512, NULL);

		CU_ASSERT(cache_bytes(&size) >> 20 <= shapes[i].most);
		/* a small batch doesn't cost going back by an answer */
		CU_ASSERT((model_cache_size(&m, kv, 131072, 1, NULL).ring - 1) * KV_PAGE_ROWS >=
			  shapes[i].window + 300);
		/* and all positions where a ring saves little */
		CU_ASSERT_EQUAL(model_cache_size(&m, kv, 2048, 512, NULL).ring, 0);
		free(m.layers);
	}
}

void suite_pages(void)
{
	TEST(test_shapes);
	TEST(test_placing);
	TEST(test_going_back);
}
