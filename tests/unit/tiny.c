// SPDX-License-Identifier: MIT
/* Tiny models: see tiny.h. */
#include "tiny.h"

#include <stdarg.h>
#include <unistd.h>

static const struct tiny_key window[] = { TINY_NUMBER("attention.sliding_window", 5) };

const struct tiny tiny_caches[TINY_CACHES] = {
	{ .architecture = "llama", .layers = 2 },
	{ .architecture = "gemma3", .layers = 7, .keys = window, .key_count = ARRAY_SIZE(window) },
	{ .architecture = "deepseek2", .layers = 2, .latent = true },
};

enum { MAX_TENSORS = 2048, KV_HEADS = 2, LATENT = 32, ROTATED = 8, EXPERT_HIDDEN = 32 };

struct row {
	char name[64];
	uint64_t ne[3];
	float value;
};

struct builder {
	struct row rows[MAX_TENSORS];
	size_t count;
	const char *without;
};

static void add(struct builder *b, float value, uint64_t in, uint64_t out, uint64_t count,
		const char *fmt, ...)
{
	struct row *r = &b->rows[b->count];
	va_list args;

	CU_ASSERT_FATAL(b->count < MAX_TENSORS);
	va_start(args, fmt);
	vsnprintf(r->name, sizeof(r->name), fmt, args);
	va_end(args);
	if (b->without && !strcmp(b->without, r->name))
		return;
	r->ne[0] = in;
	r->ne[1] = out;
	r->ne[2] = count;
	r->value = value;
	b->count++;
}

static void add_experts(struct builder *b, const struct tiny *t, uint32_t i)
{
	static const char *const parts[] = { "gate", "up", "down" };
	const uint32_t hidden = EXPERT_HIDDEN, dim = TINY_EMBEDDING;

	add(b, 0, dim, t->experts, 1, "blk.%u.ffn_gate_inp.weight", i);
	for (int p = 0; p < 3; p++)
		for (uint32_t e = 0; e < (t->apart ? t->experts : 1); e++) {
			char part[32];

			snprintf(part, sizeof(part), t->apart ? "%s.%u" : "%s_exps", parts[p], e);
			add(b, 0, p == 2 ? hidden : dim, p == 2 ? dim : hidden,
			    t->apart ? 1 : t->experts, "blk.%u.ffn_%s.weight", i, part);
		}
}

static void add_layer(struct builder *b, const struct tiny *t, uint32_t i)
{
	const uint32_t dim = TINY_EMBEDDING, q = TINY_HEADS * TINY_HEAD, kv = KV_HEADS * TINY_HEAD;
	const bool gemma = !strcmp(t->architecture, "gemma3");

	add(b, 1, dim, 1, 1, "blk.%u.attn_norm.weight", i);
	if (t->latent) {
		add(b, 0, dim, q, 1, "blk.%u.attn_q.weight", i);
		add(b, 0, dim, LATENT + ROTATED, 1, "blk.%u.attn_kv_a_mqa.weight", i);
		add(b, 1, LATENT, 1, 1, "blk.%u.attn_kv_a_norm.weight", i);
		add(b, 0, TINY_HEAD - ROTATED, LATENT, TINY_HEADS, "blk.%u.attn_k_b.weight", i);
		add(b, 0, LATENT, TINY_HEAD, TINY_HEADS, "blk.%u.attn_v_b.weight", i);
	} else {
		add(b, 0, dim, q, 1, "blk.%u.attn_q.weight", i);
		add(b, 0, dim, kv, 1, "blk.%u.attn_k.weight", i);
		add(b, 0, dim, kv, 1, "blk.%u.attn_v.weight", i);
	}
	add(b, 0, q, dim, 1, "blk.%u.attn_output.weight", i);
	add(b, 1, dim, 1, 1, "blk.%u.ffn_norm.weight", i);
	if (gemma) {
		add(b, 1, dim, 1, 1, "blk.%u.post_attention_norm.weight", i);
		add(b, 1, dim, 1, 1, "blk.%u.post_ffw_norm.weight", i);
	}
	if (t->experts) {
		add_experts(b, t, i);
		return;
	}
	add(b, 0, dim, TINY_HIDDEN, 1, "blk.%u.ffn_gate.weight", i);
	add(b, 0, dim, TINY_HIDDEN, 1, "blk.%u.ffn_up.weight", i);
	add(b, 0, TINY_HIDDEN, dim, 1, "blk.%u.ffn_down.weight", i);
}

static void put(struct stoker_gguf_writer *w, const struct tiny *t, const struct tiny_key *k)
{
	char name[128];
	float reals[64];

	snprintf(name, sizeof(name), "%s%s%s", k->whole ? "" : t->architecture, k->whole ? "" : ".",
		 k->name);
	for (uint32_t i = 0; i < k->count; i++)
		reals[i] = (float)k->list[i];
	switch (k->type) {
	case TINY_U32:
		stoker_gguf_writer_put_u32(w, name, (uint32_t)k->value);
		break;
	case TINY_F32:
		stoker_gguf_writer_put_f32(w, name, (float)k->value);
		break;
	case TINY_BOOL:
		stoker_gguf_writer_put_bool(w, name, k->value != 0);
		break;
	case TINY_TEXT:
		stoker_gguf_writer_put_string(w, name, k->text);
		break;
	case TINY_LIST:
		stoker_gguf_writer_put_i32s(w, name, k->list, k->count);
		break;
	case TINY_REALS:
		stoker_gguf_writer_put_f32s(w, name, reals, k->count);
		break;
	}
}

/* Those of the test come in place of these. */
static void put_keys(struct stoker_gguf_writer *w, const struct tiny *t)
{
	const struct tiny_key usual[] = {
		{ .name = "block_count", .value = t->layers },
		{ .name = "context_length", .value = 256 },
		{ .name = "embedding_length", .value = TINY_EMBEDDING },
		{ .name = "feed_forward_length", .value = TINY_HIDDEN },
		{ .name = "attention.head_count", .value = TINY_HEADS },
		{ .name = "attention.head_count_kv", .value = t->latent ? TINY_HEADS : KV_HEADS },
		{ .name = "attention.layer_norm_rms_epsilon", .type = TINY_F32, .value = 1e-5 },
		{ .name = "rope.dimension_count", .value = t->latent ? ROTATED : TINY_HEAD },
		{ .name = "attention.kv_lora_rank", .value = t->latent ? LATENT : 0 },
		{ .name = "attention.key_length_mla", .value = t->latent ? TINY_HEAD : 0 },
		{ .name = "attention.value_length_mla", .value = t->latent ? TINY_HEAD : 0 },
		{ .name = "expert_count", .value = t->experts },
		{ .name = "expert_used_count", .value = t->experts ? 2 : 0 },
		{ .name = "expert_feed_forward_length", .value = t->experts ? EXPERT_HIDDEN : 0 },
	};

	stoker_gguf_writer_put_string(w, "general.architecture", t->architecture);
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		bool own = t->without && !strcmp(t->without, usual[i].name);

		for (size_t k = 0; k < t->key_count; k++)
			own = own || !strcmp(t->keys[k].name, usual[i].name);
		if (!own && (usual[i].value != 0 || i < 8))
			put(w, t, &usual[i]);
	}
	for (size_t k = 0; k < t->key_count; k++)
		if (t->keys[k].name)
			put(w, t, &t->keys[k]);
}

static const struct stoker_format *format_of(const struct tiny *t, const struct row *r)
{
	const bool matrix = r->ne[1] > 1 && strstr(r->name, ".ffn_") && !strstr(r->name, "_inp");

	return stoker_format_by_name(t->format && matrix ? t->format : "F32");
}

static void write_values(struct stoker_gguf_writer *w, const struct tiny *t, const struct row *r)
{
	const struct stoker_format *format = format_of(t, r);
	const uint64_t count = r->ne[0] * r->ne[1] * r->ne[2];
	AUTO_FREE float *values = malloc(count * sizeof(*values));
	/* an expert has the same values wherever it is */
	uint64_t seed = 5381;
	unsigned expert = 0, end = 0;
	char stem[80];

	CU_ASSERT_PTR_NOT_NULL_FATAL(values);
	snprintf(stem, sizeof(stem), "%s", r->name);
	for (const char *part = "gate\0up\0\0\0down\0"; *part; part += 5) {
		char pattern[48];
		unsigned layer;

		snprintf(pattern, sizeof(pattern), "blk.%%u.ffn_%s.%%u.weight%%n", part);
		if (sscanf(r->name, pattern, &layer, &expert, &end) >= 2 && end)
			snprintf(stem, sizeof(stem), "blk.%u.ffn_%s_exps.weight", layer, part);
	}
	for (const char *c = stem; *c; c++)
		seed = seed * 33 + (unsigned char)*c;
	random_seed(seed);
	for (uint64_t i = 0; i < (end ? expert : 0) * count; i++)
		random_float();
	for (uint64_t i = 0; i < count; i++)
		values[i] = r->value != 0 ? r->value : 0.3f * random_float();
	AUTO_FREE uint8_t *blocks = malloc(stoker_format_bytes(format, count));

	CU_ASSERT_PTR_NOT_NULL_FATAL(blocks);
	CU_ASSERT_EQUAL(stoker_format_encode(format, values, blocks, count), 0);
	CU_ASSERT_EQUAL(
		stoker_gguf_writer_write(w, blocks, stoker_format_bytes(format, count), NULL), 0);
}

static bool comes_last(const struct tiny *t, const char *name)
{
	for (const char *const *o = t->order; o && *o; o++)
		if (!strcmp(*o, name))
			return true;
	return false;
}

void tiny_write(const char *path, const struct tiny *t)
{
	struct builder *b = calloc(1, sizeof(*b));
	struct stoker_gguf_writer *w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	b->without = t->without;
	add(b, 0, TINY_EMBEDDING, TINY_ROWS, 1, "token_embd.weight");
	add(b, 1, TINY_EMBEDDING, 1, 1, "output_norm.weight");
	add(b, 0, TINY_EMBEDDING, TINY_ROWS, 1, "output.weight");
	for (uint32_t i = 0; i < t->layers; i++)
		add_layer(b, t, i);
	b->without = NULL;
	for (size_t i = 0; i < t->tensor_count; i++)
		if (t->tensors[i].name)
			add(b, t->tensors[i].value, t->tensors[i].ne[0],
			    MAX(t->tensors[i].ne[1], 1u), MAX(t->tensors[i].ne[2], 1u), "%s",
			    t->tensors[i].name);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
	put_keys(w, t);
	for (int data = 0; data < 2; data++)
		for (int last = 0; last < 2; last++)
			for (size_t i = 0; i < b->count; i++) {
				const struct row *r = &b->rows[i];

				if (comes_last(t, r->name) != last)
					continue;
				if (data)
					write_values(w, t, r);
				else
					stoker_gguf_writer_put_tensor(w, r->name, format_of(t, r),
								      r->ne[2] > 1   ? 3
								      : r->ne[1] > 1 ? 2
										     : 1,
								      r->ne);
			}
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	free(b);
}

float *tiny_logits(const char *path, uint32_t count, uint64_t memory, bool exact,
		   struct stoker_error *err)
{
	const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT, .threads = 1,
						     .exact = exact };
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .memory = memory };
	struct stoker_device *d = NULL;
	struct stoker_model *m = NULL;
	struct stoker_session *s = NULL;
	uint32_t tokens[64];
	float *logits = NULL;
	int ret;

	for (uint32_t i = 0; i < 64; i++)
		tokens[i] = (i * 7 + 3) % TINY_ROWS;
	err->message[0] = 0;
	ret = stoker_device_open(&device, &d, err);
	if (!ret)
		ret = stoker_model_load(d, path, &params, &m, err);
	if (!ret)
		ret = stoker_session_create(m, NULL, &s, err);
	if (!ret)
		ret = stoker_session_eval(s, tokens, count, STOKER_LOGITS_LAST, err);
	if (!ret) {
		logits = malloc(TINY_ROWS * sizeof(*logits));
		CU_ASSERT_PTR_NOT_NULL_FATAL(logits);
		memcpy(logits, stoker_session_logits(s, 0), TINY_ROWS * sizeof(*logits));
	}
	stoker_session_free(&s);
	stoker_model_free(&m);
	stoker_device_close(&d);
	return logits;
}

const char *tiny_path(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/stoker-tiny-%d.gguf", getpid());
	return path;
}

void tiny_expect(const struct tiny *t, int wanted, const char *mention)
{
	const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT, .threads = 1 };
	struct stoker_error err = { .message = "" };
	struct stoker_device *d;
	struct stoker_model *m;
	int ret;

	tiny_write(tiny_path(), t);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device, &d, NULL), 0);
	ret = stoker_model_load(d, tiny_path(), NULL, &m, &err);
	if (ret != wanted || (mention && !strstr(err.message, mention))) {
		printf("\n    %s %s %s: got %d \"%s\", expected %d \"%s\"", t->architecture,
		       t->key_count ? t->keys[0].name : "",
		       t->tensor_count ? t->tensors[0].name : "", ret, err.message, wanted,
		       mention ? mention : "");
		CU_FAIL("wrong verdict");
	}
	stoker_model_free(&m);
	stoker_device_close(&d);
	unlink(tiny_path());
}

static float *logits_of(const struct tiny *t, uint32_t count)
{
	struct stoker_error err;
	float *logits;

	tiny_write(tiny_path(), t);
	logits = tiny_logits(tiny_path(), count, 0, true, &err);
	if (!logits)
		printf("\n    %s", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(logits);
	unlink(tiny_path());
	return logits;
}

bool tiny_alike(struct tiny a, const struct tiny_key *ka, size_t na, struct tiny b,
		const struct tiny_key *kb, size_t nb, uint32_t count)
{
	a.keys = ka;
	a.key_count = na;
	b.keys = kb;
	b.key_count = nb;
	AUTO_FREE float *x = logits_of(&a, count);
	AUTO_FREE float *y = logits_of(&b, count);

	return !memcmp(x, y, TINY_ROWS * sizeof(*x));
}
