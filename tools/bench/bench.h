/* SPDX-License-Identifier: MIT */
/* Parts of "stoker bench". */
#ifndef STOKER_TOOL_BENCH_H
#define STOKER_TOOL_BENCH_H

#include "bench/measure.h"
#include "tool.h"

/*
 * Products beside what the device can do at most: of every format in one shape, or of @format (not
 * NULL) in the shapes of real models; drawn as a roofline into @plot (not NULL).
 */
int bench_ops(const struct compute_options *compute, const char *format, const char *plot,
	      bool json);
/* What the Vulkan driver compiles the shaders to. */
int bench_shaders(const struct compute_options *compute, bool json);
int bench_limits(const struct compute_options *compute, bool json);

#endif
