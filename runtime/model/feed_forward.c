// SPDX-License-Identifier: MIT
/* Feed-forward blocks: dense ones, and mixtures of experts with their routers and shared experts.
 */
#include "model/calls.h"

struct ffn_scratch {
	stoker_address hidden, hidden_q8, activation;
	stoker_address out, gate; /* of the shared expert */
};

static stoker_address carve_ffn(const struct forward *f, uint32_t width, struct ffn_scratch *s)
{
	stoker_address at = f->scratch;

	s->hidden = carve(&at, f, width);
	s->hidden_q8 = carve_q8(&at, f, width);
	s->activation = carve(&at, f, width);
	s->out = carve(&at, f, f->model->embedding);
	s->gate = carve(&at, f, 1);
	return at;
}

/* To @part->hidden, and as q8 if the last product, with @down, takes that. */
static void gated(const struct forward *f, const struct stoker_weight *gate,
		  const struct stoker_weight *up, const struct stoker_weight *down,
		  struct ffn_scratch *part)
{

	carve_ffn(f, up->out, part);
	if (!takes_q8(f, down))
		part->hidden_q8 = 0;
	const struct op_gated op = { .gate = gate,
				     .up = up,
				     .dst = part->hidden,
				     .dst_q8 = part->hidden_q8,
				     .src = f->h,
				     .src_q8 = f->h_q8,
				     .scratch = part->activation,
				     .rows = f->rows,
				     .activation = gate->at ? f->model->activation
							    : ACTIVATION_SILU_ONLY };

	device_gated(f->model->device, &op);
}

void model_route(const struct forward *f, const struct layer *l, stoker_address ids,
		 stoker_address input, stoker_address input_q8)
{
	const struct stoker_model *m = f->model;
	const struct op_route op = { .ids = ids,
				     .weights = f->weights,
				     .logits = f->router,
				     .bias = l->router_bias,
				     .rows = f->rows,
				     .experts = l->expert_count,
				     .used = m->experts_used,
				     .groups = m->groups,
				     .groups_used = m->groups_used,
				     .gating = m->gating,
				     .normalize = m->normalize_weights,
				     .scale = m->weights_scale };

	matmul(f, &l->router, f->router, input, input_q8);
	device_route(m->device, &op);
}

static void shared_expert(const struct forward *f, const struct layer *l)
{
	const uint32_t dim = f->model->embedding;
	struct ffn_scratch part;

	gated(f, &l->shared_gate, &l->shared_up, &l->shared_down, &part);
	const stoker_address out = part.out, gate = part.gate;

	matmul(f, &l->shared_down, out, part.hidden, part.hidden_q8);
	if (!l->shared_gate_inp.at) {
		add(f, f->a, out, 1);
		return;
	}
	const struct op_binary op = { .dst = f->a,
				      .a = f->a,
				      .b = out,
				      .gate = gate,
				      .kind = BINARY_ADD_GATED,
				      .rows = f->rows,
				      .width = dim,
				      .dst_stride = dim,
				      .a_stride = dim,
				      .b_stride = dim };

	matmul(f, &l->shared_gate_inp, gate, f->h, f->h_q8);
	device_binary(f->model->device, &op);
}

stoker_address predicted_ids(const struct forward *f, uint32_t layer, uint32_t distance)
{
	return f->predicted + ((uint64_t)(distance - 1) * f->model->layer_count + layer) *
				      f->ids_stride * sizeof(uint32_t);
}

/*
 * The experts that the next layers' routers would choose now, from this layer's input: most of
 * them are right (A2).
 */
static void predict(const struct forward *f, uint32_t il)
{
	const struct stoker_model *m = f->model;
	const uint32_t reach = MAX(f->predicted_layers, f->prefetches ? 1u : 0);

	for (uint32_t d = 1; d <= reach && il + d < m->layer_count; d++) {
		struct forward ahead = *f;

		ahead.weights = f->predicted_weights;
		if (model_predicts(m, il + d))
			model_route(&ahead, &m->layers[il + d], predicted_ids(f, il + d, d), f->h,
				    0);
	}
}

int model_feed_forward(const struct forward *f, uint32_t il, stoker_address ids,
		       const struct op_add_norm *then, struct stoker_error *err)
{
	const struct layer *l = &f->model->layers[il];
	const struct op_experts op = { .dst = f->a,
				       .src = f->h,
				       .src_q8 = f->h_q8,
				       .ids = ids,
				       .weights = f->weights,
				       .gate = &l->gate_exps,
				       .up = &l->up_exps,
				       .down = &l->down_exps,
				       .rows = f->rows,
				       .used = f->model->experts_used,
				       .activation = l->gate_exps.at ? f->model->activation
								     : ACTIVATION_SILU_ONLY };
	int ret = 0;

	if (!l->expert_count) {
		struct ffn_scratch part;

		gated(f, &l->ffn_gate, &l->ffn_up, &l->ffn_down, &part);
		finish(f, &l->ffn_down, part.hidden, part.hidden_q8, then);
		return 0;
	}
	predict(f, il);
	if (!l->router_first)
		model_route(f, l, ids, f->h, f->h_q8);
	if (l->paged)
		ret = model_fetch_experts(f, &op, il, err);
	else
		device_experts(f->model->device, &op);
	if (ret)
		return ret;
	if (l->shared_up.at)
		shared_expert(f, l);
	add_norm(f, then);
	return 0;
}

stoker_address model_feed_forward_scratch(const struct forward *f, const struct layer *l)
{
	struct ffn_scratch part;

	return carve_ffn(f, MAX(l->ffn_up.out, l->shared_up.out), &part);
}
