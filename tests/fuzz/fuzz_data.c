/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "pipeline/steps/data_xml.h"
#include "pipeline/steps/data_yaml.h"
#include "pipeline/groovy/value_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_yaml(struct arena *a, struct str text)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct value list, again;
    struct err err;

    if (!data_yaml_parse(a, text, &list, &err) || list.list->count == 0)
        return;
    /* What was written reads back, unless it is too deep or not UTF-8. */
    if (data_yaml_format(a, list, true, &out, &err) && out.len < 100000 &&
        data_yaml_parse(a, strbuf_str(&out), &again, &err))
        assert(again.list->count == list.list->count);
}

static void
try_xml(struct arena *a, struct str text)
{
    struct err err;
    const struct xml *root = data_xml_parse(a, text, &err);

    if (root != NULL)
        assert(root->name.len > 0 && xml_attribute(root, "").len == 0);
}

/* The first byte says what the rest is read as. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data + 1, size - 1};
    struct arena a = {0};
    struct value v;

    if (size == 0 || size > 20000)
        return 0;
    if (data[0] == 'y')
        try_yaml(&a, text);
    else if (data[0] == 'x')
        try_xml(&a, text);
    else if (value_of_number(text, &v))
        assert(value_is_number(v) && v.scale <= 18);
    arena_done(&a);
    return 0;
}
