// SPDX-License-Identifier: MIT
/* The feed-forward of a mixture of experts, all of them in memory or those of a wave. */
#include "device/vulkan/record.h"

/* The parts of scratch memory that the experts op uses. */
struct experts_scratch {
	stoker_address up, gate, hidden, hidden_q8, out, offsets, list;
};

struct experts_shape {
	uint64_t entries, width, embedding, experts;
	uint64_t q8; /* bytes of the hidden rows as q8, 0: they aren't kept so */
};

/* Places the parts from @base on; returns what they take. */
static uint64_t carve_experts(struct experts_scratch *s, stoker_address base,
			      const struct experts_shape *shape)
{
	const uint64_t hidden = round_up(4 * shape->entries * shape->width, 64);

	s->up = base;
	s->gate = s->up + hidden;
	s->hidden = s->gate + hidden;
	s->out = s->hidden + hidden;
	s->offsets = s->out + round_up(4 * shape->entries * shape->embedding, 64);
	s->list = s->offsets + round_up(4 * (shape->experts + 1), 64);
	s->hidden_q8 = shape->q8 ? s->list : 0;
	s->list += shape->q8;
	return s->list + 4 * shape->entries - base;
}

static struct experts_scratch place_experts(struct vulkan *v, const struct op_experts *op)
{
	const bool few = op->rows <= MATVEC_ROWS_MAX && vulkan_takes_q8(&v->base, op->down);
	const uint64_t entries = (uint64_t)op->rows * op->used;
	const struct experts_shape shape = {
		.entries = entries,
		.width = op->up->out,
		.embedding = op->down->out,
		.experts = op->up->count,
		.q8 = few ? entries * vulkan_q8_bytes(&v->base, op->down->in) : 0,
	};
	struct experts_scratch s;
	const uint64_t bytes = carve_experts(&s, 0, &shape);

	carve_experts(&s, vulkan_scratch(v, SCRATCH_EXPERTS, bytes), &shape);
	return s;
}

/* Bytes of the tables that write_tables() writes; @offsets and @list begin in them. */
static uint64_t carve_tables(uint64_t experts, uint64_t entries, uint64_t *offsets, uint64_t *list)
{
	*offsets = 3 * 8 * experts;
	*list = *offsets + 8 * (experts / 2 + 1);
	return *list + 4 * entries;
}

/* All scratch memory that ops of these shapes take, by what it is for. */
static void count_scratch(const struct stoker_device *d, const struct stoker_shapes *s,
			  uint64_t bytes[SCRATCHES])
{
	/* more rows are multiplied as floats */
	const uint64_t few = MIN(s->rows, d->q8_rows);
	const struct experts_shape shape = {
		.entries = (uint64_t)s->rows * s->used,
		.width = s->hidden,
		.embedding = s->embedding,
		.experts = s->experts,
		.q8 = few ? few * s->used * vulkan_q8_bytes(d, (uint32_t)round_up(s->hidden, 32))
			  : 0,
	};
	struct experts_scratch parts;
	uint64_t offsets, list;

	bytes[SCRATCH_Q8] = few ? few * vulkan_q8_bytes(d, (uint32_t)round_up(s->in, 32)) : 0;
	bytes[SCRATCH_EXPERTS] = s->experts ? carve_experts(&parts, 0, &shape) : 0;
	bytes[SCRATCH_TABLES] = s->tables ? carve_tables(s->experts, shape.entries, &offsets, &list)
					  : 0;
}

uint64_t vulkan_working_bytes(const struct stoker_device *d, const struct stoker_shapes *s)
{
	uint64_t bytes[SCRATCHES], sum = 0;

	count_scratch(d, s, bytes);
	for (unsigned i = 0; i < SCRATCHES; i++)
		sum += bytes[i] ? bytes[i] + 2 * VULKAN_PADDING : 0;
	return sum;
}

int vulkan_reserve(struct stoker_device *d, const struct stoker_shapes *s, struct stoker_error *err)
{
	uint64_t bytes[SCRATCHES];
	int ret = 0;

	count_scratch(d, s, bytes);
	for (unsigned i = 0; i < SCRATCHES && !ret; i++)
		ret = vulkan_scratch_reserve(vulkan_of(d), i, bytes[i], err);
	return ret;
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

	vulkan_glu(d, &both);
}

/* Few rows: each entry reads its expert's weights by itself. */
static void experts_by_row(struct stoker_device *d, const struct op_experts *op,
			   const struct experts_scratch *s)
{
	struct vulkan *v = vulkan_of(d);
	struct vulkan_rows r = { .dst = s->up,
				 .src = op->src,
				 .src_q8 = vulkan_q8_for(v, op->up, op->src, op->src_q8, op->rows),
				 .ids = op->ids,
				 .table = op->wave != NULL,
				 .rows = op->rows,
				 .choices = op->used,
				 .terms = 1,
				 .src_stride = op->up->in,
				 .dst_stride = op->used * op->up->out,
				 .dst_choice_stride = op->up->out };
	struct vulkan_rows down = { .dst = op->dst,
				    .src = s->hidden,
				    .src_q8 = s->hidden_q8,
				    .ids = op->ids,
				    .mix = op->weights,
				    .table = op->wave != NULL,
				    .rows = op->rows,
				    .choices = 1,
				    .terms = op->used,
				    .src_stride = op->used * op->down->in,
				    .src_term_stride = op->down->in,
				    .dst_stride = op->down->out };

	if (vulkan_can_gate(op->up, op->gate)) {
		r.dst = s->hidden;
		r.dst_q8 = s->hidden_q8;
		r.gate = op->gate;
		r.activation = op->activation;
		vulkan_matvec(v, op->up, &r);
	} else {
		vulkan_matvec(v, op->up, &r);
		r.dst = s->gate;
		if (op->gate->at)
			vulkan_matvec(v, op->gate, &r);
		activate(d, op, s);
		if (s->hidden_q8)
			vulkan_quantize(v, s->hidden_q8, s->hidden, op->rows * op->used,
					op->down->in);
	}
	vulkan_matvec(v, op->down, &down);
}

/* The entries in the list, and what comes of them in s->out. */
static void experts_by_list(struct stoker_device *d, const struct op_experts *op,
			    const struct experts_scratch *s)
{
	struct vulkan *v = vulkan_of(d);
	const uint32_t entries = op->rows * op->used;
	const bool table = op->wave != NULL;

	vulkan_matmul_rows(v, op->up, s->up, op->src, entries, s->list, s->offsets, op->used,
			   table);
	if (op->gate->at)
		vulkan_matmul_rows(v, op->gate, s->gate, op->src, entries, s->list, s->offsets,
				   op->used, table);
	activate(d, op, s);
	vulkan_matmul_rows(v, op->down, s->out, s->hidden, entries, s->list, s->offsets, 1, table);
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

/* What the shaders have to know of a wave, in scratch memory. */
struct wave_tables {
	stoker_address gate, up, down; /* of addresses, by expert */
	stoker_address offsets, list;  /* entries sorted by expert, and where each one's begin */
};

/* Offsets and list of the wave's entries alone, by the experts' numbers. */
static void list_entries(const struct expert_wave *wave, uint32_t experts, uint32_t *offsets,
			 uint32_t *list)
{
	uint32_t at = 0;

	memset(offsets, 0, (experts + 1) * sizeof(*offsets));
	for (uint32_t i = 0; i < wave->count; i++)
		offsets[wave->experts[i].expert] = wave->experts[i].count;
	for (uint32_t e = 0; e <= experts; e++) {
		const uint32_t count = offsets[e];

		offsets[e] = at;
		at += count;
	}
	for (uint32_t i = 0; i < wave->count; i++) {
		const struct chosen_expert *c = &wave->experts[i];

		memcpy(list + offsets[c->expert], wave->entries + c->first,
		       c->count * sizeof(*list));
	}
}

/* Where expert @e of @experts is, in tables of gates, ups and downs one behind the other. */
static void put_address(uint64_t *tables, uint32_t experts, uint32_t e,
			const struct stoker_expert *at)
{
	tables[e] = at->gate;
	tables[experts + e] = at->up;
	tables[2 * experts + e] = at->down;
}

/* Records that the shaders find the wave's experts, and its entries where they are sorted. */
static struct wave_tables write_tables(struct vulkan *v, const struct op_experts *op, bool sorted)
{
	const uint32_t experts = op->up->count;
	const uint64_t table = 8 * (uint64_t)experts;
	uint64_t offsets, list;
	const uint64_t sorted_bytes =
		carve_tables(experts, (uint64_t)op->rows * op->used, &offsets, &list);
	const uint64_t bytes = sorted ? sorted_bytes : offsets;
	AUTO_FREE uint64_t *data = calloc(bytes / 8 + 1, 8);
	struct stoker_error err;
	struct wave_tables t;

	t.gate = vulkan_scratch(v, SCRATCH_TABLES, bytes);
	t.up = t.gate + table;
	t.down = t.up + table;
	t.offsets = t.gate + offsets;
	t.list = t.gate + list;
	if (!data)
		vulkan_keep_failure(v, stoker_fail(&err, -ENOMEM, "%s: out of memory", v->name),
				    &err);
	if (vulkan_has_failed(v))
		return t;
	/* the others have no entries, but every address may be read: see push_constants.h */
	for (uint32_t e = 0; e < experts; e++)
		put_address(data, experts, e, &op->wave->experts[0].at);
	for (uint32_t i = 0; i < op->wave->count; i++)
		put_address(data, experts, op->wave->experts[i].expert, &op->wave->experts[i].at);
	if (sorted)
		list_entries(op->wave, experts, (uint32_t *)(data + offsets / 8),
			     (uint32_t *)(data + list / 8));
	vulkan_update(v, t.gate, data, bytes);
	return t;
}

/*
 * Experts wherever they are.  Few rows have all of theirs in one wave, as the sum over choices is a
 * part of the last product.
 */
static void experts_in_wave(struct stoker_device *d, const struct op_experts *op)
{
	struct vulkan *v = vulkan_of(d);
	const bool sorted = op->rows > MATVEC_ROWS_MAX;
	const struct wave_tables t = write_tables(v, op, sorted);
	struct experts_scratch s = place_experts(v, op);
	struct stoker_weight gate = *op->gate, up = *op->up, down = *op->down;
	struct op_experts part = *op;

	assert(sorted || (op->wave->first && op->wave->last));
	if (vulkan_has_failed(v))
		return;
	gate.at = gate.at ? t.gate : 0;
	up.at = t.up;
	down.at = t.down;
	part.gate = &gate;
	part.up = &up;
	part.down = &down;
	if (!sorted) {
		experts_by_row(d, &part, &s);
		return;
	}
	s.offsets = t.offsets;
	s.list = t.list;
	experts_by_list(d, &part, &s);
	if (op->wave->last)
		combine_experts(v, op, &s);
}

void vulkan_experts(struct stoker_device *d, const struct op_experts *op)
{
	struct vulkan *v = vulkan_of(d);

	if (op->wave) {
		experts_in_wave(d, op);
		return;
	}
	const struct experts_scratch s = place_experts(v, op);

	if (op->rows <= MATVEC_ROWS_MAX)
		experts_by_row(d, op, &s);
	else
		experts_grouped(d, op, &s);
}
