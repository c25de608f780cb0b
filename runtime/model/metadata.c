// SPDX-License-Identifier: MIT
/* The keys of a model's metadata, as architectures ask for them, and the failure that sticks. */
#include "model/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void model_fail(struct stoker_model *m, int code, const char *fmt, ...)
{
	char text[320];
	va_list args;

	if (m->failed)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	m->failed =
		stoker_fail(m->err, code, "%s: %s", stoker_gguf_file(m->gguf, 0, NULL, NULL), text);
}

static const struct stoker_gguf_key *find_key(const struct stoker_model *m, const char *key,
					      char name[STOKER_MAX_NAME])
{
	snprintf(name, STOKER_MAX_NAME, "%s.%s", m->architecture->name, key);
	return stoker_gguf_find(m->gguf, name);
}

bool model_has(const struct stoker_model *m, const char *key)
{
	char name[STOKER_MAX_NAME];

	return find_key(m, key, name) != NULL;
}

static uint32_t u32_of(struct stoker_model *m, const struct stoker_gguf_key *key, uint64_t index)
{
	uint64_t value = 0;

	if (stoker_gguf_u64(m->gguf, key, index, &value) || value > UINT32_MAX)
		model_fail(m, -EINVAL, "key %s: no number from 0 to 2^32 - 1 (entry %llu)",
			   key->name, (unsigned long long)index);
	return (uint32_t)value;
}

uint32_t model_u32_or(struct stoker_model *m, const char *key, uint32_t fallback)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	return k ? u32_of(m, k, 0) : fallback;
}

uint32_t model_u32(struct stoker_model *m, const char *key)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	if (!k)
		model_fail(m, -EINVAL, "key %s is missing", name);
	return k ? u32_of(m, k, 0) : 0;
}

uint32_t model_layer_u32_or(struct stoker_model *m, const char *key, uint32_t layer,
			    uint32_t fallback)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	if (!k)
		return fallback;
	if (k->type == STOKER_GGUF_ARRAY && layer >= k->count) {
		model_fail(m, -EINVAL, "key %s has %llu entries, layer %u needs one", name,
			   (unsigned long long)k->count, layer);
		return 0;
	}
	return u32_of(m, k, k->type == STOKER_GGUF_ARRAY ? layer : 0);
}

float model_f32_or(struct stoker_model *m, const char *key, float fallback)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);
	double value = (double)fallback;

	if (k && (stoker_gguf_f64(m->gguf, k, 0, &value) || !isfinite((float)value)))
		model_fail(m, -EINVAL, "key %s is not a finite number", name);
	return (float)value;
}

float model_f32(struct stoker_model *m, const char *key)
{
	if (!model_has(m, key))
		model_fail(m, -EINVAL, "key %s.%s is missing", m->architecture->name, key);
	return model_f32_or(m, key, 0);
}

bool model_bool_or(struct stoker_model *m, const char *key, bool fallback)
{
	return model_u32_or(m, key, fallback) != 0;
}

bool model_string_is(struct stoker_model *m, const char *key, const char *value)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);
	struct stoker_string s;

	return k && !stoker_gguf_string(m->gguf, k, &s) && s.length == strlen(value) &&
	       !memcmp(s.data, value, s.length);
}

uint32_t model_width(struct stoker_model *m, const char *key, uint32_t value)
{
	if (!m->failed && (value == 0 || value > STOKER_MAX_WIDTH))
		model_fail(m, -EINVAL, "key %s.%s is %u, limits 1 and %d", m->architecture->name,
			   key, value, STOKER_MAX_WIDTH);
	return value;
}
