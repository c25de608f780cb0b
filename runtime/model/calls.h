/* SPDX-License-Identifier: MIT */
/*
 * Calls of the device's ops with what a forward pass knows already, for the blocks that it is made
 * of: rows, strides without gaps, the place of their scratch.
 */
#ifndef STOKER_MODEL_CALLS_H
#define STOKER_MODEL_CALLS_H

#include "model/forward.h"

/* A part of the scratch: rows of @width floats. */
static inline stoker_address carve(stoker_address *at, const struct forward *f, uint64_t width)
{
	const stoker_address part = *at;

	*at += round_up(f->rows * width * sizeof(float), 64);
	return part;
}

/* Likewise as q8, of as many rows as there is any of; nothing where the device uses none. */
static inline stoker_address carve_q8(stoker_address *at, const struct forward *f, uint64_t width)
{
	const struct stoker_device *d = f->model->device;
	const stoker_address part = *at;

	*at += round_up(MIN(f->rows, d->q8_rows) * stoker_q8_bytes(d, (uint32_t)width), 64);
	return part;
}

/* Whether a product with @w reads these rows as q8. */
static inline bool takes_q8(const struct forward *f, const struct stoker_weight *w)
{
	return w->at && stoker_takes_q8(f->model->device, w, f->rows);
}

static inline void norm(const struct forward *f, stoker_address dst, stoker_address src,
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
static inline void norm_rows(const struct forward *f, stoker_address dst, stoker_address dst_q8,
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

static inline void matmul(const struct forward *f, const struct stoker_weight *w,
			  stoker_address dst, stoker_address src, stoker_address src_q8)
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
static inline void finish(const struct forward *f, const struct stoker_weight *w,
			  stoker_address src, stoker_address src_q8, const struct op_add_norm *then)
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

static inline void add_norm(const struct forward *f, const struct op_add_norm *op)
{
	if (op)
		device_add_norm(f->model->device, op);
}

static inline void add(const struct forward *f, stoker_address dst, stoker_address b, float scale)
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

static inline void multiply(const struct forward *f, enum binary_kind kind, stoker_address dst,
			    stoker_address a, uint32_t a_stride, stoker_address b,
			    uint32_t b_stride, uint32_t rows, uint32_t width)
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

static inline stoker_address frequency_of(const struct forward *f, const struct rope *rope)
{
	return rope->long_frequency && f->context > rope->short_context ? rope->long_frequency
									: rope->frequency;
}

static inline void rotate(const struct forward *f, const struct rope *rope, stoker_address x,
			  uint32_t heads, uint32_t head_stride, uint32_t stride)
{
	const struct op_rope op = { .x = x,
				    .frequency = frequency_of(f, rope),
				    .rows = f->rows,
				    .heads = heads,
				    .head_stride = head_stride,
				    .stride = stride,
				    .pairs = rope->pairs,
				    .places = f->places[PAGES_FULL],
				    .interleaved = rope->interleaved,
				    .magnitude = rope->magnitude };

	if (rope->pairs)
		device_rope(f->model->device, &op);
}

static inline void store(const struct forward *f, uint64_t cache, enum stoker_kv_format format,
			 stoker_address src, uint32_t heads, uint32_t width)
{
	const struct op_kv_store op = { .cache = cache,
					.src = src,
					.format = format,
					.rows = f->rows,
					.places = f->places[PAGES_FULL],
					.heads = heads,
					.width = width,
					.stride = heads * width };

	device_kv_store(f->model->device, &op);
}

static inline void copy(const struct forward *f, stoker_address dst, uint32_t dst_stride,
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

static inline stoker_address floats(stoker_address at, uint64_t n)
{
	return at + n * sizeof(float);
}

#endif
