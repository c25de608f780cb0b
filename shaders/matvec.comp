/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
#if defined(DOT) || defined(PAIRS)
#define CODES
#endif
/*
 * Products of matrices with single rows.  A subgroup computes ROWS outputs; its lanes share the
 * groups of 32 weights among them, so that all read neighbouring blocks, and add up at the end.
 * With BY_LANE each lane computes ROWS outputs of its own: what it reads lies far apart, but
 * activations are the same for all lanes, which processors that emulate a GPU load only once.
 * With DOT or PAIRS activations are 8-bit codes, as quantize.comp makes them.
 */
#include "common.glsl"

layout(constant_id = 2) const uint ROWS = 4;
layout(constant_id = 3) const bool BY_LANE = false;
layout(constant_id = 4) const uint KIND = MATVEC_ANY;

const bool PARTS = KIND == MATVEC_PARTS;
/* With these, BY_LANE and PAIRS, a subgroup's outputs are 32. */
const bool MAKES_CODES = KIND == MATVEC_GATED || KIND == MATVEC_ADDED;
/* Matrices that aren't chosen by ids, and those that have neither bias nor scale. */
const bool LONE = PARTS || KIND == MATVEC_ADDED;
const bool PLAIN = PARTS || KIND == MATVEC_GATED;

PUSH(push_matvec);
#include "activations.glsl"
#include "formats.glsl"
#include "products.glsl"

#ifdef CODES
#include "rounding.glsl"

#ifdef PAIRS
const uint X_WORDS = PAIR_WORDS;
#else
const uint X_WORDS = DOT_WORDS;
#endif

struct Codes {
	uint word[X_WORDS];
	float scale, sum, first_sum; /* the sums of all and of the first 16, times the scale */
};

Codes load_codes(uint64_t src, uint g)
{
	Words m = Words(src + 4ul * (X_WORDS + CODE_EXTRA_WORDS) * g);
	Codes x;

	[[unroll]] for (uint i = 0; i < X_WORDS; i++)
		x.word[i] = m.v[i];
	x.scale = uintBitsToFloat(m.v[X_WORDS]);
	x.sum = uintBitsToFloat(m.v[X_WORDS + 1]);
	x.first_sum = uintBitsToFloat(m.v[X_WORDS + 2]);
	return x;
}

#ifdef PAIRS

/*
 * Two products by one multiplication: (a + 2^16 b) (y + 2^16 x) has a x + b y in its upper half, once
 * the lower half's sign is taken into account.  Both halves hold sums of as many as stay within 15
 * bits, whatever the codes of a format are.
 */
const uint WORDS_A_SUM = CODE_MAX <= 15 ? 4 : CODE_MAX <= 31 ? 2 : 1;

int sum_of_products(const uint word[8], const uint x[X_WORDS], uint first)
{
	int sum = 0, both = 0;

	[[unroll]] for (uint i = 0; i < 4; i++) {
		both += int(word[first + i] & 0x00ff00ffu) * int(x[2 * (first + i)]);
		both += int(word[first + i] >> 8 & 0x00ff00ffu) * int(x[2 * (first + i) + 1]);
		if ((i + 1) % WORDS_A_SUM == 0) {
			sum += (both + 0x8000) >> 16;
			both = 0;
		}
	}
	return sum;
}

#else

int sum_of_products(const uint word[8], const uint x[X_WORDS], uint first)
{
	int sum = 0;

	[[unroll]] for (uint i = first; i < first + 4; i++)
		sum += dotPacked4x8EXT(int(word[i]), int(x[i]));
	return sum;
}

#endif

float product_of_codes(const uint word[8], vec2 scale, vec2 offset, const Codes x)
{
	const int low = sum_of_products(word, x.word, 0), high = sum_of_products(word, x.word, 4);
	float y;

#ifdef GROUP_16
	y = x.scale * (scale.x * float(low) + scale.y * float(high));
#else
	y = x.scale * scale.x * float(low + high);
#endif
#ifdef AFFINE
#ifdef GROUP_16
	y += offset.x * x.first_sum + offset.y * (x.sum - x.first_sum);
#else
	y += offset.x * x.sum;
#endif
#endif
	return y;
}

float product(uint64_t row, uint g, const Codes x)
{
	uint word[8];
	vec2 scale, offset;

	decode_words(row, g, word, scale, offset);
	return product_of_codes(word, scale, offset, x);
}

#ifdef PAIRS

/* What the products with a row of codes are multiplied by: see push_quantize. */
float norm_of(uint64_t src)
{
	const uint groups = p.width / 32;
	float sum = 0.0;

	for (uint g = gl_SubgroupInvocationID; g < groups; g += gl_SubgroupSize)
		sum += Floats(src).v[(X_WORDS + CODE_EXTRA_WORDS) * (g + 1) - 1];
	return 1.0 / sqrt(subgroupAdd(sum) / float(p.width));
}

#endif

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

/* The @r-th output of this lane, of those that its subgroup begins with @first. */
uint output_of(uint first, uint r)
{
	return first + (BY_LANE ? gl_SubgroupInvocationID * ROWS + r : r);
}

/* Where row @o of the matrix begins, or of the matrices one below the other. */
uint64_t row_at(uint64_t matrix, uint o)
{
	if (PARTS && o >= p.PART_2)
		return p.WEIGHT_2 + uint64_t(o - p.PART_2) * p.row_bytes;
	if (PARTS && o >= p.PART_1)
		return p.WEIGHT_1 + uint64_t(o - p.PART_1) * p.row_bytes;
	return matrix + uint64_t(o) * p.row_bytes;
}

void store_part(uint row, uint o, float y)
{
	if (o >= p.PART_2)
		Floats(p.DST_2).v[row * (p.out_width - p.PART_2) + o - p.PART_2] = y;
	else if (o >= p.PART_1)
		Floats(p.DST_1).v[row * (p.PART_2 - p.PART_1) + o - p.PART_1] = y;
	else
		Floats(p.dst).v[row * p.PART_1 + o] = y;
}

#ifdef PAIRS

/* Codes of the 32 values of a subgroup's lanes, group @g of all. */
void store_codes(uint64_t codes, uint g, const float x[ROWS], float squares)
{
	Words dst = Words(codes + 4ul * (X_WORDS + CODE_EXTRA_WORDS) * g);
	const uint lane = gl_SubgroupInvocationID;
	float largest = 0.0;
	int sums = 0;

	[[unroll]] for (uint r = 0; r < ROWS; r++)
		largest = max(largest, size_of(x[r]));
	largest = subgroupMax(largest);
	const float inverse = code_inverse(largest);

	[[unroll]] for (uint r = 0; r + 4 <= ROWS; r += 4) {
		const ivec4 q = to_codes(vec4(x[r], x[r + 1], x[r + 2], x[r + 3]), inverse);
		const uvec2 pair = paired(q);

		dst.v[(lane * ROWS + r) / 2] = pair.x;
		dst.v[(lane * ROWS + r) / 2 + 1] = pair.y;
		sums += (q.x + q.y + q.z + q.w) * (lane * ROWS + r < 16 ? 65537 : 1);
	}
	sums = subgroupAdd(sums);
	if (lane == 0) {
		store_sums(dst, X_WORDS, largest, sums);
		store_squares(dst, X_WORDS, squares);
	}
}

#endif

#if defined(BY_TWO) && defined(CODES)

/* Groups @g and @g + 1 of rows that begin at multiples of four. */
void add_two(const uint64_t row[ROWS], uint64_t src, uint g, inout float sum[ROWS])
{
	const Codes first = load_codes(src, g), second = load_codes(src, g + 1);

	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		Words m = Words(row[r] + 2ul * WORDS_OF_TWO * g);
		uint w[WORDS_OF_TWO], word[8];
		vec2 scale, offset;

		[[unroll]] for (uint i = 0; i < WORDS_OF_TWO; i++)
			w[i] = m.v[i];
		decode_of_two(w, 0, word, scale, offset);
		sum[r] += product_of_codes(word, scale, offset, first);
		decode_of_two(w, 1, word, scale, offset);
		sum[r] += product_of_codes(word, scale, offset, second);
	}
}

#endif

/* The sums of this lane's outputs over what it shares of the job: one row of one slot. */
void add_up(uint64_t weights, uint job, uint first, out float total[ROWS])
{
	const uint groups = (p.width + 31) / 32;
	const uint lane = BY_LANE ? 0 : gl_SubgroupInvocationID;
	const uint lanes = BY_LANE ? 1 : gl_SubgroupSize;
	const uint row = job / p.slots, slot = job % p.slots;

	[[unroll]] for (uint r = 0; r < ROWS; r++)
		total[r] = 0.0;
	/* members that stand for something else aren't strides */
	const uint terms = LONE || MAKES_CODES ? 1 : p.terms;

	for (uint t = 0; t < terms; t++) {
		const uint entry = job * terms + t;
		const uint id = LONE ? 0 : Words(p.ids).v[if_has(HAS_IDS, entry)];
		const uint matrix = (p.has & HAS_IDS) != 0 ? id : slot;
		const uint64_t weight = address_of(weights, matrix);
		const uint64_t src = floats(p.src, uint64_t(row) * p.src_stride +
					    (LONE ? 0 : slot * p.src_slot_stride) +
					    t * p.src_term_stride);
		const float factor =
			LONE || MAKES_CODES ? 1.0 : Floats(p.mix).v[if_has(HAS_MIX, entry)];
		const float scale = PLAIN ? 1.0 : Floats(p.scale).v[if_has(HAS_SCALE, matrix)];
#ifdef PAIRS
		const float norm = norm_of(src);
#else
		const float norm = 1.0;
#endif
		uint64_t at[ROWS];
		float sum[ROWS];

		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			at[r] = row_at(weight, min(output_of(first, r), p.out_width - 1));
			sum[r] = 0.0;
		}
		uint g = lane;

#if defined(BY_TWO) && defined(CODES)
		if (BY_LANE && (p.row_bytes & 3u) == 0u)
			for (; g + 1 < groups; g += 2)
				add_two(at, src, g, sum);
#endif
		for (; g < groups; g += lanes) {
#ifdef CODES
			const Codes x = load_codes(src, g);
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
#ifdef CODES
				sum[r] += product(at[r], g, x);
#else
				sum[r] += product(at[r], g, x, low_sum, high_sum);
#endif
			}
		}
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			const uint o = min(output_of(first, r), p.out_width - 1);
			const float bias =
				PLAIN ? 0.0
				      : Floats(p.bias).v[if_has(HAS_BIAS, matrix * p.out_width + o)];

			total[r] += factor * (sum[r] * norm * scale +
					      (lane == 0 ? bias : 0.0));
		}
	}
}

#ifdef PAIRS

/* Of outputs @y, which the next product takes. */
void make_codes(uint job, uint first, float y[ROWS])
{
	Floats sum = Floats(floats(p.SUM, uint64_t(job) * p.out_width));
	float squares = 32.0;

	if (KIND == MATVEC_ADDED) {
		squares = 0.0;
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			const uint o = output_of(first, r);
			const float x = sum.v[o] + uintBitsToFloat(p.ADD_SCALE) * y[r];

			sum.v[o] = x;
			squares += x * x + uintBitsToFloat(p.NORM_EPS);
			y[r] = x * Floats(p.NORM_WEIGHT).v[if_has(HAS_NORM_WEIGHT, o)];
		}
		squares = subgroupAdd(squares);
	}
	store_codes(p.CODES_DST, (job * p.out_width + first) / 32, y, squares);
}

#endif

void run_rows(uint first)
{
	const bool gated = KIND == MATVEC_GATED || (KIND == MATVEC_ANY && (p.has & HAS_GATE) != 0);

	for (uint job = gl_WorkGroupID.y; job < p.rows * p.slots; job += gl_NumWorkGroups.y) {
		const uint row = job / p.slots, slot = job % p.slots;
		float total[ROWS], gate[ROWS];

		for (uint pass = gated ? 0 : 1; pass < 2; pass++) {
			add_up(pass == 0 ? p.gate : p.weight, job, first, total);
			[[unroll]] for (uint r = 0; r < ROWS; r++)
				if (pass == 0)
					gate[r] = total[r];
		}
		Floats dst = Floats(floats(p.dst, uint64_t(row) * p.dst_stride +
					   slot * p.dst_slot_stride));

		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			const uint o = output_of(first, r);

			if (!BY_LANE)
				total[r] = subgroupAdd(total[r]);
			if (gated)
				total[r] = activate(p.has >> ACTIVATION_SHIFT,
						    BY_LANE ? gate[r] : subgroupAdd(gate[r]),
						    total[r]);
			if ((BY_LANE || gl_SubgroupInvocationID == 0) && o < p.out_width) {
				if (PARTS)
					store_part(row, o, total[r]);
				else
					dst.v[o] = total[r];
			}
		}
#ifdef PAIRS
		if (MAKES_CODES)
			make_codes(job, first, total);
#endif
	}
}

void main()
{
	const uint taken = BY_LANE ? ROWS * gl_SubgroupSize : ROWS;

	for (uint first = subgroup_index() * taken; first < p.out_width; first += subgroup_total() * taken)
		run_rows(first);
}
