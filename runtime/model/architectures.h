/* SPDX-License-Identifier: MIT */
/* Which architectures can be run, for those who know nothing else of models. */
#ifndef STOKER_MODEL_ARCHITECTURES_H
#define STOKER_MODEL_ARCHITECTURES_H

#include <stdbool.h>

#include "stoker/gguf.h"

/* False also where general.architecture is missing. */
bool stoker_architecture_is_known(const struct stoker_gguf *gguf);

#endif
