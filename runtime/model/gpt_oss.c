// SPDX-License-Identifier: MIT
/* gpt-oss: alternating sliding windows, attention sinks, biases everywhere, clamped SwiGLU. */
#include "model/model.h"

void load_gpt_oss(struct stoker_model *m)
{
	const uint32_t window = model_u32(m, "attention.sliding_window");

	load_common(m);
	m->gating = GATING_SOFTMAX_CHOSEN;
	m->activation = ACTIVATION_SWIGLU_OAI;
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];

		load_attention(m, i, false);
		l->window = i % 2 == 0 ? window : 0;
		l->sinks = model_vector(m, REQUIRED, l->heads, "blk.%u.attn_sinks.weight", i);
		l->ffn_norm = model_vector(m, OPTIONAL, m->embedding,
					   "blk.%u.post_attention_norm.weight", i);
		if (!l->ffn_norm)
			l->ffn_norm = model_vector(m, REQUIRED, m->embedding,
						   "blk.%u.ffn_norm.weight", i);
		load_experts(m, i, model_u32(m, "expert_feed_forward_length"), 0);
	}
}
