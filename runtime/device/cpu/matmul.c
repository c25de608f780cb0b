// SPDX-License-Identifier: MIT
/* Matrix products and the feed-forward of a mixture of experts on the CPU. */
#include "device/cpu/cpu.h"

enum {
	GEMV_ROWS = 4, /* up to this many activation rows a tile isn't worth building */
	GEMV_CHUNK = 32,
	GATED_CHUNK = 32, /* rows, a multiple of ACTIVATION_GROUP and of TILE_ROWS */
};

/* A product's input: floats, and their 8-bit form when the weight's format uses it. */
struct input {
	const float *x;
	struct q8_rows q;
	bool quantized;
};

/* Rows of a matrix at @at, which are a tile or tiles where they are @tiled. */
static void product_rows(const struct cpu *cpu, unsigned thread, const struct stoker_weight *w,
			 const uint8_t *at, size_t rows, bool tiled, const struct input *in,
			 const struct gemm_rows *r)
{
	const struct cpu_kernels *k = cpu->kernels;
	const size_t row_bytes = stoker_row_bytes(w->format, w->in);
	void *scratch = cpu_scratch(cpu, thread);
	const bool q8 = in->quantized && cpu_uses_q8(cpu, w);

	assert(q8 || !tiled);
	if (r->count > GEMV_ROWS) {
		for (size_t i = 0; i < rows; i += TILE_ROWS) {
			const unsigned n = (unsigned)MIN(rows - i, (size_t)TILE_ROWS);
			struct gemm_rows tile = *r;

			tile.out += i;
			if (q8)
				k->gemm_q8(w->format, at + i * row_bytes, row_bytes, n, tiled,
					   &in->q, &tile, scratch);
			else
				k->gemm_float(w->format, at + i * row_bytes, row_bytes, n, in->x,
					      w->in, &tile, scratch);
		}
		return;
	}
	if (tiled) {
		k->gemv_tiles(w->format, at, row_bytes, rows, &in->q, r);
		return;
	}
	for (size_t i = 0; i < r->count; i++) {
		const size_t src = r->src ? r->src[i] : i, dst = r->dst ? r->dst[i] : i;
		float *out = r->out + dst * r->out_stride;

		if (q8)
			k->gemv_q8(w->format, at, row_bytes, rows, &in->q, src, out, scratch);
		else
			k->gemv_float(w->format, at, row_bytes, rows, in->x + src * w->in, w->in,
				      out, scratch);
	}
}

/* Rows [first, first + rows) of the matrix @expert at @matrix for the activation rows of @r. */
static void product(const struct cpu *cpu, unsigned thread, const struct stoker_weight *w,
		    stoker_address matrix, uint32_t expert, size_t first, size_t rows,
		    const struct input *in, const struct gemm_rows *r)
{
	const size_t row_bytes = stoker_row_bytes(w->format, w->in);
	const uint8_t *at = (const uint8_t *)host(matrix) + first * row_bytes;
	const size_t tiled = w->tiled ? cpu_tiled_rows(w) : 0;
	const size_t in_tiles = first < tiled ? MIN(tiled - first, rows) : 0;
	struct gemm_rows part = *r;

	part.out += first;
	if (in_tiles)
		product_rows(cpu, thread, w, at, in_tiles, true, in, &part);
	part.out += in_tiles;
	if (in_tiles < rows)
		product_rows(cpu, thread, w, at + in_tiles * row_bytes, rows - in_tiles, false, in,
			     &part);
	if (!w->bias && !w->scale)
		return;
	const float s = w->scale ? ((const float *)host(w->scale))[expert] : 1;
	const float *bias = w->bias ? (const float *)host(w->bias) + (size_t)expert * w->out : NULL;

	for (size_t i = 0; i < r->count; i++) {
		float *out = r->out + (r->dst ? r->dst[i] : i) * r->out_stride;

		for (size_t c = first; c < first + rows; c++)
			out[c] = out[c] * s + (bias ? bias[c] : 0);
	}
}

struct matmul_job {
	const struct op_matmul *op;
	struct input in;
	size_t chunk;
};

static void matmul_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			 size_t end)
{
	const struct matmul_job *j = context;

	for (uint32_t i = 0; i < j->op->count && begin < end; i++) {
		const struct stoker_weight *w = j->op->weight[i];
		const size_t items = (w->out + j->chunk - 1) / j->chunk;

		if (begin < items) {
			const size_t first = begin * j->chunk;
			const struct gemm_rows r = { .count = j->op->rows,
						     .out = host(j->op->dst[i]),
						     .out_stride = w->out };

			product(cpu, thread, w, w->at, 0, first,
				MIN(end * j->chunk, (size_t)w->out) - first, &j->in, &r);
		}
		begin = begin > items ? begin - items : 0;
		end = end > items ? end - items : 0;
	}
}

void cpu_matmul(struct stoker_device *d, const struct op_matmul *op)
{
	struct cpu *cpu = cpu_of(d);
	struct matmul_job job = { .op = op,
				  .in = { .x = host(op->src) },
				  .chunk = op->rows > GEMV_ROWS ? TILE_ROWS : GEMV_CHUNK };
	const uint32_t in = op->weight[0]->in;
	size_t items = 0, work = 0;

	for (uint32_t i = 0; i < op->count; i++) {
		assert(op->weight[i]->in == in);
		job.in.quantized |= cpu_uses_q8(cpu, op->weight[i]);
		items += (op->weight[i]->out + job.chunk - 1) / job.chunk;
		work += (size_t)op->weight[i]->out * in * op->rows;
	}
	if (cpu->failed || !cpu_reserve_scratch(cpu, stoker_gemm_scratch(in)))
		return;
	if (job.in.quantized &&
	    !cpu_quantize(cpu, &cpu->activations, job.in.x, op->rows, in, &job.in.q))
		return;
	cpu_parallel(cpu, items, 1, work, matmul_range, &job);
}

/* Slots are (row, choice) pairs sorted by expert; each has a row in the intermediate buffers. */
struct experts_job {
	const struct op_experts *op;
	struct input in;     /* the layer's, */
	struct input hidden; /* and the last product's for the present experts */
	size_t chunk;
	uint32_t active;		/* experts with at least one slot */
	const uint32_t *expert, *first; /* [active], [active + 1] */
	const uint32_t *row;		/* activation row of each slot */
	const uint32_t *slot;		/* of (row, choice) */
	struct stoker_expert *at;	/* [active] */
	uint32_t begin, end;		/* of the active experts that are computed now */
	float *gate, *up, *down;	/* [slots][width] */
};

/* The rows from @first on as rows 0, 1, 2 ... */
static struct q8_rows q8_rows_from(const struct q8_rows *q, size_t first)
{
	const size_t groups = first * (q->k / ACTIVATION_GROUP);

	return (struct q8_rows){
		.k = q->k,
		.codes = q->codes + first * q->k,
		.d = q->d + groups,
		.xs32 = q->xs32 + groups,
		.xs16 = q->xs16 + 2 * groups,
		.corr32 = q->corr32 + groups,
		.corr16 = q->corr16 + 2 * groups,
	};
}

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
		product(cpu, thread, op->gate, j->at[e].gate, j->expert[e], at, rows, &j->in, &r);
	r.out = j->up + first * width;
	product(cpu, thread, op->up, j->at[e].up, j->expert[e], at, rows, &j->in, &r);
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
		struct input in = { .x = j->gate + (size_t)first * w->in,
				    .quantized = j->hidden.quantized };
		const struct gemm_rows r = { .count = j->first[e + 1] - first,
					     .out = j->down + (size_t)first * w->out,
					     .out_stride = w->out };

		n = MIN(end - item, items - item % items);
		if (in.quantized)
			in.q = q8_rows_from(&j->hidden.q, first - j->first[j->begin]);
		product(cpu, thread, w, j->at[e].down, j->expert[e], at,
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

struct heads_job {
	const struct op_matmul_heads *op;
	struct input in; /* [head][row][in] */
	size_t chunk;
};

static void heads_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			size_t end)
{
	const struct heads_job *j = context;
	const struct op_matmul_heads *op = j->op;
	const struct stoker_weight *w = op->weight;
	const size_t items = (w->out + j->chunk - 1) / j->chunk;

	for (size_t item = begin, n; item < end; item += n) {
		const uint32_t head = (uint32_t)(item / items);
		const size_t at = item % items * j->chunk, first = (size_t)head * op->rows;
		const struct gemm_rows r = {
			.count = op->rows,
			.out_stride = op->dst_stride,
			.out = (float *)host(op->dst) + (size_t)head * op->dst_head_stride,
		};
		struct input in = { .x = j->in.x + first * w->in, .quantized = j->in.quantized };

		n = MIN(end - item, items - item % items);
		if (in.quantized)
			in.q = q8_rows_from(&j->in.q, first);
		product(cpu, thread, w, w->at + head * w->stride, head, at,
			MIN(n * j->chunk, w->out - at), &in, &r);
	}
}

void cpu_matmul_heads(struct stoker_device *d, const struct op_matmul_heads *op)
{
	struct cpu *cpu = cpu_of(d);
	const struct stoker_weight *w = op->weight;
	const size_t rows = (size_t)w->count * op->rows;
	struct heads_job j = { .op = op, .chunk = op->rows > GEMV_ROWS ? TILE_ROWS : GEMV_CHUNK };
	float *x;

	if (cpu->failed || !cpu_reserve_scratch(cpu, stoker_gemm_scratch(w->in)))
		return;
	x = cpu_reserve(cpu, &cpu->hidden, rows * w->in * sizeof(float));
	if (!x)
		return;
	for (size_t h = 0; h < w->count; h++)
		for (size_t r = 0; r < op->rows; r++)
			memcpy(x + (h * op->rows + r) * w->in,
			       (const float *)host(op->src) + r * op->src_stride +
				       h * op->src_head_stride,
			       w->in * sizeof(float));
	j.in = (struct input){ .x = x, .quantized = cpu_uses_q8(cpu, w) };
	if (j.in.quantized && !cpu_quantize(cpu, &cpu->activations, x, rows, w->in, &j.in.q))
		return;
	cpu_parallel(cpu, w->count * ((w->out + j.chunk - 1) / j.chunk), 1, rows * w->in * w->out,
		     heads_range, &j);
}
