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

/* What is written is what was read, all digits of its numbers with it. */
static void
try_json(struct arena *a, struct str text)
{
    cleanup_json struct json *j = NULL;
    cleanup_free char *written = NULL;
    struct value v, again;
    struct err err;

    if (!value_parse_json(a, text, &v, &err) || !value_to_json(a, v, &j))
        return;
    written = json_format(j);
    assert(value_parse_json(a, str_of(written), &again, &err));
    assert(value_equal(v, again));
}

static void
try_number(struct arena *a, struct str text)
{
    struct value v, again;

    if (!value_of_number(a, text, &v))
        return;
    assert(value_of_number(a, value_to_text(a, v), &again));
    again.type = v.type; /* 1.5e1 shows as 15 */
    assert(value_same_key(v, again) && value_hash_number(v) == value_hash_number(again));
}

/* The first byte says what the rest is read as. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data + 1, size - 1};
    struct arena a = {0};

    if (size == 0 || size > 20000)
        return 0;
    if (data[0] == 'y')
        try_yaml(&a, text);
    else if (data[0] == 'x')
        try_xml(&a, text);
    else if (data[0] == 'j')
        try_json(&a, text);
    else
        try_number(&a, text);
    arena_done(&a);
    return 0;
}
