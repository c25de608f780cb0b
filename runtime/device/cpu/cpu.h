/* SPDX-License-Identifier: MIT */
/* The CPU device's own state, shared by the files that implement its ops. */
#ifndef STOKER_CPU_H
#define STOKER_CPU_H

#include "base/pool.h"
#include "device/cpu/kernels.h"
#include "device/cpu/tiles.h"

/* Memory that only grows; 64-byte aligned. */
struct buffer {
	void *data;
	size_t bytes;
};

struct cpu {
	struct stoker_device base;
	struct stoker_pool *pool;
	const struct cpu_kernels *kernels;
	enum stoker_isa isa;
	bool bfloats; /* struct cpu_kernels.gemm_bfloat() may be called */
	unsigned threads;
	int failed;	       /* first failure since begin(): no memory for a buffer */
	struct buffer scratch; /* threads * scratch_bytes */
	size_t scratch_bytes;
	struct buffer activations, hidden, expert_rows, lists, places, chunks;
};

static inline struct cpu *cpu_of(struct stoker_device *d)
{
	return (struct cpu *)d;
}

static inline void *host(stoker_address at)
{
	return (void *)(uintptr_t)at; /* the CPU's addresses are pointers */
}

static inline const struct row_place *places_of(stoker_address at)
{
	return host(at);
}

/* Where the row of @position is that has @first and @stride in a page. */
static inline uintptr_t cache_row(const stoker_address *pages, uint64_t first, uint64_t stride,
				  uint32_t position)
{
	return pages[position / KV_PAGE_ROWS] + first + position % KV_PAGE_ROWS * stride;
}

/* @buffer grown to @bytes, or NULL; the failure is kept for submit(). */
void *cpu_reserve(struct cpu *cpu, struct buffer *buffer, size_t bytes);
/* Makes sure that cpu_scratch() has @bytes for each thread. */
bool cpu_reserve_scratch(struct cpu *cpu, size_t bytes);

static inline void *cpu_scratch(const struct cpu *cpu, unsigned thread)
{
	return (uint8_t *)cpu->scratch.data + thread * cpu->scratch_bytes;
}

/*
 * Calls fn(context, cpu, thread, begin, end) over [0, count) in chunks, on the calling thread alone
 * when @work, in float operations, isn't worth waking the others.
 */
typedef void cpu_range_fn(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			  size_t end);
void cpu_parallel(struct cpu *cpu, size_t count, size_t chunk, size_t work, cpu_range_fn *fn,
		  const void *context);

/* Room in @into for the quantized form of @rows rows of @k values. */
bool cpu_reserve_q8(struct cpu *cpu, struct buffer *into, size_t rows, size_t k, struct q8_rows *q);

/* Quantizes @rows rows of @k floats into the buffer @into. */
bool cpu_quantize(struct cpu *cpu, struct buffer *into, const float *x, size_t rows, size_t k,
		  struct q8_rows *q);

/* Whether products with @w run on 8-bit activations. */
static inline bool cpu_uses_q8(const struct cpu *cpu, const struct stoker_weight *w)
{
	return !cpu->base.exact && w->format->group && w->in % ACTIVATION_GROUP == 0;
}

/* Rows of each of a tiled weight's matrices that lie in tiles. */
static inline size_t cpu_tiled_rows(const struct stoker_weight *w)
{
	return w->out / TILE_ROWS * TILE_ROWS;
}

#define OP(NAME, name, weights) \
	void cpu_##name(struct stoker_device *d, const struct op_##name *op);
#define COMPOSED(NAME, name, weights)
#include "device/ops.def"
void cpu_matmul(struct stoker_device *d, const struct op_matmul *op);

#endif
