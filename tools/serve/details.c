// SPDX-License-Identifier: MIT
/* What a model's file says of itself, in the words that clients know. */
#include "serve/details.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/names.h"
#include "models/store.h"
#include "progress.h"
#include "tool.h"

enum { FORMATS_MOST = 64 };

char *details_text(const struct stoker_gguf *g, const char *name)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(g, name);
	struct stoker_string s;

	return key && !stoker_gguf_string(g, key, &s) ? strndup(s.data, s.length) : NULL;
}

/* The format that most weights have, where the file's name doesn't say how it was made. */
static void set_quantization(const struct stoker_gguf *g, const char *path, struct details *d)
{
	struct {
		const char *name;
		uint64_t weights;
	} shares[FORMATS_MOST] = { { 0 } };
	size_t count = 0, best = 0;
	char *stem = names_stem(path);
	const char *said = stem ? names_quant(stem) : NULL;

	for (size_t i = 0; i < stoker_gguf_tensor_count(g); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(g, i);
		const uint64_t weights = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
		size_t s = 0;

		d->parameters += weights;
		while (s < count && shares[s].name != stoker_format_name(t->format))
			s++;
		if (s == FORMATS_MOST)
			continue;
		if (s == count)
			shares[count++].name = stoker_format_name(t->format);
		shares[s].weights += weights;
		best = shares[s].weights > shares[best].weights ? s : best;
	}
	snprintf(d->quantization, sizeof(d->quantization), "%s",
		 said	 ? said
		 : count ? shares[best].name
			 : "unknown");
	free(stem);
}

static void set_size(struct details *d)
{
	const double n = (double)d->parameters;

	if (n >= 1e9)
		snprintf(d->size, sizeof(d->size), "%.1fB", n / 1e9);
	else
		snprintf(d->size, sizeof(d->size), "%.0fM", n / 1e6);
}

/* What it was pulled with is known; otherwise digits that change with the file. */
static void set_digest(const char *path, struct details *d)
{
	static const uint64_t prime = 0x100000001b3;
	struct store_record record;
	struct stat st = { .st_size = 0 };
	char text[512];

	if (store_load_record(path, &record))
		snprintf(d->digest, sizeof(d->digest), "%s", record.sha256);
	store_free_record(&record);
	if (*d->digest)
		return;
	stat(path, &st);
	snprintf(text, sizeof(text), "%.400s %lld %lld", file_name(path), (long long)st.st_size,
		 (long long)st.st_mtime);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t hash = 0xcbf29ce484222325 + i;

		for (const char *c = text; *c; c++)
			hash = (hash ^ (unsigned char)*c) * prime;
		snprintf(d->digest + 16 * i, 17, "%016llx", (unsigned long long)hash);
	}
}

static void set_capabilities(const struct stoker_gguf *g, struct details *d)
{
	char *template = details_text(g, "tokenizer.chat_template");
	char *for_tools = details_text(g, "tokenizer.chat_template.tool_use");

	d->tools = for_tools || (template && strstr(template, "tools"));
	d->thinking = template &&
		      (strstr(template, "<think>") || strstr(template, "thinking") ||
		       strstr(template, "reasoning_content") || strstr(template, "<|channel|>"));
	d->fills = stoker_gguf_find(g, "tokenizer.ggml.fim_pre_token_id") ||
		   stoker_gguf_find(g, "tokenizer.ggml.prefix_token_id");
	free(template);
	free(for_tools);
}

bool details_read(const char *path, struct details *d)
{
	struct stoker_gguf *g;
	char *family;

	*d = (struct details){ .parameters = 0 };
	if (stoker_gguf_open(path, &g, NULL))
		return false;
	family = details_text(g, "general.architecture");
	snprintf(d->family, sizeof(d->family), "%s", family ? family : "unknown");
	free(family);
	set_quantization(g, path, d);
	set_size(d);
	set_digest(path, d);
	set_capabilities(g, d);
	stoker_gguf_close(&g);
	return true;
}

struct json_object *details_metadata(const struct stoker_gguf *g, bool lists)
{
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < stoker_gguf_key_count(g); i++) {
		const struct stoker_gguf_key *key = stoker_gguf_key(g, i);
		const bool list = key->type == STOKER_GGUF_ARRAY;

		json_object_object_add(o, key->name,
				       list && !lists ? NULL : key_value(g, key, UINT64_MAX));
	}
	return o;
}
