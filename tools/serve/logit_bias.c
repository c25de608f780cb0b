// SPDX-License-Identifier: MIT
/* What a request adds to logits: by numbers of tokens, or by texts. */
#include "serve/fields.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool add_bias(struct chosen *out, struct problem *p, const char *name, uint64_t token,
		     float bias)
{
	struct stoker_sampler_params *s = &out->sampling;
	const uint32_t size = s->vocabulary ? stoker_vocabulary_size(s->vocabulary) : UINT32_MAX;
	enum { LIMIT = 65536 };

	if (token >= size)
		return problem_set(p, 400, name, NULL,
				   "%s is about token %llu, the vocabulary has %u", name,
				   (unsigned long long)token, size);
	if (s->bias_count == LIMIT)
		return problem_set(p, 400, name, NULL, "%s has more than %d tokens", name, LIMIT);
	if (s->bias_count == out->bias_room) {
		const size_t room = 2 * out->bias_room + 16;
		struct stoker_logit_bias *more = realloc(out->biases, room * sizeof(*out->biases));

		if (!more)
			return problem_set(p, 500, NULL, NULL, "out of memory");
		out->biases = more;
		out->bias_room = room;
	}
	s->biases = out->biases;
	out->biases[s->bias_count++] = (struct stoker_logit_bias){ (uint32_t)token, bias };
	return true;
}

/* All tokens of a text. */
static bool add_text_bias(struct chosen *out, struct problem *p, const char *name, const char *text,
			  size_t bytes, float bias)
{
	const struct stoker_vocabulary *v = out->sampling.vocabulary;
	struct stoker_error err;
	uint32_t *tokens;
	size_t count;
	bool ok = true;

	if (!v)
		return problem_set(p, 400, name, NULL, "%s names a text, not a token", name);
	if (stoker_vocabulary_tokenize(v, text, bytes, 0, &tokens, &count, &err))
		return problem_set(p, 400, name, NULL, "%s: %s", name, err.message);
	for (size_t i = 0; i < count && ok; i++)
		ok = add_bias(out, p, name, tokens[i], bias);
	stoker_free(tokens);
	return ok;
}

/* A number, or for "never" false or "-inf". */
static bool take_bias(struct problem *p, const char *name, struct json_object *value, float *bias)
{
	double number;

	*bias = -INFINITY;
	if (json_object_is_type(value, json_type_boolean) && !json_object_get_boolean(value))
		return true;
	if (json_object_is_type(value, json_type_string) &&
	    !strcmp(json_object_get_string(value), "-inf"))
		return true;
	if (!json_object_is_type(value, json_type_int) &&
	    !json_object_is_type(value, json_type_double))
		return problem_set(p, 400, name, NULL,
				   "%s has %s for a bias, it has to be a number, false or \"-inf\"",
				   name, field_type(value));
	if (!value_number(p, name, value, -1e9, 1e9, &number))
		return false;
	*bias = (float)number;
	return true;
}

/* Keys of an object are ids; anything else is a text, as llama-server has it. */
static bool take_bias_key(struct chosen *out, struct problem *p, const char *name, const char *key,
			  float bias)
{
	char *end;

	if (*key >= '0' && *key <= '9') {
		unsigned long long token;

		errno = 0;
		token = strtoull(key, &end, 10);
		if (!*end)
			return add_bias(out, p, name, errno ? UINT64_MAX : token, bias);
	}
	return add_text_bias(out, p, name, key, strlen(key), bias);
}

/* [token or text, bias] */
static bool take_bias_pair(struct chosen *out, struct problem *p, const char *name,
			   struct json_object *pair)
{
	struct json_object *key;
	int64_t token;
	float bias;

	if (!json_object_is_type(pair, json_type_array) || json_object_array_length(pair) != 2)
		return problem_set(p, 400, name, NULL,
				   "%s: what is listed has to be a pair of a token and a bias",
				   name);
	key = json_object_array_get_idx(pair, 0);
	if (!take_bias(p, name, json_object_array_get_idx(pair, 1), &bias))
		return false;
	if (json_object_is_type(key, json_type_string))
		return add_text_bias(out, p, name, json_object_get_string(key),
				     (size_t)json_object_get_string_len(key), bias);
	return value_int(p, name, key, 0, UINT32_MAX - 1, &token) &&
	       add_bias(out, p, name, (uint64_t)token, bias);
}

bool read_logit_bias(struct chosen *out, const char *name, struct json_object *value,
		     struct problem *p)
{
	float bias;

	out->sampling.bias_count = 0;
	if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, key, item)
		{
			if (!take_bias(p, name, item, &bias) ||
			    !take_bias_key(out, p, name, key, bias))
				return false;
		}
		return true;
	}
	if (!json_object_is_type(value, json_type_array))
		return value_wrong(p, name, value, "an object or a list of pairs");
	for (size_t i = 0; i < json_object_array_length(value); i++)
		if (!take_bias_pair(out, p, name, json_object_array_get_idx(value, i)))
			return false;
	return true;
}
