/* SPDX-License-Identifier: MIT */
#include "api/protocol.h"
#include "base/crypto.h"

#include "check.h"

#define NOON (INT64_C(1530532800) * 1000) /* 2018-07-02T12:00:00Z */

static void
add_hex(struct strbuf *out, const char *hex)
{
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += hex[2] == ' ' ? 3 : 2) {
        strbuf_add_char(out, (char)byte);
        if (hex[2] == '\0')
            return;
    }
}

static const char *
read_text(struct str bytes)
{
    static char out[4096];
    cleanup_json struct json *value = NULL;
    cleanup_free char *text = NULL;
    struct err err = {0};

    if (cbor_protocol_read(bytes, &value, &err)) {
        text = json_format(value);
        snprintf(out, sizeof(out), "%s", text);
    } else {
        CHECK_EQ(err.code, ERR_SERIALIZATION);
        CHECK(value == NULL);
        snprintf(out, sizeof(out), "%s", err.message);
    }
    return out;
}

/* The bytes of a body as JSON text, or what is wrong with them. */
static const char *
read_hex(const char *hex)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};

    add_hex(&bytes, hex);
    return read_text(strbuf_str(&bytes));
}
#define CHECK_READ(hex, want) CHECK_TEXT(read_hex(hex), want)
#define CHECK_BAD(hex, why) CHECK_TEXT(read_hex(hex), "The CBOR of the request " why ".")

TEST(bodies_become_json)
{
    CHECK_READ("", "{}");
    CHECK_READ("a0", "{}");
    CHECK_READ("a1 61 61 01", "{\"a\":1}");
    CHECK_READ("a2 61 61 83 01 20 f5 61 62 a1 61 63 f6", "{\"a\":[1,-1,true],\"b\":{\"c\":null}}");
    CHECK_READ("a3 61 61 f4 61 62 f7 61 63 63 e2 82 ac",
               "{\"a\":false,\"b\":null,\"c\":\"\xe2\x82\xac\"}");
    CHECK_READ("a2 61 61 80 61 62 a0", "{\"a\":[],\"b\":{}}");
}

TEST(integers_of_each_width)
{
    CHECK_READ("a1 61 61 86 17 18 ff 19 ffff 1a ffffffff 1b 7fffffffffffffff 00",
               "{\"a\":[23,255,65535,4294967295,9223372036854775807,0]}");
    CHECK_READ("a1 61 61 85 37 38 ff 39 ffff 3a ffffffff 3b 7fffffffffffffff",
               "{\"a\":[-24,-256,-65536,-4294967296,-9223372036854775808]}");
    CHECK_BAD("a1 61 61 1b 8000000000000000", "has an integer beyond 64 bits with a sign");
    CHECK_BAD("a1 61 61 3b 8000000000000000", "has an integer beyond 64 bits with a sign");
}

TEST(numbers_of_each_width)
{
    CHECK_READ("a1 61 61 83 f9 3e00 fa 3fc00000 fb 3ff8000000000000", "{\"a\":[1.5,1.5,1.5]}");
    CHECK_READ("a1 61 61 82 f9 0001 f9 fbff", "{\"a\":[5.9604644775390625e-08,-65504.0]}");
    CHECK_BAD("a1 61 61 f9 7c00", "has a number that is infinite or none");
    CHECK_BAD("a1 61 61 fa ff800000", "has a number that is infinite or none");
    CHECK_BAD("a1 61 61 fb 7ff8000000000000", "has a number that is infinite or none");
}

TEST(times_are_integers_or_numbers_behind_tag_1)
{
    CHECK_READ("a1 61 74 c1 1a 5b3a1488", "{\"t\":1530533000}");
    CHECK_READ("a1 61 74 c1 fb 41d6ce8522000000", "{\"t\":1530533000.0}");
    CHECK_READ("a1 61 74 c1 20", "{\"t\":-1}");
    CHECK_READ("a1 61 74 d8 01 01", "{\"t\":1}");
    CHECK_BAD("a1 61 74 c1 61 61", "has a time that is not a number");
    CHECK_BAD("a1 61 74 c1 80", "has a time that is not a number");
    CHECK_BAD("a1 61 74 c1 c1 01", "has a time that is not a number");
    CHECK_BAD("bf 61 74 c1 ff", "has a break where nothing can end");
    CHECK_BAD("a1 61 74 c0 61 61", "has a tag other than that of times, 1");
    CHECK_BAD("d9 d9f7 a0", "has a tag other than that of times, 1");
    CHECK_BAD("a1 61 74 c2 42 0100", "has an integer beyond 64 bits with a sign");
    CHECK_BAD("a1 61 74 c3 42 0100", "has an integer beyond 64 bits with a sign");
}

TEST(lengths_may_be_indefinite)
{
    CHECK_READ("bf ff", "{}");
    CHECK_READ("bf 61 61 9f 01 9f ff 02 ff 61 62 bf 61 63 03 ff ff",
               "{\"a\":[1,[],2],\"b\":{\"c\":3}}");
    CHECK_READ("a1 61 61 7f 62 6162 60 61 63 ff", "{\"a\":\"abc\"}");
    CHECK_READ("a1 7f 61 61 61 62 ff 7f ff", "{\"ab\":\"\"}");
    CHECK_READ("a1 61 61 82 9f 81 9f ff ff 01", "{\"a\":[[[[]]],1]}");
    CHECK_BAD("a1 61 61 ff", "has a break where nothing can end");
    CHECK_BAD("bf 61 61 ff", "has a break where nothing can end");
    CHECK_BAD("ff", "has a break where nothing can end");
    CHECK_BAD("a1 61 61 82 01 ff", "has a break where nothing can end");
    CHECK_BAD("a1 61 61 7f 01 ff", "has something else between the pieces of a text");
    CHECK_BAD("a1 61 61 7f 7f ff ff", "has something else between the pieces of a text");
}

TEST(what_is_malformed_is_refused)
{
    CHECK_BAD("01", "must be a map");
    CHECK_BAD("80", "must be a map");
    CHECK_BAD("f6", "must be a map");
    CHECK_BAD("a0 00", "has something behind its end");
    CHECK_BAD("a1", "ends too early");
    CHECK_BAD("a1 61", "ends too early");
    CHECK_BAD("a1 61 61", "ends too early");
    CHECK_BAD("bf", "ends too early");
    CHECK_BAD("a1 61 61 1b 00000000", "ends too early");
    CHECK_BAD("a1 61 61 7b ffffffffffffffff 61", "ends too early");
    CHECK_BAD("a1 61 61 7f 61 62", "ends too early");
    CHECK_BAD("a1 61 61 1c", "has a byte that begins no item");
    CHECK_BAD("a1 61 61 f8 20", "has a byte that begins no item");
    CHECK_BAD("a1 61 61 e0", "has a byte that begins no item");
    CHECK_BAD("a1 01 01", "has a key that is not a text");
    CHECK_BAD("a1 80 01", "has a key that is not a text");
    CHECK_BAD("a2 61 61 01 61 61 02", "has a key twice");
    CHECK_BAD("a1 61 61 62 c328", "has a text that is not UTF-8, or has a NUL");
    CHECK_BAD("a1 61 61 7f 61 c3 61 a9 ff", "has a text that is not UTF-8, or has a NUL");
    CHECK_BAD("a1 61 61 61 00", "has a text that is not UTF-8, or has a NUL");
    CHECK_BAD("a1 61 61 42 0000", "has bytes where nothing takes them");
    CHECK_BAD("a1 61 61 5f 41 00 ff", "has bytes where nothing takes them");
    CHECK_BAD("bb ffffffffffffffff", "has too many items");
    CHECK_BAD("a1 61 61 9b ffffffffffffffff", "has too many items");
}

/* `count` lists in each other, in a map. */
static const char *
read_nested(int count, char begin, const char *end)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};

    add_hex(&bytes, "a1 61 61");
    for (int i = 0; i < count; i++)
        strbuf_add_char(&bytes, begin);
    add_hex(&bytes, "01");
    for (int i = 0; i < count; i++)
        add_hex(&bytes, end);
    return read_text(strbuf_str(&bytes));
}

TEST(depth_has_a_limit)
{
    CHECK(strncmp(read_nested(JSON_DEPTH_MAX - 1, '\x81', ""), "{\"a\":[[", 7) == 0);
    CHECK(strncmp(read_nested(JSON_DEPTH_MAX - 1, '\x9f', "ff"), "{\"a\":[[", 7) == 0);
    CHECK_TEXT(read_nested(JSON_DEPTH_MAX, '\x81', ""),
               "The CBOR of the request is nested too deep.");
    CHECK_TEXT(read_nested(JSON_DEPTH_MAX, '\x9f', "ff"),
               "The CBOR of the request is nested too deep.");
}

static bool
reads_items(size_t count)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    cleanup_json struct json *value = NULL;
    struct err err = {0};

    add_hex(&bytes, "a1 61 61 9f");
    for (size_t i = 0; i < count; i++)
        strbuf_add_char(&bytes, 1);
    add_hex(&bytes, "ff");
    return cbor_protocol_read(strbuf_str(&bytes), &value, &err);
}

TEST(items_have_a_limit)
{
    CHECK(reads_items(CBOR_ITEMS_MAX - 3)); /* and the map, its key, the list */
    CHECK(!reads_items(CBOR_ITEMS_MAX - 2));
}

static const char *
hex_of(struct str bytes)
{
    static char out[4096];

    CHECK(2 * bytes.len < sizeof(out));
    hex_encode(bytes.at, bytes.len, out);
    return out;
}

TEST(answers_become_bytes)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    cleanup_json struct json *answer = json_object();
    struct json *list = json_array();

    json_append(list, json_int(23));
    json_append(list, json_int(-300));
    json_append(list, json_real(2));
    json_append(list, json_bool(true));
    json_append(list, cbor_time_ms(NOON + 500));
    json_set(answer, "L", list);
    json_set(answer, "N", json_text(NULL));
    json_set(answer, "T", json_text("\xe2\x82\xac"));
    cbor_protocol_write(&out, answer);
    CHECK_TEXT(hex_of(strbuf_str(&out)), "a2"
                                         "614c85"
                                         "17"
                                         "39012b"
                                         "fb4000000000000000"
                                         "f5"
                                         "c1fb41d6ce84f0200000"
                                         "6154"
                                         "63e282ac");
}
