// SPDX-License-Identifier: MIT
/* What a model's file says, and whether it runs on this machine. */
#include "models/outlook.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t available_memory(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && !kib && fgets(line, sizeof(line), f))
		sscanf(line, "MemAvailable: %llu", &kib);
	if (f)
		fclose(f);
	return 1024 * kib;
}

/* The format of most of the bytes. */
static void most_common(const struct stoker_gguf *gguf, char *out, size_t room)
{
	const struct stoker_format *seen[64];
	uint64_t bytes[64] = { 0 };
	size_t count = 0, best = 0;

	for (size_t i = 0; i < stoker_gguf_tensor_count(gguf); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(gguf, i);
		size_t k = 0;

		while (k < count && seen[k] != t->format)
			k++;
		if (k == sizeof(seen) / sizeof(*seen))
			continue;
		seen[k] = t->format;
		count += k == count;
		bytes[k] += t->bytes;
		if (bytes[k] > bytes[best])
			best = k;
	}
	if (count)
		snprintf(out, room, "%s", stoker_format_name(seen[best]));
}

static int enough(void *context, uint64_t done, uint64_t total)
{
	(void)context, (void)done, (void)total;
	return 1; /* it got as far as reading */
}

void outlook_of(struct stoker_device *device, const char *path, struct outlook *o)
{
	const struct stoker_model_params params = { .progress = enough };
	struct stoker_model *model = NULL;
	const struct stoker_gguf_key *key;
	struct stoker_string name;
	struct stoker_gguf *gguf;
	uint64_t left;
	int ret;

	*o = (struct outlook){ 0 };
	if (stoker_gguf_open(path, &gguf, &o->why))
		return;
	key = stoker_gguf_find(gguf, "general.architecture");
	if (key && !stoker_gguf_string(gguf, key, &name))
		snprintf(o->architecture, sizeof(o->architecture), "%.*s", (int)name.length,
			 name.data);
	most_common(gguf, o->format, sizeof(o->format));
	left = available_memory();
	ret = device ? stoker_model_load_gguf(device, gguf, &params, &model, &o->why) : -ENODEV;
	stoker_model_free(&model);
	o->runs = !ret || ret == -ECANCELED;
	o->paged = o->runs && model_bytes(gguf, NULL) > left;
	if (o->runs)
		o->rate = planned_rate(path, left);
	stoker_gguf_close(&gguf);
}
