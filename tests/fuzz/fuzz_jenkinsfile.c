/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include "pipeline/interp.h"
#include "pipeline/jenkinsfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a Jenkinsfile; what has no pipeline block is also run, without any steps. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct diagnostics d;
    struct interp_world world = {0};
    struct arena values = {0};
    struct jenkinsfile *j;
    struct interp in;
    struct value v;

    d.count = 0;
    j = jenkinsfile_parse((struct str){(const char *)data, size}, &d);
    assert((j == NULL) == (d.count > 0));
    for (size_t i = 0; i < d.count && i < DIAGNOSTICS_MAX; i++)
        assert(d.items[i].line > 0 && d.items[i].column > 0 && d.items[i].message[0] != '\0');
    /* Loops are the world's to end, and there is none here. */
    if (j != NULL && j->pipeline_call == NULL && memmem(data, size, "while", 5) == NULL &&
        memmem(data, size, "for", 3) == NULL && size < 2000) {
        interp_init(&in, &values, &world);
        interp_hoist(&in, j->script);
        in.depth = INTERP_DEPTH_MAX - 200; /* the main thread's stack is small */
        (void)!interp_block(&in, j->script, &v);
        arena_done(&values);
    }
    jenkinsfile_free(j);
    return 0;
}
