// SPDX-License-Identifier: MIT
/* The feed-forward of a mixture of experts, with all of them in memory or with a source of them. */
#include "device/vulkan/record.h"

/* The parts of scratch memory that the experts op uses. */
struct experts_scratch {
	stoker_address up, gate, hidden, hidden_q8, out, offsets, list;
};

static struct experts_scratch place_experts(struct vulkan *v, const struct op_experts *op)
{
	const uint64_t entries = (uint64_t)op->rows * op->used;
	const uint64_t hidden = round_up(4 * entries * op->up->out, 64);
	const uint64_t out = round_up(4 * entries * op->down->out, 64);
	const uint64_t offsets = round_up(4 * ((uint64_t)op->up->count + 1), 64);
	const bool few = op->rows <= MATVEC_ROWS_MAX && vulkan_takes_q8(&v->base, op->down);
	const uint64_t q8 = few ? entries * vulkan_q8_bytes(&v->base, op->down->in) : 0;
	struct experts_scratch s = { .up = vulkan_scratch(v, SCRATCH_EXPERTS,
							  3 * hidden + out + offsets + q8 +
								  4 * entries) };

	s.gate = s.up + hidden;
	s.hidden = s.gate + hidden;
	s.out = s.hidden + hidden;
	s.offsets = s.out + out;
	s.hidden_q8 = q8 ? s.offsets + offsets : 0;
	s.list = s.offsets + offsets + q8;
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
				 .table = op->source != NULL,
				 .rows = op->rows,
				 .slots = op->used,
				 .terms = 1,
				 .src_stride = op->up->in,
				 .dst_stride = op->used * op->up->out,
				 .dst_slot_stride = op->up->out };
	struct vulkan_rows down = { .dst = op->dst,
				    .src = s->hidden,
				    .src_q8 = s->hidden_q8,
				    .ids = op->ids,
				    .mix = op->weights,
				    .table = op->source != NULL,
				    .rows = op->rows,
				    .slots = 1,
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
	const bool table = op->source != NULL;

	vulkan_product(v, op->up, s->up, op->src, entries, s->list, s->offsets, op->used, table);
	if (op->gate->at)
		vulkan_product(v, op->gate, s->gate, op->src, entries, s->list, s->offsets,
			       op->used, table);
	activate(d, op, s);
	vulkan_product(v, op->down, s->out, s->hidden, entries, s->list, s->offsets, 1, table);
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

static void write_memory(struct vulkan *v, stoker_address at, const void *data, uint64_t bytes)
{
	struct stoker_error err;

	if (!vulkan_has_failed(v))
		vulkan_keep_failure(v, vulkan_write(&v->base, at, data, bytes, &err), &err);
}

/* Waits for @count wanted experts and tells the shaders where they are. */
static void fill_tables(struct paged_experts *p, const uint32_t *experts, uint32_t count)
{
	struct vulkan *v = vulkan_of(p->d);
	const uint64_t table = 8 * (uint64_t)p->whole->up->count;
	struct stoker_error err;

	for (uint32_t i = 0; i < count && !vulkan_has_failed(v); i++) {
		struct stoker_expert at;

		vulkan_keep_failure(
			v, p->whole->source->get(p->whole->source, experts[i], &at, &err), &err);
		if (vulkan_has_failed(v))
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
	struct stoker_error err;

	p->op.rows = 1;
	for (uint32_t row = 0; row < op->rows && !vulkan_has_failed(v); row++) {
		const uint32_t *experts = ids + row * op->used;
		uint32_t taken = 0, more = 1;
		const struct experts_scratch s = place_experts(v, &p->op);

		for (; taken < op->used && more; taken += more)
			more = op->source->want(op->source, experts + taken, op->used - taken);
		if (taken < op->used)
			vulkan_keep_failure(v,
					    stoker_fail(&err, -ENOMEM,
							"%s: slots for %u of %u experts", v->name,
							taken, op->used),
					    &err);
		fill_tables(p, experts, taken);
		p->op.dst = op->dst + 4 * (uint64_t)row * op->down->out;
		p->op.src = op->src + 4 * (uint64_t)row * op->up->in;
		p->op.src_q8 = op->src_q8 ? op->src_q8 + row * vulkan_q8_bytes(p->d, op->up->in)
					  : 0;
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
	struct stoker_error err;
	int ret;

	if (!all) {
		ret = stoker_fail(&err, -ENOMEM, "%s: out of memory", v->name);
		vulkan_keep_failure(v, ret, &err);
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
	for (uint32_t done = 0, taken; done < active_count && !vulkan_has_failed(v);
	     done += taken) {
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

/* Lets a source know what was foreseen, as soon as that is computed. */
static void hand_over(struct vulkan *v)
{
	const struct op_foresee op = v->foreseen;
	AUTO_FREE uint32_t *ids = op.source ? malloc(op.count * sizeof(*ids)) : NULL;
	struct stoker_error err;

	v->foreseen.source = NULL;
	/* it's only advice: without memory it's left */
	if (ids && !vulkan_read(&v->base, ids, op.ids, op.count * sizeof(*ids), &err))
		op.source->foresee(op.source, ids, op.count, op.now);
}

void vulkan_foresee(struct stoker_device *d, const struct op_foresee *op)
{
	struct vulkan *v = vulkan_of(d);

	v->foreseen = *op;
	if (!op->now)
		return; /* the layer in between has to wait for its own experts, too */
	vulkan_sync(v);
	if (!vulkan_has_failed(v))
		hand_over(v);
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

	if (!ids)
		vulkan_keep_failure(v, stoker_fail(&err, -ENOMEM, "%s: out of memory", v->name),
				    &err);
	vulkan_sync(v); /* the router's choice has to be there */
	if (vulkan_has_failed(v))
		return;
	hand_over(v);
	vulkan_keep_failure(
		v, vulkan_read(d, ids, op->ids, (uint64_t)op->rows * op->used * sizeof(*ids), &err),
		&err);
	p.gate.at = op->gate->at ? p.tables : 0;
	p.up.at = p.tables + table;
	p.down.at = p.tables + 2 * table;
	p.op.gate = &p.gate;
	p.op.up = &p.up;
	p.op.down = &p.down;
	if (vulkan_has_failed(v))
		return;
	if (op->rows <= MATVEC_ROWS_MAX)
		page_by_row(&p, ids);
	else
		page_by_expert(&p, ids);
}

void vulkan_experts(struct stoker_device *d, const struct op_experts *op)
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
