/* SPDX-License-Identifier: MIT */
/* interp_scope.h - what interp.c (expressions) shares with interp_statement.c. */
#pragma once
#include "pipeline/interp.h"

struct scope *scope_new(struct interp *in, struct scope *parent);
struct variable *scope_declare(struct interp *in, struct scope *s, struct str name,
                               struct value value);
/* Counts the depth (the caller lowers it) and now and then asks whether to go on. */
bool interp_enter(struct interp *in, const struct node *at) MUST_CHECK;
/* `new Exception('x')` and the few other classes there are. */
bool interp_new(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
