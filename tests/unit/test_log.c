// SPDX-License-Identifier: MIT
/* What a program is told that isn't an error, and the cache folder that it says. */
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cache.h"
#include "device/vulkan/tuning.h"
#include "model/model.h"
#include "root.h"
#include "store/store.h"
#include "unit.h"

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"

/* What was said, a line each. */
struct said {
	char text[2000];
	int warnings, infos;
};

static void note(void *user, enum stoker_log_level level, const char *message)
{
	struct said *s = user;
	const size_t used = strlen(s->text);

	s->warnings += level == STOKER_LOG_WARNING;
	s->infos += level == STOKER_LOG_INFO;
	snprintf(s->text + used, sizeof(s->text) - used, "%s\n", message);
}

static void test_sentences(void)
{
	struct said s = { .warnings = 0 };
	const struct logger all = { note, &s }, nobody = { NULL };

	log_tell(&nobody, STOKER_LOG_INFO, "%d", 1);
	log_tell(&all, STOKER_LOG_WARNING, "%s: %.1f\n", "a\033b", 1.5);
	CU_ASSERT_STRING_EQUAL(s.text, "a\\x1bb: 1.5\\n\n");
	CU_ASSERT(s.warnings == 1 && !s.infos);
}

/* The module was preferred, and isn't there now. */
static void test_store(void)
{
	char folder[] = "/tmp/stoker-log-XXXXXX", line[200];
	struct said s = { .warnings = 0 };
	const struct logger log = { note, &s };
	struct stoker_store *store;
	struct utsname system;
	char *path;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	CU_ASSERT_EQUAL_FATAL(stoker_store_open_preferred(folder, &log, &store, NULL), 0);
	store->ops->destroy(store);
	CU_ASSERT(!strstr(s.text, "module"));
	CU_ASSERT_FATAL(!uname(&system));
	snprintf(line, sizeof(line), "kmod %s\n", system.release);
	path = cache_path(folder, "store");
	CU_ASSERT_EQUAL(stoker_cache_write(path, line, strlen(line), NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_store_open_preferred(folder, &log, &store, NULL), 0);
	if (strcmp(store->ops->name, "kmod"))
		CU_ASSERT_PTR_NOT_NULL(strstr(s.text, "read without the module"));
	store->ops->destroy(store);
	unlink(path);
	free(path);
	rmdir(folder);
}

static void load(uint64_t available_kib, uint64_t memory, struct said *s)
{
	const struct stoker_device_params how = { STOKER_DEVICE_PARAMS_INIT, .threads = 1,
						  .log = note, .log_user = s };
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT, .context = 64,
						       .batch = 16 };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .memory = memory,
						    .session = &session };
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_gguf *gguf;
	char text[128];

	root_make();
	snprintf(text, sizeof(text), "MemTotal: 64000000 kB\nMemAvailable:   %llu kB\n",
		 (unsigned long long)available_kib);
	root_write("/proc/meminfo", text);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&how, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(DEMO, &gguf, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(model_load(device, gguf, &params, root, &model, NULL), 0);
	stoker_model_free(&model);
	stoker_gguf_close(&gguf);
	stoker_device_close(&device);
	root_remove();
}

/* Where memory is short that is said; where somebody has asked for it, it isn't. */
static void test_plan(void)
{
	struct said plenty = { .warnings = 0 }, little = plenty, wanted = plenty;

	load(1 << 20, STOKER_MEMORY_AUTO, &plenty);
	CU_ASSERT(!strstr(plenty.text, "experts stay on the drive"));
	load(18 << 10, STOKER_MEMORY_AUTO, &little);
	CU_ASSERT_PTR_NOT_NULL(strstr(little.text, DEMO ": experts stay on the drive"));
	CU_ASSERT(little.infos);
	load(1 << 20, STOKER_MEMORY_MIN, &wanted);
	CU_ASSERT(!strstr(wanted.text, "experts stay on the drive"));
}

/* Where a device keeps what it measured; "" for nowhere. */
static void check_folder(const char *cache_folder, const char *begins)
{
	const struct stoker_device_params how = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan",
						  .cache_folder = cache_folder };
	struct stoker_device *device;
	const char *path;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&how, &device, NULL), 0);
	path = vulkan_tuning_path(vulkan_of(device));
	CU_ASSERT(*begins ? path && !strncmp(path, begins, strlen(begins)) : !path);
	stoker_device_close(&device);
}

static void test_cache_folder(void)
{
	char home[] = "/tmp/stoker-home-XXXXXX", folder[80], own[80], command[100];
	char before[300] = "", words[100] = "";
	char *path;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(home));
	snprintf(folder, sizeof(folder), "%s/mine", home);
	path = cache_path(folder, "name");
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	CU_ASSERT(!strncmp(path, folder, strlen(folder)) && !strcmp(strrchr(path, '/'), "/name"));
	free(path);
	CU_ASSERT_PTR_NULL(cache_path("", "name"));
	if (vulkan_is_here()) {
		snprintf(before, sizeof(before), "%s",
			 getenv("XDG_CACHE_HOME") ? getenv("XDG_CACHE_HOME") : "");
		snprintf(words, sizeof(words), "%s", vulkan_words());
		setenv("XDG_CACHE_HOME", home, 1);
		setenv("STOKER_VULKAN", "", 1);
		snprintf(own, sizeof(own), "%s/stoker", home);
		check_folder("", "");
		check_folder(folder, folder);
		CU_ASSERT(access(own, F_OK)); /* the user's isn't even made */
		check_folder(NULL, own);
		setenv("STOKER_VULKAN", words, 1);
		if (*before)
			setenv("XDG_CACHE_HOME", before, 1);
		else
			unsetenv("XDG_CACHE_HOME");
	}
	snprintf(command, sizeof(command), "rm -r '%s'", home);
	CU_ASSERT_EQUAL(system(command), 0);
}

void suite_log(void)
{
	TEST(test_sentences);
	TEST(test_store);
	TEST(test_plan);
	TEST(test_cache_folder);
}
