// SPDX-License-Identifier: MIT
/* stoker quantize: what will be, or was written, for people and as JSON. */
#include "progress.h"
#include "quantize/quantize.h"

#include <string.h>

static uint64_t input_bytes(const struct plan *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->count; i++)
		bytes += p->tensors[i].tensor->bytes;
	return bytes;
}

static double bits_per_weight(const struct plan *p)
{
	double values = 0;

	for (size_t i = 0; i < p->count; i++) {
		const uint64_t *ne = p->tensors[i].tensor->ne;

		values += (double)ne[0] * (double)ne[1] * (double)ne[2] * (double)ne[3];
	}
	return values > 0 ? 8 * (double)plan_bytes(p) / values : 0;
}

static void print_sum(const struct plan *p, const char *what)
{
	char to[16], from[16];

	printf("%s%s, %.2f bits a weight, from %s", what, human_size(plan_bytes(p), to),
	       bits_per_weight(p), human_size(input_bytes(p), from));
	if (p->divergence >= 0)
		printf("; expected divergence %.5f", p->divergence);
	putchar('\n');
}

static struct json_object *tensor_json(const struct planned *t)
{
	struct json_object *o = json_object_new_object(), *shape = json_object_new_array();

	for (uint32_t i = 0; i < t->tensor->dimensions; i++)
		json_object_array_add(shape, json_object_new_int64((int64_t)t->tensor->ne[i]));
	json_object_object_add(o, "name", json_object_new_string(t->tensor->name));
	json_object_object_add(o, "shape", shape);
	json_object_object_add(o, "from",
			       json_object_new_string(stoker_format_name(t->tensor->format)));
	json_object_object_add(o, "to", json_object_new_string(stoker_format_name(t->to)));
	json_object_object_add(o, "bytes", json_object_new_int64((int64_t)planned_bytes(t, t->to)));
	return o;
}

static int print_plan_json(const struct plan *p, const char *path)
{
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();

	if (path)
		json_object_object_add(root, "path", json_object_new_string(path));
	if (p->recipe)
		json_object_object_add(root, "type", json_object_new_string(p->recipe->name));
	json_object_object_add(root, "bytes", json_object_new_int64((int64_t)plan_bytes(p)));
	json_object_object_add(root, "input_bytes", json_object_new_int64((int64_t)input_bytes(p)));
	json_object_object_add(root, "bits_per_weight", json_object_new_double(bits_per_weight(p)));
	if (p->divergence >= 0)
		json_object_object_add(root, "expected_divergence",
				       json_object_new_double(p->divergence));
	for (size_t i = 0; i < p->count; i++)
		json_object_array_add(list, tensor_json(&p->tensors[i]));
	json_object_object_add(root, "tensors", list);
	return print_json(stdout, root);
}

int plan_print(const struct plan *p, bool json)
{
	if (json)
		return print_plan_json(p, NULL);
	for (size_t i = 0; i < p->count; i++) {
		const struct planned *t = &p->tensors[i];
		char size[16];

		printf("%-40s %-8s %-8s %10s\n", t->tensor->name,
		       stoker_format_name(t->tensor->format), stoker_format_name(t->to),
		       human_size(planned_bytes(t, t->to), size));
	}
	print_sum(p, "");
	return EXIT_OK;
}

int plan_report(const struct plan *p, const char *path, bool json)
{
	if (json)
		return print_plan_json(p, path);
	printf("%s: ", file_name(path));
	print_sum(p, "");
	return EXIT_OK;
}
