/* SPDX-License-Identifier: MIT */
/* A JSON document against every input shape; what is accepted is accepted again, unchanged. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/ecs_task_definition.h"
#include "api/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a definition's check lets through must normalise, and its normal form is a fixed point. */
static void
check_definition(const struct json *input)
{
    cleanup_json struct json *once = NULL, *twice = NULL;
    struct err err = {0};

    if (!definition_check(input, &err)) {
        assert(err.code == ERR_CLIENT && err.message[0] != '\0');
        return;
    }
    once = definition_normalise(input, "000000000000", "me");
    twice = definition_normalise(once, "000000000000", "me");
    assert(json_equal(once, twice));
}

static void
check(const struct json *document, const struct model_operation *operation)
{
    cleanup_json struct json *once = NULL, *twice = NULL;
    struct err err = {0};

    if (!shape_accept(operation->input, document, operation->invalid, &once, &err)) {
        assert(err.code == operation->invalid || err.code == ERR_SERIALIZATION);
        assert(err.message[0] != '\0');
        return;
    }
    if (!shape_accept(operation->input, once, operation->invalid, &twice, &err))
        assert(!"what was accepted is refused");
    assert(json_equal(once, twice));
    if (strcmp(operation->name, "RegisterTaskDefinition") == 0)
        check_definition(once);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    struct err err = {0};
    struct json *document = NULL;

    if (size > 256 * 1024 || !json_protocol_read(text, &document, &err))
        return 0;
    for (size_t m = 0; m < model_count; m++) {
        for (size_t i = 0; i < models[m].operation_count; i++) {
            if (models[m].operations[i].input != NULL)
                check(document, &models[m].operations[i]);
        }
    }
    json_unref(document);
    return 0;
}
