/* SPDX-License-Identifier: MIT */
#include "cli/ec2_form.h"

#include <ctype.h>
#include "base/uri.h"

static void
encode_value(struct strbuf *out, const struct shape *shape, const char *name,
             const struct json *value)
{
    cleanup_free char *text = NULL;

    switch (json_type(value)) {
    case JSON_OBJECT:
        for (void *it = json_first(value); it != NULL; it = json_next(value, it)) {
            const struct shape_member *m = shape_member_find(shape, json_key(it));
            cleanup_free char *inner = NULL;

            if (m == NULL)
                continue; /* the arguments were checked against the shapes */
            inner = text_format("%s.%s", name, m->wire);
            encode_value(out, m->shape, inner, json_value(it));
        }
        return;
    case JSON_ARRAY:
        for (size_t i = 0; i < json_size(value); i++) {
            cleanup_free char *inner = text_format("%s.%zu", name, i + 1);

            encode_value(out, shape->element, inner, json_at(value, i));
        }
        return;
    case JSON_NULL:
    case JSON_NONE:
        return;
    case JSON_TEXT:
        text = text_dup(json_cstr(value, ""));
        break;
    default:
        text = json_format(value); /* numbers, true, false */
        break;
    }
    strbuf_addf(out, "&%s=", name);
    uri_encode(out, str_of(text), false);
}

void
ec2_encode(struct strbuf *out, const struct aws_operation *operation, const char *version,
           const struct json *input)
{
    strbuf_addf(out, "Action=%s&Version=%s", operation->name, version);
    for (void *it = json_first(input); it != NULL; it = json_next(input, it)) {
        const struct shape_member *m = shape_member_find(operation->input, json_key(it));

        if (m != NULL)
            encode_value(out, m->shape, m->wire, json_value(it));
    }
}

/* The members whose names are not the wire's with a capital letter. */
static void
model_name(const char *wire, char *out, size_t size)
{
    static const struct {
        const char *wire, *name;
    } rows[] = {
        {"availabilityZoneInfo", "AvailabilityZones"},
        {"groupDescription", "Description"},
        {"groups", "UserIdGroupPairs"},
        {"messageSet", "Messages"},
        {"securityGroupInfo", "SecurityGroups"},
        {"securityGroupRuleSet", "SecurityGroupRules"},
        {"subnetSet", "Subnets"},
        {"tagSet", "Tags"},
        {"unknownIpPermissionSet", "UnknownIpPermissions"},
        {"vpcSet", "Vpcs"},
        {"zoneState", "State"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(rows[i].wire, wire) == 0) {
            text_copy(out, size, str_of(rows[i].name));
            return;
        }
    text_copy(out, size, str_slice(str_of(wire), 0, size - 1));
    out[0] = (char)toupper((unsigned char)out[0]);
}

struct json *
ec2_named(const struct json *answer)
{
    struct json *out;
    char name[128];

    switch (json_type(answer)) {
    case JSON_OBJECT:
        out = json_object();
        for (void *it = json_first(answer); it != NULL; it = json_next(answer, it)) {
            if (strcmp(json_key(it), "requestId") == 0)
                continue;
            model_name(json_key(it), name, sizeof(name));
            json_set(out, name, ec2_named(json_value(it)));
        }
        return out;
    case JSON_ARRAY:
        out = json_array();
        for (size_t i = 0; i < json_size(answer); i++)
            json_append(out, ec2_named(json_at(answer, i)));
        return out;
    default:
        return json_ref(answer);
    }
}
