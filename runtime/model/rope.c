// SPDX-License-Identifier: MIT
/* Rotary positions: the frequencies that metadata asks for, scaling included. */
#include "model/model.h"

#include <math.h>
#include <stdio.h>

/* YaRN (arXiv:2309.00071): the dimension whose wavelength fits @rotations times into the context.
 */
static double yarn_dimension(uint32_t dimensions, double context, double rotations, double base)
{
	return dimensions * log(context / (rotations * 2 * M_PI)) / (2 * log(base));
}

/* YaRN's magnitude for positions that are divided by @factor. */
static double yarn_magnitude(double factor, double multiplier)
{
	return factor > 1 ? 1 + 0.1 * multiplier * log(factor) : 1;
}

static void check_scaling_type(struct stoker_model *m)
{
	static const char *const types[] = { "none", "linear", "yarn", "longrope" };
	const bool said = model_has(m, "rope.scaling.type");
	bool known = !said;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		known = known || model_string_is(m, "rope.scaling.type", types[i]);
	if (!known)
		model_fail(m, -ENOTSUP,
			   "key %s.rope.scaling.type: there are none, linear, yarn and longrope",
			   m->architecture->name);
}

/* "rope.scaling.yarn_NAME", which some files have as "rope.scaling.OTHER". */
static float yarn_number(struct stoker_model *m, const char *name, const char *other,
			 float fallback)
{
	char key[64];

	snprintf(key, sizeof(key), "rope.scaling.%s", other);
	fallback = model_f32_or(m, key, fallback);
	snprintf(key, sizeof(key), "rope.scaling.yarn_%s", name);
	return model_f32_or(m, key, fallback);
}

struct rope_scaling model_rope_scaling(struct stoker_model *m)
{
	const bool yarn = model_string_is(m, "rope.scaling.type", "yarn");
	const bool latent = m->layers[0].mixer == MIXER_LATENT_ATTENTION;
	const float attention = model_f32_or(m, "rope.scaling.attn_factor", 1);
	const float own = model_f32_or(m, "rope.scaling.yarn_attn_factor", 1);
	const float ramp = yarn_number(m, "ext_factor", "extrapolation_factor", -1);
	const float multiplier = model_f32_or(m, "rope.scaling.yarn_log_multiplier", 0);
	struct rope_scaling s = {
		.factor = (double)model_f32_or(m, "rope.scaling.factor",
					       model_f32_or(m, "rope.scale_linear", 1)),
		.ramp = ramp < 0 ? yarn : (double)ramp,
		.fast = (double)yarn_number(m, "beta_fast", "beta_fast", 32),
		.slow = (double)yarn_number(m, "beta_slow", "beta_slow", 1),
		.attention = attention,
		/* the converter of files with latent attention has multiplied it */
		.log_multiplier = latent ? multiplier / 0.1f : multiplier,
	};

	check_scaling_type(m);
	if (!(s.factor > 0) || model_string_is(m, "rope.scaling.type", "none"))
		s.factor = 1;
	if (!m->failed && !(s.fast > 0 && s.slow > 0))
		model_fail(m, -EINVAL, "keys %s.rope.scaling.yarn_beta_fast %g and _slow %g",
			   m->architecture->name, s.fast, s.slow);
	/* a magnitude of the file's own counts where positions are divided without a ramp */
	if (s.ramp == 0)
		s.magnitude = own;
	else if (s.log_multiplier == 0)
		s.magnitude = (float)yarn_magnitude(s.factor, 1);
	else if (!latent)
		s.magnitude = (float)(yarn_magnitude(s.factor, 1) /
				      yarn_magnitude(s.factor, (double)s.log_multiplier));
	else
		s.magnitude = 1; /* the logits' scale carries it, see deepseek2.c */
	s.magnitude *= attention;
	return s;
}

static bool read_factors(struct stoker_model *m, const char *name, uint32_t pairs, float *factors)
{
	const struct stoker_gguf_tensor *t = stoker_gguf_find_tensor(m->gguf, name);

	if (!t || m->failed)
		return false;
	model_use(m, t, UNDERSTOOD);
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
	const uint32_t original = model_u32_or(m, "rope.scaling.original_context_length", 0);
	const double context = original ? original : m->context;
	struct rope_scaling scaling = { .factor = 1, .magnitude = 1 };
	AUTO_FREE float *factors = calloc(rope.pairs + 1, sizeof(*factors));
	AUTO_FREE float *frequency = calloc(rope.pairs + 1, sizeof(*frequency));
	double low = 0, high = 0;

	if (dimensions == 0 || dimensions % 2 || !(base > 0)) {
		model_fail(m, -EINVAL,
			   "rope.dimension_count %u and rope.freq_base %g can't be used",
			   dimensions, (double)base);
		return rope;
	}
	if (!factors || !frequency) {
		model_fail(m, -ENOMEM, "out of memory");
		return rope;
	}
	if (scaled)
		scaling = model_rope_scaling(m);
	rope.magnitude = scaling.magnitude;
	if (scaling.ramp != 0) {
		low = fmax(0,
			   floor(yarn_dimension(dimensions, context, scaling.fast, (double)base)));
		high = fmin(dimensions - 1,
			    ceil(yarn_dimension(dimensions, context, scaling.slow, (double)base)));
	}
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
				scaling.ramp *
				(1 - fmin(fmax((i - low) / fmax(0.001, high - low), 0), 1));
			double f = pow((double)base, -2.0 * i / dimensions) /
				   (has ? (double)factors[i] : 1);

			f = scaling.ramp != 0 ? f / scaling.factor * (1 - ramp) + f * ramp
					      : f / scaling.factor;
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
