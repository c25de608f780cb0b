// SPDX-License-Identifier: MIT
/* What verbs share that look at a model's files, or write one from another. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

uint64_t model_bytes(const struct stoker_gguf *gguf, const char **largest)
{
	uint64_t bytes, most = 0, all = 0;

	for (uint32_t i = 0; i < stoker_gguf_file_count(gguf); i++) {
		const char *path = stoker_gguf_file(gguf, i, NULL, &bytes);

		all += bytes;
		if (largest && bytes >= most) {
			most = bytes;
			*largest = path;
		}
	}
	return all;
}

struct json_object *key_value(const struct stoker_gguf *g, const struct stoker_gguf_key *key,
			      uint64_t limit)
{
	const bool array = key->type == STOKER_GGUF_ARRAY;
	struct json_object *list = array ? json_object_new_array() : NULL;
	struct stoker_string *strings = NULL, single;

	if (key->element_type == STOKER_GGUF_STRING && array) {
		strings = calloc(key->count + 1, sizeof(*strings));
		if (strings)
			stoker_gguf_strings(g, key, strings);
	}
	for (uint64_t i = 0; i < key->count && i < limit; i++) {
		struct json_object *v = NULL;
		int64_t integer;
		uint64_t large;
		double real;

		if (strings)
			v = json_object_new_string_len(strings[i].data, (int)strings[i].length);
		else if (key->type == STOKER_GGUF_STRING && !stoker_gguf_string(g, key, &single))
			v = json_object_new_string_len(single.data, (int)single.length);
		else if (key->element_type == STOKER_GGUF_BOOL &&
			 !stoker_gguf_i64(g, key, i, &integer))
			v = json_object_new_boolean(integer != 0);
		else if (!stoker_gguf_i64(g, key, i, &integer))
			v = json_object_new_int64(integer);
		else if (!stoker_gguf_u64(g, key, i, &large))
			v = json_object_new_uint64(large);
		else if (!stoker_gguf_f64(g, key, i, &real))
			v = json_object_new_double(real);
		if (!array)
			return v;
		json_object_array_add(list, v);
	}
	free(strings);
	return list;
}

void copy_keys(const struct stoker_gguf *in, struct stoker_gguf_writer *out, bool other_format)
{
	for (size_t i = 0; i < stoker_gguf_key_count(in); i++) {
		const struct stoker_gguf_key *key = stoker_gguf_key(in, i);

		if ((other_format && (!strcmp(key->name, "general.file_type") ||
				      !strcmp(key->name, "general.quantization_version") ||
				      !strncmp(key->name, "quantize.imatrix.", 17))) ||
		    !strcmp(key->name, "general.alignment") || !strncmp(key->name, "split.", 6) ||
		    stoker_gguf_find(in, key->name) != key)
			continue; /* written anew, or repeated by a later file of a split model */
		stoker_gguf_writer_put_key(out, in, key);
	}
}

bool is_input(const struct stoker_gguf *in, const char *out)
{
	struct stat a, b;
	int fd;

	for (uint32_t i = 0; i < stoker_gguf_file_count(in); i++) {
		stoker_gguf_file(in, i, &fd, NULL);
		if (!stat(out, &a) && !fstat(fd, &b) && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino)
			return true;
	}
	return false;
}
