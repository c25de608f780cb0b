// SPDX-License-Identifier: MIT
/*
 * Quantizers.  Symmetric and affine formats share two searches, both of which try a range of scales
 * around the obvious one, solve the weighted least squares for each and keep the best.
 */
#include "quant/encode.h"
#include "quant/kquant.h"

#include <math.h>

void encode_f32(const float *x, uint8_t *block)
{
	memcpy(block, x, sizeof(*x));
}

void encode_f16(const float *x, uint8_t *block)
{
	store_u16(block, f32_to_f16(*x));
}

void encode_bf16(const float *x, uint8_t *block)
{
	store_u16(block, f32_to_bf16(*x));
}

static float largest_magnitude(const float *x, int n)
{
	float best = 0;

	for (int i = 0; i < n; i++)
		if (fabsf(x[i]) > fabsf(best))
			best = x[i];
	return best;
}

static int clamp(int v, int low, int high)
{
	return v < low ? low : v > high ? high : v;
}

static int nearest(float x, int low, int high)
{
	return clamp((int)lrintf(fmaxf(fminf(x, 1e6f), -1e6f)), low, high);
}

void encode_q8_0(const float *x, uint8_t *block)
{
	const float d = fabsf(largest_magnitude(x, 32)) / 127;

	store_u16(block, f32_to_f16(d));
	for (int i = 0; i < 32; i++)
		block[2 + i] = (uint8_t)(int8_t)(d > 0 ? nearest(x[i] / d, -127, 127) : 0);
}

/*
 * The scale s and codes l in [-limit, limit - 1] that minimise sum w (x - s l)^2 with w = x^2.  The
 * error falls as (sum w x l)^2 / (sum w l^2) grows.
 */
static float symmetric_scale(const float *x, int n, int limit)
{
	const float extreme = largest_magnitude(x, n);
	float best = 0, best_gain = 0;

	if (fabsf(extreme) < 1e-15f)
		return 0;
	for (int step = -9; step <= 9; step++) {
		const float inverse = -((float)limit + 0.1f * (float)step) / extreme;
		float xl = 0, ll = 0;

		for (int i = 0; i < n; i++) {
			const float l = (float)nearest(inverse * x[i], -limit, limit - 1);
			const float w = x[i] * x[i];

			xl += w * x[i] * l;
			ll += w * l * l;
		}
		if (ll > 0 && xl * xl > best_gain * ll) {
			best_gain = xl * xl / ll;
			best = xl / ll;
		}
	}
	return best;
}

/* The best scale of signs is the mean magnitude. */
void encode_q1_0(const float *x, uint8_t *block)
{
	float sum = 0;

	memset(block, 0, 18);
	for (int i = 0; i < 128; i++) {
		sum += fabsf(x[i]);
		block[2 + i / 8] |= (uint8_t)((x[i] >= 0) << i % 8);
	}
	store_u16(block, f32_to_f16(sum / 128));
}

/* Codes are those from -2 to 1 with the opposite sign. */
void encode_q2_0(const float *x, uint8_t *block)
{
	const float d = f16_to_f32(f32_to_f16(-symmetric_scale(x, 64, 2)));

	memset(block, 0, 18);
	store_u16(block, f32_to_f16(d));
	for (int i = 0; i < 64; i++) {
		const int code = d != 0 ? nearest(x[i] / d, -1, 2) : 0;

		block[2 + i / 4] |= (uint8_t)((code + 1) << 2 * (i % 4));
	}
}

void encode_q4_0(const float *x, uint8_t *block)
{
	const float d = f16_to_f32(f32_to_f16(symmetric_scale(x, 32, 8)));

	store_u16(block, f32_to_f16(d));
	for (int i = 0; i < 16; i++) {
		const int low = d != 0 ? nearest(x[i] / d, -8, 7) : 0;
		const int high = d != 0 ? nearest(x[i + 16] / d, -8, 7) : 0;

		block[2 + i] = (uint8_t)((low + 8) | (high + 8) << 4);
	}
}

/*
 * The scale s >= 0 and minimum m >= 0 for x = s l - m, l in [0, limit], with weights that favour
 * large values.
 */
static void affine_scale(const float *x, int n, int limit, float first, int steps, float *scale,
			 float *minimum)
{
	float low = 0, high = x[0], square = 0, best_error = INFINITY, weight[32], total = 0,
	      sum = 0;

	for (int i = 0; i < n; i++) {
		low = fminf(low, x[i]);
		high = fmaxf(high, x[i]);
		square += x[i] * x[i];
	}
	*scale = 0;
	*minimum = -low;
	if (high <= low)
		return;
	for (int i = 0; i < n; i++) {
		weight[i] = sqrtf(square / (float)n) + fabsf(x[i]);
		total += weight[i];
		sum += weight[i] * x[i];
	}
	for (int step = -1; step <= steps; step++) {
		const float widen = step < 0 ? 0 : first + 0.1f * (float)step;
		const float inverse = ((float)limit + widen) / (high - low);
		float l1 = 0, l2 = 0, xl = 0, error = 0, s, m;

		for (int i = 0; i < n; i++) {
			const float l = (float)nearest(inverse * (x[i] - low), 0, limit);

			l1 += weight[i] * l;
			l2 += weight[i] * l * l;
			xl += weight[i] * l * x[i];
		}
		const float determinant = total * l2 - l1 * l1;

		if (determinant <= 0)
			continue;
		s = (total * xl - sum * l1) / determinant;
		m = (l2 * sum - l1 * xl) / determinant;
		if (m > 0) {
			m = 0;
			s = xl / l2;
		}
		for (int i = 0; i < n; i++) {
			const float l = (float)nearest(inverse * (x[i] - low), 0, limit);
			const float difference = s * l + m - x[i];

			error += weight[i] * difference * difference;
		}
		if (error < best_error && s > 0) {
			best_error = error;
			*scale = s;
			*minimum = -m;
		}
	}
}

/* d, dmin and the 12 bytes of 6-bit scales; returns what a decoder will see. */
static void put_kquant_scales(const float *scale, const float *minimum, uint8_t *block,
			      float *stored_scale, float *stored_offset)
{
	float most_scale = 0, most_minimum = 0;
	uint8_t *packed = block + 4;

	for (int j = 0; j < 8; j++) {
		most_scale = fmaxf(most_scale, scale[j]);
		most_minimum = fmaxf(most_minimum, minimum[j]);
	}
	store_u16(block, f32_to_f16(most_scale / 63));
	store_u16(block + 2, f32_to_f16(most_minimum / 63));
	memset(packed, 0, 12);
	for (int j = 0; j < 8; j++) {
		const int s = most_scale > 0 ? nearest(63 * scale[j] / most_scale, 0, 63) : 0;
		const int m = most_minimum > 0 ? nearest(63 * minimum[j] / most_minimum, 0, 63) : 0;

		if (j < 4) {
			packed[j] |= (uint8_t)s;
			packed[j + 4] |= (uint8_t)m;
		} else {
			packed[j + 4] = (uint8_t)((s & 15) | (m & 15) << 4);
			packed[j - 4] |= (uint8_t)(s >> 4 << 6);
			packed[j] |= (uint8_t)(m >> 4 << 6);
		}
	}
	kquant_scales(block, stored_scale, stored_offset);
}

static void kquant_codes(const float *x, int limit, float first, int steps, uint8_t *block,
			 uint8_t codes[256])
{
	float scale[8], minimum[8], offset[8];

	for (int j = 0; j < 8; j++)
		affine_scale(x + 32 * j, 32, limit, first, steps, &scale[j], &minimum[j]);
	put_kquant_scales(scale, minimum, block, scale, offset);
	for (int i = 0; i < 256; i++) {
		const float s = scale[i / 32];

		codes[i] = (uint8_t)(s > 0 ? nearest((x[i] - offset[i / 32]) / s, 0, limit) : 0);
	}
}

void encode_q4_k(const float *x, uint8_t *block)
{
	uint8_t codes[256];

	kquant_codes(x, 15, -1.0f, 20, block, codes);
	for (int pair = 0; pair < 4; pair++)
		for (int i = 0; i < 32; i++)
			block[16 + 32 * pair + i] =
				(uint8_t)(codes[64 * pair + i] | codes[64 * pair + 32 + i] << 4);
}

void encode_q5_k(const float *x, uint8_t *block)
{
	uint8_t codes[256];

	kquant_codes(x, 31, -0.5f, 15, block, codes);
	memset(block + 16, 0, 160);
	for (int i = 0; i < 256; i++) {
		const int j = i / 32;

		block[16 + i % 32] |= (uint8_t)(codes[i] >> 4 << j);
		block[48 + 32 * (j / 2) + i % 32] |= (uint8_t)((codes[i] & 15) << (4 * (j & 1)));
	}
}

void encode_q6_k(const float *x, uint8_t *block)
{
	float scale[16];

	for (int g = 0; g < 16; g++)
		scale[g] = symmetric_scale(x + 16 * g, 16, 32);
	const float extreme = largest_magnitude(scale, 16);

	memset(block, 0, 210);
	if (extreme == 0)
		return;
	store_u16(block + 208, f32_to_f16(extreme / -128));
	const float d = f16_to_f32(load_u16(block + 208));

	for (int g = 0; g < 16; g++)
		block[192 + g] = (uint8_t)(int8_t)nearest(-128 * scale[g] / extreme, -128, 127);
	for (int i = 0; i < 256; i++) {
		const float s = d * (float)(int8_t)block[192 + i / 16];
		const int code = 32 + (s != 0 ? nearest(x[i] / s, -32, 31) : 0);
		const int half = i / 128, r = i % 128;

		block[64 * half + r % 64] |= (uint8_t)((code & 15) << (4 * (r / 64)));
		block[128 + 32 * half + r % 32] |= (uint8_t)(code >> 4 << (2 * (r / 32)));
	}
}

/* The shared exponent is that of the largest value less E2M1's own two. */
void encode_mxfp4(const float *x, uint8_t *block)
{
	static const float e2m1[8] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 };
	const float extreme = fabsf(largest_magnitude(x, 32));
	int exponent = 0;

	if (extreme > 0) {
		frexpf(extreme, &exponent);
		exponent = clamp(exponent - 1 - 2 + 127, 0, 254);
	}
	const double scale = ldexp(1, exponent - 127);

	block[0] = (uint8_t)exponent;
	memset(block + 1, 0, 16);
	for (int i = 0; i < 32; i++) {
		const double magnitude = fabs((double)x[i]) / scale;
		int best = 0;

		for (int c = 1; c < 8; c++)
			if (fabs(e2m1[c] - magnitude) < fabs(e2m1[best] - magnitude))
				best = c;
		if (best && x[i] < 0)
			best |= 8;
		block[1 + i % 16] |= (uint8_t)(best << (4 * (i / 16)));
	}
}

int quant_encode_rows(const struct stoker_format *format, const float *values,
		      const float *importance, size_t rows, size_t columns, void *out)
{
	uint8_t *block = out;

	if (!format->encode)
		return -ENOTSUP;
	if (columns % format->block_values)
		return -EINVAL;
	for (size_t i = 0; i < rows * columns; i++)
		if (!isfinite(values[i]))
			return -ERANGE;
	for (size_t i = 0; importance && i < columns; i++)
		if (!(importance[i] >= 0) || !isfinite(importance[i]))
			return -EDOM;
	for (size_t n = 0; n < rows * columns;
	     n += format->block_values, block += format->block_bytes)
		format->encode(values + n, block);
	return 0;
}
