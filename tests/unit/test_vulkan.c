// SPDX-License-Identifier: MIT
/* The Vulkan device when things go wrong, and what it leaves behind. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "device/vulkan/tuning.h"

static const char model_path[] = "tests/data/containers/plain.gguf";

static struct VolkDeviceTable real;
static _Atomic long calls, fail_at; /* the call of that number fails; -1: none */
static VkResult failure;
static _Atomic long memories, buffers, pipelines, command_buffers; /* alive */

static bool fails(void)
{
	return calls++ == fail_at;
}

/* A function that fails when it is its turn, and otherwise counts what it made. */
#define FAKE(name, parameters, arguments, alive)                                 \
	static VkResult VKAPI_PTR fake_##name parameters                         \
	{                                                                        \
		const VkResult result = fails() ? failure : real.name arguments; \
                                                                                 \
		if (result == VK_SUCCESS) {                                      \
			alive;                                                   \
		}                                                                \
		return result;                                                   \
	}

FAKE(vkAllocateMemory,
     (VkDevice d, const VkMemoryAllocateInfo *i, const VkAllocationCallbacks *c, VkDeviceMemory *m),
     (d, i, c, m), memories++)
FAKE(vkCreateBuffer,
     (VkDevice d, const VkBufferCreateInfo *i, const VkAllocationCallbacks *c, VkBuffer *b),
     (d, i, c, b), buffers++)
FAKE(vkBindBufferMemory, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize at),
     (d, b, m, at), )
FAKE(vkMapMemory,
     (VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize n, VkMemoryMapFlags f, void **p),
     (d, m, at, n, f, p), )
FAKE(vkGetMemoryHostPointerPropertiesEXT,
     (VkDevice d, VkExternalMemoryHandleTypeFlagBits h, const void *at,
      VkMemoryHostPointerPropertiesEXT *p),
     (d, h, at, p), )
FAKE(vkCreateCommandPool,
     (VkDevice d, const VkCommandPoolCreateInfo *i, const VkAllocationCallbacks *c,
      VkCommandPool *p),
     (d, i, c, p), )
FAKE(vkAllocateCommandBuffers,
     (VkDevice d, const VkCommandBufferAllocateInfo *i, VkCommandBuffer *b), (d, i, b),
     command_buffers++)
FAKE(vkBeginCommandBuffer, (VkCommandBuffer b, const VkCommandBufferBeginInfo *i), (b, i), )
FAKE(vkEndCommandBuffer, (VkCommandBuffer b), (b), )
FAKE(vkQueueSubmit, (VkQueue q, uint32_t n, const VkSubmitInfo *i, VkFence f), (q, n, i, f), )
FAKE(vkWaitSemaphores, (VkDevice d, const VkSemaphoreWaitInfo *i, uint64_t ns), (d, i, ns), )
FAKE(vkCreateSemaphore,
     (VkDevice d, const VkSemaphoreCreateInfo *i, const VkAllocationCallbacks *c, VkSemaphore *s),
     (d, i, c, s), )
FAKE(vkCreateShaderModule,
     (VkDevice d, const VkShaderModuleCreateInfo *i, const VkAllocationCallbacks *c,
      VkShaderModule *m),
     (d, i, c, m), )
FAKE(vkCreateComputePipelines,
     (VkDevice d, VkPipelineCache k, uint32_t n, const VkComputePipelineCreateInfo *i,
      const VkAllocationCallbacks *c, VkPipeline *p),
     (d, k, n, i, c, p), pipelines++)
FAKE(vkCreatePipelineLayout,
     (VkDevice d, const VkPipelineLayoutCreateInfo *i, const VkAllocationCallbacks *c,
      VkPipelineLayout *l),
     (d, i, c, l), )

static void VKAPI_PTR fake_vkFreeMemory(VkDevice d, VkDeviceMemory m,
					const VkAllocationCallbacks *c)
{
	memories--;
	real.vkFreeMemory(d, m, c);
}

static void VKAPI_PTR fake_vkDestroyBuffer(VkDevice d, VkBuffer b, const VkAllocationCallbacks *c)
{
	buffers--;
	real.vkDestroyBuffer(d, b, c);
}

static void VKAPI_PTR fake_vkDestroyPipeline(VkDevice d, VkPipeline p,
					     const VkAllocationCallbacks *c)
{
	pipelines--;
	real.vkDestroyPipeline(d, p, c);
}

static void VKAPI_PTR fake_vkFreeCommandBuffers(VkDevice d, VkCommandPool p, uint32_t n,
						const VkCommandBuffer *b)
{
	command_buffers -= n;
	real.vkFreeCommandBuffers(d, p, n, b);
}

static void use_fakes(struct VolkDeviceTable *table)
{
	real = *table;
#define USE(name) table->name = fake_##name
	USE(vkAllocateMemory);
	USE(vkCreateBuffer);
	USE(vkBindBufferMemory);
	USE(vkMapMemory);
	USE(vkGetMemoryHostPointerPropertiesEXT);
	USE(vkCreateCommandPool);
	USE(vkAllocateCommandBuffers);
	USE(vkBeginCommandBuffer);
	USE(vkEndCommandBuffer);
	USE(vkQueueSubmit);
	USE(vkWaitSemaphores);
	USE(vkCreateSemaphore);
	USE(vkCreateShaderModule);
	USE(vkCreateComputePipelines);
	USE(vkCreatePipelineLayout);
	USE(vkFreeMemory);
	USE(vkDestroyBuffer);
	USE(vkDestroyPipeline);
	USE(vkFreeCommandBuffers);
#undef USE
}

static int evaluate(struct stoker_session *s, float *logit, struct stoker_error *err)
{
	static const uint32_t tokens[] = { 1, 2, 3, 4, 5, 6 };
	int ret = stoker_session_truncate(s, 0, NULL);

	if (!ret)
		ret = stoker_session_eval(s, tokens, ARRAY_SIZE(tokens), STOKER_LOGITS_LAST, err);
	/* the second of these is a replay */
	for (int i = 0; i < 2 && !ret; i++)
		ret = stoker_session_eval(s, tokens, 1, STOKER_LOGITS_LAST, err);
	if (!ret)
		*logit = stoker_session_logits(s, 0)[0];
	return ret;
}

/* Opens, loads and runs; what fails is reported, and a device that isn't lost goes on working. */
static int run_all(float *logit, struct stoker_error *err)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };
	struct stoker_device *device;
	struct stoker_model *model = NULL;
	struct stoker_session *session = NULL;
	int ret = stoker_device_open(&params, &device, err);

	if (ret)
		return ret;
	ret = stoker_model_load(device, model_path, NULL, &model, err);
	if (!ret)
		ret = stoker_session_create(model, NULL, &session, err);
	if (!ret) {
		ret = evaluate(session, logit, err);
		if (ret && failure != VK_ERROR_DEVICE_LOST)
			CU_ASSERT_EQUAL(evaluate(session, logit, NULL), 0);
		stoker_session_free(&session);
	}
	stoker_model_free(&model);
	stoker_device_close(&device);
	return ret;
}

/* Every call fails in turn. */
static void fail_each(VkResult result, const char *words)
{
	float expected = 0;
	long total, reported = 0;

	setenv("STOKER_VULKAN", words, 1);
	vulkan_table_hook = use_fakes;
	failure = result;
	fail_at = -1;
	calls = memories = buffers = pipelines = 0;
	CU_ASSERT_EQUAL(run_all(&expected, NULL), 0);
	total = calls;
	CU_ASSERT(total > 50);
	for (fail_at = 0; fail_at < total; fail_at++) {
		struct stoker_error err = { "" };
		float logit = NAN;
		int ret;

		calls = 0;
		ret = run_all(&logit, &err);
		if (ret)
			reported++;
		else
			CU_ASSERT_EQUAL(logit, expected);
		if (ret && !*err.message) {
			printf("\n    call %ld fails without a message", fail_at);
			CU_FAIL("no message");
		}
	}
	/* waits for what has ended before and the like need not matter, most do */
	CU_ASSERT(reported > total * 3 / 4);
	CU_ASSERT(memories == 0 && buffers == 0 && pipelines == 0);
	vulkan_table_hook = NULL;
	setenv("STOKER_VULKAN", vulkan_words(), 1);
}

static void test_failing_calls(void)
{
	if (!vulkan_is_here())
		return;
	fail_each(VK_ERROR_OUT_OF_DEVICE_MEMORY, "no-cache");
	fail_each(VK_ERROR_OUT_OF_HOST_MEMORY, "no-cache,separate");
}

static void test_lost_device(void)
{
	if (!vulkan_is_here())
		return;
	fail_each(VK_ERROR_DEVICE_LOST, "no-cache");
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* @count rows times a matrix, with the variant of products that the device has chosen. */
static void multiply(struct stoker_device *device, const struct stoker_weight *w,
		     stoker_address rows, uint32_t count, float *out)
{
	const struct op_matmul op = { .count = 1,
				      .rows = count,
				      .weight = { w },
				      .dst = { rows + 4 * (uint64_t)count * w->in },
				      .src = rows };

	CU_ASSERT_EQUAL(device->ops->begin(device, NULL), 0);
	device_matmul(device, &op);
	CU_ASSERT_EQUAL(device->ops->submit(device, NULL, NULL), 0);
	CU_ASSERT_EQUAL(
		device->ops->read(device, out, op.dst[0], 4 * (uint64_t)count * w->out, NULL), 0);
}

/*
 * Which variant is chosen is a matter of time, so what is tested is that one is, that the file is
 * read back and not believed, and that variants don't differ in what they compute.
 */
static void tune(const char *words, const char *folder)
{
	enum { IN = 1024, OUT = 2048, ROWS = 16 };
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };
	const struct stoker_format *f = stoker_format_by_name("Q8_0");
	static float x[ROWS * IN], first[ROWS * OUT], other[ROWS * OUT];
	const uint64_t bytes = stoker_row_bytes(f, IN) * OUT;
	uint8_t *blocks = malloc(bytes);
	uint32_t chosen[MATMUL_KINDS];
	struct stoker_weight w = { .format = f, .in = IN, .out = OUT, .count = 1 };
	struct stoker_memory weights, rows;
	struct stoker_device *device;
	char path[300], command[400], first_line[100];
	struct vulkan *v;

	setenv("XDG_CACHE_HOME", folder, 1);
	setenv("STOKER_VULKAN", words, 1);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	v = vulkan_of(device);
	CU_ASSERT_EQUAL(device->ops->memory_create(device, bytes, &weights, NULL), 0);
	CU_ASSERT_EQUAL(device->ops->memory_create(device, 4 * ROWS * (IN + OUT), &rows, NULL), 0);
	random_blocks(f, blocks, bytes / 34);
	for (size_t i = 0; i < ARRAY_SIZE(x); i++)
		x[i] = random_float() - 0.5f;
	CU_ASSERT_EQUAL(device->ops->write(device, weights.at, blocks, bytes, NULL), 0);
	CU_ASSERT_EQUAL(device->ops->write(device, rows.at, x, sizeof(x), NULL), 0);
	w.at = weights.at;
	for (uint32_t count = 1; count <= ROWS; count += ROWS - 1)
		for (uint8_t variant = 1; variant <= (count > 1 ? 4 : 8); variant *= 2) {
			for (int kind = 0; kind < MATMUL_KINDS; kind++)
				vulkan_set_variant(v, f, kind, variant);
			multiply(device, &w, rows.at, count, variant == 1 ? first : other);
			CU_ASSERT(variant == 1 || !memcmp(first, other, 4 * count * OUT));
		}
	for (int kind = 0; kind < MATMUL_KINDS; kind++)
		vulkan_set_variant(v, f, kind, 0);
	device->ops->tune(device, &w);
	for (int kind = 0; kind < MATMUL_KINDS; kind++)
		chosen[kind] = vulkan_variant(v, f, kind);
	CU_ASSERT(chosen[MATMUL_Q8] || chosen[MATMUL_FLOATS]);
	CU_ASSERT(v->emulated || v->tensor || chosen[MATMUL_MANY]);
	device->ops->memory_destroy(device, &weights);
	device->ops->memory_destroy(device, &rows);
	snprintf(path, sizeof(path), "%s", vulkan_tuning_path(v));
	stoker_device_close(&device);

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	v = vulkan_of(device);
	for (int kind = 0; kind < MATMUL_KINDS; kind++)
		CU_ASSERT_EQUAL(chosen[kind], vulkan_variant(v, f, kind));
	device->ops->tune(device, &w); /* which is known */
	CU_ASSERT(!vulkan_tuning_is_new(v));
	stoker_device_close(&device);

	FILE *file = fopen(path, "re");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_PTR_NOT_NULL(fgets(first_line, sizeof(first_line), file));
	fclose(file);
	snprintf(command, sizeof(command),
		 "%sQ8_0 codes 3\nQ8_0 words 2\nQ9_9 codes 2\n"
		 "Q8_0 many 2\nQ8_0 many 8\n\n  \nQ4_0 codes 9999999999\nQ4_0 floats",
		 first_line);
	write_text(path, command);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	v = vulkan_of(device);
	CU_ASSERT_EQUAL(vulkan_variant(v, f, MATMUL_Q8), 0);
	CU_ASSERT_EQUAL(vulkan_variant(v, f, MATMUL_MANY), 2);
	CU_ASSERT_EQUAL(vulkan_variant(v, stoker_format_by_name("Q4_0"), MATMUL_Q8), 0);
	stoker_device_close(&device);
	write_text(path, "stoker 0.0.1\nQ8_0 many 2\n");
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	CU_ASSERT_EQUAL(vulkan_variant(vulkan_of(device), f, MATMUL_MANY), 0);
	stoker_device_close(&device);
	free(blocks);
	snprintf(command, sizeof(command), "rm -r '%s/stoker'", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void test_tuning(void)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	char folder[] = "/tmp/stoker.XXXXXX", before[300] = "";

	if (!vulkan_is_here())
		return;
	if (cache)
		snprintf(before, sizeof(before), "%s", cache);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	tune("", folder);
	tune("as-gpu,no-tensor", folder);
	rmdir(folder);
	if (cache)
		setenv("XDG_CACHE_HOME", before, 1);
	else
		unsetenv("XDG_CACHE_HOME");
	setenv("STOKER_VULKAN", vulkan_words(), 1);
}

/* Memory large enough for huge pages, where they can be had; else of the ordinary kind. */
static void test_large_memory(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };
	const uint64_t bytes = 9 * HUGE_PAGE + 4, last = 0x123456789abcdef0;
	struct stoker_device *device;
	long total = 0;

	if (!vulkan_is_here())
		return;
	vulkan_table_hook = use_fakes;
	failure = VK_ERROR_OUT_OF_HOST_MEMORY;
	fail_at = -1;
	memories = buffers = 0;
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	struct stoker_memory small;
	uint32_t number = 1;

	/* so that what reads and writes may need is there */
	CU_ASSERT_EQUAL(device->ops->memory_create(device, 4, &small, NULL), 0);
	CU_ASSERT_EQUAL(device->ops->write(device, small.at, &number, 4, NULL), 0);
	CU_ASSERT_EQUAL(device->ops->read(device, &number, small.at, 4, NULL), 0);
	device->ops->memory_destroy(device, &small);
	const long memories_before = memories, buffers_before = buffers;

	for (long at = -1; at < total; at++) { /* the first time nothing fails */
		struct stoker_error err = { "" };
		struct stoker_memory m;
		uint64_t back = 0;
		int ret;

		calls = 0;
		fail_at = at;
		ret = device->ops->memory_create(device, bytes, &m, &err);
		if (at < 0)
			total = calls;
		fail_at = -1;
		CU_ASSERT(at >= 0 || !ret);
		if (!ret) {
			CU_ASSERT(m.bytes >= bytes);
			ret = device->ops->write(device, m.at + bytes - 8, &last, 8, &err);
			CU_ASSERT_EQUAL(ret, 0);
			ret = device->ops->read(device, &back, m.at + bytes - 8, 8, &err);
			CU_ASSERT_EQUAL(ret, 0);
			CU_ASSERT_EQUAL(back, last);
		} else {
			CU_ASSERT(*err.message);
			CU_ASSERT_PTR_NULL(m.host);
		}
		device->ops->memory_destroy(device, &m);
		CU_ASSERT(memories == memories_before && buffers == buffers_before);
	}
	CU_ASSERT(total > 2);
	stoker_device_close(&device);
	CU_ASSERT(memories == 0 && buffers == 0);
	vulkan_table_hook = NULL;
}

/* What a batch works in is there when it begins, with experts in memory and on the drive. */
static void test_scratch_is_reserved(void)
{
	static const uint32_t tokens[] = { 1, 39, 37, 32, 45, 72, 75, 207 };
	static const char mixture_path[] = "tools/demo-model/stoker-demo-Q4_K.gguf";
	static const char *const words[] = { "", "as-gpu", "as-gpu,separate" };
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT, .context = 64,
						       .batch = 8 };
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };

	if (!vulkan_is_here())
		return;
	vulkan_table_hook = use_fakes;
	fail_at = -1;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(words); i++) {
		const struct stoker_model_params how = { STOKER_MODEL_PARAMS_INIT,
							 .memory = i % 2 ? STOKER_MEMORY_MIN
									 : STOKER_MEMORY_MAX,
							 .session = &session };
		struct stoker_device *device;
		struct stoker_model *model;
		struct stoker_session *s;
		long before;

		setenv("STOKER_VULKAN", words[i / 2], 1);
		memories = 0;
		CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, mixture_path, &how, &model, NULL),
				      0);
		CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &session, &s, NULL), 0);
		before = memories;
		for (size_t count = 1; count <= ARRAY_SIZE(tokens); count *= 2)
			CU_ASSERT_EQUAL(
				stoker_session_eval(s, tokens, count, STOKER_LOGITS_NONE, NULL), 0);
		CU_ASSERT_EQUAL(memories, before);
		stoker_session_free(&s);
		stoker_model_free(&model);
		stoker_device_close(&device);
	}
	setenv("STOKER_VULKAN", vulkan_words(), 1);
	vulkan_table_hook = NULL;
}

static void test_thousand_loads(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };
	struct stoker_device *device;
	long kib = 0, before[4] = { 0 };

	if (!vulkan_is_here())
		return;
	setenv("STOKER_VULKAN", "no-cache", 1);
	vulkan_table_hook = use_fakes;
	fail_at = -1;
	memories = buffers = pipelines = command_buffers = 0;
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		struct stoker_model *model;
		struct stoker_session *session;
		float logit;

		CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, model_path, NULL, &model, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, NULL, &session, NULL), 0);
		if (i % 50 == 0)
			CU_ASSERT_EQUAL(evaluate(session, &logit, NULL), 0);
		stoker_session_free(&session);
		stoker_model_free(&model);
		if (i != 100 && i != 999)
			continue;
		const long now[4] = { memories, buffers, pipelines, command_buffers };

		if (i == 100) {
			kib = resident_kib();
			memcpy(before, now, sizeof(now));
		} else {
			CU_ASSERT_EQUAL(memcmp(before, now, sizeof(now)), 0);
			if (resident_kib() > kib + (SANITIZED ? 65536 : 4096)) {
				printf("\n    grew from %ld to %ld KiB", kib, resident_kib());
				CU_FAIL("leak");
			}
		}
	}
	stoker_device_close(&device);
	CU_ASSERT(memories == 0 && buffers == 0 && pipelines == 0);
	vulkan_table_hook = NULL;
	setenv("STOKER_VULKAN", vulkan_words(), 1);
}

/* Sessions on several threads come and go while others compute. */
static void *use_session(void *model)
{
	intptr_t wrong = 0;
	float expected = NAN;

	for (int i = 0; i < 10; i++) {
		struct stoker_session *s;
		float logit = NAN;

		wrong += stoker_session_create(model, NULL, &s, NULL) != 0;
		wrong += evaluate(s, &logit, NULL) != 0;
		wrong += i > 0 && logit != expected;
		expected = logit;
		stoker_session_free(&s);
	}
	return (void *)wrong;
}

static void test_sessions_on_threads(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };
	struct stoker_device *device;
	struct stoker_model *model;
	pthread_t thread[3];
	void *wrong;

	if (!vulkan_is_here())
		return;
	for (int separate = 0; separate < 2; separate++) {
		setenv("STOKER_VULKAN", separate ? "no-cache,separate" : "no-cache", 1);
		CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, model_path, NULL, &model, NULL), 0);
		for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
			CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, use_session, model),
					      0);
		for (size_t i = 0; i < ARRAY_SIZE(thread); i++) {
			pthread_join(thread[i], &wrong);
			CU_ASSERT_PTR_NULL(wrong);
		}
		stoker_model_free(&model);
		stoker_device_close(&device);
	}
	setenv("STOKER_VULKAN", vulkan_words(), 1);
}

void suite_vulkan(void)
{
	TEST(test_failing_calls);
	TEST(test_lost_device);
	TEST(test_large_memory);
	TEST(test_tuning);
	TEST(test_scratch_is_reserved);
	TEST(test_thousand_loads);
	TEST(test_sessions_on_threads);
}
