// SPDX-License-Identifier: MIT
/* The values of a container's metadata keys. */
#include "gguf/container.h"

size_t stoker_gguf_key_count(const struct stoker_gguf *gguf)
{
	return gguf ? gguf->key_count : 0;
}

const struct stoker_gguf_key *stoker_gguf_key(const struct stoker_gguf *gguf, size_t index)
{
	return gguf && index < gguf->key_count ? &gguf->keys[index].public : NULL;
}

size_t gguf_key_index(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key)
{
	return (size_t)((const struct key *)key - gguf->keys);
}

/* While the file is still being parsed there is no sorted list. */
static const struct stoker_gguf_key *find_unsorted(const struct stoker_gguf *gguf, const char *name)
{
	for (size_t i = 0; i < gguf->key_count; i++)
		if (!strcmp(gguf->keys[i].public.name, name))
			return &gguf->keys[i].public;
	return NULL;
}

const struct stoker_gguf_key *stoker_gguf_find(const struct stoker_gguf *gguf, const char *name)
{
	size_t low = 0, high;

	if (!gguf || !name)
		return NULL;
	high = gguf->key_count;
	if (!gguf->sorted_keys)
		return find_unsorted(gguf, name);
	while (low < high) { /* the first of equals */
		const size_t middle = low + (high - low) / 2;

		if (strcmp(gguf->sorted_keys[middle]->public.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == gguf->key_count || strcmp(gguf->sorted_keys[low]->public.name, name))
		return NULL;
	return &gguf->sorted_keys[low]->public;
}

/* The bytes of element @index; scalars only. */
static const uint8_t *element(const struct stoker_gguf_key *public, uint64_t index)
{
	const struct key *key = (const struct key *)public;
	const bool array = public->type == STOKER_GGUF_ARRAY;

	return key->value + (array ? 12 + index * gguf_scalar_bytes[public->element_type] : 0);
}

int stoker_gguf_i64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
		    uint64_t index, int64_t *value)
{
	uint64_t bits = 0;

	(void)gguf;
	if (!key || !value)
		return -EINVAL;
	if (key->element_type > STOKER_GGUF_F64 || !gguf_scalar_bytes[key->element_type] ||
	    key->element_type == STOKER_GGUF_F32 || key->element_type == STOKER_GGUF_F64)
		return -EINVAL;
	if (index >= key->count)
		return -ERANGE;
	memcpy(&bits, element(key, index), gguf_scalar_bytes[key->element_type]);
	switch (key->element_type) {
	case STOKER_GGUF_I8:
		*value = (int8_t)bits;
		break;
	case STOKER_GGUF_I16:
		*value = (int16_t)bits;
		break;
	case STOKER_GGUF_I32:
		*value = (int32_t)bits;
		break;
	default:
		*value = (int64_t)bits;
	}
	return key->element_type == STOKER_GGUF_U64 && *value < 0 ? -EINVAL : 0;
}

int stoker_gguf_u64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
		    uint64_t index, uint64_t *value)
{
	int64_t number;
	int ret;

	if (!key || !value)
		return -EINVAL;
	if (key->element_type == STOKER_GGUF_U64 && index < key->count) {
		memcpy(value, element(key, index), sizeof(*value));
		return 0;
	}
	ret = stoker_gguf_i64(gguf, key, index, &number);
	if (ret)
		return ret;
	*value = (uint64_t)number;
	return number < 0 ? -EINVAL : 0;
}

int stoker_gguf_f64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
		    uint64_t index, double *value)
{
	int64_t number;
	float single;
	int ret;

	if (!key || !value)
		return -EINVAL;
	if (key->element_type != STOKER_GGUF_F32 && key->element_type != STOKER_GGUF_F64) {
		ret = stoker_gguf_i64(gguf, key, index, &number);
		if (!ret)
			*value = (double)number;
		return ret;
	}
	if (index >= key->count)
		return -ERANGE;
	if (key->element_type == STOKER_GGUF_F64) {
		memcpy(value, element(key, index), sizeof(*value));
	} else {
		memcpy(&single, element(key, index), sizeof(single));
		*value = (double)single;
	}
	return 0;
}

static struct stoker_string string_at(const uint8_t *at)
{
	uint64_t length;

	memcpy(&length, at, sizeof(length));
	return (struct stoker_string){ .data = (const char *)at + 8, .length = (size_t)length };
}

int stoker_gguf_string(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
		       struct stoker_string *value)
{
	(void)gguf;
	if (!key || !value || key->type != STOKER_GGUF_STRING)
		return -EINVAL;
	*value = string_at(((const struct key *)key)->value);
	return 0;
}

int stoker_gguf_strings(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
			struct stoker_string *strings)
{
	const uint8_t *at;

	(void)gguf;
	if (!key || !strings || key->type != STOKER_GGUF_ARRAY ||
	    key->element_type != STOKER_GGUF_STRING)
		return -EINVAL;
	at = ((const struct key *)key)->value + 12;
	for (uint64_t i = 0; i < key->count; i++) {
		strings[i] = string_at(at);
		at += 8 + strings[i].length;
	}
	return 0;
}

const uint8_t *stoker_gguf_raw(const struct stoker_gguf_key *key, size_t *bytes)
{
	*bytes = ((const struct key *)key)->value_bytes;
	return ((const struct key *)key)->value;
}

uint64_t gguf_fingerprint(const struct stoker_gguf_key *key)
{
	size_t left;
	const uint8_t *at = stoker_gguf_raw(key, &left);
	uint64_t hash = left;

	for (size_t n; left; left -= n, at += n) {
		uint64_t word = 0;

		n = MIN(left, sizeof(word));
		memcpy(&word, at, n);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
	}
	return hash;
}
