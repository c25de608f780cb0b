// SPDX-License-Identifier: MIT
/* Mixtures of experts: the router, and the experts that it chose. */
#include "ops.h"

/* The same in waves, where the device allows several: every other expert, then the rest. */
static void experts_in_waves(const struct op_experts *all, const uint32_t *ids)
{
	const uint32_t count = all->rows * all->used;
	const uint32_t waves = all->rows > device->whole_rows ? 2 : 1;
	AUTO_FREE uint32_t *entries = malloc(count * sizeof(*entries));
	AUTO_FREE struct chosen_expert *chosen = malloc(all->up->count * sizeof(*chosen));
	AUTO_FREE struct chosen_expert *part = malloc(all->up->count * sizeof(*part));
	const uint32_t active = stoker_sort_choices(ids, count, all->up->count, entries, chosen);
	struct op_experts op = *all;

	carry(to_device);
	CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
	for (uint32_t i = 0; i < waves; i++) {
		struct expert_wave wave = {
			.experts = part, .entries = entries, .first = i == 0, .last = i == waves - 1
		};

		for (uint32_t e = i; e < active; e += waves) {
			part[wave.count] = chosen[e];
			part[wave.count++].at = (struct stoker_expert){
				.gate = op.gate->at + chosen[e].expert * op.gate->stride,
				.up = op.up->at + chosen[e].expert * op.up->stride,
				.down = op.down->at + chosen[e].expert * op.down->stride,
			};
		}
		op.wave = &wave;
		device_experts(device, &op);
		CU_ASSERT_EQUAL(i ? ops->flush(device, NULL) : ops->sync(device, NULL), 0);
	}
	submit();
	carry(from_device);
}

/* @names are the formats of gate, up and down; without the first there is no gate. */
static void experts_of(bool exact, const char *const names[3])
{
	const uint32_t in = 64, hidden = 96, count = 5, used = 2;

	for (uint32_t rows = 1; rows <= 17; rows += 4) {
		pool_used = 0;
		double *gv = doubles((size_t)in * hidden * count),
		       *uv = doubles((size_t)in * hidden * count);
		double *dv = doubles((size_t)in * hidden * count),
		       *wanted = doubles((size_t)rows * in);
		const struct stoker_weight none = { .at = 0 };
		const struct stoker_weight gate =
			names[0] ? weights(stoker_format_by_name(names[0]), in, hidden, count, gv)
				 : none;
		const struct stoker_weight up =
			weights(stoker_format_by_name(names[1]), in, hidden, count, uv);
		const struct stoker_weight down =
			weights(stoker_format_by_name(names[2]), hidden, in, count, dv);
		const float *x = noise((size_t)rows * in), *weight = noise((size_t)rows * used);
		uint32_t *ids = (uint32_t *)room((size_t)rows * used);
		float *got = room((size_t)rows * in), *whole = room((size_t)rows * in);

		for (uint32_t r = 0; r < rows; r++)
			for (uint32_t k = 0; k < used; k++)
				ids[r * used + k] = (r * (k + 1) + k) % count;
		const struct op_experts op = { .dst = at(got),
					       .src = at(x),
					       .ids = at(ids),
					       .weights = at(weight),
					       .gate = &gate,
					       .up = &up,
					       .down = &down,
					       .rows = rows,
					       .used = used,
					       .activation = names[0] ? ACTIVATION_SILU
								      : ACTIVATION_SILU_ONLY };
		const struct matrix plain_gate = plain(&gate, gv), plain_up = plain(&up, uv);
		const struct matrix plain_down = plain(&down, dv);

		reference_experts(&op, names[0] ? &plain_gate : NULL, &plain_up, &plain_down, ids,
				  doubles_of(weight, (size_t)rows * used),
				  doubles_of(x, (size_t)rows * in), wanted);
		RUN(experts, op);
		CU_ASSERT(off_by(got, wanted, (size_t)rows * in) < (exact ? 1e-5 : 0.03));
		memcpy(whole, got, (size_t)rows * in * sizeof(*got));
		memset(got, 0, (size_t)rows * in * sizeof(*got));
		experts_in_waves(&op, ids);
		CU_ASSERT(!memcmp(whole, got, (size_t)rows * in * sizeof(*got)));
	}
}

static void experts(bool exact)
{
	static const char *const formats[][3] = {
		{ "Q8_0", "Q8_0", "Q8_0" }, { "Q8_0", "F16", "Q4_0" },	{ "F16", "Q8_0", "F32" },
		{ "Q4_0", "Q8_0", "BF16" }, { "Q4_0", "Q4_0", "Q4_0" }, { NULL, "Q8_0", "Q4_0" }
	};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		experts_of(exact, formats[i]);
}

/* One call of the router beside the reference. */
static void check_route(const struct op_route *op, const float *logits, const float *bias,
			const uint32_t *ids, const float *weights)
{
	uint32_t ids_wanted[op->rows * op->used];
	double *wanted = doubles(op->rows * op->used);

	reference_route(op, doubles_of(logits, op->rows * op->experts),
			op->bias ? doubles_of(bias, op->experts) : NULL, ids_wanted, wanted);
	RUN(route, *op);
	CU_ASSERT(!memcmp(ids, ids_wanted, sizeof(ids_wanted)));
	for (uint32_t i = 0; i < op->rows * op->used; i++)
		CU_ASSERT(isnan(wanted[i]) || fabs(weights[i] - wanted[i]) < 1e-5);
}

static void routing(bool exact)
{
	static const float logits_in[2][8] = { { 1, 5, 2, 4, 3, 0, -1, 4.5f },
					       { NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN } };
	static const float bias_in[8] = { 0, 0, 0, 0, 0, 10, 0, 0 };

	pool_used = 0;
	float *logits = room(16), *bias = room(8), *weights_out = room(6);
	uint32_t *ids = (uint32_t *)(void *)room(6);

	memcpy(logits, logits_in, sizeof(logits_in));
	memcpy(bias, bias_in, sizeof(bias_in));
	struct op_route op = { .ids = at(ids),
			       .weights = at(weights_out),
			       .logits = at(logits),
			       .rows = 2,
			       .experts = 8,
			       .used = 3,
			       .gating = GATING_SOFTMAX,
			       .normalize = true,
			       .scale = 2 };

	(void)exact;
	check_route(&op, logits, bias, ids, weights_out);
	CU_ASSERT(ids[0] == 1 && ids[1] == 7 && ids[2] == 3);
	CU_ASSERT_DOUBLE_EQUAL(weights_out[0], 2 / (1 + exp(-0.5) + exp(-1)), 1e-5);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(ids[3 + i] < 8);
	op.gating = GATING_SIGMOID;
	op.bias = at(bias);
	op.normalize = false;
	op.scale = 1;
	op.rows = 1;
	check_route(&op, logits, bias, ids, weights_out);
	CU_ASSERT(ids[0] == 5 && ids[1] == 1 && ids[2] == 7);
	CU_ASSERT_DOUBLE_EQUAL(weights_out[0], 0.5, 1e-6);
	/* groups 0-1, 2-3, 4-5, 6-7: the best two are the second and the first */
	op.bias = 0;
	op.groups = 4;
	op.groups_used = 2;
	check_route(&op, logits, bias, ids, weights_out);
	CU_ASSERT(ids[0] == 1 && ids[1] == 3 && ids[2] == 2);
	op.groups = 0;
	op.gating = GATING_SOFTMAX_CHOSEN;
	op.normalize = true; /* which it already is */
	check_route(&op, logits, bias, ids, weights_out);
	CU_ASSERT_DOUBLE_EQUAL(weights_out[1], exp(-0.5) / (1 + exp(-0.5) + exp(-1)), 1e-5);
}

static void test_experts(void)
{
	run_all_sets(experts);
}

static void test_routing(void)
{
	run_all_sets(routing);
}

void add_experts(void)
{
	TEST(test_experts);
	TEST(test_routing);
}
