// SPDX-License-Identifier: MIT
/*
 * What memory is given to: what the machine leaves, decisions before anything is allocated, sizes
 * by carving that hold for what is really used, and containers that a model shares.
 */
#include "unit.h"

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "device/device.h"
#include "gguf/gguf.h"
#include "model/forward.h"
#include "root.h"

static const char demo[] = "tools/demo-model/stoker-demo-Q4_K.gguf";
static const uint32_t tokens[] = { 1, 39, 37, 32, 45, 72, 75, 207, 8, 141, 43, 117 };

static const struct stoker_session_params modest = { STOKER_SESSION_PARAMS_INIT, .context = 64,
						     .batch = 16 };

static void make_root(uint64_t available_kib)
{
	char text[128];

	root_make();
	snprintf(text, sizeof(text), "MemTotal: 64000000 kB\nMemAvailable:   %llu kB\n",
		 (unsigned long long)available_kib);
	root_write("/proc/meminfo", text);
}

enum { UNKNOWN = 12345 }; /* which no test has for an answer */

static uint64_t available(void)
{
	uint64_t bytes;

	return stoker_memory_available(root, &bytes) ? bytes : UNKNOWN;
}

static void test_available(void)
{
	make_root(1000);
	CU_ASSERT_EQUAL(available(), 1000 * 1024);
	/* version 2: the least that a group and those around it leave, page cache is no use */
	root_write("/proc/self/cgroup", "0::/outer/inner\n");
	CU_ASSERT_EQUAL(available(), 1000 * 1024);
	root_write("/sys/fs/cgroup/outer/inner/memory.max", "max\n");
	root_write("/sys/fs/cgroup/outer/memory.max", "700000\n");
	root_write("/sys/fs/cgroup/outer/memory.current", "300000\n");
	CU_ASSERT_EQUAL(available(), 400000);
	root_write("/sys/fs/cgroup/outer/memory.stat",
		   "anon 5\ninactive_file 20000\nactive_file 30000\n");
	CU_ASSERT_EQUAL(available(), 450000);
	root_write("/sys/fs/cgroup/outer/inner/memory.max", "100000\n");
	root_write("/sys/fs/cgroup/outer/inner/memory.current", "110000\n");
	CU_ASSERT_EQUAL(available(), 0);
	/* containerd's names have colons; no memory at all is a limit, too */
	root_write("/proc/self/cgroup", "0::/system.slice:cri-containerd:abc\n");
	root_write("/sys/fs/cgroup/system.slice:cri-containerd:abc/memory.max", "350000\n");
	CU_ASSERT_EQUAL(available(), 350000);
	root_write("/sys/fs/cgroup/system.slice:cri-containerd:abc/memory.max", "0\n");
	CU_ASSERT_EQUAL(available(), 0);
	/* version 1, and a group whose folder isn't there */
	root_write("/proc/self/cgroup", "5:cpu:/x\n9:memory:/group\n");
	CU_ASSERT_EQUAL(available(), 1000 * 1024);
	root_write("/sys/fs/cgroup/memory/group/memory.limit_in_bytes", "600000\n");
	root_write("/sys/fs/cgroup/memory/group/memory.usage_in_bytes", "100000\n");
	CU_ASSERT_EQUAL(available(), 500000);
	/* mounted with others, with a link of its own or not; names that only look like it */
	root_write("/proc/self/cgroup", "4:cpu,memory:/group\n");
	CU_ASSERT_EQUAL(available(), 500000);
	root_write("/sys/fs/cgroup/cpu,memory/a/memory.limit_in_bytes", "200000\n");
	root_write("/proc/self/cgroup", "4:cpu,memory:/a\n");
	CU_ASSERT_EQUAL(available(), 200000);
	root_write("/proc/self/cgroup", "4:memory,cpu:/group\n");
	CU_ASSERT_EQUAL(available(), 500000);
	root_write("/proc/self/cgroup", "4:memory2,cpu:/group\n7\n8:memory\n");
	CU_ASSERT_EQUAL(available(), 1000 * 1024);
	root_write("/proc/meminfo", "MemAvailable: 0 kB\n");
	CU_ASSERT_EQUAL(available(), 0);
	root_remove();
	/* what the kernel says where /proc doesn't, within the group that is mounted */
	root_make();
	CU_ASSERT(available() > 1 << 20);
	root_write("/sys/fs/cgroup/memory.max", "800000\n");
	root_write("/sys/fs/cgroup/memory.current", "300000\n");
	CU_ASSERT_EQUAL(available(), 500000);
	root_write("/sys/fs/cgroup/memory.max", "max\n");
	root_write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "700000\n");
	CU_ASSERT_EQUAL(available(), 700000);
	/* a /proc without the number: its group counts */
	root_write("/proc/meminfo", "MemTotal: 5 kB\n");
	root_write("/proc/self/cgroup", "0::/\n");
	CU_ASSERT(available() > 1 << 20);
	root_remove();
}

/*
 * A device whose memory is counted, with some bytes behind each that nobody may write.  Whole pages
 * count, as the budget counts them.
 */
enum { GUARD = 64, GUARD_BYTE = 0xa5 };

static struct {
	struct stoker_device_ops ops;
	const struct stoker_device_ops *own;
	unsigned made, broken;
	uint64_t bytes;
} counted;

static int counted_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			  struct stoker_error *err)
{
	const int ret = counted.own->memory_create(d, bytes + GUARD, m, err);

	counted.made++;
	counted.bytes += round_up(bytes, 4096);
	if (!ret)
		memset((char *)m->host + bytes, GUARD_BYTE, m->bytes - bytes);
	m->bytes = bytes;
	return ret;
}

static void counted_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	const uint64_t bytes = m->bytes;

	/* what was imported isn't ours */
	if (m->private) {
		m->bytes = round_up(bytes + GUARD, 4096);
		for (uint64_t i = bytes; i < m->bytes; i++)
			counted.broken += ((uint8_t *)m->host)[i] != GUARD_BYTE;
	}
	counted.own->memory_destroy(d, m);
}

static struct stoker_device *open_counted(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 2 };
	struct stoker_device *device;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	counted.own = device->ops;
	counted.ops = *device->ops;
	counted.ops.memory_create = counted_create;
	counted.ops.memory_destroy = counted_destroy;
	counted.made = counted.broken = 0;
	counted.bytes = 0;
	device->ops = &counted.ops;
	return device;
}

static int load_counted(struct stoker_device *device, const char *path,
			const struct stoker_model_params *params, struct stoker_model **model,
			struct stoker_error *err)
{
	struct stoker_gguf *gguf;
	int ret = stoker_gguf_open(path, &gguf, err);

	if (!ret)
		ret = model_load(device, gguf, params, root, model, err);
	stoker_gguf_close(&gguf);
	return ret;
}

/* The logits of a few tokens; to be freed. */
static float *logits_of(struct stoker_model *model, const struct stoker_session_params *params)
{
	const size_t bytes = model->vocabulary * sizeof(float);
	struct stoker_session *s;
	float *logits = malloc(bytes);

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, params, &s, NULL), 0);
	CU_ASSERT_EQUAL(
		stoker_session_eval(s, tokens, ARRAY_SIZE(tokens), STOKER_LOGITS_LAST, NULL), 0);
	memcpy(logits, stoker_session_logits(s, 0), bytes);
	stoker_session_free(&s);
	return logits;
}

static void test_auto(void)
{
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .session = &modest },
					 everything = { STOKER_MODEL_PARAMS_INIT,
							.memory = STOKER_MEMORY_MAX,
							.session = &modest };
	struct stoker_device *device = open_counted();
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };
	struct stoker_model *model;
	float *plenty, *little, *most;
	size_t bytes;

	/* it fits: nothing is paged; a machine that doesn't say what's left: likewise */
	make_root(1 << 20);
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, NULL), 0);
	CU_ASSERT_EQUAL(stoker_model_paging(model, &paging), -ENOENT);
	plenty = logits_of(model, &modest);
	stoker_model_free(&model);
	root_write("/proc/meminfo", "MemTotal: 5 kB\n");
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, NULL, &model, NULL), 0);
	CU_ASSERT_EQUAL(stoker_model_paging(model, &paging), -ENOENT);
	stoker_model_free(&model);

	/* a cgroup leaves too little: experts are paged, within fifteen sixteenths of it */
	root_write("/proc/meminfo", "MemAvailable: 1000000 kB\n");
	root_write("/proc/self/cgroup", "0::/small\n");
	root_write("/sys/fs/cgroup/small/memory.max", "18874368\n");
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_paging(model, &paging), 0);
	CU_ASSERT_EQUAL(paging.memory, 18874368 / 16 * 15);
	CU_ASSERT(paging.slots < paging.experts);
	CU_ASSERT(paging.dense + paging.cache + paging.buffers + paging.slot_bytes <=
		  paging.memory);
	little = logits_of(model, &modest);
	stoker_model_free(&model);

	/* unless everything is asked for */
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &everything, &model, NULL), 0);
	CU_ASSERT_EQUAL(stoker_model_paging(model, &paging), -ENOENT);
	bytes = model->vocabulary * sizeof(float);
	most = logits_of(model, &modest);
	stoker_model_free(&model);
	CU_ASSERT_EQUAL(memcmp(plenty, little, bytes), 0);
	CU_ASSERT_EQUAL(memcmp(plenty, most, bytes), 0);
	CU_ASSERT_EQUAL(counted.broken, 0);
	free(plenty);
	free(little);
	free(most);
	root_remove();
	stoker_device_close(&device);
}

static void check_refused(struct stoker_device *device, const struct stoker_model_params *params)
{
	static const char *const figures[] = { "isn't enough memory, this needs at least",
					       "weights that every token uses",
					       "cache",
					       "working buffers",
					       "one layer's experts",
					       "MiB" };
	struct stoker_model *model;
	struct stoker_error err;

	CU_ASSERT_EQUAL(load_counted(device, demo, params, &model, &err), -ENOMEM);
	CU_ASSERT_PTR_NULL(model);
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, figures[i]));
	CU_ASSERT_EQUAL(counted.made, 0);
}

/* Refusing names the figures and comes before any device memory is made. */
static void test_refusal(void)
{
	const struct stoker_model_params small = { STOKER_MODEL_PARAMS_INIT, .memory = 2 << 20 },
					 any = { STOKER_MODEL_PARAMS_INIT };
	const struct stoker_session_params huge = { STOKER_SESSION_PARAMS_INIT,
						    .context = UINT32_MAX, .batch = UINT32_MAX };
	const struct stoker_model_params for_huge = { STOKER_MODEL_PARAMS_INIT, .memory = 64 << 20,
						      .session = &huge };
	struct stoker_device *device = open_counted();

	make_root(1 << 20);
	check_refused(device, &small);
	check_refused(device, &for_huge);
	root_write("/proc/meminfo", "MemAvailable: 2000 kB\n");
	check_refused(device, &any);
	/* a limit that is used up, or nearly, is no missing one */
	root_write("/proc/meminfo", "MemAvailable: 1000000 kB\n");
	root_write("/proc/self/cgroup", "0::/full\n");
	root_write("/sys/fs/cgroup/full/memory.max", "1000000\n");
	root_write("/sys/fs/cgroup/full/memory.current", "1000000\n");
	check_refused(device, &any);
	root_write("/sys/fs/cgroup/full/memory.current", "999990\n");
	check_refused(device, &any);
	root_remove();
	stoker_device_close(&device);
}

/* What is told beforehand is what loading takes: with the least, and not with a byte less. */
static void test_outlook(void)
{
	struct stoker_device *device = open_counted();
	struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT,
					      .memory = STOKER_MEMORY_MAX };
	struct stoker_model_outlook o = { STOKER_MODEL_OUTLOOK_INIT };
	struct stoker_gguf *gguf = NULL;
	struct stoker_model *model;
	struct stoker_error err;

	make_root(1 << 20);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(demo, &gguf, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_foresee(device, gguf, &params, &o, &err), 0);
	CU_ASSERT_EQUAL(counted.made, 0);
	CU_ASSERT(o.fits && !o.paged && o.experts && o.least && o.least < o.whole);
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, &err), 0);
	CU_ASSERT_EQUAL(o.weights, model->needs.dense);
	CU_ASSERT_EQUAL(o.cache, model->needs.cache);
	CU_ASSERT_EQUAL(o.parameters, model->parameters);
	CU_ASSERT_EQUAL(o.whole, o.weights + o.cache + o.buffers);
	stoker_model_free(&model);
	CU_ASSERT(o.least < o.memory_min && o.memory_min < o.whole);
	/* batches of any size, and of one that is asked for */
	for (uint32_t batch = 0; batch <= 512; batch += 512) {
		params.session = &(struct stoker_session_params){ STOKER_SESSION_PARAMS_INIT,
								  .batch = batch };
		params.memory = STOKER_MEMORY_MAX;
		CU_ASSERT_EQUAL(stoker_model_foresee(device, gguf, &params, &o, &err), 0);
		CU_ASSERT_EQUAL(batch && o.least != o.memory_min, 0);
		params.memory = o.least;
		CU_ASSERT_EQUAL(stoker_model_foresee(device, gguf, &params, &o, &err), 0);
		CU_ASSERT(o.fits && o.paged);
		params.memory = o.least - 1;
		CU_ASSERT_EQUAL(stoker_model_foresee(device, gguf, &params, &o, &err), -ENOMEM);
		CU_ASSERT(err.needed > params.memory && err.available == params.memory);
		CU_ASSERT(!o.fits && o.whole && strstr(err.message, "this needs at least"));
		CU_ASSERT_EQUAL(load_counted(device, demo, &params, &model, &err), -ENOMEM);
	}
	stoker_gguf_close(&gguf);
	root_remove();
	stoker_device_close(&device);
}

/* Neither cache nor buffers keep a model out whose files fit: they may never be filled. */
static void test_large_cache(void)
{
	static const char dense[] = "tests/data/containers/plain.gguf";
	const struct stoker_session_params wide = { STOKER_SESSION_PARAMS_INIT, .context = 1 << 20,
						    .batch = 16 };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .session = &wide };
	struct stoker_device *device = open_counted();
	struct stoker_model *model;
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };
	struct stoker_error err;

	make_root(128);
	CU_ASSERT_EQUAL_FATAL(load_counted(device, dense, &params, &model, &err), 0);
	CU_ASSERT(model->needs.dense + model->needs.cache > 128 << 10);
	CU_ASSERT_EQUAL(model->memory, 0);
	stoker_model_free(&model);
	root_write("/proc/meminfo", "MemAvailable: 32768 kB\n");
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, &err), 0);
	CU_ASSERT_EQUAL(stoker_model_paging(model, &paging), -ENOENT);
	CU_ASSERT_EQUAL(model->memory, 0);
	stoker_model_free(&model);
	/* files that don't fit are what is refused */
	counted.made = 0;
	root_write("/proc/meminfo", "MemAvailable: 64 kB\n");
	CU_ASSERT_EQUAL(load_counted(device, dense, &params, &model, &err), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "isn't enough memory"));
	CU_ASSERT_PTR_NULL(strstr(err.message, "--memory"));
	CU_ASSERT_EQUAL(counted.made, 0);
	root_remove();
	stoker_device_close(&device);
}

/* What a GPU has left is asked for each model. */
static struct {
	bool known;
	uint64_t left;
} gpu;

static bool gpu_left(const struct stoker_device *d, uint64_t *bytes)
{
	(void)d;
	*bytes = gpu.left;
	return gpu.known;
}

static void test_memory_of_its_own(void)
{
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .session = &modest };
	struct stoker_device *device = open_counted();
	struct stoker_model *model;

	make_root(1 << 20);
	counted.ops.memory_left = gpu_left;
	device->shares_memory = false;
	gpu.known = true;
	gpu.left = 0;
	check_refused(device, &params);
	gpu.left = 1ull << 30;
	CU_ASSERT_EQUAL(stoker_device_memory_left(device), gpu.left);
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, NULL), 0);
	stoker_model_free(&model);
	/* a driver that doesn't say */
	gpu.known = false;
	gpu.left = 0;
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, NULL), 0);
	stoker_model_free(&model);
	device->shares_memory = true;
	root_remove();
	stoker_device_close(&device);
}

/* The page cache is given back when need be. */
static void test_memory_left(void)
{
	struct stoker_device *device = open_counted();
	struct stoker_device_info *list;
	uint64_t left = 0;
	size_t count;

	CU_ASSERT(stoker_memory_available("", &left));
	CU_ASSERT(stoker_device_memory_left(device) > left / 4 * 3);
	CU_ASSERT_EQUAL_FATAL(stoker_device_list(sizeof(*list), &list, &count, NULL), 0);
	CU_ASSERT_STRING_EQUAL(list[0].name, "cpu");
	CU_ASSERT(list[0].memory_left > left / 4 * 3);
	CU_ASSERT(list[0].memory_left <= list[0].memory);
	free(list);
	stoker_device_close(&device);
}

/* What was counted before is what is taken, and nobody writes behind it. */
static void check_sizes(struct stoker_device *device, const char *path)
{
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT, .context = 96,
						       .batch = 13 };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT,
						    .memory = STOKER_MEMORY_MAX,
						    .session = &session };
	struct stoker_session *s;
	struct stoker_model *model;
	struct stoker_error err;
	uint64_t cache, scratch;

	counted.bytes = 0;
	if (load_counted(device, path, &params, &model, &err)) {
		printf("\n    %s", err.message);
		CU_FAIL("a model doesn't load");
		return;
	}
	struct forward f = { .model = model };

	CU_ASSERT_EQUAL(counted.bytes, model->needs.dense);
	counted.bytes = 0;
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &session, &s, NULL), 0);
	scratch = round_up(forward_layout(&f, session.batch, 0), 4096);
	CU_ASSERT_EQUAL(counted.bytes, model->needs.cache + scratch);
	CU_ASSERT(model->needs.buffers > scratch + 2 * sizeof(float) * model->vocabulary);
	/* full batches, so that all that was counted is used, and a single row */
	CU_ASSERT_EQUAL(
		stoker_session_eval(s, tokens, ARRAY_SIZE(tokens), STOKER_LOGITS_NONE, NULL), 0);
	CU_ASSERT_EQUAL(
		stoker_session_eval(s, tokens, ARRAY_SIZE(tokens), STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 1, STOKER_LOGITS_LAST, NULL), 0);
	stoker_session_bytes(s, &cache, &scratch);
	CU_ASSERT(cache <= model->needs.cache);
	stoker_session_free(&s);
	stoker_model_free(&model);
	if (counted.broken)
		printf("\n    %s: something was written behind its memory", path);
	CU_ASSERT_EQUAL(counted.broken, 0);
	counted.broken = 0;
}

static void test_sizes(void)
{
	const char *folder = vectors_folder("sizes");
	struct stoker_device *device = open_counted();
	char pattern[512];
	glob_t found;

	*root = 0;
	check_sizes(device, demo);
	check_sizes(device, "tests/data/containers/plain.gguf");
	if (folder) {
		snprintf(pattern, sizeof(pattern), "%s/models/*.gguf", folder);
		if (!glob(pattern, 0, NULL, &found)) {
			for (size_t i = 0; i < found.gl_pathc; i++)
				check_sizes(device, found.gl_pathv[i]);
			globfree(&found);
		}
	}
	stoker_device_close(&device);
}

static uint64_t needed(const struct stoker_model *m)
{
	return m->needs.dense + m->needs.cache + m->needs.buffers + m->needs.least;
}

/* Batches become smaller before a model is refused, and what it takes is then what was counted. */
static void test_smaller_batches(void)
{
	const struct stoker_session_params plain = { STOKER_SESSION_PARAMS_INIT, .context = 1024 };
	const struct stoker_session_params least = { STOKER_SESSION_PARAMS_INIT, .context = 1024,
						     .batch = 16 };
	const struct stoker_session_params usual = { STOKER_SESSION_PARAMS_INIT, .context = 1024,
						     .batch = 512 };
	const struct stoker_session_params all = { STOKER_SESSION_PARAMS_INIT, .context = 1024,
						   .all_logits = 1 };
	struct stoker_device *device = open_counted();
	struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .memory = STOKER_MEMORY_MIN,
					      .session = &plain };
	struct stoker_session *session;
	struct stoker_model *model;
	struct stoker_error err;
	uint64_t most, fewest;

	make_root(1 << 20);
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, &err), 0);
	CU_ASSERT_EQUAL(model->batch, 0);
	most = needed(model);
	stoker_model_free(&model);
	params.session = &least;
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, &err), 0);
	fewest = needed(model);
	stoker_model_free(&model);
	CU_ASSERT(fewest + (1 << 20) < most);

	params.session = &plain;
	for (params.memory = fewest; params.memory < most; params.memory += (most - fewest) / 7) {
		CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, &err), 0);
		CU_ASSERT(model->batch >= 16 && model->batch < 512);
		CU_ASSERT(needed(model) <= params.memory);
		CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &plain, &session, &err), 0);
		CU_ASSERT_EQUAL(stoker_session_eval(session, tokens, ARRAY_SIZE(tokens),
						    STOKER_LOGITS_LAST, &err),
				0);
		stoker_session_free(&session);
		stoker_model_free(&model);
	}
	/* with room for the usual one nothing changes; those who ask for a size get it */
	params.memory = most;
	CU_ASSERT_EQUAL_FATAL(load_counted(device, demo, &params, &model, &err), 0);
	CU_ASSERT_EQUAL(model->batch, 0);
	stoker_model_free(&model);
	params.memory = most - (64 << 10);
	params.session = &usual;
	CU_ASSERT_EQUAL(load_counted(device, demo, &params, &model, &err), -ENOMEM);
	params.session = &all;
	CU_ASSERT_EQUAL(load_counted(device, demo, &params, &model, &err), -ENOMEM);
	params.memory = fewest - (64 << 10);
	params.session = &plain;
	CU_ASSERT_EQUAL(load_counted(device, demo, &params, &model, &err), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "this needs at least"));
	root_remove();
	stoker_device_close(&device);
}

void suite_budget(void)
{
	TEST(test_available);
	TEST(test_auto);
	TEST(test_refusal);
	TEST(test_outlook);
	TEST(test_large_cache);
	TEST(test_memory_of_its_own);
	TEST(test_memory_left);
	TEST(test_sizes);
	TEST(test_smaller_batches);
}
