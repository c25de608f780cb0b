/* SPDX-License-Identifier: MIT */
/* What a model's file says about how its tokens' states become one vector. */
#ifndef STOKER_TOOL_POOLING_H
#define STOKER_TOOL_POOLING_H

#include <stoker/stoker.h>

/* The mean where it says nothing. */
enum stoker_pooling file_pooling(const struct stoker_gguf *gguf);

#endif
