// SPDX-License-Identifier: MIT
/* What a model's file says, and whether it runs on this machine. */
#include "models/outlook.h"

#include <stdlib.h>
#include <string.h>

uint64_t available_memory(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 1 };
	struct stoker_device *device;
	uint64_t left;

	if (stoker_device_open(&params, &device, NULL))
		return 0;
	left = stoker_device_memory_left(device);
	stoker_device_close(&device);
	return left;
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

void outlook_of(struct stoker_device *device, const char *path, struct outlook *o)
{
	struct stoker_model_outlook l = { STOKER_MODEL_OUTLOOK_INIT };
	const struct stoker_gguf_key *key;
	struct stoker_string name;
	struct stoker_gguf *gguf;

	*o = (struct outlook){ 0 };
	if (stoker_gguf_open(path, &gguf, &o->why))
		return;
	key = stoker_gguf_find(gguf, "general.architecture");
	if (key && !stoker_gguf_string(gguf, key, &name))
		snprintf(o->architecture, sizeof(o->architecture), "%.*s", (int)name.length,
			 name.data);
	most_common(gguf, o->format, sizeof(o->format));
	o->runs = !stoker_model_foresee(device, gguf, NULL, &l, &o->why);
	o->paged = o->runs && l.paged;
	if (o->runs)
		/* a sixteenth of what is left stays so */
		o->rate = planned_rate(path, l.paged ? l.left / 16 * 15 : l.whole);
	stoker_gguf_close(&gguf);
}
