// SPDX-License-Identifier: MIT
/* Multi-head latent attention (arXiv:2405.04434): the cache holds a compressed vector for all
 * heads. */
#include "model/calls.h"

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
	const uint32_t k_width = l->heads * l->key_size;
	const uint32_t each = f->rows * l->heads;

	copy(f, part->c, l->latent, part->z, z_width, f->rows, l->latent);
	matmul(f, &l->kv_b, part->both, part->c, 0);
	copy(f, part->k, l->key_size, part->both, both, each, plain);
	copy(f, part->v, l->value_size, floats(part->both, plain), both, each, l->value_size);
	for (uint32_t h = 0; h < l->heads; h++)
		copy(f, floats(part->k, h * l->key_size + plain), k_width,
		     floats(part->z, l->latent), z_width, f->rows, l->rotated);
	store(f, s->keys, f->kv.keys, part->k, l->heads, l->key_size);
	store(f, s->values, f->kv.values, part->v, l->heads, l->value_size);
}

/* Queries, and the compressed vector, from activations; turned. */
static void project(const struct forward *f, const struct layer *l,
		    const struct latent_scratch *part)
{
	const uint32_t q_width = l->heads * l->key_size, z_width = l->latent + l->rotated;
	const stoker_address low_q8 = takes_q8(f, &l->q_b) ? part->low_q8 : 0;
	const stoker_address q = part->q, z = part->z;

	if (l->q_a.at) {
		matmul(f, &l->q_a, part->low, f->h, f->h_q8);
		norm_rows(f, part->low, low_q8, part->low, l->q_a_norm, l->q_a.out);
		matmul(f, &l->q_b, q, part->low, low_q8);
	} else {
		matmul(f, &l->q, q, f->h, f->h_q8);
	}
	matmul(f, &l->kv_a, z, f->h, f->h_q8);
	norm(f, z, z, l->kv_a_norm, 1, l->latent, z_width);
	rotate(f, &l->rope, floats(q, l->key_size - l->rotated), l->heads, l->key_size, q_width);
	rotate(f, &l->rope, floats(z, l->latent), 1, z_width, z_width);
}

void model_latent_attention(const struct forward *f, const struct layer *l,
			    const struct layer_state *s, const struct op_add_norm *then)
{
	const uint32_t q_width = l->heads * l->key_size, z_width = l->latent + l->rotated;
	const uint32_t plain = l->key_size - l->rotated, o_width = l->heads * l->value_size;
	struct latent_scratch part;

	carve_latent(f, l, &part);
	const stoker_address q = part.q, z = part.z, o = part.o;
	const stoker_address o_q8 = !l->k_b.at && takes_q8(f, &l->o) ? part.o_q8 : 0;
	struct op_attention attend = {
		.dst = o,
		.dst_q8 = o_q8,
		.q = q,
		.keys = s->keys,
		.values = s->values,
		.key_format = f->kv.keys,
		.value_format = f->kv.values,
		.rows = f->rows,
		.places = f->places[PAGES_FULL],
		.heads = l->heads,
		.kv_heads = l->kv_heads,
		.key_size = l->key_size,
		.value_size = l->value_size,
		.q_stride = q_width,
		.q_head_stride = l->key_size,
		.dst_stride = o_width,
		.scale = l->attn_scale,
	};

	project(f, l, &part);
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
	store(f, s->keys, f->kv.keys, z, 1, z_width);
	attend.dst = seen;
	attend.q = moved;
	attend.key_size = z_width;
	attend.value_size = l->latent;
	attend.q_stride = l->heads * z_width;
	attend.q_head_stride = z_width;
	attend.dst_stride = l->heads * l->latent;
	attend.values = s->keys;
	attend.shared_value = true;
	attend.value_format = f->kv.keys;
	device_attention(f->model->device, &attend);
	device_matmul_heads(f->model->device, &out);
	finish(f, &l->o, o, 0, then);
}

stoker_address model_latent_scratch(const struct forward *f, const struct layer *l)
{
	struct latent_scratch part;

	return carve_latent(f, l, &part);
}
