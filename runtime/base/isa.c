// SPDX-License-Identifier: MIT
/* Which instruction sets this CPU has: see isa.h. */
#include "base/isa.h"

#include <stdlib.h>
#include <string.h>

#if STOKER_ARM
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static const char *const names[STOKER_ISA_COUNT] = {
#if STOKER_X86
	"scalar",
	"avx2",
	"avx512",
#elif STOKER_ARM
	"neon",
	"dotprod",
#else
	"scalar",
#endif
};

const char *stoker_isa_name(enum stoker_isa isa)
{
	return names[isa];
}

static enum stoker_isa best(void)
{
#if STOKER_X86
	__builtin_cpu_init();
	/* every CPU with AVX2 has F16C, which not all compilers can ask for */
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
	    !__builtin_cpu_supports("bmi2"))
		return STOKER_ISA_SCALAR;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512vnni"))
		return STOKER_ISA_AVX512;
	return STOKER_ISA_AVX2;
#elif STOKER_ARM
	return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? STOKER_ISA_DOTPROD : STOKER_ISA_SCALAR;
#else
	return STOKER_ISA_SCALAR;
#endif
}

enum stoker_isa stoker_isa_detect(void)
{
	const enum stoker_isa found = best();
	const char *wanted = getenv("STOKER_ISA");

	for (int i = 0; wanted && i < (int)found; i++)
		if (!strcmp(wanted, names[i]))
			return (enum stoker_isa)i;
	return found;
}
