// SPDX-License-Identifier: MIT
/* The small ops on the CPU: rows of tables, norms, rope, and what works value by value. */
#include "device/cpu/cpu.h"

#include <math.h>

static void embed_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			size_t end)
{
	const struct op_embed *op = context;
	const struct stoker_weight *t = op->table;
	const size_t row_bytes = stoker_row_bytes(t->format, t->in);
	const uint32_t *ids = host(op->ids);

	for (size_t r = begin; r < end; r++) {
		const uint8_t *row = (const uint8_t *)host(t->at) + ids[r] * row_bytes;
		float *dst = (float *)host(op->dst) + r * t->in;

		if (t->tiled && ids[r] < cpu_tiled_rows(t)) {
			const unsigned at = ids[r] % TILE_ROWS;
			uint8_t *untiled = cpu_scratch(cpu, thread);

			cpu_untile_row(t->format, row - at * row_bytes, at, t->in, untiled);
			row = untiled;
		}
		stoker_decode(t->format, cpu->isa, row, dst, t->in);
		if (op->scale != 1)
			cpu->kernels->scale(dst, op->scale, t->in);
	}
}

void cpu_embed(struct stoker_device *d, const struct op_embed *op)
{
	struct cpu *cpu = cpu_of(d);

	if (cpu->failed ||
	    !cpu_reserve_scratch(cpu, stoker_row_bytes(op->table->format, op->table->in)))
		return;
	cpu_parallel(cpu, op->rows, 16, (size_t)op->rows * op->table->in, embed_range, op);
}

/* Returns what the row @x is multiplied by. */
static float norm_factor(const struct cpu *cpu, const float *x, uint32_t width, float eps,
			 enum norm_kind kind)
{
	const float square = cpu->kernels->dot(x, x, width);

	return kind == NORM_RMS ? 1 / sqrtf(square / (float)width + eps)
				: 1 / fmaxf(sqrtf(square), eps);
}

static void norm_row(float *y, const float *x, float factor, const float *weight, uint32_t width)
{
	for (uint32_t c = 0; c < width; c++)
		y[c] = weight ? x[c] * factor * weight[c] : x[c] * factor;
}

static void norm_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
		       size_t end)
{
	const struct op_norm *op = context;
	const float *weight = host(op->weight);

	(void)thread;
	for (size_t i = begin; i < end; i++) {
		const size_t row = i / op->groups, group = i % op->groups;
		const float *x =
			(const float *)host(op->src) + row * op->src_stride + group * op->width;
		float *y = (float *)host(op->dst) + row * op->dst_stride + group * op->width;

		norm_row(y, x, norm_factor(cpu, x, op->width, op->eps, op->kind), weight,
			 op->width);
	}
}

void cpu_norm(struct stoker_device *d, const struct op_norm *op)
{
	const size_t count = (size_t)op->rows * op->groups;

	cpu_parallel(cpu_of(d), count, op->groups * 4, 2 * count * op->width, norm_range, op);
}

static void add_norm_range(const void *context, const struct cpu *cpu, unsigned thread,
			   size_t begin, size_t end)
{
	const struct op_add_norm *op = context;

	(void)thread;
	for (size_t r = begin; r < end; r++) {
		float *x = (float *)host(op->x) + r * op->width;
		const float *a = (const float *)host(op->a) + r * op->width;
		float *h = (float *)host(op->h) + r * op->width;

		for (uint32_t c = 0; c < op->width; c++)
			x[c] = x[c] + op->scale * a[c];
		norm_row(h, x, norm_factor(cpu, x, op->width, op->eps, NORM_RMS), host(op->weight),
			 op->width);
	}
}

void cpu_add_norm(struct stoker_device *d, const struct op_add_norm *op)
{
	cpu_parallel(cpu_of(d), op->rows, 4, 4 * (size_t)op->rows * op->width, add_norm_range, op);
}

static void rope_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
		       size_t end)
{
	const struct op_rope *op = context;
	const float *frequency = host(op->frequency);
	const struct row_place *places = places_of(op->places);

	(void)cpu;
	(void)thread;
	for (size_t r = begin; r < end; r++)
		for (uint32_t i = 0; i < op->pairs; i++) {
			const float angle = (float)places[r].position * frequency[i];
			const float c = cosf(angle) * op->magnitude,
				    s = sinf(angle) * op->magnitude;
			const size_t at = op->interleaved ? 2 * i : i;
			const size_t apart = op->interleaved ? 1 : op->pairs;
			float *x = (float *)host(op->x) + r * op->stride + at;

			for (uint32_t h = 0; h < op->heads; h++, x += op->head_stride) {
				const float a = x[0], b = x[apart];

				x[0] = a * c - b * s;
				x[apart] = a * s + b * c;
			}
		}
}

void cpu_rope(struct stoker_device *d, const struct op_rope *op)
{
	cpu_parallel(cpu_of(d), op->rows, 8, (size_t)op->rows * op->pairs * (20 + 6 * op->heads),
		     rope_range, op);
}

static void glu_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
		      size_t end)
{
	const struct op_glu *op = context;

	(void)thread;
	for (size_t r = begin; r < end; r++)
		cpu->kernels->glu(op->activation,
				  op->gate ? (const float *)host(op->gate) + r * op->gate_stride
					   : NULL,
				  (const float *)host(op->up) + r * op->up_stride,
				  (float *)host(op->dst) + r * op->width, op->width);
}

void cpu_glu(struct stoker_device *d, const struct op_glu *op)
{
	cpu_parallel(cpu_of(d), op->rows, 4, 10 * (size_t)op->rows * op->width, glu_range, op);
}

static void binary_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			 size_t end)
{
	const struct op_binary *op = context;
	float gates[256];

	(void)thread;
	for (size_t r = begin; r < end; r++) {
		const float *a = (const float *)host(op->a) + r * op->a_stride;
		const float *b = (const float *)host(op->b) + r * op->b_stride;
		float *dst = (float *)host(op->dst) + r * op->dst_stride;
		float s = op->scale;

		if (op->kind == BINARY_ADD_GATED)
			cpu->kernels->sigmoid((const float *)host(op->gate) + r, &s, 1);
		for (uint32_t c = 0; c < op->width; c += (uint32_t)ARRAY_SIZE(gates)) {
			const uint32_t n = MIN(op->width - c, (uint32_t)ARRAY_SIZE(gates));

			if (op->kind == BINARY_MUL_SIGMOID || op->kind == BINARY_MUL_SILU)
				cpu->kernels->sigmoid(b + c, gates, n);
			for (uint32_t i = 0; i < n; i++)
				switch (op->kind) {
				case BINARY_ADD:
				case BINARY_ADD_GATED:
					dst[c + i] = a[c + i] + s * b[c + i];
					break;
				case BINARY_MUL_SIGMOID:
					dst[c + i] = a[c + i] * gates[i];
					break;
				case BINARY_MUL_SILU:
					dst[c + i] = a[c + i] * b[c + i] * gates[i];
					break;
				case BINARY_MUL:
					dst[c + i] = a[c + i] * b[c + i];
					break;
				}
		}
	}
}

void cpu_binary(struct stoker_device *d, const struct op_binary *op)
{
	cpu_parallel(cpu_of(d), op->rows, 8, 2 * (size_t)op->rows * op->width, binary_range, op);
}

static void scale_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			size_t end)
{
	const struct op_scale *op = context;
	float *x = (float *)host(op->x) + begin;

	(void)thread;
	if (op->cap > 0)
		cpu->kernels->soft_cap(x, op->scale, op->cap, end - begin);
	else
		cpu->kernels->scale(x, op->scale, end - begin);
}

void cpu_scale(struct stoker_device *d, const struct op_scale *op)
{
	cpu_parallel(cpu_of(d), op->count, 16384, op->count * (op->cap > 0 ? 20 : 1), scale_range,
		     op);
}

void cpu_copy(struct stoker_device *d, const struct op_copy *op)
{
	(void)d;
	for (size_t r = 0; r < op->rows; r++)
		memcpy((float *)host(op->dst) + r * op->dst_stride,
		       (const float *)host(op->src) + r * op->src_stride,
		       op->width * sizeof(float));
}

static void gather_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			 size_t end)
{
	const struct op_gather *op = context;
	const uint32_t *ids = host(op->ids);

	(void)cpu;
	(void)thread;
	for (size_t r = begin; r < end; r++)
		memcpy((float *)host(op->dst) + r * op->dst_stride,
		       (const float *)host(op->src) + (size_t)ids[r] * op->src_stride,
		       op->width * sizeof(float));
}

void cpu_gather(struct stoker_device *d, const struct op_gather *op)
{
	cpu_parallel(cpu_of(d), op->rows, 16, (size_t)op->rows * op->width, gather_range, op);
}
