// SPDX-License-Identifier: MIT
/*
 * Ollama's store: manifests/HOST/OWNER/MODEL/TAG lists layers, each a file blobs/sha256-HASH; one
 * of them is the model.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/found.h"
#include "models/store.h"

enum { MANIFEST_LIMIT = 1 << 20 };
#define USUAL_HOST "registry.ollama.ai/"
#define USUAL_OWNER "library/"
#define MODEL_LAYER "application/vnd.ollama.image.model"

static struct json_object *read_manifest(const char *path)
{
	char *text = calloc(1, MANIFEST_LIMIT);
	FILE *in = fopen(path, "re");
	struct json_object *root = NULL;

	if (in && text && fread(text, 1, MANIFEST_LIMIT - 1, in) > 0)
		root = json_tokener_parse(text);
	if (in)
		fclose(in);
	free(text);
	return root;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_string(value) : NULL;
}

/* The hash of the layer that is the model. */
static bool model_layer(struct json_object *root, char hash[SHA256_HEX + 1])
{
	struct json_object *layers;

	if (!json_object_object_get_ex(root, "layers", &layers) ||
	    !json_object_is_type(layers, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(layers); i++) {
		struct json_object *layer = json_object_array_get_idx(layers, i);
		const char *type = text_of(layer, "mediaType"), *digest = text_of(layer, "digest");

		if (type && digest && !strcmp(type, MODEL_LAYER) && !strncmp(digest, "sha256:", 7))
			return store_hash(digest + 7, hash);
	}
	return false;
}

/* "qwen3:8b" of registry.ollama.ai/library/qwen3/8b */
static char *name_of(const char *inside)
{
	char *name;

	if (!strncmp(inside, USUAL_HOST, strlen(USUAL_HOST)))
		inside += strlen(USUAL_HOST);
	if (!strncmp(inside, USUAL_OWNER, strlen(USUAL_OWNER)))
		inside += strlen(USUAL_OWNER);
	name = strdup(inside);
	if (name && strrchr(name, '/'))
		*strrchr(name, '/') = ':';
	return name;
}

static void add_manifest(struct found *f, const char *root, const char *path)
{
	struct json_object *manifest = read_manifest(path);
	char hash[SHA256_HEX + 1], *blob = NULL, *name = NULL;
	struct found_model *m;
	struct stat st;

	if (model_layer(manifest, hash)) {
		/* @root is .../manifests */
		blob = store_text("%.*s/blobs/sha256-%s", (int)(strrchr(root, '/') - root), root,
				  hash);
		name = name_of(path + strlen(root) + 1);
	}
	json_object_put(manifest);
	if (blob && name && !stat(blob, &st) && S_ISREG(st.st_mode)) {
		m = found_add(f, STORE_OLLAMA, blob, name);
		if (m)
			m->bytes = (uint64_t)st.st_size;
	}
	free(blob);
	free(name);
}

void found_scan_ollama(struct found *f)
{
	const char *own = getenv("OLLAMA_MODELS"), *home = getenv("HOME");
	char *roots[3] = { NULL };

	if (own && *own)
		roots[0] = store_text("%s/manifests", own);
	else if (home && *home)
		roots[0] = store_text("%s/.ollama/models/manifests", home);
	/* where its service keeps them */
	if (!own || !*own)
		roots[1] = strdup("/usr/share/ollama/.ollama/models/manifests");
	for (size_t i = 0; i < 3; i++)
		if (roots[i])
			found_walk(f, roots[i], add_manifest);
	for (size_t i = 0; i < 3; i++)
		free(roots[i]);
}
