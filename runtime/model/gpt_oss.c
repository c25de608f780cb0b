// SPDX-License-Identifier: MIT
/* gpt-oss: alternating sliding windows, attention sinks, biases everywhere, clamped SwiGLU. */
#include "model/model.h"

enum { PERIOD = 2 }; /* unless the file says otherwise */

void load_gpt_oss(struct stoker_model *m)
{
	const uint32_t window = model_u32(m, "attention.sliding_window");
	const float base = model_f32_or(m, "rope.freq_base", 10000);
	const float windowed = model_f32_or(m, "rope.freq_base_swa", base);
	struct rope local = { 0 };

	load_common(m);
	m->gating = GATING_SOFTMAX_CHOSEN;
	m->activation = ACTIVATION_SWIGLU_OAI;
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];

		load_attention(m, i, false);
		l->window = model_layer_has_window(m, i, PERIOD, false) ? window : 0;
		l->sinks = model_vector(m, REQUIRED, l->heads, "blk.%u.attn_sinks.weight", i);
		l->ffn_norm = model_vector(m, OPTIONAL, m->embedding,
					   "blk.%u.post_attention_norm.weight", i);
		if (!l->ffn_norm)
			l->ffn_norm = model_vector(m, REQUIRED, m->embedding,
						   "blk.%u.ffn_norm.weight", i);
		load_experts(m, i, model_u32(m, "expert_feed_forward_length"), 0);
	}
	if (m->failed || windowed == base)
		return;
	local = model_rope(m, 2 * m->layers[0].rope.pairs, false, windowed, "rope_freqs.weight",
			   true);
	for (uint32_t i = 0; i < m->layer_count; i++)
		if (m->layers[i].window)
			m->layers[i].rope = local;
}
