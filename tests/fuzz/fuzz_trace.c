// SPDX-License-Identifier: MIT
/* Routing traces as "stoker replay" reads them, and what policies would have made of them. */
#include "fuzz.h"

#include "tool.h"
#include "trace.h"

/* Complaints are for people. */
int failf(const char *format, ...)
{
	(void)format;
	return EXIT_FAILED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace trace = { 0 };
	char path[32];
	const int fd = input_file(data, size, path);

	if (!trace_read(path, &trace))
		for (int policy = TRACE_LRU; policy <= TRACE_BELADY; policy++)
			for (uint32_t slots = 1; slots <= 64; slots *= 8)
				if (trace_simulate(&trace, (enum trace_policy)policy, slots, NULL) >
				    (long)trace.count)
					abort();
	trace_free(&trace);
	close(fd);
	return 0;
}
