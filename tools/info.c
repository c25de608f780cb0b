// SPDX-License-Identifier: MIT
/* stoker info: of this machine, or of a model. */
#include "info.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether its driver imports memory of the kernel module's. */
static bool takes_arena(const struct stoker_device_info *d, int arena)
{
	return !stoker_device_accepts(d, arena);
}

static void print_device(const struct stoker_device_info *d, int arena)
{
	char all[16], left[16];

	printf("%-10s %s (%s)", *d->name ? d->name : "-", d->title, d->type);
	if (d->memory)
		printf(", %s", human_size(d->memory, all));
	if (d->memory_left)
		printf(", %s left", human_size(d->memory_left, left));
	if (*d->node)
		printf(", %s", d->node);
	if (*d->driver)
		printf(", driver %s", d->driver);
	if (*d->bus)
		printf(", %s", d->bus);
	if (d->computes)
		printf(", computes");
	else
		printf(", can't compute: no %s", d->lacks);
	if (d->imports_host_memory)
		printf(", reads host memory");
	if (d->imports_dma_buf)
		printf(", imports dma-buf");
	if (arena >= 0 && *d->node)
		printf(", %s arenas", takes_arena(d, arena) ? "accepts" : "refuses");
	putchar('\n');
}

static struct json_object *device_json(const struct stoker_device_info *d, int arena)
{
	const struct {
		const char *key, *value;
	} texts[] = {
		{ "name", d->name },   { "title", d->title },	{ "type", d->type },
		{ "node", d->node },   { "driver", d->driver }, { "bus", d->bus },
		{ "lacks", d->lacks },
	};
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		json_object_object_add(o, texts[i].key,
				       *texts[i].value ? json_object_new_string(texts[i].value)
						       : NULL);
	json_object_object_add(o, "memory_bytes", json_object_new_int64((int64_t)d->memory));
	json_object_object_add(o, "memory_left_bytes",
			       json_object_new_int64((int64_t)d->memory_left));
	json_object_object_add(o, "computes", json_object_new_boolean(d->computes));
	json_object_object_add(o, "imports_host_memory",
			       json_object_new_boolean(d->imports_host_memory));
	json_object_object_add(o, "imports_dma_buf", json_object_new_boolean(d->imports_dma_buf));
	json_object_object_add(
		o, "accepts_arena",
		arena >= 0 && *d->node ? json_object_new_boolean(takes_arena(d, arena)) : NULL);
	return o;
}

/* What /proc/meminfo says of a field, in bytes; 0: nothing. */
static uint64_t meminfo(const char *field)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), ":%llu", &kib);
	if (f)
		fclose(f);
	return 1024 * kib;
}

static int info_machine(bool json)
{
	const uint64_t total = meminfo("MemTotal"), available = meminfo("MemAvailable");
	struct stoker_device_info *list;
	struct stoker_error err;
	char all[16], left[16];
	size_t count, others = 0;
	int status, arena;

	if (stoker_device_list(sizeof(*list), &list, &count, &err))
		return fail(&err);
	status = EXIT_OK;
	stoker_driver_arena(1 << 16, &arena, &err);
	for (size_t i = 0; i < count; i++)
		others += strcmp(list[i].type, "processor") != 0;
	if (json) {
		struct json_object *root = json_object_new_object(),
				   *devices = json_object_new_array();

		for (size_t i = 0; i < count; i++)
			json_object_array_add(devices, device_json(&list[i], arena));
		json_object_object_add(root, "version", json_object_new_string(STOKER_VERSION));
		json_object_object_add(root, "devices", devices);
		json_object_object_add(root, "memory_bytes", json_object_new_int64((int64_t)total));
		json_object_object_add(root, "memory_available_bytes",
				       json_object_new_int64((int64_t)available));
		json_object_object_add(root, "driver", json_object_new_boolean(arena >= 0));
		status = print_json(stdout, root);
	} else {
		printf("stoker %s\n", STOKER_VERSION);
		for (size_t i = 0; i < count; i++)
			print_device(&list[i], arena);
		if (!others)
			puts("no GPU and no NPU in this machine");
		if (arena >= 0)
			puts("kernel module: loaded, " STOKER_DRIVER_PATH);
		else
			printf("kernel module: not in use (%s)\n", err.message);
		printf("memory: %s, %s available\n", human_size(total, all),
		       human_size(available, left));
	}
	free(list);
	if (arena >= 0)
		close(arena);
	return status;
}

int verb_info(int argc, char **argv)
{
	struct info_options o = { .json = false };
	const struct option options[] = {
		MODEL_OPTION(&o.model),
		{ "ctx", 'c', OPTION_UINT, &o.context, "N",
		  "positions of the cache (the model's, at most 4096)" },
		KV_OPTIONS(&o.kv),
		{ "json", 0, OPTION_FLAG, &o.json, NULL, "print JSON" },
		COMPUTE_OPTIONS(&o.compute),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "info [FILE] [OPTION]...",
		.description = "Tells what a model is, whether it runs here, and in how much "
			       "memory. Without FILE: the processor, GPUs and NPUs of this "
			       "machine, what each can do for us, and memory.",
		.options = options,
		.model = &o.model,
		.model_optional = true,
	};
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	return o.model ? info_model(&o) : info_machine(o.json);
}
