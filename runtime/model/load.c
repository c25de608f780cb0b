// SPDX-License-Identifier: MIT
/* Loading a model: metadata and tensor lookup for the architecture files, then the bulk read. */
#include "model/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { MAX_NAME = 160 };

void model_fail(struct stoker_model *m, int code, const char *fmt, ...)
{
	char text[320];
	va_list args;

	if (m->failed)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	m->failed =
		stoker_fail(m->err, code, "%s: %s", stoker_gguf_file(m->gguf, 0, NULL, NULL), text);
}

/* --- metadata ----------------------------------------------------------------------------------
 */

static const struct stoker_gguf_key *find_key(const struct stoker_model *m, const char *key,
					      char name[MAX_NAME])
{
	snprintf(name, MAX_NAME, "%s.%s", m->architecture->name, key);
	return stoker_gguf_find(m->gguf, name);
}

bool model_has(const struct stoker_model *m, const char *key)
{
	char name[MAX_NAME];

	return find_key(m, key, name) != NULL;
}

static uint32_t u32_of(struct stoker_model *m, const struct stoker_gguf_key *key, uint64_t index)
{
	uint64_t value = 0;

	if (stoker_gguf_u64(m->gguf, key, index, &value) || value > UINT32_MAX)
		model_fail(m, -EINVAL, "key %s: no number from 0 to 2^32 - 1 (entry %llu)",
			   key->name, (unsigned long long)index);
	return (uint32_t)value;
}

uint32_t model_u32_or(struct stoker_model *m, const char *key, uint32_t fallback)
{
	char name[MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	return k ? u32_of(m, k, 0) : fallback;
}

uint32_t model_u32(struct stoker_model *m, const char *key)
{
	char name[MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	if (!k)
		model_fail(m, -EINVAL, "key %s is missing", name);
	return k ? u32_of(m, k, 0) : 0;
}

uint32_t model_layer_u32_or(struct stoker_model *m, const char *key, uint32_t layer,
			    uint32_t fallback)
{
	char name[MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);

	if (!k)
		return fallback;
	if (k->type == STOKER_GGUF_ARRAY && layer >= k->count) {
		model_fail(m, -EINVAL, "key %s has %llu entries, layer %u needs one", name,
			   (unsigned long long)k->count, layer);
		return 0;
	}
	return u32_of(m, k, k->type == STOKER_GGUF_ARRAY ? layer : 0);
}

float model_f32_or(struct stoker_model *m, const char *key, float fallback)
{
	char name[MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);
	double value = (double)fallback;

	if (k && (stoker_gguf_f64(m->gguf, k, 0, &value) || !isfinite((float)value)))
		model_fail(m, -EINVAL, "key %s is not a finite number", name);
	return (float)value;
}

float model_f32(struct stoker_model *m, const char *key)
{
	if (!model_has(m, key))
		model_fail(m, -EINVAL, "key %s.%s is missing", m->architecture->name, key);
	return model_f32_or(m, key, 0);
}

bool model_bool_or(struct stoker_model *m, const char *key, bool fallback)
{
	return model_u32_or(m, key, fallback) != 0;
}

bool model_string_is(struct stoker_model *m, const char *key, const char *value)
{
	char name[MAX_NAME];
	const struct stoker_gguf_key *k = find_key(m, key, name);
	struct stoker_string s;

	return k && !stoker_gguf_string(m->gguf, k, &s) && s.length == strlen(value) &&
	       !memcmp(s.data, value, s.length);
}

/* --- tensors -----------------------------------------------------------------------------------
 */

static stoker_address extra_memory(struct stoker_model *m, const void *data, uint64_t bytes)
{
	struct stoker_memory *more = realloc(m->extra, (m->extra_count + 1) * sizeof(*more));
	struct stoker_memory memory;
	int ret;

	if (!more) {
		model_fail(m, -ENOMEM, "out of memory");
		return 0;
	}
	m->extra = more;
	ret = m->device->ops->memory_create(m->device, bytes, &memory, m->err);
	if (!ret) {
		m->extra[m->extra_count++] = memory;
		ret = m->device->ops->write(m->device, memory.at, data, bytes, m->err);
	}
	if (ret && !m->failed)
		m->failed = ret;
	return ret ? 0 : memory.at;
}

stoker_address model_constant(struct stoker_model *m, const float *values, uint64_t count)
{
	return m->failed ? 0 : extra_memory(m, values, count * sizeof(*values));
}

static void shape_text(const uint64_t *ne, uint32_t dimensions, char out[80])
{
	int at = 0;

	for (uint32_t i = 0; i < dimensions && at < 70; i++)
		at += snprintf(out + at, (size_t)(80 - at), "%s%llu", i ? ", " : "",
			       (unsigned long long)ne[i]);
}

static bool check_shape(struct stoker_model *m, const struct stoker_gguf_tensor *t, uint64_t in,
			uint64_t out, uint64_t count)
{
	const uint64_t wanted[3] = { in, out, count };
	char is[80], should[80];

	if (t->ne[0] == in && t->ne[1] == out && t->ne[2] == count && t->ne[3] == 1)
		return true;
	shape_text(t->ne, t->dimensions, is);
	shape_text(wanted, count > 1 ? 3 : out > 1 ? 2 : 1, should);
	model_fail(m, -EINVAL, "tensor %s has shape [%s], the metadata asks for [%s]", t->name, is,
		   should);
	return false;
}

static stoker_address vector_of(struct stoker_model *m, const struct stoker_gguf_tensor *t,
				uint64_t count)
{
	AUTO_FREE uint8_t *raw = NULL;
	AUTO_FREE float *values = NULL;
	uint64_t have = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];

	if (have != count) {
		char is[80];

		shape_text(t->ne, t->dimensions, is);
		model_fail(m, -EINVAL,
			   "tensor %s has shape [%s], the metadata asks for %llu values", t->name,
			   is, (unsigned long long)count);
		return 0;
	}
	if (t->format == stoker_format_by_name("F32"))
		return model_address(m, t);
	raw = malloc(t->bytes);
	values = malloc(count * sizeof(*values));
	if (!raw || !values) {
		model_fail(m, -ENOMEM, "out of memory");
		return 0;
	}
	if (!m->failed)
		m->failed = stoker_gguf_read(m->gguf, t, 0, raw, t->bytes, m->err);
	if (m->failed)
		return 0;
	stoker_format_decode(t->format, raw, values, count);
	return model_constant(m, values, count);
}

stoker_address model_vector(struct stoker_model *m, enum presence presence, uint64_t count,
			    const char *fmt, ...)
{
	const struct stoker_gguf_tensor *t;
	char name[MAX_NAME];
	va_list args;

	if (m->failed)
		return 0;
	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	t = stoker_gguf_find_tensor(m->gguf, name);
	if (t)
		return vector_of(m, t, count);
	if (presence == REQUIRED)
		model_fail(m, -EINVAL, "tensor %s is missing", name);
	return 0;
}

/*
 * The first of the matrices of a layer's experts where these are tensors of their own, as "stoker
 * pack" writes them: "blk.0.ffn_up_exps" is in blk.0.ffn_up.0.weight and so on, which have to be
 * equally far apart.  NULL: there is none.
 */
static const struct stoker_gguf_tensor *find_apart(struct stoker_model *m, const char *stem,
						   uint32_t count, uint64_t *stride)
{
	const size_t length = strlen(stem) - strlen("_exps");
	const struct stoker_gguf_tensor *first = NULL;
	char name[MAX_NAME];

	if (strlen(stem) < strlen("_exps") || strcmp(stem + length, "_exps"))
		return NULL;
	*stride = 0;
	for (uint32_t e = 0; e < count; e++) {
		const struct stoker_gguf_tensor *t;

		snprintf(name, sizeof(name), "%.*s.%u.weight", (int)length, stem, e);
		t = stoker_gguf_find_tensor(m->gguf, name);
		if (!first && !t)
			return NULL;
		if (e == 0)
			first = t;
		else if (e == 1 && t && t->offset > first->offset)
			*stride = t->offset - first->offset;
		if (!t || t->file != first->file || t->format != first->format ||
		    t->bytes != first->bytes || t->offset != first->offset + e * *stride) {
			model_fail(m, -ENOTSUP,
				   "tensor %s is missing, unlike the first expert's, or not as "
				   "far from the one before as others",
				   name);
			return NULL;
		}
		if (!model_is_paged(m, t) &&
		    model_address(m, t) != model_address(m, first) + e * *stride) {
			model_fail(m, -ENOTSUP,
				   "tensor %s isn't in the same block of memory as the first "
				   "expert's: the device has none that is large enough for the "
				   "layer; page the experts (--memory)",
				   name);
			return NULL;
		}
	}
	return first;
}

/* Notes that the device is to lay out a weight once it is read; the pager does so for its own. */
static void note_tiles(struct stoker_model *m, const struct stoker_weight *w)
{
	struct stoker_weight *more;

	for (size_t i = 0; i < m->tiled_count; i++)
		if (m->tiled[i].at == w->at)
			return;
	more = realloc(m->tiled, (m->tiled_count + 1) * sizeof(*more));
	if (!more) {
		model_fail(m, -ENOMEM, "out of memory");
		return;
	}
	m->tiled = more;
	m->tiled[m->tiled_count++] = *w;
}

static bool weight_of(struct stoker_model *m, struct stoker_weight *w, enum presence presence,
		      uint32_t in, uint32_t out, uint32_t cut, uint32_t count, const char *fmt,
		      va_list args)
{
	const struct stoker_gguf_tensor *t;
	uint64_t stride = 0;
	char stem[MAX_NAME - 16], name[MAX_NAME];

	*w = (struct stoker_weight){ 0 };
	if (m->failed)
		return false;
	vsnprintf(stem, sizeof(stem), fmt, args);
	snprintf(name, sizeof(name), "%s.weight", stem);
	t = stoker_gguf_find_tensor(m->gguf, name);
	if (!t && count > 1)
		t = find_apart(m, stem, count, &stride);
	if (!t) {
		if (presence == REQUIRED && !m->failed)
			model_fail(m, -EINVAL, "tensor %s is missing", name);
		return false;
	}
	if (!check_shape(m, t, in, out, stride ? 1 : count))
		return false;
	*w = (struct stoker_weight){ .format = t->format,
				     .at = model_address(m, t),
				     .in = in,
				     .out = out,
				     .count = count,
				     .stride = stride ? stride
						      : stoker_row_bytes(t->format, in) * out,
				     .tiled = stoker_wants_tiles(m->device, t->format, in, cut) };
	if (w->tiled && !model_is_paged(m, t))
		note_tiles(m, w);
	struct stoker_weight *largest = &m->largest[t->format->id];

	if ((uint64_t)in * out > (uint64_t)largest->in * largest->out)
		*largest = *w;
	snprintf(name, sizeof(name), "%s.bias", stem);
	t = stoker_gguf_find_tensor(m->gguf, name);
	if (t)
		w->bias = vector_of(m, t, (uint64_t)out * count);
	snprintf(name, sizeof(name), "%s.scale", stem);
	t = stoker_gguf_find_tensor(m->gguf, name);
	if (t)
		w->scale = vector_of(m, t, count);
	return !m->failed;
}

bool model_fused_weight(struct stoker_model *m, struct stoker_weight *w, enum presence presence,
			uint32_t in, uint32_t out, uint32_t cut, uint32_t count, const char *fmt,
			...)
{
	va_list args;

	va_start(args, fmt);
	const bool found = weight_of(m, w, presence, in, out, cut, count, fmt, args);

	va_end(args);
	return found;
}

bool model_weight(struct stoker_model *m, struct stoker_weight *w, enum presence presence,
		  uint32_t in, uint32_t out, uint32_t count, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	const bool found = weight_of(m, w, presence, in, out, 0, count, fmt, args);

	va_end(args);
	return found;
}

struct stoker_weight weight_rows(const struct stoker_weight *w, uint32_t first, uint32_t rows)
{
	struct stoker_weight part = *w;

	part.at += first * stoker_row_bytes(w->format, w->in);
	part.out = rows;
	if (part.bias)
		part.bias += first * sizeof(float);
	return part;
}

/* --- rotary positions --------------------------------------------------------------------------
 */

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

/* --- parts that architectures share ------------------------------------------------------------
 */

uint32_t model_width(struct stoker_model *m, const char *key, uint32_t value)
{
	if (!m->failed && (value == 0 || value > STOKER_MAX_WIDTH))
		model_fail(m, -EINVAL, "key %s.%s is %u, limits 1 and %d", m->architecture->name,
			   key, value, STOKER_MAX_WIDTH);
	return value;
}

void load_common(struct stoker_model *m)
{
	const struct stoker_gguf_tensor *embd =
		stoker_gguf_find_tensor(m->gguf, "token_embd.weight");
	const struct stoker_gguf_key *tokens = stoker_gguf_find(m->gguf, "tokenizer.ggml.tokens");
	const uint32_t blocks = model_u32(m, "block_count");
	const uint32_t drafts = model_u32_or(m, "nextn_predict_layers", 0);

	m->context = model_u32(m, "context_length");
	m->embedding = model_width(m, "embedding_length", model_u32(m, "embedding_length"));
	m->norm_eps = model_f32(m, "attention.layer_norm_rms_epsilon");
	m->experts_used = model_u32_or(m, "expert_used_count", 0);
	m->groups = model_u32_or(m, "expert_group_count", 0);
	m->groups_used = model_u32_or(m, "expert_group_used_count", 0);
	m->embedding_scale = m->residual_scale = m->logit_scale = m->weights_scale = 1;
	m->activation = ACTIVATION_SILU;
	m->gating = GATING_SOFTMAX;
	if (!m->failed && (drafts >= blocks || blocks - drafts > STOKER_MAX_LAYERS))
		model_fail(m, -EINVAL,
			   "key %s.block_count is %u with %u draft blocks, limits 1 and %d",
			   m->architecture->name, blocks, drafts, STOKER_MAX_LAYERS);
	if (!embd)
		model_fail(m, -EINVAL, "tensor token_embd.weight is missing");
	if (m->failed)
		return;
	m->layer_count = blocks - drafts;
	m->layers = calloc(m->layer_count, sizeof(*m->layers));
	if (!m->layers) {
		model_fail(m, -ENOMEM, "out of memory");
		return;
	}
	m->vocabulary = (uint32_t)embd->ne[1];
	if (tokens && tokens->count > m->vocabulary)
		model_fail(m, -EINVAL,
			   "tokenizer.ggml.tokens has %llu entries, token_embd.weight %u rows",
			   (unsigned long long)tokens->count, m->vocabulary);
	model_weight(m, &m->token_embd, REQUIRED, m->embedding, m->vocabulary, 1, "token_embd");
	m->output_norm = model_vector(m, OPTIONAL, m->embedding, "output_norm.weight");
	if (!m->output_norm) /* as the lfm2 family calls it */
		m->output_norm = model_vector(m, OPTIONAL, m->embedding, "token_embd_norm.weight");
	if (!m->output_norm)
		model_fail(m, -EINVAL, "tensor output_norm.weight is missing");
	if (!model_weight(m, &m->output, OPTIONAL, m->embedding, m->vocabulary, 1, "output"))
		m->output = m->token_embd;
}

void load_attention(struct stoker_model *m, uint32_t il, bool interleaved)
{
	struct layer *l = &m->layers[il];
	const uint32_t dim = m->embedding;
	struct stoker_weight fused;

	l->heads = model_width(m, "attention.head_count",
			       model_layer_u32_or(m, "attention.head_count", il, 0));
	l->kv_heads = model_layer_u32_or(m, "attention.head_count_kv", il, l->heads);
	if (m->failed)
		return;
	if (l->kv_heads == 0 || l->heads % l->kv_heads) {
		model_fail(m, -EINVAL,
			   "layer %u: %u attention heads don't divide into %u key-value heads", il,
			   l->heads, l->kv_heads);
		return;
	}
	l->key_size = model_width(m, "attention.key_length",
				  model_u32_or(m, "attention.key_length", dim / l->heads));
	l->value_size = model_width(m, "attention.value_length",
				    model_u32_or(m, "attention.value_length", dim / l->heads));
	const uint32_t rotated = model_u32_or(m, "rope.dimension_count", l->key_size);
	const uint64_t q = (uint64_t)l->heads * l->key_size,
		       k = (uint64_t)l->kv_heads * l->key_size;
	const uint64_t v = (uint64_t)l->kv_heads * l->value_size;

	if (m->failed)
		return;
	if (rotated > l->key_size || q + k + v > STOKER_MAX_WIDTH ||
	    (uint64_t)l->heads * l->value_size > STOKER_MAX_WIDTH) {
		model_fail(m, -EINVAL,
			   "layer %u: %u heads of %u keys and %u values with %u rotated dimensions",
			   il, l->heads, l->key_size, l->value_size, rotated);
		return;
	}
	l->attn_scale = 1 / sqrtf((float)l->key_size);
	l->attn_norm = model_vector(m, REQUIRED, dim, "blk.%u.attn_norm.weight", il);
	if (l->output_gate && l->key_size != l->value_size) {
		model_fail(m, -EINVAL,
			   "layer %u: gated attention with %u keys and %u values a head", il,
			   l->key_size, l->value_size);
		return;
	}
	/* the largest power of two that q and q + k are multiples of */
	const uint32_t cut = (uint32_t)((q | k) & -(q | k));

	if (!l->output_gate && model_fused_weight(m, &fused, OPTIONAL, dim, (uint32_t)(q + k + v),
						  cut, 1, "blk.%u.attn_qkv", il)) {
		l->q = weight_rows(&fused, 0, (uint32_t)q);
		l->k = weight_rows(&fused, (uint32_t)q, (uint32_t)k);
		l->v = weight_rows(&fused, (uint32_t)(q + k), (uint32_t)v);
	} else {
		const uint32_t gated = l->output_gate ? 2 : 1;

		model_weight(m, &l->q, REQUIRED, dim, (uint32_t)q * gated, 1, "blk.%u.attn_q", il);
		model_weight(m, &l->k, REQUIRED, dim, (uint32_t)k, 1, "blk.%u.attn_k", il);
		model_weight(m, &l->v, REQUIRED, dim, (uint32_t)v, 1, "blk.%u.attn_v", il);
	}
	model_weight(m, &l->o, REQUIRED, l->heads * l->value_size, dim, 1, "blk.%u.attn_output",
		     il);
	l->q_norm = model_vector(m, OPTIONAL, l->norm_whole ? q : l->key_size,
				 "blk.%u.attn_q_norm.weight", il);
	l->k_norm = model_vector(m, OPTIONAL, l->norm_whole ? k : l->key_size,
				 "blk.%u.attn_k_norm.weight", il);
	l->rope = il > 0 && m->layers[0].rope.pairs == rotated / 2
			  ? m->layers[0].rope
			  : model_rope(m, rotated, interleaved,
				       model_f32_or(m, "rope.freq_base", 10000),
				       model_string_is(m, "rope.scaling.type", "longrope")
					       ? "rope_factors_short.weight"
					       : "rope_freqs.weight",
				       true);
}

void load_dense_ffn(struct stoker_model *m, uint32_t il, uint32_t hidden)
{
	struct layer *l = &m->layers[il];

	model_width(m, "feed_forward_length", hidden);
	model_weight(m, &l->ffn_gate, OPTIONAL, m->embedding, hidden, 1, "blk.%u.ffn_gate", il);
	model_weight(m, &l->ffn_up, REQUIRED, m->embedding, hidden, 1, "blk.%u.ffn_up", il);
	model_weight(m, &l->ffn_down, REQUIRED, hidden, m->embedding, 1, "blk.%u.ffn_down", il);
}

void load_experts(struct stoker_model *m, uint32_t il, uint32_t hidden, uint32_t shared)
{
	struct layer *l = &m->layers[il];
	const uint32_t experts = model_u32(m, "expert_count");
	struct stoker_weight both;

	model_width(m, "expert_feed_forward_length", hidden);
	if (!m->failed && (experts == 0 || experts > STOKER_MAX_EXPERTS || m->experts_used == 0 ||
			   m->experts_used > experts))
		model_fail(m, -EINVAL, "expert_used_count %u of expert_count %u, limit %d",
			   m->experts_used, experts, STOKER_MAX_EXPERTS);
	if (!m->failed && m->groups > 1 &&
	    (m->groups > 64 || experts % m->groups || m->groups_used == 0 ||
	     m->groups_used > m->groups || m->experts_used > experts / m->groups * m->groups_used))
		model_fail(m, -EINVAL,
			   "expert_group_used_count %u of expert_group_count %u for %u experts",
			   m->groups_used, m->groups, experts);
	l->expert_count = experts;
	model_weight(m, &l->router, REQUIRED, m->embedding, experts, 1, "blk.%u.ffn_gate_inp", il);
	l->router_bias = model_vector(m, OPTIONAL, experts, "blk.%u.exp_probs_b.bias", il);
	if (model_fused_weight(m, &both, OPTIONAL, m->embedding, 2 * hidden, hidden, experts,
			       "blk.%u.ffn_gate_up_exps", il)) {
		if (both.bias)
			model_fail(m, -ENOTSUP, "blk.%u.ffn_gate_up_exps.bias isn't supported", il);
		l->gate_exps = weight_rows(&both, 0, hidden);
		l->up_exps = weight_rows(&both, hidden, hidden);
	} else {
		model_weight(m, &l->gate_exps, OPTIONAL, m->embedding, hidden, experts,
			     "blk.%u.ffn_gate_exps", il);
		model_weight(m, &l->up_exps, REQUIRED, m->embedding, hidden, experts,
			     "blk.%u.ffn_up_exps", il);
	}
	model_weight(m, &l->down_exps, REQUIRED, hidden, m->embedding, experts,
		     "blk.%u.ffn_down_exps", il);
	if (!shared)
		return;
	model_weight(m, &l->shared_gate, REQUIRED, m->embedding, shared, 1, "blk.%u.ffn_gate_shexp",
		     il);
	model_weight(m, &l->shared_up, REQUIRED, m->embedding, shared, 1, "blk.%u.ffn_up_shexp",
		     il);
	model_weight(m, &l->shared_down, REQUIRED, shared, m->embedding, 1, "blk.%u.ffn_down_shexp",
		     il);
	model_weight(m, &l->shared_gate_inp, OPTIONAL, m->embedding, 1, 1,
		     "blk.%u.ffn_gate_inp_shexp", il);
}

/* --- loading -----------------------------------------------------------------------------------
 */

static int find_architecture(struct stoker_model *m, const char *path)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(m->gguf, "general.architecture");
	struct stoker_string s;

	if (!key || stoker_gguf_string(m->gguf, key, &s))
		return stoker_fail(m->err, -EINVAL, "%s: key general.architecture is missing",
				   path);
	for (size_t i = 0; i < stoker_architecture_count; i++)
		if (strlen(stoker_architectures[i].name) == s.length &&
		    !memcmp(stoker_architectures[i].name, s.data, s.length))
			m->architecture = &stoker_architectures[i];
	if (!m->architecture)
		return stoker_fail(m->err, -ENOTSUP, "%s: architecture \"%.*s\" isn't supported",
				   path, (int)MIN(s.length, (size_t)64), s.data);
	return 0;
}

static void count_parameters(struct stoker_model *m)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(m->gguf, "general.name");
	struct stoker_string s = { "", 0 };

	for (size_t i = 0; i < stoker_gguf_tensor_count(m->gguf); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(m->gguf, i);

		m->parameters += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
	}
	if (key)
		stoker_gguf_string(m->gguf, key, &s);
	m->name = strndup(s.data, s.length);
	if (!m->name)
		model_fail(m, -ENOMEM, "out of memory");
}

/* What has to hold whatever the architecture. */
static void check_layers(struct stoker_model *m)
{
	bool experts = false;

	for (uint32_t i = 0; i < m->layer_count && !m->failed; i++) {
		const struct layer *l = &m->layers[i];
		const uint32_t turned = l->mixer == MIXER_LATENT_ATTENTION ? l->rotated
									   : l->key_size;

		experts = experts || l->expert_count;
		if (2 * l->rope.pairs > turned && l->heads)
			model_fail(m, -EINVAL, "layer %u: %u rotated dimensions of %u", i,
				   2 * l->rope.pairs, turned);
	}
	if (!experts)
		m->experts_used = 0;
}

int stoker_model_load(struct stoker_device *device, const char *path,
		      const struct stoker_model_params *params, struct stoker_model **out,
		      struct stoker_error *err)
{
	struct stoker_model *m = calloc(1, sizeof(*m));
	int ret;

	*out = NULL;
	if (!m)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	m->device = device;
	m->err = err;
	m->memory = params ? params->memory : STOKER_MEMORY_ALL;
	ret = stoker_gguf_open(path, &m->gguf, err);
	if (!ret)
		ret = find_architecture(m, path);
	if (!ret)
		ret = model_reserve_images(m);
	if (!ret) {
		m->architecture->load(m);
		check_layers(m);
		count_parameters(m);
		ret = m->failed;
	}
	if (!ret)
		ret = model_create_pager(m, params);
	if (!ret)
		ret = model_read_images(m, params);
	for (size_t i = 0; i < ARRAY_SIZE(m->largest) && !ret && device->ops->tune; i++)
		if (m->largest[i].format)
			device->ops->tune(device, &m->largest[i]);
	m->err = NULL;
	if (ret)
		stoker_model_free(&m);
	*out = m;
	return ret;
}

void stoker_model_free(struct stoker_model **model)
{
	struct stoker_model *m = *model;

	if (!m)
		return;
	*model = NULL;
	for (size_t i = 0; i < m->extra_count; i++)
		m->device->ops->memory_destroy(m->device, &m->extra[i]);
	model_free_pager(m);
	model_free_images(m);
	stoker_gguf_close(&m->gguf);
	free(m->extra);
	free(m->tiled);
	free(m->layers);
	free(m->name);
	free(m);
}

void stoker_model_info(const struct stoker_model *m, struct stoker_model_info *info)
{
	*info = (struct stoker_model_info){
		.architecture = m->architecture->name,
		.name = m->name,
		.layers = m->layer_count,
		.vocabulary = m->vocabulary,
		.context = m->context,
		.experts_used = m->experts_used,
		.parameters = m->parameters,
	};
	for (uint32_t i = 0; i < m->layer_count; i++) {
		const struct layer *l = &m->layers[i];
		const struct stoker_weight *parts[] = { &l->gate_exps, &l->up_exps, &l->down_exps };
		uint64_t bytes = 0;

		for (size_t k = 0; k < ARRAY_SIZE(parts) && l->expert_count; k++)
			if (parts[k]->at)
				bytes += stoker_row_bytes(parts[k]->format, parts[k]->in) *
					 parts[k]->out;
		info->experts = MAX(info->experts, l->expert_count);
		info->expert_bytes = MAX(info->expert_bytes, bytes);
	}
	for (size_t i = 0; i < m->image_count; i++)
		info->bytes += m->images[i].memory.bytes;
}
