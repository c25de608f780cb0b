// SPDX-License-Identifier: MIT
/* The parts that architectures share: embeddings, attention, feed-forward, experts. */
#include "model/model.h"

#include <math.h>

void load_common(struct stoker_model *m)
{
	const struct stoker_gguf_tensor *embd =
		stoker_gguf_find_tensor(m->gguf, "token_embd.weight");
	const struct stoker_gguf_key *tokens = stoker_gguf_find(m->gguf, "tokenizer.ggml.tokens");
	const uint32_t blocks = model_u32(m, "block_count");
	const uint32_t drafts = model_u32_or(m, "nextn_predict_layers", 0);

	m->context = model_u32(m, "context_length");
	if (!m->failed && !m->context)
		model_fail(m, -EINVAL, "key %s.context_length is 0", m->architecture->name);
	m->embedding = model_width(m, "embedding_length", model_u32(m, "embedding_length"));
	m->norm_eps = model_f32(m, "attention.layer_norm_rms_epsilon");
	m->experts_used = model_u32_or(m, "expert_used_count", 0);
	m->groups = model_u32_or(m, "expert_group_count", 0);
	m->groups_used = model_u32_or(m, "expert_group_used_count", 0);
	m->embedding_scale = m->residual_scale = m->logit_scale = m->weights_scale = 1;
	m->activation = ACTIVATION_SILU;
	m->gating = GATING_SOFTMAX;
	if (!m->failed && (drafts >= blocks || blocks - drafts > STOKER_MAX_LAYERS))
		model_fail(m, -EINVAL,
			   "key %s.block_count is %u with %u draft blocks, limits 1 and %d",
			   m->architecture->name, blocks, drafts, STOKER_MAX_LAYERS);
	if (!embd)
		model_fail(m, -EINVAL, "tensor token_embd.weight is missing");
	if (m->failed)
		return;
	m->layer_count = blocks - drafts;
	m->drafts = drafts;
	m->layers = calloc(m->layer_count, sizeof(*m->layers));
	if (!m->layers) {
		model_fail(m, -ENOMEM, "out of memory");
		return;
	}
	m->vocabulary = (uint32_t)embd->ne[1];
	if (tokens && tokens->count > m->vocabulary)
		model_fail(m, -EINVAL,
			   "tokenizer.ggml.tokens has %llu entries, token_embd.weight %u rows",
			   (unsigned long long)tokens->count, m->vocabulary);
	model_weight(m, &m->token_embd, REQUIRED, m->embedding, m->vocabulary, 1, "token_embd");
	if (m->token_embd.bias || m->token_embd.scale) /* rows are looked up */
		model_fail(m, -ENOTSUP, "tensor token_embd.%s isn't supported",
			   m->token_embd.bias ? "bias" : "scale");
	m->output_norm = model_vector(m, OPTIONAL, m->embedding, "output_norm.weight");
	/* as the lfm2 family calls it; others have a norm of the embeddings by that name */
	if (!m->output_norm && !strncmp(m->architecture->name, "lfm2", 4))
		m->output_norm = model_vector(m, OPTIONAL, m->embedding, "token_embd_norm.weight");
	if (!m->output_norm)
		model_fail(m, -EINVAL, "tensor output_norm.weight is missing");
	if (!model_weight(m, &m->output, OPTIONAL, m->embedding, m->vocabulary, 1, "output"))
		m->output = m->token_embd;
}

void load_attention(struct stoker_model *m, uint32_t il, bool interleaved)
{
	struct layer *l = &m->layers[il];
	const uint32_t dim = m->embedding;
	struct stoker_weight fused;

	l->heads = model_width(m, "attention.head_count",
			       model_layer_u32_or(m, "attention.head_count", il, 0));
	l->kv_heads = model_layer_u32_or(m, "attention.head_count_kv", il, l->heads);
	if (m->failed)
		return;
	if (l->kv_heads == 0 || l->heads % l->kv_heads) {
		model_fail(m, -EINVAL,
			   "layer %u: %u attention heads don't divide into %u key-value heads", il,
			   l->heads, l->kv_heads);
		return;
	}
	l->key_size = model_width(m, "attention.key_length",
				  model_u32_or(m, "attention.key_length", dim / l->heads));
	l->value_size = model_width(m, "attention.value_length",
				    model_u32_or(m, "attention.value_length", dim / l->heads));
	const uint32_t rotated = model_u32_or(m, "rope.dimension_count", l->key_size);
	const uint64_t q = (uint64_t)l->heads * l->key_size,
		       k = (uint64_t)l->kv_heads * l->key_size;
	const uint64_t v = (uint64_t)l->kv_heads * l->value_size;

	if (m->failed)
		return;
	if (rotated > l->key_size || q + k + v > STOKER_MAX_WIDTH ||
	    (uint64_t)l->heads * l->value_size > STOKER_MAX_WIDTH) {
		model_fail(m, -EINVAL,
			   "layer %u: %u heads of %u keys and %u values with %u rotated dimensions",
			   il, l->heads, l->key_size, l->value_size, rotated);
		return;
	}
	const float scale = model_f32_or(m, "attention.scale", 0);

	l->attn_scale = scale != 0 ? scale : 1 / sqrtf((float)l->key_size);
	l->attn_norm = model_vector(m, REQUIRED, dim, "blk.%u.attn_norm.weight", il);
	if (l->output_gate && l->key_size != l->value_size) {
		model_fail(m, -EINVAL,
			   "layer %u: gated attention with %u keys and %u values a head", il,
			   l->key_size, l->value_size);
		return;
	}
	/* the largest power of two that q and q + k are multiples of */
	const uint32_t cut = (uint32_t)((q | k) & -(q | k));

	if (!l->output_gate && model_fused_weight(m, &fused, OPTIONAL, dim, (uint32_t)(q + k + v),
						  cut, 1, "blk.%u.attn_qkv", il)) {
		l->q = weight_rows(&fused, 0, (uint32_t)q);
		l->k = weight_rows(&fused, (uint32_t)q, (uint32_t)k);
		l->v = weight_rows(&fused, (uint32_t)(q + k), (uint32_t)v);
	} else {
		const uint32_t gated = l->output_gate ? 2 : 1;

		model_weight(m, &l->q, REQUIRED, dim, (uint32_t)q * gated, 1, "blk.%u.attn_q", il);
		model_weight(m, &l->k, REQUIRED, dim, (uint32_t)k, 1, "blk.%u.attn_k", il);
		model_weight(m, &l->v, REQUIRED, dim, (uint32_t)v, 1, "blk.%u.attn_v", il);
	}
	model_weight(m, &l->o, REQUIRED, l->heads * l->value_size, dim, 1, "blk.%u.attn_output",
		     il);
	l->q_norm = model_vector(m, OPTIONAL, l->norm_whole ? q : l->key_size,
				 "blk.%u.attn_q_norm.weight", il);
	l->k_norm = model_vector(m, OPTIONAL, l->norm_whole ? k : l->key_size,
				 "blk.%u.attn_k_norm.weight", il);
	l->rope =
		il > 0 && m->layers[0].rope.pairs == rotated / 2
			? m->layers[0].rope
			: model_rope(m, rotated, interleaved,
				     model_f32_or(m, "rope.freq_base",
						  model_f32_or(m, "rope.global.freq_base", 10000)),
				     model_string_is(m, "rope.scaling.type", "longrope")
					     ? "rope_factors_short.weight"
					     : "rope_freqs.weight",
				     true);
}

void load_dense_ffn(struct stoker_model *m, uint32_t il, uint32_t hidden)
{
	struct layer *l = &m->layers[il];

	model_width(m, "feed_forward_length", hidden);
	model_weight(m, &l->ffn_gate, OPTIONAL, m->embedding, hidden, 1, "blk.%u.ffn_gate", il);
	model_weight(m, &l->ffn_up, REQUIRED, m->embedding, hidden, 1, "blk.%u.ffn_up", il);
	model_weight(m, &l->ffn_down, REQUIRED, hidden, m->embedding, 1, "blk.%u.ffn_down", il);
}

void load_experts(struct stoker_model *m, uint32_t il, uint32_t hidden, uint32_t shared)
{
	struct layer *l = &m->layers[il];
	const uint32_t experts = model_u32(m, "expert_count");
	struct stoker_weight both;

	model_width(m, "expert_feed_forward_length", hidden);
	if (!m->failed && (experts == 0 || experts > STOKER_MAX_EXPERTS || m->experts_used == 0 ||
			   m->experts_used > experts))
		model_fail(m, -EINVAL, "expert_used_count %u of expert_count %u, limit %d",
			   m->experts_used, experts, STOKER_MAX_EXPERTS);
	if (!m->failed && m->groups > 1 &&
	    (m->groups > 64 || experts % m->groups || m->groups_used == 0 ||
	     m->groups_used > m->groups || m->experts_used > experts / m->groups * m->groups_used))
		model_fail(m, -EINVAL,
			   "expert_group_used_count %u of expert_group_count %u for %u experts",
			   m->groups_used, m->groups, experts);
	l->expert_count = experts;
	model_weight(m, &l->router, REQUIRED, m->embedding, experts, 1, "blk.%u.ffn_gate_inp", il);
	l->router_bias = model_vector(m, OPTIONAL, experts, "blk.%u.exp_probs_b.bias", il);
	if (model_fused_weight(m, &both, OPTIONAL, m->embedding, 2 * hidden, hidden, experts,
			       "blk.%u.ffn_gate_up_exps", il)) {
		if (both.bias)
			model_fail(m, -ENOTSUP, "blk.%u.ffn_gate_up_exps.bias isn't supported", il);
		l->gate_exps = weight_rows(&both, 0, hidden);
		l->up_exps = weight_rows(&both, hidden, hidden);
	} else {
		model_weight(m, &l->gate_exps, OPTIONAL, m->embedding, hidden, experts,
			     "blk.%u.ffn_gate_exps", il);
		model_weight(m, &l->up_exps, REQUIRED, m->embedding, hidden, experts,
			     "blk.%u.ffn_up_exps", il);
	}
	model_weight(m, &l->down_exps, REQUIRED, hidden, m->embedding, experts,
		     "blk.%u.ffn_down_exps", il);
	if (!shared)
		return;
	model_weight(m, &l->shared_gate, REQUIRED, m->embedding, shared, 1, "blk.%u.ffn_gate_shexp",
		     il);
	model_weight(m, &l->shared_up, REQUIRED, m->embedding, shared, 1, "blk.%u.ffn_up_shexp",
		     il);
	model_weight(m, &l->shared_down, REQUIRED, shared, m->embedding, 1, "blk.%u.ffn_down_shexp",
		     il);
	model_weight(m, &l->shared_gate_inp, OPTIONAL, m->embedding, 1, 1,
		     "blk.%u.ffn_gate_inp_shexp", il);
}
