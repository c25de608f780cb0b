// SPDX-License-Identifier: MIT
/* The processor's threads multiply, in the instruction set that the device uses. */
#include "bench/spin.h"
#include "device/cpu/cpu.h"

static void spin_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
		       size_t end)
{
	static float (*const kernels[])(bool codes, uint32_t rounds) = ISA_EACH(spin);
	const struct spin *s = context;

	(void)thread;
	for (size_t i = begin; i < end; i++)
		if (kernels[cpu->isa](s->codes, s->rounds) == 0)
			*(float *)host(s->dst) = 0;
}

double spin_cpu(struct stoker_device *d, const struct spin *s)
{
	static unsigned (*const products[])(bool codes) = ISA_EACH(spin_products);
	struct cpu *cpu = cpu_of(d);
	const size_t shares = 8 * (size_t)cpu->threads;

	cpu_parallel(cpu, shares, 1, SIZE_MAX, spin_range, s);
	return 2.0 * (double)shares * s->rounds * products[cpu->isa](s->codes);
}
