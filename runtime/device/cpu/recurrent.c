// SPDX-License-Identifier: MIT
/* Short convolutions and the gated delta rule on the CPU. */
#include "device/cpu/cpu.h"

#include <math.h>

static void conv_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
		       size_t end)
{
	const struct op_conv *op = context;
	const uint32_t past = op->taps - 1;
	float *window = cpu_scratch(cpu, thread); /* past + rows inputs of one channel */

	for (size_t c = begin; c < end; c++) {
		const float *w = (const float *)host(op->weight) + c * op->taps;
		float *state = (float *)host(op->state) + c * past;

		memcpy(window, state, past * sizeof(float));
		for (size_t r = 0; r < op->rows; r++)
			window[past + r] = ((const float *)host(op->src))[r * op->src_stride + c];
		for (size_t r = 0; r < op->rows; r++) {
			float y = 0;

			for (uint32_t j = 0; j < op->taps; j++)
				y += w[j] * window[r + j];
			((float *)host(op->dst))[r * op->dst_stride + c] =
				op->silu ? y / (1 + expf(-y)) : y;
		}
		memcpy(state, window + op->rows, past * sizeof(float));
	}
}

void cpu_conv(struct stoker_device *d, const struct op_conv *op)
{
	struct cpu *cpu = cpu_of(d);

	if (!cpu->failed && cpu_reserve_scratch(cpu, (op->taps + (size_t)op->rows) * sizeof(float)))
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
	const uint32_t size = op->size;
	const float root = 1 / sqrtf((float)size);
	float *change = cpu_scratch(cpu, thread);

	for (size_t h = begin; h < end; h++) {
		const size_t key_head = op->grouped ? h / (op->value_heads / op->key_heads)
						    : h % op->key_heads;
		float *state = (float *)host(op->state) + h * size * size; /* [key][value] */
		const float a = ((const float *)host(op->a))[h],
			    dt = ((const float *)host(op->dt))[h];

		for (size_t r = 0; r < op->rows; r++) {
			const float *q =
				(const float *)host(op->q) + r * op->qkv_stride + key_head * size;
			const float *k =
				(const float *)host(op->k) + r * op->qkv_stride + key_head * size;
			const float *v = (const float *)host(op->v) + r * op->qkv_stride + h * size;
			float *out = (float *)host(op->dst) + r * op->dst_stride + h * size;
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
