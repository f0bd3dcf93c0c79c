/* SPDX-License-Identifier: MIT */
#include "model/network.h"
#include "model/row.h"

static const struct row_field network_fields[] = {
    TEXT_FIELD(struct network, arn),
    TEXT_FIELD(struct network, id),
    TEXT_FIELD(struct network, region),
    ENUM_FIELD(struct network, kind, network_kind),
    TEXT_FIELD(struct network, vpc_id),
    TEXT_FIELD(struct network, name),
    BOOL_FIELD(struct network, is_default),
    BOOL_FIELD(struct network, is_gone),
    JSON_FIELD(struct network, doc),
    JSON_FIELD(struct network, tags),
    FIELDS_END,
};

const char *
network_prefix(enum network_kind kind)
{
    static const char *const prefixes[] = {[NETWORK_KIND_vpc] = "vpc-",
                                           [NETWORK_KIND_subnet] = "subnet-",
                                           [NETWORK_KIND_group] = "sg-"};

    return prefixes[kind];
}

const char *
network_type(enum network_kind kind)
{
    static const char *const types[] = {[NETWORK_KIND_vpc] = "vpc",
                                        [NETWORK_KIND_subnet] = "subnet",
                                        [NETWORK_KIND_group] = "security-group"};

    return types[kind];
}

void
network_free(struct network *n)
{
    if (n == NULL)
        return;
    row_free_documents(network_fields, n);
    free(n);
}

struct json *
network_encode(const struct network *n)
{
    return row_encode(network_fields, n);
}

struct network *
network_decode(const struct json *row, struct err *err)
{
    return row_decode_new(network_fields, row, sizeof(struct network), err);
}
