// SPDX-License-Identifier: MIT
/* Runs the unit suites; with arguments only those named. */
#include "unit.h"

#include <CUnit/Basic.h>
#include <unistd.h>

#include "quant/format.h"

static uint64_t state;
static unsigned skips;

void random_seed(uint64_t seed)
{
	state = seed;
}

uint32_t random_u32(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) ^ (uint32_t)(state >> 12);
}

float random_float(void)
{
	return (float)(int32_t)random_u32() * 0x1p-31f;
}

void skip(const char *what, const char *why)
{
	printf("\n    skipped: %s: %s", what, why);
	skips++;
}

const char *vectors_folder(const char *what)
{
	const char *folder = getenv("STOKER_VECTORS");

	if (!folder)
		folder = "../shared/vectors";
	if (!access(folder, R_OK | X_OK))
		return folder;
	skip(what, "no reference vectors (folder ../shared/vectors or $STOKER_VECTORS)");
	return NULL;
}

const char *vulkan_words(void)
{
	static const char *words;
	struct stoker_device *device;
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };

	if (words)
		return words;
	words = getenv("STOKER_TEST_VULKAN");
	if (!words)
		words = "no-cache,validate";
	setenv("STOKER_VULKAN", words, 1);
	if (stoker_device_open(&params, &device, NULL)) {
		skip("Vulkan validation", "no validation layer (package vulkan-validationlayers)");
		words = "no-cache";
		setenv("STOKER_VULKAN", words, 1);
	} else {
		stoker_device_close(&device);
	}
	return words;
}

bool vulkan_is_here(void)
{
	static int here = -1;
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };
	struct stoker_device *device;
	struct stoker_error err;

	if (here < 0) {
		here = !stoker_device_open(&params, &device, &err);
		if (here) {
			printf("\n    %s", stoker_device_description(device));
			stoker_device_close(&device);
			vulkan_words();
		} else {
			skip("Vulkan", err.message);
		}
	}
	return here;
}

long resident_kib(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%*s %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

void *load_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rbe");
	char *data = NULL;
	long size;

	if (!f)
		return NULL;
	if (!fseek(f, 0, SEEK_END) && (size = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET)) {
		data = malloc((size_t)size + 1);
		if (data && fread(data, 1, (size_t)size, f) == (size_t)size) {
			data[size] = 0;
			*bytes = (size_t)size;
		} else {
			free(data);
			data = NULL;
		}
	}
	fclose(f);
	return data;
}

void random_blocks(const struct stoker_format *format, uint8_t *blocks, size_t count)
{
	for (size_t b = 0; b < count; b++) {
		uint8_t *block = blocks + b * format->block_bytes;

		for (unsigned i = 0; i < format->block_bytes; i++)
			block[i] = (uint8_t)random_u32();
		for (int h = 0; h < 2; h++)
			if (format->halves[h] >= 0)
				store_u16(block + format->halves[h],
					  f32_to_f16(0.02f * random_float()));
		if (!strcmp(format->name, "MXFP4"))
			block[0] = (uint8_t)(120 + random_u32() % 8);
		if (!strcmp(format->name, "NVFP4"))
			for (int i = 0; i < 4; i++)
				block[i] = (uint8_t)(random_u32() % 64);
		if (!strcmp(format->name,
			    "IQ1_M")) /* the scale's exponent is in the last word's top bits */
			block[55] = (uint8_t)(block[55] & 15) | 0x20;
		if (!format->group) {
			const float v = random_float();

			stoker_format_encode(format, &v, block, 1);
		}
	}
}

/* clang-format off */
static const struct {
	const char *name;
	void (*add)(void);
} suites[] = {
	{ "base", suite_base },
	{ "profile", suite_profile },
	{ "formats", suite_formats },
	{ "encoders", suite_encoders },
	{ "gguf", suite_gguf },
	{ "store", suite_store },
	{ "kmod", suite_kmod },
	{ "text", suite_text }, { "template", suite_template },
	{ "grammar", suite_grammar },
	{ "regex", suite_regex },
	{ "schema", suite_schema },
	{ "ops", suite_ops },
	{ "session", suite_session },
	{ "sampler", suite_sampler },
	{ "promises", suite_promises },
	{ "fork", suite_fork },
	{ "locale", suite_locale },
	{ "misuse", suite_misuse },
	{ "sized", suite_sized },
	{ "log", suite_log },
	{ "custom", suite_custom },
	{ "missing-memory", suite_missing_memory },
	{ "lifetimes", suite_lifetimes },
	{ "enumerate", suite_enumerate },
	{ "vulkan", suite_vulkan },
	{ "pager", suite_pager },
	{ "paging", suite_paging },
	{ "pages", suite_pages },
	{ "batch", suite_batch },
	{ "schedules", suite_schedules },
	{ "engine", suite_engine },
	{ "embedding", suite_embedding },
	{ "state", suite_state },
	{ "budget", suite_budget },
	{ "vectors", suite_vectors },
	{ "bench", suite_bench },
	{ "terminal", suite_terminal },
	{ "progress", suite_progress },
	{ "messages", suite_messages },
	{ "generation", suite_generation },
	{ "reasoning", suite_reasoning },
	{ "calls", suite_calls },
	{ "reuse", suite_reuse },
	{ "serve", suite_serve },
	{ "serve_fields", suite_serve_fields },
	{ "serve_chat", suite_serve_chat },
	{ "serve_dialects", suite_serve_dialects },
	{ "serve_prompts", suite_serve_prompts },
	{ "serve_replies", suite_serve_replies },
	{ "serve_responses", suite_serve_responses },
	{ "pool", suite_pool },
	{ "cpus", suite_cpus },
	{ "cache", suite_cache },
	{ "odd_files", suite_odd_files },
	{ "understood", suite_understood },
	{ "formulas", suite_formulas },
	{ "scattered", suite_scattered },
	{ "observe", suite_observe },
	{ "vocabulary", suite_vocabulary },
};
/* clang-format on */

int main(int argc, char **argv)
{
	unsigned failures;

	if (CU_initialize_registry())
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted = wanted || !strcmp(argv[a], suites[i].name);
		if (!wanted)
			continue;
		CU_add_suite(suites[i].name, NULL, NULL);
		suites[i].add();
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures() + CU_get_number_of_failure_records();
	printf("%u tests of reference data skipped\n", skips);
	CU_cleanup_registry();
	return failures ? 1 : 0;
}
