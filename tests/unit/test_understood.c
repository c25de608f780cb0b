// SPDX-License-Identifier: MIT
/* A file is run only if all of it that changes the text is understood: keys, lists, tensors. */
#include "tiny.h"

#include <unistd.h>

static void test_unknown_tensors(void)
{
	static const struct {
		const char *name;
		uint64_t ne[3];
		bool fine;
	} cases[] = {
		{ "blk.0.attn_norm.bias", { 64 }, false },
		{ "blk.1.post_attention_norm.weight", { 64 }, false },
		{ "blk.1.attn_sinks.weight", { 4 }, false },
		{ "blk.0.attn_gate.weight", { 64, 64 }, false },
		{ "blk.0.layer_output_scale.weight", { 1 }, false },
		{ "blk.0.attn_q.weight.lora_a", { 64, 8 }, false },
		{ "blk.0.ffn_gate_inp.weight", { 64, 8 }, false },
		{ "blk.0.attn_qkv.bias", { 128 }, false },
		{ "blk.2.attn_norm.weight", { 64 }, false },
		{ "output_norm.bias", { 64 }, false },
		{ "token_embd_norm.weight", { 64 }, false },
		{ "position_embd.weight", { 64, 256 }, false },
		{ "cls.output.weight", { 64, 2 }, false },
		{ "rope_factors_long.weight", { 8 }, false },
		{ "something", { 8 }, false },
		{ "v.blk.0.attn_q.weight", { 64, 64 }, true },
		{ "mm.0.weight", { 64, 64 }, true },
		{ "mtp.layers.0.input_layernorm.weight", { 64 }, true },
		{ "mtpx.weight", { 64 }, false },
		{ "a.conv1d.1.weight", { 3, 64 }, true },
		{ "blk.1.attn_rot_embd.weight", { 8 }, true },
		{ "blk.0.attn_q.input_scale", { 1 }, true },
		{ "blk.0.attn_q.bias", { 64 }, true }, /* these the formula has */
		{ "blk.0.attn_q.scale", { 1 }, true },
		{ "rope_freqs.weight", { 8 }, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct tiny_tensor extra = { cases[i].name,
						   { cases[i].ne[0], cases[i].ne[1] },
						   1 };
		const struct tiny t = {
			.architecture = "llama", .layers = 2, .tensors = &extra, .tensor_count = 1
		};
		char mention[96];

		snprintf(mention, sizeof(mention), "tensor %s isn't known for llama",
			 cases[i].name);
		tiny_expect(&t, cases[i].fine ? 0 : -ENOTSUP, cases[i].fine ? NULL : mention);
	}
}

/* Layers that predict further tokens are behind the last, and nothing else is. */
static void test_drafts(void)
{
	static const struct tiny_key keys[] = { { "nextn_predict_layers", .value = 1 },
						{ "block_count", .value = 3 } };
	static const struct tiny_tensor draft = { "blk.2.nextn.eh_proj.weight", { 128, 64 }, 0 };
	static const struct tiny_tensor beyond = { "blk.3.nextn.eh_proj.weight", { 128, 64 }, 0 };
	struct tiny t = { .architecture = "llama",
			  .layers = 2,
			  .keys = keys,
			  .key_count = ARRAY_SIZE(keys),
			  .tensors = &draft,
			  .tensor_count = 1 };

	tiny_expect(&t, 0, NULL);
	t.tensors = &beyond;
	tiny_expect(&t, -ENOTSUP, "blk.3.nextn.eh_proj.weight isn't known");
}

static const struct {
	const char *architecture;
	struct tiny_key key;
	int ret;
	const char *mention;
} key_cases[] = {
	/* wrong types, and numbers that converters wrote as floats */
	{ "llama", TINY_REAL("attention.head_count", 4), 0, NULL },
	{ "llama", TINY_REAL("attention.head_count", 4.5), -EINVAL, "llama.attention.head_count" },
	{ "llama", TINY_STRING("attention.head_count", "4"), -EINVAL,
	  "llama.attention.head_count" },
	{ "llama", TINY_FLAG("block_count", 1), -EINVAL, "llama.block_count" },
	{ "llama", TINY_STRING("rope.freq_base", "10000"), -EINVAL, "llama.rope.freq_base" },
	{ "llama", TINY_NUMBER("rope.freq_base", 10000), 0, NULL },
	{ "llama", TINY_NUMBER("context_length", 0), -EINVAL, "llama.context_length is 0" },
	/* lists where one value is meant */
	{ "llama", TINY_NUMBERS("attention.head_count", 2, 4, 4), 0, NULL },
	{ "llama", TINY_NUMBERS("attention.head_count", 1, 4), -EINVAL, "layer 1 needs one" },
	{ "llama", TINY_NUMBERS("attention.key_length", 2, 16, 16), 0, NULL },
	{ "llama", TINY_NUMBERS("attention.key_length", 2, 16, 32), -ENOTSUP,
	  "llama.attention.key_length: a list of different numbers (16 and 32)" },
	{ "llama", TINY_NUMBERS("attention.key_length", 0, 0), -EINVAL, "a list of 0 entries" },
	{ "llama", TINY_NUMBERS("context_length", 3, 256, 256, 128), -ENOTSUP, "context_length" },
	{ "llama",
	  { "rope.freq_base", TINY_REALS, .list = { 10000, 500 }, .count = 2 },
	  -ENOTSUP,
	  "rope.freq_base: a list" },
	/* values that aren't implemented */
	{ "llama", TINY_STRING("rope.scaling.type", "linear"), 0, NULL },
	{ "llama", TINY_STRING("rope.scaling.type", "dynamic"), -ENOTSUP, "rope.scaling.type" },
	{ "llama", TINY_NUMBER("rope.scaling.type", 1), -EINVAL, "rope.scaling.type is no text" },
	{ "llama", TINY_REAL("rope.scaling.alpha", 1), 0, NULL },
	{ "llama", TINY_REAL("rope.scaling.alpha", 1000), -ENOTSUP, "rope.scaling.alpha is 1000" },
	{ "llama", TINY_FLAG("use_parallel_residual", 0), 0, NULL },
	{ "llama", TINY_FLAG("use_parallel_residual", 1), -ENOTSUP,
	  "llama.use_parallel_residual is true, which isn't supported for llama" },
	{ "llama", TINY_REAL("attention.clamp_kqv", 8), -ENOTSUP, "clamp_kqv is 8" },
	{ "llama", TINY_REAL("attention.max_alibi_bias", 8), -ENOTSUP, "max_alibi_bias" },
	{ "llama", TINY_REAL("attention.max_alibi_bias", 0), 0, NULL },
	{ "llama", TINY_REAL("attn_logit_softcapping", 50), -ENOTSUP, "attn_logit_softcapping" },
	{ "llama", TINY_REAL("final_logit_softcapping", 30), -ENOTSUP, "final_logit_softcapping" },
	{ "gemma3", TINY_REAL("final_logit_softcapping", 30), 0, NULL },
	{ "llama", TINY_REAL("logit_scale", 1), 0, NULL },
	{ "llama", TINY_REAL("logit_scale", 8), -ENOTSUP, "llama.logit_scale is 8" },
	{ "llama", TINY_REAL("residual_scale", 0.2), -ENOTSUP, "residual_scale" },
	{ "llama", TINY_REAL("embedding_scale", 12), -ENOTSUP, "embedding_scale" },
	{ "llama", TINY_FLAG("attention.causal", 1), 0, NULL },
	{ "llama", TINY_FLAG("attention.causal", 0), -ENOTSUP, "llama.attention.causal is false" },
	{ "llama", TINY_NUMBER("pooling_type", 0), 0, NULL },
	{ "llama", TINY_NUMBER("pooling_type", 3), -ENOTSUP, "an embedding model" },
	{ "llama", TINY_STRING("hidden_activation", "silu"), 0, NULL },
	{ "llama", TINY_STRING("hidden_activation", "gelu"), -ENOTSUP,
	  "llama.hidden_activation is \"gelu\"" },
	{ "gemma3", TINY_STRING("hidden_activation", "gelu_pytorch_tanh"), 0, NULL },
	{ "gemma3", TINY_STRING("hidden_activation", "xielu"), -ENOTSUP, "xielu" },
	{ "llama", TINY_NUMBER("attention.sliding_window", 0), 0, NULL },
	{ "llama", TINY_NUMBER("attention.sliding_window", 4096), 0, NULL },
	{ "llama", TINY_NUMBER("attention.sliding_window", 128), -ENOTSUP,
	  "sliding_window is 128" },
	{ "llama", TINY_NUMBER("attention.sliding_window_pattern", 6), 0, NULL },
	{ "llama", TINY_NUMBER("interleave_moe_layer_step", 2), -ENOTSUP, "interleave_moe" },
	{ "llama", TINY_NUMBER("attention.shared_kv_layers", 2), -ENOTSUP, "shared_kv_layers" },
	{ "llama", TINY_NUMBER("num_loops", 2), -ENOTSUP, "num_loops" },
	{ "llama", TINY_NUMBER("embedding_length_out", 64), 0, NULL },
	{ "llama", TINY_NUMBER("embedding_length_out", 128), -ENOTSUP, "embedding_length_out" },
	{ "llama", TINY_REAL("attention.temperature_scale", 0.1), -ENOTSUP, "temperature_scale" },
	{ "llama", TINY_NUMBER("expert_gating_func", 2), 0, NULL }, /* there are no experts */
	{ "gemma3", TINY_NUMBER("expert_count", 8), -ENOTSUP, "gemma3.expert_count is 8" },
	{ "llama", TINY_NUMBERS("attention.rope_pattern", 2, 1, 1), 0, NULL },
	{ "llama", TINY_NUMBERS("attention.rope_pattern", 2, 1, 0), -ENOTSUP, "a list of 2" },
	/* what nobody has heard of */
	{ "llama", TINY_REAL("attention.wonder_scale", 2), -ENOTSUP,
	  "llama.attention.wonder_scale (2) isn't known for llama" },
	{ "llama", TINY_STRING("wonder", "y"), -ENOTSUP, "llama.wonder (\"y\") isn't known" },
	/* and what doesn't change a text */
	{ "llama", TINY_NUMBER("vocab_size", 32000), 0, NULL },
	{ "llama", TINY_STRING("tensor_data_layout", "Meta AI original pth"), 0, NULL },
	{ "llama", TINY_NUMBER("vision.block_count", 27), 0, NULL },
	{ "gemma3", TINY_NUMBER("mm.tokens_per_image", 256), 0, NULL },
	{ "llama", TINY_NUMBER("image_token_id", 30), 0, NULL },
	{ "llama", TINY_NUMBER("vision_start_token_id", 29), 0, NULL },
	{ "llama", TINY_NUMBER("vision_end_token_id", 31), 0, NULL },
	{ "llama", TINY_FLAG("ssm.v_head_reordered", 1), 0, NULL },
	{ "llama", TINY_FLAG("ssm.v_head_reordered", 0), -ENOTSUP,
	  "ssm.v_head_reordered is false" },
	{ "llama", TINY_NUMBER("attention.head_dim", 32), -ENOTSUP, "attention.head_dim is 32" },
	{ "llama", TINY_NUMBERS("rope.dimension_sections", 4, 4, 2, 2, 0), 0, NULL },
	{ "llama", TINY_REAL("rope.scale_linear", 2), 0, NULL },
	{ "llama", { "llamas.number", .value = 1, .whole = true }, 0, NULL },
	{ "llama", { "wonder.number", .value = 1, .whole = true }, 0, NULL },
};

static void test_keys(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_cases); i++) {
		const struct tiny t = { .architecture = key_cases[i].architecture,
					.layers = 2,
					.keys = &key_cases[i].key,
					.key_count = 1 };

		tiny_expect(&t, key_cases[i].ret, key_cases[i].mention);
	}
}

static void test_keys_of_experts(void)
{
	static const struct {
		struct tiny_key key;
		int ret;
		const char *mention;
	} cases[] = {
		{ TINY_NUMBER("expert_gating_func", 1), 0, NULL },
		{ TINY_NUMBER("expert_gating_func", 0), 0, NULL },
		{ TINY_NUMBER("expert_gating_func", 2), -ENOTSUP, "expert_gating_func is 2" },
		{ TINY_FLAG("expert_weights_norm", 1), 0, NULL },
		{ TINY_FLAG("expert_weights_norm", 0), -ENOTSUP, "expert_weights_norm is false" },
		{ TINY_FLAG("norm_top_k_prob", 0), -ENOTSUP, "norm_top_k_prob" },
		{ TINY_REAL("expert_weights_scale", 1), 0, NULL },
		{ TINY_REAL("expert_weights_scale", 2.5), -ENOTSUP, "expert_weights_scale is 2.5" },
		{ TINY_NUMBER("leading_dense_block_count", 0), 0, NULL },
		{ TINY_NUMBER("leading_dense_block_count", 1), -ENOTSUP,
		  "leading_dense_block_count" },
		{ TINY_NUMBER("expert_shared_feed_forward_length", 0), 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct tiny t = { .architecture = "llama",
					.layers = 2,
					.experts = 4,
					.keys = &cases[i].key,
					.key_count = 1 };

		tiny_expect(&t, cases[i].ret, cases[i].mention);
	}
}

static struct stoker_model_info info_of(const struct tiny *t)
{
	const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT, .threads = 1 };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_device *d;
	struct stoker_model *m;

	tiny_write(tiny_path(), t);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device, &d, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(d, tiny_path(), NULL, &m, NULL), 0);
	stoker_model_info(m, &info);
	stoker_model_free(&m);
	stoker_device_close(&d);
	unlink(tiny_path());
	return info;
}

/* A bias or a scale beside a matrix changes the logits on each device, or the file is refused. */
static void count_beside(const struct tiny *plain, const char *stem, uint64_t bias, uint64_t scale)
{
	AUTO_FREE float *before = NULL;
	struct stoker_error err;

	tiny_write(tiny_path(), plain);
	before = tiny_logits(tiny_path(), 7, STOKER_MEMORY_MAX, true, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(before);
	for (int is_scale = 0; is_scale < 2; is_scale++) {
		char name[64];
		const struct tiny_tensor extra = { name,
						   { is_scale ? scale : bias,
						     !is_scale && scale > 1 ? scale : 1 },
						   is_scale ? 2 : 0 };
		struct tiny t = *plain;

		snprintf(name, sizeof(name), "%s.%s", stem, is_scale ? "scale" : "bias");
		t.tensors = &extra;
		t.tensor_count = 1;
		tiny_write(tiny_path(), &t);
		AUTO_FREE float *after = tiny_logits(tiny_path(), 7, STOKER_MEMORY_MAX, true, &err);

		if (!after) {
			CU_ASSERT_PTR_NOT_NULL(strstr(err.message, name));
			continue;
		}
		if (!memcmp(before, after, TINY_ROWS * sizeof(*after))) {
			printf("\n    %s: %s changes nothing", plain->architecture, name);
			CU_FAIL("a tensor is taken and not computed with");
		}
	}
	unlink(tiny_path());
}

static void test_what_is_beside_a_matrix(void)
{
	static const struct {
		const char *stem;
		uint64_t bias, scale;
	} dense[] = {
		{ "token_embd", TINY_ROWS, 1 },
		{ "output", TINY_ROWS, 1 },
		{ "blk.0.attn_q", 64, 1 },
		{ "blk.0.attn_k", 32, 1 },
		{ "blk.0.attn_v", 32, 1 },
		{ "blk.0.attn_output", 64, 1 },
		{ "blk.0.ffn_gate", TINY_HIDDEN, 1 },
		{ "blk.0.ffn_up", TINY_HIDDEN, 1 },
		{ "blk.0.ffn_down", 64, 1 },
	}, experts[] = {
		{ "blk.0.ffn_gate_inp", 4, 1 },
		{ "blk.0.ffn_gate_exps", 32, 4 },
		{ "blk.0.ffn_up_exps", 32, 4 },
		{ "blk.0.ffn_down_exps", 64, 4 },
	}, latent[] = {
		{ "blk.0.attn_q", 64, 1 },
		{ "blk.0.attn_kv_a_mqa", 40, 1 },
		{ "blk.0.attn_k_b", 32, 4 },
		{ "blk.0.attn_v_b", 16, 4 },
	};
	const struct tiny a = { .architecture = "llama", .layers = 2 };
	const struct tiny b = { .architecture = "llama", .layers = 2, .experts = 4 };
	const struct tiny c = { .architecture = "deepseek2", .layers = 2, .latent = true };

	for (size_t i = 0; i < ARRAY_SIZE(dense); i++)
		count_beside(&a, dense[i].stem, dense[i].bias, dense[i].scale);
	for (size_t i = 0; i < ARRAY_SIZE(experts); i++)
		count_beside(&b, experts[i].stem, experts[i].bias, experts[i].scale);
	for (size_t i = 0; i < ARRAY_SIZE(latent); i++)
		count_beside(&c, latent[i].stem, latent[i].bias, latent[i].scale);
}

/* Pictures and drafts take no memory, between the others or behind them. */
static void test_unused_takes_no_memory(void)
{
	static const struct tiny_tensor pictures[] = {
		{ "v.patch_embd.weight", { 512, 512 }, 0 },
		{ "mm.input_projection.weight", { 512, 512 }, 0 },
	};
	static const char *const last[] = { "blk.1.ffn_down.weight", "output.weight", NULL };
	const struct tiny plain = { .architecture = "llama", .layers = 2 };
	struct tiny with = { .architecture = "llama",
			     .layers = 2,
			     .tensors = pictures,
			     .tensor_count = ARRAY_SIZE(pictures) };
	const struct stoker_model_info a = info_of(&plain);
	struct stoker_model_info b = info_of(&with);

	CU_ASSERT(b.bytes <= a.bytes + 8192);
	CU_ASSERT_EQUAL(a.parameters, b.parameters);
	with.order = last;
	b = info_of(&with);
	CU_ASSERT(b.bytes <= a.bytes + 3 * 8192);
	CU_ASSERT(tiny_alike(plain, NULL, 0, with, NULL, 0, 5));
}

static void test_kinds(void)
{
	static const struct {
		const char *architecture, *type, *said;
	} cases[] = {
		{ "llama", "adapter", "a LoRA adapter for llama" },
		{ "clip", "mmproj", "(mmproj)" },
		{ "clip", NULL, "(mmproj)" },
		{ "llama", "imatrix", "importance matrix" },
		{ "controlvector", NULL, "a control vector" },
		{ "llama", "novel", "general.type is \"novel\"" },
		{ "flux", NULL, "\"flux\" isn't supported: makes pictures" },
		{ "wan", NULL, "makes videos" },
		{ "bert", NULL, "an embedding model" },
		{ "whisper", NULL, "speech" },
		{ "eagle3", NULL, "a draft" },
		{ "gemma4", NULL, "architecture \"gemma4\" isn't supported" },
		{ "wonder\033[1m", NULL, "architecture \"wonder\\x1b[1m\" isn't supported" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct tiny_key type = { "general.type", TINY_TEXT, .text = cases[i].type,
					       .whole = true };
		const struct tiny t = { .architecture = cases[i].architecture,
					.layers = 1,
					.keys = &type,
					.key_count = cases[i].type ? 1 : 0 };
		struct stoker_vocabulary *v;
		struct stoker_error err;

		if (!strchr(cases[i].architecture, '\033')) {
			tiny_write(tiny_path(), &t);
			CU_ASSERT(stoker_vocabulary_load(tiny_path(), &v, &err) < 0);
			CU_ASSERT_PTR_NOT_NULL(strstr(err.message, cases[i].said));
			tiny_expect(&t, -ENOTSUP, cases[i].said);
		}
	}
}

/* A name that C would take for another. */
static void test_nul_in_the_architecture(void)
{
	const struct tiny t = { .architecture = "llamaX", .layers = 1 };
	const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT, .threads = 1 };
	struct stoker_device *d;
	struct stoker_model *m;
	struct stoker_error err;
	uint8_t *file, *at;
	size_t bytes;
	FILE *f;

	tiny_write(tiny_path(), &t);
	file = load_file(tiny_path(), &bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	at = memmem(file, bytes, "llamaX", 6);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	at[5] = 0;
	f = fopen(tiny_path(), "wbe");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(file, 1, bytes, f);
	fclose(f);
	free(file);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device, &d, NULL), 0);
	CU_ASSERT_EQUAL(stoker_model_load(d, tiny_path(), NULL, &m, &err), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "architecture \"llama\\x00\" isn't supported"));
	stoker_device_close(&d);
	unlink(tiny_path());
}

/* Logits of three tokens, all of them 0 if it can't be loaded. */
static void logits_of(const char *path, float logits[8])
{
	struct stoker_error err = { .message = "" };
	float *all = tiny_logits(path, 3, 0, true, &err);

	memset(logits, 0, 8 * sizeof(*logits));
	if (all)
		memcpy(logits, all, 8 * sizeof(*logits));
	else
		printf("\n    %s", err.message);
	free(all);
}

/* A bias that some converters write under its matrix' name; a key's name takes up the bytes. */
static void test_delta_nets_of_other_converters(void)
{
	const char *folder = vectors_folder("names of tensors");
	static const char bias[] = ".ssm_dt.bias", key[] = "general.file_type";
	const size_t cut = strlen(".bias");
	size_t bytes, removed = 0;
	float before[8], after[8];
	uint8_t *file, *at;
	uint64_t length;
	char path[512];
	FILE *f;

	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/models/qwen35moe.gguf", folder);
	logits_of(path, before);
	file = load_file(path, &bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	while ((at = memmem(file, bytes - removed, bias, strlen(bias)))) {
		uint8_t *name = at;

		while (memcmp(name, "blk.", 4))
			name--;
		memcpy(&length, name - 8, sizeof(length));
		length -= cut;
		memcpy(name - 8, &length, sizeof(length));
		at += strlen(bias) - cut;
		memmove(at, at + cut, bytes - removed - cut - (size_t)(at - file));
		removed += cut;
	}
	at = memmem(file, bytes - removed, key, strlen(key));
	CU_ASSERT_FATAL(removed && at);
	memcpy(&length, at - 8, sizeof(length));
	length += removed;
	memcpy(at - 8, &length, sizeof(length));
	memmove(at + removed, at, bytes - removed - (size_t)(at - file));
	memset(at, 'x', removed);
	f = fopen(tiny_path(), "wbe");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(file, 1, bytes, f), bytes);
	fclose(f);
	free(file);
	logits_of(tiny_path(), after);
	CU_ASSERT(before[0] != 0 && !memcmp(before, after, sizeof(before)));
	unlink(tiny_path());
}

void suite_understood(void)
{
	TEST(test_unknown_tensors);
	TEST(test_drafts);
	TEST(test_keys);
	TEST(test_keys_of_experts);
	TEST(test_what_is_beside_a_matrix);
	TEST(test_unused_takes_no_memory);
	TEST(test_kinds);
	TEST(test_nul_in_the_architecture);
	TEST(test_delta_nets_of_other_converters);
}
