/* SPDX-License-Identifier: MIT */
/* A WWW-Authenticate header on the first line, a Location header on the rest. */
#include <assert.h>

#include "registry/mirror/pull_through.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, header = {0};
    cleanup(strbuf_done) struct strbuf url = {0};
    struct challenge c;
    char upstream[600];

    if (size == 0 || !str_split(&rest, '\n', &header))
        return 0;
    if (challenge_parse(header, &c) && c.is_bearer)
        assert(url_host(str_of(c.realm)).len > 0);
    if (url_follow(STR("https://registry.example/v2/"), rest, &url)) {
        assert(str_starts(strbuf_str(&url), STR("https://")) && url_host(strbuf_str(&url)).len > 0);
        assert(strcspn(strbuf_cstr(&url), "\r\n ") == url.len);
    }
    cleanup_free char *text = str_dup(rest);
    if (pull_url_read(text, upstream, sizeof upstream, NULL))
        assert(url_host(str_of(upstream)).len > 0);
    return 0;
}
