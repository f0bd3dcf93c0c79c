/* SPDX-License-Identifier: MIT */
/* params.h - parameters of builds and of questions (`input`): how they are declared, and the values
 * people give.  Kinds: string, text, booleanParam, choice, password; others are taken as text. */
#pragma once
#include "base/json.h"
#include "pipeline/run/run.h"

struct param {
    struct str name, kind, description;
    struct value initial; /* text or boolean */
    const struct list *choices; /* of `choice`, as texts; else NULL */
};

/* From the arguments of a declaration, `kind` its name: string(name: 'X', defaultValue: 'y'). */
bool param_declared(struct run *run, const struct node *at, struct str kind, const struct args *args,
                    struct param *out) MUST_CHECK;
/* From what such a call gives as a value ([$class: 'string', name: ...]). */
bool param_of_value(struct run *run, const struct node *at, struct value v,
                    struct param *out) MUST_CHECK;
/* The value out of {"NAME": ...}, or the initial one.  Something is thrown where it does not fit. */
bool param_value(struct run *run, const struct node *at, const struct param *p,
                 const struct json *given, struct value *out) MUST_CHECK;
struct json *param_to_json(struct run *run, const struct param *p);
/* Makes it a parameter of this build: in `params` and the environment. */
bool param_bind(struct run *run, const struct node *at, const struct param *p) MUST_CHECK;
