/* SPDX-License-Identifier: MIT */
/* stoker quantize --size. */
#ifndef STOKER_TOOL_BUDGET_H
#define STOKER_TOOL_BUDGET_H

#include "quantize/quantize.h"

/*
 * The formats with which the file is no larger than @size and diverges least, for all matrices that
 * the command line leaves open.  @head bytes of it aren't tensors' data.  An exit status, after a
 * complaint.
 */
int plan_by_size(struct plan *p, uint64_t size, uint64_t head, unsigned threads);

#endif
