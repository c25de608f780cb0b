// SPDX-License-Identifier: MIT
/* smallthinker: the router reads the layer's input, every fourth layer has neither window nor RoPE.
 */
#include "model/model.h"

enum {
	WINDOW = 4096, /* whatever the file says, as the reference has it */
	PERIOD = 4,
};

void load_smallthinker(struct stoker_model *m)
{
	const bool windowed = model_u32_or(m, "attention.sliding_window", 0) > 0;

	load_common(m);
	m->gating = model_gating(m, GATING_SOFTMAX);
	m->normalize_weights = true;
	m->activation = ACTIVATION_RELU;
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];

		load_attention(m, i, false);
		l->ffn_norm = model_vector(m, REQUIRED, m->embedding, "blk.%u.ffn_norm.weight", i);
		l->router_first = true;
		load_experts(m, i, model_u32(m, "expert_feed_forward_length"), 0);
	}
	for (uint32_t i = 0; windowed && i < m->layer_count && !m->failed; i++) {
		m->layers[i].window = model_layer_has_window(m, i, PERIOD, true) ? WINDOW : 0;
		if (i % PERIOD == 0)
			m->layers[i].rope.pairs = 0;
	}
}
