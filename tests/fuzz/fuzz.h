/* SPDX-License-Identifier: MIT */
/* A file with the fuzzer's input, which the library opens by name. */
#ifndef STOKER_FUZZ_H
#define STOKER_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stoker/stoker.h"

static inline int input_file(const uint8_t *data, size_t size, char path[32])
{
	const int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
