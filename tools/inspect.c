// SPDX-License-Identifier: MIT
/* stoker inspect: metadata and tensors of a GGUF file. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

#include "terminal.h"

enum { SHOWN_ELEMENTS = 6, SHOWN_BYTES = 100 };

/* A name of the file's, in a column. */
static void print_name(const char *name, size_t width)
{
	const size_t length = strlen(name);

	show_text(stdout, name, length);
	printf("%*s", length < width ? (int)(width - length) : 0, "");
}

/* No more of a value than fits a line or two, in whole characters. */
static void print_value(const char *text)
{
	size_t n = strnlen(text, SHOWN_BYTES + 1);
	const bool cut = n > SHOWN_BYTES;

	if (cut)
		for (n = SHOWN_BYTES; n && (text[n] & 0xc0) == 0x80;)
			n--;
	show_text(stdout, text, n);
	fputs(cut ? "..." : "", stdout);
}

static void print_text(const struct stoker_gguf *g)
{
	char size[16];
	uint64_t total = 0;

	for (size_t i = 0; i < stoker_gguf_key_count(g); i++) {
		const struct stoker_gguf_key *key = stoker_gguf_key(g, i);
		struct json_object *v = key_value(g, key, SHOWN_ELEMENTS);
		const char *text =
			json_object_to_json_string_ext(v, JSON_C_TO_STRING_NOSLASHESCAPE);

		print_name(key->name, 48);
		putchar(' ');
		print_value(text);
		if (key->count > SHOWN_ELEMENTS)
			printf(" of %llu", (unsigned long long)key->count);
		putchar('\n');
		json_object_put(v);
	}
	putchar('\n');
	for (size_t i = 0; i < stoker_gguf_tensor_count(g); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(g, i);
		char shape[96];
		int n = 0;

		for (uint32_t d = 0; d < t->dimensions; d++)
			n += snprintf(shape + n, sizeof(shape) - (size_t)n, "%s%llu",
				      d ? ", " : "[", (unsigned long long)t->ne[d]);
		snprintf(shape + n, sizeof(shape) - (size_t)n, "]");
		print_name(t->name, 40);
		printf(" %-8s %-26s %10s\n", stoker_format_name(t->format), shape,
		       human_size(t->bytes, size));
		total += t->bytes;
	}
	printf("\nGGUF version %u, %u file%s, %zu keys, %zu tensors, %s of tensor data\n",
	       stoker_gguf_version(g), stoker_gguf_file_count(g),
	       stoker_gguf_file_count(g) == 1 ? "" : "s", stoker_gguf_key_count(g),
	       stoker_gguf_tensor_count(g), human_size(total, size));
}

static int print_everything(const struct stoker_gguf *g)
{
	struct json_object *root = json_object_new_object(), *keys = json_object_new_object();
	struct json_object *tensors = json_object_new_array();

	for (size_t i = 0; i < stoker_gguf_key_count(g); i++) {
		const struct stoker_gguf_key *key = stoker_gguf_key(g, i);

		json_object_object_add(keys, key->name, key_value(g, key, UINT64_MAX));
	}
	for (size_t i = 0; i < stoker_gguf_tensor_count(g); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(g, i);
		struct json_object *o = json_object_new_object(), *ne = json_object_new_array();

		for (uint32_t d = 0; d < t->dimensions; d++)
			json_object_array_add(ne, json_object_new_int64((int64_t)t->ne[d]));
		json_object_object_add(o, "name", json_object_new_string(t->name));
		json_object_object_add(o, "format",
				       json_object_new_string(stoker_format_name(t->format)));
		json_object_object_add(o, "ne", ne);
		json_object_object_add(o, "file", json_object_new_int64(t->file));
		json_object_object_add(o, "offset", json_object_new_int64((int64_t)t->offset));
		json_object_object_add(o, "bytes", json_object_new_int64((int64_t)t->bytes));
		json_object_array_add(tensors, o);
	}
	json_object_object_add(root, "version", json_object_new_int64(stoker_gguf_version(g)));
	json_object_object_add(root, "files", json_object_new_int64(stoker_gguf_file_count(g)));
	json_object_object_add(root, "keys", keys);
	json_object_object_add(root, "tensors", tensors);
	return print_json(stdout, root);
}

int verb_inspect(int argc, char **argv)
{
	const char *model = NULL;
	bool json = false;
	const struct option options[] = {
		MODEL_OPTION(&model),
		{ "json", 0, OPTION_FLAG, &json, NULL, "everything, as JSON" },
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "inspect [--json] FILE",
		.description = "Prints the metadata and tensor table of a GGUF file.",
		.options = options,
		.model = &model,
	};
	struct stoker_gguf *g;
	struct stoker_error err;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (stoker_gguf_open(model, &g, &err))
		return fail(&err);
	status = EXIT_OK;
	if (json)
		status = print_everything(g);
	else
		print_text(g);
	stoker_gguf_close(&g);
	return status;
}
