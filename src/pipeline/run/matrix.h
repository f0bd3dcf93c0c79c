/* SPDX-License-Identifier: MIT */
/* matrix.h - the cells of a `matrix`: the product of its axes without what `excludes` names. */
#pragma once
#include "pipeline/run/run.h"

#define MATRIX_AXES_MAX 16

struct matrix_cell {
    struct str name; /* "Matrix - A = 'x', B = 'y'" */
    struct str names[MATRIX_AXES_MAX], values[MATRIX_AXES_MAX];
    size_t count;
};

/* In the run's arena, the first axis varying fastest; false with something thrown. */
bool matrix_cells(struct run *run, const struct node *matrix, const struct matrix_cell **out,
                  size_t *count_out) MUST_CHECK;
