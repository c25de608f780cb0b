// SPDX-License-Identifier: MIT
/*
 * The definition of every op, written for reading: its formula, loops, doubles.  Nothing here is
 * fast, shares code with a device, or knows how one does it.
 */
#include "reference.h"

#include <math.h>

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double silu(double x)
{
	return x * sigmoid(x);
}

static double dot(const double *a, const double *b, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* y = W x * scale + bias, of matrix @e of @w */
static void multiply(const struct matrix *w, uint32_t e, const double *x, double *y)
{
	const double *values = w->values + (size_t)e * w->out * w->in;

	for (uint32_t o = 0; o < w->out; o++) {
		y[o] = dot(values + (size_t)o * w->in, x, w->in);
		if (w->scale)
			y[o] *= w->scale[e];
		if (w->bias)
			y[o] += w->bias[(size_t)e * w->out + o];
	}
}

static double activate(enum stoker_activation activation, double g, double u)
{
	switch (activation) {
	case ACTIVATION_SILU:
		return silu(g) * u;
	case ACTIVATION_GELU: /* 0.797...: the square root of 2 / pi */
		return 0.5 * g * (1 + tanh(0.7978845608028654 * (g + 0.044715 * g * g * g))) * u;
	case ACTIVATION_RELU:
		return fmax(g, 0) * u;
	case ACTIVATION_SWIGLU_OAI:
		g = fmin(g, 7);
		u = fmax(fmin(u, 7), -7);
		return g * sigmoid(1.702 * g) * (u + 1);
	case ACTIVATION_SILU_ONLY:
		return silu(u);
	}
	return NAN;
}

/* y = act(gate x, up x), of the matrices @e; without @gate y = act(up x) */
static void multiply_gated(const struct matrix *gate, const struct matrix *up, uint32_t e,
			   enum stoker_activation activation, const double *x, double *y)
{
	double g[up->out], u[up->out];

	memset(g, 0, sizeof(g));
	if (gate)
		multiply(gate, e, x, g);
	multiply(up, e, x, u);
	for (uint32_t i = 0; i < up->out; i++)
		y[i] = activate(activation, g[i], u[i]);
}

/* dst[r] = table[ids[r]] * scale */
void reference_embed(const struct op_embed *op, const struct matrix *table, const uint32_t *ids,
		     double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t i = 0; i < table->in; i++)
			dst[(size_t)r * table->in + i] =
				table->values[(size_t)ids[r] * table->in + i] * (double)op->scale;
}

/* dst[r] = W src[r] * scale + bias */
void reference_matmul(const struct op_matmul *op, const struct matrix *w, const double *src,
		      double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		multiply(w, 0, src + (size_t)r * w->in, dst + (size_t)r * w->out);
}

/* dst[r][h] = W_h src[r][h] */
void reference_matmul_heads(const struct op_matmul_heads *op, const struct matrix *w,
			    const double *src, double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t h = 0; h < w->count; h++)
			multiply(w, h,
				 src + (size_t)r * op->src_stride + (size_t)h * op->src_head_stride,
				 dst + (size_t)r * op->dst_stride +
					 (size_t)h * op->dst_head_stride);
}

/* dst[r] = act(gate src[r], up src[r]) */
void reference_gated(const struct op_gated *op, const struct matrix *gate, const struct matrix *up,
		     const double *src, double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		multiply_gated(gate, up, 0, op->activation, src + (size_t)r * up->in,
			       dst + (size_t)r * up->out);
}

/* dst[r] = sum over k of weights[r][k] * down_e act(gate_e src[r], up_e src[r]), e = ids[r][k] */
void reference_experts(const struct op_experts *op, const struct matrix *gate,
		       const struct matrix *up, const struct matrix *down, const uint32_t *ids,
		       const double *weights, const double *src, double *dst)
{
	double inner[up->out], outer[down->out];

	for (uint32_t r = 0; r < op->rows; r++) {
		double *y = dst + (size_t)r * down->out;

		memset(y, 0, down->out * sizeof(*y));
		for (uint32_t k = r * op->used; k < (r + 1) * op->used; k++) {
			multiply_gated(gate, up, ids[k], op->activation, src + (size_t)r * up->in,
				       inner);
			multiply(down, ids[k], inner, outer);
			for (uint32_t o = 0; o < down->out; o++)
				y[o] += weights[k] * outer[o];
		}
	}
}

/* p_i = exp(x_i) / sum over j of exp(x_j); without the largest x_i, exp() would overflow. */
static void softmax(const double *x, uint32_t n, double *p)
{
	double top = -INFINITY, sum = 0;

	for (uint32_t i = 0; i < n; i++)
		top = fmax(top, x[i]);
	for (uint32_t i = 0; i < n; i++) {
		p[i] = exp(x[i] - top);
		sum += p[i];
	}
	for (uint32_t i = 0; i < n; i++)
		p[i] /= sum;
}

/* The best one, the first of equals; a NaN is none. */
static uint32_t best_of(const double *score, uint32_t n)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < n; i++)
		if (!isnan(score[i]) && (best == UINT32_MAX || score[i] > score[best]))
			best = i;
	return best;
}

/* Takes the best of @score for @chosen, @count times. */
static void take_best(double *score, uint32_t n, uint32_t count, uint32_t *chosen)
{
	for (uint32_t k = 0; k < count; k++) {
		chosen[k] = best_of(score, n);
		score[chosen[k]] = NAN;
	}
}

/* Experts outside the groups_used best groups get the score of the worst. */
static void keep_groups(const struct op_route *op, double *score)
{
	const uint32_t size = op->experts / op->groups;
	double quality[op->groups];
	uint32_t kept[op->groups_used];

	for (uint32_t g = 0; g < op->groups; g++) {
		double of_group[size];
		uint32_t two[2];

		memcpy(of_group, score + g * size, sizeof(of_group));
		take_best(of_group, size, MIN(size, 2U), two);
		quality[g] = score[g * size + two[0]];
		if (size > 1)
			quality[g] += score[g * size + two[1]];
	}
	take_best(quality, op->groups, op->groups_used, kept);
	for (uint32_t e = 0; e < op->experts; e++) {
		bool in_kept = false;

		for (uint32_t k = 0; k < op->groups_used; k++)
			in_kept = in_kept || e / size == kept[k];
		if (!in_kept)
			score[e] = -INFINITY;
	}
}

static void route_row(const struct op_route *op, const double *logits, const double *bias,
		      uint32_t *ids, double *weights)
{
	double p[op->experts], score[op->experts], sum = 0;

	memcpy(p, logits, sizeof(p));
	if (op->gating == GATING_SOFTMAX)
		softmax(logits, op->experts, p);
	for (uint32_t e = 0; e < op->experts; e++) {
		if (op->gating == GATING_SIGMOID)
			p[e] = sigmoid(logits[e]);
		score[e] = p[e] + (bias ? bias[e] : 0);
		/* what isn't a number is the worst */
		if (isnan(logits[e]) || isnan(score[e]))
			score[e] = -INFINITY;
	}
	if (op->groups > 1)
		keep_groups(op, score);
	take_best(score, op->experts, op->used, ids);
	for (uint32_t k = 0; k < op->used; k++)
		weights[k] = p[ids[k]];
	if (op->gating == GATING_SOFTMAX_CHOSEN)
		softmax(weights, op->used, weights);
	for (uint32_t k = 0; k < op->used; k++)
		sum += weights[k];
	/* 2^-14, the smallest normal half float, is the least that is divided by */
	for (uint32_t k = 0; k < op->used; k++)
		weights[k] *= (double)op->scale / (op->normalize ? fmax(sum, 0x1p-14) : 1);
}

/*
 * p = softmax or sigmoid of the logits; ids = those with the best p + bias; weights = their p,
 * which come to 1 where they are normalized, times scale.  With GATING_SOFTMAX_CHOSEN p are the
 * logits, and weights their softmax.
 */
void reference_route(const struct op_route *op, const double *logits, const double *bias,
		     uint32_t *ids, double *weights)
{
	for (uint32_t r = 0; r < op->rows; r++)
		route_row(op, logits + (size_t)r * op->experts, bias, ids + (size_t)r * op->used,
			  weights + (size_t)r * op->used);
}

/* RMS: y = x / sqrt(mean of x^2 + eps) * weight; L2: y = x / max(|x|, eps) * weight */
static void norm(enum norm_kind kind, double eps, uint32_t width, const double *weight,
		 const double *x, double *y)
{
	const double square = dot(x, x, width);
	const double size = kind == NORM_RMS ? sqrt(square / width + eps) : fmax(sqrt(square), eps);

	for (uint32_t i = 0; i < width; i++)
		y[i] = x[i] / size * (weight ? weight[i] : 1);
}

/* dst[r][g] = norm of src[r][g] */
void reference_norm(const struct op_norm *op, const double *weight, const double *src, double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t g = 0; g < op->groups; g++)
			norm(op->kind, (double)op->eps, op->width, weight,
			     src + (size_t)r * op->src_stride + (size_t)g * op->width,
			     dst + (size_t)r * op->dst_stride + (size_t)g * op->width);
}

/* x += scale * a;  h = RMS norm of x */
void reference_add_norm(const struct op_add_norm *op, const double *weight, const double *a,
			double *x, double *h)
{
	for (size_t i = 0; i < (size_t)op->rows * op->width; i++)
		x[i] += (double)op->scale * a[i];
	for (uint32_t r = 0; r < op->rows; r++)
		norm(NORM_RMS, (double)op->eps, op->width, weight, x + (size_t)r * op->width,
		     h + (size_t)r * op->width);
}

/*
 * (x_a, x_b) turned by angle = position * frequency[i], and times magnitude; (a, b) is (2i, 2i + 1)
 * where pairs are interleaved and (i, i + pairs) where they aren't.  The angle is a float, as in
 * models: at far positions its rounding is what counts.
 */
void reference_rope(const struct op_rope *op, const double *frequency, uint32_t position, double *x)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t h = 0; h < op->heads; h++)
			for (uint32_t i = 0; i < op->pairs; i++) {
				const float angle = (float)(position + r) * (float)frequency[i];
				const double c = cos((double)angle) * (double)op->magnitude;
				const double s = sin((double)angle) * (double)op->magnitude;
				double *head =
					x + (size_t)r * op->stride + (size_t)h * op->head_stride;
				double *a = head + (op->interleaved ? 2 * i : i);
				double *b = a + (op->interleaved ? 1 : op->pairs);
				const double a_before = *a, b_before = *b;

				*a = a_before * c - b_before * s;
				*b = a_before * s + b_before * c;
			}
}

/* cache[position + r] = src[r] */
void reference_kv_store(const struct op_kv_store *op, uint32_t position, const double *src,
			double *cache)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t i = 0; i < op->heads * op->width; i++)
			cache[(size_t)(position + r) * op->heads * op->width + i] =
				src[(size_t)r * op->stride + i];
}

/* Norms and turns @heads heads, of queries or of keys. */
static void norm_and_turn(const struct op_qkv *op, uint32_t heads, const double *weight,
			  const double *frequency, uint32_t position, double *x)
{
	const uint32_t stride = heads * op->key_size;
	const struct op_norm norms = { .kind = NORM_RMS,
				       .rows = op->rows,
				       .groups = op->norm_whole ? 1 : heads,
				       .width = op->norm_whole ? stride : op->key_size,
				       .dst_stride = stride,
				       .src_stride = stride,
				       .eps = op->eps };
	const struct op_rope rope = { .rows = op->rows,
				      .heads = heads,
				      .head_stride = op->key_size,
				      .stride = stride,
				      .pairs = op->pairs,
				      .interleaved = op->interleaved,
				      .magnitude = op->magnitude };

	if (weight)
		reference_norm(&norms, weight, x, x);
	reference_rope(&rope, frequency, position, x);
}

/* q, k = rope of the norms of q, k;  keys[position + r] = k[r];  values[position + r] = v[r] */
void reference_qkv(const struct op_qkv *op, const double *q_norm, const double *k_norm,
		   const double *frequency, uint32_t position, double *q, double *k,
		   const double *v, double *keys, double *values)
{
	const uint32_t key_width = op->kv_heads * op->key_size;
	const uint32_t value_width = op->kv_heads * op->value_size;
	const struct op_kv_store of_keys = {
		.rows = op->rows, .heads = op->kv_heads, .width = op->key_size, .stride = key_width
	};
	const struct op_kv_store of_values = { .rows = op->rows,
					       .heads = op->kv_heads,
					       .width = op->value_size,
					       .stride = value_width };

	norm_and_turn(op, op->heads, q_norm, frequency, position, q);
	norm_and_turn(op, op->kv_heads, k_norm, frequency, position, k);
	reference_kv_store(&of_keys, position, k, keys);
	reference_kv_store(&of_values, position, v, values);
}

/* One head of one row, which sees cache rows [first, end). */
static void attend(const struct op_attention *op, const double *query, const double *keys,
		   const double *values, const double *sink, uint32_t kv_head, uint32_t first,
		   uint32_t end, double *y)
{
	/* with shared values these are the beginnings of keys */
	const uint32_t value_size = values ? op->value_size : op->key_size;
	const uint32_t seen = end - first;
	double score[seen + 1], p[seen + 1];

	for (uint32_t i = 0; i < seen; i++) {
		const size_t row = (size_t)(first + i) * op->kv_heads + kv_head;

		score[i] = (double)op->scale * dot(query, keys + row * op->key_size, op->key_size);
		if (op->softcap > 0)
			score[i] = (double)op->softcap * tanh(score[i] / (double)op->softcap);
	}
	score[seen] = sink ? *sink : -INFINITY;
	softmax(score, seen + 1, p);
	memset(y, 0, op->value_size * sizeof(*y));
	for (uint32_t i = 0; i < seen; i++) {
		const size_t row = (size_t)(first + i) * op->kv_heads + kv_head;

		for (uint32_t j = 0; j < op->value_size; j++)
			y[j] += p[i] * (values ? values : keys)[row * value_size + j];
	}
}

/*
 * dst = softmax over the rows that are seen of (scale * q . key), times values; scores are capped
 * by c * tanh(s / c), and a sink is one more score, of no value.  Row r is at position + r and
 * sees everything up to itself, or the last @window of that.
 */
void reference_attention(const struct op_attention *op, const double *q, const double *keys,
			 const double *values, const double *sinks, uint32_t position, double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t h = 0; h < op->heads; h++) {
			const uint32_t end = position + r + 1;
			const uint32_t first = op->window && op->window < end ? end - op->window
									      : 0;

			attend(op, q + (size_t)r * op->q_stride + (size_t)h * op->q_head_stride,
			       keys, values, sinks ? sinks + h : NULL,
			       h / (op->heads / op->kv_heads), first, end,
			       dst + (size_t)r * op->dst_stride + (size_t)h * op->value_size);
		}
}

/* dst[r][i] = act(gate[r][i], up[r][i]) */
void reference_glu(const struct op_glu *op, const double *gate, const double *up, double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t i = 0; i < op->width; i++)
			dst[(size_t)r * op->width + i] = activate(
				op->activation, gate ? gate[(size_t)r * op->gate_stride + i] : 0,
				up[(size_t)r * op->up_stride + i]);
}

/* dst[r][i] = a[r][i] and b[r][i], put together as @kind says */
void reference_binary(const struct op_binary *op, const double *a, const double *b,
		      const double *gate, double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t i = 0; i < op->width; i++) {
			const double x = a[(size_t)r * op->a_stride + i];
			const double y = b[(size_t)r * op->b_stride + i];
			double *to = dst + (size_t)r * op->dst_stride + i;

			switch (op->kind) {
			case BINARY_ADD:
				*to = x + (double)op->scale * y;
				break;
			case BINARY_MUL_SIGMOID:
				*to = x * sigmoid(y);
				break;
			case BINARY_MUL_SILU:
				*to = x * silu(y);
				break;
			case BINARY_MUL:
				*to = x * y;
				break;
			case BINARY_ADD_GATED:
				*to = x + sigmoid(gate[r]) * y;
				break;
			}
		}
}

/* x = x * scale, or cap * tanh(x * scale / cap) */
void reference_scale(const struct op_scale *op, double *x)
{
	for (uint64_t i = 0; i < op->count; i++) {
		x[i] *= (double)op->scale;
		if (op->cap > 0)
			x[i] = (double)op->cap * tanh(x[i] / (double)op->cap);
	}
}

/* dst[r][i] = src[r][i] */
void reference_copy(const struct op_copy *op, const double *src, double *dst)
{
	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t i = 0; i < op->width; i++)
			dst[(size_t)r * op->dst_stride + i] = src[(size_t)r * op->src_stride + i];
}

/* dst[row][0..width) = src[ids[row]][0..width) */
void reference_gather(const struct op_gather *op, const uint32_t *ids, const double *src,
		      double *dst)
{
	for (size_t r = 0; r < op->rows; r++)
		for (size_t c = 0; c < op->width; c++)
			dst[r * op->dst_stride + c] = src[(size_t)ids[r] * op->src_stride + c];
}

/*
 * y_t = sum over j of w[j] u_(t - taps + 1 + j), or silu of that, for each channel.  The inputs
 * before row 0 are in @state, the oldest first.
 */
void reference_conv(const struct op_conv *op, const double *weight, const double *src,
		    double *state, double *dst)
{
	const uint32_t taps = op->taps, past = taps - 1;

	for (uint32_t c = 0; c < op->channels; c++) {
		double u[past + op->rows]; /* from t = -past */

		memcpy(u, state + (size_t)c * past, past * sizeof(*u));
		for (uint32_t t = 0; t < op->rows; t++)
			u[past + t] = src[(size_t)t * op->src_stride + c];
		for (uint32_t t = 0; t < op->rows; t++) {
			const double y = dot(weight + (size_t)c * taps, u + t, taps);

			dst[(size_t)t * op->dst_stride + c] = op->silu ? silu(y) : y;
		}
		memcpy(state + (size_t)c * past, u + op->rows, past * sizeof(*u));
	}
}

/*
 * S *= decay;  S += k (beta (v - S^T k))^T;  y = S^T q / sqrt(size), with S[key][value]
 */
static void delta_rule(uint32_t size, double decay, double beta, const double *q, const double *k,
		       const double *v, double *state, double *y)
{
	for (uint32_t j = 0; j < size; j++) {
		double remembered = 0, change;

		for (uint32_t i = 0; i < size; i++) {
			state[(size_t)i * size + j] *= decay;
			remembered += state[(size_t)i * size + j] * k[i];
		}
		change = beta * (v[j] - remembered);
		y[j] = 0;
		for (uint32_t i = 0; i < size; i++) {
			state[(size_t)i * size + j] += k[i] * change;
			y[j] += state[(size_t)i * size + j] * q[i] / sqrt(size);
		}
	}
}

/* decay = exp(softplus(alpha + dt) * a), beta = sigmoid(beta), for each row and value head */
void reference_delta_net(const struct op_delta_net *op, const double *q, const double *k,
			 const double *v, const double *alpha, const double *beta, const double *dt,
			 const double *a, double *state, double *dst)
{
	const uint32_t size = op->size, heads = op->value_heads;

	for (uint32_t r = 0; r < op->rows; r++)
		for (uint32_t h = 0; h < heads; h++) {
			const uint32_t key_head = op->grouped ? h / (heads / op->key_heads)
							      : h % op->key_heads;
			const size_t row = (size_t)r * op->qkv_stride;
			const double softplus = log1p(exp(alpha[r * heads + h] + dt[h]));

			delta_rule(size, exp(softplus * a[h]), sigmoid(beta[r * heads + h]),
				   q + row + (size_t)key_head * size,
				   k + row + (size_t)key_head * size, v + row + (size_t)h * size,
				   state + (size_t)h * size * size,
				   dst + (size_t)r * op->dst_stride + (size_t)h * size);
		}
}
