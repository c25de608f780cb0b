// SPDX-License-Identifier: MIT
/* Each op as the dispatches of one or more shaders. */
#include "device/vulkan/vulkan.h"

#include "../shaders/push_constants.h"

#include <math.h>

enum {
	HEAD_MAX = 1024,     /* values of an attention head, which are kept in registers */
	EXPERTS_MAX = 1024,  /* of a layer, likewise */
	MATVEC_ROWS_MAX = 4, /* products with up to as many rows are done row by row */
	MATMUL_TILE = 8,
	CODE_WORDS = 10,	/* 32 values as 8-bit codes, their scale and sum */
	LARGE_WEIGHT = 4 << 20, /* values that are worth compiling a larger kernel for */
};

/*
 * Rows of weights that a subgroup (matvec) or a lane (matmul) takes.  Processors that emulate a GPU
 * gain from every load they share; GPUs need many subgroups, and small ones.
 */
static uint32_t matvec_rows(const struct vulkan *v)
{
	return v->emulated ? 8 : 2;
}

static uint32_t matmul_outputs(const struct vulkan *v, const struct stoker_weight *w)
{
	return v->emulated ? (uint64_t)w->in * w->out * w->count > LARGE_WEIGHT ? 4 : 2 : 1;
}

/* What v->constants holds. */
enum { ZERO = 0, ONE = 4, MINUS_INFINITY = 8, CODEBOOKS = 64 };

static stoker_address present(const struct vulkan *v, stoker_address at, unsigned otherwise)
{
	return at ? at : v->constants.at + otherwise;
}

static uint32_t div_up(uint64_t a, uint64_t b)
{
	return (uint32_t)((a + b - 1) / b);
}

static struct vulkan_span span(stoker_address at, uint64_t count, bool write)
{
	return (struct vulkan_span){ .at = at, .bytes = at ? 4 * count : 0, .write = write };
}

static struct vulkan_span reads(stoker_address at, uint64_t floats)
{
	return span(at, floats, false);
}

static struct vulkan_span writes(stoker_address at, uint64_t floats)
{
	return span(at, floats, true);
}

/* Floats from the first row's begin to the last row's end. */
static uint64_t extent(uint64_t rows, uint64_t stride, uint64_t width)
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
static uint32_t threads(const struct vulkan *v)
{
	return MAX(64u, v->subgroup_size);
}

/* Workgroups for @count values, a thread each. */
static uint32_t for_threads(const struct vulkan *v, uint64_t count)
{
	return div_up(count, threads(v));
}

static void refuse(struct vulkan *v, const char *what, uint32_t size, uint32_t limit)
{
	if (!v->failed)
		v->failed = stoker_fail(&v->failure, -ENOTSUP, "%s: %s of %u, the limit is %u",
					v->name, what, size, limit);
}

/* --- products ------------------------------------------------------------------------------------
 */

static stoker_address codebook_of(const struct vulkan *v, const struct stoker_format *f)
{
	stoker_address at = v->constants.at + CODEBOOKS;

	for (const struct stoker_format *o = NULL; (o = stoker_format_next(o)) && o != f;)
		at += round_up(o->codebook_bytes, 64);
	return f->codebook_bytes ? at : v->constants.at;
}

static void embed(struct stoker_device *d, const struct op_embed *op)
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

/* What matvec has to know besides the weights. */
struct rows {
	stoker_address dst, src, ids, mix;
	stoker_address codes; /* of src, or 0: [rows][terms], see quantize() */
	bool table;	      /* the weight's address is a table of its matrices' */
	uint32_t rows, slots, terms;
	uint32_t src_stride, src_slot_stride, src_term_stride, dst_stride, dst_slot_stride;
};

/*
 * The rows of @src as 8-bit codes in scratch memory, for @w and whatever shares its input; 0 where
 * that isn't how products are done.
 */
static stoker_address quantize(struct vulkan *v, const struct stoker_weight *w, stoker_address src,
			       uint32_t rows, uint32_t stride)
{
	const uint64_t words = (uint64_t)rows * (w->in / 32) * CODE_WORDS;
	const struct push_quantize push = {
		.src = src,
		.rows = rows,
		.width = w->in,
		.src_stride = stride,
		.dst = v->dot && w->in % 32 == 0 ? vulkan_scratch(v, SCRATCH_CODES, 4 * words) : 0,
	};

	if (push.dst)
		RECORD(v, push, for_threads(v, (uint64_t)rows * (w->in / 32)),
		       .shader = SHADER_QUANTIZE, .threads = threads(v),
		       SPANS(writes(push.dst, words), reads(src, extent(rows, stride, w->in))));
	return push.dst;
}

static void matvec(struct vulkan *v, const struct stoker_weight *w, const struct rows *r)
{
	const bool dot = r->codes && vulkan_has_shader(SHADER_MATVEC_DOT, w->format);
	const uint32_t code_words = w->in / 32 * CODE_WORDS;
	const struct push_matvec push = {
		.weight = w->at,
		.src = dot ? r->codes : r->src,
		.dst = r->dst,
		.bias = present(v, w->bias, ZERO),
		.scale = present(v, w->scale, ONE),
		.ids = present(v, r->ids, ZERO),
		.mix = present(v, r->mix, ONE),
		.has = (r->ids ? HAS_IDS : 0) | (r->mix ? HAS_MIX : 0) |
		       (r->table ? HAS_TABLE : 0) | (w->bias ? HAS_BIAS : 0) |
		       (w->scale ? HAS_SCALE : 0),
		.codebook = codebook_of(v, w->format),
		.stride = w->stride,
		.row_bytes = (uint32_t)stoker_row_bytes(w->format, w->in),
		.width = w->in,
		.out_width = w->out,
		.rows = r->rows,
		.slots = r->slots,
		.terms = r->terms,
		.src_stride = dot ? r->terms * code_words : r->src_stride,
		.src_slot_stride = r->src_slot_stride,
		.src_term_stride = dot ? code_words : r->src_term_stride,
		.dst_stride = r->dst_stride,
		.dst_slot_stride = r->dst_slot_stride,
	};
	const uint64_t entries = (uint64_t)r->rows * r->slots * r->terms;
	const uint64_t src = extent(r->rows, push.src_stride, 0) +
			     extent(r->slots, push.src_slot_stride, 0) +
			     extent(r->terms, push.src_term_stride, MAX(w->in, code_words));
	const uint64_t dst =
		extent(r->rows, r->dst_stride, 0) + extent(r->slots, r->dst_slot_stride, w->out);

	RECORD(v, push, div_up(w->out, matvec_rows(v)),
	       .shader = dot ? SHADER_MATVEC_DOT : SHADER_MATVEC, .format = w->format,
	       .constants = { matvec_rows(v) },
	       .y = (uint32_t)MIN((uint64_t)r->rows * r->slots, (uint64_t)65535),
	       SPANS(writes(r->dst, dst), reads(push.src, src), reads(r->ids, entries),
		     reads(r->mix, entries)));
}

/* The rows of @src, or with @list those that each of the weight's matrices has: see push_matmul. */
static void product(struct vulkan *v, const struct stoker_weight *w, stoker_address dst,
		    stoker_address src, uint32_t rows, stoker_address list, stoker_address offsets,
		    uint32_t divisor, bool table)
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
	const bool tensor = v->tensor && vulkan_has_shader(SHADER_MATMUL_TENSOR, w->format);
	const uint32_t tile = tensor ? 2 * v->tensor_shape[1] : MATMUL_TILE;
	const uint32_t tiles = div_up(rows, tile), outputs = matmul_outputs(v, w);
	const uint32_t lanes = v->known_size && v->subgroup_size <= 64 ? v->subgroup_size : 0;
	const uint32_t taken = tensor ? 2 * v->tensor_shape[0] : v->subgroup_size * outputs;

	RECORD(v, push, div_up(w->out, taken),
	       .shader = tensor ? SHADER_MATMUL_TENSOR : SHADER_MATMUL, .format = w->format,
	       .constants = { tensor ? v->tensor_shape[0] : MATMUL_TILE,
			      tensor ? v->tensor_shape[1] : outputs,
			      tensor ? v->tensor_shape[2] : lanes },
	       /* with a list one workgroup walks over the rows of its matrix */
	       .y = list ? MIN(div_up(tiles, w->count) + 1, tiles) : tiles,
	       .z = list ? w->count : 1,
	       SPANS(writes(dst, (uint64_t)rows * w->out),
		     reads(src, (uint64_t)div_up(rows, divisor) * w->in), reads(list, rows),
		     reads(offsets, w->count + 1)));
}

static void matmul(struct stoker_device *d, const struct op_matmul *op)
{
	struct vulkan *v = vulkan_of(d);
	const stoker_address codes =
		op->rows > MATVEC_ROWS_MAX
			? 0
			: quantize(v, op->weight[0], op->src, op->rows, op->weight[0]->in);

	for (uint32_t i = 0; i < op->count; i++) {
		const struct stoker_weight *w = op->weight[i];
		const struct rows r = { .dst = op->dst[i],
					.src = op->src,
					.codes = codes,
					.rows = op->rows,
					.slots = 1,
					.terms = 1,
					.src_stride = w->in,
					.dst_stride = w->out };

		if (op->rows <= MATVEC_ROWS_MAX)
			matvec(v, w, &r);
		else
			product(v, w, op->dst[i], op->src, op->rows, 0, 0, 1, false);
	}
}

static void matmul_heads(struct stoker_device *d, const struct op_matmul_heads *op)
{
	const struct rows r = { .dst = op->dst,
				.src = op->src,
				.rows = op->rows,
				.slots = op->weight->count,
				.terms = 1,
				.src_stride = op->src_stride,
				.src_slot_stride = op->src_head_stride,
				.dst_stride = op->dst_stride,
				.dst_slot_stride = op->dst_head_stride };

	matvec(vulkan_of(d), op->weight, &r);
}

static void glu(struct stoker_device *d, const struct op_glu *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_glu push = {
		.dst = op->dst,
		.gate = op->gate ? op->gate : op->up,
		.up = op->up,
		.rows = op->rows,
		.width = op->width,
		.gate_stride = op->gate ? op->gate_stride : op->up_stride,
		.up_stride = op->up_stride,
		.activation = op->activation,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * op->width), .shader = SHADER_GLU,
	       .threads = threads(v),
	       SPANS(writes(op->dst, (uint64_t)op->rows * op->width),
		     reads(op->gate, extent(op->rows, op->gate_stride, op->width)),
		     reads(op->up, extent(op->rows, op->up_stride, op->width))));
}

/* The parts of scratch memory that the experts op uses. */
struct experts_scratch {
	stoker_address up, gate, hidden, out, offsets, list;
};

static struct experts_scratch place_experts(struct vulkan *v, const struct op_experts *op)
{
	const uint64_t entries = (uint64_t)op->rows * op->used;
	const uint64_t hidden = round_up(4 * entries * op->up->out, 64);
	const uint64_t out = round_up(4 * entries * op->down->out, 64);
	const uint64_t offsets = round_up(4 * ((uint64_t)op->up->count + 1), 64);
	struct experts_scratch s = {
		.up = vulkan_scratch(v, SCRATCH_EXPERTS, 3 * hidden + out + offsets + 4 * entries)
	};

	s.gate = s.up + hidden;
	s.hidden = s.gate + hidden;
	s.out = s.hidden + hidden;
	s.offsets = s.out + out;
	s.list = s.offsets + offsets;
	return s;
}

static void activate(struct stoker_device *d, const struct op_experts *op,
		     const struct experts_scratch *s)
{
	const uint32_t width = op->up->out;
	const struct op_glu both = {
		.dst = s->hidden,
		.gate = op->gate->at ? s->gate : 0,
		.up = s->up,
		.rows = op->rows * op->used,
		.width = width,
		.gate_stride = width,
		.up_stride = width,
		.activation = op->activation,
	};

	glu(d, &both);
}

/* Few rows: each entry reads its expert's weights by itself. */
static void experts_by_row(struct stoker_device *d, const struct op_experts *op,
			   const struct experts_scratch *s)
{
	struct vulkan *v = vulkan_of(d);
	struct rows r = { .dst = s->up,
			  .src = op->src,
			  .codes = quantize(v, op->up, op->src, op->rows, op->up->in),
			  .ids = op->ids,
			  .table = op->source != NULL,
			  .rows = op->rows,
			  .slots = op->used,
			  .terms = 1,
			  .src_stride = op->up->in,
			  .dst_stride = op->used * op->up->out,
			  .dst_slot_stride = op->up->out };
	struct rows down = { .dst = op->dst,
			     .src = s->hidden,
			     .ids = op->ids,
			     .mix = op->weights,
			     .table = op->source != NULL,
			     .rows = op->rows,
			     .slots = 1,
			     .terms = op->used,
			     .src_stride = op->used * op->down->in,
			     .src_term_stride = op->down->in,
			     .dst_stride = op->down->out };

	matvec(v, op->up, &r);
	r.dst = s->gate;
	if (op->gate->at)
		matvec(v, op->gate, &r);
	activate(d, op, s);
	down.codes = quantize(v, op->down, s->hidden, op->rows * op->used, op->down->in);
	matvec(v, op->down, &down);
}

/* The entries in the list, and what comes of them in s->out. */
static void experts_by_list(struct stoker_device *d, const struct op_experts *op,
			    const struct experts_scratch *s)
{
	struct vulkan *v = vulkan_of(d);
	const uint32_t entries = op->rows * op->used;
	const bool table = op->source != NULL;

	product(v, op->up, s->up, op->src, entries, s->list, s->offsets, op->used, table);
	if (op->gate->at)
		product(v, op->gate, s->gate, op->src, entries, s->list, s->offsets, op->used,
			table);
	activate(d, op, s);
	product(v, op->down, s->out, s->hidden, entries, s->list, s->offsets, 1, table);
}

static void combine_experts(struct vulkan *v, const struct op_experts *op,
			    const struct experts_scratch *s)
{
	const uint32_t entries = op->rows * op->used;
	const struct push_combine combine = {
		.dst = op->dst,
		.src = s->out,
		.weights = op->weights,
		.rows = op->rows,
		.used = op->used,
		.width = op->down->out,
	};

	RECORD(v, combine, for_threads(v, (uint64_t)op->rows * op->down->out),
	       .shader = SHADER_COMBINE, .threads = threads(v),
	       SPANS(writes(op->dst, (uint64_t)op->rows * op->down->out),
		     reads(s->out, (uint64_t)entries * op->down->out),
		     reads(op->weights, entries)));
}

/* Many rows: sorted by expert, so that each expert's weights are read for all of its rows. */
static void experts_grouped(struct stoker_device *d, const struct op_experts *op,
			    const struct experts_scratch *s)
{
	struct vulkan *v = vulkan_of(d);
	const uint32_t entries = op->rows * op->used, experts = op->up->count;
	const struct push_group group = {
		.ids = op->ids,
		.offsets = s->offsets,
		.list = s->list,
		.count = entries,
		.experts = experts,
	};

	RECORD(v, group, 1, .shader = SHADER_GROUP, .threads = threads(v),
	       SPANS(reads(op->ids, entries), writes(s->offsets, experts + 1),
		     writes(s->list, entries)));
	experts_by_list(d, op, s);
	combine_experts(v, op, s);
}

/* --- experts that are brought in as they're needed
 * -------------------------------------------------
 */

struct paged_experts {
	struct stoker_device *d;
	struct op_experts op; /* with tables for addresses */
	const struct op_experts *whole;
	struct stoker_weight gate, up, down;
	stoker_address tables; /* of addresses: gate, up, down */
};

static void keep_failure(struct vulkan *v, int ret, const struct stoker_error *err)
{
	if (ret && !v->failed) {
		v->failed = ret;
		v->failure = *err;
	}
}

static void write_memory(struct vulkan *v, stoker_address at, const void *data, uint64_t bytes)
{
	struct stoker_error err;

	if (!v->failed)
		keep_failure(v, vulkan_write(&v->base, at, data, bytes, &err), &err);
}

/* Waits for @count wanted experts and tells the shaders where they are. */
static void fill_tables(struct paged_experts *p, const uint32_t *experts, uint32_t count)
{
	struct vulkan *v = vulkan_of(p->d);
	const uint64_t table = 8 * (uint64_t)p->whole->up->count;
	struct stoker_error err;

	for (uint32_t i = 0; i < count && !v->failed; i++) {
		struct stoker_expert at;

		keep_failure(v, p->whole->source->get(p->whole->source, experts[i], &at, &err),
			     &err);
		if (v->failed)
			break;
		write_memory(v, p->tables + 8 * experts[i], &at.gate, 8);
		write_memory(v, p->tables + table + 8 * experts[i], &at.up, 8);
		write_memory(v, p->tables + 2 * table + 8 * experts[i], &at.down, 8);
	}
}

static void release_all(const struct paged_experts *p, const uint32_t *experts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		p->whole->source->release(p->whole->source, experts[i]);
}

/* Row after row, as each has no more experts than there are slots. */
static void page_by_row(struct paged_experts *p, const uint32_t *ids)
{
	struct vulkan *v = vulkan_of(p->d);
	const struct op_experts *op = p->whole;

	p->op.rows = 1;
	for (uint32_t row = 0; row < op->rows && !v->failed; row++) {
		const uint32_t *experts = ids + row * op->used;
		uint32_t taken = 0, more = 1;
		const struct experts_scratch s = place_experts(v, &p->op);

		for (; taken < op->used && more; taken += more)
			more = op->source->want(op->source, experts + taken, op->used - taken);
		if (taken < op->used && !v->failed)
			v->failed = stoker_fail(&v->failure, -ENOMEM,
						"%s: slots for %u of %u experts", v->name, taken,
						op->used);
		fill_tables(p, experts, taken);
		p->op.dst = op->dst + 4 * (uint64_t)row * op->down->out;
		p->op.src = op->src + 4 * (uint64_t)row * op->up->in;
		p->op.ids = op->ids + 4 * (uint64_t)row * op->used;
		p->op.weights = op->weights + 4 * (uint64_t)row * op->used;
		experts_by_row(p->d, &p->op, &s);
		vulkan_sync(v);
		release_all(p, experts, taken);
	}
}

/* Expert after expert, as many at a time as there are slots, each for all of its rows. */
static void page_by_expert(struct paged_experts *p, const uint32_t *ids)
{
	struct vulkan *v = vulkan_of(p->d);
	const struct op_experts *op = p->whole;
	const uint32_t entries = op->rows * op->used, experts = op->up->count;
	const struct experts_scratch s = place_experts(v, op);
	/* first[e] is where the entries of expert e begin in the list */
	AUTO_FREE uint32_t *all = calloc(3 * ((size_t)experts + 1) + entries, sizeof(*all));
	uint32_t *first = all, *now = first + experts + 1, *active = now + experts + 1;
	uint32_t *list = active + experts + 1, active_count = 0;

	if (!all) {
		v->failed = stoker_fail(&v->failure, -ENOMEM, "%s: out of memory", v->name);
		return;
	}
	for (uint32_t i = 0; i < entries; i++)
		first[ids[i] + 1]++;
	for (uint32_t e = 0; e < experts; e++) {
		if (first[e + 1])
			active[active_count++] = e;
		first[e + 1] += first[e];
	}
	memcpy(now, first, (experts + 1) * sizeof(*now));
	for (uint32_t i = 0; i < entries; i++)
		list[now[ids[i]]++] = i;
	write_memory(v, s.list, list, entries * sizeof(*list));
	for (uint32_t done = 0, taken; done < active_count && !v->failed; done += taken) {
		taken = op->source->want(op->source, active + done, active_count - done);
		fill_tables(p, active + done, taken);
		/* those before and behind this wave have no entries */
		for (uint32_t e = 0; e <= experts; e++)
			now[e] = first[MAX(MIN(e, active[done + taken - 1] + 1), active[done])];
		write_memory(v, s.offsets, now, (experts + 1) * sizeof(*now));
		p->op.rows = op->rows;
		experts_by_list(p->d, &p->op, &s);
		vulkan_sync(v);
		release_all(p, active + done, taken);
	}
	combine_experts(v, op, &s);
}

static void experts_paged(struct stoker_device *d, const struct op_experts *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t table = 8 * (uint64_t)op->up->count;
	struct paged_experts p = { .d = d,
				   .op = *op,
				   .whole = op,
				   .gate = *op->gate,
				   .up = *op->up,
				   .down = *op->down,
				   .tables = vulkan_scratch(v, SCRATCH_TABLES, 3 * table) };
	AUTO_FREE uint32_t *ids = malloc((size_t)op->rows * op->used * sizeof(*ids));
	struct stoker_error err;

	if (!ids && !v->failed)
		v->failed = stoker_fail(&v->failure, -ENOMEM, "%s: out of memory", v->name);
	vulkan_sync(v); /* the router's choice has to be there */
	if (v->failed)
		return;
	keep_failure(
		v, vulkan_read(d, ids, op->ids, (uint64_t)op->rows * op->used * sizeof(*ids), &err),
		&err);
	p.gate.at = op->gate->at ? p.tables : 0;
	p.up.at = p.tables + table;
	p.down.at = p.tables + 2 * table;
	p.op.gate = &p.gate;
	p.op.up = &p.up;
	p.op.down = &p.down;
	if (v->failed)
		return;
	if (op->rows <= MATVEC_ROWS_MAX)
		page_by_row(&p, ids);
	else
		page_by_expert(&p, ids);
}

static void experts(struct stoker_device *d, const struct op_experts *op)
{
	struct vulkan *v = vulkan_of(d);

	if (op->source) {
		experts_paged(d, op);
		return;
	}
	const struct experts_scratch s = place_experts(v, op);

	if (op->rows <= MATVEC_ROWS_MAX)
		experts_by_row(d, op, &s);
	else
		experts_grouped(d, op, &s);
}

/* --- attention and recurrence --------------------------------------------------------------------
 */

static void norm(struct stoker_device *d, const struct op_norm *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t width = (uint64_t)op->groups * op->width;
	const struct push_norm push = {
		.dst = op->dst,
		.src = op->src,
		.weight = present(v, op->weight, ONE),
		.has_weight = op->weight != 0,
		.rows = op->rows,
		.groups = op->groups,
		.width = op->width,
		.dst_stride = op->dst_stride,
		.src_stride = op->src_stride,
		.l2 = op->kind == NORM_L2,
		.eps = op->eps,
	};

	RECORD(v, push, op->rows * op->groups, .shader = SHADER_NORM,
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, width)),
		     reads(op->src, extent(op->rows, op->src_stride, width))));
}

static void rope(struct stoker_device *d, const struct op_rope *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_rope push = {
		.x = op->x,
		.frequency = op->frequency,
		.position = op->position,
		.rows = op->rows,
		.heads = op->heads,
		.head_stride = op->head_stride,
		.stride = op->stride,
		.pairs = op->pairs,
		.interleaved = op->interleaved,
		.magnitude = op->magnitude,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * op->pairs), .shader = SHADER_ROPE,
	       .threads = threads(v),
	       SPANS(writes(op->x, extent(op->rows, op->stride,
					  extent(op->heads, op->head_stride, 2 * op->pairs)))));
}

/* Where in the cache rows go is known only when it runs: all of it counts as written. */
static struct vulkan_span cache_span(stoker_address cache, bool write)
{
	return (struct vulkan_span){ .at = cache, .bytes = 1, .write = write };
}

static void kv_store(struct stoker_device *d, const struct op_kv_store *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint32_t chunk = op->format == STOKER_KV_Q8_0 ? 32 : 2;
	const struct push_kv_store push = {
		.cache = op->cache,
		.src = op->src,
		.position = op->position,
		.rows = op->rows,
		.width = op->width,
		.stride = op->stride,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * div_up(op->width, chunk)),
	       .shader = SHADER_KV_STORE, .threads = threads(v), .constants = { op->format },
	       SPANS(cache_span(op->cache, true),
		     reads(op->src, extent(op->rows, op->stride, op->width))));
}

static void attention(struct stoker_device *d, const struct op_attention *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_attention push = {
		.dst = op->dst,
		.q = op->q,
		.keys = op->keys,
		.values = op->values,
		.sinks = present(v, op->sinks, MINUS_INFINITY),
		.has_sinks = op->sinks != 0,
		.position = op->position,
		.rows = op->rows,
		.heads = op->heads,
		.kv_heads = op->kv_heads,
		.window = op->window,
		.q_stride = op->q_stride,
		.q_head_stride = op->q_head_stride,
		.dst_stride = op->dst_stride,
		.shared_value = op->shared_value,
		.scale = op->scale,
		.softcap = op->softcap,
	};
	const uint64_t q = extent(op->heads, op->q_head_stride, op->key_size);

	if (op->key_size > HEAD_MAX || op->value_size > HEAD_MAX) {
		refuse(v, "attention heads", MAX(op->key_size, op->value_size), HEAD_MAX);
		return;
	}

	RECORD(vulkan_of(d), push, op->rows * op->heads, .shader = SHADER_ATTENTION,
	       .constants = { op->format, op->key_size, op->value_size },
	       SPANS(cache_span(op->keys, false), cache_span(op->values, false),
		     reads(op->q, extent(op->rows, op->q_stride, q)),
		     writes(op->dst, extent(op->rows, op->dst_stride,
					    (uint64_t)op->heads * op->value_size))));
}

static void route(struct stoker_device *d, const struct op_route *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t entries = (uint64_t)op->rows * op->used;

	if (op->experts > EXPERTS_MAX) {
		refuse(v, "layers with experts", op->experts, EXPERTS_MAX);
		return;
	}
	const struct push_route push = {
		.ids = op->ids,
		.weights = op->weights,
		.logits = op->logits,
		.bias = present(v, op->bias, ZERO),
		.has_bias = op->bias != 0,
		.rows = op->rows,
		.used = op->used,
		.groups = op->groups,
		.groups_used = op->groups_used,
		.gating = op->gating,
		.normalize = op->normalize,
		.scale = op->scale,
	};

	RECORD(vulkan_of(d), push, op->rows, .shader = SHADER_ROUTE, .constants = { op->experts },
	       SPANS(writes(op->ids, entries), writes(op->weights, entries),
		     reads(op->logits, (uint64_t)op->rows * op->experts)));
}

static void conv(struct stoker_device *d, const struct op_conv *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_conv push = {
		.dst = op->dst,
		.src = op->src,
		.weight = op->weight,
		.state = op->state,
		.rows = op->rows,
		.channels = op->channels,
		.dst_stride = op->dst_stride,
		.src_stride = op->src_stride,
		.silu = op->silu,
	};

	RECORD(v, push, for_threads(v, op->channels), .shader = SHADER_CONV, .threads = threads(v),
	       .constants = { op->taps },
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, op->channels)),
		     reads(op->src, extent(op->rows, op->src_stride, op->channels)),
		     writes(op->state, (uint64_t)op->channels * (op->taps - 1))));
}

static void delta_net(struct stoker_device *d, const struct op_delta_net *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t keys = (uint64_t)op->key_heads * op->size;
	const uint64_t values = (uint64_t)op->value_heads * op->size;
	const uint64_t gates = (uint64_t)op->rows * op->value_heads;
	const struct push_delta_net push = {
		.dst = op->dst,
		.q = op->q,
		.k = op->k,
		.v = op->v,
		.alpha = op->alpha,
		.beta = op->beta,
		.dt = op->dt,
		.a = op->a,
		.state = op->state,
		.rows = op->rows,
		.key_heads = op->key_heads,
		.value_heads = op->value_heads,
		.size = op->size,
		.qkv_stride = op->qkv_stride,
		.dst_stride = op->dst_stride,
		.grouped = op->grouped,
	};

	RECORD(v, push, for_threads(v, values), .shader = SHADER_DELTA_NET, .threads = threads(v),
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, values)),
		     writes(op->state, values * op->size),
		     reads(op->q, extent(op->rows, op->qkv_stride, keys)),
		     reads(op->k, extent(op->rows, op->qkv_stride, keys)),
		     reads(op->v, extent(op->rows, op->qkv_stride, values)),
		     reads(op->alpha, gates), reads(op->beta, gates)));
}

/* --- the rest ------------------------------------------------------------------------------------
 */

static void binary(struct stoker_device *d, const struct op_binary *op)
{
	struct vulkan *v = vulkan_of(d);
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

static void scale(struct stoker_device *d, const struct op_scale *op)
{
	struct vulkan *v = vulkan_of(d);
	const uint64_t most = 1u << 30; /* of one dispatch */

	for (uint64_t done = 0; done < op->count; done += most) {
		const uint64_t count = MIN(op->count - done, most);
		const struct push_scale push = {
			.x = op->x + 4 * done,
			.count = (uint32_t)count,
			.scale = op->scale,
			.cap = op->cap,
		};

		RECORD(v, push, for_threads(v, count), .shader = SHADER_SCALE,
		       .threads = threads(v), SPANS(writes(push.x, count)));
	}
}

static void copy(struct stoker_device *d, const struct op_copy *op)
{
	struct vulkan *v = vulkan_of(d);
	const struct push_copy push = {
		.dst = op->dst,
		.src = op->src,
		.rows = op->rows,
		.width = op->width,
		.dst_stride = op->dst_stride,
		.src_stride = op->src_stride,
	};

	RECORD(v, push, for_threads(v, (uint64_t)op->rows * op->width), .shader = SHADER_COPY,
	       .threads = threads(v),
	       SPANS(writes(op->dst, extent(op->rows, op->dst_stride, op->width)),
		     reads(op->src, extent(op->rows, op->src_stride, op->width))));
}

static void argmax(struct stoker_device *d, const struct op_argmax *op)
{
	const struct push_argmax push = {
		.ids = op->ids,
		.src = op->src,
		.rows = op->rows,
		.width = op->width,
	};

	RECORD(vulkan_of(d), push, op->rows, .shader = SHADER_ARGMAX,
	       SPANS(writes(op->ids, op->rows), reads(op->src, (uint64_t)op->rows * op->width)));
}

int vulkan_ops_open(struct vulkan *v, struct stoker_error *err)
{
	static const float values[] = { 0, 1, -INFINITY };
	uint64_t bytes = CODEBOOKS;
	stoker_address at;
	int ret;

	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f));)
		bytes += round_up(f->codebook_bytes, 64);
	ret = vulkan_memory_create(&v->base, bytes, &v->constants, err);
	if (!ret)
		ret = vulkan_write(&v->base, v->constants.at, values, sizeof(values), err);
	at = v->constants.at + CODEBOOKS;
	for (const struct stoker_format *f = NULL; (f = stoker_format_next(f)) && !ret;) {
		if (f->codebook_bytes)
			ret = vulkan_write(&v->base, at, f->codebook, f->codebook_bytes, err);
		at += round_up(f->codebook_bytes, 64);
	}
	return ret;
}

const struct stoker_device_ops vulkan_ops = {
	.name = "vulkan",
	.destroy = vulkan_close,
	.memory_create = vulkan_memory_create,
	.memory_destroy = vulkan_memory_destroy,
	.write = vulkan_write,
	.read = vulkan_read,
	.begin = vulkan_begin,
	.flush = vulkan_flush,
	.submit = vulkan_submit,
	.replay = vulkan_replay,
	.recording_free = vulkan_recording_free,
	.embed = embed,
	.matmul = matmul,
	.matmul_heads = matmul_heads,
	.norm = norm,
	.rope = rope,
	.kv_store = kv_store,
	.attention = attention,
	.route = route,
	.experts = experts,
	.glu = glu,
	.binary = binary,
	.scale = scale,
	.conv = conv,
	.delta_net = delta_net,
	.copy = copy,
	.argmax = argmax,
};
