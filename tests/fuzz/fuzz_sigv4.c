/* SPDX-License-Identifier: MIT */
/* An Authorization header, a line break, then path and query: whatever comes must be refused or
 * verified without a fault, and what we sign ourselves must verify. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/sigv4.h"
#include "io/role_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STAMP "20260102T030405Z"
#define NOW_MS 1767323045000

static void
check_round_trip(struct str path, struct str query)
{
    cleanup(strbuf_done) struct strbuf authorization = {0};
    struct sigv4_header headers[] = {{STR("host"), STR("h")}, {STR("x-amz-date"), STR(STAMP)}, {{0}, {0}}};
    struct sigv4_request rq = {.method = STR("GET"), .path = path, .query = query,
                               .headers = headers, .header_count = 2};
    struct sigv4_authorization auth;
    struct err err = {0};
    bool verified;

    sigv4_sign(&rq, "key", "secret", "eu-west-1", "ecs", STAMP, "host;x-amz-date", &authorization);
    headers[2] = (struct sigv4_header){STR("authorization"), strbuf_str(&authorization)};
    rq.header_count = 3;
    verified = sigv4_verify(&rq, "key", "secret", "", NOW_MS, &auth, &err);
    assert(verified);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, header = {0}, path = {0}, query = {0};
    struct sigv4_authorization auth;
    struct err err = {0};

    if (size > SIGV4_QUERY_MAX) /* then there are not too many parameters either */
        return 0;
    str_split(&rest, '\n', &header);
    str_split(&rest, '?', &path);
    query = rest;
    if (!sigv4_parse(header, &auth, &err))
        assert(err.code != ERR_NONE && err.message[0] != '\0');
    const struct sigv4_header headers[] = {
        {STR("host"), STR("h")}, {STR("x-amz-date"), STR(STAMP)}, {STR("authorization"), header}};
    const struct sigv4_request rq = {.method = STR("GET"), .path = path, .query = query,
                                     .headers = headers, .header_count = 3};
    struct role_arn arn;
    if (role_arn_parse(header, &arn))
        assert(arn.account.len == 12 && arn.last.len > 0 && arn.last.len <= arn.name.len);
    err = (struct err){0};
    if (!sigv4_verify(&rq, "key", "secret", "", NOW_MS, &auth, &err))
        assert(err.code != ERR_NONE);
    check_round_trip(path, query);
    return 0;
}
