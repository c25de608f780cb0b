// SPDX-License-Identifier: MIT
/* phi3: fused projections and rope factors for short and long contexts. */
#include "model/model.h"

void load_phi3(struct stoker_model *m)
{
	struct rope rope = { 0 };

	load_common(m);
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];
		const uint32_t hidden = model_layer_u32_or(m, "feed_forward_length", i, 0);
		struct stoker_weight both;

		load_attention(m, i, false);
		if (i == 0 && !m->failed)
			rope = model_rope(m, 2 * l->rope.pairs, false,
					  model_f32_or(m, "rope.freq_base", 10000),
					  "rope_factors_short.weight", true);
		l->rope = rope;
		l->ffn_norm = model_vector(m, REQUIRED, m->embedding, "blk.%u.ffn_norm.weight", i);
		if (!hidden || hidden > STOKER_MAX_WIDTH / 2) {
			model_fail(m, -EINVAL,
				   "key phi3.feed_forward_length is %u, limits 1 and %d", hidden,
				   STOKER_MAX_WIDTH / 2);
			return;
		}
		model_fused_weight(m, &both, REQUIRED, m->embedding, 2 * hidden, hidden, 1,
				   "blk.%u.ffn_up", i);
		if (m->failed)
			return;
		l->ffn_gate = weight_rows(&both, 0, hidden);
		l->ffn_up = weight_rows(&both, hidden, hidden);
		model_weight(m, &l->ffn_down, REQUIRED, hidden, m->embedding, 1, "blk.%u.ffn_down",
			     i);
	}
}
