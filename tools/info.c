// SPDX-License-Identifier: MIT
/* stoker info: what this machine has to compute with. */
#include "tool.h"

#include <string.h>
#include <unistd.h>

static uint64_t meminfo(const char *field)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), ": %llu", &kib);
	if (f)
		fclose(f);
	return kib * 1024;
}

int verb_info(int argc, char **argv)
{
	bool json = false;
	const struct option options[] = {
		{ "json", 0, OPTION_FLAG, &json, NULL, "print JSON" },
		{ 0 },
	};
	const struct usage usage = { "info [--json]",
				     "Shows the devices of this machine and its memory.", options,
				     0, 0 };
	const uint64_t total = meminfo("MemTotal"), available = meminfo("MemAvailable");
	struct stoker_device *device;
	struct stoker_error err;
	char all[16], left[16];
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (stoker_device_open(NULL, &device, &err))
		return fail(&err);
	status = EXIT_OK;
	if (json) {
		struct json_object *root = json_object_new_object(),
				   *list = json_object_new_array();
		struct json_object *cpu = json_object_new_object();

		json_object_object_add(cpu, "name", json_object_new_string("cpu"));
		json_object_object_add(cpu, "description",
				       json_object_new_string(stoker_device_description(device)));
		json_object_array_add(list, cpu);
		json_object_object_add(root, "version", json_object_new_string(STOKER_VERSION));
		json_object_object_add(root, "devices", list);
		json_object_object_add(root, "memory_bytes", json_object_new_int64((int64_t)total));
		json_object_object_add(root, "memory_available_bytes",
				       json_object_new_int64((int64_t)available));
		status = print_json(stdout, root);
	} else {
		printf("stoker %s\n%s\nmemory: %s, %s available\n", STOKER_VERSION,
		       stoker_device_description(device), human_size(total, all),
		       human_size(available, left));
	}
	stoker_device_close(&device);
	return status;
}
