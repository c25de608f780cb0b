// SPDX-License-Identifier: MIT
/* gemma3: norms after each block too, five windowed layers to one global one, two rope bases. */
#include "model/model.h"

#include <math.h>

enum { PERIOD = 6 }; /* unless the file says otherwise */

void load_gemma3(struct stoker_model *m)
{
	const uint32_t window = model_u32_or(m, "attention.sliding_window", 0);
	struct rope local = { 0 };

	load_common(m);
	m->activation = ACTIVATION_GELU;
	m->embedding_scale = sqrtf((float)m->embedding);
	m->logit_softcap = model_f32_or(m, "final_logit_softcapping", 0);
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];

		load_attention(m, i, false);
		l->ffn_norm = model_vector(m, REQUIRED, m->embedding, "blk.%u.ffn_norm.weight", i);
		l->post_attn_norm = model_vector(m, REQUIRED, m->embedding,
						 "blk.%u.post_attention_norm.weight", i);
		l->post_ffn_norm =
			model_vector(m, REQUIRED, m->embedding, "blk.%u.post_ffw_norm.weight", i);
		if (m->layer_count ==
		    62) /* the 27 B model scales by the embedding's share of a head */
			l->attn_scale = 1 / sqrtf((float)m->embedding / (float)l->heads);
		load_dense_ffn(m, i, model_layer_u32_or(m, "feed_forward_length", i, 0));
	}
	if (m->failed || !window)
		return;
	local = model_rope(m, 2 * m->layers[0].rope.pairs, false,
			   model_f32_or(m, "rope.freq_base_swa",
					model_f32_or(m, "rope.local.freq_base", 10000)),
			   NULL, false);
	for (uint32_t i = 0; i < m->layer_count; i++)
		if (model_layer_has_window(m, i, PERIOD, false)) {
			m->layers[i].window = window;
			m->layers[i].rope = local;
		}
}
