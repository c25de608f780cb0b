// SPDX-License-Identifier: MIT
/* qwen2 and qwen3, dense and with experts; olmoe, whose norms span all heads. */
#include "model/model.h"

void load_qwen(struct stoker_model *m)
{
	const bool third = !strncmp(m->architecture->name, "qwen3", 5);
	const bool experts = model_u32_or(m, "expert_count", 0) > 0;

	load_common(m);
	m->normalize_weights = third;
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];
		const uint32_t hidden = model_layer_u32_or(m, "feed_forward_length", i, 0);

		load_attention(m, i, false);
		if (third && !m->failed && (!l->q_norm || !l->k_norm))
			model_fail(
				m, -EINVAL,
				"tensor blk.%u.attn_q_norm.weight or attn_k_norm.weight is missing",
				i);
		l->ffn_norm = model_vector(m, REQUIRED, m->embedding, "blk.%u.ffn_norm.weight", i);
		if (experts)
			load_experts(m, i,
				     model_u32_or(m, "expert_feed_forward_length",
						  m->experts_used ? hidden / m->experts_used : 0),
				     third ? 0
					   : model_u32_or(m, "expert_shared_feed_forward_length",
							  hidden));
		else
			load_dense_ffn(m, i, hidden);
	}
}

void load_olmoe(struct stoker_model *m)
{
	load_common(m);
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		m->layers[i].norm_whole = true;
		load_attention(m, i, false);
		m->layers[i].ffn_norm =
			model_vector(m, REQUIRED, m->embedding, "blk.%u.ffn_norm.weight", i);
		load_experts(m, i, model_u32(m, "feed_forward_length"), 0);
	}
}
