// SPDX-License-Identifier: MIT
/* lfm2 and lfm2moe: gated short convolutions, attention in the layers that have key-value heads. */
#include "model/model.h"

void load_lfm2(struct stoker_model *m)
{
	const bool experts = !strcmp(m->architecture->name, "lfm2moe");
	const uint32_t dense = model_u32_or(m, "leading_dense_block_count", 0);
	const uint32_t taps = model_u32(m, "shortconv.l_cache");
	const uint32_t window = model_u32_or(m, "attention.sliding_window", 0);

	load_common(m);
	if (!m->failed && (taps == 0 || taps > 64))
		model_fail(m, -EINVAL, "key %s.shortconv.l_cache is %u, limits 1 and 64",
			   m->architecture->name, taps);
	if (experts && !model_has(m, "expert_gating_func"))
		model_fail(m, -EINVAL, "key %s.expert_gating_func is missing",
			   m->architecture->name);
	if (experts)
		m->gating = model_gating(m, GATING_SIGMOID);
	m->normalize_weights = true;
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];
		const uint32_t dim = m->embedding;

		if (model_layer_u32_or(m, "attention.head_count_kv", i, 0)) {
			load_attention(m, i, false);
			l->window = window;
		} else {
			l->mixer = MIXER_SHORT_CONV;
			l->taps = taps;
			l->channels = dim;
			l->attn_norm = model_vector(m, REQUIRED, dim, "blk.%u.attn_norm.weight", i);
			model_weight(m, &l->conv_in, REQUIRED, dim, 3 * dim, 1,
				     "blk.%u.shortconv.in_proj", i);
			model_weight(m, &l->conv_out, REQUIRED, dim, dim, 1,
				     "blk.%u.shortconv.out_proj", i);
			l->conv = model_vector(m, REQUIRED, (uint64_t)taps * dim,
					       "blk.%u.shortconv.conv.weight", i);
		}
		l->ffn_norm = model_vector(m, REQUIRED, dim, "blk.%u.ffn_norm.weight", i);
		if (experts && i >= dense)
			load_experts(m, i, model_u32(m, "expert_feed_forward_length"), 0);
		else
			load_dense_ffn(m, i, model_layer_u32_or(m, "feed_forward_length", i, 0));
	}
}
