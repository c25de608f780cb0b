// SPDX-License-Identifier: MIT
/* The feed-forward of a mixture of experts on the CPU. */
#include "device/cpu/product.h"

enum { GATED_CHUNK = 32 }; /* rows, a multiple of ACTIVATION_GROUP and of TILE_ROWS */

/*
 * Entries are (row, choice) pairs; the intermediate buffers have a row for each, in the order of
 * the list that is sorted by expert, the results in the order of the entries themselves.
 */
struct experts_job {
	const struct op_experts *op;
	struct expert_wave wave;
	struct cpu_input in;	 /* the layer's, */
	struct cpu_input hidden; /* and the last product's */
	size_t chunk;
	uint32_t *row;		   /* activation row of each entry of the list */
	float *gate, *up, *result; /* [entries][width] */
};

/*
 * Rows [at, at + rows) of act(gate x, up x) of an expert, as floats and, where the last product
 * wants them, as 8-bit codes, so that threads part ways once for all of it.
 */
static void gated_rows(const struct experts_job *j, const struct cpu *cpu, unsigned thread,
		       const struct chosen_expert *e, size_t at, size_t rows)
{
	const struct op_experts *op = j->op;
	const size_t width = op->down->in, first = e->first;
	struct gemm_rows r = { .count = e->count,
			       .src = j->row + first,
			       .out = j->gate + first * width,
			       .out_stride = width };

	if (op->gate->at)
		cpu_matmul_part(cpu, thread, op->gate, e->at.gate, e->expert, at, rows, &j->in, &r);
	r.out = j->up + first * width;
	cpu_matmul_part(cpu, thread, op->up, e->at.up, e->expert, at, rows, &j->in, &r);
	for (size_t i = first; i < first + e->count; i++) {
		float *gate = j->gate + i * width + at;

		cpu->kernels->glu(op->activation, gate, j->up + i * width + at, gate, rows);
		if (j->hidden.quantized)
			cpu->kernels->quantize(gate, &j->hidden.q, i, at / ACTIVATION_GROUP,
					       rows / ACTIVATION_GROUP);
	}
}

static void gated_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			size_t end)
{
	const struct experts_job *j = context;
	const size_t width = j->op->down->in, items = (width + GATED_CHUNK - 1) / GATED_CHUNK;

	for (size_t item = begin, n; item < end; item += n) {
		const size_t at = item % items * GATED_CHUNK;

		n = MIN(end - item, items - item % items);
		gated_rows(j, cpu, thread, &j->wave.experts[item / items], at,
			   MIN(n * GATED_CHUNK, width - at));
	}
}

static void down_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
		       size_t end)
{
	const struct experts_job *j = context;
	const struct stoker_weight *w = j->op->down;
	const size_t items = (w->out + j->chunk - 1) / j->chunk;

	for (size_t item = begin, n; item < end; item += n) {
		const struct chosen_expert *e = &j->wave.experts[item / items];
		const size_t at = item % items * j->chunk;
		/* entries of one expert are neighbours in the list */
		struct cpu_input in = { .x = j->gate + (size_t)e->first * w->in,
					.quantized = j->hidden.quantized };
		const struct gemm_rows r = { .count = e->count,
					     .dst = j->wave.entries + e->first,
					     .out = j->result,
					     .out_stride = w->out };

		n = MIN(end - item, items - item % items);
		if (in.quantized)
			in.q = q8_rows_from(&j->hidden.q, e->first);
		cpu_matmul_part(cpu, thread, w, e->at.down, e->expert, at,
				MIN(n * j->chunk, w->out - at), &in, &r);
	}
}

static void combine_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			  size_t end)
{
	const struct experts_job *j = context;
	const size_t width = j->op->down->out, used = j->op->used;
	const float *weights = host(j->op->weights);

	(void)thread;
	for (size_t row = begin; row < end; row++) {
		float *dst = (float *)host(j->op->dst) + row * width;

		memset(dst, 0, width * sizeof(float));
		for (size_t n = row * used; n < (row + 1) * used; n++)
			cpu->kernels->axpy(dst, weights[n], j->result + n * width, width);
	}
}

/* Tells the observer what the wave's experts read: the layer's rows, or between their products. */
static void show(const struct cpu *cpu, const struct experts_job *j, bool hidden)
{
	const struct stoker_device *d = &cpu->base;
	const struct op_experts *op = j->op;

	for (uint32_t n = 0; n < j->wave.count; n++) {
		const struct chosen_expert *e = &j->wave.experts[n];

		if (hidden) {
			device_show_rows(d, op->down, e->expert,
					 j->gate + (size_t)e->first * op->down->in, e->count,
					 op->down->in);
			continue;
		}
		for (uint32_t i = e->first; i < e->first + e->count; i++) {
			const float *x = j->in.x + (size_t)j->row[i] * op->up->in;

			device_show_rows(d, op->gate, e->expert, x, 1, op->up->in);
			device_show_rows(d, op->up, e->expert, x, 1, op->up->in);
		}
	}
}

/* down(act(gate x, up x)) for the entries of the wave's experts. */
static void run_wave(struct cpu *cpu, const struct experts_job *j)
{
	const struct stoker_weight *down = j->op->down;
	size_t entries = 0;

	for (uint32_t i = 0; i < j->wave.count; i++)
		entries += j->wave.experts[i].count;
	const size_t work = entries * down->in * j->op->up->in;

	if (cpu->base.observer.product)
		show(cpu, j, false);
	cpu_parallel(cpu, (down->in + GATED_CHUNK - 1) / GATED_CHUNK * j->wave.count, 1, 2 * work,
		     gated_range, j);
	if (cpu->base.observer.product)
		show(cpu, j, true);
	cpu_parallel(cpu, (down->out + j->chunk - 1) / j->chunk * j->wave.count, 1, work,
		     down_range, j);
}

/* All experts that were chosen, which are where the weights say. */
static bool find_all(struct cpu *cpu, struct experts_job *j)
{
	const struct op_experts *op = j->op;
	const uint32_t entries = op->rows * op->used, experts = op->up->count;
	struct chosen_expert *chosen = cpu_reserve(cpu, &cpu->places, experts * sizeof(*chosen));
	uint32_t *list = cpu_reserve(cpu, &cpu->lists, 2 * (size_t)entries * sizeof(*list));

	if (!chosen || !list)
		return false;
	j->wave = (struct expert_wave){
		.experts = chosen,
		.count = stoker_sort_choices(host(op->ids), entries, experts, list + entries,
					     chosen),
		.entries = list + entries,
		.first = true,
		.last = true,
	};
	for (uint32_t i = 0; i < j->wave.count; i++)
		chosen[i].at = (struct stoker_expert){
			.gate = op->gate->at + chosen[i].expert * op->gate->stride,
			.up = op->up->at + chosen[i].expert * op->up->stride,
			.down = op->down->at + chosen[i].expert * op->down->stride,
		};
	return true;
}

/* The buffers, which keep what earlier waves left in them. */
static bool reserve(struct cpu *cpu, struct experts_job *j)
{
	const struct op_experts *op = j->op;
	const size_t entries = (size_t)op->rows * op->used, width = op->down->in;

	j->row = cpu_reserve(cpu, &cpu->lists, 2 * entries * sizeof(*j->row));
	j->gate = cpu_reserve(cpu, &cpu->expert_rows,
			      entries * (2 * width + op->down->out) * sizeof(float));
	if (!j->row || !j->gate)
		return false;
	j->up = j->gate + entries * width;
	j->result = j->up + entries * width;
	j->hidden.quantized = cpu_uses_q8(cpu, op->down);
	if (j->hidden.quantized && !cpu_reserve_q8(cpu, &cpu->hidden, entries, width, &j->hidden.q))
		return false;
	if (!j->wave.first)
		return !j->in.quantized ||
		       cpu_reserve_q8(cpu, &cpu->activations, op->rows, op->up->in, &j->in.q);
	for (size_t i = 0; i < entries; i++)
		j->row[i] = j->wave.entries[i] / op->used;
	return !j->in.quantized ||
	       cpu_quantize(cpu, &cpu->activations, j->in.x, op->rows, op->up->in, &j->in.q);
}

void cpu_experts(struct stoker_device *d, const struct op_experts *op)
{
	struct cpu *cpu = cpu_of(d);
	struct experts_job j = { .op = op,
				 .in = { .x = host(op->src),
					 .quantized =
						 cpu_uses_q8(cpu, op->up) ||
						 (op->gate->at && cpu_uses_q8(cpu, op->gate)) },
				 .chunk = op->rows > GEMV_ROWS ? TILE_ROWS : GEMV_CHUNK };

	if (cpu->failed ||
	    !cpu_reserve_scratch(cpu, stoker_gemm_scratch(MAX(op->up->in, op->down->in))))
		return;
	if (op->wave)
		j.wave = *op->wave;
	else if (!find_all(cpu, &j))
		return;
	if (!reserve(cpu, &j))
		return;
	run_wave(cpu, &j);
	if (j.wave.last)
		cpu_parallel(cpu, op->rows, 4, (size_t)op->rows * op->used * op->down->out,
			     combine_range, &j);
}
