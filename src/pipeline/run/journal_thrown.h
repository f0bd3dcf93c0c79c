/* SPDX-License-Identifier: MIT */
/* journal_thrown.h - what a step threw, as the journal of a build keeps it: with who interrupted it, so that an
 * abort or a timeout strikes the same place when the script is repeated. */
#pragma once
#include "base/json.h"
#include "pipeline/run/run.h"

struct json *journal_thrown_to_json(const struct run *run, const struct exception *e);
/* Throws it in the run's interpreter, and notes what comes with it. Always false. */
bool journal_throw_again(struct run *run, const struct json *x);
