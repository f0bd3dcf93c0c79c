/* SPDX-License-Identifier: MIT */
/* What json_parse() accepts, json_format() prints so that it reads back as the same value. */
#include <assert.h>
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_json struct json *j = json_parse((struct str){(const char *)data, size}, &err);
    cleanup_json struct json *again = NULL, *pretty = NULL;
    cleanup_free char *text = NULL, *pretty_text = NULL;

    if (j == NULL) {
        assert(err.code == ERR_SERIALIZATION && err.message[0] != '\0');
        return 0;
    }
    text = json_format(j);
    again = json_parse(str_of(text), &err);
    assert(again != NULL && json_equal(j, again));
    pretty_text = json_format_pretty(j);
    pretty = json_parse(str_of(pretty_text), &err);
    assert(pretty != NULL && json_equal(j, pretty));
    return 0;
}
