// SPDX-License-Identifier: MIT
/*
 * Whether everything in a file that changes what the model says is understood.
 *
 * Architectures ask for the keys and tensors that their formula has.  What nobody has asked for is
 * there for something else (pictures, drafts, names), or it belongs to a formula that this
 * architecture doesn't have here: then the text would be wrong without a word, and the model is
 * refused by the key's or the tensor's name.
 */
#include "model/model.h"

#include <math.h>
#include <stdio.h>

void model_use(struct stoker_model *m, const struct stoker_gguf_tensor *t, unsigned use)
{
	m->tensor_use[gguf_tensor_index(m->gguf, t)] |= (uint8_t)use;
}

bool model_is_placed(const struct stoker_model *m, const struct stoker_gguf_tensor *t)
{
	return m->tensor_use[gguf_tensor_index(m->gguf, t)] & PLACED;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool ends(const char *text, const char *with)
{
	const size_t length = strlen(text), end = strlen(with);

	return length >= end && !strcmp(text + length - end, with);
}

/* What a key has to say if nobody asked for it; @other is the key or, for a word, words. */
enum rule {
	ANY,	    /* it describes what is checked otherwise, or nothing of text */
	ZERO,	    /* 0, false */
	ONE,	    /* 1, true, or 0 where that stands for none */
	TRUE,	    /* 1, true */
	SAME,	    /* as another key, if that is there */
	WINDOWLESS, /* anything where no layer has a window, else as another key */
	EXPERTLESS, /* 0, or anything where there are no experts */
	WINDOW,	    /* 0, or no less than the context */
	GATING,	    /* as the experts' */
	NORMALIZED,
	SCALED,
	ACTIVATION,
};

static const struct key_rule {
	const char *key;
	enum rule rule;
	const char *other;
} rules[] = {
	{ "vocab_size", ANY, NULL },
	{ "tensor_data_layout", ANY, NULL },
	{ "feed_forward_length", ANY, NULL }, /* sizes of tensors, which are checked */
	{ "expert_feed_forward_length", ANY, NULL },
	{ "expert_shared_feed_forward_length", ANY, NULL },
	{ "expert_shared_count", ANY, NULL },
	{ "attention.head_count", ANY, NULL },
	{ "attention.head_count_kv", ANY, NULL },
	{ "attention.key_length", ANY, NULL },
	{ "attention.value_length", ANY, NULL },
	{ "attention.layer_norm_epsilon", ANY, NULL }, /* norms without a bias have the other */
	{ "attention.temperature_length", ANY, NULL }, /* of use with the scale */
	{ "rope.dimension_count", ANY, NULL },
	{ "rope.freq_base", ANY, NULL },
	{ "rope.scaling.finetuned", ANY, NULL },
	/* a text's positions are the same in all sections */
	{ "rope.dimension_sections", ANY, NULL },
	{ "rope.mrope_section", ANY, NULL },
	{ "rope.mrope_interleaved", ANY, NULL },
	{ "mrope_sections", ANY, NULL },
	{ "mrope_interleaved", ANY, NULL },
	{ "n_deepstack_layers", ANY, NULL }, /* what pictures add */
	{ "deepstack_mapping", ANY, NULL },
	{ "image_token_id", ANY, NULL }, /* where pictures are in a text, which has none here */
	{ "video_token_id", ANY, NULL },
	{ "vision_start_token_id", ANY, NULL },
	{ "vision_end_token_id", ANY, NULL },
	{ "leading_dense_block_count", EXPERTLESS, NULL },
	{ "expert_count", ZERO, NULL },
	{ "expert_gating_func", GATING, NULL },
	{ "expert_weights_norm", NORMALIZED, NULL },
	{ "norm_top_k_prob", NORMALIZED, NULL },
	{ "expert_weights_scale", SCALED, NULL },
	{ "expert_chunk_feed_forward_length", ZERO, NULL },
	{ "expert_latent_length", ZERO, NULL },
	{ "moe_latent_size", ZERO, NULL },
	{ "moe_every_n_layers", ONE, NULL },
	{ "interleave_moe_layer_step", ONE, NULL },
	{ "full_attention_interval", ONE, NULL },
	{ "swiglu_clamp_exp", ZERO, NULL },
	{ "swiglu_clamp_shexp", ZERO, NULL },
	{ "hidden_activation", ACTIVATION, NULL },
	{ "activation", ACTIVATION, NULL },
	{ "use_parallel_residual", ZERO, NULL },
	{ "pooling_type", ZERO, NULL },
	{ "logit_scale", ONE, NULL },
	{ "residual_scale", ONE, NULL },
	{ "embedding_scale", ONE, NULL },
	{ "attn_logit_softcapping", ZERO, NULL },
	{ "router_logit_softcapping", ZERO, NULL },
	{ "final_logit_softcapping", ZERO, NULL },
	{ "swin_norm", ZERO, NULL },
	{ "rescale_every_n_layers", ZERO, NULL },
	{ "num_loops", ONE, NULL },
	{ "skip_loop_final_norm", ZERO, NULL },
	{ "embedding_length_out", SAME, "embedding_length" },
	{ "embedding_length_per_layer_input", ZERO, NULL },
	{ "decoder_block_count", ZERO, NULL },
	{ "hash_layer_count", ZERO, NULL },
	{ "attention.causal", TRUE, NULL },
	{ "attention.max_alibi_bias", ZERO, NULL },
	{ "attention.clamp_kqv", ZERO, NULL },
	{ "attention.scale", ZERO, NULL },
	{ "attention.output_scale", ONE, NULL },
	{ "attention.value_scale", ONE, NULL },
	{ "attention.temperature_scale", ZERO, NULL },
	{ "attention.shared_kv_layers", ZERO, NULL },
	{ "attention.rope_pattern", TRUE, NULL },
	{ "attention.head_dim", SAME, "attention.key_length" },
	{ "ssm.v_head_reordered", TRUE, NULL }, /* as all converters have it but of qwen3next */
	{ "attention.sliding_window", WINDOW, NULL },
	{ "attention.sliding_window_pattern", WINDOWLESS, NULL },
	{ "attention.key_length_swa", WINDOWLESS, "attention.key_length" },
	{ "attention.value_length_swa", WINDOWLESS, "attention.value_length" },
	{ "rope.dimension_count_swa", WINDOWLESS, "rope.dimension_count" },
	{ "rope.freq_base_swa", WINDOWLESS, "rope.freq_base" },
	{ "rope.local.freq_base", WINDOWLESS, "rope.freq_base" },
	{ "rope.scaling.alpha", ONE, NULL },
};

/* Of other parts of the model than text. */
static const char *const elsewhere[] = { "vision.", "audio.", "mm.", "speech." };

static bool has_windows(const struct stoker_model *m)
{
	for (uint32_t i = 0; i < m->layer_count; i++)
		if (m->layers[i].window)
			return true;
	return false;
}

/* The one number that a key says, NAN: it is no number, or several. */
static double number_of(const struct stoker_model *m, const struct stoker_gguf_key *key)
{
	double first, other;

	if (!key || !key->count || stoker_gguf_f64(m->gguf, key, 0, &first))
		return NAN;
	for (uint64_t i = 1; i < key->count; i++)
		if (stoker_gguf_f64(m->gguf, key, i, &other) || other != first)
			return NAN;
	return first;
}

static bool same_as(const struct stoker_model *m, const char *other, double value)
{
	char name[STOKER_MAX_NAME];
	const struct stoker_gguf_key *key;

	if (!other)
		return false;
	snprintf(name, sizeof(name), "%s.%s", m->architecture->name, other);
	key = stoker_gguf_find(m->gguf, name);
	return key && number_of(m, key) == value;
}

static bool is_activation(const struct stoker_model *m, const struct stoker_gguf_key *key)
{
	static const struct {
		const char *word;
		enum stoker_activation activation;
	} words[] = {
		{ "silu", ACTIVATION_SILU },
		{ "swish", ACTIVATION_SILU },
		{ "silu", ACTIVATION_SWIGLU_OAI },
		{ "gelu", ACTIVATION_GELU },
		{ "gelu_new", ACTIVATION_GELU },
		{ "gelu_tanh", ACTIVATION_GELU },
		{ "gelu_pytorch_tanh", ACTIVATION_GELU },
		{ "relu", ACTIVATION_RELU },
	};
	struct stoker_string s;

	if (stoker_gguf_string(m->gguf, key, &s))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].activation == m->activation && strlen(words[i].word) == s.length &&
		    !memcmp(words[i].word, s.data, s.length))
			return true;
	return false;
}

static double gating_number(const struct stoker_model *m)
{
	return m->gating == GATING_SOFTMAX ? 1 : m->gating == GATING_SIGMOID ? 2 : 3;
}

static bool keeps(const struct stoker_model *m, const struct key_rule *r,
		  const struct stoker_gguf_key *key)
{
	const double value = number_of(m, key);
	const bool experts = m->experts_used > 0; /* load.c: of those that there are */

	switch (r->rule) {
	case ANY:
		return true;
	case ZERO:
		return value == 0;
	case ONE:
		return value == 0 || value == 1;
	case TRUE:
		return value == 1;
	case SAME:
		return same_as(m, r->other, value);
	case WINDOWLESS:
		return !has_windows(m) || same_as(m, r->other, value);
	case EXPERTLESS:
		return !experts || value == 0;
	case WINDOW: /* the reference has none in phi3 either, whatever its files say */
		return value == 0 || value >= m->context || !strcmp(m->architecture->name, "phi3");
	case GATING:
		return !experts || value == 0 || value == gating_number(m);
	case NORMALIZED:
		return !experts || value == m->normalize_weights ||
		       m->gating == GATING_SOFTMAX_CHOSEN;
	case SCALED:
		return !experts || value == 0 || value == (double)m->weights_scale;
	case ACTIVATION:
		return is_activation(m, key);
	}
	return false;
}

static void value_text(const struct stoker_model *m, const struct stoker_gguf_key *key,
		       char out[64])
{
	const locale_t before = c_locale_enter();
	struct stoker_string s;
	double value;

	if (!stoker_gguf_string(m->gguf, key, &s))
		snprintf(out, 64, "\"%.*s\"", (int)MIN(s.length, (size_t)50), s.data);
	else if (key->type == STOKER_GGUF_ARRAY)
		snprintf(out, 64, "a list of %llu", (unsigned long long)key->count);
	else if (key->type == STOKER_GGUF_BOOL)
		snprintf(out, 64, "%s", number_of(m, key) != 0 ? "true" : "false");
	else if (!stoker_gguf_f64(m->gguf, key, 0, &value))
		snprintf(out, 64, "%g", value);
	else
		snprintf(out, 64, "no number");
	c_locale_leave(before);
}

static void check_key(struct stoker_model *m, const struct stoker_gguf_key *key, const char *name)
{
	char value[64];

	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		if (begins(name, elsewhere[i]))
			return;
	value_text(m, key, value);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (strcmp(rules[i].key, name))
			continue;
		if (!keeps(m, &rules[i], key))
			model_fail(m, -ENOTSUP, "key %s is %s, which isn't supported for %s%s",
				   key->name, value, m->architecture->name,
				   strcmp(name, "pooling_type")
					   ? ""
					   : ": an embedding model, which gives "
					     "vectors and no text");
		return;
	}
	model_fail(m, -ENOTSUP, "key %s (%s) isn't known for %s: what it changes isn't computed",
		   key->name, value, m->architecture->name);
}

/* Tensors that a text doesn't need: of pictures and sound, drafts, tables that are computed. */
static bool is_harmless(const struct stoker_model *m, const char *name)
{
	static const char *const other_parts[] = { "v.", "a.", "mm.", "mtp." };
	static const char *const latent[] = { ".attn_kv_b.weight", ".attn_k_b.weight",
					      ".attn_v_b.weight" };
	uint32_t layer;
	char dot;

	for (size_t i = 0; i < ARRAY_SIZE(other_parts); i++)
		if (begins(name, other_parts[i]))
			return true;
	if (ends(name, ".attn_rot_embd.weight") || ends(name, ".attn_rot_embd") ||
	    ends(name, ".attention.rotary_embd") || ends(name, ".input_scale"))
		return true;
	if (sscanf(name, "blk.%u%c", &layer, &dot) != 2 || dot != '.')
		return false;
	if (layer >= m->layer_count)
		return layer - m->layer_count < m->drafts;
	/* the same matrix, whole and in two */
	for (size_t i = 0; i < ARRAY_SIZE(latent); i++)
		if (m->layers[layer].mixer == MIXER_LATENT_ATTENTION && ends(name, latent[i]))
			return true;
	return false;
}

void model_check_understood(struct stoker_model *m)
{
	const size_t prefix = strlen(m->architecture->name);

	for (size_t i = 0; i < stoker_gguf_key_count(m->gguf) && !m->failed; i++) {
		const struct stoker_gguf_key *key = stoker_gguf_key(m->gguf, i);

		if (!m->key_use[i] && begins(key->name, m->architecture->name) &&
		    key->name[prefix] == '.' && stoker_gguf_find(m->gguf, key->name) == key)
			check_key(m, key, key->name + prefix + 1);
	}
	for (size_t i = 0; i < stoker_gguf_tensor_count(m->gguf) && !m->failed; i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(m->gguf, i);

		if (!(m->tensor_use[i] & UNDERSTOOD) && !is_harmless(m, t->name))
			model_fail(m, -ENOTSUP,
				   "tensor %s isn't known for %s: what it changes isn't computed",
				   t->name, m->architecture->name);
	}
}
