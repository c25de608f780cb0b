// SPDX-License-Identifier: MIT
/* Attention: queries, keys and values, the cache, softmax, the way back. */
#include "model/calls.h"

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
				   .places = f->places[s->kind],
				   .key_format = f->kv.keys,
				   .value_format = f->kv.values,
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

void model_attention(const struct forward *f, const struct layer *l, const struct layer_state *s,
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
		.key_format = f->kv.keys,
		.value_format = f->kv.values,
		.rows = f->rows,
		.places = f->places[s->kind],
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

stoker_address model_attention_scratch(const struct forward *f, const struct layer *l)
{
	struct attention_scratch part;

	return carve_attention(f, l, &part);
}
