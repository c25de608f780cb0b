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

enum { CONTEXT = 800, BATCH = 37, SINGLES = 5, MOST_PAGES = 16 };

static struct stoker_device *device;
static uint32_t prompt_tokens; /* that are evaluated before single ones */
static const char *file;

/* What is done with a session's pages before the prompt, and before each single token. */
struct way {
	void (*begin)(struct pages *p);
	void (*step)(struct pages *p);
	void (*end)(void);
};

static uint8_t *mappings[MOST_PAGES];
static size_t mapped;

static void write_table(const struct pages *p)
{
	CU_ASSERT_EQUAL_FATAL(pages_write_table(device, p, NULL), 0);
}

static void reverse(struct pages *p)
{
	for (uint32_t i = 0; i < p->count / 2; i++) {
		const stoker_address other = p->addresses[i];

		p->addresses[i] = p->addresses[p->count - 1 - i];
		p->addresses[p->count - 1 - i] = other;
	}
	write_table(p);
}

/* Every page goes to where another one was, and the first is somewhere else each time. */
static void move(struct pages *p)
{
	const stoker_address first = p->count ? p->addresses[0] : 0;
	uint8_t *contents = malloc(p->count * p->page_bytes + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(contents);
	for (uint32_t i = 0; i < p->count; i++)
		CU_ASSERT_EQUAL(device->ops->read(device, contents + i * p->page_bytes,
						  p->addresses[i], p->page_bytes, NULL),
				0);
	for (uint32_t i = 0; i < p->count; i++)
		p->addresses[i] = i + 1 < p->count ? p->addresses[i + 1] : first;
	for (uint32_t i = 0; i < p->count; i++)
		CU_ASSERT_EQUAL(device->ops->write(device, p->addresses[i],
						   contents + i * p->page_bytes, p->page_bytes,
						   NULL),
				0);
	free(contents);
	write_table(p);
}

/* To mappings of their own, between some that trap. */
static void fence(struct pages *p)
{
	const size_t unit = (size_t)sysconf(_SC_PAGESIZE);

	mapped = p->page_bytes + 2 * unit;
	CU_ASSERT_FATAL(p->count <= MOST_PAGES && p->page_bytes % unit == 0);
	for (uint32_t i = 0; i < p->count; i++) {
		mappings[i] = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CU_ASSERT_FATAL(mappings[i] != MAP_FAILED);
		CU_ASSERT_EQUAL(mprotect(mappings[i] + unit, p->page_bytes, PROT_READ | PROT_WRITE),
				0);
		/* nothing depends on what there was before */
		memset(mappings[i] + unit, 0xff, p->page_bytes);
		p->addresses[i] = (uintptr_t)mappings[i] + unit;
	}
	write_table(p);
}

static void unfence(void)
{
	for (uint32_t i = 0; i < MOST_PAGES && mappings[i]; i++)
		munmap(mappings[i], mapped);
	memset(mappings, 0, sizeof(mappings));
}

/* Logits of a prompt's last token and of those after it; @logits has room for all. */
static void evaluate(struct stoker_model *model, const struct way *way, float *logits)
{
	const struct stoker_session_params params = { .context = CONTEXT, .batch = BATCH };
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
	struct pages *p = session_pages(s);

	if (way->begin)
		way->begin(p);
	for (uint32_t i = 0; i <= SINGLES; i++) {
		if (i && way->step)
			way->step(p);
		CU_ASSERT_EQUAL(stoker_session_eval(s, i ? tokens + prompt_tokens + i : tokens,
						    i ? 1 : prompt_tokens, STOKER_LOGITS_LAST,
						    NULL),
				0);
		memcpy(logits + (size_t)i * vocabulary, stoker_session_logits(s, 0),
		       vocabulary * sizeof(*logits));
	}
	stoker_session_free(&s);
	if (way->end)
		way->end();
}

static void check_ways(const char *path)
{
	static const struct way ways[] = {
		{ NULL, NULL, NULL },
		{ reverse, NULL, NULL },
		{ NULL, move, NULL },
		{ fence, NULL, unfence },
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
		if (ways[i].end && !device->runs_at_once)
			continue; /* its memory isn't this process's */
		evaluate(model, &ways[i], got);
		if (memcmp(got, wanted, bytes))
			printf("\n    %s, %s: pages elsewhere, way %zu, change logits", path,
			       device->description, i);
		CU_ASSERT(!memcmp(got, wanted, bytes));
	}
	stoker_model_free(&model);
}

/* Full attention, windows whose begin is within a page, a cache of latent vectors. */
static void check_tiny(void)
{
	static const struct tiny_key window[] = {
		TINY_NUMBER("attention.sliding_window", 45),
	};
	const struct tiny models[] = {
		{ .architecture = "llama", .layers = 2 },
		{ .architecture = "gemma3",
		  .layers = 7,
		  .keys = window,
		  .key_count = ARRAY_SIZE(window) },
		{ .architecture = "deepseek2", .layers = 2, .latent = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
		tiny_write(tiny_path(), &models[i]);
		prompt_tokens = device->runs_at_once ? 700 : 190;
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
		const struct stoker_device_params params = { .name = devices[i].name,
							     .threads = 2,
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

void suite_pages(void)
{
	TEST(test_placing);
}
