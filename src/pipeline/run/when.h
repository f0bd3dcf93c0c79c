/* SPDX-License-Identifier: MIT */
/* when.h - the conditions of `when`. */
#pragma once
#include "pipeline/run/run.h"

/* Where it is to be checked: "beforeOptions", "beforeInput", "beforeAgent", or "" (the default). */
const char *when_place(const struct node *when);
bool when_holds(struct run *run, const struct node *when, bool *out);
