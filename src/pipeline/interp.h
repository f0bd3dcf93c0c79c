/* SPDX-License-Identifier: MIT */
/* interp.h - runs the Groovy of a Jenkinsfile.
 * A tree walker: interp_eval() gives the value of an expression, interp_block() runs statements.
 * Both give false when they end early; `completion` says how (a thrown error, return, break,
 * continue).  What the language does not know (steps, env, params, the clock) comes in through
 * `struct interp_world`; with a world of plain tables the interpreter is pure.
 * Limits: INTERP_DEPTH_MAX nested evaluations and what the stack holds, INTERP_MEMORY_MAX bytes of values, and the world's
 * poll() ends loops when the build is aborted or out of time. */
#pragma once
#include "pipeline/value.h"

#define INTERP_DEPTH_MAX 3000
#define INTERP_MEMORY_MAX (256u << 20)
#define INTERP_TEXT_MAX (16u << 20)
#define INTERP_ARGS_MAX 32

enum completion {
    COMPLETION_NONE,
    COMPLETION_THROW,
    COMPLETION_RETURN,
    COMPLETION_BREAK,
    COMPLETION_CONTINUE
};

struct variable {
    struct str name;
    struct value value;
    struct str type;
    struct variable *next;
};
struct scope {
    struct variable *variables;
    struct scope *parent;
};
struct closure {
    const struct node *node; /* N_CLOSURE or N_METHOD */
    struct scope *scope;
};

/* Named arguments stand apart; a block is the last of `at`. */
struct args {
    struct value at[INTERP_ARGS_MAX];
    size_t count;
    struct map *named; /* NULL if there are none */
};

struct interp;
/* All give false with something thrown; `found` false means "not mine". */
struct interp_world {
    void *ctx;
    bool (*name)(struct interp *in, struct str name, struct value *out, bool *found);
    bool (*call)(struct interp *in, const struct node *call, const struct args *args,
                 struct value *out, bool *found);
    bool (*get)(struct interp *in, const struct node *at, struct value object, struct str name,
                struct value *out);
    bool (*set)(struct interp *in, const struct node *at, struct value object, struct str name,
                struct value v);
    bool (*method)(struct interp *in, const struct node *call, struct value object, struct str name,
                   const struct args *args, struct value *out, bool *found);
    bool (*poll)(struct interp *in, const struct node *at);
    /* May put another value in place of one that the world gave by chance (the time, a random
     * number): a run that is repeated after a restart must see what it saw. */
    void (*settle)(struct interp *in, struct value *v);
};

struct interp {
    struct arena *arena;
    const struct interp_world *world;
    struct scope *globals; /* assigned without def, @Field, and functions' only outer scope */
    struct scope *scope;
    const struct node *methods[256];
    size_t method_count;
    enum completion completion;
    struct value result; /* of a return */
    struct exception *thrown;
    unsigned depth;
    const char *stack_end; /* calls that reach below it are too deep; NULL: nobody looks */
    unsigned polls;
};

void interp_init(struct interp *in, struct arena *arena, const struct interp_world *world);
/* Registers the functions of a file; they may be called before they are written. */
void interp_hoist(struct interp *in, const struct node *block);
bool interp_eval(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* As text, the way a string shows it. */
bool interp_eval_text(struct interp *in, const struct node *n, struct str *out) MUST_CHECK;
/* The statements of a node in a new scope; the value of the last one. */
bool interp_block(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
bool interp_statement(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
bool interp_call_closure(struct interp *in, const struct closure *c, const struct value *args,
                         size_t count, struct value *out) MUST_CHECK;
bool interp_args(struct interp *in, const struct node *call, struct args *out) MUST_CHECK;
/* Always false. */
bool interp_throw(struct interp *in, const struct node *at, const char *class_name,
                  const char *format, ...) PRINTF_LIKE(4, 5);
/* Forgets what was thrown and gives it. */
struct exception *interp_catch(struct interp *in);
bool interp_rethrow(struct interp *in, struct exception *e); /* always false */

/* operators.c */
bool operator_binary(struct interp *in, const struct node *at, enum token_type op, struct value a,
                     struct value b, struct value *out) MUST_CHECK;
bool operator_unary(struct interp *in, const struct node *at, enum token_type op, struct value a,
                    struct value *out) MUST_CHECK;
bool operator_in(struct interp *in, struct value a, struct value b, bool *out) MUST_CHECK;
bool operator_cast(struct interp *in, const struct node *at, struct value v, struct str type,
                   bool is_declaration, struct value *out) MUST_CHECK;
bool operator_instanceof(struct value v, struct str type);
/* methods*.c: `found` false if the value has no such method. */
bool method_call(struct interp *in, const struct node *call, struct value object, struct str name,
                 const struct args *args, struct value *out, bool *found) MUST_CHECK;
bool method_text(struct interp *in, const struct node *call, struct value object, struct str name,
                 const struct args *args, struct value *out, bool *found) MUST_CHECK;
bool method_static(struct interp *in, const struct node *call, struct str class_name,
                   struct str name, const struct args *args, struct value *out,
                   bool *found) MUST_CHECK;
/* All matches: of a pattern without groups its texts, else lists [whole, group 1, ...]. */
bool regex_find_all(struct interp *in, const struct node *at, struct str text, struct str pattern,
                    struct value *list_out) MUST_CHECK;
bool regex_matches(struct interp *in, const struct node *at, struct str text, struct str pattern,
                   bool *out) MUST_CHECK;
bool regex_replace(struct interp *in, const struct node *at, struct str text, struct str pattern,
                   struct str replacement, bool all, struct str *out) MUST_CHECK;
bool regex_split(struct interp *in, const struct node *at, struct str text, struct str pattern,
                 int64_t limit, struct value *list_out) MUST_CHECK;
