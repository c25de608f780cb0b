// SPDX-License-Identifier: MIT
/* Containers that are no model of text: what they are, and what one can do about it. */
#include "gguf/gguf.h"

#include <stdio.h>

static bool string_of(const struct stoker_gguf *g, const char *name, struct stoker_string *s)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(g, name);

	*s = (struct stoker_string){ .data = "", .length = 0 };
	return key && !stoker_gguf_string(g, key, s);
}

static bool is(const struct stoker_string *s, const char *text)
{
	return s->length == strlen(text) && !memcmp(s->data, text, s->length);
}

static bool is_true(const struct stoker_gguf *g, const char *name)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(g, name);
	uint64_t value = 0;

	return key && !stoker_gguf_u64(g, key, 0, &value) && value;
}

#define IMAGES "makes pictures, not text"
#define VIDEOS "makes videos, not text"
#define VECTORS "an embedding model, which gives vectors and no text"
#define SPEECH "makes or decodes speech, not text"
#define DRAFT "a draft for a larger model, of no use without it"

static const struct {
	const char *architecture, *what;
} others[] = {
	{ "flux", IMAGES },
	{ "sd1", IMAGES },
	{ "sd2", IMAGES },
	{ "sd3", IMAGES },
	{ "sdxl", IMAGES },
	{ "aura", IMAGES },
	{ "hidream", IMAGES },
	{ "lumina2", IMAGES },
	{ "qwen_image", IMAGES },
	{ "z_image", IMAGES },
	{ "pig", IMAGES },
	{ "ltxv", VIDEOS },
	{ "hyvid", VIDEOS },
	{ "wan", VIDEOS },
	{ "cosmos", VIDEOS },
	{ "bert", VECTORS },
	{ "modern-bert", VECTORS },
	{ "nomic-bert", VECTORS },
	{ "nomic-bert-moe", VECTORS },
	{ "neo-bert", VECTORS },
	{ "jina-bert-v2", VECTORS },
	{ "jina-bert-v3", VECTORS },
	{ "eurobert", VECTORS },
	{ "gemma-embedding", VECTORS },
	{ "llama-embed", VECTORS },
	{ "t5encoder", VECTORS },
	{ "wavtokenizer-dec", SPEECH },
	{ "whisper", SPEECH },
	{ "qwen3tts", SPEECH },
	{ "pockettts", SPEECH },
	{ "eagle3", DRAFT },
	{ "dflash", DRAFT },
	{ "gemma4-assistant", DRAFT },
};

/* By general.type and by keys that other programs' files have; "" for a model. */
static void describe_type(const struct stoker_gguf *g, const struct stoker_string *architecture,
			  char out[200])
{
	struct stoker_string type, hint;

	string_of(g, "general.type", &type);
	out[0] = 0;
	if (is(&type, "adapter") || stoker_gguf_find(g, "adapter.type"))
		snprintf(out, 200,
			 "a LoRA adapter%s%.*s, not a model: adapters aren't supported, use a file "
			 "that it was merged into",
			 architecture->length ? " for " : "",
			 (int)MIN(architecture->length, (size_t)40), architecture->data);
	else if (is(&type, "mmproj") || is(architecture, "clip"))
		snprintf(out, 200, "the %s part (mmproj) of a model: open the other file",
			 is_true(g, "clip.has_audio_encoder") &&
					 !is_true(g, "clip.has_vision_encoder")
				 ? "sound"
				 : "picture");
	else if (is(&type, "imatrix") || stoker_gguf_find(g, "imatrix.chunk_count"))
		snprintf(out, 200, "an importance matrix, which is for quantizing, not a model");
	else if (is(architecture, "controlvector") ||
		 stoker_gguf_find(g, "controlvector.model_hint")) {
		string_of(g, "controlvector.model_hint", &hint);
		snprintf(out, 200, "a control vector%s%.*s, not a model",
			 hint.length ? " for " : "", (int)MIN(hint.length, (size_t)40), hint.data);
	} else if (type.length && !is(&type, "model") && !is(&type, "vocab"))
		snprintf(out, 200, "general.type is \"%.*s\", not \"model\"",
			 (int)MIN(type.length, (size_t)40), type.data);
}

static bool has_tokens(const struct stoker_gguf *g)
{
	return stoker_gguf_find(g, "tokenizer.ggml.tokens") != NULL;
}

int gguf_check_kind(const struct stoker_gguf *g, bool vocabulary, struct stoker_error *err)
{
	const char *path = stoker_gguf_file(g, 0, NULL, NULL);
	struct stoker_string architecture;
	char what[200];

	string_of(g, "general.architecture", &architecture);
	describe_type(g, &architecture, what);
	if (what[0])
		return stoker_fail(err, -ENOTSUP, "%s: %s", path, what);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (is(&architecture, others[i].architecture) && !(vocabulary && has_tokens(g)))
			return stoker_fail(err, -ENOTSUP,
					   "%s: architecture \"%s\" isn't supported: %s", path,
					   others[i].architecture, others[i].what);
	if (!vocabulary && !stoker_gguf_tensor_count(g))
		return stoker_fail(err, -EINVAL, "%s: %s", path,
				   has_tokens(g) ? "a vocabulary without a model" : "no tensors");
	return 0;
}

int gguf_refuse_architecture(const struct stoker_gguf *g, struct stoker_error *err)
{
	struct stoker_string s;
	char shown[80];

	string_of(g, "general.architecture", &s);
	stoker_escape(shown, sizeof(shown), s.data, s.length);
	return stoker_fail(err, -ENOTSUP, "%s: architecture \"%s\" isn't supported",
			   stoker_gguf_file(g, 0, NULL, NULL), shown);
}
