/* SPDX-License-Identifier: MIT */
/* A CBOR body against every input shape of those who take it; what is accepted, written as an
 * answer and read again, is the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct json *document, const struct model_operation *operation)
{
    cleanup_json struct json *accepted = NULL, *again = NULL;
    cleanup(strbuf_done) struct strbuf bytes = {0};
    struct err err = {0};

    if (!shape_accept(operation->input, document, operation->invalid, &accepted, &err)) {
        assert(err.code == operation->invalid || err.code == ERR_SERIALIZATION);
        assert(err.message[0] != '\0');
        return;
    }
    cbor_protocol_write(&bytes, accepted);
    if (!cbor_protocol_read(strbuf_str(&bytes), &again, &err))
        assert(!"what was written cannot be read");
    assert(json_equal(accepted, again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str bytes = {(const char *)data, size};
    cleanup(strbuf_done) struct strbuf text = {0}, answer = {0};
    cleanup_json struct json *document = NULL;
    struct err err = {0};

    if (!cbor_protocol_read(bytes, &document, &err)) {
        assert(err.code == ERR_SERIALIZATION && err.message[0] != '\0' && document == NULL);
        return 0;
    }
    assert(json_type(document) == JSON_OBJECT);
    json_write(&text, document); /* it is JSON like any other */
    cbor_protocol_write(&answer, document);
    for (size_t m = 0; m < model_count; m++) {
        for (size_t i = 0; models[m].cbor_namespace != NULL && i < models[m].operation_count; i++) {
            if (models[m].operations[i].input != NULL)
                check(document, &models[m].operations[i]);
        }
    }
    return 0;
}
