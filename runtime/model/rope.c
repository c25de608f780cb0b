// SPDX-License-Identifier: MIT
/* Rotary positions: the frequencies that metadata asks for, scaling included. */
#include "model/model.h"

#include <math.h>

/* YaRN (arXiv:2309.00071): the dimension whose wavelength fits @rotations times into the context.
 */
static double yarn_dimension(uint32_t dimensions, double context, double rotations, double base)
{
	return dimensions * log(context / (rotations * 2 * M_PI)) / (2 * log(base));
}

static bool read_factors(struct stoker_model *m, const char *name, uint32_t pairs, float *factors)
{
	const struct stoker_gguf_tensor *t = stoker_gguf_find_tensor(m->gguf, name);

	if (!t || m->failed)
		return false;
	if (t->ne[0] != pairs || t->bytes != pairs * sizeof(float) ||
	    t->format != stoker_format_by_name("F32")) {
		model_fail(m, -EINVAL,
			   "tensor %s holds %llu values, rope.dimension_count asks for %u F32",
			   name, (unsigned long long)t->ne[0], pairs);
		return false;
	}
	m->failed = stoker_gguf_read(m->gguf, t, 0, factors, t->bytes, m->err);
	for (uint32_t i = 0; i < pairs && !m->failed; i++)
		if (!(factors[i] > 0))
			model_fail(m, -EINVAL, "tensor %s: factor %u is not positive", name, i);
	return !m->failed;
}

struct rope model_rope(struct stoker_model *m, uint32_t dimensions, bool interleaved, float base,
		       const char *factors_name, bool scaled)
{
	struct rope rope = { .pairs = dimensions / 2, .interleaved = interleaved, .magnitude = 1 };
	const double context = model_u32_or(m, "rope.scaling.original_context_length", m->context);
	const bool yarn = scaled && model_string_is(m, "rope.scaling.type", "yarn");
	const bool none = !scaled || model_string_is(m, "rope.scaling.type", "none");
	double factor = none ? 1
			     : (double)model_f32_or(m, "rope.scaling.factor",
						    model_f32_or(m, "rope.scale_linear", 1));
	AUTO_FREE float *factors = calloc(rope.pairs + 1, sizeof(*factors));
	AUTO_FREE float *frequency = calloc(rope.pairs + 1, sizeof(*frequency));
	double low = 0, high = 0;

	if (dimensions == 0 || dimensions % 2 || !(base > 0) || !factors || !frequency) {
		model_fail(m, -EINVAL,
			   "rope.dimension_count %u and rope.freq_base %g can't be used",
			   dimensions, (double)base);
		return rope;
	}
	if (!(factor > 0))
		factor = 1;
	if (yarn) {
		low = fmax(0, floor(yarn_dimension(dimensions, context, 32, (double)base)));
		high = fmin(dimensions - 1,
			    ceil(yarn_dimension(dimensions, context, 1, (double)base)));
		/* with a log multiplier the attention scale carries it, see deepseek2.c */
		if (model_f32_or(m, "rope.scaling.yarn_log_multiplier", 0) == 0 && factor > 1)
			rope.magnitude = (float)(1 + 0.1 * log(factor));
	}
	if (scaled)
		rope.magnitude *= model_f32_or(m, "rope.scaling.attn_factor", 1);
	for (int pass = 0; pass < 2; pass++) {
		const bool has =
			pass == 0
				? factors_name && read_factors(m, factors_name, rope.pairs, factors)
				: factors_name &&
					  !strcmp(factors_name, "rope_factors_short.weight") &&
					  read_factors(m, "rope_factors_long.weight", rope.pairs,
						       factors);

		if (pass == 1 && !has)
			break;
		for (uint32_t i = 0; i < rope.pairs; i++) {
			const double ramp =
				1 - fmin(fmax((i - low) / fmax(0.001, high - low), 0), 1);
			double f = pow((double)base, -2.0 * i / dimensions) /
				   (has ? (double)factors[i] : 1);

			f = yarn ? f / factor * (1 - ramp) + f * ramp : f / factor;
			frequency[i] = (float)f;
		}
		if (pass == 0) {
			rope.frequency = model_constant(m, frequency, rope.pairs);
		} else {
			rope.long_frequency = model_constant(m, frequency, rope.pairs);
			rope.short_context = (uint32_t)context;
		}
	}
	return rope;
}
