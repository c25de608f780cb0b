// SPDX-License-Identifier: MIT
/*
 * stoker pack: a model whose experts each lie in one piece, so that paging reads it at once.  The
 * matrices become tensors of their own, blk.0.ffn_gate.0.weight, blk.0.ffn_up.0.weight and so on,
 * in that order; all data is aligned to a drive's blocks.
 */
#include "progress.h"
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, COPY_BYTES = 1 << 22, PARTS_MAX = 4, LAYERS_MAX = 1024, EXPERTS_MAX = 4096 };

/* In the order in which an expert is computed. */
static const char *const parts[PARTS_MAX] = { "gate", "gate_up", "up", "down" };

struct packing {
	const struct stoker_gguf *in;
	struct stoker_gguf_writer *out;
	uint8_t *buffer;
	uint64_t done, total;
	struct progress line;
	struct stoker_error err;
};

static const struct stoker_gguf_tensor *expert_of(const struct stoker_gguf *in, uint32_t layer,
						  int part, uint64_t expert)
{
	char name[80];

	snprintf(name, sizeof(name), "blk.%u.ffn_%s.%llu.weight", layer, parts[part],
		 (unsigned long long)expert);
	return stoker_gguf_find_tensor(in, name);
}

/*
 * The matrices of a layer's experts in one tensor, or the first of those that are tensors of their
 * own, as old converters write them; NULL: there are none.
 */
static const struct stoker_gguf_tensor *experts_of(const struct stoker_gguf *in, uint32_t layer,
						   int part, uint64_t *experts)
{
	const struct stoker_gguf_tensor *t;
	char name[64];

	snprintf(name, sizeof(name), "blk.%u.ffn_%s_exps.weight", layer, parts[part]);
	t = stoker_gguf_find_tensor(in, name);
	*experts = t ? t->ne[2] : 0;
	if (t && *experts > 1)
		return t;
	for (*experts = 0; *experts < EXPERTS_MAX && expert_of(in, layer, part, *experts);)
		++*experts;
	return *experts > 1 ? expert_of(in, layer, part, 0) : NULL;
}

static bool is_expert(const struct stoker_gguf *in, const struct stoker_gguf_tensor *t)
{
	uint64_t experts;
	unsigned layer, expert;

	if (sscanf(t->name, "blk.%u.", &layer) != 1 || layer >= LAYERS_MAX)
		return false;
	if (sscanf(t->name, "blk.%*u.ffn_%*[a-z_].%u.", &expert) != 1)
		expert = 0;
	for (int part = 0; part < PARTS_MAX; part++)
		if ((t->ne[2] > 1 || expert_of(in, layer, part, expert) == t) &&
		    experts_of(in, layer, part, &experts) && expert < experts &&
		    (t->ne[2] == 1 || experts_of(in, layer, part, &experts) == t))
			return true;
	return false;
}

/* One more than the last layer with experts. */
static uint32_t layers_of(const struct stoker_gguf *in)
{
	uint32_t count = 0;
	unsigned layer;

	for (size_t i = 0; i < stoker_gguf_tensor_count(in); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(in, i);

		if (is_expert(in, t) && sscanf(t->name, "blk.%u.", &layer) == 1 && layer >= count)
			count = layer + 1;
	}
	return count;
}

static int copy(struct packing *p, const struct stoker_gguf_tensor *t, uint64_t at, uint64_t bytes)
{
	for (uint64_t end = at + bytes, n; at < end; at += n) {
		n = end - at < COPY_BYTES ? end - at : COPY_BYTES;
		if (interrupted())
			return EXIT_INTERRUPTED;
		if (stoker_gguf_read(p->in, t, at, p->buffer, n, &p->err) ||
		    stoker_gguf_writer_write(p->out, p->buffer, n, &p->err))
			return fail(&p->err);
		p->done += n;
		progress_show(&p->line, "packing: %3.0f %%, %s",
			      100.0 * (double)p->done / (double)p->total, t->name);
	}
	return EXIT_OK;
}

/* A row of the table, or the data, of one matrix, which is in @of or a tensor of its own. */
static int add_expert(struct packing *p, const struct stoker_gguf_tensor *of, uint32_t layer,
		      int part, uint64_t e, bool data)
{
	const struct stoker_gguf_tensor *own = of->ne[2] > 1 ? NULL
							     : expert_of(p->in, layer, part, e);
	const uint64_t bytes = own ? own->bytes : of->bytes / of->ne[2];
	char name[64];

	if (data)
		return copy(p, own ? own : of, own ? 0 : e * bytes, bytes);
	snprintf(name, sizeof(name), "blk.%u.ffn_%s.%llu.weight", layer, parts[part],
		 (unsigned long long)e);
	stoker_gguf_writer_put_tensor(p->out, name, own ? own->format : of->format, 2,
				      own ? own->ne : of->ne);
	return EXIT_OK;
}

/* A row of the table for each expert's matrices, or their data. */
static int walk_experts(struct packing *p, bool data)
{
	const uint32_t layers = layers_of(p->in);
	int status = EXIT_OK;

	for (uint32_t layer = 0; layer < layers && !status; layer++) {
		const struct stoker_gguf_tensor *t[PARTS_MAX];
		uint64_t experts = 0, own;

		for (int part = 0; part < PARTS_MAX; part++) {
			t[part] = experts_of(p->in, layer, part, &own);
			if (!t[part])
				continue;
			if (experts && own != experts)
				return failf("%s: %llu experts, others of the layer have %llu",
					     t[part]->name, (unsigned long long)own,
					     (unsigned long long)experts);
			experts = own;
		}
		for (uint64_t e = 0; e < experts && !status; e++)
			for (int part = 0; part < PARTS_MAX && !status; part++)
				if (t[part])
					status = add_expert(p, t[part], layer, part, e, data);
	}
	return status;
}

static int pack(struct packing *p)
{
	const size_t count = stoker_gguf_tensor_count(p->in);
	int status;

	remove_on_signal(stoker_gguf_writer_part(p->out));
	copy_keys(p->in, p->out, false);
	stoker_gguf_writer_put_alignment(p->out, BLOCK);
	for (size_t i = 0; i < count; i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(p->in, i);

		p->total += t->bytes;
		if (!is_expert(p->in, t))
			stoker_gguf_writer_put_tensor(p->out, t->name, t->format, t->dimensions,
						      t->ne);
	}
	progress_begin(&p->line);
	status = walk_experts(p, false);
	for (size_t i = 0; i < count && !status; i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(p->in, i);

		if (!is_expert(p->in, t))
			status = copy(p, t, 0, t->bytes);
	}
	if (!status)
		status = walk_experts(p, true);
	progress_end(&p->line);
	return status;
}

int verb_pack(int argc, char **argv)
{
	const char *model = NULL;
	const struct option options[] = { MODEL_OPTION(&model), { 0 } };
	const struct usage usage = {
		.synopsis = "pack IN OUT",
		.description = "Writes a mixture of experts so that each expert is one piece of "
			       "the file, which a drive reads at once. Only for stoker; a model "
			       "doesn't have to be packed to be paged.",
		.options = options,
		.operands_min = 1,
		.operands_max = 1,
		.model = &model,
	};
	struct stoker_gguf *in = NULL;
	struct packing p = { .done = 0 };
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	cancel_on_interrupt(NULL);
	if (stoker_gguf_open(model, &in, &p.err))
		return fail(&p.err);
	warn_of_holes(in);
	p.in = in;
	p.buffer = malloc(COPY_BYTES);
	if (is_input(in, argv[1]))
		status = failf("%s: is the input", argv[1]);
	else if (!layers_of(in))
		status = failf("%s: has no experts to pack", model);
	else if (!p.buffer)
		status = failf("out of memory");
	else if (stoker_gguf_writer_open(argv[1], &p.out, &p.err))
		status = fail(&p.err);
	else
		status = pack(&p);
	remove_on_signal(NULL);
	if (stoker_gguf_writer_finish(&p.out, status == EXIT_OK, &p.err) && !status)
		status = fail(&p.err);
	stoker_gguf_close(&in);
	free(p.buffer);
	return status;
}
