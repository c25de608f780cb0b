/* SPDX-License-Identifier: MIT */
/* From the name of a model to its file. */
#ifndef STOKER_TOOL_RESOLVE_H
#define STOKER_TOOL_RESOLVE_H

#include "models/found.h"
#include "models/names.h"

/*
 * The model that @name means: "hf:OWNER/REPO:QUANT", an address, or what "stoker list" prints.
 * NULL without one; with several @others is another one that it could mean.
 */
const struct found_model *resolve_find(const struct found *f, const char *name,
				       const struct found_model **others);

#endif
