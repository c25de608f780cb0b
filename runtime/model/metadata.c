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
	const struct stoker_gguf_key *k;

	snprintf(name, STOKER_MAX_NAME, "%s.%s", m->architecture->name, key);
	k = stoker_gguf_find(m->gguf, name);
	if (k && m->key_use)
		m->key_use[gguf_key_index(m->gguf, k)] = true;
	return k;
}

/* A number, also one that a converter wrote as a float. */
static bool number_of(const struct stoker_model *m, const struct stoker_gguf_key *key,
		      uint64_t index, uint64_t *value)
{
	double real;

	if (key->element_type == STOKER_GGUF_BOOL)
		return false;
	if (!stoker_gguf_u64(m->gguf, key, index, value))
		return *value <= UINT32_MAX;
	if ((key->element_type != STOKER_GGUF_F32 && key->element_type != STOKER_GGUF_F64) ||
	    stoker_gguf_f64(m->gguf, key, index, &real) || !(real >= 0 && real <= UINT32_MAX) ||
	    real != floor(real))
		return false;
	*value = (uint64_t)real;
	return true;
}

static uint32_t u32_of(struct stoker_model *m, const struct stoker_gguf_key *key, uint64_t index)
{
	uint64_t value = 0;

	if (!number_of(m, key, index, &value))
		model_fail(m, -EINVAL, "key %s: no number from 0 to 2^32 - 1 (entry %llu)",
			   key->name, (unsigned long long)index);
	return (uint32_t)value;
}

static bool bool_of(struct stoker_model *m, const struct stoker_gguf_key *key, uint64_t index)
{
	uint64_t value = 2;

	if (stoker_gguf_u64(m->gguf, key, index, &value) || value > 1)
		model_fail(m, -EINVAL, "key %s: neither true nor false (entry %llu)", key->name,
			   (unsigned long long)index);
	return value == 1;
}

/* A list where one value is meant will do if all of its entries say the same. */
static void check_alike(struct stoker_model *m, const struct stoker_gguf_key *key)
{
	double first = 0, other = 0;

	if (key->type != STOKER_GGUF_ARRAY)
		return;
	if (!key->count || key->count > STOKER_MAX_LAYERS)
		model_fail(m, -EINVAL, "key %s: a list of %llu entries where one number is needed",
			   key->name, (unsigned long long)key->count);
	for (uint64_t i = 0; i < key->count && !m->failed; i++) {
		if (stoker_gguf_f64(m->gguf, key, i, &other))
			return; /* whoever reads it complains of the type */
		first = i ? first : other;
		if (other != first)
			model_fail(m, -ENOTSUP,
				   "key %s: a list of different numbers (%g and %g), which isn't "
				   "supported for %s",
				   key->name, first, other, m->architecture->name);
	}
}

bool model_has(const struct stoker_model *m, const char *key)
{
	char name[STOKER_MAX_NAME];

	return find_key(m, key, name) != NULL;
}

uint32_t model_u32_or(struct stoker_model *m, const char *key, uint32_t fallback)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	if (!k)
		return fallback;
	check_alike(m, k);
	return u32_of(m, k, 0);
}

uint32_t model_u32(struct stoker_model *m, const char *key)
{
	if (!model_has(m, key))
		model_fail(m, -EINVAL, "key %s.%s is missing", m->architecture->name, key);
	return model_u32_or(m, key, 0);
}

/* The entry of a layer, or the one value of all; NULL: there is no such key. */
static const struct stoker_gguf_key *layer_key(struct stoker_model *m, const char *key,
					       uint32_t layer, uint64_t *entry)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	*entry = k && k->type == STOKER_GGUF_ARRAY ? layer : 0;
	if (k && *entry >= k->count) {
		model_fail(m, -EINVAL, "key %s has %llu entries, layer %u needs one", name,
			   (unsigned long long)k->count, layer);
		return NULL;
	}
	return k;
}

uint32_t model_layer_u32_or(struct stoker_model *m, const char *key, uint32_t layer,
			    uint32_t fallback)
{
	uint64_t entry;
	const struct stoker_gguf_key *k = layer_key(m, key, layer, &entry);

	return k ? u32_of(m, k, entry) : fallback;
}

bool model_layer_bool_or(struct stoker_model *m, const char *key, uint32_t layer, bool fallback)
{
	uint64_t entry;
	const struct stoker_gguf_key *k = layer_key(m, key, layer, &entry);

	return k ? bool_of(m, k, entry) : fallback;
}

bool model_layer_has_window(struct stoker_model *m, uint32_t layer, uint32_t period,
			    bool whole_first)
{
	static const char pattern[] = "attention.sliding_window_pattern";
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, pattern, name);

	if (k && k->type == STOKER_GGUF_ARRAY)
		return model_layer_bool_or(m, pattern, layer, false);
	period = model_u32_or(m, pattern, period);
	return period == 0 || (whole_first ? layer % period != 0 : layer % period != period - 1);
}

float model_f32_or(struct stoker_model *m, const char *key, float fallback)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);
	double value = (double)fallback;

	if (k)
		check_alike(m, k);
	if (k && (k->element_type == STOKER_GGUF_BOOL || stoker_gguf_f64(m->gguf, k, 0, &value) ||
		  !isfinite((float)value)))
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
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	if (!k)
		return fallback;
	check_alike(m, k);
	return bool_of(m, k, 0);
}

bool model_string_is(struct stoker_model *m, const char *key, const char *value)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);
	struct stoker_string s;

	if (k && stoker_gguf_string(m->gguf, k, &s)) {
		model_fail(m, -EINVAL, "key %s is no text", name);
		return false;
	}
	return k && s.length == strlen(value) && !memcmp(s.data, value, s.length);
}

enum stoker_gating model_gating(struct stoker_model *m, enum stoker_gating fallback)
{
	enum { NOT_SAID, SOFTMAX, SIGMOID, SOFTMAX_CHOSEN };
	const uint32_t gating = model_u32_or(m, "expert_gating_func", NOT_SAID);

	switch (gating) {
	case NOT_SAID:
		return fallback;
	case SOFTMAX:
		return GATING_SOFTMAX;
	case SIGMOID:
		return GATING_SIGMOID;
	case SOFTMAX_CHOSEN:
		return GATING_SOFTMAX_CHOSEN;
	}
	model_fail(m, -ENOTSUP, "key %s.expert_gating_func is %u, which isn't supported",
		   m->architecture->name, gating);
	return fallback;
}

uint32_t model_width(struct stoker_model *m, const char *key, uint32_t value)
{
	if (!m->failed && (value == 0 || value > STOKER_MAX_WIDTH))
		model_fail(m, -EINVAL, "key %s.%s is %u, limits 1 and %d", m->architecture->name,
			   key, value, STOKER_MAX_WIDTH);
	return value;
}
