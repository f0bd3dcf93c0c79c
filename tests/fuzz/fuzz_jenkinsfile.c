/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "pipeline/language/needs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
depth_of(const struct node *n)
{
    const struct node *parts[NODE_PARTS_MAX];
    const size_t count = node_parts(n, parts);
    unsigned deepest = 0;

    for (size_t i = 0; i < count; i++)
        for (const struct node *p = parts[i]; p != NULL; p = p->next) {
            const unsigned depth = depth_of(p);
            deepest = depth > deepest ? depth : deepest;
        }
    return deepest + 1;
}

/* Reads a Jenkinsfile, checks its rules, tells its errors and what it needs. fuzz_groovy runs them. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(strbuf_done) struct strbuf shown = {0};
    const struct str text = {(const char *)data, size};
    static struct diagnostics d;
    struct arena arena = {0};
    struct jenkinsfile *j;

    d.count = 0;
    j = jenkinsfile_parse(text, &d);
    assert((j == NULL) == (d.count > 0));
    for (size_t i = 0; i < d.count && i < DIAGNOSTICS_MAX; i++)
        assert(d.items[i].line > 0 && d.items[i].column > 0 && d.items[i].message[0] != '\0');
    diagnostics_show(&d, "J", "error", text, &shown);
    assert((shown.len > 0) == (d.count > 0));
    assert(j == NULL || depth_of(j->script) <= SYNTAX_TREE_MAX + 1);
    if (j != NULL)
        for (const struct need *n = needs_find(j, &arena); n != NULL; n = n->next)
            assert(n->line > 0 && n->name.len > 0);
    arena_done(&arena);
    jenkinsfile_free(j);
    return 0;
}
