// SPDX-License-Identifier: MIT
/* Ops that others can stand for, in parts: for devices that don't do them as one. */
#include "device/device.h"

bool device_matmul_in_parts(struct stoker_device *d, const struct op_matmul *op)
{
	struct op_matmul alone = *op;

	if (!op->then)
		return false;
	alone.then = NULL;
	device_matmul(d, &alone);
	device_add_norm(d, op->then);
	return true;
}

bool device_gated_in_parts(struct stoker_device *d, const struct op_gated *op)
{
	const struct op_matmul both = { .count = op->gate->at ? 2 : 1,
					.rows = op->rows,
					.weight = { op->up, op->gate },
					.dst = { op->scratch, op->dst },
					.src = op->src,
					.src_q8 = op->src_q8 };
	const struct op_glu glu = { .dst = op->dst,
				    .dst_q8 = op->dst_q8,
				    .gate = op->gate->at ? op->dst : 0,
				    .up = op->scratch,
				    .rows = op->rows,
				    .width = op->up->out,
				    .gate_stride = op->up->out,
				    .up_stride = op->up->out,
				    .activation = op->activation };

	device_matmul(d, &both);
	device_glu(d, &glu);
	return true;
}

/* Norms the heads of queries or keys. */
static void norm_heads(struct stoker_device *d, const struct op_qkv *op, stoker_address x,
		       stoker_address weight, uint32_t heads)
{
	const uint32_t width = heads * op->key_size;
	const struct op_norm norm = { .dst = x,
				      .src = x,
				      .weight = weight,
				      .rows = op->rows,
				      .groups = op->norm_whole ? 1 : heads,
				      .width = op->norm_whole ? width : op->key_size,
				      .dst_stride = width,
				      .src_stride = width,
				      .eps = op->eps };

	if (weight)
		device_norm(d, &norm);
}

static void turn_heads(struct stoker_device *d, const struct op_qkv *op, stoker_address x,
		       uint32_t heads)
{
	const struct op_rope rope = { .x = x,
				      .frequency = op->frequency,
				      .places = op->places,
				      .rows = op->rows,
				      .heads = heads,
				      .head_stride = op->key_size,
				      .stride = heads * op->key_size,
				      .pairs = op->pairs,
				      .interleaved = op->interleaved,
				      .magnitude = op->magnitude };

	if (op->pairs)
		device_rope(d, &rope);
}

static void store_heads(struct stoker_device *d, const struct op_qkv *op, uint64_t cache,
			enum stoker_kv_format format, stoker_address src, uint32_t width)
{
	const struct op_kv_store store = { .cache = cache,
					   .src = src,
					   .places = op->places,
					   .format = format,
					   .rows = op->rows,
					   .heads = op->kv_heads,
					   .width = width,
					   .stride = op->kv_heads * width };

	device_kv_store(d, &store);
}

bool device_qkv_in_parts(struct stoker_device *d, const struct op_qkv *op)
{
	norm_heads(d, op, op->q, op->q_norm, op->heads);
	norm_heads(d, op, op->k, op->k_norm, op->kv_heads);
	turn_heads(d, op, op->q, op->heads);
	turn_heads(d, op, op->k, op->kv_heads);
	store_heads(d, op, op->keys, op->key_format, op->k, op->key_size);
	store_heads(d, op, op->values, op->value_format, op->v, op->value_size);
	return true;
}
