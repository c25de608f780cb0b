// SPDX-License-Identifier: MIT
/*
 * stoker quantize: types by name and which tensors get more bits in each.  They are llama.cpp's, so
 * that a file called Q4_K_M is what people know by that name: the rules hold its choices.
 */
#include "quantize/quantize.h"

#include <string.h>
#include <strings.h>

/* NAME, format of most matrices, general.file_type */
#define RECIPES(R)              \
	R(F32, F32, 0)          \
	R(F16, F16, 1)          \
	R(BF16, BF16, 32)       \
	R(Q8_0, Q8_0, 7)        \
	R(Q6_K, Q6_K, 18)       \
	R(Q5_K_M, Q5_K, 17)     \
	R(Q5_K_S, Q5_K, 16)     \
	R(Q5_1, Q5_1, 9)        \
	R(Q5_0, Q5_0, 8)        \
	R(Q4_K_M, Q4_K, 15)     \
	R(Q4_K_S, Q4_K, 14)     \
	R(Q4_1, Q4_1, 3)        \
	R(Q4_0, Q4_0, 2)        \
	R(IQ4_NL, IQ4_NL, 25)   \
	R(IQ4_XS, IQ4_XS, 30)   \
	R(MXFP4, MXFP4, 38)     \
	R(MXFP4_MOE, MXFP4, 38) \
	R(NVFP4, NVFP4, 39)     \
	R(Q3_K_L, Q3_K, 13)     \
	R(Q3_K_M, Q3_K, 12)     \
	R(Q3_K_S, Q3_K, 11)     \
	R(IQ3_M, IQ3_S, 27)     \
	R(IQ3_S, IQ3_S, 26)     \
	R(IQ3_XS, IQ3_S, 22)    \
	R(IQ3_XXS, IQ3_XXS, 23) \
	R(Q2_K, Q2_K, 10)       \
	R(Q2_K_S, Q2_K, 21)     \
	R(IQ2_M, IQ2_S, 29)     \
	R(IQ2_S, IQ2_XS, 28)    \
	R(IQ2_XS, IQ2_XS, 20)   \
	R(IQ2_XXS, IQ2_XXS, 19) \
	R(Q2_0, Q2_0, 41)       \
	R(TQ2_0, TQ2_0, 37)     \
	R(TQ1_0, TQ1_0, 36)     \
	R(IQ1_M, IQ1_M, 31)     \
	R(IQ1_S, IQ1_S, 24)     \
	R(Q1_0, Q1_0, 40)

enum recipe_number {
#define R(NAME, base, file_type) RECIPE_##NAME,
	RECIPES(R)
#undef R
		RECIPE_COUNT
};
_Static_assert(RECIPE_COUNT <= 64, "a rule's recipes are bits");

static const struct recipe recipes[] = {
#define R(NAME, BASE, FILE_TYPE) { .name = #NAME, .base = #BASE, .file_type = FILE_TYPE },
	RECIPES(R)
#undef R
};

/* Names without a size mean the middle one. */
static const struct {
	const char *name, *means;
} aliases[] = {
	{ "Q3_K", "Q3_K_M" },
	{ "Q4_K", "Q4_K_M" },
	{ "Q5_K", "Q5_K_M" },
};

#define IS(NAME) (UINT64_C(1) << RECIPE_##NAME)
#define ALL_RECIPES UINT64_MAX
#define IQ1 (IS(IQ1_S) | IS(IQ1_M))
#define IQ2_SMALL (IS(IQ2_XXS) | IS(IQ2_XS))
#define IQ2_LARGE (IS(IQ2_S) | IS(IQ2_M))
#define BELOW_3_BITS (IQ1 | IQ2_SMALL | IQ2_LARGE)
#define IQ4 (IS(IQ4_NL) | IS(IQ4_XS))
#define Q3_K (IS(Q3_K_S) | IS(Q3_K_M) | IS(Q3_K_L))
#define Q4_K (IS(Q4_K_S) | IS(Q4_K_M))
#define IQ3 (IS(IQ3_XXS) | IS(IQ3_XS) | IS(IQ3_S) | IS(IQ3_M))

/* What has to hold for a rule, all of it. */
enum condition {
	FIRST_2 = 1 << 0, /* by the tensor's number among those of its kind */
	FIRST_4 = 1 << 1,
	FIRST_16TH = 1 << 2,
	FIRST_8TH = 1 << 3,
	MIDDLE = 1 << 4,	/* all but the eighths at both ends */
	ENDS_AND_3RDS = 1 << 5, /* those eighths, and every third between */
	SHARED_HEADS = 1 << 6,	/* four or more queries share a key and a value */
	EXPERTS_4 = 1 << 7,	/* so many or more */
	EXPERTS_8 = 1 << 8,	/* exactly; Mixtral, whose attention is small beside its experts */
	NOT_EXPERTS_8 = 1 << 9,
	IMPORTANCE = 1 << 10,
	NO_IMPORTANCE = 1 << 11,
	LAYERS_80 = 1 << 12, /* models of 70 B, whose values are small beside the rest */
	STACKED = 1 << 13,   /* matrices of experts in one tensor */
	/* rows aren't whole blocks of the base format */
	RAGGED = 1 << 14,
};

/* The first that fits decides; without one it's the base format. */
static const struct rule {
	uint64_t recipes;
	unsigned kinds, when;
	const char *format;
} rules[] = {
	{ IS(MXFP4_MOE), KIND_OUTPUT, 0, "Q8_0" },
	{ ALL_RECIPES, KIND_OUTPUT, RAGGED, "Q8_0" },
	{ BELOW_3_BITS | IS(IQ3_XXS), KIND_OUTPUT, 0, "Q5_K" },
	{ IS(Q8_0), KIND_OUTPUT, 0, "Q8_0" },
	{ ALL_RECIPES, KIND_OUTPUT, 0, "Q6_K" },
	{ IS(MXFP4_MOE), ~0u, STACKED, "MXFP4" },
	{ IS(MXFP4_MOE), ~0u, 0, "Q8_0" },

	{ IQ1 | IQ2_SMALL, KIND_EMBEDDING, 0, "Q2_K" },
	{ IQ2_LARGE | IS(IQ3_XXS), KIND_EMBEDDING, 0, "IQ3_S" },
	{ IS(TQ1_0) | IS(TQ2_0) | IS(Q2_0), KIND_EMBEDDING, 0, "Q4_K" },

	{ BELOW_3_BITS, KIND_VALUE, SHARED_HEADS, "Q4_K" },
	{ BELOW_3_BITS, KIND_VALUE, EXPERTS_4, "Q4_K" },
	{ IQ2_LARGE, KIND_VALUE, 0, "IQ3_S" },
	{ IQ1 | IQ2_SMALL, KIND_VALUE, 0, "Q2_K" },
	{ BELOW_3_BITS, KIND_KEY, EXPERTS_8, "Q4_K" },
	{ IQ2_LARGE, KIND_DOWN, FIRST_8TH, "IQ3_S" },
	{ IQ1 | IQ2_SMALL, KIND_DOWN, FIRST_8TH, "Q2_K" },
	{ BELOW_3_BITS, KIND_ATTENTION_OUTPUT, EXPERTS_8, "Q5_K" },
	{ IQ1, KIND_ATTENTION_OUTPUT, 0, "IQ2_XXS" },
	{ IQ2_LARGE, KIND_ATTENTION_OUTPUT, 0, "IQ3_S" },

	{ ~BELOW_3_BITS, KIND_VALUE, EXPERTS_8, "Q8_0" },
	{ IS(Q4_K_M) | IS(Q5_K_M), KIND_VALUE, ENDS_AND_3RDS, "Q6_K" },
	{ IS(Q4_K_S), KIND_VALUE, FIRST_4, "Q5_K" },
	{ IQ4, KIND_VALUE, SHARED_HEADS, "Q5_K" },
	{ IS(Q3_K_M), KIND_VALUE, FIRST_2, "Q5_K" },
	{ IS(Q3_K_L), KIND_VALUE, 0, "Q5_K" },
	{ IS(Q2_K) | IS(Q2_K_S) | Q3_K | Q4_K | IQ3, KIND_VALUE, SHARED_HEADS | LAYERS_80, "Q5_K" },
	{ IS(Q2_K) | IS(Q2_K_S) | IS(IQ3_XXS) | IS(IQ3_XS) | IS(IQ3_S), KIND_VALUE, SHARED_HEADS,
	  "Q4_K" },
	{ IS(Q3_K_M) | IS(IQ3_M), KIND_VALUE, 0, "Q4_K" },
	{ IS(Q2_K), KIND_VALUE, 0, "Q3_K" },
	{ IS(IQ3_XXS), KIND_VALUE, NO_IMPORTANCE, "IQ3_S" },

	{ ~BELOW_3_BITS, KIND_KEY, EXPERTS_8, "Q8_0" },
	{ IS(IQ3_XS), KIND_KEY | KIND_QUERY, 0, "IQ3_XXS" },
	{ IS(IQ3_XXS), KIND_KEY | KIND_QUERY, 0, "IQ2_S" },

	{ IS(Q2_K), KIND_DOWN, 0, "Q3_K" },
	{ IS(Q2_K_S), KIND_DOWN, FIRST_8TH, "Q4_K" },
	{ IS(IQ3_XXS), KIND_DOWN, NO_IMPORTANCE | FIRST_8TH, "Q4_K" },
	{ IS(IQ3_XXS), KIND_DOWN, NO_IMPORTANCE, "Q3_K" },
	{ IS(Q3_K_M), KIND_DOWN, FIRST_16TH, "Q5_K" },
	{ IS(Q3_K_M), KIND_DOWN, 0, "Q4_K" },
	{ IS(Q3_K_L), KIND_DOWN, 0, "Q5_K" },
	{ IS(IQ3_M), KIND_DOWN, FIRST_8TH, "Q4_K" },
	{ IS(IQ3_M), KIND_DOWN, EXPERTS_8 | ENDS_AND_3RDS, "Q4_K" },
	{ IS(Q4_K_M) | IS(Q5_K_M), KIND_DOWN, ENDS_AND_3RDS, "Q6_K" },
	{ IQ4, KIND_DOWN, NO_IMPORTANCE | FIRST_8TH, "Q5_K" },
	{ IS(Q4_K_S), KIND_DOWN, FIRST_8TH, "Q5_K" },
	{ IS(Q4_0), KIND_DOWN, IMPORTANCE | FIRST_8TH, "Q4_1" },
	{ IS(Q5_0), KIND_DOWN, IMPORTANCE | FIRST_8TH, "Q5_1" },

	{ IS(Q2_K) | IS(Q3_K_S) | IS(Q3_K_M) | IQ3 | IQ4 | Q4_K, KIND_ATTENTION_OUTPUT, EXPERTS_8,
	  "Q5_K" },
	{ IS(Q2_K), KIND_ATTENTION_OUTPUT, NOT_EXPERTS_8, "Q3_K" },
	{ IS(IQ3_XXS), KIND_ATTENTION_OUTPUT, NOT_EXPERTS_8, "IQ3_S" },
	{ IS(Q3_K_M) | IS(IQ3_M), KIND_ATTENTION_OUTPUT, NOT_EXPERTS_8, "Q4_K" },
	{ IS(Q3_K_L), KIND_ATTENTION_OUTPUT, NOT_EXPERTS_8, "Q5_K" },

	{ IS(IQ3_XS), KIND_GATE | KIND_UP, MIDDLE, "IQ3_XXS" },
};

/*
 * What rows get that aren't whole blocks: a format of 32, or rarely fewer, values a block that
 * keeps no less.  What fits isn't asked for again.
 */
static const struct {
	const char *format, *instead;
} narrower[] = {
	{ "IQ1_S", "IQ4_NL" },	{ "IQ1_M", "IQ4_NL" },	{ "IQ2_XXS", "IQ4_NL" },
	{ "IQ2_XS", "IQ4_NL" }, { "IQ2_S", "IQ4_NL" },	{ "IQ3_XXS", "IQ4_NL" },
	{ "IQ3_S", "IQ4_NL" },	{ "IQ4_XS", "IQ4_NL" }, { "Q1_0", "Q4_0" },
	{ "Q2_0", "Q4_0" },	{ "Q2_K", "Q4_0" },	{ "Q3_K", "Q4_0" },
	{ "TQ1_0", "Q4_0" },	{ "TQ2_0", "Q4_0" },	{ "Q4_K", "Q5_0" },
	{ "Q5_K", "Q5_1" },	{ "Q6_K", "Q8_0" },	{ "NVFP4", "MXFP4" },
};

const struct recipe *recipe_at(size_t index)
{
	return index < RECIPE_COUNT ? &recipes[index] : NULL;
}

const struct recipe *recipe_find(const char *name)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
		if (!strcasecmp(aliases[i].name, name))
			name = aliases[i].means;
	for (size_t i = 0; i < RECIPE_COUNT; i++)
		if (!strcasecmp(recipes[i].name, name))
			return &recipes[i];
	return NULL;
}

static bool is_ragged(const struct planned *t, const struct stoker_format *f)
{
	return t->tensor->ne[0] % stoker_format_block_values(f) != 0;
}

/* Where in the model a tensor is, for rules that are about some layers. */
static void place_of(const struct plan *p, const struct planned *t, uint64_t recipe, unsigned *at,
		     unsigned *of)
{
	/* a mixture may have several of a kind in a layer, and layers without */
	const bool by_layer = p->experts > 1 && !(recipe & BELOW_3_BITS);

	*at = t->kind == KIND_VALUE || !by_layer ? t->at : t->layer;
	*of = t->kind == KIND_VALUE ? t->of : p->layers;
}

static bool holds(const struct plan *p, const struct planned *t, uint64_t recipe, unsigned when,
		  const struct stoker_format *base)
{
	unsigned at, of;

	place_of(p, t, recipe, &at, &of);
	const unsigned eighth = of / 8, last = 7 * of / 8;
	const bool truth[] = {
		at < 2,
		at < 4,
		at < of / 16,
		at < eighth,
		at >= eighth && at < last,
		at < eighth || at >= last || (at - eighth) % 3 == 2,
		p->heads_per_kv >= 4,
		p->experts >= 4,
		p->experts == 8,
		p->experts != 8,
		p->has_importance,
		!p->has_importance,
		p->layers == 80,
		t->tensor->ne[2] > 1,
		is_ragged(t, base),
	};

	for (unsigned i = 0; i < sizeof(truth) / sizeof(*truth); i++)
		if (when & 1u << i && !truth[i])
			return false;
	return true;
}

void plan_by_recipe(struct plan *p, const struct recipe *recipe, bool pure)
{
	const uint64_t bit = UINT64_C(1) << (recipe - recipes);
	const struct stoker_format *base = stoker_format_by_name(recipe->base);

	p->recipe = recipe;
	p->file_type = recipe->file_type;
	for (size_t i = 0; i < p->count; i++) {
		struct planned *t = &p->tensors[i];

		if (!t->quantized || t->forced)
			continue;
		t->to = base;
		for (size_t k = 0; k < sizeof(rules) / sizeof(*rules); k++) {
			const struct rule *r = &rules[k];

			if (pure || stoker_format_block_values(base) == 1 || !(r->recipes & bit) ||
			    !(r->kinds & (unsigned)t->kind) || !holds(p, t, bit, r->when, base))
				continue;
			t->to = stoker_format_by_name(r->format);
			break;
		}
	}
}

const struct stoker_format *fitting_format(const struct planned *t,
					   const struct stoker_format *format)
{
	const struct stoker_format *f = format;

	for (size_t i = 0; i < sizeof(narrower) / sizeof(*narrower) && is_ragged(t, f); i++)
		if (!strcmp(narrower[i].format, stoker_format_name(format)))
			f = stoker_format_by_name(narrower[i].instead);
	return is_ragged(t, f) ? stoker_format_by_name("F16") : f;
}

static void count_fallback(struct plan *p, const struct stoker_format *wanted,
			   const struct stoker_format *used)
{
	size_t i = 0;

	while (i < p->fallback_count &&
	       (p->fallbacks[i].wanted != wanted || p->fallbacks[i].used != used))
		i++;
	if (i == sizeof(p->fallbacks) / sizeof(*p->fallbacks))
		return;
	if (i == p->fallback_count)
		p->fallbacks[p->fallback_count++] =
			(struct fallback){ .wanted = wanted, .used = used };
	p->fallbacks[i].tensors++;
}

void plan_fit(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct planned *t = &p->tensors[i];
		const struct stoker_format *used;

		if (t->to == t->tensor->format)
			continue;
		used = fitting_format(t, t->to);
		if (used != t->to)
			count_fallback(p, t->to, used);
		t->to = used;
	}
}

void print_fallbacks(const struct plan *p)
{
	if (!p->fallback_count)
		return;
	fputs("stoker: rows that aren't whole blocks get another type: ", stderr);
	for (size_t i = 0; i < p->fallback_count; i++)
		fprintf(stderr, "%s%zu of %s are %s", i ? ", " : "", p->fallbacks[i].tensors,
			stoker_format_name(p->fallbacks[i].wanted),
			stoker_format_name(p->fallbacks[i].used));
	fputc('\n', stderr);
}
