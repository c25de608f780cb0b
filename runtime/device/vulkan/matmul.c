// SPDX-License-Identifier: MIT
/* Products of weights with rows, one by one or many at a time, and rows of the embedding table. */
#include "device/vulkan/record.h"

enum {
	MATMUL_TILE = 8,
	LARGE_WEIGHT = 4 << 20, /* values that are worth compiling a larger kernel for */
};

/*
 * Rows of weights that a subgroup or a lane takes.  Processors that emulate a GPU gain from every
 * load they share, up to the number of their registers; GPUs need many subgroups, and small ones.
 */
static uint32_t usual_rows(const struct vulkan *v, bool coded)
{
	return v->emulated && coded ? 4 : 2;
}

static uint32_t usual_outputs(const struct vulkan *v, const struct stoker_weight *w)
{
	return v->emulated ? (uint64_t)w->in * w->out * w->count > LARGE_WEIGHT ? 4 : 2 : 1;
}

uint32_t vulkan_usual_variant(const struct vulkan *v, const struct stoker_weight *w,
			      enum vulkan_matmul_kind kind)
{
	return kind == MATMUL_MANY ? usual_outputs(v, w) : usual_rows(v, kind == MATMUL_Q8);
}

static uint32_t matvec_rows(const struct vulkan *v, const struct stoker_format *f, bool coded)
{
	const uint32_t tuned = vulkan_variant(v, f, coded ? MATMUL_Q8 : MATMUL_FLOATS);

	return tuned ? tuned : usual_rows(v, coded);
}

static uint32_t matmul_outputs(const struct vulkan *v, const struct stoker_weight *w)
{
	const uint32_t tuned = vulkan_variant(v, w->format, MATMUL_MANY);

	return tuned ? tuned : usual_outputs(v, w);
}

uint32_t vulkan_q8_kind(const struct vulkan *v)
{
	return v->dot ? Q8_DOT : v->pairs ? Q8_PAIRS : Q8_NONE;
}

/* Words of 32 values as q8: see push_quantize; 0 where products are done with floats. */
static uint32_t group_words(const struct vulkan *v)
{
	return v->dot ? DOT_WORDS + Q8_EXTRA_WORDS : v->pairs ? PAIR_WORDS + Q8_EXTRA_WORDS : 0;
}

uint64_t vulkan_q8_words(const struct vulkan *v, uint32_t rows, uint32_t width)
{
	return (uint64_t)rows * (width / 32) * group_words(v);
}

uint64_t vulkan_q8_bytes(const struct stoker_device *d, uint32_t width)
{
	return width % 32 ? 0 : 4 * vulkan_q8_words((const struct vulkan *)d, 1, width);
}

static stoker_address codebook_of(const struct vulkan *v, const struct stoker_format *f)
{
	stoker_address at = v->constants.at + CODEBOOKS;

	for (const struct stoker_format *o = NULL; (o = stoker_format_next(o)) && o != f;)
		at += round_up(o->codebook_bytes, 64);
	return f->codebook_bytes ? at : v->constants.at;
}

/* Whether lanes have outputs of their own: see shaders/by_lane.glsl. */
static bool is_by_lane(const struct vulkan *v, bool q8)
{
	return v->emulated && !(q8 && v->dot);
}

static enum vulkan_shader matvec_shader(const struct vulkan *v, bool q8)
{
	if (is_by_lane(v, q8))
		return q8 ? SHADER_MATVEC_EMULATED_PAIRS : SHADER_MATVEC_EMULATED;
	return q8 ? SHADER_MATVEC_DOT : SHADER_MATVEC;
}

static enum vulkan_shader parts_shader(const struct vulkan *v, bool q8)
{
	if (is_by_lane(v, q8))
		return q8 ? SHADER_MATVEC_EMULATED_PARTS_PAIRS : SHADER_MATVEC_EMULATED_PARTS;
	return q8 ? SHADER_MATVEC_PARTS_DOT : SHADER_MATVEC_PARTS;
}

bool vulkan_takes_q8(const struct stoker_device *d, const struct stoker_weight *w)
{
	const struct vulkan *v = (const struct vulkan *)d;

	return group_words(v) && w->in % 32 == 0 &&
	       vulkan_has_shader(matvec_shader(v, true), w->format);
}

void vulkan_embed(struct stoker_device *d, const struct op_embed *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct stoker_weight *t = op->table;
	const struct push_embed push = {
		.dst = op->dst,
		.ids = op->ids,
		.table = t->at,
		.codebook = codebook_of(v, t->format),
		.rows = op->rows,
		.width = t->in,
		.row_bytes = (uint32_t)stoker_row_bytes(t->format, t->in),
		.scale = op->scale,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * div_up(t->in, 32)), .format = t->format,
	       .shader = SHADER_EMBED, .threads = threads(v),
	       SPANS(writes(op->dst, (uint64_t)op->rows * t->in), reads(op->ids, op->rows)));
}

void vulkan_quantize(struct vulkan *v, stoker_address dst, stoker_address src, uint32_t rows,
		     uint32_t width)
{
	const struct push_quantize push = {
		.dst = dst,
		.src = src,
		.rows = rows,
		.width = width,
		.src_stride = width,
	};

	RECORD(v, push, for_threads(v, (uint64_t)rows * (width / 32)), .shader = SHADER_QUANTIZE,
	       .threads = threads(v), .constants = { vulkan_q8_kind(v) },
	       SPANS(writes(dst, vulkan_q8_words(v, rows, width)),
		     reads(src, (uint64_t)rows * width)));
}

stoker_address vulkan_q8_for(struct vulkan *v, const struct stoker_weight *w, stoker_address src,
			     stoker_address q8, uint32_t rows)
{
	if (!vulkan_takes_q8(&v->base, w))
		return 0;
	if (!q8) {
		q8 = vulkan_scratch(v, SCRATCH_Q8, 4 * vulkan_q8_words(v, rows, w->in));
		vulkan_quantize(v, q8, src, rows, w->in);
	}
	return q8;
}

/* Whether the product's kernel can make q8 of its outputs. */
static bool makes_q8(const struct vulkan *v, const struct stoker_weight *w)
{
	/* lanes have four or eight neighbouring outputs each, which are 32 together */
	return v->emulated && vulkan_q8_kind(v) == Q8_PAIRS && v->known_size &&
	       (v->subgroup_size == 8 || v->subgroup_size == 4) && vulkan_takes_q8(&v->base, w) &&
	       w->out % 32 == 0;
}

struct vulkan_dispatch vulkan_matvec_kernel(const struct vulkan *v,
					    const struct stoker_format *format, bool q8)
{
	return (struct vulkan_dispatch){
		.shader = matvec_shader(v, q8),
		.format = format,
		.constants = { matvec_rows(v, format, q8) },
	};
}

/* Workgroups for @outputs of single rows. */
static uint32_t for_outputs(const struct vulkan *v, uint32_t outputs, uint32_t rows, bool q8)
{
	return div_up(outputs, (uint64_t)rows * (is_by_lane(v, q8) ? v->subgroup_size : 1));
}

/* A product with a gate, by a kernel that makes q8 of it. */
static void matvec_gated(struct vulkan *v, const struct stoker_weight *w,
			 const struct vulkan_rows *r)
{
	const uint32_t jobs = r->rows * r->choices;
	const struct push_matvec_gated push = {
		.weight = w->at,
		.gate = r->gate->at,
		.src = r->src_q8,
		.dst = r->dst,
		.dst_q8 = r->dst_q8,
		.ids = present(v, r->ids, ZERO),
		.codebook = codebook_of(v, w->format),
		.stride = w->stride,
		.row_bytes = (uint32_t)stoker_row_bytes(w->format, w->in),
		.width = w->in,
		.out_width = w->out,
		.rows = r->rows,
		.choices = r->choices,
		.src_stride = (uint32_t)vulkan_q8_words(v, 1, w->in),
		.activation = r->activation,
		.has = (r->ids ? HAS_IDS : 0) | (r->table ? HAS_TABLE : 0),
	};

	RECORD(v, push, div_up(w->out, 32), .shader = SHADER_MATVEC_EMULATED_GATED,
	       .format = w->format, .constants = { 32 / v->subgroup_size }, .y = MIN(jobs, 65535u),
	       SPANS(writes(r->dst, (uint64_t)jobs * w->out), reads(r->ids, jobs),
		     reads(r->src_q8, vulkan_q8_words(v, r->rows, w->in)),
		     writes(r->dst_q8, vulkan_q8_words(v, jobs, w->out))));
}

void vulkan_matvec(struct vulkan *v, const struct stoker_weight *w, const struct vulkan_rows *r)
{
	const bool q8 = r->src_q8 && vulkan_takes_q8(&v->base, w);

	if (r->gate && r->dst_q8 && q8 && makes_q8(v, w)) {
		matvec_gated(v, w, r);
		return;
	}
	const uint32_t row_words = (uint32_t)vulkan_q8_words(v, 1, w->in);
	const struct push_matvec push = {
		.weight = w->at,
		.src = q8 ? r->src_q8 : r->src,
		.dst = r->dst,
		.bias = present(v, w->bias, ZERO),
		.scale = present(v, w->scale, ONE),
		.ids = present(v, r->ids, ZERO),
		.mix = present(v, r->mix, ONE),
		.has = (r->ids ? HAS_IDS : 0) | (r->mix ? HAS_MIX : 0) |
		       (r->table ? HAS_TABLE : 0) | (w->bias ? HAS_BIAS : 0) |
		       (w->scale ? HAS_SCALE : 0) | (r->gate ? HAS_GATE : 0) |
		       (uint32_t)r->activation << ACTIVATION_SHIFT,
		.gate = r->gate ? r->gate->at : w->at,
		.codebook = codebook_of(v, w->format),
		.stride = w->stride,
		.row_bytes = (uint32_t)stoker_row_bytes(w->format, w->in),
		.width = w->in,
		.out_width = w->out,
		.rows = r->rows,
		.choices = r->choices,
		.terms = r->terms,
		.src_stride = q8 ? r->terms * row_words : r->src_stride,
		.src_choice_stride = r->src_choice_stride,
		.src_term_stride = q8 ? row_words : r->src_term_stride,
		.dst_stride = r->dst_stride,
		.dst_choice_stride = r->dst_choice_stride,
	};
	const struct vulkan_dispatch kernel = vulkan_matvec_kernel(v, w->format, q8);
	const uint64_t entries = (uint64_t)r->rows * r->choices * r->terms;
	const uint64_t src = extent(r->rows, push.src_stride, 0) +
			     extent(r->choices, push.src_choice_stride, 0) +
			     extent(r->terms, push.src_term_stride, MAX(w->in, row_words));
	const uint64_t dst = extent(r->rows, r->dst_stride, 0) +
			     extent(r->choices, r->dst_choice_stride, w->out);

	RECORD(v, push, for_outputs(v, w->out, kernel.constants[0], q8), .shader = kernel.shader,
	       .format = w->format, .constants = { kernel.constants[0] },
	       .y = (uint32_t)MIN((uint64_t)r->rows * r->choices, (uint64_t)65535),
	       SPANS(writes(r->dst, dst), reads(push.src, src), reads(r->ids, entries),
		     reads(r->mix, entries)));
	if (r->dst_q8)
		vulkan_quantize(v, r->dst_q8, r->dst, r->rows * r->choices, w->out);
}

/* A product that goes to the residual, whose norm is left to what reads its q8. */
static void matvec_added(struct vulkan *v, const struct op_matmul *op, stoker_address q8)
{
	const struct stoker_weight *w = op->weight[0];
	const struct op_add_norm *then = op->then;
	const struct push_matvec_added push = {
		.weight = w->at,
		.src = q8,
		.dst = op->dst[0],
		.bias = present(v, w->bias, ZERO),
		.scale = present(v, w->scale, ONE),
		.x = then->x,
		.x_q8 = then->h_q8,
		.norm_weight = present(v, then->weight, ONE),
		.codebook = codebook_of(v, w->format),
		.row_bytes = (uint32_t)stoker_row_bytes(w->format, w->in),
		.width = w->in,
		.out_width = w->out,
		.rows = op->rows,
		.src_stride = (uint32_t)vulkan_q8_words(v, 1, w->in),
		.has = (w->bias ? HAS_BIAS : 0) | (then->weight ? HAS_NORM_WEIGHT : 0),
		.add_scale = then->scale,
		.eps = then->eps,
	};
	const uint64_t out = (uint64_t)op->rows * w->out;

	RECORD(v, push, div_up(w->out, 32), .shader = SHADER_MATVEC_EMULATED_ADDED,
	       .format = w->format, .constants = { 32 / v->subgroup_size }, .y = op->rows,
	       SPANS(writes(op->dst[0], out), reads(q8, vulkan_q8_words(v, op->rows, w->in)),
		     writes(then->x, out),
		     writes(then->h_q8, vulkan_q8_words(v, op->rows, w->out))));
}

struct vulkan_dispatch vulkan_matmul_kernel(const struct vulkan *v, const struct stoker_weight *w)
{
	const uint32_t lanes = v->known_size && v->subgroup_size <= 64 ? v->subgroup_size : 0;

	if (v->tensor && vulkan_has_shader(SHADER_MATMUL_TENSOR, w->format))
		return (struct vulkan_dispatch){
			.shader = SHADER_MATMUL_TENSOR,
			.format = w->format,
			.constants = { v->tensor_shape[0], v->tensor_shape[1], v->tensor_shape[2] },
		};
	return (struct vulkan_dispatch){
		.shader = SHADER_MATMUL,
		.format = w->format,
		.constants = { MATMUL_TILE, matmul_outputs(v, w), lanes },
	};
}

void vulkan_matmul_rows(struct vulkan *v, const struct stoker_weight *w, stoker_address dst,
			stoker_address src, uint32_t rows, stoker_address list,
			stoker_address offsets, uint32_t divisor, bool table)
{
	const struct push_matmul push = {
		.weight = w->at,
		.src = src,
		.dst = dst,
		.bias = present(v, w->bias, ZERO),
		.scale = present(v, w->scale, ONE),
		.list = present(v, list, ZERO),
		.offsets = present(v, offsets, ZERO),
		.has = (list ? HAS_LIST : 0) | (table ? HAS_TABLE : 0) | (w->bias ? HAS_BIAS : 0) |
		       (w->scale ? HAS_SCALE : 0),
		.codebook = codebook_of(v, w->format),
		.stride = w->stride,
		.row_bytes = (uint32_t)stoker_row_bytes(w->format, w->in),
		.width = w->in,
		.out_width = w->out,
		.rows = rows,
		.divisor = divisor,
		.src_stride = w->in,
		.dst_stride = w->out,
	};
	const struct vulkan_dispatch kernel = vulkan_matmul_kernel(v, w);
	const bool tensor = kernel.shader == SHADER_MATMUL_TENSOR;
	const uint32_t tiles = div_up(rows, tensor ? 2 * v->tensor_shape[1] : MATMUL_TILE);
	const uint32_t taken = tensor ? 2 * v->tensor_shape[0]
				      : v->subgroup_size * kernel.constants[1];

	RECORD(v, push, div_up(w->out, taken), .shader = kernel.shader, .format = w->format,
	       .constants = { kernel.constants[0], kernel.constants[1], kernel.constants[2] },
	       /* with a list one workgroup walks over the rows of its matrix */
	       .y = list ? MIN(div_up(tiles, w->count) + 1, tiles) : tiles,
	       .z = list ? w->count : 1,
	       SPANS(writes(dst, (uint64_t)rows * w->out),
		     reads(src, (uint64_t)div_up(rows, divisor) * w->in), reads(list, rows),
		     reads(offsets, w->count + 1)));
}

/* Whether one dispatch can take all matrices. */
static bool alike(const struct op_matmul *op)
{
	bool same = op->count > 1 && op->count <= 3;

	for (uint32_t i = 0; i < op->count; i++)
		same = same && op->weight[i]->format == op->weight[0]->format &&
		       !op->weight[i]->bias && !op->weight[i]->scale;
	return same;
}

static void matvec_parts(struct vulkan *v, const struct op_matmul *op, stoker_address src_q8)
{
	const struct stoker_weight *w = op->weight[0], *next = op->weight[1];
	const struct stoker_weight *last = op->weight[op->count - 1];
	const bool q8 = src_q8 && vulkan_takes_q8(&v->base, w), three = op->count > 2;
	const uint32_t two = w->out + next->out, rows = matvec_rows(v, w->format, q8);
	const struct push_matvec_parts push = {
		.weight = { w->at, next->at, last->at },
		.dst = { op->dst[0], op->dst[1], op->dst[op->count - 1] },
		.src = q8 ? src_q8 : op->src,
		.codebook = codebook_of(v, w->format),
		.row_bytes = (uint32_t)stoker_row_bytes(w->format, w->in),
		.width = w->in,
		.rows = op->rows,
		.src_stride = q8 ? (uint32_t)vulkan_q8_words(v, 1, w->in) : w->in,
		.end = { w->out, two, two + (three ? last->out : 0) },
	};

	RECORD(v, push, for_outputs(v, push.end[2], rows, q8), .shader = parts_shader(v, q8),
	       .format = w->format, .constants = { rows }, .y = op->rows,
	       SPANS(writes(op->dst[0], (uint64_t)op->rows * w->out),
		     writes(op->dst[1], (uint64_t)op->rows * next->out),
		     writes(push.dst[2], (uint64_t)op->rows * last->out),
		     reads(push.src, (uint64_t)op->rows * push.src_stride)));
}

/* Whether the kernel of a product can take what is to happen to it along. */
static bool adds(const struct vulkan *v, const struct op_matmul *op, stoker_address q8)
{
	return op->then && op->then->q8_only && op->then->h_q8 && q8 && q8 != op->then->h_q8 &&
	       makes_q8(v, op->weight[0]);
}

static void matmul_few(struct vulkan *v, const struct op_matmul *op)
{
	stoker_address q8 = 0;

	for (uint32_t i = 0; i < op->count && !q8; i++)
		q8 = vulkan_q8_for(v, op->weight[i], op->src, op->src_q8, op->rows);
	if (alike(op)) {
		matvec_parts(v, op, q8);
		return;
	}
	if (adds(v, op, q8)) {
		matvec_added(v, op, q8);
		return;
	}
	for (uint32_t i = 0; i < op->count; i++) {
		const struct stoker_weight *w = op->weight[i];
		const struct vulkan_rows r = { .dst = op->dst[i],
					       .src = op->src,
					       .src_q8 = q8,
					       .rows = op->rows,
					       .choices = 1,
					       .terms = 1,
					       .src_stride = w->in,
					       .dst_stride = w->out };

		vulkan_matvec(v, w, &r);
	}
	if (op->then)
		vulkan_add_norm(&v->base, op->then);
}

void vulkan_matmul(struct stoker_device *d, const struct op_matmul *op)
{
	struct vulkan *v = vulkan_of(d);

	if (op->rows <= MATVEC_ROWS_MAX) {
		matmul_few(v, op);
		return;
	}
	for (uint32_t i = 0; i < op->count; i++)
		vulkan_matmul_rows(v, op->weight[i], op->dst[i], op->src, op->rows, 0, 0, 1, false);
	if (op->then)
		vulkan_add_norm(d, op->then);
}

bool vulkan_can_gate(const struct stoker_weight *up, const struct stoker_weight *gate)
{
	return gate->at && gate->format == up->format && gate->stride == up->stride &&
	       gate->in == up->in && gate->out == up->out && !up->bias && !up->scale &&
	       !gate->bias && !gate->scale;
}

void vulkan_gated(struct stoker_device *d, const struct op_gated *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct stoker_weight *up = op->up;
	struct vulkan_rows r = { .dst = op->dst,
				 .src = op->src,
				 .dst_q8 = op->dst_q8,
				 .gate = op->gate,
				 .activation = op->activation,
				 .rows = op->rows,
				 .choices = 1,
				 .terms = 1,
				 .src_stride = up->in,
				 .dst_stride = up->out };

	r.src_q8 = vulkan_q8_for(v, up, op->src, op->src_q8, op->rows);
	vulkan_matvec(v, up, &r);
}

void vulkan_matmul_heads(struct stoker_device *d, const struct op_matmul_heads *op)
{
	const struct vulkan_rows r = { .dst = op->dst,
				       .src = op->src,
				       .rows = op->rows,
				       .choices = op->weight->count,
				       .terms = 1,
				       .src_stride = op->src_stride,
				       .src_choice_stride = op->src_head_stride,
				       .dst_stride = op->dst_stride,
				       .dst_choice_stride = op->dst_head_stride };

	vulkan_matvec(vulkan_of(d), op->weight, &r);
}
