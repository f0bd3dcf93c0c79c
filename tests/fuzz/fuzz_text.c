/* SPDX-License-Identifier: MIT */
/* The small decoders of base: what one accepts comes back from its encoder. */
#include <assert.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_base64(struct str s)
{
    cleanup(strbuf_done) struct strbuf plain = {0}, text = {0};

    if (!base64_decode(&plain, s)) {
        assert(plain.len == 0);
        return;
    }
    base64_encode(&text, strbuf_str(&plain));
    assert(str_equal(strbuf_str(&text), s)); /* strict: one text for each content */
}

static void
check_uri(struct str s)
{
    cleanup(strbuf_done) struct strbuf plain = {0}, text = {0}, back = {0}, value = {0};

    (void)uri_query_get(s, "name", &value);
    if (!uri_decode(&plain, s, false))
        return;
    uri_encode(&text, strbuf_str(&plain), false);
    assert(uri_decode(&back, strbuf_str(&text), true));
    assert(str_equal(strbuf_str(&back), strbuf_str(&plain)));
}

static void
check_time(struct str s)
{
    char text[32];
    int64_t ms, again;

    if (clock_parse_iso(s, &ms) && ms >= 0) {
        clock_format_iso(ms, text);
        assert(clock_parse_iso(str_of(text), &again));
        assert(again == ms || ms > INT64_C(253402300799999)); /* beyond the year 9999 it clamps */
    }
    if (clock_parse_basic(s, &ms)) {
        clock_format_basic(ms, text);
        assert(str_is(s, text));
    }
}

/* Whatever bytes a text is made of, the document stays one that we read ourselves. */
static void
check_text(struct str s)
{
    struct err err;
    cleanup_json struct json *j = json_str(s), *back = NULL;
    cleanup_free char *text = json_format(j);

    back = json_parse(str_of(text), &err);
    assert(back != NULL && json_equal(j, back));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    unsigned char bytes[256];
    int64_t number;

    check_base64(s);
    check_uri(s);
    check_time(s);
    check_text(s);
    (void)str_to_i64(s, &number);
    if (size <= 2 * sizeof(bytes))
        (void)hex_decode(s, bytes);
    return 0;
}
