/* SPDX-License-Identifier: MIT */
#include "api/protocol.h"

bool
json_protocol_read(struct str body, struct json **out, struct err *err)
{
    cleanup_json struct json *input = NULL;

    if (str_trim(body).len == 0) {
        *out = json_object();
        return true;
    }
    input = json_parse(body, err);
    if (input == NULL)
        return false;
    if (json_type(input) != JSON_OBJECT)
        return err_set(err, ERR_SERIALIZATION, "The request body must be a JSON object.");
    *out = TAKE(input);
    return true;
}

void
json_protocol_write(struct strbuf *out, const struct json *answer)
{
    json_write(out, answer);
}

void
json_protocol_write_error(struct strbuf *out, const char *code, const char *message,
                          const struct json *extra)
{
    cleanup_json struct json *body = json_object();

    json_set(body, "__type", json_text(code));
    json_set(body, "message", json_text(message));
    for (void *it = json_first(extra); it != NULL; it = json_next(extra, it))
        json_set(body, json_key(it), json_ref(json_value(it)));
    json_protocol_write(out, body);
}
