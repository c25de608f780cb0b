/* SPDX-License-Identifier: MIT */
/* What the files that turn ops into dispatches share. */
#ifndef STOKER_VULKAN_RECORD_H
#define STOKER_VULKAN_RECORD_H

#include "../shaders/push_constants.h"
#include "device/vulkan/commands.h"
#include "device/vulkan/memory.h"
#include "device/vulkan/pipelines.h"
#include "device/vulkan/scratch.h"
#include "device/vulkan/timing.h"
#include "device/vulkan/transfer.h"
#include "device/vulkan/tuning.h"
#include "device/vulkan/vulkan.h"

enum { MATVEC_ROWS_MAX = 4 }; /* products with up to as many rows are done row by row */

/* What v->constants holds. */
enum { ZERO = 0, ONE = 4, MINUS_INFINITY = 8, CODEBOOKS = 64 };

static inline stoker_address present(const struct vulkan *v, stoker_address at, unsigned otherwise)
{
	return at ? at : v->constants.at + otherwise;
}

static inline uint32_t div_up(uint64_t a, uint64_t b)
{
	return (uint32_t)((a + b - 1) / b);
}

static inline struct vulkan_span span(stoker_address at, uint64_t count, bool write)
{
	return (struct vulkan_span){ .at = at, .bytes = at ? 4 * count : 0, .write = write };
}

static inline struct vulkan_span reads(stoker_address at, uint64_t floats)
{
	return span(at, floats, false);
}

static inline struct vulkan_span writes(stoker_address at, uint64_t floats)
{
	return span(at, floats, true);
}

/* Floats from the first row's begin to the last row's end. */
static inline uint64_t extent(uint64_t rows, uint64_t stride, uint64_t width)
{
	return (rows - 1) * stride + width;
}

#define RECORD(v, push_, x_, ...)                                                  \
	vulkan_record((v), &(struct vulkan_dispatch){ .x = (x_),                   \
						      .push = &(push_),            \
						      .push_bytes = sizeof(push_), \
						      __VA_ARGS__ })
/* The op's memory; keeps RECORD() in one piece. */
#define SPANS(...)                                            \
	.spans = (const struct vulkan_span[]){ __VA_ARGS__ }, \
	.span_count = ARRAY_SIZE(((const struct vulkan_span[]){ __VA_ARGS__ }))

/* Of a workgroup where threads work alone. */
static inline uint32_t threads(const struct vulkan *v)
{
	return MAX(64u, v->subgroup_size);
}

/* Workgroups for @count values, a thread each. */
static inline uint32_t for_threads(const struct vulkan *v, uint64_t count)
{
	return div_up(count, threads(v));
}

/* What matvec has to know besides the weights. */
struct vulkan_rows {
	stoker_address dst, src, ids, mix;
	stoker_address src_q8;		  /* [rows][terms], 0: none */
	stoker_address dst_q8;		  /* [rows][choices], without gaps; 0: none */
	const struct stoker_weight *gate; /* NULL: none; like the weight, without bias and scale */
	enum stoker_activation activation;
	bool table; /* the weight's address is a table of its matrices' */
	uint32_t rows, choices, terms;
	uint32_t src_stride, src_choice_stride, src_term_stride, dst_stride, dst_choice_stride;
};

/* Makes q8 of the rows of @src, which have no gaps, at @dst. */
void vulkan_quantize(struct vulkan *v, stoker_address dst, stoker_address src, uint32_t rows,
		     uint32_t width);
/*
 * Where the rows of @src are as q8 for products with @w: at @q8, which may be 0, or in scratch
 * memory; 0 where products with @w take floats.
 */
stoker_address vulkan_q8_for(struct vulkan *v, const struct stoker_weight *w, stoker_address src,
			     stoker_address q8, uint32_t rows);
void vulkan_matvec(struct vulkan *v, const struct stoker_weight *w, const struct vulkan_rows *r);
/* The kind of 8-bit codes that this device multiplies, if any: Q8_DOT ... */
uint32_t vulkan_q8_kind(const struct vulkan *v);
/* How products with single rows, of floats or q8, and with many are compiled. */
struct vulkan_dispatch vulkan_matvec_kernel(const struct vulkan *v,
					    const struct stoker_format *format, bool q8);
struct vulkan_dispatch vulkan_matmul_kernel(const struct vulkan *v, const struct stoker_weight *w);
/* The variant that is taken without measuring. */
uint32_t vulkan_usual_variant(const struct vulkan *v, const struct stoker_weight *w,
			      enum vulkan_matmul_kind kind);
/* Whether vulkan_matvec() takes @gate along with @up. */
bool vulkan_can_gate(const struct stoker_weight *up, const struct stoker_weight *gate);
/* Members of the table that stoker_q8_bytes() and stoker_takes_q8() call. */
uint64_t vulkan_q8_bytes(const struct stoker_device *d, uint32_t width);
bool vulkan_takes_q8(const struct stoker_device *d, const struct stoker_weight *w);
/* Words of @rows rows as q8, which is how spans count. */
uint64_t vulkan_q8_words(const struct vulkan *v, uint32_t rows, uint32_t width);
/* The rows of @src, or with @list those that each of the weight's matrices has: see push_matmul. */
void vulkan_matmul_rows(struct vulkan *v, const struct stoker_weight *w, stoker_address dst,
			stoker_address src, uint32_t rows, stoker_address list,
			stoker_address offsets, uint32_t divisor, bool table);

uint64_t vulkan_working_bytes(const struct stoker_device *d, const struct stoker_shapes *s);
int vulkan_reserve(struct stoker_device *d, const struct stoker_shapes *s,
		   struct stoker_error *err);
#define OP(NAME, name, weights) \
	void vulkan_##name(struct stoker_device *d, const struct op_##name *op);
#include "device/ops.def"

#endif
