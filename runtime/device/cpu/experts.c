// SPDX-License-Identifier: MIT
/* The feed-forward of a mixture of experts on the CPU. */
#include "device/cpu/product.h"

enum { GATED_CHUNK = 32 }; /* rows, a multiple of ACTIVATION_GROUP and of TILE_ROWS */

/* Slots are (row, choice) pairs sorted by expert; each has a row in the intermediate buffers. */
struct experts_job {
	const struct op_experts *op;
	struct cpu_input in;	 /* the layer's, */
	struct cpu_input hidden; /* and the last product's for the present experts */
	size_t chunk;
	uint32_t active;		/* experts with at least one slot */
	const uint32_t *expert, *first; /* [active], [active + 1] */
	const uint32_t *row;		/* activation row of each slot */
	const uint32_t *slot;		/* of (row, choice) */
	struct stoker_expert *at;	/* [active] */
	uint32_t begin, end;		/* of the active experts that are computed now */
	float *gate, *up, *down;	/* [slots][width] */
};

/*
 * Rows [at, at + rows) of act(gate x, up x) of the active expert @e, as floats and, where the last
 * product wants them, as codes, so that threads part ways once for all of it.
 */
static void gated_rows(const struct experts_job *j, const struct cpu *cpu, unsigned thread,
		       size_t e, size_t at, size_t rows)
{
	const struct op_experts *op = j->op;
	const size_t width = op->down->in, first = j->first[e];
	struct gemm_rows r = { .count = j->first[e + 1] - first,
			       .src = j->row + first,
			       .out = j->gate + first * width,
			       .out_stride = width };

	if (op->gate->at)
		cpu_product(cpu, thread, op->gate, j->at[e].gate, j->expert[e], at, rows, &j->in,
			    &r);
	r.out = j->up + first * width;
	cpu_product(cpu, thread, op->up, j->at[e].up, j->expert[e], at, rows, &j->in, &r);
	for (size_t s = first; s < first + r.count; s++) {
		float *gate = j->gate + s * width + at;

		cpu->kernels->glu(op->activation, gate, j->up + s * width + at, gate, rows);
		if (j->hidden.quantized)
			cpu->kernels->quantize(gate, &j->hidden.q, s - j->first[j->begin],
					       at / ACTIVATION_GROUP, rows / ACTIVATION_GROUP);
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
		gated_rows(j, cpu, thread, j->begin + item / items, at,
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
		const size_t e = j->begin + item / items, at = item % items * j->chunk;
		const uint32_t first = j->first[e];
		/* slots of one expert are neighbours; codes begin with the wave's */
		struct cpu_input in = { .x = j->gate + (size_t)first * w->in,
					.quantized = j->hidden.quantized };
		const struct gemm_rows r = { .count = j->first[e + 1] - first,
					     .out = j->down + (size_t)first * w->out,
					     .out_stride = w->out };

		n = MIN(end - item, items - item % items);
		if (in.quantized)
			in.q = q8_rows_from(&j->hidden.q, first - j->first[j->begin]);
		cpu_product(cpu, thread, w, j->at[e].down, j->expert[e], at,
			    MIN(n * j->chunk, w->out - at), &in, &r);
	}
}

static void combine_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			  size_t end)
{
	const struct experts_job *j = context;
	const size_t width = j->op->down->out;
	const float *weights = host(j->op->weights);

	(void)thread;
	for (size_t row = begin; row < end; row++) {
		float *dst = (float *)host(j->op->dst) + row * width;

		memset(dst, 0, width * sizeof(float));
		for (uint32_t k = 0; k < j->op->used; k++) {
			const size_t n = row * j->op->used + k;

			cpu->kernels->axpy(dst, weights[n], j->down + j->slot[n] * width, width);
		}
	}
}

/* Experts that are there come first, so that they are computed while the others load. */
static void put_in_order(struct stoker_expert_source *source, uint32_t *experts, uint32_t count,
			 uint32_t *spare)
{
	uint32_t there = 0, missing = 0;

	for (uint32_t i = 0; i < count; i++)
		if (source->has(source, experts[i]))
			experts[there++] = experts[i];
		else
			spare[missing++] = experts[i];
	memcpy(experts + there, spare, missing * sizeof(*spare));
}

/* Counting sort of the choices by expert. */
static bool sort_slots(struct cpu *cpu, const struct op_experts *op, struct experts_job *j)
{
	const uint32_t slots = op->rows * op->used, experts = op->up->count;
	const uint32_t *ids = host(op->ids);
	uint32_t *list = cpu_reserve(
		cpu, &cpu->lists, (2 * (size_t)slots + 3 * ((size_t)experts + 1)) * sizeof(*list));

	if (!list)
		return false;
	uint32_t *row = list, *slot = row + slots, *next = slot + slots;
	uint32_t *expert = next + experts + 1, *first = expert + experts + 1;

	memset(next, 0, experts * sizeof(*next));
	for (uint32_t i = 0; i < slots; i++)
		next[ids[i]]++;
	for (uint32_t e = 0; e < experts; e++)
		if (next[e])
			expert[j->active++] = e;
	if (op->source)
		put_in_order(op->source, expert, j->active, first);
	first[0] = 0;
	for (uint32_t i = 0; i < j->active; i++) {
		first[i + 1] = first[i] + next[expert[i]];
		next[expert[i]] = first[i];
	}
	for (uint32_t i = 0; i < slots; i++) {
		slot[i] = next[ids[i]]++;
		row[slot[i]] = i / op->used;
	}
	j->row = row;
	j->slot = slot;
	j->expert = expert;
	j->first = first;
	return true;
}

/* Experts [begin, end) of the active ones: down(act(gate x, up x)) for their slots. */
static void run_wave(struct cpu *cpu, struct experts_job *j)
{
	const struct stoker_weight *down = j->op->down;
	const size_t experts = j->end - j->begin, slots = j->first[j->end] - j->first[j->begin];
	const size_t work = slots * down->in * j->op->up->in;

	j->hidden.quantized = cpu_uses_q8(cpu, down);
	if (j->hidden.quantized &&
	    !cpu_reserve_q8(cpu, &cpu->hidden, slots, down->in, &j->hidden.q))
		return;
	cpu_parallel(cpu, (down->in + GATED_CHUNK - 1) / GATED_CHUNK * experts, 1, 2 * work,
		     gated_range, j);
	cpu_parallel(cpu, (down->out + j->chunk - 1) / j->chunk * experts, 1, work, down_range, j);
}

/* Experts that are brought in as they're needed: computes those that are there while others load.
 */
static void run_paged(struct cpu *cpu, struct experts_job *j)
{
	struct stoker_expert_source *source = j->op->source;
	uint32_t wanted = 0;

	for (j->begin = 0; j->begin < j->active && !cpu->failed; j->begin = j->end) {
		wanted += source->want(source, j->expert + wanted, j->active - wanted);
		for (j->end = j->begin; j->end < wanted; j->end++) {
			if (j->end > j->begin && !source->ready(source, j->expert[j->end]))
				break;
			cpu->failed = source->get(source, j->expert[j->end], &j->at[j->end],
						  &cpu->failure);
			if (cpu->failed)
				break;
		}
		if (!cpu->failed)
			run_wave(cpu, j);
		for (uint32_t e = j->begin; e < j->end; e++)
			source->release(source, j->expert[e]);
	}
	/* after a failure: what was wanted and not computed */
	for (uint32_t e = j->begin; e < wanted; e++)
		source->release(source, j->expert[e]);
}

void cpu_experts(struct stoker_device *d, const struct op_experts *op)
{
	struct cpu *cpu = cpu_of(d);
	const size_t slots = (size_t)op->rows * op->used, width = op->down->in;
	struct experts_job j = { .op = op,
				 .in = { .x = host(op->src),
					 .quantized =
						 cpu_uses_q8(cpu, op->up) ||
						 (op->gate->at && cpu_uses_q8(cpu, op->gate)) },
				 .chunk = op->rows > GEMV_ROWS ? TILE_ROWS : GEMV_CHUNK };

	if (cpu->failed ||
	    !cpu_reserve_scratch(cpu, stoker_gemm_scratch(MAX(op->up->in, op->down->in))) ||
	    !sort_slots(cpu, op, &j))
		return;
	j.gate = cpu_reserve(cpu, &cpu->expert_rows,
			     slots * (2 * width + op->down->out) * sizeof(float));
	j.at = cpu_reserve(cpu, &cpu->places, j.active * sizeof(*j.at));
	if (!j.gate || !j.at)
		return;
	j.up = j.gate + slots * width;
	j.down = j.up + slots * width;
	if (j.in.quantized &&
	    !cpu_quantize(cpu, &cpu->activations, j.in.x, op->rows, op->up->in, &j.in.q))
		return;
	if (op->source) {
		run_paged(cpu, &j);
	} else {
		for (uint32_t i = 0; i < j.active; i++)
			j.at[i] = (struct stoker_expert){
				.gate = op->gate->at + j.expert[i] * op->gate->stride,
				.up = op->up->at + j.expert[i] * op->up->stride,
				.down = op->down->at + j.expert[i] * op->down->stride,
			};
		j.end = j.active;
		run_wave(cpu, &j);
	}
	if (!cpu->failed)
		cpu_parallel(cpu, op->rows, 4, slots * op->down->out, combine_range, &j);
}

void cpu_foresee(struct stoker_device *d, const struct op_foresee *op)
{
	if (!cpu_of(d)->failed)
		op->source->foresee(op->source, host(op->ids), op->count, op->now);
}
