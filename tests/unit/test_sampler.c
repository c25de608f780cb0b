// SPDX-License-Identifier: MIT
/* The stages of sampling beside plain references, which sort everything and compute in doubles. */
#include "unit.h"

#include "session/sampling.h"

enum { MOST = 3000 };

struct plain {
	double logit, p, order;
	uint32_t token;
};

static int by_logit(const void *a, const void *b)
{
	const struct plain *x = a, *y = b;

	return x->logit != y->logit ? (x->logit < y->logit ? 1 : -1) : x->token < y->token ? -1 : 1;
}

static int by_order(const void *a, const void *b)
{
	const double x = ((const struct plain *)a)->order, y = ((const struct plain *)b)->order;

	return x != y ? (x > y ? 1 : -1) : by_logit(a, b);
}

/* Sorts, and fills in probabilities; returns the entropy. */
static double softmax(struct plain *list, size_t n)
{
	double sum = 0, entropy = 0;

	qsort(list, n, sizeof(*list), by_logit);
	for (size_t i = 0; i < n; i++)
		sum += exp(list[i].logit - list[0].logit);
	for (size_t i = 0; i < n; i++) {
		list[i].p = exp(list[i].logit - list[0].logit) / sum;
		entropy -= list[i].p > 0 ? list[i].p * log(list[i].p) : 0;
	}
	return entropy;
}

static size_t plain_xtc(const struct stoker_sampler_params *p, struct plain *list, size_t n)
{
	size_t likely = 0;

	while (likely < n && list[likely].p >= (double)p->xtc_threshold)
		likely++;
	if (likely < 2)
		return n;
	memmove(list, list + likely - 1, (n - likely + 1) * sizeof(*list));
	return n - likely + 1;
}

static size_t plain_sigma(const struct stoker_sampler_params *p, const struct plain *list, size_t n)
{
	double mean = 0, deviation = 0;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		mean += list[i].logit / (double)n;
	for (size_t i = 0; i < n; i++)
		deviation += pow(list[i].logit - mean, 2) / (double)n;
	deviation = sqrt(deviation);
	while (kept < n && list[kept].logit >= list[0].logit - (double)p->top_n_sigma * deviation)
		kept++;
	return kept;
}

/* One stage on a list; returns how many are left, the most likely first. */
static size_t plain_stage(const struct stoker_sampler_params *p, int stage, struct plain *list,
			  size_t n)
{
	const double entropy = softmax(list, n);
	double sum = 0, t = (double)p->temperature;
	size_t kept = 0;

	switch (stage) {
	case STOKER_STAGE_TOP_N_SIGMA:
		return plain_sigma(p, list, n);
	case STOKER_STAGE_TOP_K:
		return p->top_k && p->top_k < n ? p->top_k : n;
	case STOKER_STAGE_TYPICAL:
		for (size_t i = 0; i < n; i++)
			list[i].order = fabs(-log(list[i].p) - entropy);
		qsort(list, n, sizeof(*list), by_order);
		while (kept < n && sum <= (double)p->typical_p)
			sum += list[kept++].p;
		return kept;
	case STOKER_STAGE_TOP_P:
		while (kept < n && sum < (double)p->top_p)
			sum += list[kept++].p;
		return kept;
	case STOKER_STAGE_MIN_P:
		while (kept < n && list[kept].p >= (double)p->min_p * list[0].p)
			kept++;
		return kept;
	case STOKER_STAGE_XTC:
		return plain_xtc(p, list, n);
	case STOKER_STAGE_TEMPERATURE:
		if (p->dynamic_range > 0 && n > 1) {
			const double least = fmax(0, t - (double)p->dynamic_range);

			t = least +
			    (t + (double)p->dynamic_range - least) *
				    pow(entropy / log((double)n), (double)p->dynamic_exponent);
		}
		for (size_t i = 0; i < n; i++)
			list[i].logit /= t;
	}
	return n;
}

static int run_stage(const struct stoker_sampler_params *p, int stage, struct candidates *c)
{
	uint64_t random = 1;

	switch (stage) {
	case STOKER_STAGE_TOP_N_SIGMA:
		return cut_top_n_sigma(p, c);
	case STOKER_STAGE_TOP_K:
		return candidates_keep(c, p->top_k);
	case STOKER_STAGE_TYPICAL:
		return cut_typical(p, c);
	case STOKER_STAGE_TOP_P:
		return cut_top_p(p, c);
	case STOKER_STAGE_MIN_P:
		return cut_min_p(p, c);
	case STOKER_STAGE_XTC:
		return cut_xtc(p, c, &random);
	default:
		return even_out(p, c);
	}
}

static double gauss(void)
{
	const double u = ((double)random_u32() + 1) / 4294967297.0, v = (double)random_u32();

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v / 4294967296.0);
}

/* Vocabularies of all kinds: spread, nearly flat, a few that stand out, many equal, with gaps. */
static void random_logits(float *logits, uint32_t n, unsigned kind)
{
	for (uint32_t i = 0; i < n; i++) {
		switch (kind % 5) {
		case 0:
			logits[i] = (float)(3 * gauss());
			break;
		case 1:
			logits[i] = (float)(100 + 0.01 * gauss());
			break;
		case 2:
			logits[i] = (float)(gauss() - (random_u32() % 100 ? 30 : 0));
			break;
		case 3:
			logits[i] = (float)(random_u32() % 5) - 2;
			break;
		default:
			logits[i] = random_u32() % 3   ? (float)gauss()
				    : random_u32() % 2 ? NAN
						       : -INFINITY;
		}
	}
	logits[random_u32() % n] = 3;
}

static size_t plain_list(struct plain *list, const float *logits, uint32_t n)
{
	size_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		if (isfinite(logits[i]))
			list[count++] = (struct plain){ .logit = (double)logits[i], .token = i };
	return count;
}

/* The same tokens are left, with the same probabilities; logits have the precision of floats. */
static bool agree(struct candidates *c, struct plain *list, size_t n)
{
	static double shares[MOST];
	double total;

	if (!c->listed)
		candidates_above(c, -INFINITY);
	if (c->count != n)
		return false;
	total = candidates_weigh(c);
	softmax(list, n);
	for (size_t i = 0; i < MOST; i++)
		shares[i] = -1;
	for (size_t i = 0; i < n; i++)
		shares[c->list[i].token] = (double)c->list[i].weight / total;
	for (size_t i = 0; i < n; i++) {
		const double rounded = 2e-7 * (fabs(list[0].logit) + fabs(list[i].logit));

		if (fabs(shares[list[i].token] - list[i].p) > (1e-5 + rounded) * list[i].p + 1e-9)
			return false;
	}
	return true;
}

static void random_params(struct stoker_sampler_params *p)
{
	stoker_sampler_defaults(p);
	p->temperature = 0.1f + 0.01f * (float)(random_u32() % 300);
	p->top_k = 1 + random_u32() % (random_u32() % 2 ? 100 : MOST);
	p->top_p = 0.001f * (float)(1 + random_u32() % 999);
	p->typical_p = 0.001f * (float)(1 + random_u32() % 999);
	p->min_p = 0.001f * (float)(1 + random_u32() % 999);
	p->top_n_sigma = 0.01f * (float)(1 + random_u32() % 400);
	p->xtc_probability = 1;
	p->xtc_threshold = 0.001f * (float)(1 + random_u32() % 300);
	if (random_u32() % 2) {
		p->dynamic_range = 0.01f * (float)(1 + random_u32() % 150);
		p->dynamic_exponent = 0.1f * (float)(1 + random_u32() % 30);
	}
}

/* From plain logits, and from a list that another stage has made, in another order. */
static void test_stages(void)
{
	static float logits[MOST];
	static struct plain list[MOST];
	struct candidates c = { 0 };
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT };
	unsigned differ = 0;

	random_seed(11);
	for (unsigned round = 0; round < 700; round++)
		for (int stage = STOKER_STAGE_TOP_N_SIGMA; stage <= STOKER_STAGE_TEMPERATURE;
		     stage++) {
			const uint32_t n = 1 + random_u32() % (round % 2 ? 40 : MOST);
			size_t left;

			random_params(&p);
			random_logits(logits, n, round);
			CU_ASSERT_EQUAL_FATAL(candidates_begin(&c, logits, n), 0);
			left = plain_list(list, logits, n);
			/* of equal ones the first stays; shuffled are only lists without any */
			if (round % 7 == 0 && (round % 5 == 0 || round % 5 == 2)) {
				candidates_above(&c, -INFINITY);
				for (uint32_t i = 0; i < c.count; i++) {
					const uint32_t j = random_u32() % c.count;
					const struct candidate other = c.list[i];

					c.list[i] = c.list[j];
					c.list[j] = other;
				}
			}
			CU_ASSERT_EQUAL_FATAL(run_stage(&p, stage, &c), 0);
			left = plain_stage(&p, stage, list, left);
			if (!agree(&c, list, left) && !differ++)
				printf("\n    stage %d of %u tokens, kind %u, %u left beside %zu",
				       stage, n, round % 5, c.count, left);
		}
	CU_ASSERT_EQUAL(differ, 0);
	candidates_free(&c);
}

/* What is taken off, counted the long way. */
static void test_repetitions(void)
{
	enum { TOKENS = 12, ROUNDS = 400 };
	unsigned differ = 0;

	random_seed(12);
	for (unsigned round = 0; round < ROUNDS; round++) {
		static const char *const none[1];
		struct stoker_sampler_params p = {
			STOKER_SAMPLER_PARAMS_INIT,
			.repeat_penalty = 1 + 0.1f * (float)(random_u32() % 10),
			.presence_penalty = 0.1f * (float)(random_u32() % 10) - 0.5f,
			.frequency_penalty = 0.1f * (float)(random_u32() % 10) - 0.5f,
			.repeat_last = 1 + random_u32() % 40,
			.dry_multiplier = 0.5f,
			.dry_base = 1 + 0.1f * (float)(random_u32() % 10),
			.dry_allowed_length = 1 + random_u32() % 4,
			.dry_last = 1 + random_u32() % 60,
			.dry_breakers = none,
		};
		const uint32_t length = random_u32() % 100, kinds = 1 + random_u32() % TOKENS;
		double wanted[TOKENS], dry[TOKENS];
		float logits[TOKENS];
		uint32_t text[100];
		struct candidates c = { 0 };
		struct history h;

		CU_ASSERT_EQUAL_FATAL(sampler_params_settle(&p, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(history_create(&h, &p), 0);
		for (uint32_t i = 0; i < length; i++) {
			text[i] = random_u32() % kinds;
			history_add(&h, text[i]);
		}
		random_logits(logits, TOKENS, 0);
		for (uint32_t t = 0; t < TOKENS; t++) {
			uint32_t times = 0, longest = 0;

			for (uint32_t i = 0; i < length; i++) {
				uint32_t same = 0;

				times += text[i] == t && length - i <= p.repeat_last;
				while (text[i] == t && same < i &&
				       length - (i - same) < p.dry_last &&
				       text[i - 1 - same] == text[length - 1 - same])
					same++;
				longest = MAX(longest, same);
			}
			wanted[t] = (double)logits[t];
			if (times) {
				wanted[t] *= pow((double)p.repeat_penalty, wanted[t] > 0 ? -1 : 1);
				wanted[t] -= times * (double)p.frequency_penalty +
					     (double)p.presence_penalty;
			}
			dry[t] = (double)logits[t];
			if (longest >= p.dry_allowed_length)
				dry[t] -= 0.5 * pow((double)p.dry_base,
						    (double)(longest - p.dry_allowed_length));
		}
		for (int way = 0; way < 4; way++) {
			CU_ASSERT_EQUAL_FATAL(candidates_begin(&c, logits, TOKENS), 0);
			if (way % 2)
				candidates_above(&c, -INFINITY);
			if (way / 2)
				take_dry(&h, &p, &c);
			else
				take_penalties(&h, &p, &c);
			candidates_above(&c, -INFINITY);
			for (uint32_t t = 0; t < TOKENS; t++) {
				const double right = (way / 2 ? dry : wanted)[t];

				differ += fabs((double)c.list[t].logit - right) >
					  1e-5 * fabs(right) + 1e-4;
			}
		}
		candidates_free(&c);
		history_free(&h);
	}
	CU_ASSERT_EQUAL(differ, 0);
}

/* Draws beside the reference's probabilities; nothing else is ever drawn. */
static double chi_square(const struct stoker_sampler_params *p, const int *stages,
			 const float *logits, uint32_t n, uint32_t draws)
{
	AUTO_FREE uint32_t *counts = calloc(n, sizeof(*counts));
	AUTO_FREE struct plain *list = calloc(n, sizeof(*list));
	size_t left = plain_list(list, logits, n);
	struct stoker_sampler *s;
	double sum = 0;

	for (; *stages; stages++)
		left = plain_stage(p, *stages, list, left);
	softmax(list, left);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(p, &s, NULL), 0);
	for (uint32_t i = 0; i < draws; i++) {
		uint32_t token = n;

		CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, n, &token), 0);
		CU_ASSERT_FATAL(token < n);
		counts[token]++;
	}
	stoker_sampler_free(&s);
	for (size_t i = 0; i < left; i++) {
		const double wanted = draws * list[i].p, got = counts[list[i].token];

		sum += wanted >= 5 ? (got - wanted) * (got - wanted) / wanted
		       : got > 30  ? INFINITY
				   : 0;
		counts[list[i].token] = 0;
	}
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(counts[i], 0);
	return sum;
}

static void test_distribution(void)
{
	static const struct {
		const char *names;
		int stages[8];
	} orders[] = {
		{ "top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature",
		  { STOKER_STAGE_TOP_N_SIGMA, STOKER_STAGE_TOP_K, STOKER_STAGE_TYPICAL,
		    STOKER_STAGE_TOP_P, STOKER_STAGE_MIN_P, STOKER_STAGE_XTC,
		    STOKER_STAGE_TEMPERATURE } },
		{ "temperature;min-p", { STOKER_STAGE_TEMPERATURE, STOKER_STAGE_MIN_P } },
		{ "temp", { STOKER_STAGE_TEMPERATURE } },
		{ "top_p;temp;typical",
		  { STOKER_STAGE_TOP_P, STOKER_STAGE_TEMPERATURE, STOKER_STAGE_TYPICAL } },
		{ "top_k", { STOKER_STAGE_TOP_K } },
	};
	float logits[200];

	random_seed(13);
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		for (unsigned kind = 0; kind < 10; kind++) {
			/* within a block of logits, or over several */
			const uint32_t n = kind < 5 ? 60 : 200;
			struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT };

			stoker_sampler_defaults(&p);
			p.seed = 100 * i + kind;
			p.temperature = 1.5f;
			p.typical_p = 0.9f;
			p.top_n_sigma = 2;
			p.top_k = 30;
			p.xtc_probability = i ? 0 : 1;
			CU_ASSERT_EQUAL(stoker_sampler_order(orders[i].names, p.stages, NULL), 0);
			random_logits(logits, n, kind);
			/* degrees of freedom and four standard deviations */
			CU_ASSERT(chi_square(&p, orders[i].stages, logits, n, 20000) <
				  n + 4 * sqrt(2 * n));
		}
}

/* What is unlikely is cut first and the temperature comes last: it can't bring anything back. */
static void test_order(void)
{
	struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT };
	struct stoker_sampler *s;
	struct stoker_error err;
	float logits[200];
	uint32_t token, others[2] = { 0 };

	for (uint32_t i = 0; i < 200; i++)
		logits[i] = logf(1e-8f);
	logits[7] = logf(0.86f);
	logits[9] = logf(0.14f);
	stoker_sampler_defaults(&p);
	p.temperature = 10;
	p.min_p = 0.1f;
	p.top_k = 0;
	p.top_p = 0;
	for (int first = 0; first < 2; first++) {
		if (first)
			stoker_sampler_order("temperature;min_p", p.stages, NULL);
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
		for (int i = 0; i < 1000; i++) {
			stoker_sampler_sample(s, logits, 200, &token);
			others[first] += token != 7 && token != 9;
		}
		stoker_sampler_free(&s);
	}
	CU_ASSERT_EQUAL(others[0], 0);
	CU_ASSERT(others[1] > 100);
	CU_ASSERT_EQUAL(stoker_sampler_order("top_k;foo;temp", p.stages, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "\"foo\""));
	CU_ASSERT_EQUAL(stoker_sampler_order("top_k;top-k", p.stages, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sampler_order("", p.stages, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sampler_order("top_k;", p.stages, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sampler_order("top_k temp", p.stages, &err), -EINVAL);
	CU_ASSERT_EQUAL(p.stages[0], STOKER_STAGE_TEMPERATURE); /* as it was */
	for (unsigned stage = STOKER_STAGE_PENALTIES; stage <= STOKER_STAGE_TEMPERATURE; stage++) {
		CU_ASSERT_EQUAL(
			stoker_sampler_order(stoker_sampler_stage_name(stage), p.stages, &err), 0);
		CU_ASSERT_EQUAL(p.stages[0], stage);
	}
	CU_ASSERT_PTR_NULL(stoker_sampler_stage_name(STOKER_STAGE_NONE));
	CU_ASSERT_PTR_NULL(stoker_sampler_stage_name(99));
}

/* Which token it is doesn't matter, only its logit. */
static void test_permutations(void)
{
	struct candidates c = { 0 };
	static float logits[MOST], other[MOST];
	static uint32_t order[MOST];
	static struct plain list[MOST];

	random_seed(14);
	for (unsigned round = 0; round < 200; round++) {
		const uint32_t n = 1 + random_u32() % 300;
		const int stage = STOKER_STAGE_TOP_N_SIGMA + (int)(round % 7);
		struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT };
		uint32_t left;

		random_params(&p);
		random_logits(logits, n, 0);
		for (uint32_t i = 0; i < n; i++)
			order[i] = i;
		for (uint32_t i = 0; i < n; i++) {
			const uint32_t j = random_u32() % n, was = order[i];

			order[i] = order[j];
			order[j] = was;
		}
		for (uint32_t i = 0; i < n; i++)
			other[order[i]] = logits[i];
		candidates_begin(&c, logits, n);
		run_stage(&p, stage, &c);
		candidates_above(&c, -INFINITY);
		left = c.count;
		for (uint32_t i = 0; i < left; i++)
			list[i] = (struct plain){ .logit = (double)c.list[i].logit,
						  .token = order[c.list[i].token] };
		candidates_begin(&c, other, n);
		run_stage(&p, stage, &c);
		CU_ASSERT(left > 0);
		CU_ASSERT(agree(&c, list, left));
	}
	candidates_free(&c);
}

/* Everything on; a copy makes the same choices, and so does a sampler that starts again. */
static void test_reset_and_clone(void)
{
	static const char *const none[1];
	float logits[100];

	random_seed(15);
	for (uint32_t mirostat = 0; mirostat < 3; mirostat++) {
		const struct stoker_logit_bias biases[] = { { 3, -INFINITY }, { 4, 1 } };
		struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT,
						   .temperature = 1.2f,
						   .mirostat = mirostat,
						   .seed = 77,
						   .repeat_penalty = 1.1f,
						   .presence_penalty = 0.2f,
						   .xtc_probability = 0.5f,
						   .dry_multiplier = 0.8f,
						   .dry_breakers = none,
						   .typical_p = 0.95f,
						   .dynamic_range = 0.5f,
						   .biases = biases,
						   .bias_count = 2 };
		struct stoker_sampler *s, *copy;
		uint32_t first[100], token, others = 0;

		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
		for (int i = 0; i < 100; i++) {
			random_seed(1000 + i);
			random_logits(logits, 100, 0);
			CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, 100, &first[i]), 0);
			CU_ASSERT_NOT_EQUAL(first[i], 3);
		}
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_clone(s, &copy, NULL), 0);
		for (int i = 0; i < 100; i++) {
			uint32_t same = 0;

			random_logits(logits, 100, 0);
			stoker_sampler_sample(s, logits, 100, &token);
			stoker_sampler_sample(copy, logits, 100, &same);
			CU_ASSERT_EQUAL(token, same);
		}
		stoker_sampler_free(&s);
		stoker_sampler_reset(copy);
		for (int i = 0; i < 100; i++) {
			random_seed(1000 + i);
			random_logits(logits, 100, 0);
			stoker_sampler_sample(copy, logits, 100, &token);
			others += token != first[i];
		}
		CU_ASSERT_EQUAL(others, 0);
		stoker_sampler_free(&copy);
	}
}

/* The surprise of what mirostat lets through comes to what was asked for. */
static void test_mirostat(void)
{
	float logits[1000];

	for (int i = 0; i < 1000; i++)
		logits[i] = -1.1f * logf((float)i + 1);
	for (uint32_t version = 1; version <= 2; version++) {
		struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .temperature = 1,
						   .mirostat = version, .mirostat_tau = 3,
						   .seed = 5 };
		struct stoker_sampler *s;
		double surprise = 0, total = 0;
		uint32_t token;

		for (int i = 0; i < 1000; i++)
			total += exp((double)logits[i]);
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(&p, &s, NULL), 0);
		for (int i = 0; i < 5000; i++) {
			CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, 1000, &token), 0);
			if (i >= 1000)
				surprise += log2(total / exp((double)logits[token])) / 4000;
		}
		/* what is cut makes the whole of the rest less surprising than 3 bits of itself */
		CU_ASSERT(surprise > 2.5 && surprise < 4.5);
		stoker_sampler_free(&s);
	}
}

void suite_sampler(void)
{
	TEST(test_stages);
	TEST(test_repetitions);
	TEST(test_distribution);
	TEST(test_order);
	TEST(test_permutations);
	TEST(test_reset_and_clone);
	TEST(test_mirostat);
	add_sampler_limits();
	add_sampler_texts();
}
