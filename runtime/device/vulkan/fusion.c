// SPDX-License-Identifier: MIT
/*
 * Ops that go along with their neighbours, which saves dispatches where rows are few.  Kernels make
 * the 8-bit codes of what they compute for the products that come next.  Additions to the residual
 * wait for the norm that mostly follows.  A product waits for both, where its kernel can do them:
 * since codes have a scale, the norm's factor can be left to the products that take them, and the
 * norm itself is computed only if something else reads it.
 */
#include "device/vulkan/record.h"

struct vulkan_codes vulkan_codes_beside(struct vulkan *v, stoker_address dst, uint32_t rows,
					uint32_t width, stoker_address source)
{
	const uint64_t words = (uint64_t)rows * (width / 32) * vulkan_code_words(v);
	const stoker_address taken = source ? source : v->coded.src ? v->coded.codes : 0;
	const bool other = taken && taken == vulkan_scratch(v, SCRATCH_CODES, 0);

	if (width % 32 || !words)
		return (struct vulkan_codes){ 0 };
	return (struct vulkan_codes){
		.src = dst,
		.codes = vulkan_scratch(v, other ? SCRATCH_OTHER_CODES : SCRATCH_CODES, 4 * words),
		.rows = rows,
		.width = width,
	};
}

struct vulkan_span vulkan_writes_codes(const struct vulkan *v, const struct vulkan_codes *c)
{
	return writes(c->codes, (uint64_t)c->rows * (c->width / 32) * vulkan_code_words(v));
}

/* --- what waits ----------------------------------------------------------------------------------
 */

static void record_product(struct vulkan *v, const struct vulkan_held *h,
			   const struct op_norm *norm)
{
	const struct op_matmul *op = &h->product;
	const struct vulkan_rows r = { .dst = op->dst[0],
				       .src = op->src,
				       .codes = h->codes,
				       .rows = op->rows,
				       .slots = 1,
				       .terms = 1,
				       .src_stride = h->weight.in,
				       .dst_stride = h->weight.out,
				       .norm = norm,
				       .sum_scale = h->sum.scale };

	vulkan_matvec(v, &h->weight, &r);
}

static void record_binary(struct vulkan *v, const struct op_binary *op)
{
	const struct push_binary push = {
		.dst = op->dst,
		.a = op->a,
		.b = op->b,
		.gate = op->gate ? op->gate : op->a,
		.kind = op->kind,
		.rows = op->rows,
		.width = op->width,
		.dst_stride = op->dst_stride,
		.a_stride = op->a_stride,
		.b_stride = op->b_stride,
		.scale = op->scale,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * op->width), .shader = SHADER_BINARY,
	       .threads = threads(v),
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, op->width)),
		     reads(op->a, extent(op->rows, op->a_stride, op->width)),
		     reads(op->b, extent(op->rows, op->b_stride, op->width)),
		     reads(op->gate, op->rows)));
}

static void record_norm(struct vulkan *v, const struct op_norm *op, const struct op_binary *add)
{
	const uint64_t width = (uint64_t)op->groups * op->width;
	const struct vulkan_codes made =
		op->groups == 1 && op->rows <= MATVEC_ROWS_MAX && op->dst_stride == op->width
			? vulkan_codes_beside(v, op->dst, op->rows, op->width, 0)
			: (struct vulkan_codes){ 0 };
	const struct push_norm push = {
		.dst = op->dst,
		.src = op->src,
		.weight = present(v, op->weight, ONE),
		.has_weight = op->weight != 0,
		.add = present(v, add->b, ZERO),
		.has_add = add->dst != 0,
		.add_scale = add->scale,
		.add_stride = add->dst ? add->b_stride : 0,
		.codes = made.src ? made.codes : v->constants.at,
		.rows = op->rows,
		.groups = op->groups,
		.width = op->width,
		.dst_stride = op->dst_stride,
		.src_stride = op->src_stride,
		.l2 = op->kind == NORM_L2,
		.eps = op->eps,
	};

	RECORD(v, push, op->rows * op->groups, .shader = SHADER_NORM,
	       .constants = { made.src ? vulkan_codes_kind(v) : CODES_NONE },
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, width)),
		     span(op->src, extent(op->rows, op->src_stride, width), add->dst != 0),
		     reads(add->b, extent(op->rows, add->b_stride, width)),
		     vulkan_writes_codes(v, &made)));
	if (made.src)
		v->coded = made;
}

void vulkan_catch_up(struct vulkan *v)
{
	const struct vulkan_held h = v->held;

	v->held.product.rows = 0;
	v->held.sum.dst = 0;
	if (h.product.rows)
		record_product(v, &h, NULL);
	if (h.sum.dst)
		record_binary(v, &h.sum);
}

void vulkan_settle(struct vulkan *v, const struct vulkan_span *spans, size_t count)
{
	const struct op_norm norm = v->held.norm;
	const struct vulkan_span own[] = {
		writes(norm.dst, (uint64_t)norm.rows * norm.width),
		reads(norm.src, (uint64_t)norm.rows * norm.width),
	};
	bool touched = false;

	vulkan_catch_up(v);
	if (!v->held.norm.dst)
		return;
	for (size_t i = 0; i < count && !touched; i++)
		touched = vulkan_conflict(&spans[i], &own[0]) ||
			  vulkan_conflict(&spans[i], &own[1]);
	if (!touched)
		return;
	v->held.norm.dst = 0;
	record_norm(v, &norm, &(struct op_binary){ .dst = 0 });
}

void vulkan_settle_all(struct vulkan *v)
{
	const struct vulkan_span all = { .at = 0, .bytes = UINT64_MAX, .write = true };

	vulkan_settle(v, &all, 1);
}

/* --- ops -----------------------------------------------------------------------------------------
 */

bool vulkan_hold(struct vulkan *v, const struct op_matmul *op, const struct vulkan_codes *codes)
{
	if (op->count > 1 || op->rows > MATVEC_ROWS_MAX || !vulkan_makes_codes(v, op->weight[0]))
		return false;
	v->held.weight = *op->weight[0];
	v->held.product = *op;
	v->held.codes = *codes;
	return true;
}

void vulkan_binary(struct stoker_device *d, const struct op_binary *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct vulkan_held *h = &v->held;
	const bool to_residual = op->kind == BINARY_ADD && op->dst == op->a &&
				 op->dst_stride == op->a_stride && op->rows <= MATVEC_ROWS_MAX;

	if (!to_residual || !h->product.rows || h->sum.dst || op->b != h->product.dst[0] ||
	    op->rows != h->product.rows || op->width != h->weight.out || op->b_stride != op->width)
		vulkan_catch_up(v);
	if (to_residual)
		v->held.sum = *op;
	else
		record_binary(v, op);
}

/* Whether the sum that waits is what a norm reads. */
static bool takes_sum(const struct vulkan_held *h, const struct op_norm *op)
{
	return h->sum.dst && h->sum.dst == op->src && h->sum.rows == op->rows &&
	       h->sum.width == op->width && op->groups == 1 &&
	       h->sum.dst_stride == op->src_stride && op->dst != op->src;
}

/* Whether the norm that waits would be overwritten without ever having been read. */
static bool is_replaced(const struct vulkan_held *h, const struct op_norm *op)
{
	const struct vulkan_span own = writes(h->norm.dst, (uint64_t)op->rows * op->width);
	const struct vulkan_span read[] = {
		reads(op->src, extent(op->rows, op->src_stride, op->width)),
		reads(h->sum.b, extent(op->rows, h->sum.b_stride, h->sum.width)),
	};

	return h->norm.dst == op->dst && h->norm.rows == op->rows && h->norm.width == op->width &&
	       op->groups == 1 && op->dst_stride == op->width && !vulkan_conflict(&own, &read[0]) &&
	       !vulkan_conflict(&own, &read[1]);
}

/* The product's kernel adds to the residual and makes codes; the norm waits. */
static void norm_with_product(struct vulkan *v, const struct op_norm *op)
{
	const struct vulkan_held h = v->held;

	v->held.product.rows = 0;
	v->held.sum.dst = 0;
	vulkan_settle_all(v);
	record_product(v, &h, op);
	v->held.norm = *op;
}

void vulkan_norm(struct stoker_device *d, const struct op_norm *op)
{
	struct vulkan *v = vulkan_of(d);
	const bool takes = takes_sum(&v->held, op);

	if (is_replaced(&v->held, op))
		v->held.norm.dst = 0;

	const struct op_binary add = takes ? v->held.sum : (struct op_binary){ .dst = 0 };

	if (takes && v->held.product.rows && op->kind == NORM_RMS && op->src_stride == op->width &&
	    op->dst_stride == op->width) {
		norm_with_product(v, op);
		return;
	}
	if (takes)
		v->held.sum.dst = 0;
	record_norm(v, op, &add);
}
