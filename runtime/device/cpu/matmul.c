// SPDX-License-Identifier: MIT
/* Matrix products on the CPU. */
#include "device/cpu/product.h"

/* Rows of a matrix at @at, which are a tile or tiles where they are @tiled. */
static void matmul_rows(const struct cpu *cpu, unsigned thread, const struct stoker_weight *w,
			const uint8_t *at, size_t rows, bool tiled, const struct cpu_input *in,
			const struct gemm_rows *r)
{
	const struct cpu_kernels *k = cpu->kernels;
	const size_t row_bytes = stoker_row_bytes(w->format, w->in);
	void *scratch = cpu_scratch(cpu, thread);
	const bool q8 = in->quantized && cpu_uses_q8(cpu, w);

	assert(q8 || !tiled);
	if (!q8) {
		if (cpu->bfloats && w->format->id == FORMAT_BF16 && r->count > 1 &&
		    w->in >= LEAST_BFLOATS)
			k->gemm_bfloat(at, row_bytes, rows, in->x, w->in, r, scratch);
		else
			(r->count > GEMV_ROWS ? k->gemm_float : k->gemv_float)(
				w->format, at, row_bytes, rows, in->x, w->in, r, scratch);
		return;
	}
	if (r->count > (tiled ? GEMV_TILE_ROWS : GEMV_ROWS)) {
		for (size_t i = 0; i < rows; i += TILE_ROWS) {
			const unsigned n = (unsigned)MIN(rows - i, (size_t)TILE_ROWS);
			struct gemm_rows tile = *r;

			tile.out += i;
			k->gemm_q8(w->format, at + i * row_bytes, row_bytes, n, tiled, &in->q,
				   &tile, scratch);
		}
		return;
	}
	if (tiled) {
		if (r->count == 1)
			k->gemv_tiles(w->format, at, row_bytes, rows, &in->q, r);
		else
			k->gemm_few(w->format, at, row_bytes, rows, &in->q, r, scratch);
		return;
	}
	for (size_t i = 0; i < r->count; i++) {
		const size_t src = r->src ? r->src[i] : i, dst = r->dst ? r->dst[i] : i;

		k->gemv_q8(w->format, at, row_bytes, rows, &in->q, src,
			   r->out + dst * r->out_stride, scratch);
	}
}

void cpu_matmul_part(const struct cpu *cpu, unsigned thread, const struct stoker_weight *w,
		     stoker_address matrix, uint32_t expert, size_t first, size_t rows,
		     const struct cpu_input *in, const struct gemm_rows *r)
{
	const size_t row_bytes = stoker_row_bytes(w->format, w->in);
	const uint8_t *at = (const uint8_t *)host(matrix) + first * row_bytes;
	const size_t tiled = w->tiled ? cpu_tiled_rows(w) : 0;
	const size_t in_tiles = first < tiled ? MIN(tiled - first, rows) : 0;
	struct gemm_rows part = *r;

	part.out += first;
	if (in_tiles)
		matmul_rows(cpu, thread, w, at, in_tiles, true, in, &part);
	part.out += in_tiles;
	if (in_tiles < rows)
		matmul_rows(cpu, thread, w, at + in_tiles * row_bytes, rows - in_tiles, false, in,
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
	struct cpu_input in;
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

			cpu_matmul_part(cpu, thread, w, w->at, 0, first,
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

struct heads_job {
	const struct op_matmul_heads *op;
	struct cpu_input in; /* [head][row][in] */
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
		struct cpu_input in = { .x = j->in.x + first * w->in,
					.quantized = j->in.quantized };

		n = MIN(end - item, items - item % items);
		if (in.quantized)
			in.q = q8_rows_from(&j->in.q, first);
		cpu_matmul_part(cpu, thread, w, w->at + head * w->stride, head, at,
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
	j.in = (struct cpu_input){ .x = x, .quantized = cpu_uses_q8(cpu, w) };
	if (j.in.quantized && !cpu_quantize(cpu, &cpu->activations, x, rows, w->in, &j.in.q))
		return;
	cpu_parallel(cpu, w->count * ((w->out + j.chunk - 1) / j.chunk), 1, rows * w->in * w->out,
		     heads_range, &j);
}
