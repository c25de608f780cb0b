// SPDX-License-Identifier: MIT
/* Rows of floats to blocks: what is checked and prepared before an encoder sees them. */
#include "quant/encode.h"
#include "quant/simd.h"

#include <math.h>

/* Encoders see at most so many values at once, in whole rows where there are weights. */
static int prepare_importance(const float *importance, size_t columns, float **out)
{
	/* a column that no text of the calibration used still has to be something */
	const float least = 1e-6f;
	double sum = 0;
	float *weights;

	*out = NULL;
	for (size_t i = 0; i < columns; i++) {
		if (!(importance[i] >= 0) || !isfinite(importance[i]))
			return -EDOM;
		sum += (double)importance[i];
	}
	if (sum == 0)
		return 0;
	weights = malloc(columns * sizeof(*weights));
	if (!weights)
		return -ENOMEM;
	for (size_t i = 0; i < columns; i++)
		weights[i] = fmaxf((float)((double)importance[i] * (double)columns / sum), least);
	*out = weights;
	return 0;
}

/* Without a branch a value, as it is done to all of a model. */
static bool all_finite(const float *values, size_t count)
{
	const uint32_t infinite = 0x7f800000;
	u32x4 bad = { 0 };
	size_t i = 0;

	for (; i + 16 <= count; i += 16)
		for (size_t k = 0; k < 16; k += 4) {
			u32x4 bits;

			memcpy(&bits, values + i + k, sizeof(bits));
			bad |= (u32x4)((bits & infinite) == infinite);
		}
	for (; i < count; i++)
		bad[0] |= !isfinite(values[i]);
	return !(bad[0] | bad[1] | bad[2] | bad[3]);
}

int quant_encode_rows(const struct stoker_format *format, const float *values,
		      const float *importance, size_t rows, size_t columns, void *out)
{
	const size_t blocks = columns / format->block_values;
	stoker_encode_fn *encode = format->encode[stoker_isa_detect()];
	float *weights = NULL;

	if (columns % format->block_values)
		return -EINVAL;
	if (!all_finite(values, rows * columns))
		return -ERANGE;
	if (importance) {
		const int ret = prepare_importance(importance, columns, &weights);

		if (ret)
			return ret;
	}
	if (!weights && rows * blocks > 0)
		encode(values, NULL, rows * blocks, out);
	for (size_t r = 0; weights && r < rows; r++)
		encode(values + r * columns, weights, blocks,
		       (uint8_t *)out + r * blocks * format->block_bytes);
	free(weights);
	return 0;
}
