// SPDX-License-Identifier: MIT
/* Short convolutions and the gated delta rule on the CPU. */
#include "device/cpu/cpu.h"

#include <math.h>

enum { CONV_CHANNELS = 128 }; /* that go through all rows together */

static float *state_of(stoker_address states, uint64_t stride, const struct row_place *place)
{
	return host(states + place->state * stride);
}

/*
 * Rows [begin, end), which are of one sequence, and channels [first, first + n): the last inputs
 * are turned around, as @weights are, so that vectors hold channels.  The inputs are a ring of
 * @taps rows, since dst may be src.
 */
static void convolve_rows(const struct op_conv *op, const struct cpu *cpu, const float *weights,
			  float *ring, size_t first, size_t n, size_t begin, size_t end)
{
	const uint32_t taps = op->taps, past = taps - 1;
	float *state =
		state_of(op->state, op->state_stride, places_of(op->places) + begin) + first * past;
	const float **x = (const float **)(void *)(ring + (size_t)taps * CONV_CHANNELS);

	for (size_t c = 0; c < n; c++)
		for (uint32_t j = 0; j < past; j++)
			ring[j * CONV_CHANNELS + c] = state[c * past + j];
	for (size_t r = begin, i = 0; r < end; r++, i++) {
		memcpy(ring + (i + past) % taps * CONV_CHANNELS,
		       (const float *)host(op->src) + r * op->src_stride + first,
		       n * sizeof(float));
		for (uint32_t j = 0; j < taps; j++)
			x[j] = ring + (i + j) % taps * CONV_CHANNELS;
		cpu->kernels->convolve((float *)host(op->dst) + r * op->dst_stride + first, x,
				       weights, CONV_CHANNELS, taps, n, op->silu);
	}
	for (size_t c = 0; c < n; c++)
		for (uint32_t j = 0; j < past; j++)
			state[c * past + j] = ring[(end - begin + j) % taps * CONV_CHANNELS + c];
}

static void convolve(const struct op_conv *op, const struct cpu *cpu, float *scratch, size_t first,
		     size_t n)
{
	const struct row_place *places = places_of(op->places);
	const uint32_t taps = op->taps;
	const float *w = (const float *)host(op->weight) + first * taps;
	float *weights = scratch, *ring = weights + (size_t)taps * CONV_CHANNELS;

	for (size_t c = 0; c < n; c++)
		for (uint32_t j = 0; j < taps; j++)
			weights[j * CONV_CHANNELS + c] = w[c * taps + j];
	for (size_t begin = 0, end; begin < op->rows; begin = end) {
		for (end = begin + 1; end < op->rows && places[end].state == places[begin].state;)
			end++;
		convolve_rows(op, cpu, weights, ring, first, n, begin, end);
	}
}

static void conv_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
		       size_t end)
{
	for (size_t c = begin; c < end; c += CONV_CHANNELS)
		convolve(context, cpu, cpu_scratch(cpu, thread), c,
			 MIN(end - c, (size_t)CONV_CHANNELS));
}

void cpu_conv(struct stoker_device *d, const struct op_conv *op)
{
	struct cpu *cpu = cpu_of(d);
	const size_t tap_bytes = 2 * CONV_CHANNELS * sizeof(float) + sizeof(float *);

	if (!cpu->failed && cpu_reserve_scratch(cpu, op->taps * tap_bytes))
		cpu_parallel(cpu, op->channels, 16,
			     (size_t)op->rows * op->channels * (op->taps + 8), conv_range, op);
}

static float softplus(float x)
{
	return x > 20 ? x : log1pf(expf(x));
}

static void delta_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			size_t end)
{
	const struct op_delta_net *op = context;
	const struct cpu_kernels *kernels = cpu->kernels;
	const struct row_place *places = places_of(op->places);
	const uint32_t size = op->size;
	const float root = 1 / sqrtf((float)size);
	float *change = cpu_scratch(cpu, thread);

	for (size_t h = begin; h < end; h++) {
		const size_t key_head = op->grouped ? h / (op->value_heads / op->key_heads)
						    : h % op->key_heads;
		const float a = ((const float *)host(op->a))[h],
			    dt = ((const float *)host(op->dt))[h];

		for (size_t r = 0; r < op->rows; r++) {
			const float *q =
				(const float *)host(op->q) + r * op->qkv_stride + key_head * size;
			const float *k =
				(const float *)host(op->k) + r * op->qkv_stride + key_head * size;
			const float *v = (const float *)host(op->v) + r * op->qkv_stride + h * size;
			float *out = (float *)host(op->dst) + r * op->dst_stride + h * size;
			float *state = state_of(op->state, op->state_stride, places + r) +
				       h * size * size; /* [key][value] */
			const size_t gate = r * op->value_heads + h;
			const float decay =
				expf(softplus(((const float *)host(op->alpha))[gate] + dt) * a);
			const float beta = 1 / (1 + expf(-((const float *)host(op->beta))[gate]));

			kernels->scale(state, decay, (size_t)size * size);
			memcpy(change, v, size * sizeof(float));
			for (uint32_t i = 0; i < size; i++)
				kernels->axpy(change, -k[i], state + (size_t)i * size, size);
			kernels->scale(change, beta, size);
			memset(out, 0, size * sizeof(float));
			for (uint32_t i = 0; i < size; i++) {
				kernels->axpy(state + (size_t)i * size, k[i], change, size);
				kernels->axpy(out, q[i], state + (size_t)i * size, size);
			}
			kernels->scale(out, root, size);
		}
	}
}

void cpu_delta_net(struct stoker_device *d, const struct op_delta_net *op)
{
	struct cpu *cpu = cpu_of(d);

	if (!cpu->failed && cpu_reserve_scratch(cpu, op->size * sizeof(float)))
		cpu_parallel(cpu, op->value_heads, 1,
			     (size_t)op->rows * op->value_heads * op->size * op->size * 4,
			     delta_range, op);
}
