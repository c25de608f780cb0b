// SPDX-License-Identifier: MIT
/* stoker bench shaders: a table of what the driver's compiler says of each. */
#include <string.h>

#include "bench/bench.h"

struct table {
	struct json_object *list, *row; /* the row is the list's last */
	char shader[32], format[16];
	bool json;
};

static void add(void *context, const char *shader, const char *format, const char *name,
		double value)
{
	struct table *t = context;
	const bool same = !strcmp(t->shader, shader) && !strcmp(t->format, format);

	if (!t->json) {
		if (!same)
			printf("%s%-14s %-8s", *t->shader ? "\n" : "", shader, format);
		printf("  %s %g", name, value);
	} else {
		if (!same) {
			t->row = json_object_new_object();
			json_object_object_add(t->row, "shader", json_object_new_string(shader));
			json_object_object_add(t->row, "format", json_object_new_string(format));
			json_object_array_add(t->list, t->row);
		}
		json_object_object_add(t->row, name, json_object_new_double(value));
	}
	snprintf(t->shader, sizeof(t->shader), "%s", shader);
	snprintf(t->format, sizeof(t->format), "%s", format);
}

int bench_shaders(const struct compute_options *compute, bool json)
{
	const char *name = compute->device ? compute->device : "vulkan";
	struct table t = { .list = json_object_new_array(), .json = json };
	struct stoker_error err;
	int status = EXIT_OK;

	if (strncmp(name, "vulkan", 6))
		status = failf("shaders are compiled for Vulkan devices, not for %s", name);
	else if (measure_shaders(name[6] ? name + 7 : "", add, &t, &err))
		status = fail(&err);
	if (!json && *t.shader)
		putchar('\n');
	if (!status && json)
		return print_json(stdout, t.list);
	json_object_put(t.list);
	return status;
}
