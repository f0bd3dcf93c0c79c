/* SPDX-License-Identifier: MIT */
/* ec2_form.h - EC2's dialect of the Query protocol, as its clients speak it: other names on the
 * wire, lists without "member", answers without a result element. */
#pragma once
#include "base/json.h"
#include "cli/shapes.h"

/* The form of `input`, whose members have the model's names. */
void ec2_encode(struct strbuf *out, const struct aws_operation *operation, const char *version,
                const struct json *input);
/* What xml_to_json() made of an answer, with the model's names: "vpcSet" is "Vpcs". */
struct json *ec2_named(const struct json *answer);
