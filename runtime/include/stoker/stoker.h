/* SPDX-License-Identifier: MIT */
/** stoker/stoker.h - the whole public API of libstoker-rt. */
#ifndef STOKER_STOKER_H
#define STOKER_STOKER_H

#include "stoker/batch.h"
#include "stoker/decoder.h"
#include "stoker/device.h"
#include "stoker/driver.h"
#include "stoker/engine.h"
#include "stoker/error.h"
#include "stoker/format.h"
#include "stoker/gguf.h"
#include "stoker/grammar.h"
#include "stoker/log.h"
#include "stoker/model.h"
#include "stoker/profile.h"
#include "stoker/sampler.h"
#include "stoker/session.h"
#include "stoker/state.h"
#include "stoker/template.h"
#include "stoker/text.h"
#include "stoker/version.h"

#endif
