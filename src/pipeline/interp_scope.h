/* SPDX-License-Identifier: MIT */
/* interp_scope.h - what interp.c (expressions), interp_place.c (what can be assigned to) and
 * interp_statement.c share. */
#pragma once
#include "pipeline/interp.h"

struct scope *scope_new(struct interp *in, struct scope *parent);
struct variable *scope_find(struct scope *s, struct str name); /* outwards; NULL: none */
struct variable *scope_declare(struct interp *in, struct scope *s, struct str name,
                               struct value value);
/* Counts the depth (the caller lowers it) and now and then asks whether to go on. */
bool interp_enter(struct interp *in, const struct node *at) MUST_CHECK;
/* `new Exception('x')` and the few other classes there are. */
bool interp_new(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* interp.c: a bare name. */
bool interp_name(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* interp_place.c: `a.b`, `a[b]`, `a = b` with its compound forms, `a++`. */
bool interp_property(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
bool interp_index(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
bool interp_assign(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
bool interp_step(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* The name behind the dot: written there, or the text of `a."$b"`. */
bool interp_member_name(struct interp *in, const struct node *n, struct str *out) MUST_CHECK;
