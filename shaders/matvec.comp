/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
/*
 * Products of matrices with single rows.  A subgroup computes ROWS outputs; its lanes share the
 * groups of 32 weights among them, so that all read neighbouring blocks, and add up at the end.
 * With DOT activations are 8-bit codes, as quantize.comp makes them.
 */
#include "common.glsl"

layout(constant_id = 2) const uint ROWS = 4;

PUSH(push_matvec);
#include "formats.glsl"
#include "products.glsl"

#ifdef DOT

/* Ten words: the codes, their scale, and their sum times it. */
void load_codes(uint64_t src, uint g, out uint x[8], out float scale, out float sum)
{
	Words m = Words(src + 40ul * g);

	[[unroll]] for (uint i = 0; i < 8; i++)
		x[i] = m.v[i];
	scale = uintBitsToFloat(m.v[8]);
	sum = uintBitsToFloat(m.v[9]);
}

float product_of_codes(uint64_t row, uint g, const uint x[8], float x_scale, float x_sum)
{
	uint word[8];
	vec2 scale, offset;
	int low = 0, high = 0;
	float y;

	decode_words(row, g, word, scale, offset);
	[[unroll]] for (uint i = 0; i < 4; i++) {
		low += dotPacked4x8EXT(int(word[i]), int(x[i]));
		high += dotPacked4x8EXT(int(word[i + 4]), int(x[i + 4]));
	}
	y = x_scale * (scale.x * float(low) + scale.y * float(high));
#ifdef AFFINE
#ifdef GROUP_16
	/* the sum of all 32 won't do */
	int first = 0;

	[[unroll]] for (uint i = 0; i < 4; i++)
		first += dotPacked4x8EXT(0x01010101, int(x[i]));
	const float first_sum = x_scale * float(first);

	y += offset.x * first_sum + offset.y * (x_sum - first_sum);
#else
	y += offset.x * x_sum;
#endif
#endif
	return y;
}

#else

void load_group(uint64_t src, uint g, out vec4 x[8])
{
	Vectors m = Vectors(src + 128ul * g);

	[[unroll]] for (uint i = 0; i < 8; i++)
		x[i] = m.v[i];
#ifdef IS_FLOAT
	if (32 * g + 32 > p.width) {
		[[unroll]] for (uint i = 0; i < 8; i++)
			x[i] = mix(vec4(0), x[i],
				   lessThan(32 * g + 4 * i + uvec4(0, 1, 2, 3), uvec4(p.width)));
	}
#endif
}

float product(uint64_t row, uint g, const vec4 x[8], float low_sum, float high_sum)
{
	vec4 code[8];
	vec2 scale, offset;
	vec4 low = vec4(0), high = vec4(0);
	float y;

	decode(row, g, code, scale, offset);
	[[unroll]] for (uint i = 0; i < 4; i++) {
		low = fma(code[i], x[i], low);
		high = fma(code[i + 4], x[i + 4], high);
	}
#ifdef GROUP_16
	low *= scale.x;
	high *= scale.y;
	low += high;
	y = low.x + low.y + low.z + low.w;
#else
	low += high;
	y = scale.x * (low.x + low.y + low.z + low.w);
#endif
#ifdef AFFINE
	y += offset.x * low_sum + offset.y * high_sum;
#endif
	return y;
}

#endif

void run_rows(uint first)
{
	const uint groups = (p.width + 31) / 32;

	for (uint job = gl_WorkGroupID.y; job < p.rows * p.slots; job += gl_NumWorkGroups.y) {
		const uint row = job / p.slots, slot = job % p.slots;
		float total[ROWS];

		[[unroll]] for (uint r = 0; r < ROWS; r++)
			total[r] = 0.0;
		for (uint t = 0; t < p.terms; t++) {
			const uint entry = job * p.terms + t;
			const uint id = Words(p.ids).v[if_has(HAS_IDS, entry)];
			const uint matrix = (p.has & HAS_IDS) != 0 ? id : slot;
			const uint64_t weight = address_of(matrix);
			const uint64_t src = floats(p.src, uint64_t(row) * p.src_stride +
						    slot * p.src_slot_stride + t * p.src_term_stride);
			const float factor = Floats(p.mix).v[if_has(HAS_MIX, entry)];
			const float scale = Floats(p.scale).v[if_has(HAS_SCALE, matrix)];
			float sum[ROWS];

			[[unroll]] for (uint r = 0; r < ROWS; r++)
				sum[r] = 0.0;
			for (uint g = gl_SubgroupInvocationID; g < groups; g += gl_SubgroupSize) {
#ifdef DOT
				float x_scale, x_sum;
				uint x[8];

				load_codes(src, g, x, x_scale, x_sum);
#else
				float low_sum = 0.0, high_sum = 0.0;
				vec4 x[8];

				load_group(src, g, x);
#ifdef AFFINE
				const vec4 low = x[0] + x[1] + x[2] + x[3];
				const vec4 high = x[4] + x[5] + x[6] + x[7];

				low_sum = low.x + low.y + low.z + low.w;
				high_sum = high.x + high.y + high.z + high.w;
#endif
#ifdef IN_PLACE
				[[unroll]] for (uint i = 0; i < 8; i++)
					x[i] *= BYTE_PLACE;
#endif
#endif
				[[unroll]] for (uint r = 0; r < ROWS; r++) {
					const uint o = min(first + r, p.out_width - 1);

#ifdef DOT
					sum[r] += product_of_codes(weight + uint64_t(o) * p.row_bytes,
								   g, x, x_scale, x_sum);
#else
					sum[r] += product(weight + uint64_t(o) * p.row_bytes, g, x,
							  low_sum, high_sum);
#endif
				}
			}
			[[unroll]] for (uint r = 0; r < ROWS; r++) {
				const uint o = min(first + r, p.out_width - 1);
				const float bias =
					Floats(p.bias).v[if_has(HAS_BIAS, matrix * p.out_width + o)];

				total[r] += factor * (sum[r] * scale +
						      (gl_SubgroupInvocationID == 0 ? bias : 0.0));
			}
		}
		Floats dst = Floats(floats(p.dst, uint64_t(row) * p.dst_stride +
					   slot * p.dst_slot_stride + first));

		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			const float y = subgroupAdd(total[r]);

			if (gl_SubgroupInvocationID == 0 && first + r < p.out_width)
				dst.v[r] = y;
		}
	}
}

void main()
{
	for (uint first = subgroup_index() * ROWS; first < p.out_width; first += subgroup_total() * ROWS)
		run_rows(first);
}
