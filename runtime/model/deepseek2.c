// SPDX-License-Identifier: MIT
/*
 * deepseek2: multi-head latent attention (arXiv:2405.04434) and experts with a selection bias. With
 * attn_k_b and attn_v_b the cache holds the compressed vector; older files have attn_kv_b, which
 * expands it to ordinary keys and values.
 */
#include "model/model.h"

#include <math.h>

static void load_latent_attention(struct stoker_model *m, uint32_t il)
{
	struct layer *l = &m->layers[il];
	const uint32_t dim = m->embedding, latent = model_u32(m, "attention.kv_lora_rank");
	const uint32_t rotated = model_u32(m, "rope.dimension_count");
	const uint32_t q_rank = model_u32_or(m, "attention.q_lora_rank", 0);
	const bool absorbed = model_has(m, "attention.key_length_mla");

	l->mixer = MIXER_LATENT_ATTENTION;
	l->heads = model_layer_u32_or(m, "attention.head_count", il, 0);
	l->key_size = model_u32(m, absorbed ? "attention.key_length_mla" : "attention.key_length");
	l->value_size =
		model_u32(m, absorbed ? "attention.value_length_mla" : "attention.value_length");
	l->latent = latent;
	l->rotated = rotated;
	model_width(m, "attention.head_count", l->heads);
	model_width(m, "attention.key_length", l->key_size);
	model_width(m, "attention.value_length", l->value_size);
	model_width(m, "attention.kv_lora_rank", latent);
	if (m->failed)
		return;
	if (rotated >= l->key_size || (uint64_t)l->heads * l->key_size > STOKER_MAX_WIDTH ||
	    (uint64_t)l->heads * l->value_size > STOKER_MAX_WIDTH ||
	    (uint64_t)l->heads * ((uint64_t)latent + rotated) > STOKER_MAX_WIDTH) {
		model_fail(m, -EINVAL,
			   "layer %u: %u heads of %u keys (%u rotated) and %u values, latent %u",
			   il, l->heads, l->key_size, rotated, l->value_size, latent);
		return;
	}
	const uint32_t plain = l->key_size - rotated;

	l->attn_norm = model_vector(m, REQUIRED, dim, "blk.%u.attn_norm.weight", il);
	if (q_rank) {
		model_weight(m, &l->q_a, REQUIRED, dim, q_rank, 1, "blk.%u.attn_q_a", il);
		l->q_a_norm = model_vector(m, REQUIRED, q_rank, "blk.%u.attn_q_a_norm.weight", il);
		model_weight(m, &l->q_b, REQUIRED, q_rank, l->heads * l->key_size, 1,
			     "blk.%u.attn_q_b", il);
	} else {
		model_weight(m, &l->q, REQUIRED, dim, l->heads * l->key_size, 1, "blk.%u.attn_q",
			     il);
	}
	model_weight(m, &l->kv_a, REQUIRED, dim, latent + rotated, 1, "blk.%u.attn_kv_a_mqa", il);
	l->kv_a_norm = model_vector(m, REQUIRED, latent, "blk.%u.attn_kv_a_norm.weight", il);
	if (absorbed) {
		l->kv_heads = 1;
		model_weight(m, &l->k_b, REQUIRED, plain, latent, l->heads, "blk.%u.attn_k_b", il);
		model_weight(m, &l->v_b, REQUIRED, latent, l->value_size, l->heads,
			     "blk.%u.attn_v_b", il);
	} else {
		l->kv_heads = l->heads;
		model_weight(m, &l->kv_b, REQUIRED, latent, l->heads * (plain + l->value_size), 1,
			     "blk.%u.attn_kv_b", il);
	}
	model_weight(m, &l->o, REQUIRED, l->heads * l->value_size, dim, 1, "blk.%u.attn_output",
		     il);

	/* YaRN scales the logits here instead of cos and sin */
	const struct rope_scaling scaling = model_rope_scaling(m);
	float mu = scaling.ramp == 0 ? scaling.magnitude : scaling.attention;

	if (scaling.factor > 1) {
		const float logarithm = logf((float)scaling.factor);

		if (scaling.ramp == 0 || scaling.log_multiplier == 0)
			mu *= 1 + 0.1f * logarithm;
		mu *= 1 + 0.1f * scaling.log_multiplier * logarithm;
	}
	l->attn_scale = mu * mu / sqrtf((float)l->key_size);
	l->rope = il ? m->layers[0].rope
		     : model_rope(m, rotated, true, model_f32_or(m, "rope.freq_base", 10000), NULL,
				  true);
}

/* What files have that don't say it, which are of before the key was there. */
static enum stoker_gating default_gating(struct stoker_model *m)
{
	const struct stoker_gguf_key *tokens = stoker_gguf_find(m->gguf, "tokenizer.ggml.tokens");
	const uint32_t vocabulary =
		model_u32_or(m, "vocab_size", tokens ? (uint32_t)tokens->count : m->vocabulary);
	/* GLM-4.7-Flash */
	const bool sigmoid = vocabulary == 154880 && (m->layer_count == 47 || m->layer_count == 48);

	return sigmoid ? GATING_SIGMOID : GATING_SOFTMAX;
}

void load_deepseek2(struct stoker_model *m)
{
	const uint32_t dense = model_u32_or(m, "leading_dense_block_count", 0);
	const float scale = model_f32_or(m, "expert_weights_scale", 0);

	load_common(m);
	m->normalize_weights = model_bool_or(m, "expert_weights_norm", false);
	m->gating = model_gating(m, default_gating(m));
	if (scale != 0)
		m->weights_scale = scale;
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		load_latent_attention(m, i);
		m->layers[i].ffn_norm =
			model_vector(m, REQUIRED, m->embedding, "blk.%u.ffn_norm.weight", i);
		if (i < dense || !model_u32_or(m, "expert_count", 0)) {
			load_dense_ffn(m, i, model_layer_u32_or(m, "feed_forward_length", i, 0));
		} else {
			const uint32_t hidden = model_u32(m, "expert_feed_forward_length");

			load_experts(m, i, hidden,
				     hidden * model_u32_or(m, "expert_shared_count", 0));
		}
	}
}
