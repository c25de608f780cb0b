// SPDX-License-Identifier: MIT
/* Mixers whose memory of earlier tokens has one size: short convolutions, and gated delta nets. */
#include "model/calls.h"

static void convolve(const struct forward *f, const struct layer *l, const struct layer_state *s,
		     stoker_address dst, stoker_address src, bool silu)
{
	const struct op_conv op = { .dst = dst,
				    .src = src,
				    .weight = l->conv,
				    .state = f->slots + s->conv,
				    .state_stride = f->slot_bytes,
				    .places = f->places[PAGES_FULL],
				    .rows = f->rows,
				    .channels = l->channels,
				    .taps = l->taps,
				    .dst_stride = l->channels,
				    .src_stride = l->channels,
				    .silu = silu };

	device_conv(f->model->device, &op);
}

struct conv_scratch {
	stoker_address bcx, u;
};

static stoker_address carve_conv(const struct forward *f, struct conv_scratch *s)
{
	stoker_address at = f->scratch;

	s->bcx = carve(&at, f, 3 * (uint64_t)f->model->embedding);
	s->u = carve(&at, f, f->model->embedding);
	return at;
}

/* [b | c | x] = in_proj h; out_proj(c * conv(b * x)) */
void model_short_conv(const struct forward *f, const struct layer *l, const struct layer_state *s,
		      const struct op_add_norm *then)
{
	const uint32_t dim = f->model->embedding;
	struct conv_scratch part;

	carve_conv(f, &part);
	const stoker_address bcx = part.bcx, u = part.u;

	matmul(f, &l->conv_in, bcx, f->h, f->h_q8);
	multiply(f, BINARY_MUL, u, bcx, 3 * dim, floats(bcx, 2 * dim), 3 * dim, f->rows, dim);
	convolve(f, l, s, u, u, false);
	multiply(f, BINARY_MUL, u, u, dim, floats(bcx, dim), 3 * dim, f->rows, dim);
	finish(f, &l->conv_out, u, 0, then);
}

struct delta_scratch {
	stoker_address qkv, gate, alpha, beta, o;
};

static stoker_address carve_delta(const struct forward *f, const struct layer *l,
				  struct delta_scratch *s)
{
	const uint64_t inner = (uint64_t)l->value_heads * l->state_size;
	stoker_address at = f->scratch;

	s->qkv = carve(&at, f, l->channels);
	s->gate = carve(&at, f, inner);
	s->alpha = carve(&at, f, l->value_heads);
	s->beta = carve(&at, f, l->value_heads);
	s->o = carve(&at, f, inner);
	return at;
}

void model_delta_net(const struct forward *f, const struct layer *l, const struct layer_state *s,
		     const struct op_add_norm *then)
{
	const uint32_t keys = l->key_heads * l->state_size, inner = l->value_heads * l->state_size;
	struct delta_scratch part;

	carve_delta(f, l, &part);
	const stoker_address qkv = part.qkv, gate = part.gate, o = part.o;
	const struct op_matmul project = { .count = 4,
					   .rows = f->rows,
					   .weight = { &l->conv_in, &l->gate, &l->alpha, &l->beta },
					   .dst = { qkv, gate, part.alpha, part.beta },
					   .src = f->h,
					   .src_q8 = f->h_q8 };
	const struct op_norm unit = { .dst = qkv,
				      .src = qkv,
				      .kind = NORM_L2,
				      .rows = f->rows,
				      .groups = 2 * l->key_heads,
				      .width = l->state_size,
				      .dst_stride = l->channels,
				      .src_stride = l->channels,
				      .eps = f->model->norm_eps };
	const struct op_delta_net delta = { .dst = o,
					    .q = qkv,
					    .k = floats(qkv, keys),
					    .v = floats(qkv, 2 * keys),
					    .alpha = part.alpha,
					    .beta = part.beta,
					    .dt = l->dt,
					    .a = l->a,
					    .state = f->slots + s->delta,
					    .state_stride = f->slot_bytes,
					    .places = f->places[PAGES_FULL],
					    .rows = f->rows,
					    .key_heads = l->key_heads,
					    .value_heads = l->value_heads,
					    .size = l->state_size,
					    .qkv_stride = l->channels,
					    .dst_stride = inner,
					    .grouped = l->grouped_heads };

	device_matmul(f->model->device, &project);
	convolve(f, l, s, qkv, qkv, true);
	device_norm(f->model->device, &unit);
	device_delta_net(f->model->device, &delta);
	norm(f, o, o, l->ssm_norm, l->value_heads, l->state_size, inner);
	multiply(f, BINARY_MUL_SILU, o, o, inner, gate, inner, f->rows, inner);
	finish(f, &l->conv_out, o, 0, then);
}

stoker_address model_short_conv_scratch(const struct forward *f)
{
	struct conv_scratch part;

	return carve_conv(f, &part);
}

stoker_address model_delta_net_scratch(const struct forward *f, const struct layer *l)
{
	struct delta_scratch part;

	return carve_delta(f, l, &part);
}
