// SPDX-License-Identifier: MIT
/* glm4moe: partial rotation, sigmoid gating with a selection bias, a shared expert. */
#include "model/model.h"

void load_glm4moe(struct stoker_model *m)
{
	const uint32_t dense = model_u32_or(m, "leading_dense_block_count", 0);
	const float scale = model_f32_or(m, "expert_weights_scale", 0);

	load_common(m);
	m->normalize_weights = model_bool_or(m, "expert_weights_norm", false);
	m->gating = model_gating(m, GATING_SIGMOID);
	if (scale != 0)
		m->weights_scale = scale;
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		const uint32_t hidden = model_u32(m, "expert_feed_forward_length");

		load_attention(m, i, false);
		m->layers[i].ffn_norm = model_vector(m, REQUIRED, m->embedding,
						     "blk.%u.post_attention_norm.weight", i);
		if (i < dense)
			load_dense_ffn(m, i, model_layer_u32_or(m, "feed_forward_length", i, 0));
		else
			load_experts(m, i, hidden, hidden * model_u32(m, "expert_shared_count"));
	}
}
