/* SPDX-License-Identifier: MIT */
/* label.h - what an agent's label asks of a machine, as Jenkins reads it:
 *   linux && docker    a || b    !windows    a -> b    a <-> b    (x)    "a name with (any) sign"
 * `!` binds closest, then &&, ||, -> and <->; of the last two there is one on a level.
 * Pure.  What is parsed lives in the arena that is given. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#define LABEL_TEXT_MAX ((size_t)1024)
#define LABEL_DEPTH_MAX 100u

struct label;

/* NULL with ERR_VALIDATION, and where in the text it is wrong. */
const struct label *label_parse(struct str text, struct arena *a, size_t *offset_out,
                                struct err *err) MUST_CHECK;
/* As Jenkins takes it: what cannot be parsed is one name. */
const struct label *label_parse_any(struct str text, struct arena *a);
bool label_holds(const struct label *l, bool (*has)(void *arg, struct str name), void *arg);
/* The names that it wants to be there; those behind a `!` not. */
void label_wants(const struct label *l, void (*each)(void *arg, struct str name), void *arg);
