// SPDX-License-Identifier: MIT
/*
 * The forward pass of every architecture: straight-line calls of the device's ops.  x is the
 * residual stream, h the normed input of a block, a its output.  Scratch is memory that each block
 * carves up for itself; the same function says where a block's parts are and, from address 0, how
 * much they take.
 *
 * A block ends with its output's way to the residual and with the norm that the next block reads,
 * which is one op; where a product comes last, it's said to that product, as its @then.
 */
#include "model/model.h"

/* A part of the scratch: rows of @width floats. */
static stoker_address carve(stoker_address *at, const struct forward *f, uint64_t width)
{
	const stoker_address part = *at;

	*at += round_up(f->rows * width * sizeof(float), 64);
	return part;
}

/* Likewise as q8, of as many rows as there is any of; nothing where the device uses none. */
static stoker_address carve_q8(stoker_address *at, const struct forward *f, uint64_t width)
{
	const struct stoker_device *d = f->model->device;
	const stoker_address part = *at;

	*at += round_up(MIN(f->rows, d->q8_rows) * stoker_q8_bytes(d, (uint32_t)width), 64);
	return part;
}

/* Whether a product with @w reads these rows as q8. */
static bool takes_q8(const struct forward *f, const struct stoker_weight *w)
{
	return w->at && stoker_takes_q8(f->model->device, w, f->rows);
}

static void norm(const struct forward *f, stoker_address dst, stoker_address src,
		 stoker_address weight, uint32_t groups, uint32_t width, uint32_t stride)
{
	const struct op_norm op = { .dst = dst,
				    .src = src,
				    .weight = weight,
				    .rows = f->rows,
				    .groups = groups,
				    .width = width,
				    .dst_stride = stride,
				    .src_stride = stride,
				    .eps = f->model->norm_eps };

	device_norm(f->model->device, &op);
}

/* Of whole rows, as q8 as well. */
static void norm_rows(const struct forward *f, stoker_address dst, stoker_address dst_q8,
		      stoker_address src, stoker_address weight, uint32_t width)
{
	const struct op_norm op = { .dst = dst,
				    .dst_q8 = dst_q8,
				    .src = src,
				    .weight = weight,
				    .rows = f->rows,
				    .groups = 1,
				    .width = width,
				    .dst_stride = width,
				    .src_stride = width,
				    .eps = f->model->norm_eps };

	device_norm(f->model->device, &op);
}

static void matmul(const struct forward *f, const struct stoker_weight *w, stoker_address dst,
		   stoker_address src, stoker_address src_q8)
{
	const struct op_matmul op = { .count = 1,
				      .rows = f->rows,
				      .weight = { w },
				      .dst = { dst },
				      .src = src,
				      .src_q8 = src_q8 };

	device_matmul(f->model->device, &op);
}

/* The last product of a block, and what is to happen to it if nothing comes in between. */
static void finish(const struct forward *f, const struct stoker_weight *w, stoker_address src,
		   stoker_address src_q8, const struct op_add_norm *then)
{
	const struct op_matmul op = { .count = 1,
				      .rows = f->rows,
				      .weight = { w },
				      .dst = { f->a },
				      .src = src,
				      .src_q8 = src_q8,
				      .then = then };

	device_matmul(f->model->device, &op);
}

static void add_norm(const struct forward *f, const struct op_add_norm *op)
{
	if (op)
		device_add_norm(f->model->device, op);
}

static void add(const struct forward *f, stoker_address dst, stoker_address b, float scale)
{
	const uint32_t n = f->model->embedding;
	const struct op_binary op = { .dst = dst,
				      .a = dst,
				      .b = b,
				      .kind = BINARY_ADD,
				      .rows = f->rows,
				      .width = n,
				      .dst_stride = n,
				      .a_stride = n,
				      .b_stride = n,
				      .scale = scale };

	device_binary(f->model->device, &op);
}

static void multiply(const struct forward *f, enum binary_kind kind, stoker_address dst,
		     stoker_address a, uint32_t a_stride, stoker_address b, uint32_t b_stride,
		     uint32_t rows, uint32_t width)
{
	const struct op_binary op = { .dst = dst,
				      .a = a,
				      .b = b,
				      .kind = kind,
				      .rows = rows,
				      .width = width,
				      .dst_stride = width,
				      .a_stride = a_stride,
				      .b_stride = b_stride };

	device_binary(f->model->device, &op);
}

static stoker_address frequency_of(const struct forward *f, const struct rope *rope)
{
	return rope->long_frequency && f->context > rope->short_context ? rope->long_frequency
									: rope->frequency;
}

static void rotate(const struct forward *f, const struct rope *rope, stoker_address x,
		   uint32_t heads, uint32_t head_stride, uint32_t stride)
{
	const struct op_rope op = { .x = x,
				    .frequency = frequency_of(f, rope),
				    .rows = f->rows,
				    .heads = heads,
				    .head_stride = head_stride,
				    .stride = stride,
				    .pairs = rope->pairs,
				    .position = f->position,
				    .interleaved = rope->interleaved,
				    .magnitude = rope->magnitude };

	if (rope->pairs)
		device_rope(f->model->device, &op);
}

static void store(const struct forward *f, stoker_address cache, stoker_address src, uint32_t width)
{
	const struct op_kv_store op = { .cache = cache,
					.src = src,
					.format = f->kv,
					.rows = f->rows,
					.position = f->position,
					.width = width,
					.stride = width };

	device_kv_store(f->model->device, &op);
}

static void copy(const struct forward *f, stoker_address dst, uint32_t dst_stride,
		 stoker_address src, uint32_t src_stride, uint32_t rows, uint32_t width)
{
	const struct op_copy op = { .dst = dst,
				    .src = src,
				    .rows = rows,
				    .width = width,
				    .dst_stride = dst_stride,
				    .src_stride = src_stride };

	device_copy(f->model->device, &op);
}

static stoker_address floats(stoker_address at, uint64_t n)
{
	return at + n * sizeof(float);
}

/* --- mixers: h -> a ------------------------------------------------------------------------------
 */

/* Norms queries and keys, turns them, and puts keys and values into the cache. */
static void prepare(const struct forward *f, const struct layer *l, const struct layer_state *s,
		    stoker_address q, stoker_address k, stoker_address v)
{
	const struct op_qkv op = { .q = q,
				   .k = k,
				   .v = v,
				   .q_norm = l->q_norm,
				   .k_norm = l->k_norm,
				   .keys = s->keys,
				   .values = s->values,
				   .frequency = frequency_of(f, &l->rope),
				   .position = f->position,
				   .format = f->kv,
				   .rows = f->rows,
				   .heads = l->heads,
				   .kv_heads = l->kv_heads,
				   .key_size = l->key_size,
				   .value_size = l->value_size,
				   .pairs = l->rope.pairs,
				   .interleaved = l->rope.interleaved,
				   .norm_whole = l->norm_whole,
				   .eps = f->model->norm_eps,
				   .magnitude = l->rope.magnitude };

	device_qkv(f->model->device, &op);
}

struct attention_scratch {
	stoker_address q, k, v, o, o_q8;
	stoker_address queries; /* without their gates */
};

static stoker_address carve_attention(const struct forward *f, const struct layer *l,
				      struct attention_scratch *s)
{
	stoker_address at = f->scratch;

	s->q = carve(&at, f, l->q.out);
	s->k = carve(&at, f, (uint64_t)l->kv_heads * l->key_size);
	s->v = carve(&at, f, (uint64_t)l->kv_heads * l->value_size);
	s->o = carve(&at, f, (uint64_t)l->heads * l->value_size);
	s->o_q8 = carve_q8(&at, f, (uint64_t)l->heads * l->value_size);
	s->queries = l->output_gate ? carve(&at, f, (uint64_t)l->heads * l->key_size) : s->q;
	return at;
}

static void attention(const struct forward *f, const struct layer *l, const struct layer_state *s,
		      const struct op_add_norm *then)
{
	const uint32_t q_width = l->heads * l->key_size, o_width = l->heads * l->value_size;
	struct attention_scratch part;

	carve_attention(f, l, &part);
	const stoker_address q = part.queries, o = part.o;
	const stoker_address o_q8 = !l->output_gate && takes_q8(f, &l->o) ? part.o_q8 : 0;
	const struct op_matmul project = { .count = 3,
					   .rows = f->rows,
					   .weight = { &l->q, &l->k, &l->v },
					   .dst = { part.q, part.k, part.v },
					   .src = f->h,
					   .src_q8 = f->h_q8 };

	device_matmul(f->model->device, &project);
	if (l->output_gate)
		copy(f, q, l->key_size, part.q, 2 * l->key_size, f->rows * l->heads, l->key_size);
	prepare(f, l, s, q, part.k, part.v);

	const struct op_attention attend = {
		.dst = o,
		.dst_q8 = o_q8,
		.q = q,
		.keys = s->keys,
		.values = s->values,
		.sinks = l->sinks,
		.format = f->kv,
		.rows = f->rows,
		.position = f->position,
		.heads = l->heads,
		.kv_heads = l->kv_heads,
		.key_size = l->key_size,
		.value_size = l->value_size,
		.window = l->window,
		.q_stride = q_width,
		.q_head_stride = l->key_size,
		.dst_stride = o_width,
		.scale = l->attn_scale,
	};

	device_attention(f->model->device, &attend);
	if (l->output_gate)
		multiply(f, BINARY_MUL_SIGMOID, o, o, l->value_size, floats(part.q, l->key_size),
			 2 * l->key_size, f->rows * l->heads, l->value_size);
	finish(f, &l->o, o, o_q8, then);
}

struct latent_scratch {
	stoker_address q, z, o, o_q8, low, low_q8;
	stoker_address moved, seen;   /* queries and values of the latent space, */
	stoker_address c, both, k, v; /* or what it's expanded to */
};

static stoker_address carve_latent(const struct forward *f, const struct layer *l,
				   struct latent_scratch *s)
{
	const uint64_t heads = l->heads, z_width = (uint64_t)l->latent + l->rotated;
	stoker_address at = f->scratch;

	*s = (struct latent_scratch){ 0 };
	s->q = carve(&at, f, heads * l->key_size);
	s->z = carve(&at, f, z_width);
	s->o = carve(&at, f, heads * l->value_size);
	s->o_q8 = carve_q8(&at, f, heads * l->value_size);
	if (l->q_a.at) {
		s->low = carve(&at, f, l->q_a.out);
		s->low_q8 = carve_q8(&at, f, l->q_a.out);
	}
	if (l->k_b.at) {
		s->moved = carve(&at, f, heads * z_width);
		s->seen = carve(&at, f, heads * l->latent);
	} else {
		s->c = carve(&at, f, l->latent);
		s->both = carve(&at, f, heads * (l->key_size - l->rotated + l->value_size));
		s->k = carve(&at, f, heads * l->key_size);
		s->v = carve(&at, f, heads * l->value_size);
	}
	return at;
}

/* Ordinary keys and values expanded from the latent vector, for files with attn_kv_b. */
static void expand_latent(const struct forward *f, const struct layer *l,
			  const struct layer_state *s, const struct latent_scratch *part)
{
	const uint32_t plain = l->key_size - l->rotated, both = plain + l->value_size;
	const uint32_t z_width = l->latent + l->rotated;
	const uint32_t k_width = l->heads * l->key_size, v_width = l->heads * l->value_size;
	const uint32_t each = f->rows * l->heads;

	copy(f, part->c, l->latent, part->z, z_width, f->rows, l->latent);
	matmul(f, &l->kv_b, part->both, part->c, 0);
	copy(f, part->k, l->key_size, part->both, both, each, plain);
	copy(f, part->v, l->value_size, floats(part->both, plain), both, each, l->value_size);
	for (uint32_t h = 0; h < l->heads; h++)
		copy(f, floats(part->k, h * l->key_size + plain), k_width,
		     floats(part->z, l->latent), z_width, f->rows, l->rotated);
	store(f, s->keys, part->k, k_width);
	store(f, s->values, part->v, v_width);
}

static void latent_attention(const struct forward *f, const struct layer *l,
			     const struct layer_state *s, const struct op_add_norm *then)
{
	const uint32_t q_width = l->heads * l->key_size, z_width = l->latent + l->rotated;
	const uint32_t plain = l->key_size - l->rotated, o_width = l->heads * l->value_size;
	struct latent_scratch part;

	carve_latent(f, l, &part);
	const stoker_address q = part.q, z = part.z, o = part.o;
	const stoker_address o_q8 = !l->k_b.at && takes_q8(f, &l->o) ? part.o_q8 : 0;
	const stoker_address low_q8 = takes_q8(f, &l->q_b) ? part.low_q8 : 0;
	struct op_attention attend = {
		.dst = o,
		.dst_q8 = o_q8,
		.q = q,
		.keys = s->keys,
		.values = s->values,
		.format = f->kv,
		.rows = f->rows,
		.position = f->position,
		.heads = l->heads,
		.kv_heads = l->kv_heads,
		.key_size = l->key_size,
		.value_size = l->value_size,
		.q_stride = q_width,
		.q_head_stride = l->key_size,
		.dst_stride = o_width,
		.scale = l->attn_scale,
	};

	if (l->q_a.at) {
		matmul(f, &l->q_a, part.low, f->h, f->h_q8);
		norm_rows(f, part.low, low_q8, part.low, l->q_a_norm, l->q_a.out);
		matmul(f, &l->q_b, q, part.low, low_q8);
	} else {
		matmul(f, &l->q, q, f->h, f->h_q8);
	}
	matmul(f, &l->kv_a, z, f->h, f->h_q8);
	norm(f, z, z, l->kv_a_norm, 1, l->latent, z_width);
	rotate(f, &l->rope, floats(q, plain), l->heads, l->key_size, q_width);
	rotate(f, &l->rope, floats(z, l->latent), 1, z_width, z_width);
	if (!l->k_b.at) {
		expand_latent(f, l, s, &part);
		device_attention(f->model->device, &attend);
		finish(f, &l->o, o, o_q8, then);
		return;
	}
	/* queries move into the latent space, where all heads share one key */
	const stoker_address moved = part.moved, seen = part.seen;
	const struct op_matmul_heads into = { .weight = &l->k_b,
					      .dst = moved,
					      .src = q,
					      .rows = f->rows,
					      .dst_stride = l->heads * z_width,
					      .dst_head_stride = z_width,
					      .src_stride = q_width,
					      .src_head_stride = l->key_size };
	const struct op_matmul_heads out = { .weight = &l->v_b,
					     .dst = o,
					     .src = seen,
					     .rows = f->rows,
					     .dst_stride = o_width,
					     .dst_head_stride = l->value_size,
					     .src_stride = l->heads * l->latent,
					     .src_head_stride = l->latent };

	device_matmul_heads(f->model->device, &into);
	copy(f, floats(moved, l->latent), z_width, floats(q, plain), l->key_size,
	     f->rows * l->heads, l->rotated);
	store(f, s->keys, z, z_width);
	attend.dst = seen;
	attend.q = moved;
	attend.key_size = z_width;
	attend.value_size = l->latent;
	attend.q_stride = l->heads * z_width;
	attend.q_head_stride = z_width;
	attend.dst_stride = l->heads * l->latent;
	attend.values = s->keys;
	attend.shared_value = true;
	device_attention(f->model->device, &attend);
	device_matmul_heads(f->model->device, &out);
	finish(f, &l->o, o, 0, then);
}

static void convolve(const struct forward *f, const struct layer *l, const struct layer_state *s,
		     stoker_address dst, stoker_address src, bool silu)
{
	const struct op_conv op = { .dst = dst,
				    .src = src,
				    .weight = l->conv,
				    .state = s->conv,
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
static void short_conv(const struct forward *f, const struct layer *l, const struct layer_state *s,
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

static void delta_net(const struct forward *f, const struct layer *l, const struct layer_state *s,
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
					    .state = s->delta,
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

/* --- feed-forward: h -> a ------------------------------------------------------------------------
 */

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

static void route(const struct forward *f, const struct layer *l, stoker_address ids,
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
			route(&ahead, &m->layers[il + d], predicted_ids(f, il + d, d), f->h, 0);
	}
}

static int feed_forward(const struct forward *f, uint32_t il, stoker_address ids,
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
		route(f, l, ids, f->h, f->h_q8);
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

/* --- the whole -----------------------------------------------------------------------------------
 */

/* How the normed input of a block is read: as q8 by some weights, as floats by others. */
struct reading {
	bool q8, floats;
};

static struct reading reading_of(const struct forward *f,
				 const struct stoker_weight *const *weights, size_t count)
{
	struct reading r = { 0 };

	for (size_t i = 0; i < count; i++) {
		const bool q8 = takes_q8(f, weights[i]);

		r.q8 |= q8;
		r.floats |= weights[i]->at && !q8;
	}
	return r;
}

static struct reading mixer_reading(const struct forward *f, const struct layer *l)
{
	const struct stoker_weight *const weights[] = { &l->q,	  &l->k,     &l->v,
							&l->q_a,  &l->kv_a,  &l->conv_in,
							&l->gate, &l->alpha, &l->beta };

	return reading_of(f, weights, ARRAY_SIZE(weights));
}

static struct reading feed_forward_reading(const struct forward *f, const struct layer *l)
{
	const struct stoker_weight *const dense[] = { &l->ffn_gate, &l->ffn_up };
	const struct stoker_weight *const mixture[] = { &l->router,	 &l->gate_exps,
							&l->up_exps,	 &l->shared_gate_inp,
							&l->shared_gate, &l->shared_up };
	struct reading r = l->expert_count ? reading_of(f, mixture, ARRAY_SIZE(mixture))
					   : reading_of(f, dense, ARRAY_SIZE(dense));

	/* later layers' routers read it, too, but only with paging, which is to change nothing */
	r.floats |= l->expert_count > 0;
	return r;
}

/* a goes to the residual, and the norm of that to what reads it. */
static struct op_add_norm to_residual(const struct forward *f, stoker_address weight,
				      struct reading next)
{
	return (struct op_add_norm){ .x = f->x,
				     .a = f->a,
				     .h = f->h,
				     .h_q8 = next.q8 ? f->h_q8 : 0,
				     .q8_only = !next.floats,
				     .weight = weight,
				     .rows = f->rows,
				     .width = f->model->embedding,
				     .scale = f->model->residual_scale,
				     .eps = f->model->norm_eps };
}

/* With the norm that comes behind layer @il: the next layer's, or the output's. */
static struct op_add_norm to_next(const struct forward *f, uint32_t il)
{
	const struct stoker_model *m = f->model;
	const struct layer *next = &m->layers[il + 1];
	const struct stoker_weight *output = &m->output;

	return il + 1 < m->layer_count ? to_residual(f, next->attn_norm, mixer_reading(f, next))
				       : to_residual(f, m->output_norm, reading_of(f, &output, 1));
}

/* The norm of what a block adds to the residual, which some architectures have. */
static void post_norm(const struct forward *f, stoker_address weight,
		      const struct op_add_norm *then)
{
	const uint32_t dim = f->model->embedding;

	norm(f, f->a, f->a, weight, 1, dim, dim);
	add_norm(f, then);
}

static int run_layer(const struct forward *f, uint32_t il, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	const struct layer *l = &m->layers[il];
	const struct layer_state *s = &f->states[il];
	const stoker_address ids = f->ids + (uint64_t)il * f->ids_stride * sizeof(uint32_t);
	const struct op_add_norm to_ffn = to_residual(f, l->ffn_norm, feed_forward_reading(f, l));
	const struct op_add_norm to_layer = to_next(f, il);
	/* of the last layer only rows that get logits go on: see output() */
	const bool goes_on = il + 1 < m->layer_count || f->logit_rows == f->rows;
	const struct op_add_norm *behind_mixer = l->post_attn_norm ? NULL : &to_ffn;
	const struct op_add_norm *behind_ffn = l->post_ffn_norm || !goes_on ? NULL : &to_layer;

	int ret;

	if (l->router_first) {
		route(f, l, ids, f->x, 0);
		ret = model_fetch_early(f, il, ids, err);
		if (ret)
			return ret;
	}
	switch (l->mixer) {
	case MIXER_ATTENTION:
		attention(f, l, s, behind_mixer);
		break;
	case MIXER_LATENT_ATTENTION:
		latent_attention(f, l, s, behind_mixer);
		break;
	case MIXER_SHORT_CONV:
		short_conv(f, l, s, behind_mixer);
		break;
	case MIXER_DELTA_NET:
		delta_net(f, l, s, behind_mixer);
		break;
	}
	if (l->post_attn_norm)
		post_norm(f, l->post_attn_norm, &to_ffn);
	ret = feed_forward(f, il, ids, behind_ffn, err);
	if (!ret && l->post_ffn_norm)
		post_norm(f, l->post_ffn_norm, goes_on ? &to_layer : NULL);
	return ret;
}

static void output(const struct forward *f)
{
	const struct stoker_model *m = f->model;
	const uint64_t before = (uint64_t)(f->rows - f->logit_rows) * m->embedding;
	struct forward last = *f;
	const struct op_scale scale = { .x = f->logits,
					.count = (uint64_t)f->logit_rows * m->vocabulary,
					.scale = m->logit_scale,
					.cap = m->logit_softcap };

	last.rows = f->logit_rows;
	last.x = floats(f->x, before);
	last.a = floats(f->a, before);
	if (before) {
		const struct op_add_norm rest = to_next(&last, m->layer_count - 1);

		add_norm(f, &rest);
	}
	matmul(&last, &m->output, f->logits, f->h, f->h_q8);
	if (m->logit_scale != 1 || m->logit_softcap > 0)
		device_scale(m->device, &scale);
}

/* Long batches are cut after each layer, where they can be cancelled. */
static int run_layers(const struct forward *f, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	int ret = 0;

	for (uint32_t i = 0; i < m->layer_count && !ret && !atomic_load(f->cancel); i++) {
		ret = run_layer(f, i, err);
		if (!ret && f->rows > 1)
			ret = m->device->ops->flush(m->device, err);
	}
	return ret;
}

/* Records and runs all, between the pager's begin and end. */
static int run_step(struct forward *f, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	const struct stoker_device_ops *ops = m->device->ops;
	const bool is_step = f->rows == 1 && f->logit_rows == 1;
	const struct op_embed embed = { .dst = f->x,
					.ids = f->tokens,
					.table = &m->token_embd,
					.rows = f->rows,
					.scale = m->embedding_scale };
	int ret = ops->begin(m->device, err);

	if (ret)
		return ret;
	device_embed(m->device, &embed);
	norm_rows(f, f->h, mixer_reading(f, m->layers).q8 ? f->h_q8 : 0, f->x,
		  m->layers[0].attn_norm, m->embedding);
	ret = run_layers(f, err);
	if (!ret && !atomic_load(f->cancel)) {
		if (f->logit_rows)
			output(f);
		return ops->submit(m->device, is_step ? &f->step : NULL, err);
	}
	/* what is recorded ends in any case, but the first failure is the one that counts */
	if (ret)
		ops->submit(m->device, NULL, NULL);
	else
		ret = ops->submit(m->device, NULL, err);
	return ret ? ret : stoker_fail(err, -ECANCELED, "cancelled");
}

int stoker_forward(struct forward *f, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	int ret;

	if (f->rows == 1 && f->logit_rows == 1 && f->step && !atomic_load(f->cancel))
		return m->device->ops->replay(m->device, f->step, err);
	f->prefetches = model_begin_fetch(m, f->rows);
	ret = run_step(f, err);
	model_end_fetch(m, !ret);
	return ret;
}

uint64_t forward_scratch(const struct forward *f)
{
	const struct stoker_model *m = f->model;
	stoker_address end = f->scratch;

	for (uint32_t i = 0; i < m->layer_count; i++) {
		const struct layer *l = &m->layers[i];
		union {
			struct attention_scratch attention;
			struct latent_scratch latent;
			struct conv_scratch conv;
			struct delta_scratch delta;
			struct ffn_scratch ffn;
		} part;

		switch (l->mixer) {
		case MIXER_ATTENTION:
			end = MAX(end, carve_attention(f, l, &part.attention));
			break;
		case MIXER_LATENT_ATTENTION:
			end = MAX(end, carve_latent(f, l, &part.latent));
			break;
		case MIXER_SHORT_CONV:
			end = MAX(end, carve_conv(f, &part.conv));
			break;
		case MIXER_DELTA_NET:
			end = MAX(end, carve_delta(f, l, &part.delta));
			break;
		}
		end = MAX(end, carve_ffn(f, MAX(l->ffn_up.out, l->shared_up.out), &part.ffn));
	}
	return end - f->scratch;
}
