// SPDX-License-Identifier: MIT
/*
 * stoker quantize --size: the format of each matrix with which the file keeps to a size and
 * diverges least from the input.
 *
 * Of each matrix some rows are written in each format and read again.  The error is that of what
 * the matrix makes: squared differences weighted with the importance of their columns, as a share
 * of the same sum over the weights themselves.  To the logits' divergence matrices are taken to
 * contribute by their error times a factor for their kind, and these to add up (A40 orders by such
 * products). What is smallest for a sum of bytes is then found with a price a byte: every matrix
 * takes the format with the least divergence plus price, and the price is the one with which all of
 * them fit.  A matrix that is a large part of the file, as embeddings are, would leave much of the
 * size unused that way: each of its formats is tried with what is then best for the others.
 */
#include "progress.h"
#include "quantize/budget.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_VALUES = 1 << 16, MOST_TO_EXCHANGE = 400 };

/* Formats that are the best of their size for some matrix; the input's own is the last resort. */
static const char *const names[] = { "F16",    "Q8_0",	 "Q6_K",    "Q5_1",    "Q5_K",
				     "Q5_0",   "Q4_1",	 "Q4_K",    "IQ4_NL",  "Q4_0",
				     "IQ4_XS", "Q3_K",	 "IQ3_S",   "IQ3_XXS", "Q2_K",
				     "IQ2_S",  "IQ2_XS", "IQ2_XXS", "IQ1_M",   "IQ1_S" };
enum { CANDIDATES = sizeof(names) / sizeof(*names) + 1 };

/* What a format would cost a tensor. */
struct option_cost {
	const struct stoker_format *format; /* NULL: it isn't to be had */
	uint64_t bytes;
	double divergence;
};

struct priced {
	struct planned *planned;
	struct option_cost options[CANDIDATES];
	const struct option_cost *chosen;
	const struct option_cost *pinned; /* is chosen at every price */
	const struct option_cost *best;	  /* of what was tried */
};

struct measurement {
	const struct plan *plan;
	struct priced *list;
	size_t count;
	double bits; /* a weight that the size allows */
	pthread_mutex_t lock;
	size_t next, done;
	int failed;
	struct stoker_error err;
	struct progress line;
};

/*
 * How much the logits diverge by a share of error in all matrices of a kind: the Kullback-Leibler
 * divergence by the error, in Q4_0 made of F16, over one context of SmolLM2 135M and of Gemma 3
 * 270M, gates and queries of the former alone.  Kinds that both lack are taken for like their
 * neighbours.
 *
 * The error is that of what is written.  Where no column's importance is known, the encoders of
 * Q4_0, Q3_K and Q2_K don't make it smallest but keep to large values.  In the down projections of
 * SmolLM2 135M Q3_K has 1.34 times the error of IQ3_S and 1.35 times the divergence: as it should
 * be.  Q2_K has 1.35 times the error of IQ2_S but 0.64 times the divergence, so it is thought worse
 * than it is; by how much is another thing in each model, and there is no factor for it.
 */
static const struct {
	unsigned kinds;
	double divergence;
} factors[] = {
	{ KIND_VALUE, 15 },
	{ KIND_DOWN, 12 },
	{ KIND_OUTPUT, 13 },
	{ KIND_UP, 8 },
	{ KIND_GATE | KIND_ATTENTION_OUTPUT | KIND_EMBEDDING, 3 },
	{ KIND_QUERY | KIND_KEY, 2.5 },
	{ KIND_OTHER, 8 },
};

/* A layer has its part of that, by the weights of the kind that are in it. */
static double factor_of(const struct plan *p, const struct planned *t)
{
	double own = 0, all = 0, factor = 0;

	for (size_t i = 0; i < sizeof(factors) / sizeof(*factors); i++)
		if (factors[i].kinds & (unsigned)t->kind)
			factor = factors[i].divergence;
	for (size_t i = 0; i < p->count; i++) {
		const uint64_t *ne = p->tensors[i].tensor->ne;
		const double values = (double)ne[0] * (double)ne[1] * (double)ne[2] * (double)ne[3];

		if (!p->tensors[i].quantized || p->tensors[i].kind != t->kind)
			continue;
		all += values;
		if (&p->tensors[i] == t)
			own = values;
	}
	return factor * own / all;
}

static double bits_of(const struct planned *t, const struct stoker_format *f)
{
	return 8 * (double)stoker_format_bytes(f, t->tensor->ne[0]) / (double)t->tensor->ne[0];
}

/* With what the file has behind it. */
static uint64_t padded(uint64_t bytes)
{
	return (bytes + 31) / 32 * 32;
}

static struct option_cost as_it_is(const struct planned *t)
{
	return (struct option_cost){ .format = t->tensor->format,
				     .bytes = padded(planned_bytes(t, t->tensor->format)) };
}

/* Formats whose blocks fit, which aren't far off what the size allows. */
static size_t list_options(const struct measurement *m, struct priced *x)
{
	const struct planned *t = x->planned;
	size_t count = 0;

	x->options[count++] = as_it_is(t);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct stoker_format *f = stoker_format_by_name(names[i]);

		if (!stoker_format_can_encode(f) ||
		    t->tensor->ne[0] % stoker_format_block_values(f) ||
		    bits_of(t, f) >= bits_of(t, t->tensor->format) ||
		    bits_of(t, f) < 0.45 * m->bits)
			continue;
		x->options[count++] =
			(struct option_cost){ .format = f, .bytes = padded(planned_bytes(t, f)) };
	}
	return count;
}

struct sample {
	float *values, *again;
	uint8_t *src, *blocks;
	uint64_t rows;
};

static void free_sample(struct sample *s)
{
	free(s->values);
	free(s->again);
	free(s->src);
	free(s->blocks);
}

/* Rows of all of the tensor, equally far apart. */
static int read_sample(const struct plan *p, const struct planned *t, struct sample *s,
		       struct stoker_error *err)
{
	const uint64_t *ne = t->tensor->ne, columns = ne[0], rows = ne[1] * ne[2] * ne[3];
	const uint64_t row_bytes = stoker_format_bytes(t->tensor->format, columns);
	uint64_t count = SAMPLE_VALUES / columns;

	count = count < 4 ? 4 : count;
	s->rows = count < rows ? count : rows;
	s->values = malloc(s->rows * columns * sizeof(float));
	s->again = malloc(columns * sizeof(float));
	s->src = malloc(row_bytes);
	s->blocks = malloc(columns * sizeof(float));
	if (!s->values || !s->again || !s->src || !s->blocks) {
		snprintf(err->message, sizeof(err->message), "tensor %s: out of memory",
			 t->tensor->name);
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < s->rows; i++) {
		const uint64_t row = i * rows / s->rows;
		const int ret =
			stoker_gguf_read(p->in, t->tensor, row * row_bytes, s->src, row_bytes, err);

		if (ret)
			return ret;
		stoker_format_decode(t->tensor->format, s->src, s->values + i * columns, columns);
	}
	return 0;
}

/* The share of the error in what the matrix makes. */
static int measure_format(const struct planned *t, const struct sample *s,
			  const struct stoker_format *f, double *share)
{
	const uint64_t *ne = t->tensor->ne, columns = ne[0], rows = ne[1] * ne[2] * ne[3];
	double error = 0, all = 0;

	for (uint64_t i = 0; i < s->rows; i++) {
		const uint64_t matrix = i * rows / s->rows / ne[1];
		const float *x = s->values + i * columns;
		const float *importance = t->importance ? t->importance + matrix * columns : NULL;
		const int ret = stoker_format_encode_rows(f, x, importance, 1, columns, s->blocks);

		if (ret)
			return ret;
		stoker_format_decode(f, s->blocks, s->again, columns);
		for (uint64_t c = 0; c < columns; c++) {
			const double w = importance ? (double)importance[c] : 1;
			const double difference = (double)x[c] - (double)s->again[c];

			error += w * difference * difference;
			all += w * (double)x[c] * (double)x[c];
		}
	}
	*share = all > 0 ? error / all : 0;
	return 0;
}

static int measure(struct measurement *m, struct priced *x, struct stoker_error *err)
{
	const size_t count = list_options(m, x);
	struct sample s = { 0 };
	int ret = read_sample(m->plan, x->planned, &s, err);

	const double factor = factor_of(m->plan, x->planned);

	/* the first is the input's own, which doesn't diverge */
	for (size_t i = 1; i < count && !ret; i++) {
		double share = 0;

		ret = interrupted() ? -ECANCELED
				    : measure_format(x->planned, &s, x->options[i].format, &share);
		/* what is too large for half a float becomes infinite */
		x->options[i].divergence = isfinite(share) ? factor * share : INFINITY;
		if (ret == -ERANGE)
			snprintf(err->message, sizeof(err->message), "tensor %s isn't finite",
				 x->planned->tensor->name);
		else if (ret)
			snprintf(err->message, sizeof(err->message),
				 "tensor %s can't be measured as %s", x->planned->tensor->name,
				 stoker_format_name(x->options[i].format));
	}
	free_sample(&s);
	return ret;
}

static void *work(void *argument)
{
	struct measurement *m = argument;

	pthread_mutex_lock(&m->lock);
	while (m->next < m->count && !m->failed) {
		struct stoker_error err;
		struct priced *x = &m->list[m->next++];

		pthread_mutex_unlock(&m->lock);
		const int ret = measure(m, x, &err);

		pthread_mutex_lock(&m->lock);
		m->done++;
		if (ret && !m->failed) {
			m->failed = ret;
			m->err = err;
		}
		progress_show(&m->line, "measuring formats: %zu of %zu tensors, %s", m->done,
			      m->count, x->planned->tensor->name);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static int measure_all(struct measurement *m, unsigned threads)
{
	pthread_t ids[QUANTIZE_MAX_THREADS];
	unsigned started = 0;

	progress_begin(&m->line);
	while (started + 1 < threads && !pthread_create(&ids[started], NULL, work, m))
		started++;
	work(m);
	while (started)
		pthread_join(ids[--started], NULL);
	progress_end(&m->line);
	if (m->failed == -ECANCELED)
		return EXIT_INTERRUPTED;
	return m->failed ? fail(&m->err) : EXIT_OK;
}

/* There is room for the input's own. */
static void keep_all(struct measurement *m)
{
	for (struct priced *x = m->list; x < m->list + m->count; x++) {
		x->options[0] = as_it_is(x->planned);
		x->chosen = x->options;
	}
}

/* Takes for each tensor what is best at a price a byte; returns the sum of bytes. */
static uint64_t choose_at(struct measurement *m, double price)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < m->count; i++) {
		struct priced *x = &m->list[i];
		double least = INFINITY;

		x->chosen = x->pinned;
		for (const struct option_cost *o = x->options;
		     o < x->options + CANDIDATES && o->format && !x->pinned; o++) {
			const double cost = o->divergence + price * (double)o->bytes;

			if (cost < least) {
				least = cost;
				x->chosen = o;
			}
		}
		bytes += x->chosen->bytes;
	}
	return bytes;
}

/* What is left goes where a byte brings the most, as long as anything fits. */
static void spend(struct measurement *m, uint64_t left)
{
	for (;;) {
		struct priced *best = NULL;
		const struct option_cost *better = NULL;
		double most = 0;

		for (size_t i = 0; i < m->count; i++) {
			struct priced *x = &m->list[i];

			for (const struct option_cost *o = x->options;
			     o < x->options + CANDIDATES && o->format && !x->pinned; o++) {
				const double gain = x->chosen->divergence - o->divergence;

				if (o->bytes <= x->chosen->bytes ||
				    o->bytes - x->chosen->bytes > left ||
				    gain / (double)(o->bytes - x->chosen->bytes) <= most)
					continue;
				most = gain / (double)(o->bytes - x->chosen->bytes);
				best = x;
				better = o;
			}
		}
		if (!best || interrupted())
			return;
		left -= better->bytes - best->chosen->bytes;
		best->chosen = better;
	}
}

/*
 * One matrix better and, where there is no room for that, another one worse, if that is less in
 * all; the exchange that brings the most.
 */
static bool exchange(struct measurement *m, uint64_t *left)
{
	struct priced *up = NULL, *down = NULL;
	const struct option_cost *better = NULL, *worse = NULL;
	double most = 0;

	for (struct priced *x = m->list; x < m->list + m->count && !interrupted(); x++)
		for (const struct option_cost *o = x->options;
		     o < x->options + CANDIDATES && o->format; o++) {
			const double gain = x->chosen->divergence - o->divergence;

			if (gain <= most)
				continue;
			for (struct priced *y = m->list; y < m->list + m->count; y++)
				for (const struct option_cost *q = y->options;
				     q < y->options + CANDIDATES && q->format; q++) {
					const double net =
						gain - (q->divergence - y->chosen->divergence);

					if (y == x || net <= most ||
					    o->bytes + q->bytes >
						    x->chosen->bytes + y->chosen->bytes + *left)
						continue;
					most = net;
					up = x;
					better = o;
					down = y;
					worse = q;
				}
		}
	if (!up)
		return false;
	*left += up->chosen->bytes + down->chosen->bytes - better->bytes - worse->bytes;
	up->chosen = better;
	down->chosen = worse;
	return true;
}

static double divergence_of(const struct measurement *m)
{
	double sum = 0;

	for (size_t i = 0; i < m->count; i++)
		sum += m->list[i].chosen->divergence;
	return sum;
}

/* The best that fits beside what is pinned, kept if it is better than *@least. */
static void choose_others(struct measurement *m, uint64_t room, double *least)
{
	double low = 1e-18, high = 1;

	/* nothing diverges less than not at all */
	if (*least <= 0 || interrupted() || choose_at(m, high) > room)
		return;
	progress_show(&m->line, "choosing formats: expected divergence %.5f", *least);
	for (int step = 0; step < 48; step++) {
		const double price = sqrt(low * high);

		if (choose_at(m, price) > room)
			low = price;
		else
			high = price;
	}
	spend(m, room - choose_at(m, high));
	const double divergence = divergence_of(m);

	if (divergence >= *least)
		return;
	*least = divergence;
	for (size_t i = 0; i < m->count; i++)
		m->list[i].best = m->list[i].chosen;
}

/* The largest matrix but @other, if it is a sixteenth of all or more. */
static struct priced *find_large(const struct measurement *m, const struct priced *other)
{
	struct priced *large = NULL;
	uint64_t all = 0;

	for (size_t i = 0; i < m->count; i++) {
		struct priced *x = &m->list[i];

		all += x->options->bytes;
		if (x != other && (!large || x->options->bytes > large->options->bytes))
			large = x;
	}
	return large && large->options->bytes >= all / 16 ? large : NULL;
}

/* Each format of the large ones, of which there are two at most, with the best for the others. */
static void try_large(struct measurement *m, struct priced *first, struct priced *second,
		      uint64_t room, double *least)
{
	if (!first) {
		choose_others(m, room, least);
		return;
	}
	for (const struct option_cost *o = first->options;
	     o < first->options + CANDIDATES && o->format; o++) {
		first->pinned = o;
		try_large(m, second, NULL, room, least);
	}
	first->pinned = NULL;
}

static int choose(struct measurement *m, uint64_t room)
{
	struct priced *first = find_large(m, NULL), *second = first ? find_large(m, first) : NULL;
	char smallest[16], given[16];
	const uint64_t bytes = choose_at(m, 1);
	uint64_t left = room;
	int rounds = 50;
	double least = INFINITY;

	if (bytes > room)
		return failf("matrices take %s at least, --size leaves %s for them",
			     human_size(bytes, smallest), human_size(room, given));
	progress_begin(&m->line);
	choose_others(m, room, &least);
	try_large(m, first, second, room, &least);
	for (size_t i = 0; i < m->count; i++)
		if (m->list[i].best)
			m->list[i].chosen = m->list[i].best;
	for (size_t i = 0; i < m->count; i++)
		left -= m->list[i].chosen->bytes;
	/* of more matrices each is so small a part that there is little to gain */
	while (m->count <= MOST_TO_EXCHANGE && rounds-- > 0 && divergence_of(m) > 0 &&
	       exchange(m, &left))
		progress_show(&m->line, "choosing formats: expected divergence %.5f",
			      divergence_of(m));
	progress_end(&m->line);
	return interrupted() ? EXIT_INTERRUPTED : EXIT_OK;
}

/* The format of most bytes is what the file is said to be of. */
static void settle(struct plan *p, const struct measurement *m)
{
	uint64_t most = 0;

	p->divergence = 0;
	for (size_t i = 0; i < m->count; i++) {
		const struct priced *x = &m->list[i];
		uint64_t bytes = 0;

		x->planned->to = x->chosen->format;
		p->divergence += x->chosen->divergence;
		for (size_t k = 0; k < m->count; k++)
			if (m->list[k].chosen->format == x->chosen->format)
				bytes += m->list[k].chosen->bytes;
		if (bytes > most) {
			most = bytes;
			p->file_type = stoker_format_file_type(x->chosen->format);
		}
	}
}

/* What the command line leaves open goes to the list; the bytes of all else. */
static uint64_t list_open(struct measurement *m, double *values, uint64_t *as_they_are)
{
	uint64_t fixed = 0;

	for (size_t i = 0; i < m->plan->count; i++) {
		struct planned *t = &m->plan->tensors[i];
		const struct stoker_format *own = t->tensor->format;
		const uint64_t *ne = t->tensor->ne;

		if (t->quantized && !t->forced) {
			m->list[m->count++].planned = t;
			*values += (double)ne[0] * (double)ne[1] * (double)ne[2] * (double)ne[3];
			*as_they_are += padded(planned_bytes(t, own));
		} else {
			/* of --tensor's type rows may not be whole blocks */
			fixed += padded(
				planned_bytes(t, t->to == own ? own : fitting_format(t, t->to)));
		}
	}
	return fixed;
}

static int measure_and_choose(struct measurement *m, uint64_t room, double values, unsigned threads)
{
	m->bits = 8 * (double)room / (values > 0 ? values : 1);

	const int status = measure_all(m, threads);

	return status ? status : choose(m, room);
}

int plan_by_size(struct plan *p, uint64_t size, uint64_t head, unsigned threads)
{
	struct measurement m = { .plan = p, .lock = PTHREAD_MUTEX_INITIALIZER };
	uint64_t as_they_are = 0;
	double values = 0;
	char text[16];
	int status = EXIT_OK;

	m.list = calloc(p->count + 1, sizeof(*m.list));
	if (!m.list)
		return failf("out of memory");
	const uint64_t fixed = head + list_open(&m, &values, &as_they_are);

	if (fixed > size)
		status = failf("all but matrices takes %s already", human_size(fixed, text));
	else if (as_they_are <= size - fixed)
		keep_all(&m);
	else
		status = measure_and_choose(&m, size - fixed, values, threads);
	if (!status)
		settle(p, &m);
	free(m.list);
	return status;
}
