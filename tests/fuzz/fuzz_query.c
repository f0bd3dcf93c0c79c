/* SPDX-License-Identifier: MIT */
/* A Query form against an input shape of every Query model, then written back as XML. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
decode(const struct query_form *form, bool is_ec2, const struct model_operation *operation)
{
    cleanup_json struct json *raw = NULL, *accepted = NULL;
    cleanup(strbuf_done) struct strbuf xml = {0};
    struct err err = {0};

    if (!(is_ec2 ? ec2_decode : query_decode)(form, operation->input, operation->invalid, &raw, &err)) {
        assert(err.code != ERR_NONE);
        return;
    }
    if (!shape_accept(operation->input, raw, operation->invalid, &accepted, &err)) {
        assert(err.code == operation->invalid); /* the types were made by the shape */
        return;
    }
    (is_ec2 ? ec2_write : query_write)(&xml, operation->name, "http://ns/", accepted, "id");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    struct err err = {0};
    struct query_form *form = query_parse(text, &err);

    if (form == NULL) {
        assert(err.code == ERR_SERIALIZATION);
        return 0;
    }
    for (size_t m = 0; m < model_count; m++) {
        for (size_t i = 0; models[m].is_query && i < models[m].operation_count; i++) {
            if (models[m].operations[i].input != NULL)
                decode(form, models[m].is_ec2, &models[m].operations[i]);
        }
    }
    query_free(form);
    return 0;
}
