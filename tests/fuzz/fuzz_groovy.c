/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include "pipeline/groovy/interp.h"
#include "pipeline/language/jenkinsfile.h"

#define EVALUATIONS_MAX 20000
#define POLLS_MAX 300 /* of 64 evaluations each */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned polls;

static bool
poll_world(struct interp *in, const struct node *at)
{
    if (++polls < POLLS_MAX)
        return true;
    in->polls_always = true; /* a script that catches it does not get on */
    return interp_throw(in, at, "TimeoutException", "enough");
}

/* A step gives back what it is given and runs its block. */
static bool
call_world(struct interp *in, const struct node *call, const struct args *args, struct value *out,
           bool *found)
{
    *found = !str_is(call->text, "nothing");
    if (args->count == 0)
        return true;
    *out = args->at[args->count - 1];
    return out->type != V_CLOSURE || interp_call_closure(in, out->closure, NULL, 0, out);
}

/* Runs a script with a world that has steps, but neither files nor a clock that counts. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct diagnostics d;
    const struct interp_world world = {.poll = poll_world, .call = call_world};
    struct arena tree = {0}, values = {0};
    struct interp *in = mem_new(sizeof(*in));
    struct node *n;
    struct value v;
    struct str text;

    d.count = 0;
    polls = 0;
    n = size > 4000 ? NULL : syntax_parse((struct str){(const char *)data, size}, &tree, &d);
    if (n != NULL) {
        interp_init(in, &values, &world);
        in->evaluations_max = EVALUATIONS_MAX;
        interp_hoist(in, n);
        in->depth = INTERP_DEPTH_MAX - 150; /* the main thread's stack is small */
        if (interp_block(in, n, &v))
            (void)!interp_to_text(in, n, v, &text);
        else
            assert(in->completion != COMPLETION_NONE);
    }
    arena_done(&values);
    arena_done(&tree);
    free(in);
    return 0;
}
