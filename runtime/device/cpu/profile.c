// SPDX-License-Identifier: MIT
/* The CPU's table of ops while it is profiled: each op, and how long it took. */
#include "base/profile.h"
#include "device/cpu/cpu.h"

static const char *format_of(const struct stoker_weight *w)
{
	return w->format->name;
}

#define PROFILED(op_name, type, detail)                                                            \
	static void profiled_##op_name(struct stoker_device *d, const struct type *op)             \
	{                                                                                          \
		const uint64_t began = stoker_now_ns();                                            \
                                                                                                   \
		cpu_ops.op_name(d, op);                                                            \
		profile_add(d->profile, PROFILE_DEVICE, #op_name, detail, began, stoker_now_ns()); \
	}

PROFILED(embed, op_embed, format_of(op->table))
PROFILED(matmul, op_matmul, format_of(op->weight[0]))
PROFILED(matmul_heads, op_matmul_heads, format_of(op->weight))
PROFILED(norm, op_norm, NULL)
PROFILED(rope, op_rope, NULL)
PROFILED(kv_store, op_kv_store, NULL)
PROFILED(attention, op_attention, NULL)
PROFILED(route, op_route, NULL)
PROFILED(experts, op_experts, format_of(op->up))
PROFILED(glu, op_glu, NULL)
PROFILED(binary, op_binary, NULL)
PROFILED(scale, op_scale, NULL)
PROFILED(conv, op_conv, NULL)
PROFILED(delta_net, op_delta_net, NULL)
PROFILED(copy, op_copy, NULL)

int cpu_profile(struct stoker_device *d, struct stoker_profile *profile, struct stoker_error *err)
{
	struct cpu *cpu = cpu_of(d);

	(void)err;
	cpu->profiled = cpu_ops;
	cpu->profiled.embed = profiled_embed;
	cpu->profiled.matmul = profiled_matmul;
	cpu->profiled.matmul_heads = profiled_matmul_heads;
	cpu->profiled.norm = profiled_norm;
	cpu->profiled.rope = profiled_rope;
	cpu->profiled.kv_store = profiled_kv_store;
	cpu->profiled.attention = profiled_attention;
	cpu->profiled.route = profiled_route;
	cpu->profiled.experts = profiled_experts;
	cpu->profiled.glu = profiled_glu;
	cpu->profiled.binary = profiled_binary;
	cpu->profiled.scale = profiled_scale;
	cpu->profiled.conv = profiled_conv;
	cpu->profiled.delta_net = profiled_delta_net;
	cpu->profiled.copy = profiled_copy;
	d->ops = profile ? &cpu->profiled : &cpu_ops;
	return 0;
}
