// SPDX-License-Identifier: MIT
/*
 * Profiles: sums, the file, energy counters of a folder that looks like /sys; real ones of both
 * devices.
 */
#include <json-c/json.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/profile.h"
#include "stoker/stoker.h"
#include "unit.h"

static void put(const char *folder, const char *file, const char *text)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void make(const char *folder, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
}

static void test_energy(void)
{
	char sys[] = "/tmp/stoker-energy-XXXXXX", command[128];
	struct energy e;
	double joules;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(sys));
	energy_open(&e, sys);
	CU_ASSERT(!energy_total(&e, &joules));
	make(sys, "class");
	make(sys, "class/powercap");
	make(sys, "class/powercap/intel-rapl:0");
	make(sys, "class/powercap/intel-rapl:0:0");
	make(sys, "class/hwmon");
	make(sys, "class/hwmon/hwmon3");
	put(sys, "class/powercap/intel-rapl:0/name", "package-0\n");
	put(sys, "class/powercap/intel-rapl:0/energy_uj", "999000000\n");
	put(sys, "class/powercap/intel-rapl:0/max_energy_range_uj", "1000000000\n");
	put(sys, "class/powercap/intel-rapl:0:0/name", "core\n");
	put(sys, "class/powercap/intel-rapl:0:0/energy_uj", "not a number\n");
	put(sys, "class/hwmon/hwmon3/name", "amdgpu\n");
	put(sys, "class/hwmon/hwmon3/power1_average", "5000000\n");
	energy_open(&e, sys);
	CU_ASSERT_EQUAL(e.count, 2);
	energy_look(&e, 1000000000);
	put(sys, "class/powercap/intel-rapl:0/energy_uj", "2000000\n"); /* beginning anew */
	energy_look(&e, 3000000000);
	CU_ASSERT_DOUBLE_EQUAL(e.counters[0].joules, 3, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(e.counters[1].joules, 10, 1e-9);
	CU_ASSERT(!strcmp(e.counters[1].name, "amdgpu"));
	CU_ASSERT(energy_total(&e, &joules));
	CU_ASSERT_DOUBLE_EQUAL(joules, 3, 1e-9);
	put(sys, "class/hwmon/hwmon3/power1_input", "5000000\n");
	put(sys, "class/powercap/intel-rapl:0/max_energy_range_uj", "none\n");
	energy_open(&e, sys);
	CU_ASSERT_EQUAL(e.count, 2); /* one of the powers */
	energy_look(&e, 1);
	put(sys, "class/powercap/intel-rapl:0/energy_uj", "1\n"); /* back, with no range */
	energy_look(&e, 2);
	CU_ASSERT(energy_total(&e, &joules) && joules == 0);
	snprintf(command, sizeof(command), "rm -r %s", sys);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* @name is how the name begins: kernels for emulated devices say so at its end. */
static const struct stoker_profile_total *find(const struct stoker_profile_total *list,
					       size_t count, const char *track, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].track, track) && !strncmp(list[i].name, name, strlen(name)))
			return &list[i];
	return NULL;
}

static size_t events_of(const char *path)
{
	struct json_object *root = json_object_from_file(path), *events;
	size_t count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	if (json_object_object_get_ex(root, "traceEvents", &events))
		count = json_object_array_length(events);
	json_object_put(root);
	return count;
}

static void test_totals(void)
{
	char path[] = "/tmp/stoker-profile-XXXXXX";
	struct stoker_profile_total *list;
	struct stoker_profile *p;
	struct stoker_error err;
	size_t count;

	CU_ASSERT_EQUAL_FATAL(stoker_profile_create(&p, NULL), 0);
	close(mkstemp(path));
	CU_ASSERT_EQUAL(stoker_profile_totals(p, sizeof(*list), &list, &count), 0);
	CU_ASSERT_EQUAL(count, 0);
	free(list);
	CU_ASSERT_EQUAL(stoker_profile_write(p, path, &err), 0);
	CU_ASSERT_EQUAL(events_of(path), 2 * PROFILE_TRACKS);
	profile_add(NULL, PROFILE_DEVICE, "norm", NULL, 1, 2);
	for (uint64_t i = 0; i < 10000; i++) {
		profile_add(p, PROFILE_DEVICE, i % 2 ? "norm" : "matmul", i % 2 ? NULL : "Q4_0",
			    1000 * i, 1000 * i + 100 + 100 * (i % 2));
		profile_add(p, PROFILE_READS, "read", NULL, 1000 * i, 1000 * i + 5000);
	}
	profile_add_batch(p, 7, 0, 10000000);
	CU_ASSERT_EQUAL_FATAL(stoker_profile_totals(p, sizeof(*list), &list, &count), 0);
	CU_ASSERT_EQUAL_FATAL(count, 4);
	CU_ASSERT(!strcmp(list[0].name, "prompt"));
	CU_ASSERT(!strcmp(list[1].name, "norm") && !*list[1].detail);
	CU_ASSERT(!strcmp(list[2].name, "matmul") && !strcmp(list[2].detail, "Q4_0"));
	CU_ASSERT_EQUAL(list[2].count, 5000);
	CU_ASSERT_DOUBLE_EQUAL(list[1].seconds, 1e-3, 1e-9);
	CU_ASSERT(!strcmp(list[3].track, "reads"));
	free(list);
	CU_ASSERT_EQUAL(stoker_profile_write(p, path, &err), 0);
	CU_ASSERT(events_of(path) >= 30001 + 2 * PROFILE_TRACKS);
	CU_ASSERT_EQUAL(stoker_profile_write(p, "/nowhere/profile", &err), -ENOENT);
	CU_ASSERT_EQUAL(stoker_profile_write(p, "/dev/full", &err), -EIO);
	stoker_profile_free(&p);
	unlink(path);
}

/* Three tokens of the bundled model: every op is there, and together they take no longer. */
static void profile_device(const char *name, const char *op)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						     .threads = 2 };
	const struct stoker_session_params small = { STOKER_SESSION_PARAMS_INIT, .context = 32 };
	const uint32_t tokens[] = { 5, 6, 7, 8, 9 };
	const struct stoker_profile_total *batch, *product;
	struct stoker_profile_total *list;
	struct stoker_device *device;
	struct stoker_profile *p;
	struct stoker_session *s;
	struct stoker_model *m;
	struct stoker_error err;
	double busy = 0;
	size_t count;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_profile_create(&p, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_device_profile(device, p, &err), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, "tools/demo-model/stoker-demo-Q4_K.gguf",
						NULL, &m, NULL),
			      0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(m, &small, &s, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 5, STOKER_LOGITS_LAST, NULL), 0);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 1, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(stoker_device_profile(device, NULL, &err), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 1, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_profile_totals(p, sizeof(*list), &list, &count), 0);
	batch = find(list, count, "session", "token");
	CU_ASSERT(batch && batch->count == 3);
	batch = find(list, count, "session", "prompt");
	CU_ASSERT(batch && batch->count == 1);
	product = find(list, count, "device", op);
	CU_ASSERT(product && product->count >= 3);
	CU_ASSERT(!strcmp(name, "cpu") || find(list, count, "host", "submit"));
	for (size_t i = 0; i < count; i++)
		busy += strcmp(list[i].track, "device") ? 0 : list[i].seconds;
	for (size_t i = 0; i < count; i++)
		busy -= strcmp(list[i].track, "session") ? 0 : list[i].seconds;
	CU_ASSERT(busy <= 1e-3);
	free(list);
	/* a step that was recorded without a profile: nothing older turns up in a new one */
	stoker_session_free(&s);
	stoker_profile_free(&p);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(m, &small, &s, NULL), 0);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 1, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_profile_create(&p, NULL), 0);
	CU_ASSERT_EQUAL(stoker_device_profile(device, p, &err), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 1, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_profile_totals(p, sizeof(*list), &list, &count), 0);
	CU_ASSERT(!find(list, count, "device", "combine"));
	CU_ASSERT(!strcmp(name, "cpu") || !find(list, count, "device", op));
	CU_ASSERT_EQUAL(stoker_device_profile(device, NULL, &err), 0);
	free(list);
	stoker_session_free(&s);
	stoker_model_free(&m);
	stoker_device_close(&device);
	stoker_profile_free(&p);
}

static void test_devices(void)
{
	profile_device("cpu", "experts");
	if (vulkan_is_here())
		profile_device("vulkan", "matvec");
}

void suite_profile(void)
{
	TEST(test_energy);
	TEST(test_totals);
	TEST(test_devices);
}
