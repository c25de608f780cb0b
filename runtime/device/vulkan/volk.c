// SPDX-License-Identifier: MIT
/* volk loads libvulkan at run time, so that a machine without it can still use the CPU. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wcast-function-type"
#define VOLK_IMPLEMENTATION
#define VK_NO_PROTOTYPES
#include <volk.h>
