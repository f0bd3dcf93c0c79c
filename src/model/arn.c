/* SPDX-License-Identifier: MIT */
#include "model/arn.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

bool
arn_is(struct str text)
{
    return str_starts(text, STR("arn:"));
}

bool
arn_parse(struct str text, struct arn *out)
{
    struct str rest = text, prefix, partition;
    struct arn a;

    if (!str_split(&rest, ':', &prefix) || !str_is(prefix, "arn"))
        return false;
    if (!str_split(&rest, ':', &partition) || !str_split(&rest, ':', &a.service) ||
        !str_split(&rest, ':', &a.region) || !str_split(&rest, ':', &a.account))
        return false;
    if (rest.at == NULL || rest.len == 0 || partition.len == 0 || a.service.len == 0)
        return false;
    a.resource = rest;
    *out = a;
    return true;
}

void
arn_format(char out[static ARN_SIZE], const char *service, const char *region, const char *account,
           const char *format, ...)
{
    va_list args;
    int head = snprintf(out, ARN_SIZE, "arn:aws:%s:%s:%s:", service, region, account);
    int tail;

    assert(head > 0 && head < ARN_SIZE);
    va_start(args, format);
    tail = vsnprintf(out + head, (size_t)(ARN_SIZE - head), format, args);
    va_end(args);
    assert(tail >= 0 && tail < ARN_SIZE - head); /* names are at most 255, three of them fit */
}

struct str
arn_last(struct str text)
{
    struct arn a;
    ptrdiff_t slash;

    if (!arn_parse(text, &a))
        return text;
    slash = str_rindex(a.resource, '/');
    return slash < 0 ? a.resource : str_slice(a.resource, (size_t)slash + 1, a.resource.len);
}
