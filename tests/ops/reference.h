/* SPDX-License-Identifier: MIT */
/*
 * What every op computes: one plain function an op, in doubles, with which each device is compared.
 *
 * A function takes the op's struct for its shapes, strides and numbers, and beside it as doubles
 * what the struct's addresses are of, laid out in the same way.  An operand that the op may do
 * without is NULL where there is none; the addresses themselves are never looked at.  What only
 * saves work isn't here: q8, scratch memory, waves of experts.
 */
#ifndef STOKER_REFERENCE_H
#define STOKER_REFERENCE_H

#include "device/device.h"

/* @count matrices of @out rows of @in values; a scale and @out biases each. */
struct matrix {
	uint32_t in, out, count;
	const double *values, *bias, *scale; /* bias, scale: or NULL */
};

void reference_embed(const struct op_embed *op, const struct matrix *table, const uint32_t *ids,
		     double *dst);

/* One of the op's matrices; what comes then is a reference_add_norm(). */
void reference_matmul(const struct op_matmul *op, const struct matrix *w, const double *src,
		      double *dst);
void reference_matmul_heads(const struct op_matmul_heads *op, const struct matrix *w,
			    const double *src, double *dst);
void reference_gated(const struct op_gated *op, const struct matrix *gate, const struct matrix *up,
		     const double *src, double *dst);
void reference_experts(const struct op_experts *op, const struct matrix *gate,
		       const struct matrix *up, const struct matrix *down, const uint32_t *ids,
		       const double *weights, const double *src, double *dst);
void reference_route(const struct op_route *op, const double *logits, const double *bias,
		     uint32_t *ids, double *weights);

void reference_norm(const struct op_norm *op, const double *weight, const double *src, double *dst);
void reference_add_norm(const struct op_add_norm *op, const double *weight, const double *a,
			double *x, double *h);

/* Positions are those of row 0.  Caches hold doubles: no format rounds them. */
void reference_rope(const struct op_rope *op, const double *frequency, uint32_t position,
		    double *x);
void reference_kv_store(const struct op_kv_store *op, uint32_t position, const double *src,
			double *cache);
void reference_qkv(const struct op_qkv *op, const double *q_norm, const double *k_norm,
		   const double *frequency, uint32_t position, double *q, double *k,
		   const double *v, double *keys, double *values);
void reference_attention(const struct op_attention *op, const double *q, const double *keys,
			 const double *values, const double *sinks, uint32_t position, double *dst);

void reference_glu(const struct op_glu *op, const double *gate, const double *up, double *dst);
void reference_binary(const struct op_binary *op, const double *a, const double *b,
		      const double *gate, double *dst);
void reference_scale(const struct op_scale *op, double *x);
void reference_copy(const struct op_copy *op, const double *src, double *dst);
void reference_gather(const struct op_gather *op, const uint32_t *ids, const double *src,
		      double *dst);

/* States are those before the op, and after it when they return. */
void reference_conv(const struct op_conv *op, const double *weight, const double *src,
		    double *state, double *dst);
void reference_delta_net(const struct op_delta_net *op, const double *q, const double *k,
			 const double *v, const double *alpha, const double *beta, const double *dt,
			 const double *a, double *state, double *dst);

#endif
