/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "pipeline/language/label.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
has_even(void *arg, struct str name)
{
    unsigned *asked = arg;

    assert(name.len > 0);
    (*asked)++;
    return name.len % 2 == 0;
}

static void
count(void *arg, struct str name)
{
    assert(name.len > 0);
    (*(unsigned *)arg)++;
}

/* Parsed or refused with words and a place in the text; what is parsed has one answer. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    struct arena arena = {0};
    struct err err = {0};
    size_t offset;
    unsigned asked = 0, again = 0, wanted = 0;
    const struct label *l = label_parse(text, &arena, &offset, &err);

    assert(offset <= size);
    if (l == NULL) {
        assert(err.message[0] != '\0');
    } else {
        assert(label_holds(l, has_even, &asked) == label_holds(l, has_even, &again));
        assert(asked == again && asked > 0);
        label_wants(l, count, &wanted);
    }
    arena_done(&arena);
    return 0;
}
