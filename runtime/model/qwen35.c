// SPDX-License-Identifier: MIT
/* qwen35 and qwen35moe: gated delta nets (arXiv:2412.06464) with full attention every few layers.
 */
#include "model/model.h"

static void load_delta_net(struct stoker_model *m, uint32_t il)
{
	struct layer *l = &m->layers[il];
	const uint32_t dim = m->embedding;

	l->mixer = MIXER_DELTA_NET;
	l->taps = model_u32(m, "ssm.conv_kernel");
	l->state_size = model_u32(m, "ssm.state_size");
	l->key_heads = model_u32(m, "ssm.group_count");
	l->value_heads = model_u32(m, "ssm.time_step_rank");
	if (m->failed)
		return;
	const uint64_t inner = (uint64_t)l->value_heads * l->state_size;
	const uint64_t channels = 2 * (uint64_t)l->key_heads * l->state_size + inner;

	if (l->state_size > STOKER_MAX_STATE || l->taps == 0 || l->taps > 64 || !l->key_heads ||
	    l->value_heads % l->key_heads || inner != model_u32(m, "ssm.inner_size") ||
	    channels == 0 || channels > STOKER_MAX_WIDTH) {
		model_fail(m, -EINVAL,
			   "ssm.inner_size %u, time_step_rank %u, state_size %u, group_count %u "
			   "and conv_kernel %u don't fit together",
			   model_u32(m, "ssm.inner_size"), l->value_heads, l->state_size,
			   l->key_heads, l->taps);
		return;
	}
	l->channels = (uint32_t)channels;
	l->attn_norm = model_vector(m, REQUIRED, dim, "blk.%u.attn_norm.weight", il);
	model_weight(m, &l->conv_in, REQUIRED, dim, l->channels, 1, "blk.%u.attn_qkv", il);
	model_weight(m, &l->gate, REQUIRED, dim, (uint32_t)inner, 1, "blk.%u.attn_gate", il);
	model_weight(m, &l->alpha, REQUIRED, dim, l->value_heads, 1, "blk.%u.ssm_alpha", il);
	model_weight(m, &l->beta, REQUIRED, dim, l->value_heads, 1, "blk.%u.ssm_beta", il);
	model_weight(m, &l->conv_out, REQUIRED, (uint32_t)inner, dim, 1, "blk.%u.ssm_out", il);
	l->conv = model_vector(m, REQUIRED, (uint64_t)l->taps * channels,
			       "blk.%u.ssm_conv1d.weight", il);
	l->dt = model_vector(m, OPTIONAL, l->value_heads, "blk.%u.ssm_dt", il);
	if (!l->dt)
		l->dt = model_vector(m, REQUIRED, l->value_heads, "blk.%u.ssm_dt.bias", il);
	l->a = model_vector(m, REQUIRED, l->value_heads, "blk.%u.ssm_a", il);
	l->ssm_norm = model_vector(m, REQUIRED, l->state_size, "blk.%u.ssm_norm.weight", il);
}

void load_qwen35(struct stoker_model *m)
{
	const uint32_t interval = model_u32_or(m, "full_attention_interval", 4);

	load_common(m);
	if (!m->failed && interval == 0)
		model_fail(m, -EINVAL, "key %s.full_attention_interval is 0",
			   m->architecture->name);
	m->normalize_weights = true;
	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		struct layer *l = &m->layers[i];
		const uint32_t hidden = model_layer_u32_or(m, "feed_forward_length", i, 0);

		if (model_layer_bool_or(m, "attention.recurrent_layers", i,
					(i + 1) % interval != 0)) {
			load_delta_net(m, i);
		} else {
			l->output_gate = true;
			load_attention(m, i, false);
		}
		l->ffn_norm = model_vector(m, REQUIRED, m->embedding,
					   "blk.%u.post_attention_norm.weight", i);
		if (!strcmp(m->architecture->name, "qwen35"))
			load_dense_ffn(m, i, hidden);
		else
			load_experts(m, i, model_u32(m, "expert_feed_forward_length"),
				     model_u32_or(m, "expert_shared_feed_forward_length", hidden));
	}
}
