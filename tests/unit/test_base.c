/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/address_block.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/uri.h"

TEST(patterns_with_stars_match_whole_texts)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},          {"", "a", false},        {"*", "", true},         {"*", "abc", true},
        {"a*", "abc", true},     {"*c", "abc", true},     {"a*c", "ac", true},     {"a*c", "abcd", false},
        {"a?c", "abc", true},    {"a?c", "ac", false},    {"*a*b*", "xaxbx", true}, {"*a*b*", "xbxa", false},
        {"**a", "a", true},      {"a**", "a", true},      {"?", "", false},        {"*ab", "aab", true},
        {"*.*", "a.b", true},    {"prod*", "Prod1", false}, {"*aab", "aaaaab", true},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (str_like(str_of(cases[i].pattern), str_of(cases[i].text)) != cases[i].matches)
            check_fail(__FILE__, __LINE__, "'%s' and '%s'", cases[i].pattern, cases[i].text);
    }
}

TEST(str_compares_and_cuts)
{
    struct str rest = STR("a,,b"), part;

    CHECK(str_equal(STR(""), (struct str){NULL, 0}));
    CHECK(str_equal_nocase(STR("Content-Type"), STR("content-type")));
    CHECK(!str_equal_nocase(STR("a"), STR("ab")));
    CHECK_EQ(str_distance(STR("status"), STR("statsu")), 2);
    CHECK_EQ(str_distance(STR("Echo"), STR("ehco")), 2);
    CHECK_EQ(str_distance(STR(""), STR("abc")), 3);
    CHECK_EQ(str_distance(STR("deploy"), STR("deploy")), 0);
    CHECK(str_starts(STR("abc"), STR("ab")) && !str_starts(STR("a"), STR("ab")));
    CHECK(str_ends(STR("abc"), STR("bc")) && !str_ends(STR("c"), STR("bc")));
    CHECK(str_is(str_trim(STR(" \t x y\r\n")), "x y"));
    CHECK(str_is(str_trim(STR("  ")), ""));
    CHECK(str_is(str_slice(STR("abc"), 1, 99), "bc"));
    CHECK(str_is(str_slice(STR("abc"), 9, 2), ""));
    CHECK_EQ(str_index(STR("a.b.c"), '.'), 1);
    CHECK_EQ(str_rindex(STR("a.b.c"), '.'), 3);
    CHECK_EQ(str_find(STR("hello"), STR("llo")), 2);
    CHECK_EQ(str_find(STR("he"), STR("llo")), -1);
    CHECK(str_split(&rest, ',', &part) && str_is(part, "a"));
    CHECK(str_split(&rest, ',', &part) && str_is(part, ""));
    CHECK(str_split(&rest, ',', &part) && str_is(part, "b"));
    CHECK(!str_split(&rest, ',', &part));
    rest = STR("a,");
    CHECK(str_split(&rest, ',', &part) && str_is(part, "a"));
    CHECK(str_split(&rest, ',', &part) && str_is(part, ""));
    CHECK(!str_split(&rest, ',', &part));
}

TEST(numbers_are_read_exactly_or_refused)
{
    int64_t n = 7;

    CHECK(str_to_i64(STR("9223372036854775807"), &n) && n == INT64_MAX);
    CHECK(str_to_i64(STR("-9223372036854775808"), &n) && n == INT64_MIN);
    CHECK(str_is_hex(STR("09afAF")) && !str_is_hex(STR("")) && !str_is_hex(STR("0g")) && !str_is_hex(STR(" 0")));
    CHECK(str_to_i64(STR("-0"), &n) && n == 0);
    n = 7;
    CHECK(!str_to_i64(STR("9223372036854775808"), &n));
    CHECK(!str_to_i64(STR("-9223372036854775809"), &n));
    CHECK(!str_to_i64(STR(""), &n) && !str_to_i64(STR("-"), &n) && !str_to_i64(STR("+1"), &n));
    CHECK(!str_to_i64(STR(" 1"), &n) && !str_to_i64(STR("1x"), &n));
    CHECK_EQ(n, 7);
}

TEST(strbuf_grows_and_hands_over)
{
    struct strbuf b = {0};
    cleanup_free char *taken = NULL;
    char text[4];

    CHECK_TEXT(strbuf_cstr(&b), "");
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&b, "%d,", i);
    CHECK_EQ(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    CHECK(str_ends(strbuf_str(&b), STR(",998,999,")));
    strbuf_clear(&b);
    strbuf_add_char(&b, 'x');
    taken = strbuf_take(&b);
    CHECK_TEXT(taken, "x");
    CHECK(b.at == NULL && b.len == 0);
    CHECK(text_copy(text, sizeof(text), STR("abc")) && strcmp(text, "abc") == 0);
    CHECK(!text_copy(text, sizeof(text), STR("abcd")) && text[0] == '\0');
}

TEST(arena_keeps_what_it_gave)
{
    cleanup(arena_done) struct arena a = {0};
    char *first = arena_format(&a, "%s-%d", "first", 1);
    struct str dup = arena_dup(&a, STR("view"));

    for (size_t size = 0; size < 3000; size += 7) {
        char *p = arena_alloc(&a, size);

        CHECK_EQ((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            CHECK(p[i] == 0);
        memset(p, 0xee, size);
    }
    CHECK_TEXT(first, "first-1");
    CHECK_TEXT(dup.at, "view");
    CHECK(a.used > 600000);
}

/* Megabytes come in pieces of their own kind. */
TEST(an_arena_of_megabytes_is_as_any_other)
{
    enum { PIECE = 1000, PIECES = 6000, LARGE = 3000000 };
    struct arena a = {0};
    char *small = arena_cstr(&a, STR("first")), *large;

    for (int round = 0; round < 2; round++) {
        arena_reserve(&a, PIECES / 2 * PIECE);
        for (int i = 0; i < PIECES; i++) {
            char *p = arena_alloc(&a, PIECE);

            CHECK_EQ((uintptr_t)p % 16, 0);
            CHECK(p[0] == 0 && memcmp(p, p + 1, PIECE - 1) == 0);
            memset(p, 0xee, PIECE);
        }
        large = arena_alloc(&a, LARGE);
        CHECK(large[0] == 0 && memcmp(large, large + 1, LARGE - 1) == 0);
        large[LARGE - 1] = 1;
        CHECK(round > 0 || strcmp(small, "first") == 0);
        arena_done(&a);
        CHECK(a.head == NULL && a.used == 0);
    }
}

TEST(what_is_written_down_has_the_hash_of_every_version)
{
    CHECK(hash_fnv_32(HASH_FNV_32, STR("foobar")) == 0xbf9cf968u);
    CHECK(hash_fnv_64(HASH_FNV_64, STR("foobar")) == 0x85944171f73967e8u);
    CHECK(hash_fnv_32(hash_fnv_32(HASH_FNV_32, STR("foo")), STR("bar")) == 0xbf9cf968u);
}

/* Each word is multiplied; with the one that made a factor 0 all before it was out of the hash. */
TEST(no_word_takes_the_seed_out_of_a_hash)
{
    const uint64_t zero = 0xC2B2AE3D27D4EB4Fu, zero_too = 0x9E3779B97F4A7C15u;
    char a[24] = "aaaaaaaa", b[24] = "bbbbbbbb";

    memcpy(a + 8, &zero, 8);
    memcpy(b + 8, &zero, 8);
    CHECK(hash_text((struct str){a, 16}, 1) != hash_text((struct str){b, 16}, 1));
    CHECK(hash_text((struct str){a, 16}, 1) != hash_text((struct str){a, 16}, 2));
    memcpy(a + 8, &zero_too, 8);
    memcpy(b + 8, &zero_too, 8);
    CHECK(hash_text((struct str){a, 16}, 1) != hash_text((struct str){b, 16}, 1));
    CHECK(hash_text(STR("a"), 1) == hash_text(STR("a"), 1));
    CHECK(hash_text(STR(""), 1) != hash_text((struct str){"\0", 1}, 1));
}

TEST(an_error_says_what_failed)
{
    struct err err = {0};

    CHECK(!err_set(&err, ERR_CLUSTER_NOT_FOUND, "no cluster '%s'", "c"));
    CHECK_TEXT(err.message, "no cluster 'c'");
    CHECK_TEXT(err_wire(err.code), "ClusterNotFoundException");
    CHECK_EQ(err_http(err.code), 400);
    CHECK(!err_context(&err, "creating %s", "x"));
    CHECK_TEXT(err.message, "creating x: no cluster 'c'");
    CHECK_EQ(err.code, ERR_CLUSTER_NOT_FOUND);
    CHECK(!err_set(&err, ERR_INTERNAL, "again: %s", err.message)); /* its own text as argument */
    CHECK_TEXT(err.message, "again: creating x: no cluster 'c'");
    errno = ENOENT;
    CHECK(!err_errno(&err, "cannot open 'f'"));
    CHECK_TEXT(err.message, "cannot open 'f': No such file or directory");
    CHECK_EQ(err.sys_errno, ENOENT);
    CHECK(!err_set(NULL, ERR_INTERNAL, "nobody listens") && !err_context(NULL, "x"));
    for (int i = 0; i < 400; i++)
        err_context(&err, "long context %d", i);
    CHECK(strlen(err.message) < sizeof(err.message));
}

static const char *
parsed(const char *text, char **out)
{
    struct err err = {0};
    cleanup_json struct json *j = json_parse(str_of(text), &err);

    free(*out);
    *out = NULL;
    if (j == NULL) {
        CHECK_EQ(err.code, ERR_SERIALIZATION);
        return NULL;
    }
    *out = json_format(j);
    return *out;
}

TEST(every_day_is_read_as_it_is_written)
{
    for (int64_t day = 0; day < 200000; day += 1 + day / 3000) { /* up to the year 2500 */
        const int64_t ms = day * 86400000 + day % 86400 * 1000;
        char text[24];
        int64_t back = -1;

        clock_format_basic(ms, text);
        CHECK(clock_parse_basic(str_of(text), &back));
        CHECK_EQ(back, ms);
    }
}

TEST(json_survives_a_round_trip)
{
    cleanup_free char *out = NULL;

    CHECK_TEXT(parsed(" { \"b\" : [1, -2.5, 1e3], \"a\" : {\"x\":null,\"y\":true} } ", &out),
               "{\"b\":[1,-2.5,1000.0],\"a\":{\"x\":null,\"y\":true}}");
    CHECK_TEXT(parsed("\"\\u00e9\\n\\\"\\\\\\u0001/\"", &out), "\"\xc3\xa9\\n\\\"\\\\\\u0001/\"");
    CHECK_TEXT(parsed("[0.1,1700000000.123,0.30000000000000004]", &out),
               "[0.1,1700000000.123,0.30000000000000004]");
    CHECK_TEXT(parsed("[]", &out), "[]");
    CHECK_TEXT(parsed("{}", &out), "{}");
    CHECK_TEXT(parsed("12", &out), "12");
}

TEST(json_refuses_what_is_not_json)
{
    static const char *const broken[] = {
        "",       "{",         "[1,]",          "{\"a\":1,}", "{'a':1}",        "[01]",
        "nul",    "[1] x",     "\"\\u0000\"",   "\"\xff\"",   "{\"a\":1,\"a\":2}", "[1e999]",
        "\"\n\"", "[9999999999999999999]", "NaN", "\"\\ud800\"", "{\"a\" 1}", "]",
    };
    cleanup_free char *out = NULL;
    cleanup(strbuf_done) struct strbuf deep = {0};

    for (size_t i = 0; i < ARRAY_COUNT(broken); i++)
        if (parsed(broken[i], &out) != NULL)
            check_fail(__FILE__, __LINE__, "accepted %s", broken[i]);
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        strbuf_add_char(&deep, '[');
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        strbuf_add_char(&deep, ']');
    CHECK(parsed(strbuf_cstr(&deep), &out) != NULL);
    strbuf_add_char(&deep, ']');
    deep.at[0] = '[';
    cleanup_free char *deeper = text_format("[%.*s]", JSON_DEPTH_MAX * 2, deep.at);
    CHECK(parsed(deeper, &out) == NULL);
    CHECK(parsed("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"",
                 &out) != NULL);
}

TEST(json_readers_accept_anything)
{
    struct err err;
    cleanup_json struct json *j =
        json_parse(STR("{\"n\":5,\"t\":\"x\",\"l\":[1,2],\"b\":true,\"f\":1.5}"), &err);

    CHECK_EQ(json_get_i64(j, "n", -1), 5);
    CHECK_EQ(json_get_i64(j, "t", -1), -1);
    CHECK_TEXT(json_get_cstr(j, "t", ""), "x");
    CHECK_TEXT(json_get_cstr(j, "n", "none"), "none");
    CHECK(json_get_bool(j, "b", false) && !json_get_bool(j, "n", false));
    CHECK(json_f64(json_get(j, "f"), 0) == 1.5 && json_f64(json_get(j, "n"), 0) == 5.0);
    CHECK_EQ(json_i64(json_at(json_get(j, "l"), 1), 0), 2);
    CHECK(json_at(json_get(j, "l"), 2) == NULL);
    CHECK(json_get(json_get(json_get(NULL, "a"), "b"), "c") == NULL);
    CHECK_EQ(json_size(j), 5);
    CHECK_EQ(json_size(NULL), 0);
    CHECK_EQ(json_type(json_get(j, "f")), JSON_REAL);
    CHECK(json_first(NULL) == NULL && json_first(json_get(j, "l")) == NULL);
}

TEST(json_objects_are_found_in_their_array)
{
    struct err err = {0};
    cleanup_json struct json *list =
        json_parse(STR("[1,{\"a\":\"x\"},{\"name\":7},{\"name\":\"x\",\"n\":1},{\"name\":\"x\",\"n\":2},{\"name\":\"\"}]"), &err);

    CHECK_EQ(json_get_i64(json_find(list, "name", "x"), "n", 0), 1);
    CHECK(json_find(list, "name", "") == json_at(list, 5)); /* not one without a name */
    CHECK(json_find(list, "name", "y") == NULL);
    CHECK(json_find(json_at(list, 1), "a", "x") == NULL);
    CHECK(json_find(NULL, "name", "x") == NULL);
}

TEST(json_texts_are_found_in_their_array)
{
    struct err err = {0};
    cleanup_json struct json *list = json_parse(STR("[1,\"a\",{\"b\":\"c\"},\"d\"]"), &err);
    cleanup_json struct json *object = json_parse(STR("{\"a\":\"a\"}"), &err);

    CHECK(json_has_text(list, "a") && json_has_text(list, "d"));
    CHECK(!json_has_text(list, "c") && !json_has_text(list, "1") && !json_has_text(list, "D"));
    CHECK(!json_has_text(list, "")); /* what is no text is not an empty one */
    CHECK(!json_has_text(object, "a") && !json_has_text(NULL, "a"));
}

TEST(json_is_built_in_order)
{
    cleanup_json struct json *j = json_object(), *copy = NULL;
    cleanup_free char *text = NULL, *pretty = NULL, *other = NULL;
    struct json *list = json_array();
    int members = 0;

    json_append(list, json_int(1));
    json_append(list, json_text(NULL));
    json_set(j, "z", list);
    json_set(j, "a", json_text("bad \xff utf8"));
    json_set(j, "gone", json_bool(true));
    json_set(j, "skip", NULL);
    json_set(j, "t", json_time_ms(1700000000123));
    json_delete(j, "gone");
    json_delete(j, "gone");
    text = json_format(j);
    CHECK_TEXT(text, "{\"z\":[1,null],\"a\":\"bad ? utf8\",\"t\":1700000000.123}");
    copy = json_copy(j);
    CHECK(json_equal(j, copy));
    json_set(copy, "z", json_int(2));
    CHECK(!json_equal(j, copy));
    CHECK_EQ(json_size(json_get(j, "z")), 2);
    json_delete(copy, "a");
    pretty = json_format_pretty(copy);
    CHECK_TEXT(pretty, "{\n  \"z\": 2,\n  \"t\": 1700000000.123\n}");
    for (void *it = json_first(j); it != NULL; it = json_next(j, it))
        members += json_key(it)[0] != '\0' && json_value(it) != NULL;
    CHECK_EQ(members, 3);
    other = json_format(NULL);
    CHECK_TEXT(other, "null");
}

static void *
take_and_drop(void *arg)
{
    for (int i = 0; i < 20000; i++)
        json_unref(json_ref(arg));
    return NULL;
}

static void
check_number(struct json *made, const char *want)
{
    cleanup_json struct json *j = made;
    cleanup_free char *text = json_format(j);

    CHECK_TEXT(text, want);
}

TEST(numbers_are_written_shortest_and_exactly)
{
    check_number(json_int(0), "0");
    check_number(json_int(-7), "-7");
    check_number(json_int(INT64_MAX), "9223372036854775807");
    check_number(json_int(INT64_MIN), "-9223372036854775808");
    check_number(json_real(0), "0.0");
    check_number(json_real(0.1), "0.1");
    check_number(json_real(-1.5), "-1.5");
    check_number(json_real(1), "1.0");
    check_number(json_real(1.0005), "1.0005");
    check_number(json_real(1e300), "1e+300");
    check_number(json_real(123456789012.5), "123456789012.5");
    check_number(json_time_ms(1700000000000), "1700000000.0");
    check_number(json_time_ms(1700000000100), "1700000000.1");
    check_number(json_time_ms(1700000000020), "1700000000.02");
    check_number(json_time_ms(1700000000123), "1700000000.123");
    for (int64_t ms = 1000; ms < 100000000000000; ms = ms * 7 / 5 + 13) {
        char want[40];
        snprintf(want, sizeof(want), "%.15g", (double)ms / 1000);
        if (strchr(want, '.') == NULL)
            strcat(want, ".0");
        check_number(json_time_ms(ms), want);
    }
}

TEST(formatted_json_is_written_as_it_stands)
{
    cleanup_json struct json *list = json_array(), *object = json_object();
    cleanup_free char *inner = NULL, *text = NULL;

    json_set(object, "a", json_text("\"x\""));
    json_set(object, "at", json_time_ms(1500));
    inner = json_format(object);
    json_append(list, json_formatted(str_of(inner)));
    json_append(list, json_text("\xff{}")); /* what is no UTF-8 can not pass for it */
    text = json_format(list);
    CHECK_TEXT(text, "[{\"a\":\"\\\"x\\\"\",\"at\":1.5},\"?{}\"]");
    CHECK_EQ(json_type(json_at(list, 0)), JSON_NULL);
    CHECK_TEXT(json_cstr(json_at(list, 0), "none"), "none");
}

/* At every place in the text, and so in every byte of what is looked at as a whole. */
TEST(a_text_is_written_with_escapes_wherever_they_stand)
{
    for (int c = 1; c < 256; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[21] = "abcdefgh~ijklmnopqrs", want[32];
            cleanup_json struct json *j = NULL;
            cleanup_free char *written = NULL;
            const char *escape = c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" :
                                 c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
            char one[8] = {(char)(c < 128 ? c : '?')};

            if (escape == NULL && c < ' ')
                snprintf(one, sizeof(one), "\\u%04x", (unsigned)c);
            text[at] = (char)c;
            j = json_text(text); /* a lone byte above 127 is no UTF-8 */
            written = json_format(j);
            snprintf(want, sizeof(want), "\"%.*s%s%s\"", (int)at, text,
                     escape != NULL ? escape : one, text + at + 1);
            CHECK_TEXT(written, want);
            CHECK_EQ(json_is_utf8(str_of(text)), c < 128);
            text[at] = '\0';
            CHECK(!json_is_utf8((struct str){text, 20}));
        }
    }
}

TEST(json_is_shared_between_threads)
{
    struct json *j = json_object();
    pthread_t threads[3];

    json_set(j, "a", json_text("b"));
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, take_and_drop, j) == 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_TEXT(json_get_cstr(j, "a", ""), "b");
    json_unref(j);
}

TEST(time_is_printed_and_read_back)
{
    char iso[32], basic[24];
    int64_t ms = 0;

    clock_format_iso(1767323045678, iso);
    CHECK_TEXT(iso, "2026-01-02T03:04:05.678Z");
    CHECK(clock_parse_iso(str_of(iso), &ms));
    CHECK_EQ(ms, 1767323045678);
    clock_format_basic(1767323045678, basic);
    CHECK_TEXT(basic, "20260102T030405Z");
    CHECK(clock_parse_basic(str_of(basic), &ms));
    CHECK_EQ(ms, 1767323045000);
    CHECK(clock_parse_iso(STR("2026-01-02T12:04:05+09:00"), &ms));
    CHECK_EQ(ms, 1767323045000);
    CHECK(clock_parse_iso(STR("2024-02-29T00:00:00.5Z"), &ms));
    CHECK_EQ(ms % 1000, 500);
    CHECK(!clock_parse_iso(STR("2026-02-29T00:00:00Z"), &ms));
    CHECK(!clock_parse_iso(STR("2026-01-02T03:04:05"), &ms));
    CHECK(!clock_parse_iso(STR("2026-01-02T03:04:05.Z"), &ms));
    CHECK(!clock_parse_iso(STR("2026-01-02T25:04:05Z"), &ms));
    CHECK(!clock_parse_basic(STR("20260102T030405"), &ms));
    CHECK(!clock_parse_basic(STR("20261302T030405Z"), &ms));
    CHECK(!clock_parse_basic(STR("20260102T030405Zx"), &ms));
    CHECK(clock_monotonic_us() / 1000 <= clock_monotonic_ms() + 1);
}

/* A machine that slept, as a time namespace shows it: it is of those that are born after it was made. */
TEST(the_clock_of_the_machine_goes_on_while_it_sleeps)
{
    int fd, status = 0;
    pid_t pid;

    CHECK(clock_boot_ms() >= clock_monotonic_ms());
    if (unshare(CLONE_NEWTIME) != 0) {
        check_skip("no time namespaces here: %s", strerror(errno));
        return;
    }
    fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && dprintf(fd, "boottime 5000 0\n") > 0);
    (void)close(fd);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(clock_boot_ms() >= clock_monotonic_ms() + 5000 * 1000 ? 0 : 1);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

TEST(views_are_joined)
{
    const struct str parts[] = {STR("/a"), {0}, STR("/"), str_slice(STR("bcd"), 0, 1)};
    cleanup_free char *all = str_join(parts, ARRAY_COUNT(parts)), *none = str_join(NULL, 0);

    CHECK_TEXT(all, "/a/b");
    CHECK_TEXT(none, "");
}

TEST(random_texts_have_their_form)
{
    char uuid[37], other[37], hex[33], token[41];

    random_uuid(uuid);
    random_uuid(other);
    CHECK(strcmp(uuid, other) != 0);
    CHECK_EQ(strlen(uuid), 36);
    CHECK(uuid[14] == '4' && strchr("89ab", uuid[19]) != NULL);
    random_hex(hex, 32);
    CHECK_EQ(strspn(hex, "0123456789abcdef"), 32);
    random_token(token, 40);
    CHECK_EQ(strlen(token), 40);
}

TEST(the_seeded_generator_repeats_itself)
{
    struct rng a, b;
    char x[37], y[37];
    unsigned seen[5] = {0};

    rng_seed(&a, 42);
    rng_seed(&b, 42);
    CHECK(rng_next(&a) == UINT64_C(1546998764402558742)); /* published xoshiro256** + splitmix64 */
    (void)rng_next(&b);
    rng_uuid(&a, x);
    rng_uuid(&b, y);
    CHECK_TEXT(x, y);
    rng_hex(&a, x, 32);
    rng_token(&b, y, 32);
    CHECK(strcmp(x, y) != 0);
    for (int i = 0; i < 5000; i++)
        seen[rng_below(&a, 5)]++;
    for (size_t i = 0; i < 5; i++)
        CHECK(seen[i] > 800 && seen[i] < 1200);
    CHECK_EQ(rng_below(&a, 1), 0);
    for (int i = 0; i < 1000; i++) {
        rng_token(&a, x, 20);
        CHECK(x[0] != '-');
    }
}

/* FIPS 180-2 and RFC 4231 known answers. */
TEST(sha256_gives_the_known_answers)
{
    char hex[SHA256_HEX + 1], again[SHA256_HEX + 1];
    unsigned char digest[SHA256_LEN];
    struct sha256 *h = sha256_new();
    cleanup(strbuf_done) struct strbuf a = {0};

    sha256_hex(STR(""), hex);
    CHECK_TEXT(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex(STR("abc"), hex);
    CHECK_TEXT(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    for (int i = 0; i < 1000; i++) {
        strbuf_reserve(&a, 1000);
        memset(a.at + a.len, 'a', 1000);
        a.len += 1000;
    }
    sha256_hex(strbuf_str(&a), hex);
    CHECK_TEXT(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    sha256_add(h, a.at, 1);
    sha256_add(h, "", 0);
    sha256_add(h, a.at + 1, a.len - 1);
    sha256_finish(h, digest);
    hex_encode(digest, sizeof(digest), again);
    CHECK_TEXT(again, hex);
    sha256_free(h);
    sha256_free(NULL);
}

TEST(hmac_gives_the_known_answers)
{
    unsigned char mac[SHA256_LEN];
    char hex[SHA256_HEX + 1];

    hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), mac);
    hex_encode(mac, sizeof(mac), hex);
    CHECK_TEXT(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hmac_sha256(STR(""), STR(""), mac);
    hex_encode(mac, sizeof(mac), hex);
    CHECK_TEXT(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* RFC 4231, test case 6. */
TEST(a_key_longer_than_a_block_is_hashed_first)
{
    unsigned char key[131], mac[SHA256_LEN];
    char hex[SHA256_HEX + 1];

    memset(key, 0xaa, sizeof(key));
    hmac_sha256((struct str){(const char *)key, sizeof(key)},
                STR("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    hex_encode(mac, sizeof(mac), hex);
    CHECK_TEXT(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* The signing key of AWS's documentation: 20120215, us-east-1, iam. */
TEST(the_sigv4_signing_key_is_derived)
{
    unsigned char key[SHA256_LEN];
    char hex[SHA256_HEX + 1];
    static const char *const scope[] = {"us-east-1", "iam", "aws4_request"};

    hmac_sha256(STR("AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), STR("20120215"), key);
    for (size_t i = 0; i < ARRAY_COUNT(scope); i++) {
        struct str previous = {(const char *)key, sizeof(key)};
        unsigned char next[SHA256_LEN];

        hmac_sha256(previous, str_of(scope[i]), next);
        memcpy(key, next, sizeof(key));
    }
    hex_encode(key, sizeof(key), hex);
    CHECK_TEXT(hex, "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
}

TEST(base64_and_hex_are_strict)
{
    static const char *const pairs[][2] = {{"", ""},         {"f", "Zg=="},     {"fo", "Zm8="},
                                           {"foo", "Zm9v"},  {"foob", "Zm9vYg=="},
                                           {"\xff\xfe", "//4="}};
    static const char *const broken[] = {"Zg", "Zg=", "Zg===", "Z===", "Zh==", "Zm9=", "Zm 9v",
                                         "====", "Zg==Zg==", "Zm9v\n"};
    unsigned char bytes[2] = {0};

    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        cleanup(strbuf_done) struct strbuf out = {0}, back = {0};

        base64_encode(&out, str_of(pairs[i][0]));
        CHECK_TEXT(strbuf_cstr(&out), pairs[i][1]);
        CHECK(base64_decode(&back, strbuf_str(&out)));
        CHECK_TEXT(strbuf_cstr(&back), pairs[i][0]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        cleanup(strbuf_done) struct strbuf out = {0};

        strbuf_add_cstr(&out, "keep");
        if (base64_decode(&out, str_of(broken[i])))
            check_fail(__FILE__, __LINE__, "accepted %s", broken[i]);
        CHECK_TEXT(strbuf_cstr(&out), "keep");
    }
    CHECK(hex_decode(STR("0aFF"), bytes) && bytes[0] == 10 && bytes[1] == 255);
    CHECK(!hex_decode(STR("0"), bytes) && !hex_decode(STR("0g"), bytes));
    CHECK(crypto_equal(STR("ab"), STR("ab")) && !crypto_equal(STR("ab"), STR("ac")) &&
          !crypto_equal(STR("ab"), STR("abc")));
}

TEST(uri_escapes_go_both_ways)
{
    cleanup(strbuf_done) struct strbuf out = {0}, back = {0};

    uri_encode(&out, STR("a b/c~d\xc3\xa9+"), false);
    CHECK_TEXT(strbuf_cstr(&out), "a%20b%2Fc~d%C3%A9%2B");
    CHECK(uri_decode(&back, strbuf_str(&out), false));
    CHECK_TEXT(strbuf_cstr(&back), "a b/c~d\xc3\xa9+");
    strbuf_clear(&out);
    uri_encode(&out, STR("a/b c"), true);
    CHECK_TEXT(strbuf_cstr(&out), "a/b%20c");
    CHECK(!uri_decode(&back, STR("%4"), false) && !uri_decode(&back, STR("%zz"), false) &&
          !uri_decode(&back, STR("%00"), false));
    strbuf_clear(&back);
    CHECK(uri_query_get(STR("x=1&na%6De=a+b%21&e"), "name", &back));
    CHECK_TEXT(strbuf_cstr(&back), "a b!");
    strbuf_clear(&back);
    CHECK(uri_query_get(STR("x=1&e"), "e", &back));
    CHECK_TEXT(strbuf_cstr(&back), "");
    CHECK(!uri_query_get(STR("x=1"), "y", &back));
    CHECK(!uri_query_get(STR("y=%"), "y", &back));
    CHECK(!uri_query_get((struct str){NULL, 0}, "y", &back));
}

TEST(a_log_line_is_one_line)
{
    int ends[2];
    char line[512];
    ssize_t n;

    CHECK(pipe(ends) == 0);
    CHECK(dup2(ends[1], STDERR_FILENO) >= 0);
    log_debug("too.quiet", "x=1");
    log_info("test.ran", "name=%s other=%s", log_quote("a \"b\"\n\x01"), "c\nd");
    n = read(ends[0], line, sizeof(line) - 1);
    CHECK(n > 0);
    line[n] = '\0';
    CHECK(strstr(line, " level=info at=test.ran name=\"a \\\"b\\\"\\n\\x01\" other=c d\n") != NULL);
    CHECK(strstr(line, "too.quiet") == NULL);
    CHECK(line[n - 1] == '\n');
}

TEST(blocks_of_addresses_are_read)
{
    static const char *const bad[] = {"10.0.0.1",  "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8",
                                      "::/129",    "/8",          "a/8",         "",          "10.0.0.0/8/8",
                                      " 10.0.0.0/8", "10.0.0.0/+8"};
    struct address_block block = {.bits = 77};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (address_block_parse(bad[i], &block))
            check_fail(__FILE__, __LINE__, "'%s' is a block", bad[i]);
    CHECK_EQ(block.bits, 77);
    CHECK(address_block_parse("10.1.2.3/9", &block) && block.size == 4 && block.bits == 9);
    CHECK(memcmp(block.address, "\x0a\x01\x02\x03", 4) == 0);
    CHECK(address_block_parse("::/0", &block) && block.size == 16 && block.bits == 0);
    CHECK(address_block_parse("2001:db8::/128", &block) && block.address[3] == 0xb8);
}

TEST(blocks_of_addresses_hold_others)
{
    static const struct {
        const char *outer, *inner;
        bool holds;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.0/16", true},    {"10.0.0.0/8", "10.0.0.0/8", true},
        {"10.0.0.0/8", "11.0.0.0/16", false},     {"10.0.0.0/16", "10.0.0.0/8", false},
        {"10.1.128.0/17", "10.1.255.9/32", true}, {"10.1.128.0/17", "10.1.127.9/32", false},
        {"0.0.0.0/0", "1.2.3.4/32", true},        {"0.0.0.0/0", "::/128", false},
        {"::/0", "1.2.3.4/32", false},            {"2001:db8::/33", "2001:db8:8000::/34", false},
        {"::1/128", "::1/128", true},             {"::1/128", "::2/128", false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct address_block outer, inner;
        CHECK(address_block_parse(rows[i].outer, &outer) &&
              address_block_parse(rows[i].inner, &inner));
        if (address_block_holds(&outer, &inner) != rows[i].holds)
            check_fail(__FILE__, __LINE__, "%s in %s: not %d", rows[i].inner, rows[i].outer,
                       rows[i].holds);
    }
}
