/* SPDX-License-Identifier: MIT */
/* run_thread.h - blocking work of a step on a thread of its own, so that other branches go on. */
#pragma once
#include <stdatomic.h>
#include "pipeline/run/run.h"

struct run_work {
    void (*work)(struct run_work *w); /* looks at `is_cancelled` now and then */
    atomic_bool is_cancelled;
    int event; /* ours */
};

/* True when the work is done; false with an interruption thrown, the work given up. */
bool run_on_thread(struct run *run, const struct node *at, struct run_work *w) MUST_CHECK;
