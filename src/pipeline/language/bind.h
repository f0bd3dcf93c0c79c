/* SPDX-License-Identifier: MIT */
/* bind.h - what jenkinsfile.c (structure) shares with bind_blocks.c (the contents of sections). */
#pragma once
#include "pipeline/language/jenkinsfile.h"

struct binder {
    struct jenkinsfile *j;
    struct diagnostics *d;
};

void bind_fail(struct binder *b, const struct node *at, const char *code, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* The same, with "; did you mean 'x'?" if `near` is not NULL. */
void bind_fail_near(struct binder *b, const struct node *at, const char *code, const char *near,
                    const char *format, ...) PRINTF_LIKE(5, 6);
void bind_common(struct binder *b, struct stage *stage, bool is_stage);
/* `steps`, a post condition, the block of a step. */
void bind_steps(struct binder *b, const struct node *call);
void bind_environment(struct binder *b, const struct node *call);
void bind_post(struct binder *b, const struct node *call);
void bind_when(struct binder *b, const struct node *call);
void bind_options(struct binder *b, const struct node *call, bool is_stage);
void bind_parameters(struct binder *b, const struct node *call);
void bind_triggers(struct binder *b, const struct node *call);
void bind_tools(struct binder *b, const struct node *call);
void bind_libraries(struct binder *b, const struct node *call);
void bind_input(struct binder *b, const struct node *call);
void bind_agent(struct binder *b, struct stage *stage);
void bind_matrix(struct binder *b, struct stage *stage);
/* Fills the sections of a block; `is_allowed` says which names may stand there. */
void bind_sections(struct binder *b, struct stage *stage, const struct node *block,
                   bool (*is_allowed)(enum section s), const char *what);
void bind_stages(struct binder *b, struct stage *parent, const struct node *call, bool in_parallel);
/* The statement as a call of a plain name, or NULL. */
const struct node *bind_call(const struct node *statement);
