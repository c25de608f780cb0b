// SPDX-License-Identifier: MIT
/* Rows of floats to blocks: what is checked and prepared before an encoder sees them. */
#include "quant/encode.h"

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

int quant_encode_rows(const struct stoker_format *format, const float *values,
		      const float *importance, size_t rows, size_t columns, void *out)
{
	const size_t blocks = columns / format->block_values;
	stoker_encode_fn *encode = format->encode[stoker_isa_detect()];
	float *weights = NULL;

	if (columns % format->block_values)
		return -EINVAL;
	for (size_t i = 0; i < rows * columns; i++)
		if (!isfinite(values[i]))
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
