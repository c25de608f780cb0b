/* SPDX-License-Identifier: MIT */
/*
 * What the host hands each shader, one struct a shader, read by C and by GLSL; ops that a shader
 * takes as they are are in device/shared_ops.h.  Members are 64-bit
 * addresses first and then 32-bit numbers, so that both lay them out alike; none exceeds the 128
 * bytes that every Vulkan device takes.  Strides count floats.
 *
 * Every address may be read, since compilers load early what they may not need.  An operand that
 * there is none of is one float that changes nothing; its HAS_ bit isn't set, and its index is 0.
 */
#ifndef STOKER_PUSH_CONSTANTS_H
#define STOKER_PUSH_CONSTANTS_H

#ifdef __STDC__
#include <stdint.h>
typedef uint64_t address;
typedef uint32_t uint;
#else
#define address uint64_t
#endif

#define HAS_IDS 1
#define HAS_MIX 2
#define HAS_BIAS 4
#define HAS_SCALE 8
#define HAS_LIST 16
#define HAS_TABLE 32 /* weight is where the matrices' own addresses are */

struct push_embed {
	address dst, ids, table, codebook;
	uint rows, width, row_bytes;
	float scale;
};

/*
 * dst[row][choice] = sum over term of mix * (W_m src[row][choice][term] * scale_m + bias_m), where
 * m = ids[row][choice][term], or choice without ids.  With @gate, a weight like the first:
 * activate(W^gate_m src[row][choice], W_m src[row][choice]), of the kind has >> ACTIVATION_SHIFT.
 */
#define HAS_GATE 64
#define ACTIVATION_SHIFT 16
struct push_matvec {
	address weight, src, dst, bias, scale, ids, mix, codebook, stride, gate;
	uint row_bytes, width, out_width, rows, choices, terms;
	uint src_stride, src_choice_stride, src_term_stride, dst_stride, dst_choice_stride, has;
};

/*
 * dst_i[row] = W_i src[row] for up to three matrices of one format and width, without bias and
 * scale, as if they were one below the other: matrix i ends before output end[i] of all.
 */
struct push_matvec_parts {
	address weight[3], dst[3], src, codebook;
	uint row_bytes, width, rows, src_stride, end[3];
};

/*
 * dst[row][choice] = activate(gate_m src[row], W_m src[row]), where m = ids[row][choice], or choice
 * without ids; and q8 of that.  Neither matrix has bias or scale.
 */
struct push_matvec_gated {
	address weight, gate, src, dst, dst_q8, ids, codebook, stride;
	uint row_bytes, width, out_width, rows, choices, src_stride, activation, has;
};

/*
 * dst[row] = W src[row] * scale + bias, x[row] += add_scale * dst[row], and x_q8 is made of
 * x[row] * norm_weight, which is still to be divided by the root of the mean of x[row]^2 + eps.
 */
#define HAS_NORM_WEIGHT 128
struct push_matvec_added {
	address weight, src, dst, bias, scale, x, x_q8, norm_weight, codebook;
	uint row_bytes, width, out_width, rows, src_stride, has;
	float add_scale, eps;
};

/*
 * dst[row] = W src[row] for many rows.  With @list, matrix m takes the entries offsets[m] to
 * offsets[m + 1] of it: an entry e reads row e / divisor of src and writes row e of dst.
 */
struct push_matmul {
	address weight, src, dst, bias, scale, list, offsets, codebook, stride;
	uint row_bytes, width, out_width, rows, divisor, src_stride, dst_stride, has;
};

/*
 * Rows of src as 8-bit codes: for each 32 values the codes in DOT_WORDS words or in PAIR_WORDS,
 * then Q8_EXTRA_WORDS: their scale, the sums of all and of the first 16 codes times it, and with
 * pairs what their share is of the squares by whose mean's root the row is still to be divided: the
 * sum over the 32 of x^2 + eps where a norm is left to what reads them, 32 otherwise.
 */
#define Q8_NONE 0
#define Q8_DOT 1
#define Q8_PAIRS 2
#define DOT_WORDS 8
#define PAIR_WORDS 16
#define Q8_EXTRA_WORDS 4
struct push_quantize {
	address dst, src;
	uint rows, width, src_stride;
};

/* Entries of ids[count] sorted by matrix: offsets[experts + 1], list[count]. */
struct push_group {
	address ids, offsets, list;
	uint count, experts;
};

/* dst[row] = sum over k of weights[row][k] * src[row][k] */
struct push_combine {
	address dst, src, weights;
	uint rows, used, width;
};

struct push_norm {
	address dst, src, weight, add, codes;
	uint rows, groups, width, dst_stride, src_stride, add_stride, l2, has_weight, has_add;
	float eps, add_scale;
};

struct push_qkv {
	address q, k, v, q_norm, k_norm, keys, values, frequency, places;
	uint rows, heads, kv_heads, key_size, value_size, pairs, interleaved, has_norm;
	float eps, magnitude;
};

struct push_rope {
	address x, frequency, places;
	uint rows, heads, head_stride, stride, pairs, interleaved;
	float magnitude;
};

struct push_kv_store {
	address cache, src, places;
	uint rows, heads, width, stride;
};

struct push_attention {
	address dst, q, keys, values, sinks, places, codes;
	uint rows, heads, kv_heads, window, q_stride, q_head_stride, dst_stride, shared_value,
		has_sinks;
	float scale, softcap;
};

struct push_route {
	address ids, weights, logits, bias;
	uint rows, used, groups, groups_used, gating, normalize, has_bias;
	float scale;
};

struct push_glu {
	address dst, gate, up;
	uint rows, width, gate_stride, up_stride, activation;
};

struct push_binary {
	address dst, a, b, gate;
	uint kind, rows, width, dst_stride, a_stride, b_stride;
	float scale;
};

struct push_scale {
	address x;
	uint count;
	float scale, cap;
};

struct push_conv {
	address dst, src, weight, state, places, state_stride;
	uint rows, channels, taps, dst_stride, src_stride, silu;
};

struct push_delta_net {
	address dst, q, k, v, alpha, beta, dt, a, state, places, state_stride;
	uint rows, key_heads, value_heads, size, qkv_stride, dst_stride, grouped;
};

#endif
