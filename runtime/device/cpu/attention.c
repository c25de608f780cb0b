// SPDX-License-Identifier: MIT
/*
 * Attention on the CPU: keys and values are widened tile by tile and shared by the queries of a
 * group of heads and rows, with a running softmax (arXiv:2112.05682, arXiv:2205.14135).
 */
#include "device/cpu/cpu.h"

#include <math.h>

enum {
	TILE = 64,	/* cache rows widened at a time */
	QUERY_ROWS = 8, /* rows that share a widened tile */
};

void cpu_kv_store(struct stoker_device *d, const struct op_kv_store *op)
{
	const uint64_t row_bytes = stoker_kv_row_bytes(op->format, op->width);

	for (uint32_t r = 0; r < op->rows; r++)
		cpu_of(d)->kernels->kv_save(
			op->format, (const float *)host(op->src) + (size_t)r * op->stride,
			(uint8_t *)host(op->cache) + (host_position(op->position) + r) * row_bytes,
			op->width);
}

struct attention_job {
	const struct op_attention *op;
	uint32_t group;	 /* heads of one key-value head that a job takes */
	uint32_t splits; /* jobs for each key-value head and block of rows */
	uint32_t row_blocks;
};

/* The running softmax of one query. */
struct query {
	const float *q;
	float *out;
	float top, sum;
	uint32_t first, end; /* cache rows it sees */
};

static void attend_tile(const struct cpu *cpu, const struct op_attention *op, struct query *query,
			const float *keys, const float *values, size_t key_stride,
			size_t value_stride, uint32_t at, uint32_t count)
{
	const struct cpu_kernels *k = cpu->kernels;
	const uint32_t begin = MAX(query->first, at), end = MIN(query->end, at + count);
	float scores[TILE];

	if (begin >= end)
		return;
	const uint32_t n = end - begin;

	k->dots(query->q, keys + (begin - at) * key_stride, key_stride, n, op->key_size, op->scale,
		scores);
	if (op->softcap > 0)
		for (uint32_t i = 0; i < n; i++)
			scores[i] = op->softcap * tanhf(scores[i] / op->softcap);
	const float top = fmaxf(query->top, k->max(scores, n));

	if (top > query->top) {
		const float shrink = query->sum > 0 ? expf(query->top - top) : 0;

		query->sum *= shrink;
		k->scale(query->out, shrink, op->value_size);
		query->top = top;
	}
	query->sum += k->exp_sum(scores, top, n);
	k->add_weighted(query->out, scores, values + (begin - at) * value_stride, value_stride, n,
			op->value_size);
}

static void attend(const struct cpu *cpu, const struct attention_job *j, unsigned thread,
		   size_t item)
{
	const struct op_attention *op = j->op;
	const uint32_t row_block = (uint32_t)(item % j->row_blocks);
	const uint32_t split = (uint32_t)(item / j->row_blocks % j->splits);
	const uint32_t kv = (uint32_t)(item / j->row_blocks / j->splits);
	const uint32_t heads_per_kv = op->heads / op->kv_heads;
	const uint32_t head0 = kv * heads_per_kv + split * j->group;
	const uint32_t heads = MIN(j->group, heads_per_kv - split * j->group);
	const uint32_t row0 = row_block * QUERY_ROWS,
		       rows = MIN(op->rows - row0, (uint32_t)QUERY_ROWS);
	const uint64_t key_row = stoker_kv_row_bytes(op->format, op->kv_heads * op->key_size);
	const uint64_t value_row =
		op->shared_value ? key_row
				 : stoker_kv_row_bytes(op->format, op->kv_heads * op->value_size);
	const uint8_t *keys = (const uint8_t *)host(op->keys) +
			      stoker_kv_row_bytes(op->format, kv * op->key_size);
	const uint8_t *values = (const uint8_t *)host(op->values) +
				stoker_kv_row_bytes(op->format, kv * op->value_size);
	float *key_tile = cpu_scratch(cpu, thread);
	float *value_tile = key_tile + (size_t)TILE * op->key_size;
	struct query *queries = (struct query *)(value_tile + (size_t)TILE * op->value_size);
	uint32_t first = UINT32_MAX, end = 0;

	for (uint32_t i = 0; i < heads * rows; i++) {
		const uint32_t row = row0 + i / heads, head = head0 + i % heads;
		const uint32_t position = host_position(op->position) + row;
		struct query *q = &queries[i];

		q->q = (const float *)host(op->q) + (size_t)row * op->q_stride +
		       (size_t)head * op->q_head_stride;
		q->out = (float *)host(op->dst) + (size_t)row * op->dst_stride +
			 (size_t)head * op->value_size;
		q->end = position + 1;
		q->first = op->window && q->end > op->window ? q->end - op->window : 0;
		q->top = op->sinks ? ((const float *)host(op->sinks))[head] : -INFINITY;
		q->sum = op->sinks ? 1 : 0;
		memset(q->out, 0, op->value_size * sizeof(float));
		first = MIN(first, q->first);
		end = MAX(end, q->end);
	}
	for (uint32_t at = first; at < end; at += TILE) {
		const uint32_t count = MIN(end - at, (uint32_t)TILE);
		const float *k = key_tile, *v = value_tile;
		size_t k_stride = op->key_size, v_stride = op->value_size;

		if (op->format == STOKER_KV_F32) {
			k = (const float *)(const void *)(keys + at * key_row);
			v = (const float *)(const void *)(values + at * value_row);
			k_stride = key_row / sizeof(float);
			v_stride = value_row / sizeof(float);
		} else {
			for (uint32_t i = 0; i < count; i++) {
				cpu->kernels->kv_load(op->format, keys + (at + i) * key_row,
						      key_tile + (size_t)i * op->key_size,
						      op->key_size);
				if (!op->shared_value)
					cpu->kernels->kv_load(
						op->format, values + (at + i) * value_row,
						value_tile + (size_t)i * op->value_size,
						op->value_size);
			}
			if (op->shared_value) {
				v = key_tile;
				v_stride = op->key_size;
			}
		}
		for (uint32_t i = 0; i < heads * rows; i++)
			attend_tile(cpu, op, &queries[i], k, v, k_stride, v_stride, at, count);
	}
	for (uint32_t i = 0; i < heads * rows; i++)
		cpu->kernels->scale(queries[i].out, 1 / queries[i].sum, op->value_size);
}

static void attention_range(const void *context, const struct cpu *cpu, unsigned thread,
			    size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++)
		attend(cpu, context, thread, i);
}

void cpu_attention(struct stoker_device *d, const struct op_attention *op)
{
	struct cpu *cpu = cpu_of(d);
	const uint32_t per_kv = op->heads / op->kv_heads;
	struct attention_job j = { .op = op,
				   .row_blocks = (op->rows + QUERY_ROWS - 1) / QUERY_ROWS };

	/* few key-value heads and few rows: split the heads so that every thread has work */
	j.splits = 1;
	while (j.splits < per_kv && op->kv_heads * j.row_blocks * j.splits < cpu->threads)
		j.splits++;
	j.group = (per_kv + j.splits - 1) / j.splits;
	j.splits = (per_kv + j.group - 1) / j.group;
	assert(!op->shared_value || op->kv_heads == 1);
	if (cpu->failed ||
	    !cpu_reserve_scratch(cpu,
				 (size_t)TILE * (op->key_size + op->value_size) * sizeof(float) +
					 (size_t)j.group * QUERY_ROWS * sizeof(struct query)))
		return;
	const size_t work = (size_t)op->rows * op->heads *
			    (host_position(op->position) + op->rows) *
			    (op->key_size + op->value_size);

	cpu_parallel(cpu, (size_t)op->kv_heads * j.splits * j.row_blocks, 1, work, attention_range,
		     &j);
}
