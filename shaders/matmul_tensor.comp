/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
/*
 * As matmul.comp, with cooperative matrices: a workgroup of one subgroup multiplies 2 M rows of weights
 * by 2 N rows of activations, K values at a time, as half floats with sums in 32 bits.
 */
#include "common.glsl"

layout(constant_id = 2) const uint M = 8;
layout(constant_id = 3) const uint N = 8;
layout(constant_id = 4) const uint K = 8;

PUSH(push_matmul);
#include "formats.glsl"
#include "operands.glsl"

const uint WEIGHT_ROWS = 2 * M, SRC_ROWS = 2 * N;
const float HALF_MAX = 65504.0;

shared float16_t weights[2 * M * 32]; /* [weight row][32] */
shared float16_t inputs[2 * N * 32];  /* [source row][32] */
shared float sums[2 * M * 2 * N];     /* [weight row][source row] */

uint entry_of(uint i, uint end)
{
	const uint at = min(i, max(end, 1u) - 1), entry = Words(p.list).v[if_has(HAS_LIST, at)];

	return (p.has & HAS_LIST) != 0 ? entry : at;
}

/* Clamped, since an infinity would spoil a whole row; what isn't finite stays so. */
float16_t to_half(float x)
{
	return float16_t(is_finite(x) ? clamp(x, -HALF_MAX, HALF_MAX) : x);
}

/* Group @g of the tile's rows into shared memory. */
void load_tile(uint64_t weight, uint first, uint begin, uint end, uint g)
{
	for (uint r = gl_LocalInvocationID.x; r < WEIGHT_ROWS; r += gl_WorkGroupSize.x) {
		vec4 value[8];

		decode_values(weight + uint64_t(min(first + r, p.out_width - 1)) * p.row_bytes, g, value);
		[[unroll]] for (uint k = 0; k < 32; k++)
			weights[32 * r + k] = to_half(value[k / 4][k % 4]);
	}
	for (uint i = gl_LocalInvocationID.x; i < 32 * SRC_ROWS; i += gl_WorkGroupSize.x) {
		const uint n = i / 32, k = 32 * g + i % 32;
		const uint64_t row =
			floats(p.src, uint64_t(entry_of(begin + n, end) / p.divisor) * p.src_stride);
		const float x = Floats(row).v[min(k, p.width - 1)];

		inputs[i] = k < p.width ? to_half(x) : float16_t(0.0);
	}
}

void run_tile(uint64_t weight, uint matrix, uint first, uint begin, uint end)
{
	coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sum[4];

	[[unroll]] for (uint i = 0; i < 4; i++)
		sum[i] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);
	for (uint g = 0; g < (p.width + 31) / 32; g++) {
		barrier();
		load_tile(weight, first, begin, end, g);
		barrier();
		for (uint k = 0; k < 32; k += K) {
			coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> w[2];
			coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> x[2];

			[[unroll]] for (uint i = 0; i < 2; i++) {
				coopMatLoad(w[i], weights, 32 * M * i + k, 32,
					    gl_CooperativeMatrixLayoutRowMajor);
				coopMatLoad(x[i], inputs, 32 * N * i + k, 32,
					    gl_CooperativeMatrixLayoutColumnMajor);
			}
			[[unroll]] for (uint i = 0; i < 4; i++)
				sum[i] = coopMatMulAdd(w[i / 2], x[i % 2], sum[i]);
		}
	}
	[[unroll]] for (uint i = 0; i < 4; i++)
		coopMatStore(sum[i], sums, M * (i / 2) * SRC_ROWS + N * (i % 2), SRC_ROWS,
			     gl_CooperativeMatrixLayoutRowMajor);
	barrier();
	const float scale = Floats(p.scale).v[if_has(HAS_SCALE, matrix)];

	for (uint i = gl_LocalInvocationID.x; i < WEIGHT_ROWS * SRC_ROWS; i += gl_WorkGroupSize.x) {
		const uint row = first + i % WEIGHT_ROWS, n = i / WEIGHT_ROWS;

		if (row < p.out_width && begin + n < end)
			Floats(floats(p.dst, uint64_t(entry_of(begin + n, end)) * p.dst_stride)).v[row] =
				sums[i % WEIGHT_ROWS * SRC_ROWS + n] * scale +
				Floats(p.bias).v[if_has(HAS_BIAS, matrix * p.out_width + row)];
	}
}

void main()
{
	const uint matrix = gl_WorkGroupID.z;
	const uint first_entry = Words(p.offsets).v[if_has(HAS_LIST, matrix)];
	const uint last_entry = Words(p.offsets).v[if_has(HAS_LIST, matrix + 1)];
	const uint begin = (p.has & HAS_LIST) != 0 ? first_entry : 0;
	const uint end = (p.has & HAS_LIST) != 0 ? last_entry : p.rows;

	for (uint at = begin + SRC_ROWS * gl_WorkGroupID.y; at < end; at += SRC_ROWS * gl_NumWorkGroups.y)
		for (uint first = gl_WorkGroupID.x * WEIGHT_ROWS; first < p.out_width;
		     first += gl_NumWorkGroups.x * WEIGHT_ROWS)
			run_tile(address_of(p.weight, matrix, p.stride), matrix, first, at, end);
}
