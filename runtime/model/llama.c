// SPDX-License-Identifier: MIT
/* llama, dense and with experts (Mixtral); granite and granitemoe, which add fixed multipliers. */
#include "model/model.h"

#include <math.h>

static void load_layers(struct stoker_model *m, uint32_t shared)
{
	const bool experts = model_u32_or(m, "expert_count", 0) > 0;

	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];
		const uint32_t hidden = model_layer_u32_or(m, "feed_forward_length", i, 0);

		load_attention(m, i, true);
		l->ffn_norm = model_vector(m, REQUIRED, m->embedding, "blk.%u.ffn_norm.weight", i);
		if (experts)
			load_experts(m, i, model_u32_or(m, "expert_feed_forward_length", hidden),
				     shared);
		else
			load_dense_ffn(m, i, hidden);
	}
}

void load_llama(struct stoker_model *m)
{
	load_common(m);
	m->normalize_weights = true;
	load_layers(m, 0);
}

void load_granite(struct stoker_model *m)
{
	const float residual = model_f32_or(m, "residual_scale", 0);
	const float embedding = model_f32_or(m, "embedding_scale", 0);

	load_common(m);
	m->normalize_weights = true;
	m->logit_scale = 1 / model_f32(m, "logit_scale");
	if (!m->failed && !isfinite(m->logit_scale))
		model_fail(m, -EINVAL, "key %s.logit_scale is 0", m->architecture->name);
	if (residual != 0)
		m->residual_scale = residual;
	if (embedding != 0)
		m->embedding_scale = embedding;
	load_layers(m, model_u32_or(m, "expert_shared_feed_forward_length", 0));
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		if (!strcmp(m->architecture->name, "granite") &&
		    !model_bool_or(m, "rope.scaling.finetuned", true))
			m->layers[i].rope.pairs = 0;
	}
}
